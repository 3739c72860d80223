//! Batches, put together in memory.

use std::collections::BTreeMap;

use super::entry::tag;
use super::frame::{BatchHeader, HEADER, Mark, batch_sum};
use super::{Commit, Stored};
use crate::codec::{Cursor, put_bytes, put_varint};
use crate::control::Counts;

/// Facts that shall become durable together. Knows from the start where in the
/// journal it will lie, so that a request has its place at once.
#[derive(Debug)]
pub struct Batch {
    /// Room for the header, then the entries.
    bytes: Vec<u8>,
    start: u64,
    seq: u64,
    first_id: u64,
    next_id: u64,
    entries: u32,
}

/// A batch with its commit. Its checksum is the writer's work, perhaps on another thread.
#[derive(Debug)]
pub struct ClosedBatch {
    bytes: Vec<u8>,
    files: BTreeMap<String, u64>,
    counts: Counts,
    start: u64,
    seq: u64,
    first_id: u64,
    next_id: u64,
    entries: u32,
}

impl Batch {
    /// A batch that goes to the end of the journal.
    pub fn new(end: &Mark) -> Batch {
        Batch::with_buffer(end, Vec::new())
    }

    /// A new batch like [`Batch::new`], in a buffer that was used before ([`ClosedBatch::into_buffer`]).
    pub fn with_buffer(end: &Mark, buffer: Vec<u8>) -> Batch {
        Batch::at(end.bytes, end.seq + 1, end.next_id, buffer)
    }

    /// The batch that follows one which need not be written yet.
    pub fn after(closed: &ClosedBatch, buffer: Vec<u8>) -> Batch {
        Batch::at(closed.end(), closed.seq + 1, closed.next_id, buffer)
    }

    fn at(start: u64, seq: u64, first_id: u64, mut buffer: Vec<u8>) -> Batch {
        buffer.clear();
        buffer.resize(HEADER, 0);
        Batch {
            bytes: buffer,
            start,
            seq,
            first_id,
            next_id: first_id,
            entries: 0,
        }
    }

    /// Takes a request on; returns its id and its place in the journal.
    #[inline]
    pub fn request(&mut self, request: &Stored<'_>) -> (u64, u64) {
        let at = self.start + self.bytes.len() as u64;
        let id = self.next_id;
        self.next_id += 1;
        self.entries += 1;
        request.encode(&mut self.bytes);
        (id, at)
    }

    /// Gives the next request this id, which is no lower than [`Batch::next_id`]: for a settled journal.
    pub fn go_on_with(&mut self, id: u64) {
        debug_assert!(id >= self.next_id, "ids go forward");
        if id > self.next_id {
            self.begin(tag::IDS);
            put_varint(&mut self.bytes, id);
            self.next_id = id;
        }
    }

    /// Keeps the fingerprint of a URL that is finished.
    #[inline]
    pub fn seen(&mut self, fingerprint: &[u8; 16]) {
        self.begin(tag::SEEN);
        self.bytes.extend_from_slice(fingerprint);
    }

    /// A request is finished.
    #[inline]
    pub fn done(&mut self, id: u64, failed: bool) {
        self.begin(if failed { tag::FAILED } else { tag::DONE });
        put_varint(&mut self.bytes, id);
    }

    /// A request is pending again, not to be sent before `due_ms` (since 1970, UTC).
    #[inline]
    pub fn defer(&mut self, id: u64, attempts: u32, due_ms: u64) {
        self.begin(tag::DEFER);
        put_varint(&mut self.bytes, id);
        put_varint(&mut self.bytes, u64::from(attempts));
        put_varint(&mut self.bytes, due_ms);
    }

    /// A key has a value from now on.
    pub fn set(&mut self, key: &str, value: &[u8]) {
        self.begin(tag::SET);
        put_bytes(&mut self.bytes, key.as_bytes());
        put_bytes(&mut self.bytes, value);
    }

    /// A key has no value any more.
    pub fn unset(&mut self, key: &str) {
        self.begin(tag::UNSET);
        put_bytes(&mut self.bytes, key.as_bytes());
    }

    #[inline]
    fn begin(&mut self, tag: u8) {
        self.entries += 1;
        self.bytes.push(tag);
    }

    /// True when nothing is in it yet.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Its length so far, header included. Close it at a few MiB.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The id that the next request gets.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// The request at a place in the journal, when it is in this batch.
    pub fn request_at(&self, at: u64) -> Option<Stored<'_>> {
        request_at(&self.bytes, self.start, at)
    }

    /// Ends the batch.
    pub fn close(mut self, commit: &Commit) -> ClosedBatch {
        self.begin(tag::COMMIT);
        // A struct of strings and numbers; that always becomes JSON.
        let json = serde_json::to_vec(commit).unwrap_or_default();
        put_bytes(&mut self.bytes, &json);
        ClosedBatch {
            bytes: self.bytes,
            files: commit.files.clone(),
            counts: commit.progress.counts,
            start: self.start,
            seq: self.seq,
            first_id: self.first_id,
            next_id: self.next_id,
            entries: self.entries,
        }
    }
}

impl ClosedBatch {
    /// Where in the journal it begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where in the journal it ends.
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The request at a place in the journal, when it is in this batch.
    pub fn request_at(&self, at: u64) -> Option<Stored<'_>> {
        request_at(&self.bytes, self.start, at)
    }

    /// The lengths of the files that it vouches for.
    pub fn files(&self) -> &BTreeMap<String, u64> {
        &self.files
    }

    /// How many URLs are where, as of its commit.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The memory of it, for the next one.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    pub(super) fn first_id(&self) -> u64 {
        self.first_id
    }

    /// The header, and the end of the journal that this batch makes. The batch itself stays as
    /// it is, so that requests in it can be read on another thread meanwhile.
    pub(super) fn header(
        &self,
        prev: &Mark,
        unsynced: u32,
        salt: &[u8; 16],
    ) -> ([u8; HEADER], Mark) {
        let mut header = BatchHeader {
            unsynced,
            seq: self.seq,
            first_id: self.first_id,
            payload_len: (self.bytes.len() - HEADER) as u32,
            entries: self.entries,
            prev: prev.sum,
            sum: [0; 16],
        };
        header.sum = batch_sum(salt, &header.encode(), self.payload());
        let end = Mark {
            bytes: self.end(),
            seq: self.seq,
            next_id: self.next_id,
            sum: header.sum,
        };
        (header.encode(), end)
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

fn request_at(bytes: &[u8], start: u64, at: u64) -> Option<Stored<'_>> {
    let within = usize::try_from(at.checked_sub(start)?).ok()?;
    let bytes = bytes.get(within..).filter(|_| within >= HEADER)?;
    Cursor::new(bytes).request(false).ok()
}
