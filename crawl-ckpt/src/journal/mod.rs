//! The journal: the truth of a job, one file that only grows.
//!
//! Facts are gathered in a [`Batch`] in memory and go to disk as one write and one
//! sync by a [`Writer`]; a replay tells them again after a restart, and a
//! [`Reader`] fetches single requests back, so that memory need not hold them. A
//! [`Job`](crate::job::Job) opens its journal for all three. The bytes are described in FORMAT.md.

mod batch;
mod chain;
mod copy;
mod entry;
mod file;
mod frame;
mod last;
mod loose;
mod read;
mod replay;
mod salvage;
mod scan;
mod search;
mod settled;
mod write;

pub use batch::{Batch, ClosedBatch};
pub use chain::{Chain, commit_of};
pub use entry::{Commit, CommitText, Entry, Referer, Stored};
pub(crate) use file::JournalFile;
pub(crate) use frame::{HEADER, LIVING, SIGN};
pub use frame::{MAX_BATCH_BYTES, Mark};
pub(crate) use last::last_commit;
pub use loose::Loose;
pub use read::Reader;
pub use replay::Replayed;
pub(crate) use replay::replay;
pub use salvage::{Gap, Salvaged};
pub(crate) use salvage::{key_of, salvage};
pub use write::Writer;
pub(crate) use write::create;
