//! The image of a crawl's memory, for a resume in the blink of an eye: the set
//! of fingerprints, the pending requests of every host, and what little else there is.
//!
//! It stands for one end of the journal; what came later is replayed on top.
//! Without it everything is replayed, so nothing is lost with it.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use crawl_ckpt::control::Progress;
use crawl_ckpt::parts::NamedParts;
use serde::{Deserialize, Serialize};

pub use self::read::load;
pub use self::write::save;

/// An image saves so many bytes of replay before it is worth writing.
pub const WORTH_BYTES: u64 = 16 << 20;

/// All that is small, as JSON at the head of the body.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head<Values> {
    progress: Progress,
    at_ms: u64,
    files: BTreeMap<String, u64>,
    #[serde(default)]
    tails: BTreeMap<String, String>,
    values: Values,
    /// Attempts and due time of requests that will be tried again, by id.
    tries: BTreeMap<u64, (u32, u64)>,
    hosts: u32,
    parts: NamedParts,
}
