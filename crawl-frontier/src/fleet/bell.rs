//! Wakes the thread that waits for results.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// One end; the other is waited on.
#[derive(Debug, Clone)]
pub struct Bell(Arc<UnixStream>);

impl Bell {
    /// A bell, and what it rings at.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn new() -> io::Result<(Bell, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        Ok((Bell(Arc::new(ours)), theirs))
    }

    /// Wakes it.
    pub fn ring(&self) {
        // One that is full has rung; nobody listens any more when the crawl is over.
        let _ = (&*self.0).write(&[1]);
    }
}
