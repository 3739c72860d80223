//! What a crawl keeps: what was seen, what waits in each host, what is finished, and the files
//! that go with it.
//!
//! [`Store`] is the door. The crawl knows nothing else of what lies behind it, so that another
//! store is another room and no repair. [`Embedded`] is the one that users have: the set of what
//! was seen and the lanes in memory, a journal and its outputs on the disk.

mod committer;
mod compact;
mod embedded;
mod ids;
mod image;
mod job;
mod keeper;
pub(crate) mod known;
pub(crate) mod lanes;
mod log;
pub(crate) mod memory;
mod outputs;
#[cfg(test)]
pub(crate) mod plain;
mod replay;
pub(crate) mod request;
pub(crate) mod restore;
pub(crate) mod retry;
mod runs;
pub mod seen;
pub(crate) mod settle;
pub(crate) mod unsound;
pub mod warc;

use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::capture::{Archived, Spooled};
use crawl_ckpt::control::Progress;
use crawl_ckpt::delta::{Fingerprint, Page};
use crawl_ckpt::journal::Stored;
use crawl_ckpt::tool::Failure;

pub use self::committer::Sink;
pub use self::embedded::Embedded;
pub use self::job::{HeldJob, Original};
pub(crate) use self::job::{new_manifest, random_key};
pub use self::log::Log;
pub use self::outputs::{OutputTo, Outputs};
use crate::rules::{HostRules, KeptRules};
use crate::schedule::{HostId, Schedule};
use crate::unnamed::AsideRoom;

/// A request that a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Its id; below 2^48.
    id: u64,
    /// Where the store has it; below 2^48, and nobody else's affair.
    at: u64,
}

impl Ticket {
    /// What the request is called on the wire.
    pub fn id(self) -> u64 {
        self.id
    }
}

/// The door to what is durable. What is told here is durable after the next commit, all of it or
/// nothing; what was not committed never happened.
pub trait Store {
    /// How much the crawl may keep of what its hosts' robots.txt say, and where it puts the rest; and how much of
    /// their cookies. `None`: all of it stays in memory.
    fn share(&self) -> Option<AsideRoom> {
        None
    }

    /// Tells of each fingerprint, in order, whether a request of it was taken on. Asked for many
    /// at once, since each may lie elsewhere.
    fn is_seen(&self, fingerprints: &[u128], seen: &mut Vec<bool>);

