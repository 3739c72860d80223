//! Writing a part.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::filter::Filter;
use super::part::SeenPart;
use crate::durable::Disk;
use crate::parts::{PartHeader, PartWriter, SEEN};

/// So many words of the index are written at once.
const PIECE: usize = 1 << 15;

/// Writes a part: fingerprints in ascending order into a temporary file that
/// [`SeenPartWriter::finish`] puts in place.
#[derive(Debug)]
pub struct SeenPartWriter {
    writer: PartWriter,
    filter: Filter,
    /// The first half of the first fingerprint of each block.
    fences: Vec<u64>,
    last: u128,
}

impl SeenPartWriter {
    /// Begins the part of a job directory with this number, which will have `count` fingerprints.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        number: u64,
        key: [u8; 16],
        count: u64,
    ) -> io::Result<SeenPartWriter> {
        let header = PartHeader {
            kind: SEEN,
            number,
            count,
            key,
        };
        Ok(SeenPartWriter {
            writer: PartWriter::create(disk, dir, header)?,
            filter: Filter::new(count),
            fences: Vec::with_capacity(header.blocks() as usize),
            last: 0,
        })
    }

    /// Adds a fingerprint, which is not 0 and larger than the one before.
    ///
    /// # Errors
    /// Errors of the disk, and fingerprints in no order.
    pub fn push(&mut self, fingerprint: u128) -> io::Result<()> {
        if fingerprint <= self.last {
            return Err(io::Error::other("the fingerprints are not in order"));
        }
        if self.writer.begins_block() {
            self.fences.push((fingerprint >> 64) as u64);
        }
        self.writer.push(fingerprint.to_le_bytes())?;
        self.filter.insert(fingerprint);
        self.last = fingerprint;
        Ok(())
    }

    /// Puts the part in place. All of it is durable when this returns, its name included.
    ///
    /// # Errors
    /// Errors of the disk; fewer or more fingerprints than it was to have.
    pub fn finish(mut self) -> io::Result<SeenPart> {
        self.writer.end()?;
        let words = [&*self.fences, self.filter.words()];
        let pieces = words.into_iter().flat_map(|words| words.chunks(PIECE));
        let pieces = pieces.map(|piece| piece.iter().flat_map(|word| word.to_le_bytes()).collect());
        let blocks = self.writer.finish(pieces)?;
        Ok(SeenPart::over(blocks, self.fences, self.filter))
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn discard(self) -> io::Result<()> {
        self.writer.discard()
    }
}
