//! Looking for sound batches in a part of a journal where anything may lie: behind a bad batch,
//! or before the end. Bounded, since a journal that came from elsewhere may be made to take hours:
//! holes are skipped, and no more is read and hashed than any run of ours could leave.

use std::cell::Cell;
use std::path::Path;

use memchr::memmem;

use super::frame::{BATCH_MAGIC, BatchHeader, BatchSum, HEADER, MAX_BATCH_BYTES};
use crate::durable::{DiskFile, read_full};
use crate::error::StoreError;

/// The first look back from some place; each further one is four times as long …
const FIRST_LOOK_BYTES: u64 = 16 << 10;
/// … up to this, which is what a look ahead reads at a time.
const LOOK_BYTES: u64 = 1 << 20;

/// So much is looked through: what follows the last sound batch is a batch of which the end is
/// missing, and a few that were not synced yet.
const SEARCH_BYTES: u64 = 2 * MAX_BATCH_BYTES as u64;

/// A batch whose checksum is right.
pub(super) struct SoundBatch {
    pub at: u64,
    pub header: BatchHeader,
}

impl SoundBatch {
    pub fn end(&self) -> u64 {
        self.at + self.header.total()
    }
}

/// A search in one journal.
pub(super) struct Search<'f> {
    pub file: &'f dyn DiskFile,
    pub path: &'f Path,
    pub salt: [u8; 16],
    /// Where the first batch begins.
    start: u64,
    /// Nothing behind this counts.
    pub len: u64,
    /// Bytes that may still be looked through.
    read: Cell<u64>,
    /// Bytes that may still be hashed for what looks like a batch and is none.
    vain: Cell<u64>,
}

impl<'f> Search<'f> {
    pub fn new(
        file: &'f dyn DiskFile,
        path: &'f Path,
        salt: [u8; 16],
        start: u64,
        len: u64,
    ) -> Search<'f> {
        Search {
            file,
            path,
            salt,
            start,
            len,
            read: Cell::new(SEARCH_BYTES),
            vain: Cell::new(SEARCH_BYTES),
        }
    }

    /// Looks through all of the file, for somebody who wants what can be saved of it.
    pub fn thorough(self) -> Search<'f> {
        self.read.set(u64::MAX);
        self
    }

    /// The first sound batch that begins at a place or behind it, of those that `fits` takes.
    pub fn next(
        &self,
        from: u64,
        fits: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<SoundBatch>, StoreError> {
        let finder = memmem::Finder::new(&BATCH_MAGIC);
        let mut at = from;
        let mut block = vec![0; self.len.saturating_sub(from).min(LOOK_BYTES) as usize];
        while at < self.len {
            at = match self.next_data(at)? {
                Some(data) if data < self.len => data,
                _ => return Ok(None),
            };
            let want = (self.len - at).min(LOOK_BYTES) as usize;
            let got = self.read(&mut block[..want], at)?;
            for found in finder.find_iter(&block[..got]) {
                if let Some(batch) = self.sound_at(at + found as u64, &fits)? {
                    return Ok(Some(batch));
                }
            }
            // The next block repeats a little, for a magic that lies across the border.
            at += (got.max(BATCH_MAGIC.len()) - (BATCH_MAGIC.len() - 1)) as u64;
        }
        Ok(None)
    }

    /// The last sound batch that begins before a place.
    pub fn before(&self, place: u64) -> Result<Option<SoundBatch>, StoreError> {
        let (mut end, mut look) = (place, FIRST_LOOK_BYTES);
        let mut block = Vec::new();
        while end > self.start {
            let at = end.saturating_sub(look).max(self.start);
            let has_data = self.next_data(at)?.is_some_and(|data| data < end);
            if has_data {
                block.resize((end - at) as usize, 0);
                let got = self.read(&mut block, at)?;
                for found in memmem::rfind_iter(&block[..got], &BATCH_MAGIC) {
                    if let Some(batch) = self.sound_at(at + found as u64, &|_| true)? {
                        return Ok(Some(batch));
                    }
                }
            }
            if at == self.start {
                break;
            }
            // Overlap a little, for a magic that lies across the border.
            end = at + BATCH_MAGIC.len() as u64 - 1;
            look = (look * 4).min(LOOK_BYTES);
        }
        Ok(None)
    }

    /// The batch at a place, when its checksum is right.
    fn sound_at(
        &self,
        at: u64,
        fits: &impl Fn(&BatchHeader) -> bool,
    ) -> Result<Option<SoundBatch>, StoreError> {
        let mut bytes = [0; HEADER];
        let got = self.full(&mut bytes, at)?;
        let Some(header) = BatchHeader::decode(&bytes[..got]) else {
            return Ok(None);
        };
        let is_within = at <= self.len && header.total() <= self.len - at;
        if !is_within || header.total() > MAX_BATCH_BYTES as u64 || !fits(&header) {
            return Ok(None);
        }
        let mut sum = BatchSum::new(&self.salt, &bytes);
        let (mut next, end) = (at + HEADER as u64, at + header.total());
        let mut block = vec![0; (end - next).min(LOOK_BYTES) as usize];
        while next < end {
            let want = (end - next).min(LOOK_BYTES) as usize;
            let got = self.full(&mut block[..want], next)?;
            if got < want {
                return Ok(None);
            }
            sum.update(&block[..want]);
            next += want as u64;
        }
        if sum.finish() == header.sum {
            // What was looked through up to here is no search any more.
            self.read.set(self.read.get().max(SEARCH_BYTES));
            return Ok(Some(SoundBatch { at, header }));
        }
        self.spend(&self.vain, header.total(), at)?;
        Ok(None)
    }

    fn read(&self, block: &mut [u8], at: u64) -> Result<usize, StoreError> {
        self.spend(&self.read, block.len() as u64, at)?;
        self.full(block, at)
    }

    fn spend(&self, budget: &Cell<u64>, bytes: u64, at: u64) -> Result<(), StoreError> {
        let why = "more is here that is no batch than any run leaves";
        let left = budget.get().checked_sub(bytes);
        budget.set(left.ok_or_else(|| StoreError::damaged(self.path, at, why))?);
        Ok(())
    }

    fn full(&self, block: &mut [u8], at: u64) -> Result<usize, StoreError> {
        read_full(self.file, block, at).map_err(StoreError::io("read", self.path))
    }

    fn next_data(&self, at: u64) -> Result<Option<u64>, StoreError> {
        let next = self.file.next_data(at);
        next.map_err(StoreError::io("read", self.path))
    }
}
