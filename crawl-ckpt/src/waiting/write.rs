//! Writing a part.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::part::{IndexedBlock, WaitingPart};
use super::{BlockStart, ENTRY_BYTES, WaitingRequest};
use crate::codec::array_at;
use crate::durable::{Disk, DiskFile, beside, parent, remove_if_there};
use crate::parts::{BLOCK, EACH, HEADER, PartHeader, SUM_AT, WAITING, close};

/// So much is written at once.
const BUFFER_BYTES: usize = 256 * BLOCK;
/// So much is written to a sync: nobody can end one, so it must not have a gigabyte to write.
const SYNC_BYTES: u64 = 64 << 20;

/// Writes a part: requests by host into a temporary file that [`WaitingPartWriter::finish`] puts in place.
#[derive(Debug)]
pub struct WaitingPartWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    header: PartHeader,
    salt: [u8; 16],
    blocks: Vec<IndexedBlock>,
    /// Where the block under way begins.
    start: BlockStart,
    /// What is not in the file yet: whole blocks, and one under way.
    buffer: Vec<u8>,
    at: u64,
    unsynced: u64,
    pushed: u64,
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
        let path = WAITING.path(dir, number);
        let temporary = beside(&path, ".tmp");
        remove_if_there(&**disk, &temporary)?;
        let file = disk.create(&temporary)?;
        let header = PartHeader {
            kind: WAITING,
            number,
            count,
            key,
        };
        let nobody = BlockStart { host: 0, before: 0 };
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + BLOCK);
        buffer.extend_from_slice(&header.encode());
        Ok(WaitingPartWriter {
            disk: disk.clone(),
            path,
            file,
            header,
            salt: header.salt(),
            blocks: Vec::with_capacity(header.blocks() as usize),
            start: nobody,
            buffer,
            at: 0,
            unsynced: 0,
            pushed: 0,
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
        if self.pushed.is_multiple_of(EACH) {
            self.close_block();
            self.start = self.last;
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        self.buffer.extend_from_slice(&request.to_bytes());
        self.last.before += 1;
        self.pushed += 1;
        Ok(())
    }

    /// Puts the part in place. All of it is durable when this returns, its name included.
    ///
    /// # Errors
    /// Errors of the disk; fewer or more requests than it was to have.
    pub fn finish(mut self) -> io::Result<WaitingPart> {
        if self.pushed != self.header.count {
            let why = format!("{} of {} requests came", self.pushed, self.header.count);
            return Err(io::Error::other(why));
        }
        self.close_block();
        let mut index = Vec::with_capacity(self.blocks.len() * ENTRY_BYTES);
        for block in &self.blocks {
            index.extend_from_slice(&block.to_bytes());
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.salt).update(&index);
        let sum = *hasher.finalize().as_bytes();
        self.flush()?;
        self.buffer.extend_from_slice(&index);
        self.buffer.extend_from_slice(&sum);
        self.flush()?;
        self.file.sync()?;
        self.disk.rename(&beside(&self.path, ".tmp"), &self.path)?;
        self.disk.sync_dir(parent(&self.path))?;
        Ok(WaitingPart::over(
            self.file,
            &self.path,
            self.header,
            self.blocks,
            sum,
        ))
    }

    /// Removes what was written.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn discard(self) -> io::Result<()> {
        remove_if_there(&*self.disk, &beside(&self.path, ".tmp"))
    }

    /// Ends the block under way, if there is one.
    fn close_block(&mut self) {
        let Some(number) = self.pushed.div_ceil(EACH).checked_sub(1) else {
            return;
        };
        let begin = (HEADER as u64 + number * BLOCK as u64 - self.at) as usize;
        self.buffer.resize(begin + BLOCK, 0);
        close(&self.salt, number, &mut self.buffer[begin..]);
        self.blocks.push(IndexedBlock {
            start: self.start,
            sum: array_at(&self.buffer[begin..], SUM_AT),
        });
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.unsynced += self.buffer.len() as u64;
        self.buffer.clear();
        if self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}
