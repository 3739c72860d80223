//! Hosts by the fingerprint of their origin. A fingerprint is as good as the text, and is found with one look where
//! the text takes three: half of a bulk load went there.

use std::hash::{BuildHasher, RandomState};

use super::HostId;
use crate::table::Table;
use crate::url::Fingerprinter;

/// 96 bits of a fingerprint tell a billion hosts apart. They stand before the host in a table, which finds the first
/// one that begins so.
const HOST_BITS: u32 = 32;
/// So many are looked for at once.
const GROUP: usize = 64;

/// The hosts that were met.
#[derive(Debug)]
pub struct ByOrigin {
    table: Table,
    /// Hosts that are not in it yet.
    added: Vec<u128>,
    origins: Fingerprinter,
}

impl ByOrigin {
    /// One without hosts.
    pub fn new() -> ByOrigin {
        let random = RandomState::new();
        let key = u128::from(random.hash_one(1)) << 64 | u128::from(random.hash_one(2));
        ByOrigin {
            table: Table::new(),
            added: Vec::new(),
            origins: Fingerprinter::new(key.to_le_bytes()),
        }
    }

    /// What gives origins their fingerprints.
    pub fn fingerprinter(&self) -> Fingerprinter {
        self.origins
    }

    /// Has the processor fetch what [`ByOrigin::find`] will look at.
    #[inline]
    pub fn touch(&self, fingerprint: u128) {
        self.table.touch(fingerprint << HOST_BITS);
    }

    /// The host whose origin has this fingerprint.
    #[inline]
    pub fn find(&self, fingerprint: u128) -> Option<HostId> {
        let first = fingerprint << HOST_BITS | 1;
        let found = self.table.at_or_behind(first)?;
        is_same(found, first).then(|| HostId(found as u32 - 1))
    }

    /// Adds a host that is not in it.
    pub fn insert(&mut self, fingerprint: u128, id: HostId) {
        self.table.insert(met(fingerprint, id));
    }

    /// Makes room for so many hosts that will be added.
    pub fn reserve(&mut self, hosts: usize) {
        self.added.reserve_exact(hosts);
    }

    /// Takes one of very many hosts. It is found after [`ByOrigin::index`] alone.
    pub fn add(&mut self, fingerprint: u128, id: HostId) {
        self.added.push(met(fingerprint, id));
    }

    /// Has all hosts be found that were added; false when one was there before.
    #[must_use]
    pub fn index(&mut self) -> bool {
        let added = std::mem::take(&mut self.added);
        self.table.reserve(added.len());
        let mut are_new = true;
        for group in added.chunks(GROUP) {
            for one in group {
                self.table.touch(*one);
            }
            for one in group {
                let first = *one >> HOST_BITS << HOST_BITS | 1;
                let found = self.table.at_or_behind(first);
                are_new &= !found.is_some_and(|found| is_same(found, first));
                self.table.insert(*one);
            }
        }
        are_new
    }
}

/// A host as it stands in the table. It is counted from 1 on, since the table takes 0 for another.
fn met(fingerprint: u128, id: HostId) -> u128 {
    fingerprint << HOST_BITS | (u128::from(id.0) + 1)
}

/// Both are of one host.
fn is_same(one: u128, other: u128) -> bool {
    (one ^ other) >> HOST_BITS == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_found_by_what_its_fingerprint_ends_with_and_no_other() {
        let origins = ByOrigin::new().fingerprinter();
        let of = |n: u32| origins.get(&format!("https://h{n}.example"));
        let mut hosts = ByOrigin::new();
        for n in 0..30_000 {
            hosts.add(of(n), HostId(n));
        }
        // Neighbours, and the ends of the table.
        let odd = [0, 1, 2, u128::MAX >> 32, (u128::MAX >> 32) - 1];
        for (fingerprint, n) in odd.into_iter().zip(30_000..) {
            hosts.add(fingerprint, HostId(n));
        }
        assert!(hosts.index());
        for n in 40_000..50_000 {
            hosts.insert(of(n), HostId(n));
        }
        for n in (0..30_000).chain(40_000..50_000) {
            assert_eq!(hosts.find(of(n)), Some(HostId(n)));
        }
        for (fingerprint, n) in odd.into_iter().zip(30_000..) {
            assert_eq!(hosts.find(fingerprint), Some(HostId(n)));
        }
        assert_eq!(hosts.find(3), None);
        assert!((30_000..40_000).all(|n| hosts.find(of(n)).is_none()));
        hosts.add(of(7), HostId(50_000));
        assert!(!hosts.index());
    }
}
