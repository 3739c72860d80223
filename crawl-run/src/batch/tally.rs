//! How many entries of a batch ended how. Kept up to date entry by entry: a list may be long.

use std::fmt;

use crawl_ckpt::human::count;

use super::record::{Record, Stage};

/// How many entries ended how; each is in one of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Complete.
    done: u64,
    /// Failed for good.
    failed: u64,
    /// Waiting for a human's decision.
    parked: u64,
    /// Still to be done, or under way.
    left: u64,
    retries: u32,
}

impl Tally {
    /// Counts all entries.
    pub fn of(records: &[Record], retries: u32) -> Tally {
        let mut tally = Tally {
            retries,
            ..Tally::default()
        };
        records.iter().for_each(|record| *tally.slot(record) += 1);
        tally
    }

    /// An entry is another now.
    pub fn replace(&mut self, old: &Record, new: &Record) {
        *self.slot(old) -= 1;
        *self.slot(new) += 1;
    }

    fn slot(&mut self, record: &Record) -> &mut u64 {
        match record.stage {
            Stage::Done => &mut self.done,
            Stage::Parked => &mut self.parked,
            _ if record.is_settled(self.retries) => &mut self.failed,
            _ => &mut self.left,
        }
    }

    /// The word and the number of each.
    pub fn states(&self) -> [(&'static str, u64); 4] {
        [
            ("done", self.done),
            ("failed", self.failed),
            ("parked", self.parked),
            ("left", self.left),
        ]
    }

    /// True when no run would do anything more.
    pub fn is_settled(&self) -> bool {
        self.left == 0
    }
}

impl fmt::Display for Tally {
    /// `12 of 30 done, 2 failed, 1 parked, 15 left`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [(_, done), others @ ..] = self.states();
        let all = self.states().iter().map(|(_, number)| number).sum();
        write!(f, "{} of {} done", count(done), count(all))?;
        let others = others.into_iter().filter(|(_, number)| *number > 0);
        for (word, number) in others {
            write!(f, ", {} {word}", count(number))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::state::testing::records;

    #[test]
    fn every_entry_is_counted_once() {
        use Stage::*;
        let records = records(&[Done, Failed, Broken, Parked, Paused, Waiting]);
        let tally = |retries| Tally::of(&records, retries).to_string();
        assert_eq!(tally(1), "1 of 6 done, 2 failed, 1 parked, 2 left");
        assert_eq!(tally(2), "1 of 6 done, 1 failed, 1 parked, 3 left");
    }

    #[test]
    fn an_entry_that_changes_moves_from_one_count_to_another() {
        use Stage::*;
        let mut records = records(&[Waiting, Waiting]);
        let mut tally = Tally::of(&records, 1);
        for stage in [Running, Failed, Done] {
            let mut new = records[0].clone();
            new.stage = stage;
            tally.replace(&records[0], &new);
            records[0] = new;
            assert_eq!(tally, Tally::of(&records, 1));
        }
        assert!(!tally.is_settled());
    }
}
