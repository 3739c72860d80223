//! Who takes part, and who is to own which partition.

use std::collections::BTreeMap;

use super::{BEAT_MS, LEASE_MS, Watched};

/// The workers of a crawl, as one of them sees them.
#[derive(Debug, Default)]
pub struct Members {
    watched: BTreeMap<String, Watched<u64>>,
}

impl Members {
    /// Takes the counters of all; gives those who live. One that was never seen before does until the
    /// opposite is certain.
    pub fn look(&mut self, beats: &[(String, u64)], now_ms: u64) -> Vec<String> {
        self.watched
            .retain(|name, _| beats.iter().any(|(known, _)| known == name));
        let mut living = Vec::new();
        for (name, beat) in beats {
            let watched = self.watched.entry(name.clone()).or_default();
            if watched.look(*beat, now_ms, BEAT_MS * 2) < LEASE_MS {
                living.push(name.clone());
            }
        }
        living.sort();
        living
    }
}

/// Which worker is to own each of so many partitions: all who see the same workers come to the same.
/// Each partition goes to the worker that ranks highest for it and has room; nobody has more than his share.
pub fn shares(workers: &[String], parts: u32) -> Vec<usize> {
    if workers.is_empty() {
        return Vec::new();
    }
    let most = (parts as usize).div_ceil(workers.len());
    let mut load = vec![0; workers.len()];
    (0..parts)
        .map(|part| {
            let rank = |name: &str| {
                let hash = blake3::hash(format!("{part} {name}").as_bytes());
                *hash.as_bytes()
            };
            let free = (0..workers.len()).filter(|worker| load[*worker] < most);
            let best = free.max_by_key(|worker| rank(&workers[*worker]));
            let best = best.unwrap_or(0);
            load[best] += 1;
            best
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn shares_are_even_and_a_worker_that_joins_moves_few_partitions() {
        let before = shares(&names(&["a", "b", "c"]), 256);
        let after = shares(&names(&["a", "b", "c", "d"]), 256);
        for (table, workers, most) in [(&before, 3, 86), (&after, 4, 64)] {
            for worker in 0..workers {
                let count = table.iter().filter(|owner| **owner == worker).count();
                assert!(count <= most, "{worker} has {count}");
            }
        }
        let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(moved <= 128, "{moved} of 256 moved for one of four");
    }

    #[test]
    fn a_worker_whose_counter_stands_still_for_a_lease_is_gone_and_comes_back_with_its_next_beat() {
        let mut members = Members::default();
        let mut now_ms = 0;
        for beat in 1..=LEASE_MS / BEAT_MS + 1 {
            now_ms += BEAT_MS;
            let living = members.look(&[("a".into(), beat), ("b".into(), 7)], now_ms);
            let dead = beat > LEASE_MS / BEAT_MS;
            assert_eq!(living.len(), if dead { 1 } else { 2 }, "{beat}");
        }
        let living = members.look(&[("a".into(), 99), ("b".into(), 8)], now_ms);
        assert_eq!(living.len(), 2);
        assert_eq!(members.look(&[("a".into(), 99)], now_ms), ["a"]);
    }
}
