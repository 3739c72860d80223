//! Throwing a checkpoint away: what is to go, and, once nothing can be refused any more, its end.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crawl_ckpt::delta;
use crawl_ckpt::durable::{Disk, RealDisk, parent, remove_if_there};
use crawl_ckpt::error::StoreError;
use crawl_ckpt::job::{self, Job, OutputPlace};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::repair;
use crawl_ckpt::tool::Failure;

use crate::place::{Place, aside_name};
use crate::view::View;

/// A checkpoint that is to be thrown away, and why.
#[derive(Debug)]
pub struct Clear {
    /// `None` when it cannot be opened, which is no reason to keep it.
    job: Option<Job>,
    /// Something is there.
    is_there: bool,
    /// The output that will not be finished.
    output: Option<PathBuf>,
    /// The directory of its WARC files.
    warc: Option<PathBuf>,
    /// An output that the user did not name, and that stays as it is.
    stays: Option<PathBuf>,
    /// What is said when it is gone.
    said: &'static str,
    /// What is known from earlier crawls goes with it.
    forget: bool,
}

impl Clear {
    /// Looks at what is to go. Changes nothing. `chosen` is what `-o` names.
    ///
    /// # Errors
    /// Trouble of the disk: an output that cannot be read just now would keep its name.
    pub fn plan(
        place: &Place,
        opened: Result<Option<Job>, StoreError>,
        chosen: Option<&Path>,
        said: &'static str,
    ) -> Result<Clear, StoreError> {
        let is_there = !matches!(opened, Ok(None));
        let job = opened.ok().flatten();
        let output = if is_there {
            repair::unfinished_output(job.as_ref(), &place.job, &place.data_dir)?
        } else {
            None
        };
        let is_meant = |output: &PathBuf| {
            let output = OutputPlace::file(output, &place.data_dir);
            place.is_meant(&output, chosen)
        };
        let (output, stays) = match output {
            Some(output) if !is_meant(&output) => (None, Some(output)),
            output => (output, None),
        };
        let warc = match &job {
            Some(job) => {
                let dir = job.warc_dir(&place.data_dir);
                dir.filter(|_| place.is_warc_meant(job.manifest(), chosen))
            }
            None => output.as_deref().map(job::warc_dir),
        };
        Ok(Clear {
            job,
            is_there,
            warc: warc.filter(|dir| dir.is_dir()),
            output,
            stays,
            said,
            forget: false,
        })
    }

    /// What is known from earlier crawls is to go as well.
    pub fn with_delta(self) -> Clear {
        Clear {
            forget: true,
            ..self
        }
    }

    /// True when earlier crawls are forgotten too.
    pub fn forgets(&self) -> bool {
        self.forget
    }

    /// The output that gets another name, so that its own is free.
    pub fn leaves(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// The directory of WARC files that gets another name with it.
    pub fn leaves_warc(&self) -> Option<&Path> {
        self.warc.as_deref()
    }

    /// Does it, durably. When this is cut short, the next run finishes it.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn perform(self, place: &Place, lock: &JobLock, view: &View) -> Result<(), Failure> {
        let aside = self.output.as_deref().map(aside_name).transpose()?;
        let warc_aside = self.warc.as_deref().map(aside_name).transpose()?;
        if let Some(output) = &self.stays {
            view.warn(format_args!(
                "{} stays as it is: it is outside of the data directory, and -o does not name it",
                output.display()
            ));
        }
        match self.job {
            Some(job) if self.stays.is_some() => job.remove(lock)?,
            Some(job) if job.manifest().clearing.is_some() => {
                job.finish_clearing(lock, &place.data_dir)?;
            }
            Some(job) => {
                let asides = (aside.as_deref(), warc_aside.as_deref());
                job.throw_away(lock, &place.data_dir, asides)?;
            }
            None => {
                type Rename = fn(&Path, &Path) -> io::Result<()>;
                let renames: [(_, _, Rename); 2] = [
                    (&self.output, &aside, job::rename_output),
                    (&self.warc, &warc_aside, job::rename_aside),
                ];
                for (path, aside, rename) in renames {
                    if let (Some(path), Some(aside)) = (path, aside) {
                        rename(path, aside).map_err(|e| {
                            Failure::new(format_args!("cannot rename {}: {e}", path.display()))
                        })?;
                    }
                }
                job::remove(&RealDisk, &place.job, lock)?;
            }
        }
        if let Some(aside) = aside {
            let aside = aside.display();
            view.say(format_args!("unfinished output renamed to {aside}"));
        }
        if let Some(aside) = warc_aside {
            let aside = aside.display();
            view.say(format_args!("its WARC files are in {aside} now"));
        }
        if self.is_there {
            view.say(self.said);
        }
        if self.forget {
            forget_delta(&place.job.delta_dir())?;
            view.say("what was known from earlier crawls is forgotten");
        }
        Ok(())
    }
}

/// Removes what is known of pages, and the directory if nothing else is in it.
fn forget_delta(dir: &Path) -> Result<(), Failure> {
    let fail = |path: &Path, e| Failure::new(format_args!("cannot remove {}: {e}", path.display()));
    for name in delta::KNOWN_FILES {
        let path = dir.join(name);
        remove_if_there(&RealDisk, &path).map_err(|e| fail(&path, e))?;
    }
    match fs::remove_dir(dir) {
        Ok(()) => RealDisk.sync_dir(parent(dir)).map_err(|e| fail(dir, e)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => {
            RealDisk.sync_dir(dir).map_err(|e| fail(dir, e))
        }
        Err(e) => Err(fail(dir, e)),
    }
}
