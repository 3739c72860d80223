//! Reading a part.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::filter::Filter;
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;
use crate::parts::{BLOCK, EACH, HEADER, PartHeader, SEEN, SUM, is_sound};

/// So many blocks are read at once by who reads them all.
const AHEAD: u64 = 64;
const READ_BYTES: usize = 1 << 20;

/// A part: its fingerprints on the disk, and in memory where they lie.
#[derive(Debug)]
pub struct SeenPart {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    header: PartHeader,
    salt: [u8; 16],
    fences: Vec<u64>,
    filter: Filter,
    sum: [u8; SUM],
    /// A bit for each block whose checksum was found right: to look at it takes longer than to read the block.
    sound: Vec<AtomicU64>,
}

impl SeenPart {
    pub(super) fn over(
        file: Box<dyn DiskFile>,
        path: &Path,
        header: PartHeader,
        fences: Vec<u64>,
        filter: Filter,
        sum: [u8; SUM],
    ) -> SeenPart {
        SeenPart {
            file,
            path: path.to_owned(),
            salt: header.salt(),
            sound: (0..header.blocks().div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            header,
            fences,
            filter,
            sum,
        }
    }

    /// Opens the part of a job directory with this number, and reads its index.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        key: [u8; 16],
    ) -> Result<SeenPart, StoreError> {
        let path = SEEN.path(dir, number);
        let file = disk.open_read(&path).map_err(StoreError::opening(&path))?;
        let damaged = |at, why: &str| StoreError::damaged(&path, at, why);
        let len = file.len().map_err(StoreError::io("read", &path))?;
        let header = PartHeader::read(&*file, &path, SEEN, number, key)?;
        // A count that is wrong has no right checksum; this is for one that was made to harm.
        let blocks_end = header.blocks().saturating_mul(BLOCK as u64) + HEADER as u64;
        let fence_bytes = header.blocks().saturating_mul(8);
        if header.count > 1 << 40 || len < blocks_end {
            return Err(damaged(len, "it is cut short"));
        }
        let index_bytes = fence_bytes + Filter::bytes(header.count) as u64;
        if len != blocks_end + index_bytes + SUM as u64 {
            return Err(damaged(len, "it has not the length that it should have"));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header.salt());
        let mut words = Vec::with_capacity((index_bytes / 8) as usize);
        let mut piece = vec![0; READ_BYTES];
        let mut at = blocks_end;
        while at < blocks_end + index_bytes {
            let want = (blocks_end + index_bytes - at).min(READ_BYTES as u64) as usize;
            let got = read_full(&*file, &mut piece[..want], at);
            if got.map_err(StoreError::io("read", &path))? < want {
                return Err(damaged(at, "it is cut short"));
            }
            hasher.update(&piece[..want]);
            let read = piece[..want].as_chunks().0.iter();
            words.extend(read.map(|word| u64::from_le_bytes(*word)));
            at += want as u64;
        }
        let mut sum = [0; SUM];
        let got = read_full(&*file, &mut sum, at).map_err(StoreError::io("read", &path))?;
        if got < SUM || hasher.finalize() != sum {
            return Err(damaged(at, "the checksum of the index is wrong"));
        }
        let filter = Filter::from_words(words.split_off(header.blocks() as usize));
        Ok(SeenPart::over(file, &path, header, words, filter, sum))
    }

    /// The number in its name.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// How many fingerprints it has.
    pub fn count(&self) -> u64 {
        self.header.count
    }

    /// By what the very same part is known again.
    pub fn sum(&self) -> &[u8; 32] {
        &self.sum
    }

    /// False when it is certain that the fingerprint is not in it, as nearly always when it is not.
    pub fn may_contain(&self, fingerprint: u128) -> bool {
        self.filter.may_contain(fingerprint)
    }

    /// Reads memory where [`SeenPart::may_contain`] will look.
    pub fn touch(&self, fingerprint: u128) -> u64 {
        self.filter.touch(fingerprint)
    }

