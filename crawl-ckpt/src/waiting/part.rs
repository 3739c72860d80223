//! Reading a part.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BlockStart, ENTRY_BYTES, REQUEST_BYTES, WaitingRequest};
use crate::codec::{array_at, u32_at};
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;
use crate::parts::{BLOCK, EACH, HEADER, PartHeader, SUM, SUM_AT, WAITING, is_sound};

/// A part: its requests on the disk, and in memory where its blocks begin.
#[derive(Debug)]
pub struct WaitingPart {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    header: PartHeader,
    salt: [u8; 16],
    blocks: Vec<IndexedBlock>,
    sum: [u8; SUM],
    /// A bit for each block whose checksum was found right: to look at it takes longer than to read the block.
    sound: Vec<AtomicU64>,
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
    pub(super) fn over(
        file: Box<dyn DiskFile>,
        path: &Path,
        header: PartHeader,
        blocks: Vec<IndexedBlock>,
        sum: [u8; SUM],
    ) -> WaitingPart {
        WaitingPart {
            file,
            path: path.to_owned(),
            salt: header.salt(),
            sound: (0..header.blocks().div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
            header,
            blocks,
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
    ) -> Result<WaitingPart, StoreError> {
        let path = WAITING.path(dir, number);
        let file = disk.open_read(&path).map_err(StoreError::opening(&path))?;
        let reading = |error| StoreError::io("read", &path)(error);
        let damaged = |at, why: &str| StoreError::damaged(&path, at, why);
        let len = file.len().map_err(reading)?;
        let header = PartHeader::read(&*file, &path, WAITING, number, key)?;
        let each = (BLOCK + ENTRY_BYTES) as u64;
        let ends = header.blocks().saturating_mul(each);
        if len != ends.saturating_add((HEADER + SUM) as u64) {
            return Err(damaged(len, "it has not the length that it should have"));
        }
        let index_at = HEADER as u64 + header.blocks() * BLOCK as u64;
        let mut index = vec![0; (len - index_at) as usize];
        if read_full(&*file, &mut index, index_at).map_err(reading)? < index.len() {
            return Err(damaged(index_at, "it is cut short"));
        }
        let sum = array_at(&index, index.len() - SUM);
        index.truncate(index.len() - SUM);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header.salt()).update(&index);
        if hasher.finalize() != sum {
            return Err(damaged(index_at, "the checksum of the index is wrong"));
        }
        let entries = index.as_chunks().0.iter();
        let blocks = entries.map(IndexedBlock::from_bytes).collect();
        Ok(WaitingPart::over(file, &path, header, blocks, sum))
    }

    /// The number in its name.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// How many requests it has.
    pub fn count(&self) -> u64 {
        self.header.count
    }

    /// By what the very same part is known again: the first half of what ends its file.
    pub fn sum(&self) -> [u8; 16] {
        array_at(&self.sum, 0)
    }

    /// How many blocks it has.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Where a block begins.
    pub fn start(&self, number: usize) -> BlockStart {
        self.blocks[number].start
    }

    /// Reads one block, and checks it the first time.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read(&self, number: usize) -> Result<Vec<WaitingRequest>, StoreError> {
        let at = HEADER as u64 + (number * BLOCK) as u64;
        let damaged = || StoreError::damaged(&self.path, at, "the checksum of a block is wrong");
        let mut block = [0; BLOCK];
        let got = read_full(&*self.file, &mut block, at);
        if got.map_err(StoreError::io("read", &self.path))? < BLOCK {
            return Err(damaged());
        }
        let (word, bit) = (&self.sound[number / 64], 1 << (number % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            let is_right = self.blocks[number].sum == block[SUM_AT..SUM_AT + 8];
            if !is_right || !is_sound(&self.salt, number as u64, &block) {
                return Err(damaged());
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        let left = self.count() - number as u64 * EACH;
        let bytes = left.min(EACH) as usize * REQUEST_BYTES;
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
                    let at = HEADER as u64 + (number * BLOCK) as u64;
                    let why = "the index does not fit the block";
                    return Err(StoreError::damaged(&self.path, at, why));
                }
                last.before += 1;
            }
        }
        Ok(())
    }
}
