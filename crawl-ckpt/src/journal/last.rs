//! The last commit of a journal, found from its end.

use std::path::Path;

use memchr::memmem;

use super::entry::Entry;
use super::frame::{BATCH_MAGIC, BatchHeader, HEADER};
use super::scan::sound_batch_at;
use super::write::read_header;
use super::{Commit, JournalError};
use crate::codec::Cursor;
use crate::durable::{DiskFile, read_full};
use crate::job::Job;

/// The first look back from some place; each further one is four times as long.
const FIRST_LOOK_BYTES: u64 = 16 << 10;

/// The last commit, without reading what is before it: for a quick look from outside. Works beside a
/// running writer; says nothing about the rest of the journal. `None` when there is no batch yet.
///
/// # Errors
/// Those of the disk; a journal whose header is not the job's, or whose end is not the sealed one.
pub fn last_commit(job: &Job) -> Result<Option<Commit>, JournalError> {
    let path = job.journal_path();
    let file = job
        .disk()
        .open_read(&path)
        .map_err(JournalError::opening(&path))?;
    let back = Back {
        file: &*file,
        path: &path,
        salt: read_header(&*file, &path, job)?.sum,
        len: file.len().map_err(JournalError::io("read", &path))?,
    };
    let last = back.last()?;
    if let Some(seal) = job.manifest().sealed {
        let sum = last.as_ref().map_or(back.salt, |batch| batch.header.sum);
        let end = last.as_ref().map_or(HEADER as u64, Found::end);
        if (sum, end, back.len) != (seal.sum, seal.bytes, seal.bytes) {
            let why = "the journal does not end where it was sealed";
            return Err(JournalError::damaged(&path, back.len, why));
        }
    }
    last.map(|batch| back.commit_of(&batch)).transpose()
}

/// A batch whose checksum is right.
struct Found {
    at: u64,
    header: BatchHeader,
}

impl Found {
    fn end(&self) -> u64 {
        self.at + self.header.total()
    }
}

/// Looks at a journal from its end.
struct Back<'f> {
    file: &'f dyn DiskFile,
    path: &'f Path,
    salt: [u8; 16],
    len: u64,
}

impl Back<'_> {
    /// The last batch that a replay would reach.
    fn last(&self) -> Result<Option<Found>, JournalError> {
        let mut candidate = self.sound_before(self.len)?;
        // Batches that shared a sync may have holes between them after a power cut.
        while let Some(batch) = candidate {
            match self.hole_before(&batch)? {
                None => return Ok(Some(batch)),
                Some(hole) => candidate = self.sound_before(hole)?,
            }
        }
        Ok(None)
    }

    /// Where one of the batches directly before this one is not what it should be, of those that may
    /// never have been durable.
    fn hole_before(&self, batch: &Found) -> Result<Option<u64>, JournalError> {
        let (mut at, mut prev) = (batch.at, batch.header.prev);
        for _ in 0..batch.header.unsynced {
            match self.sound_before(at)? {
                Some(before) if before.end() == at && before.header.sum == prev => {
                    (at, prev) = (before.at, before.header.prev);
                }
                _ => return Ok(Some(at)),
            }
        }
        Ok(None)
    }

    /// The last sound batch that begins before a place.
    fn sound_before(&self, place: u64) -> Result<Option<Found>, JournalError> {
        let (mut end, mut look) = (place, FIRST_LOOK_BYTES);
        while end > HEADER as u64 {
            let at = end.saturating_sub(look).max(HEADER as u64);
            let mut block = vec![0; (end - at) as usize];
            let got = read_full(self.file, &mut block, at).map_err(self.io())?;
            let mut candidates: Vec<usize> =
                memmem::find_iter(&block[..got], &BATCH_MAGIC).collect();
            while let Some(candidate) = candidates.pop() {
                let at = at + candidate as u64;
                let sound = sound_batch_at(self.file, self.path, &self.salt, at, self.len)?;
                if let Some(header) = sound {
                    return Ok(Some(Found { at, header }));
                }
            }
            if at == HEADER as u64 {
                break;
            }
            // Overlap a little, for a magic that lies across the border.
            end = at + BATCH_MAGIC.len() as u64 - 1;
            look *= 4;
        }
        Ok(None)
    }

    fn commit_of(&self, batch: &Found) -> Result<Commit, JournalError> {
        let mut payload = vec![0; batch.header.payload_len as usize];
        let at = batch.at + HEADER as u64;
        let got = read_full(self.file, &mut payload, at).map_err(self.io())?;
        commit_in(&payload[..got])
            .ok_or_else(|| JournalError::damaged(self.path, at, "a batch has no commit"))
    }

    fn io(&self) -> impl FnOnce(std::io::Error) -> JournalError {
        JournalError::io("read", self.path)
    }
}

fn commit_in(payload: &[u8]) -> Option<Commit> {
    let mut cursor = Cursor::new(payload);
    let mut next_id = 0;
    while !cursor.is_at_end() {
        if let Entry::Commit(commit) = cursor.entry(0, &mut next_id).ok()? {
            return commit.parse().ok();
        }
    }
    None
}
