//! Reading a part.

use std::path::Path;

use super::filter::Filter;
use crate::durable::Disk;
use crate::error::StoreError;
use crate::parts::{BLOCK, EACH, FoundPart, NamedPart, PartBlocks, SEEN};

/// So many blocks are read at once by who reads them all.
const AHEAD: u64 = 64;

/// A part: its fingerprints on the disk, and in memory where they lie.
#[derive(Debug)]
pub struct SeenPart {
    blocks: PartBlocks,
    fences: Vec<u64>,
    filter: Filter,
}

impl SeenPart {
    pub(super) fn over(blocks: PartBlocks, fences: Vec<u64>, filter: Filter) -> SeenPart {
        SeenPart {
            blocks,
            fences,
            filter,
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
        let part = FoundPart::open(SEEN, disk, dir, number, key)?;
        let count = part.header().blocks();
        let index_bytes = count * 8 + Filter::bytes(part.header().count) as u64;
        let mut words = Vec::with_capacity((index_bytes / 8) as usize);
        let blocks = part.read_index(index_bytes, |piece| {
            let read = piece.as_chunks().0.iter();
            words.extend(read.map(|word| u64::from_le_bytes(*word)));
        })?;
        let filter = Filter::from_words(words.split_off(count as usize));
        Ok(SeenPart::over(blocks, words, filter))
    }

    /// The number in its name.
    pub fn number(&self) -> u64 {
        self.blocks.header().number
    }

    /// How many fingerprints it has.
    pub fn count(&self) -> u64 {
        self.blocks.header().count
    }

    /// As an image names it.
    pub fn named(&self) -> NamedPart {
        self.blocks.named()
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
            self.blocks.read(number as u64, &mut block)?;
            let fingerprints = &block[..self.blocks.bytes_in(number as u64)];
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
                return Err(self
                    .blocks
                    .damaged(block, "the index does not fit the block"));
            }
            filter.insert(fingerprint);
            count += 1;
        }
        if filter != self.filter {
            return Err(self.blocks.damaged(
                self.fences.len() as u64,
                "the index does not fit the blocks",
            ));
        }
        Ok(())
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
            let count = (self.part.fences.len() as u64 - block).min(AHEAD);
            self.blocks.resize(count as usize * BLOCK, 0);
            self.part.blocks.check(block, &mut self.blocks)?;
            self.next_block += count;
        }
        let first = self.next_block - self.blocks.len() as u64 / BLOCK as u64;
        let at = (block - first) as usize * BLOCK + (self.taken % EACH) as usize * 16;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.blocks[at..at + 16]);
        let fingerprint = u128::from_le_bytes(bytes);
        if fingerprint <= self.last {
            let why = "the fingerprints are not in order";
            return Err(self.part.blocks.damaged(block, why));
        }
        self.last = fingerprint;
        self.taken += 1;
        Ok(Some(fingerprint))
    }
}
