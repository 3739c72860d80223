//! Who has the records of what is finished in a partition, as its journal tells: what a worker's disk is
//! worth.

use std::collections::BTreeMap;

use super::PART;
use crate::control::Progress;
use crate::journal::Entry;

/// Numbers of requests, a bit each.
#[derive(Debug, Clone, Default)]
pub struct IdSet {
    words: Vec<u64>,
}

impl IdSet {
    /// Adds one.
    pub fn insert(&mut self, id: u64) {
        let word = (id / 64) as usize;
        if word >= self.words.len() {
            self.words.resize((word + 1).next_power_of_two(), 0);
        }
        self.words[word] |= 1 << (id % 64);
    }

    /// Takes one away, if it is there.
    pub fn remove(&mut self, id: u64) {
        if let Some(word) = self.words.get_mut((id / 64) as usize) {
            *word &= !(1 << (id % 64));
        }
    }

    /// True for one that is there.
    pub fn contains(&self, id: u64) -> bool {
        let word = self.words.get((id / 64) as usize);
        word.is_some_and(|word| word & (1 << (id % 64)) != 0)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        let ones = self.words.iter().map(|word| u64::from(word.count_ones()));
        ones.sum()
    }

    /// All of them, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let words = self.words.iter().zip(0..);
        words.flat_map(|(word, n)| {
            let bits = (0..64).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| n * 64 + bit)
        })
    }
}

/// What one output part has the records of.
#[derive(Debug, Clone, Default)]
pub struct Credit {
    /// The requests.
    pub finished: IdSet,
    /// Those of them that failed.
    pub failed: IdSet,
    /// What they add to the figures: `bytes`, `by_status` and `by_error`; no other.
    pub figures: Progress,
}

/// What each output part has the records of.
#[derive(Debug, Clone, Default)]
pub struct Credits {
    by_part: BTreeMap<String, Credit>,
    /// The part of this batch and those behind it.
    part: String,
    /// What this batch finished, and whether it failed.
    batch: BTreeMap<u64, bool>,
    last: Progress,
}

impl Credits {
    /// Takes the next entry of the journal.
    ///
    /// # Errors
    /// In words, when a commit cannot be read.
    pub fn hear(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        match *entry {
            Entry::Done { id, failed } => {
                self.take_back(id);
                self.batch.insert(id, failed);
            }
            Entry::Defer { id, .. } => {
                self.batch.remove(&id);
                self.take_back(id);
            }
            Entry::Set { key, value } if key == PART => {
                self.part = String::from_utf8_lossy(value).into_owned();
            }
            Entry::Commit(commit) => self.close(commit.parse()?.progress),
            _ => {}
        }
        Ok(())
    }

    fn take_back(&mut self, id: u64) {
        for credit in self.by_part.values_mut() {
            credit.finished.remove(id);
            credit.failed.remove(id);
        }
    }

    fn close(&mut self, now: Progress) {
        if !self.batch.is_empty() {
            let credit = self.by_part.entry(self.part.clone()).or_default();
            for (id, failed) in std::mem::take(&mut self.batch) {
                credit.finished.insert(id);
                if failed {
                    credit.failed.insert(id);
                }
            }
            add_difference(&mut credit.figures, &now, &self.last);
        }
        self.last = now;
    }

    /// Those of each part; an empty name for what no part was told of.
    pub fn by_part(&self) -> &BTreeMap<String, Credit> {
        &self.by_part
    }

    /// Those of one part.
    pub fn take(&mut self, part: &str) -> Credit {
        self.by_part.remove(part).unwrap_or_default()
    }

    /// The part that what comes next is in; empty when none was told of.
    pub fn part(&self) -> &str {
        &self.part
    }

    /// True for a request that is finished.
    pub fn is_finished(&self, id: u64) -> bool {
        let mut credits = self.by_part.values();
        credits.any(|credit| credit.finished.contains(id))
    }
}

impl Credit {
    /// Adds its figures to others.
    pub fn add_to(&self, whole: &mut Progress) {
        add_difference(whole, &self.figures, &Progress::default());
    }

    /// Takes its figures out of those of a whole partition.
    pub fn take_from(&self, whole: &mut Progress) {
        whole.bytes = whole.bytes.saturating_sub(self.figures.bytes);
        take_away(&mut whole.by_status, &self.figures.by_status);
        take_away(&mut whole.by_error, &self.figures.by_error);
    }
}

fn add_difference(sum: &mut Progress, now: &Progress, before: &Progress) {
    sum.bytes += now.bytes.saturating_sub(before.bytes);
    for (sum, now, before) in [
        (&mut sum.by_status, &now.by_status, &before.by_status),
        (&mut sum.by_error, &now.by_error, &before.by_error),
    ] {
        for (name, count) in now {
            let earlier = before.get(name).copied().unwrap_or(0);
            let more = count.saturating_sub(earlier);
            if more > 0 {
                *sum.entry(name.clone()).or_default() += more;
            }
        }
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
