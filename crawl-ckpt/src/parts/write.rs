//! Writing a part: blocks of things of 16 bytes, and what is behind them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blocks::PartBlocks;
use super::frame::{BLOCK, EACH, HEADER, PartHeader, close};
use crate::durable::{Behind, Disk, beside, parent, remove_if_there};

/// So much is written at once.
const BUFFER_BYTES: usize = 256 * BLOCK;

/// Writes a part into a temporary file that [`PartWriter::finish`] puts in place.
#[derive(Debug)]
pub(crate) struct PartWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Behind,
    header: PartHeader,
    salt: [u8; 16],
    /// What is not in the file yet: whole blocks, and one under way.
    buffer: Vec<u8>,
    pushed: u64,
}

impl PartWriter {
    /// Begins a part of a job directory.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(disk: &Arc<dyn Disk>, dir: &Path, header: PartHeader) -> io::Result<PartWriter> {
        let path = header.kind.path(dir, header.number);
        let temporary = beside(&path, ".tmp");
        remove_if_there(&**disk, &temporary)?;
        let file = Behind::new(disk.create(&temporary)?);
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + BLOCK);
        buffer.extend_from_slice(&header.encode());
        Ok(PartWriter {
            disk: disk.clone(),
            path,
            file,
            salt: header.salt(),
            header,
            buffer,
            pushed: 0,
        })
    }

    /// True when the next thing is the first of a block.
    pub fn begins_block(&self) -> bool {
        self.pushed.is_multiple_of(EACH)
    }

    /// Adds a thing. Of the last one of a block it gives the checksum of the block.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn push(&mut self, thing: [u8; 16]) -> io::Result<Option<[u8; 16]>> {
        self.buffer.extend_from_slice(&thing);
        self.pushed += 1;
        if !self.begins_block() {
            return Ok(None);
        }
        self.close_block().map(Some)
    }

    /// Ends a block that has room for more, whose checksum it gives, and so all of them.
    ///
    /// # Errors
    /// Errors of the disk; fewer or more things than there were to be.
    pub fn end(&mut self) -> io::Result<Option<[u8; 16]>> {
        let (came, count) = (self.pushed, self.header.count);
        if came != count {
            let of = self.header.kind.of;
            return Err(io::Error::other(format!(
                "of {of} {came} came, and {count} were to"
            )));
        }
        if self.begins_block() {
            return Ok(None);
        }
        self.close_block().map(Some)
    }

    /// Puts the part in place, after [`PartWriter::end`], with this behind the blocks. All of it is durable when this
    /// returns, its name included.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(mut self, index: impl Iterator<Item = Vec<u8>>) -> io::Result<PartBlocks> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.salt);
        for piece in index {
            hasher.update(&piece);
            self.buffer.extend_from_slice(&piece);
            self.flush_if_full()?;
        }
        let sum = *hasher.finalize().as_bytes();
        self.buffer.extend_from_slice(&sum);
        let file = self.file.finish(&self.buffer)?;
        self.disk.rename(&beside(&self.path, ".tmp"), &self.path)?;
        self.disk.sync_dir(parent(&self.path))?;
        Ok(PartBlocks::over(file, self.path, self.header, sum))
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn discard(self) -> io::Result<()> {
        drop(self.file);
        remove_if_there(&*self.disk, &beside(&self.path, ".tmp"))
    }

    fn close_block(&mut self) -> io::Result<[u8; 16]> {
        let number = self.pushed.div_ceil(EACH) - 1;
        let start = (HEADER as u64 + number * BLOCK as u64 - self.file.at()) as usize;
        self.buffer.resize(start + BLOCK, 0);
        let sum = close(&self.salt, number, &mut self.buffer[start..]);
        self.flush_if_full()?;
        Ok(sum)
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.buffer.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.file.write(&mut self.buffer)
    }
}
