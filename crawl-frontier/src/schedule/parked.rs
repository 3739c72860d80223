//! The parked hosts: how many, and which of them have the most waiting. Each commit tells that, and
//! there may be a hundred thousand, so it is kept and not counted.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::HostId;

/// Parked hosts for which requests wait.
#[derive(Debug, Default)]
pub struct ParkedHosts {
    /// With how many wait.
    by_pending: BTreeSet<(Reverse<u32>, HostId)>,
    pending: u64,
}

impl ParkedHosts {
    /// So many requests waited for a parked host, and so many do now. One that is not parked has none.
    pub fn tell(&mut self, id: HostId, before: u32, now: u32) {
        if before == now {
            return;
        }
        self.by_pending.remove(&(Reverse(before), id));
        if now > 0 {
            self.by_pending.insert((Reverse(now), id));
        }
        self.pending = self.pending - u64::from(before) + u64::from(now);
    }

    /// How many hosts.
    pub fn count(&self) -> usize {
        self.by_pending.len()
    }

    /// Requests that wait for all of them.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// The hosts with what waits for them, the most first.
    pub fn iter(&self) -> impl Iterator<Item = (HostId, u32)> {
        self.by_pending
            .iter()
            .map(|&(Reverse(pending), id)| (id, pending))
    }
}
