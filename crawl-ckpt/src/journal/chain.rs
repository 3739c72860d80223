//! The chain of a journal whose batches come from elsewhere, one by one and without a file.

use super::frame::{BatchHeader, FileHeader, HEADER, LIVING, Mark, batch_sum};
use super::replay::tell;
use super::scan::Sound;
use super::{ClosedBatch, Commit, Entry};

/// Batches that were checked, each against the one before it.
#[derive(Debug, Clone)]
pub struct Chain {
    salt: [u8; 16],
    end: Mark,
}

impl Chain {
    /// One without a batch, of a journal with this key.
    pub fn new(key: [u8; 16]) -> Chain {
        Chain::of_base(key, LIVING)
    }

    /// The same, of what was rewritten to a base.
    pub fn of_base(key: [u8; 16], generation: u64) -> Chain {
        let header = FileHeader {
            generation,
            first_id: 0,
            key,
        };
        let (_, end) = header.encode();
        Chain { salt: end.sum, end }
    }

    /// Goes on behind what a base stands for.
    #[must_use]
    pub fn behind(mut self, end: Mark) -> Chain {
        self.end = end;
        self
    }

    /// Where the journal ends.
    pub fn end(&self) -> Mark {
        self.end
    }

    /// Adds a batch; gives its bytes.
    pub fn seal(&mut self, batch: &ClosedBatch) -> Vec<u8> {
        let (header, end) = batch.header(&self.end, 0, &self.salt);
        self.end = end;
        [&header[..], batch.payload()].concat()
    }

    /// Takes the next batch, tells its entries and gives its commit.
    ///
    /// # Errors
    /// In words, when it is not sound, does not follow, or what `each` says of an entry.
    pub fn take(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<Commit, String> {
        let header = follow(bytes, &self.end, &self.salt)?;
        let mut next_id = header.first_id;
        let commit = tell(&sound(&header, bytes), &mut next_id, &mut each);
        let (_, commit) = commit.map_err(|(_, why)| why)?;
        self.end = Mark {
            bytes: self.end.bytes + bytes.len() as u64,
            seq: header.seq,
            next_id,
            sum: header.sum,
        };
        commit.parse()
    }
}

/// The commit of a batch that stands alone: whether it is sound is not looked at.
///
/// # Errors
/// In words, when there is none.
pub fn commit_of(bytes: &[u8]) -> Result<Commit, String> {
    let header = BatchHeader::decode(bytes).ok_or("here is no batch")?;
    let mut next_id = header.first_id;
    let commit = tell(&sound(&header, bytes), &mut next_id, &mut |_| Ok(()));
    commit.map_err(|(_, why)| why)?.1.parse()
}

fn sound<'a>(header: &BatchHeader, bytes: &'a [u8]) -> Sound<'a> {
    Sound {
        entries: header.entries,
        payload_at: HEADER as u64,
        payload: &bytes[HEADER..],
    }
}

/// Checks the header and the checksum of the batch that comes behind `end`.
pub(super) fn follow(
    bytes: &[u8],
    end: &Mark,
    salt: &[u8; 16],
) -> Result<BatchHeader, &'static str> {
    let header = BatchHeader::decode(bytes).ok_or("here is no batch")?;
    if header.total() != bytes.len() as u64 || header.seq != end.seq + 1 {
        return Err("a batch is missing or cut short");
    }
    if header.prev != end.sum || header.first_id != end.next_id {
        return Err("a batch does not follow the one before it");
    }
    if header.sum != batch_sum(salt, &header.encode(), &bytes[HEADER..]) {
        return Err("the checksum of a batch is wrong");
    }
    Ok(header)
}
