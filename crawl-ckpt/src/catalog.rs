//! Which jobs there are: what people name, and what lies in the data directory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::job::{JobPlace, Name};
use crate::tool::{Exit, Failure};

/// A job that somebody named, or that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Project and spider; `None` for a job directory that was named by its path.
    pub names: Option<(Name, Name)>,
    /// Where it lies.
    pub place: JobPlace,
}

/// The data directory, and what lies in it.
#[derive(Debug, Clone)]
pub struct Catalog {
    data_dir: PathBuf,
}

impl Catalog {
    /// The catalog of a data directory, which need not exist.
    pub fn new(data_dir: PathBuf) -> Catalog {
        Catalog { data_dir }
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// All jobs, by project and spider. Directories that no name fits are none of ours.
    ///
    /// # Errors
    /// A directory cannot be read. One that is not there, or not any more, holds nothing.
    pub fn all(&self, project: Option<&Name>) -> Result<Vec<Found>, Failure> {
        let mut found = self.all_with_leftovers(project)?;
        found.retain(|job| job.place.dir.is_dir());
        Ok(found)
    }

    /// The same, and places where only the rest of an interrupted removal lies.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn all_with_leftovers(&self, project: Option<&Name>) -> Result<Vec<Found>, Failure> {
        let projects = match project {
            Some(project) => vec![project.clone()],
            None => names_in(&self.data_dir)?,
        };
        let mut found = Vec::new();
        for project in projects {
            let spiders = names_in(&self.data_dir.join(&project))?;
            let jobs = spiders
                .into_iter()
                .map(|spider| self.found(project.clone(), spider));
            found.extend(jobs.filter(Found::is_there));
        }
        Ok(found)
    }

    /// The job that a person calls `PROJECT/SPIDER`, or `SPIDER` in the project `default`.
    ///
    /// # Errors
    /// The text is no name ([`Exit::Usage`]), or there is no such checkpoint; the error lists those that are.
    pub fn named(&self, text: &str) -> Result<Found, Failure> {
        let (project, spider) = text.split_once('/').unwrap_or(("default", text));
        let name = |text| Name::parse(text).map_err(|e| Failure::with(Exit::Usage, e));
        let job = self.found(name(project)?, name(spider)?);
        match job.is_there() {
            true => Ok(job),
            false => Err(self.missing(&job)),
        }
    }

    /// The job in a directory.
    ///
    /// # Errors
    /// There is no directory.
    pub fn at(dir: &Path) -> Result<Found, Failure> {
        let job = Found {
            names: None,
            place: JobPlace::at(dir),
        };
        match job.is_there() {
            true => Ok(job),
            false => Err(Failure::new(format_args!(
                "there is no job in {}",
                dir.display()
            ))),
        }
    }

    fn found(&self, project: Name, spider: Name) -> Found {
        Found {
            place: JobPlace::of_spider(&self.data_dir, &project, &spider),
            names: Some((project, spider)),
        }
    }

    /// Why there is no such checkpoint, in the words that help.
    fn missing(&self, wanted: &Found) -> Failure {
        let others: Vec<String> = self
            .all(None)
            .unwrap_or_default()
            .iter()
            .map(Found::to_string)
            .collect();
        let shown = self.data_dir.display();
        match others.len() {
            0 => Failure::new(format_args!(
                "{wanted} has no checkpoint in {shown}, and nobody else has: a complete crawl removes its own, a test crawl (--limit) makes none"
            )),
            1..=10 => Failure::new(format_args!(
                "{wanted} has no checkpoint in {shown}; these have: {}",
                others.join(", ")
            )),
            n => Failure::new(format_args!(
                "{wanted} has no checkpoint in {shown}; {n} others have"
            ))
            .hint("crawl-ckpt ls"),
        }
    }
}

impl Found {
    /// True when the job is there, or what is left of one whose removal was cut short.
    pub fn is_there(&self) -> bool {
        self.place.dir.is_dir() || self.place.removing().is_dir()
    }

    /// The folder of the spider, which holds the job, the lock and the output.
    pub fn spider_dir(&self) -> Option<&Path> {
        self.names.as_ref().and_then(|_| self.place.dir.parent())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            Some((project, spider)) => write!(f, "{project}/{spider}"),
            None => self.place.dir.display().fmt(f),
        }
    }
}

/// The directories in a directory that have names of ours, sorted.
fn names_in(dir: &Path) -> Result<Vec<Name>, Failure> {
    let failed = |e: io::Error| Failure::new(format_args!("cannot list {}: {e}", dir.display()));
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if let Some(name) = entry
            .file_name()
            .to_str()
            .and_then(|name| Name::parse(name).ok())
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
