//! Memory that bodies are read into, one after the other, within a limit and a share.

use std::io::{self, Read};

use crate::failure::Failure;
use crate::memory::Share;

/// What a buffer grows by at least.
const STEP_BYTES: usize = 64 << 10;

/// A buffer above this is given back to the system as soon as it is not needed.
pub const KEEP_BYTES: usize = 4 << 20;

/// Why a buffer was not filled.
#[derive(Debug)]
pub enum Trouble {
    /// What is read is broken.
    Broken(io::Error),
    /// There is no memory for it.
    Short(Failure),
}

/// Bytes in a vector whose memory is set up once.
#[derive(Debug, Default)]
pub struct Buffer {
    /// More than what is filled of it.
    pub bytes: Vec<u8>,
    /// So many of them came.
    pub filled: usize,
    /// So many bytes are said to come, and one.
    pub told: usize,
}

impl Buffer {
    /// Empties it.
    pub fn reset(&mut self) {
        (self.filled, self.told) = (0, 0);
        if self.bytes.len() > KEEP_BYTES {
            *self = Buffer::default();
        }
    }

    /// What came.
    pub fn get(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Fills it up to the limit. Returns false when there is more.
    pub fn fill(
        &mut self,
        mut reader: impl Read,
        limit: usize,
        share: &mut Share,
    ) -> Result<bool, Trouble> {
        loop {
            if self.filled == self.bytes.len() {
                let grown = match self.filled {
                    0 => STEP_BYTES,
                    filled => self.told.max(2 * filled),
                };
                // One byte over the limit tells that there is more.
                let grown = grown.min(limit.saturating_add(1)).max(self.filled);
                share.take(grown - self.filled).map_err(Trouble::Short)?;
                self.bytes.resize(grown, 0);
            }
            match reader.read(&mut self.bytes[self.filled..]) {
                Ok(0) => return Ok(true),
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Trouble::Broken(e)),
            }
            if self.filled > limit {
                self.filled = limit;
                return Ok(false);
            }
        }
    }
}
