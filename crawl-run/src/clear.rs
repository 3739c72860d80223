//! Throwing a checkpoint away: what is to go, and, once nothing can be refused any more, its end.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crawl_ckpt::durable::{Disk, RealDisk, parent};
use crawl_ckpt::job::{self, Job, JobError};
use crawl_ckpt::lock::JobLock;
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
    /// What is said when it is gone.
    said: &'static str,
    /// What is known from earlier crawls goes with it.
    forget: bool,
}

impl Clear {
    /// Looks at what is to go. Changes nothing.
    pub fn plan(place: &Place, opened: Result<Option<Job>, JobError>, said: &'static str) -> Clear {
        let is_there = !matches!(opened, Ok(None));
        let job = opened.ok().flatten();
        let output = is_there
            .then(|| job::unfinished_output(job.as_ref(), &place.job, &place.data_dir))
            .flatten();
        Clear {
            job,
            is_there,
            output,
            said,
            forget: false,
        }
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

    /// Does it, durably. When this is cut short, the next run finishes it.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn perform(self, place: &Place, lock: &JobLock, view: &View) -> Result<(), Failure> {
        let aside = self.output.as_deref().map(aside_name).transpose()?;
        match self.job {
            Some(job) if job.manifest().clearing.is_some() => {
                job.finish_clearing(lock, &place.data_dir)?;
            }
            Some(job) => job.throw_away(lock, &place.data_dir, aside.as_deref())?,
            None => {
                if let (Some(output), Some(aside)) = (&self.output, &aside) {
                    job::rename_aside(output, aside).map_err(|e| {
                        Failure::new(format_args!("cannot rename {}: {e}", output.display()))
                    })?;
                }
                job::remove(&RealDisk, &place.job, lock)?;
            }
        }
        if let Some(aside) = aside {
            let aside = aside.display();
            view.say(format_args!("unfinished output renamed to {aside}"));
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

fn forget_delta(dir: &Path) -> Result<(), Failure> {
    let fail = |e| Failure::new(format_args!("cannot remove {}: {e}", dir.display()));
    match fs::remove_dir_all(dir) {
        Ok(()) => RealDisk.sync_dir(parent(dir)).map_err(fail),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(fail(e)),
    }
}
