//! The journal in force, as its job hands it out.

use std::path::PathBuf;

use super::frame::{FileHeader, HEADER, Mark};
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;

/// Where the journal of a job lies, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct JournalFile<'d> {
    pub disk: &'d dyn Disk,
    pub path: PathBuf,
    pub generation: u64,
    pub key: [u8; 16],
    /// Where it ends, when that is known.
    pub sealed: Option<Mark>,
}

impl JournalFile<'_> {
    /// Opens it for reading. Gives the end that it had before its first batch.
    pub(super) fn open_read(&self) -> Result<(Box<dyn DiskFile>, Mark), StoreError> {
        let file = self.disk.open_read(&self.path);
        let file = file.map_err(StoreError::opening(&self.path))?;
        let start = self.start(&*file)?;
        Ok((file, start))
    }

    /// Opens the journal for writing, and checks its header too.
    pub(super) fn open(&self) -> Result<(Box<dyn DiskFile>, Mark), StoreError> {
        let file = self.disk.open(&self.path);
        let file = file.map_err(StoreError::opening(&self.path))?;
        let start = self.start(&*file)?;
        Ok((file, start))
    }

    /// Reads the file header and holds it against the manifest.
    fn start(&self, file: &dyn DiskFile) -> Result<Mark, StoreError> {
        let path = &self.path;
        let mut bytes = [0; HEADER];
        let len = read_full(file, &mut bytes, 0).map_err(StoreError::io("read", path))?;
        let (header, start) = FileHeader::decode(&bytes[..len], path)?;
        if header.key != self.key {
            let why = "this is the journal of another job";
            return Err(StoreError::damaged(path, 32, why));
        }
        if header.generation != self.generation {
            let why = "this is another generation's journal";
            return Err(StoreError::damaged(path, 16, why));
        }
        Ok(start)
    }
}
