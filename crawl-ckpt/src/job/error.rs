//! What can go wrong with a job directory.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::journal::JournalError;
use crate::tool::{Exit, Failure};

/// What can go wrong with a job directory.
#[derive(Debug)]
pub enum JobError {
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
    },
    /// The file is sound, but of a version that is not known here.
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
    /// The journal is at fault.
    Journal(JournalError),
}

impl JobError {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JobError {
        let path = path.to_owned();
        move |source| JobError::Io {
            doing,
            path,
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, why: impl Into<String>) -> JobError {
        JobError::Damaged {
            path: path.to_owned(),
            offset,
            why: why.into(),
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobError::Io {
                doing,
                path,
                source,
            } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            JobError::Damaged { path, offset, why } => {
                write!(f, "{}: damaged at byte {offset}: {why}", path.display())
            }
            JobError::Unknown { path, why } => {
                write!(
                    f,
                    "{}: written by another version of the tools: {why}",
                    path.display()
                )
            }
            JobError::Exists { path } => write!(f, "{}: a job is there already", path.display()),
            JobError::Held { path } => write!(
                f,
                "another run holds this job: {} is locked",
                path.display()
            ),
            JobError::Foreign { path } => {
                write!(f, "{}: this is no part of a job", path.display())
            }
            JobError::Journal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JobError::Io { source, .. } => Some(source),
            JobError::Journal(error) => error.source(),
            _ => None,
        }
    }
}

impl From<JournalError> for JobError {
    fn from(error: JournalError) -> JobError {
        JobError::Journal(error)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Failure {
        let failure = |exit| Failure::with(exit, &error);
        match error {
            JobError::Damaged { ref path, .. } => failure(Exit::Damaged).hint(format_args!(
                "crawl-ckpt verify --repair --job {}",
                crate::tool::quoted(&crate::durable::parent(path).to_string_lossy())
            )),
            JobError::Unknown { .. } => failure(Exit::Damaged),
            JobError::Io { .. } | JobError::Exists { .. } => failure(Exit::Failed),
            JobError::Held { .. } => failure(Exit::Held),
            JobError::Foreign { .. } => {
                failure(Exit::Failed).hint("move it away: only what the tools made is ever touched")
            }
            JobError::Journal(error) => error.into(),
        }
    }
}
