//! What comes of a part that is damaged. Parts spare time and are never the only copy of anything: whoever finds one
//! damaged does without it, and the next start makes all of them anew, out of the journal.

use std::io;
use std::path::Path;

use crawl_ckpt::durable::{Disk, remove_if_there};
use crawl_ckpt::error::StoreError;
use crawl_ckpt::image;
use crawl_ckpt::tool::Failure;
use rustix::io::Errno;

/// What is told of a start that does without the image, behind the reason.
pub const INSTEAD: &str = "the journal is read instead";

/// Why what was seen, or what waits, cannot be told any more. Nothing may be committed then.
#[derive(Debug)]
pub enum Unsound {
    /// A part is damaged, or lies where the disk cannot read it.
    Part(StoreError),
    /// All else.
    Other(Failure),
}

impl Unsound {
    /// Why a part cannot be read.
    pub fn part(error: StoreError) -> Unsound {
        let is_bad_block = match &error {
            StoreError::Damaged { .. } => true,
            StoreError::Io { source, .. } => Errno::from_io_error(source) == Some(Errno::IO),
            _ => false,
        };
        if is_bad_block {
            Unsound::Part(error)
        } else {
            Unsound::Other(error.into())
        }
    }

    /// Why something that reads parts failed; `otherwise` has words for what is none of their affair.
    pub fn of(error: io::Error, otherwise: impl FnOnce(io::Error) -> Failure) -> Unsound {
        match error.downcast() {
            Ok(error) => Unsound::part(error),
            Err(error) => Unsound::Other(otherwise(error)),
        }
    }

    /// Ends a run that writes in this directory: the next one must not rely on the part either.
    pub fn ends_run(self, disk: &dyn Disk, dir: &Path) -> Failure {
        match self {
            Unsound::Other(failure) => failure,
            Unsound::Part(error) => match forget_image(disk, dir) {
                Ok(()) => Failure::new(error)
                    .hint("the same command goes on: it makes the file anew, out of the journal"),
                Err(_) => error.into(),
            },
        }
    }

    /// Ends the work of who only reads.
    pub fn ends_reading(self) -> Failure {
        match self {
            Unsound::Other(failure) => failure,
            Unsound::Part(error) => Failure::from(error)
                .hint("the next run of the crawl makes the file anew, out of the journal"),
        }
    }
}

/// Removes the image, which names the parts: without it nobody reads them.
pub fn forget_image(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    remove_if_there(disk, &image::path_in(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_disk_cannot_read_is_done_without_and_a_shortage_is_not() {
        let failed = |errno: Errno| StoreError::Io {
            doing: "read",
            path: "seen-1".into(),
            source: errno.into(),
        };
        let is_part = |error| matches!(Unsound::part(error), Unsound::Part(_));
        assert!(is_part(failed(Errno::IO)));
        assert!(!is_part(failed(Errno::MFILE)));
        assert!(is_part(StoreError::damaged(Path::new("seen-1"), 0, "why")));
    }
}
