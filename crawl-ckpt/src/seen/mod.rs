//! Parts of the set of URLs that were seen, for a set that is larger than the memory it may have.
//!
//! A [`SeenPart`] is a file of fingerprints in ascending order, in blocks that each have a checksum.
//! What tells in which block a fingerprint would lie, and that most others lie in none, is in memory:
//! 12 bits a fingerprint. A part never changes, and like the image it is never the only copy of anything.

mod filter;
mod part;
mod write;

pub use part::{SeenFingerprints, SeenPart};
pub use write::SeenPartWriter;

#[cfg(test)]
mod tests;
