//! Which jobs there are: what people name, and what lies in the data directory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::crawls::Crawls;
use crate::job::{JobPlace, Name, is_there};
use crate::look::bytes_in;
use crate::tool::{Exit, Failure};

/// A job that somebody named, or that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Project and spider; `None` for a job directory that was named by its path.
    pub names: Option<(Name, Name)>,
    /// Where it lies.
    pub place: JobPlace,
}

/// The state of all batches of a project.
#[derive(Debug, Clone)]
pub struct Batches {
    /// The project.
    pub project: Name,
    /// Where it lies.
    pub dir: PathBuf,
    /// How many batches it is of.
    pub count: u64,
    /// Bytes of all of it.
    pub bytes: u64,
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

    /// All jobs, by project and spider, and places where only the rest of an interrupted removal
    /// lies. Directories that no name fits, or without anything of a job in them, are none of ours.
    ///
    /// # Errors
    /// A directory cannot be read. One that is not there, or not any more, holds nothing.
    pub fn all(&self, project: Option<&Name>) -> Result<Vec<Found>, Failure> {
        self.filtered(project, Found::is_there)
    }

    /// All checkpoints, and spiders without one that know pages of earlier crawls.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn all_that_take_space(&self) -> Result<Vec<Found>, Failure> {
        self.filtered(None, |job| job.is_there() || job.delta_bytes() > 0)
    }

    /// These, and spiders whose crawls left outputs.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn all_that_crawled(&self) -> Result<Vec<Found>, Failure> {
        self.filtered(None, Found::has_crawled)
    }

    fn filtered(
        &self,
        project: Option<&Name>,
        keep: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Found>, Failure> {
        let mut found = Vec::new();
        for project in self.projects(project)? {
            let spiders = names_in(&self.data_dir.join(&project))?;
            let jobs = spiders
                .into_iter()
                .map(|spider| self.found(project.clone(), spider));
            found.extend(jobs.filter(&keep));
        }
        Ok(found)
    }

    fn projects(&self, project: Option<&Name>) -> Result<Vec<Name>, Failure> {
        match project {
            Some(project) => Ok(vec![project.clone()]),
            None => names_in(&self.data_dir),
        }
    }

    /// Whether a project is there.
    ///
    /// # Errors
    /// There is no such project; the error lists those that there are.
    pub fn check_project(&self, project: &Name) -> Result<(), Failure> {
        if self.data_dir.join(project).is_dir() {
            return Ok(());
        }
        let mut there = names_in(&self.data_dir)?;
        there.retain(|name| self.data_dir.join(name).is_dir());
        let shown = self.data_dir.display();
        let message = format!("there is no project {project} in {shown}");
        let names: Vec<&str> = there.iter().map(Name::as_str).take(10).collect();
        Err(Failure::new(match names.len() {
            0 => message,
            _ => format!("{message}; there are: {}", names.join(", ")),
        }))
    }

    /// What `crawl-run batch` keeps of its batches, a project each.
    ///
    /// # Errors
    /// The data directory cannot be read.
    pub fn batches(&self, project: Option<&Name>) -> Result<Vec<Batches>, Failure> {
        let projects = self.projects(project)?.into_iter();
        let batches = projects.map(|project| {
            let dir = self.data_dir.join(&project).join(".batch");
            let files = fs::read_dir(&dir).into_iter().flatten().flatten();
            let is_state = |path: PathBuf| path.extension().is_some_and(|e| e == "jsonl");
            Batches {
                count: files.filter(|file| is_state(file.path())).count() as u64,
                bytes: bytes_in(&dir),
                project,
                dir,
            }
        });
        Ok(batches.filter(|batches| batches.count > 0).collect())
    }

    /// The job that a person calls `PROJECT/SPIDER`, or `SPIDER` in the project `default`.
    ///
    /// # Errors
    /// The text is no name ([`Exit::Usage`]), or there is no such checkpoint; the error lists those that are.
    pub fn named(&self, text: &str) -> Result<Found, Failure> {
        self.named_if(text, Found::is_there)
    }

    /// The checkpoint of a spider, or only what the spider knows of earlier crawls.
    ///
    /// # Errors
    /// As [`Catalog::named`].
    pub fn named_that_takes_space(&self, text: &str) -> Result<Found, Failure> {
        self.named_if(text, |job| job.is_there() || job.delta_bytes() > 0)
    }

    /// A spider that has a checkpoint, knows of earlier crawls, or whose crawls left outputs.
    ///
    /// # Errors
    /// As [`Catalog::named`].
    pub fn named_that_crawled(&self, text: &str) -> Result<Found, Failure> {
        self.named_if(text, Found::has_crawled)
    }

    fn named_if(&self, text: &str, keep: impl Fn(&Found) -> bool) -> Result<Found, Failure> {
        let job = self.spider(text)?;
        if keep(&job) {
            Ok(job)
        } else {
            Err(self.missing(&job))
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
        if job.is_there() {
            Ok(job)
        } else {
            Err(Failure::new(format_args!(
                "there is no job in {}",
                dir.display()
            )))
        }
    }

    /// The place of a spider, whether it has a checkpoint or not.
    ///
    /// # Errors
    /// The text is no name ([`Exit::Usage`]).
    pub fn spider(&self, text: &str) -> Result<Found, Failure> {
        let (project, spider) = text.split_once('/').unwrap_or(("default", text));
        // A shell that completes the path of the spider's directory ends it so. That of a project,
        // whose spider's name is empty, is no name.
        let spider = spider.strip_suffix('/').unwrap_or(spider);
        let name = |name| {
            Name::parse(name).map_err(|e| {
                let failure = Failure::with(Exit::Usage, e);
                if name.contains('/') {
                    failure
                        .hint("PROJECT/SPIDER names a crawl; a job directory is given as --job DIR")
                } else {
                    failure
                }
            })
        };
        Ok(self.found(name(project)?, name(spider)?))
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
        is_there(&self.place)
    }

    /// What its crawls left in their folder.
    pub fn crawls(&self) -> Crawls {
        match &self.names {
            Some(_) => Crawls::within(&self.place.crawls_dir()),
            None => Crawls::default(),
        }
    }

    fn has_crawled(&self) -> bool {
        self.is_there() || self.delta_bytes() > 0 || self.crawls() != Crawls::default()
    }

    /// Bytes of what an incremental crawl knows of earlier ones.
    pub fn delta_bytes(&self) -> u64 {
        match &self.names {
            Some(_) => bytes_in(&self.place.delta_dir()),
            None => 0,
        }
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
