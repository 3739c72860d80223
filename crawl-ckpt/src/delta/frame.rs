//! The frame of a file of pages: its header, and the blocks that follow.

use std::path::Path;

use super::page::{PageEntry, entry, in_words};
use crate::codec::{Bad, Cursor, array_at, first_half, u32_at, u64_at};
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;

const FORMAT: u32 = 1;
/// Of files in which pages may have captures, which an older tool takes for damage.
const FORMAT_WITH_CAPTURES: u32 = 2;
const FILE_MAGIC: [u8; 8] = *b"CRAWLPGS";
const BLOCK_MAGIC: [u8; 4] = *b"\xc1PGS";

/// The header of a file is so long …
pub(super) const HEADER: usize = 64;
/// … and that of a block.
pub(super) const BLOCK_HEADER: usize = 48;

/// No block is longer, as no batch of the journal is.
const MAX_BLOCK_BYTES: usize = 1 << 30;

/// Opens a file for reading; `None` when there is none.
pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Option<Box<dyn DiskFile>>, StoreError> {
    match disk.open_read(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // What is no file does not hold what was written.
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            Err(StoreError::damaged_pages(path, 0, e.to_string()))
        }
        Err(e) => Err(StoreError::io("open", path)(e)),
    }
}

/// What a crawl takes on, in 16 bytes: links of a page hold under that scope alone.
pub type ScopeHash = [u8; 16];

/// The first bytes of a file of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DeltaHeader {
    /// Of the job that learned it last.
    pub key: [u8; 16],
    /// Of the job that had learned what was known when this one began; zero when nothing was.
    pub base: [u8; 16],
    /// Pages may have captures.
    pub captures: bool,
}

impl DeltaHeader {
    /// The header's bytes; the last 16 of them are the salt of all that follows.
    pub fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&FILE_MAGIC);
        let format = if self.captures {
            FORMAT_WITH_CAPTURES
        } else {
            FORMAT
        };
        bytes[8..12].copy_from_slice(&format.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.key);
        bytes[32..48].copy_from_slice(&self.base);
        let sum = first_half(blake3::hash(&bytes[..48]));
        bytes[48..].copy_from_slice(&sum);
        bytes
    }

    /// What the checksums of this file begin with.
    pub fn salt(&self) -> [u8; 16] {
        array_at(&self.encode(), 48)
    }

    /// Reads and checks the header of a file.
    pub fn read(file: &dyn DiskFile, path: &Path) -> Result<DeltaHeader, StoreError> {
        let mut bytes = [0; HEADER];
        let got = read_full(file, &mut bytes, 0).map_err(StoreError::io("read", path))?;
        let damaged = |why| Err(StoreError::damaged_pages(path, 0, why));
        if got < HEADER {
            return damaged("the file header is cut short");
        }
        if bytes[..8] != FILE_MAGIC {
            return damaged("this is no file of pages");
        }
        if bytes[48..] != first_half(blake3::hash(&bytes[..48])) {
            return damaged("the checksum of the file header is wrong");
        }
        let format = u32_at(&bytes, 8);
        if !(FORMAT..=FORMAT_WITH_CAPTURES).contains(&format) {
            let path = path.to_owned();
            return Err(StoreError::Newer { path, format });
        }
        Ok(DeltaHeader {
            key: array_at(&bytes, 16),
            base: array_at(&bytes, 32),
            captures: format == FORMAT_WITH_CAPTURES,
        })
    }
}

/// Makes a block of a payload that begins behind room for the block's header.
pub(super) fn close(block: &mut [u8], at: u64, salt: &[u8; 16], scope: &ScopeHash) {
    let (header, payload) = block.split_at_mut(BLOCK_HEADER);
    header[..4].copy_from_slice(&BLOCK_MAGIC);
    // Blocks are closed long before, at some MiB.
    header[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    header[8..16].copy_from_slice(&at.to_le_bytes());
    header[16..32].copy_from_slice(scope);
    let sum = sum(salt, header, payload);
    header[32..].copy_from_slice(&sum);
}

fn sum(salt: &[u8; 16], header: &[u8], payload: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt);
    hasher.update(&header[..32]);
    hasher.update(payload);
    first_half(hasher.finalize())
}

