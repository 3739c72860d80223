//! What can go wrong with a journal.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::tool::{Exit, Failure};

/// What can go wrong with a journal.
#[derive(Debug)]
pub enum JournalError {
    /// The file system refuses.
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The journal.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal does not hold what was once written to it.
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where, in bytes from the start of the file.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The journal was written by a version that is not known here.
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its format.
        format: u32,
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

impl JournalError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |source| JournalError::Io {
            doing,
            path,
            source,
        }
    }

    /// For opening the journal in force: that it is not there, or no file, is damage.
    pub(super) fn opening(path: &Path) -> impl FnOnce(io::Error) -> JournalError {
        let path = path.to_owned();
        move |error| match error.kind() {
            io::ErrorKind::NotFound => JournalError::damaged(&path, 0, "the file is missing"),
            io::ErrorKind::InvalidData => JournalError::damaged(&path, 0, error.to_string()),
            _ => JournalError::io("open", &path)(error),
        }
    }

    /// Damage at a place, in words.
    pub fn damaged(path: &Path, offset: u64, why: impl Into<String>) -> JournalError {
        JournalError::Damaged {
            path: path.to_owned(),
            offset,
            why: why.into(),
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Io {
                doing,
                path,
                source,
            } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            JournalError::Damaged { path, offset, why } => {
                write!(f, "{}: damaged at byte {offset}: {why}", path.display())
            }
            JournalError::Newer { path, format } => write!(
                f,
                "{}: format {format} is newer than this tool knows",
                path.display()
            ),
            JournalError::Refused { path } => {
                write!(
                    f,
                    "{}: nothing is written after an earlier failure",
                    path.display()
                )
            }
            JournalError::Misfit { path, why } => write!(f, "{}: {why}", path.display()),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JournalError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Failure {
        let failure = |exit| Failure::with(exit, &error);
        match &error {
            JournalError::Damaged { path, .. } => failure(Exit::Damaged).hint(format_args!(
                "crawl-ckpt verify --repair --job {}",
                crate::tool::quoted(&crate::durable::parent(path).to_string_lossy())
            )),
            JournalError::Newer { .. } => failure(Exit::Damaged),
            _ => failure(Exit::Failed),
        }
    }
}
