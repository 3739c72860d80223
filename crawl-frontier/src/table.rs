//! A set of 128-bit fingerprints in memory: of what was seen, and of hosts.
//!
//! Fingerprints are uniformly random, so a slot is found by scaling the fingerprint to the size
//! of the table, and slots stay sorted: a search ends at the first larger fingerprint, the whole
//! set reads out in order, and a set that was written in order is read back by appending. A
//! fingerprint takes 20-25 bytes.

use crate::cells::Cells;

/// Shards grow one after another, so that the peak of memory while growing is
/// a fraction of the whole and no insert waits for more than a millisecond.
const SHARD_BITS: u32 = 6;
/// A set consists of so many parts, by the first bits of the fingerprint.
pub const SHARDS: usize = 1 << SHARD_BITS;
/// Cells behind the last home slot, for the cluster that overflows there.
const SPILL: usize = 64;
/// So many slots further is the next line of the processor's cache.
const NEXT_LINE: usize = 64 / size_of::<u128>();
/// Grow at a load of 4/5: longer clusters, or more memory, cost more.
const MAX_LOAD: (usize, usize) = (4, 5);

/// Fewer in a run than one in so many of a shard are not worth that it is built anew.
const REBUILD: usize = 8;

/// What a slot is at first.
const EMPTY: u128 = 0;

/// A set of fingerprints.
#[derive(Debug, Clone)]
pub struct Table {
    shards: Vec<Shard>,
}

#[derive(Debug, Clone, Default)]
struct Shard {
    /// `homes + SPILL` slots (more when the last cluster needs them), or none.
    slots: Cells,
    homes: usize,
    len: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table::new()
    }
}

impl Table {
    /// The empty set.
    pub fn new() -> Table {
        Table {
            shards: vec![Shard::default(); SHARDS],
        }
    }

    /// How many fingerprints are in it.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len).sum()
    }

    /// True when the fingerprint is in it.
    pub fn contains(&self, fingerprint: u128) -> bool {
        let fingerprint = nonzero(fingerprint);
        let shard = &self.shards[shard_of(fingerprint)];
        shard.homes > 0 && shard.find(fingerprint).is_ok()
    }

    /// Adds a fingerprint; true when it was not there.
    pub fn insert(&mut self, fingerprint: u128) -> bool {
        let fingerprint = nonzero(fingerprint);
        self.shards[shard_of(fingerprint)].insert(fingerprint)
    }

    /// Adds fingerprints of one shard that are in ascending order, none of them 0; says how many were not there.
    /// One after another they would crowd the beginning of a shard that has room for those before alone, and
    /// each would be looked for among all of them.
    pub fn insert_ascending(&mut self, fingerprints: &[u128]) -> usize {
        let Some(&first) = fingerprints.first() else {
            return 0;
        };
        self.shards[shard_of(first)].insert_ascending(fingerprints)
    }

    /// Has the processor fetch the slot where the fingerprint would be, and the next line of its cache, where most of
    /// those end that are moved for a new one. Called for many before they are looked for, it hides their cache
    /// misses: 10M inserts take 0.7 s in place of 1.4 s.
    #[inline]
    pub fn touch(&self, fingerprint: u128) {
        let fingerprint = nonzero(fingerprint);
        let shard = &self.shards[shard_of(fingerprint)];
        if shard.homes > 0 {
            let home = shard.home(fingerprint);
            prefetch(&shard.slots[home]);
            prefetch(&shard.slots[home + NEXT_LINE]);
        }
    }

    /// The fingerprint, or the next larger one if it has the same home.
    #[inline]
    pub fn at_or_behind(&self, fingerprint: u128) -> Option<u128> {
        let fingerprint = nonzero(fingerprint);
        let shard = &self.shards[shard_of(fingerprint)];
        let at = shard.find(fingerprint).unwrap_or_else(|at| at);
        shard.slots.get(at).copied().filter(|&slot| slot != EMPTY)
    }

    /// Makes room for so many more.
    pub fn reserve(&mut self, more: usize) {
        // Chance gives some shards more than others.
        let more = more / SHARDS + more / SHARDS / 8 + 16;
        for shard in &mut self.shards {
            if (shard.len + more) * MAX_LOAD.1 > shard.homes * MAX_LOAD.0 {
                shard.grow(shard.len + more);
            }
        }
    }

    /// The fingerprints of every shard, in ascending order.
    pub fn shards(&self) -> impl Iterator<Item = impl Iterator<Item = u128> + Clone + '_> {
        self.shards.iter().map(Shard::fingerprints)
    }

    /// Fills an empty shard with its fingerprints in ascending order; false when they are not that,
    /// and the set is of no use then.
    #[must_use]
    pub fn fill_shard(
        &mut self,
        number: usize,
        fingerprints: impl ExactSizeIterator<Item = u128>,
    ) -> bool {
        let count = fingerprints.len();
        let mut before = EMPTY;
        let in_order = fingerprints.take_while(|fingerprint| {
            let fits = before < *fingerprint && shard_of(*fingerprint) == number;
            before = *fingerprint;
            fits
        });
        self.shards[number].rebuild(in_order, count);
        self.shards[number].len == count
    }
}

