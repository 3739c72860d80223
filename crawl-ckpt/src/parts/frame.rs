//! The frame of a part: its header, and the blocks that follow.

use std::path::Path;

use super::PartKind;
use crate::codec::{array_at, first_half, u32_at, u64_at};
use crate::durable::{DiskFile, read_full};
use crate::error::StoreError;

const FORMAT: u32 = 1;

/// The header is so long.
pub(super) const HEADER: usize = 64;
/// A block of things of 16 bytes, its checksum included.
pub(crate) const BLOCK: usize = 4096;
/// So many are in one.
pub(crate) const EACH: u64 = 255;
/// At the end of a part: the BLAKE3 of what is behind the blocks.
pub(super) const SUM: usize = 32;

/// Where the checksum is in a block.
pub(crate) const SUM_AT: usize = EACH as usize * 16;

/// The first bytes of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartHeader {
    pub kind: PartKind,
    pub number: u64,
    pub count: u64,
    /// Of the job.
    pub key: [u8; 16],
}

impl PartHeader {
    /// The header's bytes; the last 16 of them are the salt of all that follows.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&self.kind.magic);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.number.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.count.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.key);
        let sum = first_half(blake3::hash(&bytes[..48]));
        bytes[48..].copy_from_slice(&sum);
        bytes
    }

    pub fn salt(&self) -> [u8; 16] {
        array_at(&self.encode(), 48)
    }

    pub fn blocks(&self) -> u64 {
        self.count.div_ceil(EACH)
    }

    /// Where the blocks end, and what is behind them begins.
    pub fn blocks_end(&self) -> u64 {
        self.blocks().saturating_mul(BLOCK as u64) + HEADER as u64
    }

    /// An error says what is wrong, in words.
    fn decode(kind: PartKind, bytes: &[u8; HEADER]) -> Result<PartHeader, String> {
        if bytes[..8] != kind.magic {
            return Err(format!("this is no part of {}", kind.of));
        }
        if bytes[48..] != first_half(blake3::hash(&bytes[..48])) {
            return Err("the checksum of the header is wrong".to_owned());
        }
        match u32_at(bytes, 8) {
            FORMAT => Ok(PartHeader {
                kind,
                number: u64_at(bytes, 16),
                count: u64_at(bytes, 24),
                key: array_at(bytes, 32),
            }),
            format => Err(format!("its format {format} is not known")),
        }
    }

    /// Reads the header of the part of this job with this number.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read(
        file: &dyn DiskFile,
        path: &Path,
        kind: PartKind,
        number: u64,
        key: [u8; 16],
    ) -> Result<PartHeader, StoreError> {
        let damaged = |why: &str| StoreError::damaged(path, 0, why);
        let mut bytes = [0; HEADER];
        let got = read_full(file, &mut bytes, 0).map_err(StoreError::io("read", path))?;
        if got < HEADER {
            return Err(damaged("the header is cut short"));
        }
        let header = PartHeader::decode(kind, &bytes).map_err(|why| damaged(&why))?;
        if header.number != number || header.key != key {
            return Err(damaged("it belongs to another job"));
        }
        Ok(header)
    }
}

/// Writes the checksum of a block into it, and gives it.
pub(super) fn close(salt: &[u8; 16], number: u64, block: &mut [u8]) -> [u8; 16] {
    let sum = sum(salt, number, block);
    block[SUM_AT..].copy_from_slice(&sum);
    sum
}

/// True when the checksum of a block is right.
pub(super) fn is_sound(salt: &[u8; 16], number: u64, block: &[u8]) -> bool {
    block[SUM_AT..] == sum(salt, number, block)
}

fn sum(salt: &[u8; 16], number: u64, block: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt);
    hasher.update(&number.to_le_bytes());
    hasher.update(&block[..SUM_AT]);
    first_half(hasher.finalize())
}
