//! Reading a part.

use std::path::Path;

use super::{BlockStart, ENTRY_BYTES, WaitingRequest};
use crate::codec::{array_at, u32_at};
use crate::durable::Disk;
use crate::error::StoreError;
use crate::parts::{BLOCK, FoundPart, NamedPart, PartBlocks, SUM_AT, WAITING};

/// A part: its requests on the disk, and in memory where its blocks begin.
#[derive(Debug)]
pub struct WaitingPart {
    blocks: PartBlocks,
    index: Vec<IndexedBlock>,
}

/// What the index has of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexedBlock {
    pub start: BlockStart,
    /// Half of its checksum, so that what ends the file stands for all of it.
    pub sum: [u8; 8],
}

impl IndexedBlock {
    pub fn to_bytes(self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        bytes[..4].copy_from_slice(&self.start.host.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.start.before.to_le_bytes());
        bytes[8..].copy_from_slice(&self.sum);
        bytes
    }

    fn from_bytes(bytes: &[u8; ENTRY_BYTES]) -> IndexedBlock {
        IndexedBlock {
            start: BlockStart {
                host: u32_at(bytes, 0),
                before: u32_at(bytes, 4),
            },
            sum: array_at(bytes, 8),
        }
    }
}

impl WaitingPart {
    pub(super) fn over(blocks: PartBlocks, index: Vec<IndexedBlock>) -> WaitingPart {
        WaitingPart { blocks, index }
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
    ) -> Result<WaitingPart, StoreError> {
        let part = FoundPart::open(WAITING, disk, dir, number, key)?;
        let count = part.header().blocks();
        let mut index = Vec::with_capacity(count as usize);
        let blocks = part.read_index(count * ENTRY_BYTES as u64, |piece| {
            let entries = piece.as_chunks().0.iter();
            index.extend(entries.map(IndexedBlock::from_bytes));
        })?;
        Ok(WaitingPart::over(blocks, index))
    }

    /// The number in its name.
    pub fn number(&self) -> u64 {
        self.blocks.header().number
    }

    /// How many requests it has.
    pub fn count(&self) -> u64 {
        self.blocks.header().count
    }

    /// As an image names it.
    pub fn named(&self) -> NamedPart {
        self.blocks.named()
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.index.len()
    }

    /// Where a block begins.
    pub fn start(&self, number: usize) -> BlockStart {
        self.index[number].start
    }

    /// Reads one block, and checks it the first time.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read(&self, number: usize) -> Result<Vec<WaitingRequest>, StoreError> {
        let mut block = [0; BLOCK];
        let at = number as u64;
        self.blocks.read(at, &mut block)?;
        if self.index[number].sum != block[SUM_AT..SUM_AT + 8] {
            let why = "its checksum is not that of the index";
            return Err(self.blocks.damaged(at, why));
        }
        let bytes = self.blocks.bytes_in(at);
        Ok(WaitingRequest::all_in(&block[..bytes]).collect())
    }

    /// Reads all of it, and holds it against its index.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn check(&self) -> Result<(), StoreError> {
        let mut last = BlockStart { host: 0, before: 0 };
        for number in 0..self.blocks() {
            for (place, request) in self.read(number)?.into_iter().enumerate() {
                let is_in_order = request.host >= last.host;
                if request.host != last.host {
                    (last.host, last.before) = (request.host, 0);
                }
                if !is_in_order || place == 0 && last != self.start(number) {
                    let why = "the index does not fit the block";
                    return Err(self.blocks.damaged(number as u64, why));
                }
                last.before += 1;
            }
        }
        Ok(())
    }
}
