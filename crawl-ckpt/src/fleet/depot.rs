//! The door to what machines share.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::control::Counts;
use crate::journal::Mark;
use crate::tool::Failure;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DepotError {
    /// It may have happened or not: it is to be tried again. Why, in words.
    Unsure(String),
    /// It will never work. Why, in words.
    Refused(String),
}

impl fmt::Display for DepotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DepotError::Unsure(why) | DepotError::Refused(why) => f.write_str(why),
        }
    }
}

/// Why a store takes nothing more, and answers all the same.
pub(super) const FULL: &str = "its memory is full (maxmemory)";

impl From<DepotError> for Failure {
    fn from(error: DepotError) -> Failure {
        match error {
            DepotError::Unsure(why) if why.ends_with(FULL) => {
                Failure::new(format_args!("the store takes nothing more: {why}"))
            }
            DepotError::Unsure(why) => {
                Failure::new(format_args!("the store cannot be reached: {why}"))
            }
            DepotError::Refused(why) => Failure::new(format_args!("the store refuses: {why}")),
        }
    }
}

/// The first batches of a partition's journal, rewritten: all that is to be read of them from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Which one of the partition it is, from 1.
    pub number: u64,
    /// The generation that its file header has, which is made again where it is read.
    pub generation: u64,
    /// Where it ends, by itself.
    pub end: Mark,
    /// The end of the batches that it stands for.
    pub stands_for: Mark,
}

/// What the journal of a partition is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JournalHead {
    /// Its batches, those included that a base stands for.
    pub seq: u64,
    /// Checksum of the last of them, in hex digits; empty without one.
    pub sum: String,
    /// What it begins with, once it was rewritten.
    pub base: Option<Base>,
}

/// What came of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Ours {
        /// Ours alone; those before it may change nothing any more.
        epoch: u64,
        /// Its journal.
        head: JournalHead,
    },
    /// Somebody else has it.
    Held,
}

/// What came of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is durable.
    Durable,
    /// Somebody else owns the partition by now.
    Fenced,
    /// The batch does not follow those that are there: some are lost.
    Gap,
}

/// A batch on its way to the journal of a partition.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Of the owner.
    pub epoch: u64,
    /// Its number, from 1.
    pub seq: u64,
    /// Its checksum, in hex digits.
    pub sum: &'a str,
    /// That of the batch before, in hex digits.
    pub prev: &'a str,
    /// The batch, byte for byte.
    pub bytes: &'a [u8],
    /// Name and committed length of the output part that its records are in.
    pub output: Option<(&'a str, u64)>,
    /// How many URLs of the partition are where, as of it.
    pub counts: Counts,
}

/// Why a partition does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing is pending.
    Complete,
    /// Only hosts that wait for a human are left.
    Parked,
    /// Start URLs gave no page, and nothing else did.
    Empty,
}

impl Rest {
    const ALL: [(Rest, &'static str); 3] = [
        (Rest::Complete, "complete"),
        (Rest::Parked, "parked"),
        (Rest::Empty, "empty"),
    ];

    /// Its name in a store.
    pub fn as_str(self) -> &'static str {
        let found = Rest::ALL.iter().find(|(rest, _)| *rest == self);
        found.map_or("", |(_, name)| name)
    }

    /// The one of a name.
    pub fn of(name: &str) -> Option<Rest> {
        let found = Rest::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(rest, _)| *rest)
    }
}

/// How a crawl as a whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course {
    /// Whoever comes takes part.
    Running,
    /// Somebody paused it: nobody is to ask for pages.
    Paused,
    /// It is over.
    Over(Rest),
}

/// What an owner tells of its partition beside the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Merits {
    /// It is at rest as of this batch.
    pub rest: Option<(u64, Rest)>,
    /// Of each sender, the last letter whose content is durable in the journal: its letters up to there
    /// are not needed in the inbox any more.
    pub from: Vec<(u32, u64)>,
}

/// What anybody sees of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartView {
    /// Who owns it; empty when nobody does.
    pub owner: String,
    /// How often it was claimed.
    pub epoch: u64,
    /// Grows while its owner lives.
    pub beat: u64,
    /// Batches in its journal.
    pub seq: u64,
    /// Why it does nothing, as of this batch.
    pub rest: Option<(u64, Rest)>,
    /// How many of its URLs are done, failed, or neither: those are told as pending.
    pub counts: Counts,
}

impl PartView {
    /// Why it does nothing now; `None` while there is something to do, or nobody opened it yet.
    pub fn rests(&self) -> Option<Rest> {
        let (seq, rest) = self.rest?;
        (seq == self.seq).then_some(rest)
    }
}

/// A letter to a partition. Sender and number say which one it is, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The partition that sent it.
    pub source: u32,
    /// Counted from 1, by sender and receiver.
    pub number: u64,
    /// Entries as FORMAT.md has them.
    pub bytes: Vec<u8>,
}

/// A partition of ours whose letters are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Its number.
    pub part: u32,
    /// Of the owner.
    pub epoch: u64,
    /// Of each sender, the last one that was read, where that is more than what was reported.
    pub heard: &'a BTreeMap<u32, u64>,
}

