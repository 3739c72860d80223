//! What can go wrong with what is known of pages.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::tool::{Exit, Failure};

/// What can go wrong with what is known of pages.
#[derive(Debug)]
pub enum DeltaError {
    /// The file system refuses.
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what was once written to it.
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, in bytes from its start.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The file was written by a version that is not known here.
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
    },
}

impl DeltaError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DeltaError {
        let path = path.to_owned();
        move |source| DeltaError::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn damaged(path: &Path, offset: u64, why: impl Into<String>) -> DeltaError {
        DeltaError::Damaged {
            path: path.to_owned(),
            offset,
            why: why.into(),
        }
    }
}

impl fmt::Display for DeltaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeltaError::Io {
                doing,
                path,
                source,
            } => write!(f, "cannot {doing} {}: {source}", path.display()),
            DeltaError::Damaged { path, offset, why } => {
                write!(f, "{}: damaged at byte {offset}: {why}", path.display())
            }
            DeltaError::Newer { path, format } => write!(
                f,
                "{}: format {format} is newer than this tool knows",
                path.display()
            ),
        }
    }
}

impl std::error::Error for DeltaError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DeltaError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<DeltaError> for Failure {
    fn from(error: DeltaError) -> Failure {
        match error {
            DeltaError::Io { .. } => Failure::with(Exit::Failed, &error),
            DeltaError::Newer { .. } => Failure::with(Exit::Damaged, &error),
            DeltaError::Damaged { .. } => Failure::with(Exit::Damaged, &error).hint(
                "the same command with --reset-deltafetch forgets what is known of pages, \
                 and the checkpoint with it",
            ),
        }
    }
}
