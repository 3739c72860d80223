//! The last commit of a journal, found from its end.

use memchr::memmem;

use super::entry::{Cursor, Entry};
use super::frame::{BATCH_MAGIC, HEADER};
use super::scan::sound_batch_at;
use super::write::read_header;
use super::{Commit, JournalError};
use crate::durable::read_full;
use crate::job::Job;

/// The first look at the end of the file; each further one is four times as long.
const FIRST_LOOK_BYTES: u64 = 256 << 10;

/// The last commit, without reading what is before it: for a quick look from outside. Works beside a
/// running writer; says nothing about the rest of the journal. `None` when there is no batch yet.
///
/// # Errors
/// Those of the disk; a journal whose header is not the job's, or whose end is not the sealed one.
pub fn last_commit(job: &Job) -> Result<Option<Commit>, JournalError> {
    let path = job.journal_path();
    let io = || JournalError::io("read", &path);
    let file = job
        .disk()
        .open_read(&path)
        .map_err(JournalError::opening(&path))?;
    let salt = read_header(&*file, &path, job)?.sum;
    let len = file.len().map_err(io())?;
    let seal = job.manifest().sealed;
    let unsealed =
        || JournalError::damaged(&path, len, "the journal does not end where it was sealed");
    if seal.is_some_and(|seal| seal.bytes != len) {
        return Err(unsealed());
    }
    let (mut end, mut look) = (len, FIRST_LOOK_BYTES);
    while end > HEADER as u64 {
        let at = end.saturating_sub(look).max(HEADER as u64);
        let mut block = vec![0; (end - at) as usize];
        let got = read_full(&*file, &mut block, at).map_err(io())?;
        let mut candidates: Vec<usize> = memmem::find_iter(&block[..got], &BATCH_MAGIC).collect();
        while let Some(candidate) = candidates.pop() {
            let start = at + candidate as u64;
            if let Some(header) = sound_batch_at(&*file, &path, &salt, start, len)? {
                if seal.is_some_and(|seal| seal.sum != header.sum) {
                    return Err(unsealed());
                }
                let mut payload = vec![0; header.payload_len as usize];
                let payload_at = start + HEADER as u64;
                let got = read_full(&*file, &mut payload, payload_at).map_err(io())?;
                return commit_in(&payload[..got]).map(Some).ok_or_else(|| {
                    JournalError::damaged(&path, payload_at, "a batch has no commit")
                });
            }
        }
        if at == HEADER as u64 {
            break;
        }
        // Overlap a little, for a magic that lies across the border.
        end = at + BATCH_MAGIC.len() as u64 - 1;
        look *= 4;
    }
    match seal {
        Some(seal) if seal.seq > 0 => Err(unsealed()),
        _ => Ok(None),
    }
}

fn commit_in(payload: &[u8]) -> Option<Commit> {
    let mut cursor = Cursor::new(payload);
    let mut next_id = 0;
    while !cursor.is_at_end() {
        if let Entry::Commit(commit) = cursor.entry(0, &mut next_id).ok()? {
            return Some(commit);
        }
    }
    None
}
