//! The journals that lie in a job, and which of them count when no manifest tells.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::durable::Disk;
use crate::job::{ClosedJournal, JobPlace};
use crate::journal::{Mark, salvage};

/// The journals that count, as a manifest names them: the one that is written, and those before it.
pub type InForce = (u64, Vec<ClosedJournal>);

/// A journal in which something is sound.
#[derive(Debug, Clone, Copy)]
struct SoundJournal {
    generation: u64,
    begin: Mark,
    end: Mark,
}

impl SoundJournal {
    /// One that goes on from another.
    fn goes_on(&self) -> bool {
        self.begin.seq > 0
    }

    /// The other one, as the manifest would name it, if this may be it: the better, the higher the number.
    fn fits_before(&self, next: &SoundJournal) -> Option<(u8, ClosedJournal)> {
        let closed = ClosedJournal {
            generation: self.generation,
            end: next.begin,
            stands_for: None,
        };
        // One that is settled is younger than the one that goes on behind it.
        if self.generation < next.generation {
            let is_whole = self.end.sum == next.begin.sum;
            return Some((if is_whole { 3 } else { 1 }, closed));
        }
        let is_whole = self.end.next_id == next.begin.next_id;
        let settled = ClosedJournal {
            end: self.end,
            stands_for: Some(next.begin),
            ..closed
        };
        (!self.goes_on()).then_some((if is_whole { 2 } else { 0 }, settled))
    }
}

/// Where the journal with this number lies.
pub fn journal(place: &JobPlace, generation: u64) -> PathBuf {
    place.dir.join(format!("journal-{generation}"))
}

/// The numbers of all journals that lie there, in ascending order.
pub fn generations(disk: &dyn Disk, place: &JobPlace) -> Vec<u64> {
    let names = disk.list(&place.dir).unwrap_or_default();
    let number = |name: OsString| name.to_str()?.strip_prefix("journal-")?.parse().ok();
    let mut generations: Vec<u64> = names.into_iter().filter_map(number).collect();
    generations.sort_unstable();
    generations
}

/// Looks at journals of one job, by their numbers.
pub fn chain(disk: &dyn Disk, place: &JobPlace, key: [u8; 16], generations: &[u64]) -> InForce {
    let look = |&generation: &u64| {
        let told = salvage(
            disk,
            &journal(place, generation),
            key,
            generation,
            None,
            |_| (),
        );
        // In one that cannot be read nothing is sound.
        let told = told.ok()?;
        Some(SoundJournal {
            generation,
            begin: told.begin?,
            end: Mark {
                bytes: told.end,
                seq: told.seq,
                next_id: told.next_id,
                sum: told.sum,
            },
        })
    };
    let found = generations.iter().filter_map(look).collect();
    let newest = generations.last().copied().unwrap_or(1);
    link(found, newest)
}

/// Begins with the newest that goes on from another, or with the newest of all, and goes back from one to
/// the one before.
fn link(mut found: Vec<SoundJournal>, newest: u64) -> InForce {
    let rank = |one: &&SoundJournal| (one.goes_on(), one.generation);
    let Some(&last) = found.iter().max_by_key(rank) else {
        return (newest, Vec::new());
    };
    let (mut next, mut before) = (last, Vec::new());
    while next.goes_on() {
        found.retain(|one| one.generation != next.generation);
        let fits = |one: &SoundJournal| Some((one.fits_before(&next)?, *one));
        let best = found.iter().filter_map(fits);
        let best = best.max_by_key(|((rank, closed), _)| (*rank, closed.generation));
        let Some(((_, closed), found)) = best else {
            break;
        };
        before.insert(0, closed);
        next = found;
    }
    (last.generation, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(seq: u64, next_id: u64) -> Mark {
        Mark {
            bytes: 64,
            seq,
            next_id,
            sum: [seq as u8; 16],
        }
    }

    /// Generation; batches and requests before it and at its end.
    fn found(generation: u64, begin: (u64, u64), end: (u64, u64)) -> SoundJournal {
        SoundJournal {
            generation,
            begin: mark(begin.0, begin.1),
            end: mark(end.0, end.1),
        }
    }

    fn linked(found: &[SoundJournal]) -> (Vec<u64>, bool) {
        let (last, before) = link(found.to_vec(), 9);
        let is_settled = before.first().is_some_and(|one| one.stands_for.is_some());
        let before = before.iter().map(|closed| closed.generation);
        (before.chain([last]).collect(), is_settled)
    }

    #[test]
    fn the_journals_that_go_on_from_one_another_are_those_that_count() {
        let (one, two, three) = (
            found(1, (0, 0), (10, 100)),
            found(2, (10, 100), (20, 200)),
            found(3, (20, 200), (30, 300)),
        );
        assert_eq!(linked(&[]), (vec![9], false));
        assert_eq!(linked(&[one]), (vec![1], false));
        assert_eq!(linked(&[one, two, three]), (vec![1, 2, 3], false));
        // One that stands for the first two, whole or with its end lost; and one that was not ready.
        let mut settled = found(4, (0, 0), (90, 200));
        assert_eq!(linked(&[three, settled]), (vec![4, 3], true));
        assert_eq!(linked(&[one, two, three, settled]), (vec![1, 2, 3], false));
        settled.end.next_id = 150;
        assert_eq!(linked(&[three, settled]), (vec![4, 3], true));
        // The first one's end is lost, or all of it.
        let torn = found(1, (0, 0), (7, 70));
        assert_eq!(linked(&[torn, two, three]), (vec![1, 2, 3], false));
        assert_eq!(linked(&[two, three]), (vec![2, 3], false));
        // A compacted one begins anew.
        assert_eq!(
            linked(&[one, found(2, (0, 100), (1, 100))]),
            (vec![2], false)
        );
    }
}
