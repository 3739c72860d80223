//! What of a partition a worker has the records of: what is lost with its disk.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use super::StoreRoom;
use crate::control::Progress;
use crate::fleet::{CrawlName, Glance, SharedJob};
use crate::journal::{Chain, Commit, Entry};
use crate::tool::{Exit, Failure};

/// What of a partition a worker has the records of.
pub struct LostShare {
    /// Its journal.
    pub chain: Chain,
    last: Commit,
    /// The requests, and whether each failed.
    pub finished: BTreeMap<u64, bool>,
    /// What these added to the figures.
    figures: Progress,
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
        let failed = self.finished.values().filter(|failed| **failed).count() as u64;
        let all = self.finished.len() as u64;
        let counts = &mut progress.counts;
        counts.failed = counts.failed.saturating_sub(failed);
        counts.done = counts.done.saturating_sub(all - failed);
        counts.pending += all;
        progress.records = progress.records.saturating_sub(all);
        progress.bytes = progress.bytes.saturating_sub(self.figures.bytes);
        take_away(&mut progress.by_status, &self.figures.by_status);
        take_away(&mut progress.by_error, &self.figures.by_error);
        commit
    }
}

fn take_away(from: &mut BTreeMap<String, u64>, what: &BTreeMap<String, u64>) {
    for (name, count) in what {
        if let Some(of) = from.get_mut(name) {
            *of = of.saturating_sub(*count);
        }
    }
    from.retain(|_, count| *count > 0);
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
    let mut lost = LostShare {
        chain: Chain::new(job.key),
        last: Commit::default(),
        finished: BTreeMap::new(),
        figures: Progress::default(),
    };
    each_batch(room, name, part, glance, |bytes, by| {
        let LostShare {
            chain, finished, ..
        } = &mut lost;
        let mut is_his = false;
        let commit = chain.take(bytes, |entry| {
            match entry {
                Entry::Done { id, failed } if by == output => {
                    finished.insert(id, failed);
                    is_his = true;
                }
                Entry::Done { id, .. } | Entry::Defer { id, .. } => {
                    finished.remove(&id);
                }
                _ => {}
            }
            Ok(())
        })?;
        if is_his {
            lost.add_figures(&commit.progress);
        }
        lost.last = commit;
        Ok(())
    })?;
    Ok(lost)
}

impl LostShare {
    /// Adds what a commit has more than the one before.
    fn add_figures(&mut self, now: &Progress) {
        let before = &self.last.progress;
        self.figures.bytes += now.bytes.saturating_sub(before.bytes);
        for (sum, now, before) in [
            (
                &mut self.figures.by_status,
                &now.by_status,
                &before.by_status,
            ),
            (&mut self.figures.by_error, &now.by_error, &before.by_error),
        ] {
            for (name, count) in now {
                let earlier = before.get(name).copied().unwrap_or(0);
                *sum.entry(name.clone()).or_default() += count.saturating_sub(earlier);
            }
        }
    }
}

/// Gives each batch with the name of the output part that its records went to.
pub fn each_batch(
    room: &mut StoreRoom<'_>,
    name: &CrawlName,
    part: u32,
    glance: &Glance,
    mut give: impl FnMut(&[u8], &str) -> Result<(), String>,
) -> Result<(), Failure> {
    let seq = glance.view.seq;
    let damaged = |why: String| {
        let message = format!("{name}: partition {part:03} is damaged: {why}");
        Failure::with(Exit::Damaged, message)
    };
    let mut next = 1;
    while next <= seq {
        let batches = room.depot.read_signed(part, next)?;
        if batches.is_empty() {
            return Err(damaged(format!("batch {next} of {seq} is missing")));
        }
        for (bytes, by) in batches.iter().take((seq - next + 1) as usize) {
            give(bytes, by).map_err(|why| damaged(format!("batch {next} of {seq}: {why}")))?;
            next += 1;
        }
    }
    Ok(())
}
