//! The frame of the journal: the file's header and the header of a batch.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::codec::{array_at, first_half, u32_at, u64_at};
use crate::error::StoreError;

/// The newest journal format that is known here.
pub(super) const FORMAT: u32 = 1;

/// The length of both headers, in bytes.
pub(crate) const HEADER: usize = 64;

/// No batch is longer, its header included. Writers should close one long before, at a
/// few MiB: a batch is checked as a whole before any of it counts.
pub const MAX_BATCH_BYTES: usize = 1 << 30;

/// Every journal begins so.
pub(crate) const SIGN: [u8; 8] = *b"CRAWLJNL";
pub(super) const BATCH_MAGIC: [u8; 4] = *b"\xc1BAT";

/// The generation that all journals in a store have, whatever they begin with.
pub(crate) const LIVING: u64 = 1;

/// An end of a journal: the point behind one of its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Bytes before it.
    pub bytes: u64,
    /// Batches before it.
    pub seq: u64,
    /// The id that the next request gets.
    pub next_id: u64,
    /// Checksum of the batch before it, which is chained to all others.
    #[serde(with = "crate::hex")]
    pub sum: [u8; 16],
}

/// The first 64 bytes of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub generation: u64,
    /// Id of the first request.
    pub first_id: u64,
    /// The manifest's.
    pub key: [u8; 16],
}

impl FileHeader {
    /// The header's bytes, and the end of the journal that has no batch yet.
    pub fn encode(&self) -> ([u8; HEADER], Mark) {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&SIGN);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_id.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.key);
        let sum = first_half(blake3::hash(&bytes[..48]));
        bytes[48..].copy_from_slice(&sum);
        let start = Mark {
            bytes: HEADER as u64,
            seq: 0,
            next_id: self.first_id,
            sum,
        };
        (bytes, start)
    }

    /// Checks the bytes.
    pub fn decode(bytes: &[u8], path: &Path) -> Result<(FileHeader, Mark), StoreError> {
        let damaged = |why| StoreError::damaged(path, 0, why);
        if bytes.len() < HEADER {
            return Err(damaged("the file header is cut short"));
        }
        if bytes[..8] != SIGN {
            return Err(damaged("this is no journal"));
        }
        let format = u32_at(bytes, 8);
        if bytes[48..HEADER] != first_half(blake3::hash(&bytes[..48])) {
            return Err(damaged("the checksum of the file header is wrong"));
        }
        if format != FORMAT {
            let path = path.to_owned();
            return Err(StoreError::Newer { path, format });
        }
        let header = FileHeader {
            generation: u64_at(bytes, 16),
            first_id: u64_at(bytes, 24),
            key: array_at(bytes, 32),
        };
        Ok((header, header.encode().1))
    }
}

/// The first 64 bytes of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    /// So many batches directly before this one were not known to be durable when this
    /// one was written. All before those were.
    pub unsynced: u32,
    /// Counted from 1.
    pub seq: u64,
    pub first_id: u64,
    pub payload_len: u32,
    pub entries: u32,
    /// Checksum of the batch before, or of the file header.
    pub prev: [u8; 16],
    /// Checksum of this header and the payload.
    pub sum: [u8; 16],
}

impl BatchHeader {
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&BATCH_MAGIC);
        bytes[4..8].copy_from_slice(&self.unsynced.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.seq.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_id.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.entries.to_le_bytes());
        bytes[32..48].copy_from_slice(&self.prev);
        bytes[48..].copy_from_slice(&self.sum);
        bytes
    }

    /// `None` when the bytes do not begin as a batch does.
    pub fn decode(bytes: &[u8]) -> Option<BatchHeader> {
        if bytes.len() < HEADER || bytes[..4] != BATCH_MAGIC {
            return None;
        }
        Some(BatchHeader {
            unsynced: u32_at(bytes, 4),
            seq: u64_at(bytes, 8),
            first_id: u64_at(bytes, 16),
            payload_len: u32_at(bytes, 24),
            entries: u32_at(bytes, 28),
            prev: array_at(bytes, 32),
            sum: array_at(bytes, 48),
        })
    }

    /// Header and payload, in bytes.
    pub fn total(&self) -> u64 {
        HEADER as u64 + u64::from(self.payload_len)
    }
}

/// The checksum of a batch, over a salt, its header without the last 16 bytes, and the payload. The salt
/// is the checksum of the file header, which nobody who feeds the
/// crawler can know: a page cannot carry something that looks like a batch of this journal.
pub(super) struct BatchSum(blake3::Hasher);

impl BatchSum {
    pub fn new(salt: &[u8; 16], header: &[u8]) -> BatchSum {
        let mut hasher = blake3::Hasher::new();
        hasher.update(salt);
        hasher.update(&header[..48]);
        BatchSum(hasher)
    }

    /// Adds a part of the payload.
    pub fn update(&mut self, payload: &[u8]) {
        self.0.update(payload);
    }

    pub fn finish(&self) -> [u8; 16] {
        first_half(self.0.finalize())
    }
}

/// The checksum of a batch that is in memory.
pub(super) fn batch_sum(salt: &[u8; 16], header: &[u8], payload: &[u8]) -> [u8; 16] {
    let mut sum = BatchSum::new(salt, header);
    sum.update(payload);
    sum.finish()
}
