//! One crawl on many machines: what they share.
//!
//! The URLs of such a crawl are split by their registrable domain into *partitions*, each a crawl with a
//! journal of its own. An [`Depot`] keeps what all machines must agree on: of each partition the journal,
//! who owns it, and the mail that others sent it. It sees batches, never single URLs. FORMAT.md has the
//! keys, the order and what holds after a crash.

mod credits;
mod depot;
#[cfg(any(test, feature = "sim"))]
mod fake;
mod job;
mod members;
#[cfg(feature = "redis")]
mod redis;
mod sum;
mod url;
mod watch;

pub use credits::{Credit, Credits, IdSet};
pub use depot::{
    Base, Claim, Course, Depot, DepotError, Fate, JournalHead, Letter, Merits, PartView, Rest,
    Taken, Wanted, Written,
};
#[cfg(any(test, feature = "sim"))]
pub use fake::{FakeDepot, Faults, Mishap, Spot};
pub use job::{CrawlName, SharedJob};
pub use members::{Members, shares};
#[cfg(feature = "redis")]
pub use redis::{EngineHealth, Glance, Held, KeyBytes, RedisDepot};
pub use sum::{add_progress, take_off};
pub use url::{NodeAddress, StoreUrl};
pub use watch::Watched;

/// The file of a worker's records of a partition.
pub fn output_part(part: u32, worker: &str) -> String {
    format!("part-{part:03}.{worker}.jsonl")
}

/// Keys of a partition's journal: how many letters went to another partition so far, its number behind this.
pub const SENT: &str = "sent:";
/// The same: how many of another partition's letters were taken.
pub const FROM: &str = "from:";
/// Key of a partition's journal: the output part that has the records of this batch and of those behind it.
pub const PART: &str = "part";

/// What a worker renews, it does so often, in milliseconds.
pub const BEAT_MS: u64 = 1000;
/// What its owner did not renew for so long, by the clock of who wants it, is free.
pub const LEASE_MS: u64 = 6000;
/// An owner asks for pages only so long after its last renewal, which leaves others in doubt of it for
/// the rest of the lease.
pub const FRESH_MS: u64 = 4000;
