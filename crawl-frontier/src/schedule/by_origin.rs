//! Hosts by their origin.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::HostId;
use crate::url::Fingerprinter;

/// So many hosts are looked for at once.
const GROUP: usize = 64;

/// A host that was met: 96 bits of the fingerprint tell a billion hosts apart, and the whole takes
/// half of the room that 128 bits and a place would.
#[derive(Debug, Clone, Copy)]
struct Met {
    fingerprint: [u32; 3],
    id: u32,
}

impl Met {
    fn new(fingerprint: u128, id: HostId) -> Met {
        Met {
            fingerprint: [0, 32, 64].map(|shift| (fingerprint >> shift) as u32),
            id: id.0,
        }
    }

    fn hash(&self) -> u64 {
        u64::from(self.fingerprint[1]) << 32 | u64::from(self.fingerprint[0])
    }
}

/// Hosts by the fingerprint of their origin. A fingerprint is as good as the text, and is found
/// with one look where the text takes three: half of a bulk load went there.
#[derive(Debug)]
pub struct ByOrigin {
    table: HashTable<Met>,
    /// Hosts that are not in it yet.
    added: Vec<Met>,
    origins: Fingerprinter,
}

impl ByOrigin {
    /// One without hosts.
    pub fn new() -> ByOrigin {
        let random = RandomState::new();
        let key = u128::from(random.hash_one(1)) << 64 | u128::from(random.hash_one(2));
        ByOrigin {
            table: HashTable::new(),
            added: Vec::new(),
            origins: Fingerprinter::new(key.to_le_bytes()),
        }
    }

    /// What gives origins their fingerprints.
    pub fn fingerprinter(&self) -> Fingerprinter {
        self.origins
    }

    /// The host with this fingerprint.
    #[inline]
    pub fn find(&self, fingerprint: u128) -> Option<HostId> {
        let wanted = Met::new(fingerprint, HostId(0));
        let is_it = |met: &Met| met.fingerprint == wanted.fingerprint;
        let found = self.table.find(wanted.hash(), is_it);
        found.map(|met| HostId(met.id))
    }

    /// Takes a host that is not there.
    #[inline]
    pub fn insert(&mut self, fingerprint: u128, id: HostId) {
        let met = Met::new(fingerprint, id);
        self.table.insert_unique(met.hash(), met, Met::hash);
    }

    /// Makes room for so many hosts that will be added.
    pub fn reserve(&mut self, hosts: usize) {
        self.added.reserve_exact(hosts);
    }

    /// Takes one of very many hosts, which is found after [`ByOrigin::index`] alone.
    pub fn add(&mut self, fingerprint: u128, id: HostId) {
        self.added.push(Met::new(fingerprint, id));
    }

    /// Has all hosts be found that were added; false when one was there before. The processor waits for the cache
    /// misses of many at once, for which a quarter of a start went.
    #[must_use]
    pub fn index(&mut self) -> bool {
        let added = std::mem::take(&mut self.added);
        self.table.reserve(added.len(), Met::hash);
        let is_new = |by_origin: &HashTable<Met>, met: &Met| {
            let is_it = |other: &Met| other.fingerprint == met.fingerprint;
            by_origin.find(met.hash(), is_it).is_none()
        };
        let mut are_new = true;
        for group in added.chunks(GROUP) {
            for met in group {
                std::hint::black_box(is_new(&self.table, met));
            }
            for met in group {
                are_new &= is_new(&self.table, met);
                self.table.insert_unique(met.hash(), *met, Met::hash);
            }
        }
        are_new
    }
}
