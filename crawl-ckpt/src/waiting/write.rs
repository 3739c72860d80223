//! Writing a part.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::part::{IndexedBlock, WaitingPart};
use super::{BlockStart, WaitingRequest};
use crate::codec::array_at;
use crate::durable::Disk;
use crate::parts::{PartHeader, PartWriter, WAITING};

/// So many blocks of the index are written at once.
const PIECE: usize = 1 << 14;

/// Writes a part: requests by host into a temporary file that [`WaitingPartWriter::finish`] puts in place.
#[derive(Debug)]
pub struct WaitingPartWriter {
    writer: PartWriter,
    index: Vec<IndexedBlock>,
    /// Where the block under way begins.
    start: BlockStart,
    /// The host of the last one, and how many of it there were.
    last: BlockStart,
}

impl WaitingPartWriter {
    /// Begins the part of a job directory with this number, which will have `count` requests.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        number: u64,
        key: [u8; 16],
        count: u64,
    ) -> io::Result<WaitingPartWriter> {
        let header = PartHeader {
            kind: WAITING,
            number,
            count,
            key,
        };
        let nobody = BlockStart { host: 0, before: 0 };
        Ok(WaitingPartWriter {
            writer: PartWriter::create(disk, dir, header)?,
            index: Vec::with_capacity(header.blocks() as usize),
            start: nobody,
            last: nobody,
        })
    }

    /// Adds a request, behind those of its host, and behind the hosts before.
    ///
    /// # Errors
    /// Errors of the disk, and hosts in no order.
    pub fn push(&mut self, request: WaitingRequest) -> io::Result<()> {
        if request.host < self.last.host {
            return Err(io::Error::other("the hosts are not in order"));
        }
        if request.host > self.last.host {
            (self.last.host, self.last.before) = (request.host, 0);
        }
        if self.writer.begins_block() {
            self.start = self.last;
        }
        self.last.before += 1;
        let closed = self.writer.push(request.to_bytes())?;
        self.note(closed);
        Ok(())
    }

    /// Puts the part in place. All of it is durable when this returns, its name included.
    ///
    /// # Errors
    /// Errors of the disk; fewer or more requests than it was to have.
    pub fn finish(mut self) -> io::Result<WaitingPart> {
        let closed = self.writer.end()?;
        self.note(closed);
        let pieces = self.index.chunks(PIECE);
        let pieces = pieces.map(|piece| piece.iter().flat_map(|block| block.to_bytes()).collect());
        let blocks = self.writer.finish(pieces)?;
        Ok(WaitingPart::over(blocks, self.index))
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn discard(self) -> io::Result<()> {
        self.writer.discard()
    }

    /// A block ended with this checksum.
    fn note(&mut self, closed: Option<[u8; 16]>) {
        let start = self.start;
        self.index.extend(closed.map(|sum| IndexedBlock {
            start,
            sum: array_at(&sum, 0),
        }));
    }
}
