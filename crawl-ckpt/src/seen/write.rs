//! Writing a part.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::filter::Filter;
use super::part::SeenPart;
use crate::durable::{Disk, DiskFile, beside, parent, remove_if_there};
use crate::parts::{BLOCK, EACH, HEADER, PartHeader, SEEN, close};

/// So much is written at once.
const BUFFER_BYTES: usize = 256 * BLOCK;
/// So much is written to a sync: nobody can end one, so it must not have a gigabyte to write.
const SYNC_BYTES: u64 = 64 << 20;

/// Writes a part: fingerprints in ascending order into a temporary file that
/// [`SeenPartWriter::finish`] puts in place.
#[derive(Debug)]
pub struct SeenPartWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    header: PartHeader,
    salt: [u8; 16],
    filter: Filter,
    /// The first half of the first fingerprint of each block.
    fences: Vec<u64>,
    /// What is not in the file yet: whole blocks, and one under way.
    buffer: Vec<u8>,
    at: u64,
    unsynced: u64,
    pushed: u64,
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
        let path = SEEN.path(dir, number);
        let temporary = beside(&path, ".tmp");
        remove_if_there(&**disk, &temporary)?;
        let file = disk.create(&temporary)?;
        let header = PartHeader {
            kind: SEEN,
            number,
            count,
            key,
        };
        let mut buffer = Vec::with_capacity(BUFFER_BYTES + BLOCK);
        buffer.extend_from_slice(&header.encode());
        Ok(SeenPartWriter {
            disk: disk.clone(),
            path,
            file,
            header,
            salt: header.salt(),
            filter: Filter::new(count),
            fences: Vec::with_capacity(header.blocks() as usize),
            buffer,
            at: 0,
            unsynced: 0,
            pushed: 0,
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
        if self.pushed.is_multiple_of(EACH) {
            self.close_block();
            self.fences.push((fingerprint >> 64) as u64);
            if self.buffer.len() >= BUFFER_BYTES {
                self.flush()?;
            }
        }
        self.buffer.extend_from_slice(&fingerprint.to_le_bytes());
        self.filter.insert(fingerprint);
        self.last = fingerprint;
        self.pushed += 1;
        Ok(())
    }

    /// Puts the part in place. All of it is durable when this returns, its name included.
    ///
    /// # Errors
    /// Errors of the disk; fewer or more fingerprints than it was to have.
    pub fn finish(mut self) -> io::Result<SeenPart> {
        if self.pushed != self.header.count {
            let why = format!("{} of {} fingerprints came", self.pushed, self.header.count);
            return Err(io::Error::other(why));
        }
        self.close_block();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.salt);
        for words in [&*self.fences, self.filter.words()] {
            for piece in words.chunks(BUFFER_BYTES / 8) {
                let bytes: Vec<u8> = piece.iter().flat_map(|word| word.to_le_bytes()).collect();
                hasher.update(&bytes);
                self.buffer.extend_from_slice(&bytes);
                write(&*self.file, &mut self.buffer, &mut self.at)?;
            }
        }
        let sum = *hasher.finalize().as_bytes();
        self.buffer.extend_from_slice(&sum);
        self.flush()?;
        self.file.sync()?;
        self.disk.rename(&beside(&self.path, ".tmp"), &self.path)?;
        self.disk.sync_dir(parent(&self.path))?;
        Ok(SeenPart::over(
            self.file,
            &self.path,
            self.header,
            self.fences,
            self.filter,
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
        let start = (HEADER as u64 + number * BLOCK as u64 - self.at) as usize;
        self.buffer.resize(start + BLOCK, 0);
        close(&self.salt, number, &mut self.buffer[start..]);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unsynced += self.buffer.len() as u64;
        write(&*self.file, &mut self.buffer, &mut self.at)?;
        if self.unsynced >= SYNC_BYTES {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

fn write(file: &dyn DiskFile, buffer: &mut Vec<u8>, at: &mut u64) -> io::Result<()> {
    file.write_at(buffer, *at)?;
    *at += buffer.len() as u64;
    buffer.clear();
    Ok(())
}
