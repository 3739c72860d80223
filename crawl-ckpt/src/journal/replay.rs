//! Telling a journal again, from its start or from a later end.

use super::file::OpenJournal;
use super::scan::{Scan, Sound};
use super::{Commit, CommitText, Entry, JournalFile, Mark};
use crate::codec::{Bad, Cursor};
use crate::error::StoreError;

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The end of the last sound batch: where a writer goes on.
    pub mark: Mark,
    /// The last commit; `None` when no batch was told.
    pub commit: Option<Commit>,
    /// Bytes behind it that are no sound batch: the torn tail of a run that was killed.
    pub torn_bytes: u64,
    /// Batches told.
    pub batches: u64,
}

/// Tells every entry in the order in which they were written, from the start or from a mark.
pub(crate) fn replay(
    journal: &JournalFile<'_>,
    from: Option<&Mark>,
    mut each: impl FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<Replayed, StoreError> {
    let path = &journal.path;
    let OpenJournal { file, start, salt } = journal.open_read()?;
    let from = from.copied().unwrap_or(start);
    let mut scan = Scan::new(&*file, path, salt, from, journal.sealed)?;
    let mut next_id = from.next_id;
    let mut last: Option<(u64, String)> = None;
    while let Some(batch) = scan.next(next_id)? {
        let (at, commit) = tell(&batch, &mut next_id, &mut each)
            .map_err(|(at, why)| StoreError::damaged(path, at, why))?;
        let (last_at, text) = last.get_or_insert_default();
        *last_at = at;
        text.clear();
        text.push_str(commit.0);
    }
    let commit = match &last {
        Some((at, text)) => {
            let commit = CommitText(text).parse();
            Some(commit.map_err(|why| StoreError::damaged(path, *at, why))?)
        }
        None => None,
    };
    Ok(Replayed {
        mark: scan.end(),
        commit,
        torn_bytes: scan.torn_bytes(),
        batches: scan.end().seq - from.seq,
    })
}

/// Tells the entries of one batch; returns its commit and where that lies.
pub(super) fn tell<'a>(
    batch: &Sound<'a>,
    next_id: &mut u64,
    each: &mut impl FnMut(Entry<'_>) -> Result<(), String>,
) -> Result<(u64, CommitText<'a>), (u64, String)> {
    let mut cursor = Cursor::new(batch.payload);
    let mut entries = 0;
    loop {
        let at = batch.payload_at + cursor.at() as u64;
        let entry = cursor
            .entry(batch.payload_at, next_id)
            .map_err(|bad| match bad {
                Bad::Short(_) => (at, "an entry is cut short".to_owned()),
                Bad::Wrong(why) => (at, why.to_owned()),
            })?;
        entries += 1;
        let commit = match &entry {
            Entry::Commit(commit) => Some(*commit),
            _ => None,
        };
        each(entry).map_err(|why| (at, why))?;
        if let Some(commit) = commit {
            return if cursor.is_at_end() && entries == batch.entries {
                Ok((at, commit))
            } else {
                Err((at, "a commit does not end its batch".to_owned()))
            };
        }
    }
}
