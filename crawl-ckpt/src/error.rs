//! What can go wrong with what is stored: a job, its journal, and what is known of pages.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::durable::parent;
use crate::tool::{Exit, Failure, quoted};

/// What can go wrong with what is stored.
#[derive(Debug)]
pub enum StoreError {
    /// The file system refuses.
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is missing or does not hold what was once written to it.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        offset: u64,
        /// What is wrong there.
        why: String,
        /// What helps.
        cure: Cure,
    },
    /// A file of ours is of a format that is not known here.
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that the file has.
        format: u32,
    },
    /// The manifest is sound, but of a version that is not known here.
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is not known.
        why: String,
    },
    /// A job is there already.
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody else writes in the directory.
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// Something lies in a place of the job that is not ours: nothing there is touched.
    Foreign {
        /// What lies there.
        path: PathBuf,
    },
    /// A write or sync failed before: what the disk holds is unknown, so nothing more is written.
    Refused {
        /// The journal.
        path: PathBuf,
    },
    /// A batch is not the one that comes next, or too large.
    Misfit {
        /// The journal.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// What helps against damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cure {
    /// A job is repaired into a copy.
    Repair,
    /// What is known of pages is forgotten.
    Forget,
}

impl StoreError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io {
            doing,
            path,
            source,
        }
    }

    /// For opening the journal in force: that it is not there, or no file, is damage.
    pub(crate) fn opening(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::damaged(&path, 0, "the file is missing"),
            io::ErrorKind::InvalidData => StoreError::damaged(&path, 0, error.to_string()),
            _ => StoreError::io("open", &path)(error),
        }
    }

    /// Damage to a job at a place, in words.
    pub fn damaged(path: &Path, offset: u64, why: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: path.to_owned(),
            offset,
            why: why.into(),
            cure: Cure::Repair,
        }
    }

    /// The same with the place in the file alone, which other journals come before.
    pub(crate) fn within_file(mut self, shift: u64) -> StoreError {
        if let StoreError::Damaged { offset, .. } = &mut self {
            *offset = offset.saturating_sub(shift);
        }
        self
    }

    /// Damage to what is known of pages.
    pub(crate) fn damaged_pages(path: &Path, offset: u64, why: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            path: path.to_owned(),
            offset,
            why: why.into(),
            cure: Cure::Forget,
        }
    }

    /// True for trouble of the disk or a shortage, which says nothing of what lies there.
    pub fn may_pass(&self) -> bool {
        let StoreError::Io { source, .. } = self else {
            return false;
        };
        let passing = [
            Errno::IO,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::STALE,
            Errno::TIMEDOUT,
        ];
        Errno::from_io_error(source).is_some_and(|errno| passing.contains(&errno))
    }

    /// The file or directory that it is about.
    pub fn path(&self) -> &Path {
        match self {
            StoreError::Io { path, .. }
            | StoreError::Damaged { path, .. }
            | StoreError::Newer { path, .. }
            | StoreError::Unknown { path, .. }
            | StoreError::Exists { path }
            | StoreError::Held { path }
            | StoreError::Foreign { path }
            | StoreError::Refused { path }
            | StoreError::Misfit { path, .. } => path,
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            StoreError::Io { doing, source, .. } => write!(f, "cannot {doing} {path}: {source}"),
            StoreError::Damaged { offset, why, .. } => {
                write!(f, "{path}: damaged at byte {offset}: {why}")
            }
            StoreError::Newer { format, .. } => {
                write!(f, "{path}: format {format} is newer than this tool knows")
            }
            StoreError::Unknown { why, .. } => {
                write!(f, "{path}: written by another version of the tools: {why}")
            }
            StoreError::Exists { .. } => write!(f, "{path}: a job is there already"),
            StoreError::Held { .. } => {
                write!(f, "another run holds this job: {path} is locked")
            }
            StoreError::Foreign { .. } => write!(f, "{path}: this is no part of a job"),
            StoreError::Refused { .. } => {
                write!(f, "{path}: nothing is written after an earlier failure")
            }
            StoreError::Misfit { why, .. } => write!(f, "{path}: {why}"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            StoreError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        let failure = |exit| Failure::with(exit, &error);
        match &error {
            StoreError::Damaged {
                path,
                cure: Cure::Repair,
                ..
            } => failure(Exit::Damaged).hint(format_args!(
                "crawl-ckpt verify --repair --job {}",
                quoted(&parent(path).to_string_lossy())
            )),
            StoreError::Damaged {
                cure: Cure::Forget, ..
            } => failure(Exit::Damaged).hint(
                "the same command with --reset-deltafetch forgets what is known of pages, \
                 and the checkpoint with it",
            ),
            StoreError::Newer { .. } | StoreError::Unknown { .. } => failure(Exit::Damaged),
            StoreError::Held { .. } => failure(Exit::Held),
            StoreError::Foreign { .. } => {
                failure(Exit::Failed).hint("move it away: only what the tools made is ever touched")
            }
            StoreError::Io { .. }
            | StoreError::Exists { .. }
            | StoreError::Refused { .. }
            | StoreError::Misfit { .. } => failure(Exit::Failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_names_the_command_that_mends_it() {
        let file = Path::new("/data/a job/journal-1");
        let job = Failure::from(StoreError::damaged(file, 7, "why"));
        let pages = Failure::from(StoreError::damaged_pages(file, 7, "why"));
        for failure in [&job, &pages] {
            assert_eq!(failure.exit, Exit::Damaged);
            assert_eq!(
                failure.message,
                "/data/a job/journal-1: damaged at byte 7: why"
            );
        }
        let hint = job.hint.unwrap();
        assert_eq!(hint, "crawl-ckpt verify --repair --job '/data/a job'");
        let hint = pages.hint.unwrap();
        assert!(hint.contains("--reset-deltafetch"), "{hint}");
    }

    #[test]
    fn a_missing_journal_is_damage_and_one_that_cannot_be_opened_is_not() {
        let exit = |kind: io::ErrorKind| {
            let error = StoreError::opening(Path::new("journal-1"))(kind.into());
            Failure::from(error).exit
        };
        assert_eq!(exit(io::ErrorKind::NotFound), Exit::Damaged);
        assert_eq!(exit(io::ErrorKind::InvalidData), Exit::Damaged);
        assert_eq!(exit(io::ErrorKind::PermissionDenied), Exit::Failed);
    }
}
