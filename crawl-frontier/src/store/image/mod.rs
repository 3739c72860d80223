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
use crawl_ckpt::hex;
use crawl_ckpt::waiting::WaitingPart;
use serde::{Deserialize, Serialize};

pub use self::read::load;
pub use self::write::save;

/// Version of the body's layout.
const BODY_FORMAT: u32 = 6;

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
    /// The part of what waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<NamedPart>,
}

/// A part that the image names.
#[derive(Debug, Serialize, Deserialize)]
struct NamedPart {
    number: u64,
    /// The first half of what ends its file, in hex digits.
    sum: String,
}

impl NamedPart {
    fn of(part: &WaitingPart) -> NamedPart {
        NamedPart {
            number: part.number(),
            sum: hex::encode(&part.sum()),
        }
    }
}