/// A block whose checksum is right.
pub(super) struct Block<'b> {
    pub payload: &'b [u8],
    /// Under which the links in it hold.
    pub scope: ScopeHash,
    /// Where it lies.
    pub at: u64,
}

impl<'b> Block<'b> {
    /// Reads the block at a place; `end` is where the blocks of the file end.
    pub fn read(
        file: &dyn DiskFile,
        path: &Path,
        salt: &[u8; 16],
        at: u64,
        end: u64,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Block<'b>, StoreError> {
        let damaged = |why: &str| Err(StoreError::damaged_pages(path, at, why));
        let mut header = [0; BLOCK_HEADER];
        let got = read_full(file, &mut header, at).map_err(StoreError::io("read", path))?;
        let len = u32_at(&header, 4) as usize;
        if got < BLOCK_HEADER || header[..4] != BLOCK_MAGIC || u64_at(&header, 8) != at {
            return damaged("here is no block");
        }
        if len > MAX_BLOCK_BYTES || at + (BLOCK_HEADER + len) as u64 > end {
            return damaged("a block is cut short");
        }
        buffer.resize(len, 0);
        let from = at + BLOCK_HEADER as u64;
        let got = read_full(file, buffer, from).map_err(StoreError::io("read", path))?;
        if got < len {
            return damaged("a block is cut short");
        }
        if header[32..] != sum(salt, &header, buffer) {
            return damaged("the checksum of a block is wrong");
        }
        Ok(Block {
            payload: buffer,
            scope: array_at(&header, 16),
            at,
        })
    }

    /// Where the next block begins.
    pub fn end(&self) -> u64 {
        self.at + (BLOCK_HEADER + self.payload.len()) as u64
    }

    /// Tells every entry, and where it lies. `each` says whether it wants more.
    pub fn tell(
        &self,
        path: &Path,
        mut each: impl FnMut(u64, PageEntry<'b>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut cursor = Cursor::new(self.payload);
        while !cursor.is_at_end() {
            let at = self.at + (BLOCK_HEADER + cursor.at()) as u64;
            let entry = entry(&mut cursor)
                .map_err(|bad| StoreError::damaged_pages(path, at, in_words(bad)))?;
            if !each(at, entry)? {
                break;
            }
        }
        Ok(())
    }
}

/// So much is read at first of an entry that is read alone.
const READ_BYTES: usize = 4096;
/// No entry is longer: 48 MiB of links, and what else is known of a page.
const MAX_ENTRY_BYTES: usize = 64 << 20;

/// Reads one entry alone. Its own checksum vouches for it.
pub(super) fn entry_at<'b>(
    file: &dyn DiskFile,
    path: &Path,
    at: u64,
    buffer: &'b mut Vec<u8>,
) -> Result<PageEntry<'b>, StoreError> {
    let mut want = READ_BYTES;
    loop {
        buffer.resize(want, 0);
        let got = read_full(file, buffer, at).map_err(StoreError::io("read", path))?;
        buffer.truncate(got);
        match entry(&mut Cursor::new(buffer)) {
            // A length that is wrong must not make us ask for memory that no page needs.
            Err(Bad::Short(need)) if got == want && need <= MAX_ENTRY_BYTES => {
                want = need.max(want * 2);
            }
            Err(bad) => return Err(StoreError::damaged_pages(path, at, in_words(bad))),
            Ok(_) => break,
        }
    }
    entry(&mut Cursor::new(buffer))
        .map_err(|bad| StoreError::damaged_pages(path, at, in_words(bad)))
}
