//! Walking over the batches of a journal, each checked before it counts.

use std::path::Path;

use super::frame::{BatchHeader, HEADER, MAX_BATCH_BYTES, Mark, batch_sum};
use super::search::Search;
use crate::durable::{DiskFile, read_full};
use crate::error::StoreError;

/// Read so much at a time: few calls, and still in the processor's cache when it is hashed.
const BLOCK_BYTES: usize = 1 << 20;

/// A batch whose checksum is right and that follows the one before.
pub(super) struct Sound<'a> {
    pub entries: u32,
    /// Where the payload lies in the journal.
    pub payload_at: u64,
    pub payload: &'a [u8],
}

/// Walks from one end of a journal to the last.
pub(super) struct Scan<'f> {
    file: &'f dyn DiskFile,
    path: &'f Path,
    salt: [u8; 16],
    /// Where it began.
    start: u64,
    len: u64,
    sealed: Option<Mark>,
    /// The end of the last sound batch.
    end: Mark,
    block: Vec<u8>,
    /// Where in the journal the block lies, and how much of it is filled.
    block_at: u64,
    filled: usize,
}

impl<'f> Scan<'f> {
    pub fn new(
        file: &'f dyn DiskFile,
        path: &'f Path,
        salt: [u8; 16],
        from: Mark,
        sealed: Option<Mark>,
    ) -> Result<Scan<'f>, StoreError> {
        let len = file.len().map_err(StoreError::io("read", path))?;
        let lost = |want: u64, who| {
            let why = format!("the journal ends here, {who} has {want} bytes");
            StoreError::damaged(path, len, why)
        };
        if len < from.bytes {
            return Err(lost(from.bytes, "what it stands for"));
        }
        match sealed {
            Some(seal) if len < seal.bytes => return Err(lost(seal.bytes, "the seal")),
            Some(seal) if len > seal.bytes => {
                let why = format!("{} bytes follow the sealed end", len - seal.bytes);
                return Err(StoreError::damaged(path, seal.bytes, why));
            }
            _ => {}
        }
        Ok(Scan {
            file,
            path,
            salt,
            start: from.bytes,
            len,
            sealed,
            end: from,
            block: Vec::new(),
            block_at: from.bytes,
            filled: 0,
        })
    }

    /// The next batch; `None` at the end, torn or not.
    ///
    /// # Errors
    /// Damage: a bad batch that was durable once.
    pub fn next(&mut self, next_id: u64) -> Result<Option<Sound<'_>>, StoreError> {
        self.end.next_id = next_id;
        if self.end.bytes == self.len {
            return self.check_seal().map(|()| None);
        }
        let header = match self.check_batch()? {
            Ok(header) => header,
            Err(why) => {
                self.check_torn(why)?;
                return Ok(None);
            }
        };
        let start = self.end.bytes;
        self.end = Mark {
            bytes: start + header.total(),
            seq: header.seq,
            next_id,
            sum: header.sum,
        };
        let at = (start - self.block_at) as usize;
        Ok(Some(Sound {
            entries: header.entries,
            payload_at: start + HEADER as u64,
            payload: &self.block[at + HEADER..at + header.total() as usize],
        }))
    }

    /// The end of the last sound batch.
    pub fn end(&self) -> Mark {
        self.end
    }

    /// Bytes behind the last sound batch.
    pub fn torn_bytes(&self) -> u64 {
        self.len - self.end.bytes
    }

    /// Looks at the batch at the end so far; the inner error says why it is none.
    fn check_batch(&mut self) -> Result<Result<BatchHeader, &'static str>, StoreError> {
        let end = self.end;
        let Some(header) = BatchHeader::decode(self.bytes_at(end.bytes, HEADER)?) else {
            return Ok(Err("no batch begins here"));
        };
        if header.total() > self.len - end.bytes || header.total() > MAX_BATCH_BYTES as u64 {
            return Ok(Err("a batch is cut short"));
        }
        if header.seq != end.seq + 1 || header.first_id != end.next_id {
            return Ok(Err("a batch is not the one that follows"));
        }
        if header.prev != end.sum {
            return Ok(Err("a batch does not belong to the one before"));
        }
        let salt = self.salt;
        let (head, payload) = self
            .bytes_at(end.bytes, header.total() as usize)?
            .split_at(HEADER);
        if batch_sum(&salt, head, payload) != header.sum {
            return Ok(Err("the checksum of a batch is wrong"));
        }
        Ok(Ok(header))
    }

    /// Bytes of the journal, fewer at its end.
    fn bytes_at(&mut self, at: u64, len: usize) -> Result<&[u8], StoreError> {
        let mut within = (at - self.block_at) as usize;
        if within + len > self.filled {
            self.block.copy_within(within..self.filled, 0);
            self.filled -= within;
            self.block_at = at;
            within = 0;
            // No larger than what is left: most journals are looked at before they are large.
            let left = self.len.saturating_sub(at).min(BLOCK_BYTES as u64) as usize;
            let room = len.max(left);
            if self.block.len() < room {
                let mut larger = vec![0; room];
                larger[..self.filled].copy_from_slice(&self.block[..self.filled]);
                self.block = larger;
            }
            let next = at + self.filled as u64;
            // Read no further than the length at the start: a running writer may be adding to the file.
            let left = self
                .len
                .saturating_sub(next)
                .min((self.block.len() - self.filled) as u64);
            let space = &mut self.block[self.filled..self.filled + left as usize];
            self.filled +=
                read_full(self.file, space, next).map_err(StoreError::io("read", self.path))?;
        }
        let end = (within + len).min(self.filled);
        Ok(&self.block[within..end])
    }

    fn check_seal(&self) -> Result<(), StoreError> {
        match self.sealed {
            Some(seal) if seal != self.end => Err(StoreError::damaged(
                self.path,
                self.end.bytes,
                "the last batch is not the sealed one",
            )),
            _ => Ok(()),
        }
    }

    /// A batch is bad. It is a torn tail when it may never have been durable; otherwise damage.
    fn check_torn(&self, why: &'static str) -> Result<(), StoreError> {
        let damaged = |why: String| Err(StoreError::damaged(self.path, self.end.bytes, why));
        if self.sealed.is_some() {
            return damaged(why.to_owned());
        }
        match self.later_proof()? {
            Some(at) => damaged(format!("{why}, and a sound batch follows at byte {at}")),
            None => Ok(()),
        }
    }

    /// Looks behind a bad batch for a sound one that was written when the bad one was durable.
    fn later_proof(&self) -> Result<Option<u64>, StoreError> {
        let missing = self.end.seq + 1;
        let is_proof =
            |header: &BatchHeader| header.seq.saturating_sub(u64::from(header.unsynced)) > missing;
        let search = Search::new(self.file, self.path, self.salt, self.start, self.len);
        let proof = search.next(self.end.bytes + 1, is_proof)?;
        Ok(proof.map(|batch| batch.at))
    }
}
