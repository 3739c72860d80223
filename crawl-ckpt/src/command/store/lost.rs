//! What of a partition a worker has the records of: what is lost with its disk.

use std::time::{SystemTime, UNIX_EPOCH};

use super::StoreRoom;
use super::part::read_part;
use crate::fleet::{CrawlName, Credit, Credits, Glance, SharedJob};
use crate::journal::{Chain, Commit};
use crate::tool::{Exit, Failure};

/// What of a partition a worker has the records of.
pub struct LostShare {
    /// Its journal.
    pub chain: Chain,
    last: Commit,
    /// The requests, and what they added to the figures.
    pub credit: Credit,
    /// It wrote to the partition, whether it has records of it still or not.
    pub is_known: bool,
}

impl LostShare {
    /// The last commit without what is lost.
    pub fn commit(&self) -> Commit {
        let mut commit = self.last.clone();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        commit.at_ms = now.unwrap_or_default().as_millis() as u64;
        // Whoever takes the partition has a part of his own, of which the store knows the length.
        commit.files.clear();
        commit.tails.clear();
        let progress = &mut commit.progress;
        let (all, failed) = (self.credit.finished.count(), self.credit.failed.count());
        let counts = &mut progress.counts;
        counts.failed = counts.failed.saturating_sub(failed);
        counts.done = counts.done.saturating_sub(all - failed);
        counts.pending += all;
        progress.records = progress.records.saturating_sub(all);
        self.credit.take_from(progress);
        commit
    }
}

/// Reads a partition for what was finished last by who wrote this output.
pub fn read(
    room: &mut StoreRoom<'_>,
    name: &CrawlName,
    job: &SharedJob,
    part: u32,
    glance: &Glance,
    output: &str,
) -> Result<LostShare, Failure> {
    let told = read_part(
        room,
        job,
        (part, &glance.head),
        Credits::default,
        |credits, entry| credits.hear(entry),
    )?;
    let mut credits = sound(name, part, told.flaw, told.told)?;
    Ok(LostShare {
        is_known: credits.by_part().contains_key(output),
        chain: told.chain,
        last: told.last.unwrap_or_default(),
        credit: credits.take(output),
    })
}

/// What was read of a partition, unless that is damaged.
pub fn sound<T>(name: &CrawlName, part: u32, flaw: Option<String>, told: T) -> Result<T, Failure> {
    match flaw {
        None => Ok(told),
        Some(why) => {
            let message = format!("{name}: partition {part:03} is damaged: {why}");
            Err(Failure::with(Exit::Damaged, message))
        }
    }
}
