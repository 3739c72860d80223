//! The last commit of a journal, found from its end.

use super::entry::Entry;
use super::file::OpenJournal;
use super::frame::HEADER;
use super::search::{Search, SoundBatch};
use super::{Commit, JournalFile};
use crate::codec::Cursor;
use crate::durable::read_full;
use crate::error::StoreError;

/// The last commit, without reading what is before it.
pub(crate) fn last_commit(journal: &JournalFile<'_>) -> Result<Option<Commit>, StoreError> {
    let path = &journal.path;
    let OpenJournal { file, start, salt } = journal.open_read()?;
    let len = file.len().map_err(StoreError::io("read", path))?;
    let end = || {
        let why = "the journal does not end where it was sealed";
        StoreError::damaged(path, len, why)
    };
    let sealed = journal.sealed;
    if sealed.is_some_and(|seal| seal.bytes != len) {
        return Err(end());
    }
    let back = Back(Search::new(&*file, path, salt, start.bytes, len));
    let last = match sealed {
        // The seal vouches for all that is before it.
        Some(_) => back.0.before(len)?,
        None => back.last()?,
    };
    if let Some(seal) = sealed {
        let sum = last.as_ref().map_or(start.sum, |batch| batch.header.sum);
        let sound_end = last.as_ref().map_or(start.bytes, SoundBatch::end);
        if (sum, sound_end) != (seal.sum, seal.bytes) {
            return Err(end());
        }
    }
    last.map(|batch| back.commit_of(&batch)).transpose()
}

/// Looks at a journal from its end.
struct Back<'f>(Search<'f>);

impl Back<'_> {
    /// The last batch that a replay would reach.
    fn last(&self) -> Result<Option<SoundBatch>, StoreError> {
        let mut candidate = self.0.before(self.0.len)?;
        // Batches that shared a sync may have holes between them after a power cut.
        while let Some(batch) = candidate {
            match self.hole_before(&batch)? {
                None => return Ok(Some(batch)),
                Some(hole) => candidate = self.0.before(hole)?,
            }
        }
        Ok(None)
    }

    /// Where one of the batches directly before this one is not what it should be, of those that may
    /// never have been durable.
    fn hole_before(&self, batch: &SoundBatch) -> Result<Option<u64>, StoreError> {
        let (mut at, mut prev) = (batch.at, batch.header.prev);
        for _ in 0..batch.header.unsynced {
            match self.0.before(at)? {
                Some(before) if before.end() == at && before.header.sum == prev => {
                    (at, prev) = (before.at, before.header.prev);
                }
                _ => return Ok(Some(at)),
            }
        }
        Ok(None)
    }

    fn commit_of(&self, batch: &SoundBatch) -> Result<Commit, StoreError> {
        let mut payload = vec![0; batch.header.payload_len as usize];
        let at = batch.at + HEADER as u64;
        let Search { file, path, .. } = self.0;
        let got = read_full(file, &mut payload, at).map_err(StoreError::io("read", path))?;
        commit_in(&payload[..got])
            .ok_or_else(|| StoreError::damaged(path, at, "a batch has no commit"))
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
