//! Writing batches to the journal.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::OpenJournal;
use super::frame::{FileHeader, HEADER, MAX_BATCH_BYTES};
use super::{Batch, ClosedBatch, Commit, JournalFile, Mark, Reader};
use crate::durable::{Disk, DiskFile, Trust, parent, shifted};
use crate::error::StoreError;

/// The one writer of a journal. After a failed write or sync, or a failed change of its job,
/// it refuses all further work, and so does the job.
#[derive(Debug)]
pub struct Writer {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) salt: [u8; 16],
    pub(super) end: Mark,
    /// So much of the file is durable.
    durable_bytes: u64,
    unsynced: u32,
    trust: Trust,
    /// The lock of the job directory.
    _claim: Option<Arc<File>>,
}

/// Creates a journal without a batch, durable but for its name, whose header says that its first request gets the
/// id `first_id`. What `journal` says of an end it has is of no interest.
pub(crate) fn create(journal: &JournalFile<'_>, first_id: u64) -> Result<Writer, StoreError> {
    let path = &journal.path;
    let header = FileHeader {
        generation: journal.generation,
        first_id,
        key: journal.key,
    };
    let (bytes, start) = header.encode();
    let file = journal.disk.create(path);
    let file = file.map_err(StoreError::io("create", path))?;
    file.write_at(&bytes, 0)
        .map_err(StoreError::io("write", path))?;
    file.sync().map_err(StoreError::io("sync", path))?;
    let opened = OpenJournal {
        file: shifted(file, journal.shift()),
        start: journal.begin.unwrap_or(start),
        salt: start.sum,
    };
    // A failure of this new journal is one of the job only once the manifest names it.
    let end = opened.start;
    Ok(Writer::over(opened, path, end, Trust::default(), None))
}

impl Writer {
    /// Opens a journal to go on at `end`: what is behind it is cut off, what is before it durable
    /// when this returns; `is_durable` says that it is so already.
    pub(crate) fn open(
        journal: &JournalFile<'_>,
        end: &Mark,
        is_durable: bool,
        trust: Trust,
        claim: Option<Arc<File>>,
    ) -> Result<Writer, StoreError> {
        let path = &journal.path;
        let io = |doing| StoreError::io(doing, path);
        let opened = journal.open()?;
        let file = &opened.file;
        let len = file.len().map_err(io("read"))?;
        if len < end.bytes {
            let why = format!("the journal ends here and should have {} bytes", end.bytes);
            return Err(StoreError::damaged(path, len, why));
        }
        if len > end.bytes {
            file.set_len(end.bytes).map_err(io("cut"))?;
        }
        if !is_durable || len > end.bytes {
            file.sync().map_err(io("sync"))?;
        }
        Ok(Writer::over(opened, path, *end, trust, claim))
    }

    fn over(
        opened: OpenJournal,
        path: &Path,
        end: Mark,
        trust: Trust,
        claim: Option<Arc<File>>,
    ) -> Writer {
        Writer {
            file: opened.file.into(),
            path: path.to_owned(),
            salt: opened.salt,
            end,
            durable_bytes: end.bytes,
            unsynced: 0,
            trust,
            _claim: claim,
        }
    }

    /// Writes a batch and syncs it. It is durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk, every call after a failed one, and a batch that is not the next one.
    pub fn append(&mut self, batch: &ClosedBatch) -> Result<Mark, StoreError> {
        self.append_unsynced(batch)?;
        self.sync()?;
        Ok(self.end)
    }

    /// Writes a batch that a later [`Writer::sync`] makes durable. For bulk loads, where several
    /// batches share one sync. The mark stands for something only after that sync.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn append_unsynced(&mut self, batch: &ClosedBatch) -> Result<Mark, StoreError> {
        self.check_next(batch)?;
        let (header, end) = batch.header(&self.end, self.unsynced, &self.salt);
        let payload_at = batch.start() + HEADER as u64;
        let written = (self.file.write_at(&header, batch.start()))
            .and_then(|()| self.file.write_at(batch.payload(), payload_at));
        self.checked("write", written)?;
        self.end = end;
        self.unsynced += 1;
        Ok(end)
    }

    /// Writes what a batch has, with its commit, and leaves an empty one that goes on behind it. For a journal
    /// that is rewritten: only so many batches share a sync, and the last ones wait for a later [`Writer::sync`].
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn put(
        &mut self,
        batch: &mut Batch,
        commit: &Commit,
        sync_every: u64,
    ) -> Result<(), StoreError> {
        let empty = Batch::new(&self.end);
        let closed = std::mem::replace(batch, empty).close(commit);
        let end = self.append_unsynced(&closed)?;
        if end.seq % sync_every == 0 {
            self.sync()?;
        }
        *batch = Batch::with_buffer(&end, closed.into_buffer());
        Ok(())
    }

    /// Makes all that was written durable.
    ///
    /// # Errors
    /// Errors of the disk, and every call after a failed one.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        if self.unsynced > 0 {
            let synced = self.file.sync();
            self.checked("sync", synced)?;
            self.durable_bytes = self.end.bytes;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// The end of the journal, unsynced batches included.
    pub fn end(&self) -> Mark {
        self.end
    }

    /// Reads single requests back, on any thread.
    pub fn reader(&self) -> Reader {
        Reader::over(self.file.clone(), &self.path)
    }

    /// Makes the file's name durable.
    pub(crate) fn sync_name(&self, disk: &dyn Disk) -> Result<(), StoreError> {
        let dir = parent(&self.path);
        disk.sync_dir(dir).map_err(StoreError::io("sync", dir))
    }

    /// From now on a failure here is one of the job as well, and the other way round.
    pub(crate) fn share(&mut self, trust: &Trust, claim: Option<Arc<File>>) {
        self.trust = trust.clone();
        self._claim = claim;
    }

    /// Passes a result on. After a failure what was not acknowledged is taken back as far as that goes:
    /// what never reached the disk could still be read, and the next run would build on it.
    pub(super) fn checked(
        &self,
        doing: &'static str,
        result: io::Result<()>,
    ) -> Result<(), StoreError> {
        self.trust.after(result).map_err(|error| {
            // The failure that is passed on is the one that matters.
            let _ = self.file.set_len(self.durable_bytes);
            StoreError::io(doing, &self.path)(error)
        })
    }

    pub(super) fn check_usable(&self) -> Result<(), StoreError> {
        if self.trust.is_lost() {
            Err(StoreError::Refused {
                path: self.path.clone(),
            })
        } else {
            Ok(())
        }
    }

    pub(super) fn check_next(&self, batch: &ClosedBatch) -> Result<(), StoreError> {
        self.check_usable()?;
        let misfit = |why: String| StoreError::Misfit {
            path: self.path.clone(),
            why,
        };
        let is_next = batch.start() == self.end.bytes
            && batch.seq() == self.end.seq + 1
            && batch.first_id() == self.end.next_id;
        if !is_next {
            return Err(misfit(format!(
                "batch {} does not follow {}",
                batch.seq(),
                self.end.seq
            )));
        }
        if batch.len() > MAX_BATCH_BYTES {
            return Err(misfit(format!(
                "a batch of {} bytes is too large",
                batch.len()
            )));
        }
        Ok(())
    }
}
