//! What the crawl and its courier tell each other.

use std::sync::Arc;

use crawl_ckpt::control::FleetProgress;
use crawl_ckpt::fleet::{DepotError, JournalHead, Letter, Merits, Rest};
use crawl_ckpt::tool::Failure;

use super::lease::Lease;
use crate::crawl::Outgoing;

/// What the crawl tells the courier.
#[derive(Debug)]
pub enum Task {
    /// A letter of one of our partitions is to go out.
    Post(u32, Outgoing),
    /// What there is to say of one of them.
    Report(u32, Merits),
    /// One is given back: all of it is committed.
    Release(u32),
    /// Nothing more comes.
    Leave,
}

/// What the courier tells the crawl.
#[derive(Debug)]
pub enum Word {
    /// A partition is ours, with this journal.
    Ours(u32, Arc<Lease>, JournalHead),
    /// One is to be given back.
    Unwanted(u32),
    /// One is somebody else's.
    Lost(u32),
    /// Letters for one.
    Letters(u32, Vec<Letter>),
    /// The first has taken all letters of the second up to this number.
    Confirmed(u32, u32, u64),
    /// The crawl is over.
    Over(Rest),
    /// Somebody paused it.
    Paused,
    /// These workers live.
    Crew(Vec<String>),
    /// How far all of them are.
    All(FleetProgress),
    /// The store, or a node of it, does not do what it is to.
    Away(DepotError),
    /// All of it does again.
    Back,
    /// The store cannot be used any more.
    Failed(Failure),
}
