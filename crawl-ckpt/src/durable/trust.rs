//! Whether what the disk holds is still known.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lost with the first failed write or sync, and never regained: nobody knows what the disk
/// holds then, and a later success would hide it. Shared by all that work on one job.
#[derive(Debug, Clone, Default)]
pub struct Trust(Arc<AtomicBool>);

impl Trust {
    /// Passes a result on; an error loses the trust.
    ///
    /// # Errors
    /// The one that was given.
    pub fn after<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if result.is_err() {
            self.lose();
        }
        result
    }

    /// Loses it.
    pub fn lose(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True when it is lost.
    pub fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The error of everything that is attempted after that.
    pub fn refusal() -> io::Error {
        io::Error::other("refused after an earlier failure")
    }
}