    /// True when the fingerprint is in it, which is read on the disk unless the filter knows better.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn contains(&self, fingerprint: u128) -> Result<bool, StoreError> {
        if !self.may_contain(fingerprint) {
            return Ok(false);
        }
        let half = (fingerprint >> 64) as u64;
        // The last block that begins before it; and those that begin with the same half.
        let first = self.fences.partition_point(|fence| *fence < half);
        let mut block = [0; BLOCK];
        for number in first.saturating_sub(1)..self.fences.len() {
            if number >= first && self.fences[number] != half {
                break;
            }
            self.read_block(number as u64, &mut block)?;
            let fingerprints = &block[..self.in_block(number as u64) * 16];
            let fingerprints = fingerprints.as_chunks().0;
            let found = fingerprints
                .binary_search_by_key(&fingerprint, |bytes| u128::from_le_bytes(*bytes));
            if found.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// All its fingerprints, in ascending order.
    pub fn fingerprints(&self) -> SeenFingerprints<'_> {
        SeenFingerprints {
            part: self,
            blocks: Vec::new(),
            next_block: 0,
            last: 0,
            taken: 0,
        }
    }

    /// Reads all of it, and holds it against its index.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut filter = Filter::new(self.count());
        let mut fingerprints = self.fingerprints();
        let mut count = 0;
        while let Some(fingerprint) = fingerprints.next()? {
            let block = count / EACH;
            if count.is_multiple_of(EACH)
                && self.fences[block as usize] != (fingerprint >> 64) as u64
            {
                return Err(self.damaged(block, "the index does not fit the block"));
            }
            filter.insert(fingerprint);
            count += 1;
        }
        if filter != self.filter {
            return Err(self.damaged(self.header.blocks(), "the index does not fit the blocks"));
        }
        Ok(())
    }

    /// Reads one block, and checks it the first time.
    fn read_block(&self, number: u64, block: &mut [u8; BLOCK]) -> Result<(), StoreError> {
        let (word, bit) = (&self.sound[(number / 64) as usize], 1 << (number % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            self.read(number, block)?;
            word.fetch_or(bit, Ordering::Relaxed);
            return Ok(());
        }
        let got = read_full(&*self.file, block, HEADER as u64 + number * BLOCK as u64);
        match got.map_err(StoreError::io("read", &self.path))? {
            BLOCK => Ok(()),
            _ => Err(self.damaged(number, "it is cut short")),
        }
    }

    /// Reads whole blocks, and checks them.
    fn read(&self, first: u64, blocks: &mut [u8]) -> Result<(), StoreError> {
        let at = HEADER as u64 + first * BLOCK as u64;
        let got = read_full(&*self.file, blocks, at);
        let got = got.map_err(StoreError::io("read", &self.path))?;
        for (number, block) in (first..).zip(blocks.chunks(BLOCK)) {
            let is_read = (number + 1 - first) as usize * BLOCK <= got;
            if !is_read || !is_sound(&self.salt, number, block) {
                return Err(self.damaged(number, "the checksum of a block is wrong"));
            }
        }
        Ok(())
    }

    /// How many fingerprints are in a block.
    fn in_block(&self, number: u64) -> usize {
        (self.count() - number * EACH).min(EACH) as usize
    }

    fn damaged(&self, block: u64, why: &str) -> StoreError {
        StoreError::damaged(&self.path, HEADER as u64 + block * BLOCK as u64, why)
    }
}

/// The fingerprints of a part, read one after another.
#[derive(Debug)]
pub struct SeenFingerprints<'a> {
    part: &'a SeenPart,
    /// Some blocks that were read.
    blocks: Vec<u8>,
    next_block: u64,
    last: u128,
    taken: u64,
}

impl SeenFingerprints<'_> {
    /// The next one; `None` behind the last.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    #[allow(clippy::should_implement_trait)] // it may fail
    pub fn next(&mut self) -> Result<Option<u128>, StoreError> {
        if self.taken == self.part.count() {
            return Ok(None);
        }
        let block = self.taken / EACH;
        if block == self.next_block {
            let count = (self.part.header.blocks() - block).min(AHEAD);
            self.blocks.resize(count as usize * BLOCK, 0);
            self.part.read(block, &mut self.blocks)?;
            self.next_block += count;
        }
        let first = self.next_block - self.blocks.len() as u64 / BLOCK as u64;
        let at = (block - first) as usize * BLOCK + (self.taken % EACH) as usize * 16;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.blocks[at..at + 16]);
        let fingerprint = u128::from_le_bytes(bytes);
        if fingerprint <= self.last {
            return Err(self
                .part
                .damaged(block, "the fingerprints are not in order"));
        }
        self.last = fingerprint;
        self.taken += 1;
        Ok(Some(fingerprint))
    }
}
