//! A journal of a job, as its job hands it out.

use std::path::PathBuf;

use super::frame::{FileHeader, HEADER, LIVING, Mark};
use crate::durable::{Disk, DiskFile, read_full, shifted};
use crate::error::StoreError;

/// Where a journal of a job lies, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct JournalFile<'d> {
    pub disk: &'d dyn Disk,
    pub path: PathBuf,
    pub generation: u64,
    pub key: [u8; 16],
    /// The end of the journal before it, which it goes on from.
    pub begin: Option<Mark>,
    /// Where it ends, when that is known.
    pub sealed: Option<Mark>,
}

/// A journal whose header was checked.
pub(super) struct OpenJournal {
    /// Places in it are those of all journals as one.
    pub file: Box<dyn DiskFile>,
    /// The end that it had before its first batch.
    pub start: Mark,
    pub salt: [u8; 16],
}

impl JournalFile<'_> {
    /// Opens it for reading.
    pub(super) fn open_read(&self) -> Result<OpenJournal, StoreError> {
        let file = self.disk.open_read(&self.path);
        self.check(file.map_err(StoreError::opening(&self.path))?)
    }

    /// Opens the journal for writing, and checks its header too.
    pub(super) fn open(&self) -> Result<OpenJournal, StoreError> {
        let file = self.disk.open(&self.path);
        self.check(file.map_err(StoreError::opening(&self.path))?)
    }

    /// By how much places are larger than in the file alone.
    pub fn shift(&self) -> u64 {
        self.begin.map_or(0, |begin| begin.bytes - HEADER as u64)
    }

    /// Reads the file header and holds it against the manifest.
    fn check(&self, file: Box<dyn DiskFile>) -> Result<OpenJournal, StoreError> {
        let path = &self.path;
        let mut bytes = [0; HEADER];
        let len = read_full(&*file, &mut bytes, 0).map_err(StoreError::io("read", path))?;
        let (header, start) = FileHeader::decode(&bytes[..len], path)?;
        if header.key != self.key {
            let why = "this is the journal of another job";
            return Err(StoreError::damaged(path, 32, why));
        }
        // In a copy of what a store has, all have the header of the first, but what it was rewritten to.
        let is_copied = self.begin.is_some() && header.generation == LIVING;
        if header.generation != self.generation && !is_copied {
            let why = "this is another generation's journal";
            return Err(StoreError::damaged(path, 16, why));
        }
        Ok(OpenJournal {
            file: shifted(file, self.shift()),
            start: self.begin.unwrap_or(start),
            salt: start.sum,
        })
    }
}