    /// Takes a request on, which then waits in its host behind those of its priority. `None`
    /// when one of this fingerprint was taken on before.
    fn take_on(&mut self, host: HostId, fingerprint: u128, request: &Stored<'_>) -> Option<Ticket>;

    /// Has a request that was popped wait in its host again, with this priority.
    fn put(&mut self, host: HostId, ticket: Ticket, priority: i64);

    /// Takes the request whose turn it is in a host; `None` when none waits.
    fn pop(&mut self, host: HostId) -> Option<Ticket>;

    /// Reads a request that was taken on.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    fn read<'b>(&'b self, ticket: Ticket, buffer: &'b mut Vec<u8>) -> Result<Stored<'b>, Failure>;

    /// Finishes a request. Its output record, if it gets one, comes without the newline and is
    /// committed with the fact that it is finished.
    fn finish(&mut self, ticket: Ticket, failed: bool, record: Option<&str>);

    /// True when the pages themselves are kept, as WARC.
    fn keeps_pages(&self) -> bool;

    /// Has the next commit keep an exchange that the fetcher left in the spool, and says where it
    /// will lie.
    ///
    /// # Errors
    /// In words, why it cannot be kept: nothing is.
    fn keep(&mut self, told: &Spooled<'_>, now_ms: u64) -> Result<Archived<'static>, String>;

    /// An exchange that nobody asked for any more is not kept.
    fn pass_over(&mut self, told: &Spooled<'_>);

    /// Remembers that a request was tried so often, and must not be sent before `due_ms`.
    fn defer(&mut self, ticket: Ticket, attempts: u32, due_ms: u64);

    /// Keeps a value under a key.
    fn set(&mut self, key: &str, value: &[u8]);

    /// Keeps no value under a key any more.
    fn unset(&mut self, key: &str);

    /// True when what earlier crawls knew of pages is compared with.
    fn is_incremental(&self) -> bool;

    /// What earlier crawls knew of a page.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    fn known<'b>(
        &self,
        page: &Fingerprint,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Page<'b>>, Failure>;

    /// Remembers a page for later crawls; `is_same` when that is just what was known of it.
    fn learn(&mut self, page: &Page<'_>, is_same: bool);

    /// True when it is time for [`Store::commit`]. Waits when too much waits.
    ///
    /// # Errors
    /// The failure of an earlier commit: nothing may go on after it.
    fn wants_commit(&mut self, now_ms: u64) -> Result<bool, Failure>;

    /// When the next commit is due, if anything waits for it.
    fn next_commit_ms(&self) -> Option<u64>;

    /// Begins a commit; the crawl goes on meanwhile.
    ///
    /// # Errors
    /// The failure of an earlier commit.
    fn commit(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure>;

    /// Commits all that waits; it is durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk.
    fn commit_now(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure>;

    /// What went wrong since the last call that the crawl goes on without, in words.
    fn take_trouble(&mut self) -> Option<String> {
        None
    }

    /// Closes the store in good order, behind the last commit.
    ///
    /// # Errors
    /// Errors of the disk.
    fn close(&mut self, rest: Rest<'_>, watch: &mut dyn Watch) -> Result<(), Failure>;

    /// Makes what a complete crawl learned known to the next one. Call it behind
    /// [`Store::close`].
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    fn make_known(&mut self) -> Result<(), Failure>;
}

/// Who looks on while a store is closed, which may take as long as a crawl has URLs.
pub trait Watch {
    /// Tells what people should read.
    fn tell(&mut self, note: String);

    /// Tells that from here on only the next start is made quicker.
    fn tell_of_tidying(&mut self);

    /// True when the job is removed next: nobody needs to find out how it ended.
    fn is_last(&self) -> bool {
        false
    }

    /// True when nobody waits any more, once and for all: what only makes the next start quicker is
    /// left undone. Asked for every few megabytes that are written.
    fn is_in_a_hurry(&mut self) -> bool;
}

/// Attempts and due time of requests that will be tried again, by id.
pub type Tries = BTreeMap<u64, (u32, u64)>;

/// What a crawl has in memory beside its store, for a store that writes that down at the end.
#[derive(Debug)]
pub struct Rest<'a> {
    /// The hosts, and what is kept back.
    pub schedule: &'a Schedule<Ticket>,
    /// Requests that wait in no host, in flight or kept back: pending for whoever resumes.
    pub others: Vec<(HostId, Ticket)>,
    /// What will be tried again.
    pub tries: Tries,
    /// What the robots.txt of hosts say: so much that it is told host by host.
    pub rules: &'a dyn HostRules,
    /// Values kept beside the queue.
    pub values: BTreeMap<String, String>,
    /// The figures.
    pub progress: Progress,
    /// When they were committed.
    pub at_ms: u64,
}

/// What a store tells of a crawl that goes on, beside what it keeps itself.
#[derive(Debug)]
pub struct Remembered {
    /// The hosts, and what is kept back.
    pub schedule: Schedule<Ticket>,
    /// Attempts and due time of requests that will be tried again, by id.
    pub tries: HashMap<u64, (u32, u64)>,
    /// What the robots.txt of hosts say.
    pub rules: KeptRules,
    /// Values kept beside the queue.
    pub values: HashMap<String, Vec<u8>>,
    /// The figures.
    pub progress: Progress,
    /// When they were committed.
    pub at_ms: u64,
}
