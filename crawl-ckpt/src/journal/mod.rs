//! The journal: the truth of a job, one file that only grows.
//!
//! Facts are gathered in a [`Batch`] in memory and go to disk as one write and one
//! sync by a [`Writer`]; [`replay`] tells them again after a restart, and a
//! [`Reader`] fetches single requests back, so that memory need not hold them. The
//! bytes are described in FORMAT.md.

mod batch;
mod entry;
mod error;
mod frame;
mod last;
mod read;
mod replay;
mod salvage;
mod scan;
mod search;
mod write;

pub use batch::{Batch, ClosedBatch};
pub use entry::{Commit, CommitText, Entry, Referer, Stored};
pub use error::JournalError;
pub(crate) use frame::HEADER;
pub use frame::{MAX_BATCH_BYTES, Mark};
pub use last::last_commit;
pub use read::Reader;
pub use replay::{Replayed, replay};
pub use salvage::{Gap, Salvaged};
pub(crate) use salvage::{key_of, salvage};
pub use write::Writer;
pub(crate) use write::create;

#[cfg(test)]
mod tests;
