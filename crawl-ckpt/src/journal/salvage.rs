//! Reading what is sound in a journal that is damaged.

use std::path::Path;

use super::frame::{BatchHeader, FileHeader, HEADER, Mark};
use super::replay::tell;
use super::scan::Sound;
use super::search::{Search, SoundBatch};
use super::{Commit, Entry};
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;

/// What a salvage came to.
#[derive(Debug, Default)]
pub struct Salvaged {
    /// Batches told.
    pub batches: u64,
    /// The last commit among them.
    pub commit: Option<Commit>,
    /// Batches before the end that is known.
    pub seq: u64,
    /// The id that the next request would get.
    pub next_id: u64,
    /// Where the last of them ends.
    pub end: u64,
    /// The checksum of the last one.
    pub sum: [u8; 16],
    /// The end that the journal before the first one had, which is this one's own beginning when nothing was
    /// before: number 0. `None` when nothing is sound.
    pub begin: Option<Mark>,
    /// What lies between the sound batches and behind the last.
    pub gaps: Vec<Gap>,
}

/// A stretch of a journal in which nothing is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// In `journal-<generation>`.
    pub generation: u64,
    /// Where it begins.
    pub at: u64,
    /// How long it is.
    pub bytes: u64,
    /// Batches that lay there; 0 when unknown.
    pub batches: u64,
    /// Requests that were taken on in them; 0 when unknown.
    pub requests: u64,
}

/// The key of the journal at a path, as its own header tells it; `None` when that is damaged.
pub(crate) fn key_of(disk: &dyn Disk, path: &Path) -> Option<[u8; 16]> {
    let file = disk.open_read(path).ok()?;
    let mut bytes = [0; HEADER];
    let len = read_full(&*file, &mut bytes, 0).ok()?;
    let (header, _) = FileHeader::decode(&bytes[..len], path).ok()?;
    Some(header.key)
}

/// Tells the entries of every batch whose own checksum is right, whatever is between them. Ids are those that
/// they always had; places are those in the file. `begin` is the end of the journal before.
///
/// # Errors
/// Errors of the disk; a file header that is damaged and cannot be told from the manifest.
pub(crate) fn salvage(
    disk: &dyn Disk,
    path: &Path,
    key: [u8; 16],
    generation: u64,
    begin: Option<&Mark>,
    mut each: impl FnMut(Entry<'_>),
) -> Result<Salvaged, StoreError> {
    let file = disk.open_read(path).map_err(StoreError::opening(path))?;
    let len = file.len().map_err(StoreError::io("read", path))?;
    let (header, salt) = header_of(&*file, path, key, generation)?;
    let mut found = Salvaged {
        next_id: header.first_id,
        seq: begin.map_or(0, |begin| begin.seq),
        end: HEADER as u64,
        ..Salvaged::default()
    };
    let mut at = HEADER as u64;
    let search = Search::new(&*file, path, salt, HEADER as u64, len).thorough();
    while let Some(sound) = search.next(at, |_| true)? {
        let end = sound.end();
        let SoundBatch {
            at: start,
            header: batch,
        } = sound;
        if batch.seq <= found.seq {
            // An old one that a later one overwrote in part.
            at = end;
            continue;
        }
        if start > at || batch.seq > found.seq + 1 {
            found.gaps.push(Gap {
                generation,
                at,
                bytes: start - at,
                batches: batch.seq - found.seq - 1,
                requests: batch.first_id.saturating_sub(found.next_id),
            });
        }
        let mut payload = vec![0; batch.payload_len as usize];
        let payload_at = start + HEADER as u64;
        read_full(&*file, &mut payload, payload_at).map_err(StoreError::io("read", path))?;
        let sound = Sound {
            entries: batch.entries,
            payload_at,
            payload: &payload,
        };
        let mut next_id = batch.first_id;
        let told = tell(&sound, &mut next_id, &mut |entry| {
            each(entry);
            Ok(())
        });
        if let Some(commit) = told.ok().and_then(|(_, text)| text.parse().ok()) {
            found.commit = Some(commit);
        }
        found.begin.get_or_insert(Mark {
            bytes: HEADER as u64,
            seq: batch.seq - 1,
            next_id: batch.first_id,
            sum: batch.prev,
        });
        (found.seq, found.next_id, found.sum) = (batch.seq, next_id, batch.sum);
        found.batches += 1;
        found.end = end;
        at = end;
    }
    if found.end < len {
        found.gaps.push(Gap {
            generation,
            at: found.end,
            bytes: len - found.end,
            batches: 0,
            requests: 0,
        });
    }
    Ok(found)
}

/// The file header and the salt. A damaged one can be put together again: all in it is known, and
/// the first batch proves it.
fn header_of(
    file: &dyn DiskFile,
    path: &Path,
    key: [u8; 16],
    generation: u64,
) -> Result<(FileHeader, [u8; 16]), StoreError> {
    let mut bytes = [0; 2 * HEADER];
    let got = read_full(file, &mut bytes, 0).map_err(StoreError::io("read", path))?;
    let error = match FileHeader::decode(&bytes[..got.min(HEADER)], path) {
        Ok((header, start)) if header.key == key => return Ok((header, start.sum)),
        Ok(_) => StoreError::damaged(path, 32, "this is the journal of another job"),
        Err(error) => error,
    };
    let len = file.len().map_err(StoreError::io("read", path))?;
    let first_id = BatchHeader::decode(&bytes[HEADER..got.max(HEADER)]).map_or(0, |b| b.first_id);
    let header = FileHeader {
        generation,
        first_id,
        key,
    };
    let salt = header.encode().1.sum;
    let search = Search::new(file, path, salt, HEADER as u64, len).thorough();
    match search.next(HEADER as u64, |_| true)? {
        Some(_) => Ok((header, salt)),
        None => Err(error),
    }
}
