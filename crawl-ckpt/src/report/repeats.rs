//! What several pages have in common: their content, or their title.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// So many different values are looked for; a table of them takes some 50 MB.
const MAX_VALUES: usize = 1_800_000;

/// So many pages of a group are shown.
const SHOWN: usize = 5;

/// Values met so far, by their hashes.
#[derive(Debug, Default)]
pub struct Repeats {
    /// Met once: where, and the beginning of the hash of what else the page has.
    once: HashMap<u64, (u64, u32)>,
    groups: HashMap<u64, Twins>,
    passed_over: u64,
}

/// Pages that have a value in common.
#[derive(Debug, Clone)]
pub struct Twins {
    /// How many.
    pub count: u64,
    /// Bytes of the last one.
    pub bytes: u64,
    /// Where the first few stand.
    pub places: Vec<u64>,
    /// They are not alike in everything else.
    is_varied: bool,
    rest: u32,
}

impl Repeats {
    /// A page at this place has the value, and is `bytes` long; `rest` stands for what else it is.
    pub fn add(&mut self, value: u64, place: u64, bytes: u64, rest: u64) {
        let rest = rest as u32;
        if let Some(group) = self.groups.get_mut(&value) {
            group.count += 1;
            group.bytes = bytes;
            group.is_varied |= rest != group.rest;
            if group.places.len() < SHOWN {
                group.places.push(place);
            }
            return;
        }
        let is_full = self.once.len() + self.groups.len() >= MAX_VALUES;
        match self.once.entry(value) {
            Entry::Occupied(first) => {
                let (first, first_rest) = first.remove();
                let group = Twins {
                    count: 2,
                    bytes,
                    places: vec![first, place],
                    is_varied: rest != first_rest,
                    rest,
                };
                self.groups.insert(value, group);
            }
            Entry::Vacant(_) if is_full => self.passed_over += 1,
            Entry::Vacant(entry) => {
                entry.insert((place, rest));
            }
        }
    }

    /// So many pages were not compared, since there were too many values.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// The groups that waste the most first; with `varied`, only those that differ in the rest.
    pub fn groups(&self, varied: bool) -> Vec<&Twins> {
        let groups = self.groups.values();
        let mut groups: Vec<&Twins> = groups.filter(|group| group.is_varied || !varied).collect();
        groups.sort_by_key(|group| {
            let copies = group.count - 1;
            let weight = if varied { copies } else { group.wasted() };
            (std::cmp::Reverse((weight, copies)), group.places[0])
        });
        groups
    }
}

impl Twins {
    /// Bytes that one copy alone would have spared.
    pub fn wasted(&self) -> u64 {
        self.bytes.saturating_mul(self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_with_a_value_in_common_are_found_with_their_first_places() {
        let mut repeats = Repeats::default();
        for place in 0..10 {
            repeats.add(7, place, 100, 1);
        }
        repeats.add(8, 10, 5, 1);
        repeats.add(9, 11, 5, 1);
        repeats.add(9, 12, 5, 2);
        let groups = repeats.groups(false);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].count, groups[0].wasted()), (10, 900));
        assert_eq!(groups[0].places, [0, 1, 2, 3, 4]);
        let varied = repeats.groups(true);
        assert_eq!(varied.len(), 1);
        assert_eq!(varied[0].places, [11, 12]);
    }

    #[test]
    fn a_full_table_takes_no_more_and_says_so() {
        let mut repeats = Repeats::default();
        for value in 0..MAX_VALUES as u64 + 3 {
            repeats.add(value, value, 1, 0);
        }
        repeats.add(0, 1, 1, 0);
        assert_eq!(repeats.passed_over(), 3);
        assert_eq!(repeats.groups(false).len(), 1);
        assert!(repeats.once.len() + repeats.groups.len() <= MAX_VALUES);
    }
}