/// Has the processor fetch a place into its cache. Unlike a read nothing waits for it.
#[inline]
#[allow(unsafe_code)]
fn prefetch(slot: &u128) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: nothing is read, and the place is there.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(slot).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::hint::black_box(*slot);
}

/// 0 stands for an empty slot, so one that is 0 is taken for 1.
pub fn nonzero(fingerprint: u128) -> u128 {
    if fingerprint == EMPTY { 1 } else { fingerprint }
}

/// In which part a fingerprint is; of one that is 0 too, which is taken for 1.
pub fn shard_of(fingerprint: u128) -> usize {
    (fingerprint >> (128 - SHARD_BITS)) as usize
}

impl Shard {
    fn fingerprints(&self) -> impl Iterator<Item = u128> + Clone + '_ {
        self.slots
            .iter()
            .copied()
            .filter(|&fingerprint| fingerprint != EMPTY)
    }

    fn home(&self, fingerprint: u128) -> usize {
        let fraction = (fingerprint << SHARD_BITS >> 64) as u64;
        ((u128::from(fraction) * self.homes as u128) >> 64) as usize
    }

    /// The slot of the fingerprint, or the one where it belongs.
    fn find(&self, fingerprint: u128) -> Result<usize, usize> {
        let mut at = self.home(fingerprint);
        loop {
            match self.slots.get(at) {
                Some(&slot) if slot == fingerprint => return Ok(at),
                Some(&slot) if slot != EMPTY && slot < fingerprint => at += 1,
                _ => return Err(at),
            }
        }
    }

    fn insert(&mut self, fingerprint: u128) -> bool {
        if self.len * MAX_LOAD.1 >= self.homes * MAX_LOAD.0 {
            if self.homes > 0 && self.find(fingerprint).is_ok() {
                return false;
            }
            let len = self.len.max(self.homes * MAX_LOAD.0 / MAX_LOAD.1);
            self.grow(len * 3 / 2);
        }
        let Err(at) = self.find(fingerprint) else {
            return false;
        };
        let run = self.slots[at..].iter().position(|&slot| slot == EMPTY);
        let run = run.unwrap_or_else(|| self.lengthen() - at);
        self.slots.copy_within(at..at + run, at + 1);
        self.slots[at] = fingerprint;
        self.len += 1;
        true
    }

    fn insert_ascending(&mut self, fingerprints: &[u128]) -> usize {
        if fingerprints.len() * REBUILD < self.len {
            let new = fingerprints.iter().filter(|one| self.insert(**one));
            return new.count();
        }
        let old = std::mem::take(self);
        let wanted = old.len + fingerprints.len();
        let merged = merge(old.fingerprints(), fingerprints.iter().copied());
        self.rebuild(merged, wanted);
        self.len - old.len
    }

    fn grow(&mut self, wanted: usize) {
        let old = std::mem::take(self);
        self.rebuild(old.fingerprints(), wanted);
    }

    /// Fills an empty shard with fingerprints in order, with room for `wanted`.
    fn rebuild(&mut self, fingerprints: impl Iterator<Item = u128>, wanted: usize) {
        self.homes = (wanted * MAX_LOAD.1).div_ceil(MAX_LOAD.0).max(16);
        self.slots = Cells::new(self.homes + SPILL);
        self.len = 0;
        let mut free = 0;
        for fingerprint in fingerprints {
            let at = self.home(fingerprint).max(free);
            if at == self.slots.len() {
                self.lengthen();
            }
            self.slots[at] = fingerprint;
            self.len += 1;
            free = at + 1;
        }
    }

    /// Puts some slots behind the last, for the cluster there; tells where they begin.
    #[cold]
    fn lengthen(&mut self) -> usize {
        let len = self.slots.len();
        let mut longer = Cells::new(len + len / 8 + SPILL);
        longer[..len].copy_from_slice(&self.slots);
        self.slots = longer;
        len
    }
}

