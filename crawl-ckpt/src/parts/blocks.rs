//! Reading a part: blocks of things of 16 bytes, each checked when it is read first, and what is behind them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::frame::{BLOCK, EACH, HEADER, PartHeader, SUM, is_sound};
use super::{NamedPart, PartKind};
use crate::codec::array_at;
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;

/// No part has more; a count that is wrong has no right checksum, so this is for one that was made to harm.
const MOST: u64 = 1 << 40;
const READ_BYTES: usize = 1 << 20;

/// A part whose header was read.
#[derive(Debug)]
pub(crate) struct FoundPart {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    header: PartHeader,
    len: u64,
}

impl FoundPart {
    /// Opens the part of a job directory with this number.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn open(
        kind: PartKind,
        disk: &dyn Disk,
        dir: &Path,
        number: u64,
        key: [u8; 16],
    ) -> Result<FoundPart, StoreError> {
        let path = kind.path(dir, number);
        let file = disk.open_read(&path).map_err(StoreError::opening(&path))?;
        let len = file.len().map_err(StoreError::io("read", &path))?;
        let header = PartHeader::read(&*file, &path, kind, number, key)?;
        if header.count > MOST || len < header.blocks_end() {
            return Err(StoreError::damaged(&path, len, "it is cut short"));
        }
        Ok(FoundPart {
            file: file.into(),
            path,
            header,
            len,
        })
    }

    pub fn header(&self) -> &PartHeader {
        &self.header
    }

    /// Reads what is behind the blocks, which has so many bytes, in pieces of a multiple of 16.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read_index(
        self,
        index_bytes: u64,
        mut each: impl FnMut(&[u8]),
    ) -> Result<PartBlocks, StoreError> {
        let FoundPart {
            file,
            path,
            header,
            len,
        } = self;
        let damaged = |at, why: &str| StoreError::damaged(&path, at, why);
        let mut at = header.blocks_end();
        let end = at + index_bytes;
        if len != end + SUM as u64 {
            return Err(damaged(len, "it has not the length that it should have"));
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header.salt());
        let mut piece = vec![0; READ_BYTES.min(index_bytes as usize)];
        let read = |bytes: &mut [u8], at| {
            let got = read_full(&*file, bytes, at).map_err(StoreError::io("read", &path))?;
            if got < bytes.len() {
                return Err(damaged(at, "it is cut short"));
            }
            Ok(())
        };
        while at < end {
            let piece = &mut piece[..(end - at).min(READ_BYTES as u64) as usize];
            read(piece, at)?;
            hasher.update(piece);
            each(piece);
            at += piece.len() as u64;
        }
        let mut sum = [0; SUM];
        read(&mut sum, at)?;
        if hasher.finalize() != sum {
            return Err(damaged(at, "the checksum of the index is wrong"));
        }
        Ok(PartBlocks::over(file, path, header, sum))
    }
}

/// The blocks of a part.
#[derive(Debug)]
pub(crate) struct PartBlocks {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    header: PartHeader,
    salt: [u8; 16],
    sum: [u8; SUM],
    /// A bit for each block whose checksum was found right: to look at it takes longer than to read the block.
    sound: Vec<AtomicU64>,
}

impl PartBlocks {
    pub(super) fn over(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        header: PartHeader,
        sum: [u8; SUM],
    ) -> PartBlocks {
        let words = header.blocks().div_ceil(64);
        PartBlocks {
            file,
            path,
            salt: header.salt(),
            header,
            sum,
            sound: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    pub fn header(&self) -> &PartHeader {
        &self.header
    }

    /// As an image names it.
    pub fn named(&self) -> NamedPart {
        NamedPart {
            number: self.header.number,
            sum: array_at(&self.sum, 0),
        }
    }

    /// The bytes of the things in a block.
    pub fn bytes_in(&self, number: u64) -> usize {
        (self.header.count - number * EACH).min(EACH) as usize * 16
    }

    /// Reads one block, and checks it the first time.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read(&self, number: u64, block: &mut [u8; BLOCK]) -> Result<(), StoreError> {
        let (word, bit) = (&self.sound[(number / 64) as usize], 1 << (number % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            self.check(number, block)?;
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
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn check(&self, first: u64, blocks: &mut [u8]) -> Result<(), StoreError> {
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

    /// Something is wrong with a block.
    pub fn damaged(&self, number: u64, why: &str) -> StoreError {
        StoreError::damaged(&self.path, HEADER as u64 + number * BLOCK as u64, why)
    }
}
