//! Parts of what waits, for a queue of which a start reads the heads alone.
//!
//! A [`WaitingPart`] is a file of requests by host, those of a host in the order in which they go, in blocks that
//! each have a checksum. In memory is where each block begins. Like the image that names it, it is never the
//! only copy of anything.

mod part;
mod write;

pub use part::WaitingPart;
pub use write::WaitingPartWriter;

/// A request that waits: which host, by its place among those of the image, its id, and its place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitingRequest {
    /// The host.
    pub host: u32,
    /// The id, below 2^48.
    pub id: u64,
    /// The place, below 2^48.
    pub at: u64,
}

/// Where a block begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockStart {
    /// The host of its first request.
    pub host: u32,
    /// So many requests of this host are in blocks before.
    pub before: u32,
}

const REQUEST_BYTES: usize = 16;
/// In the index: where a block begins, and the first half of its checksum.
const ENTRY_BYTES: usize = 16;

impl WaitingRequest {
    /// As it lies on the disk.
    pub fn to_bytes(self) -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[..4].copy_from_slice(&self.host.to_le_bytes());
        bytes[4..10].copy_from_slice(&self.id.to_le_bytes()[..6]);
        bytes[10..].copy_from_slice(&self.at.to_le_bytes()[..6]);
        bytes
    }

    /// All those that lie behind each other in these bytes.
    pub fn all_in(bytes: &[u8]) -> impl Iterator<Item = WaitingRequest> + '_ {
        let number = |bytes: &[u8]| {
            let bytes = bytes.iter().rev();
            bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let requests = bytes.as_chunks::<REQUEST_BYTES>().0.iter();
        requests.map(move |bytes| WaitingRequest {
            host: number(&bytes[..4]) as u32,
            id: number(&bytes[4..10]),
            at: number(&bytes[10..]),
        })
    }
}

#[cfg(test)]
mod tests;