/// Two ascending lists as one, in which what is in both is once.
fn merge(
    one: impl Iterator<Item = u128>,
    other: impl Iterator<Item = u128>,
) -> impl Iterator<Item = u128> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a == b => {
            other.next();
            one.next()
        }
        (Some(a), Some(b)) if a < b => one.next(),
        (_, Some(_)) => other.next(),
        _ => one.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn fingerprints(seed: u64) -> impl Iterator<Item = u128> {
        (0..).map(move |n: u64| {
            let hash = blake3::hash(&[seed.to_le_bytes(), n.to_le_bytes()].concat());
            u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap())
        })
    }

    #[test]
    fn it_agrees_with_a_plain_set() {
        let (mut seen, mut model) = (Table::new(), BTreeSet::new());
        for fingerprint in fingerprints(1)
            .take(50_000)
            .chain(fingerprints(1).take(60_000))
        {
            assert_eq!(seen.insert(fingerprint), model.insert(fingerprint));
            assert!(seen.contains(fingerprint));
        }
        assert_eq!(seen.len(), model.len());
        assert!(
            seen.shards().flatten().eq(model.iter().copied()),
            "in order"
        );
        assert!(
            fingerprints(2)
                .take(10_000)
                .all(|fingerprint| !seen.contains(fingerprint))
        );
    }

    #[test]
    fn a_run_in_ascending_order_joins_what_is_there_and_does_not_crowd() {
        let mut model: BTreeSet<u128> = fingerprints(4).take(30_000).collect();
        let mut seen = Table::new();
        for &fingerprint in &model {
            seen.insert(fingerprint);
        }
        // Long runs, short ones, and some of what was there.
        for (seed, count) in [(5, 200_000), (6, 500), (4, 40_000), (7, 1)] {
            let mut sorted: Vec<u128> = fingerprints(seed).take(count).collect();
            sorted.sort_unstable();
            let mut new = 0;
            for run in sorted.chunk_by(|a, b| shard_of(*a) == shard_of(*b)) {
                new += seen.insert_ascending(run);
            }
            let before = model.len();
            model.extend(sorted);
            assert_eq!(new, model.len() - before);
            assert!(seen.shards().flatten().eq(model.iter().copied()));
            assert_eq!(seen.len(), model.len());
        }
        for &fingerprint in &model {
            let shard = &seen.shards[shard_of(fingerprint)];
            let at = shard.find(fingerprint).unwrap();
            assert!(at - shard.home(fingerprint) < 200);
        }
        assert_eq!(seen.insert_ascending(&[]), 0);
    }

    #[test]
    fn marks_that_crowd_one_place_are_kept_apart() {
        let mut seen = Table::new();
        for low in 0..5_000_u128 {
            assert!(seen.insert(u128::MAX - low));
            assert!(seen.insert(low + 1));
        }
        assert_eq!(seen.len(), 10_000);
        assert!(!seen.insert(u128::MAX - 17));
        assert!(!seen.insert(0), "0 is taken for 1");
    }

    #[test]
    fn it_is_read_back_from_its_own_order_only() {
        let mut seen = Table::new();
        for fingerprint in fingerprints(3).take(20_000) {
            seen.insert(fingerprint);
        }
        let mut again = Table::new();
        for (number, shard) in seen.shards().enumerate() {
            let shard: Vec<u128> = shard.collect();
            assert!(again.fill_shard(number, shard.into_iter()));
        }
        assert!(again.shards().flatten().eq(seen.shards().flatten()));
        assert!(
            seen.shards()
                .flatten()
                .all(|fingerprint| !again.insert(fingerprint))
        );
        for bad in [vec![2, 1], vec![2, 2], vec![0], vec![u128::MAX]] {
            assert!(
                !Table::new().fill_shard(0, bad.clone().into_iter()),
                "{bad:?}"
            );
        }
    }
}
