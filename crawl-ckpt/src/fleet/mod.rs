//! One crawl on many machines: what they share.
//!
//! The URLs of such a crawl are split by their registrable domain into *partitions*, each a crawl with a
//! journal of its own. An [`Depot`] keeps what all machines must agree on: of each partition the journal,
//! who owns it, and the mail that others sent it. It sees batches, never single URLs. FORMAT.md has the
//! keys, the order and what holds after a crash.

mod depot;
#[cfg(any(test, feature = "sim"))]
mod fake;
mod members;
#[cfg(feature = "redis")]
mod redis;
mod url;
mod watch;

pub use depot::{Claim, Depot, DepotError, Fate, Letter, Merits, PartView, Rest, Written};
#[cfg(any(test, feature = "sim"))]
pub use fake::{FakeDepot, Faults};
pub use members::{Members, shares};
#[cfg(feature = "redis")]
pub use redis::RedisDepot;
pub use url::StoreUrl;
pub use watch::Watched;

/// What a worker renews, it does so often, in milliseconds.
pub const BEAT_MS: u64 = 1000;
/// What its owner did not renew for so long, by the clock of who wants it, is free.
pub const LEASE_MS: u64 = 6000;
/// An owner asks for pages only so long after its last renewal, which leaves others in doubt of it for
/// the rest of the lease.
pub const FRESH_MS: u64 = 4000;