/// Letters of one partition to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Taken {
    /// Who is to have taken them.
    pub by: u32,
    /// Who sent them.
    pub of: u32,
}

/// What the machines of a crawl share. Everything may be asked for again: what was done already is not
/// done twice. Where it is said, an answer stands for what as many copies as are wanted have.
pub trait Depot: fmt::Debug + Send {
    /// Another connection to the same, for another thread.
    fn another(&self) -> Box<dyn Depot>;

    /// Begins the crawl, or joins it: gives what the first one began it with. Durable.
    ///
    /// # Errors
    /// Those of the engine, here and in all others.
    fn open(&mut self, job: &str) -> Result<String, DepotError>;

    /// The name of the crawl that is under way; `None` when there is none.
    ///
    /// # Errors
    /// Those of the engine.
    fn current(&mut self) -> Result<Option<String>, DepotError>;

    /// How the crawl stands.
    ///
    /// # Errors
    /// Those of the engine.
    fn course(&mut self) -> Result<Course, DepotError>;

    /// The crawl is over. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    fn end(&mut self, rest: Rest) -> Result<(), DepotError>;

    /// A worker lives. Gives the counters of all.
    ///
    /// # Errors
    /// Those of the engine.
    fn beat(&mut self, worker: &str) -> Result<Vec<(String, u64)>, DepotError>;

    /// A worker leaves in good order.
    ///
    /// # Errors
    /// Those of the engine.
    fn leave(&mut self, worker: &str) -> Result<(), DepotError>;

    /// All partitions, each as far as the node that has it answers. Durable: what is seen will not be
    /// taken back.
    fn look_each(&mut self) -> Vec<Result<PartView, DepotError>>;

    /// The same, when all answer.
    ///
    /// # Errors
    /// Those of the engine.
    fn look(&mut self) -> Result<Vec<PartView>, DepotError> {
        self.look_each().into_iter().collect()
    }

    /// Takes a partition that is free, or our own, or of which nothing changed since `seen`, its epoch
    /// and beat. What an owner before left of a base that it did not finish is gone then. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    fn claim(
        &mut self,
        part: u32,
        worker: &str,
        seen: Option<(u64, u64)>,
    ) -> Result<Claim, DepotError>;

    /// Gives a partition back.
    ///
    /// # Errors
    /// Those of the engine.
    fn release(&mut self, part: u32, epoch: u64) -> Result<(), DepotError>;

    /// Renews partitions and reads the letters of each: of every sender those that follow what was read of
    /// it. `None`: it is not ours any more. Durable: a partition that was renewed is nobody else's.
    fn poll(&mut self, wanted: &[Wanted<'_>]) -> Vec<Result<Option<Vec<Letter>>, DepotError>>;

    /// The batches of a partition from this number on, as many as come at once.
    ///
    /// # Errors
    /// Those of the engine.
    fn read(&mut self, part: u32, from: u64) -> Result<Vec<Vec<u8>>, DepotError>;

    /// The batches of a partition's base from this number on, as many as come at once. None when it is not
    /// there any more: another one took its place.
    ///
    /// # Errors
    /// Those of the engine.
    fn read_base(&mut self, part: u32, base: u64, from: u64) -> Result<Vec<Vec<u8>>, DepotError>;

    /// Adds a batch to the base of this number, which is the next one and counts for nothing yet; the first
    /// batch begins it anew. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    fn build(&mut self, part: u32, base: u64, batch: &Written<'_>) -> Result<Fate, DepotError>;

    /// Has the next base be in force in one step: the one before is gone, and so are the batches that it
    /// stands for, but the last. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    fn switch(&mut self, part: u32, epoch: u64, base: &Base) -> Result<Fate, DepotError>;

    /// The committed lengths of a partition's output parts.
    ///
    /// # Errors
    /// Those of the engine.
    fn outputs(&mut self, part: u32) -> Result<Vec<(String, u64)>, DepotError>;

    /// Adds a batch. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    fn commit(&mut self, part: u32, batch: &Written<'_>) -> Result<Fate, DepotError>;

    /// Puts letters into the inboxes of partitions. They may be lost, or come twice. It costs least when those for
    /// one partition lie together.
    fn send(&mut self, letters: &[(u32, Letter)]) -> Vec<Result<(), DepotError>>;

    /// Of each pair, the last letter whose content is durable at the receiver. Durable. It costs least when those of
    /// one receiver lie together.
    fn taken(&mut self, letters: &[Taken]) -> Vec<Result<u64, DepotError>>;

    /// Keeps of partitions how many batches they have had at least, where no partition is: who comes when nobody is
    /// left who knows finds by that what a node has lost. It may be lost.
    ///
    /// # Errors
    /// Those of the engine.
    fn note(&mut self, had: &[(u32, u64)]) -> Result<(), DepotError>;

    /// What was noted.
    ///
    /// # Errors
    /// Those of the engine.
    fn noted(&mut self) -> Result<Vec<(u32, u64)>, DepotError>;

    /// Tells of a partition of ours. It may be lost.
    ///
    /// # Errors
    /// Those of the engine.
    fn report(&mut self, part: u32, epoch: u64, merits: &Merits) -> Result<(), DepotError>;
}
