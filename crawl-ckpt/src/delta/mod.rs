//! What is known of pages from one crawl to the next, so that only what changed is fetched.
//!
//! [`Known`] is what earlier crawls knew, a sorted file that no crawl under way changes; what a
//! crawl learns gathers in its [`Learning`], goes to a file in its job directory with each
//! commit, and is [absorbed](fn@absorb) when the crawl is complete. The bytes are described in
//! FORMAT.md.

mod absorb;
mod frame;
mod known;
mod learned;
mod page;

pub use absorb::{KEPT_CRAWLS, absorb};
pub use frame::ScopeHash;
pub use known::Known;
pub use learned::{Learning, begin, check, resume};
pub use page::{Fingerprint, MAX_VALIDATOR_BYTES, Page, PageCapture, PageEntry, PageLinks};

use crate::durable::{Disk, parent};
use crate::error::StoreError;
use crate::job::{self, Job, JobPlace};
use crate::journal::Commit;

/// The name of what a crawl learned, in its job directory and in its commits.
pub const LEARNED: &str = job::LEARNED;

/// The file of what is known, in the delta directory.
const KNOWN: &str = "pages";

/// All that can lie in the delta directory: what is known, and what its replacement leaves when it is cut short.
pub const KNOWN_FILES: [&str; 2] = [KNOWN, "pages.tmp"];

/// True when what a job learned is known for certain, so that the job may go.
///
/// # Errors
/// Errors of the disk; damage to what is known.
pub fn is_absorbed(job: &Job) -> Result<bool, StoreError> {
    let dir = job.place().delta_dir();
    let known = Known::open(&**job.disk(), job.place(), ScopeHash::default())?;
    if known.is_none_or(|known| known.key() != job.manifest().key) {
        return Ok(false);
    }
    // Whoever put it there may have been killed before it was durable.
    for dir in [&*dir, parent(&dir)] {
        job.disk()
            .sync_dir(dir)
            .map_err(StoreError::io("sync", dir))?;
    }
    Ok(true)
}

/// Tells all that a job has learned up to a commit, in the order in which it did.
///
/// # Errors
/// Errors of the disk, and damage.
pub fn tell_learned(
    job: &Job,
    commit: &Commit,
    mut each: impl FnMut(PageEntry<'_>),
) -> Result<(), StoreError> {
    let Some(&committed) = commit.files.get(LEARNED) else {
        return Ok(());
    };
    learned::File::open(job, committed)?.tell(|_, entry, _| {
        each(entry);
        Ok(())
    })
}

/// Reads all that is known beside a job. Gives the number of pages.
///
/// # Errors
/// Errors of the disk, and damage.
pub fn verify_known(disk: &dyn Disk, place: &JobPlace) -> Result<u64, StoreError> {
    let Some(known) = Known::open(disk, place, ScopeHash::default())? else {
        return Ok(0);
    };
    known.tell(|_| Ok(()))?;
    Ok(known.pages())
}

#[cfg(test)]
mod tests;
