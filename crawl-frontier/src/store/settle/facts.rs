//! What journals say of requests and values, beside the requests themselves.

use std::collections::HashMap;
use std::path::Path;

use crawl_ckpt::journal::{Commit, Entry};
use crawl_ckpt::tool::Failure;

use super::changes::{Changes, Fact, rank};
use super::{Closed, Unsettled, aside};
use crate::store::ids::Ids;

/// What the closed journals say.
pub struct Facts {
    finished: Ids,
    pub failed: Ids,
    /// Attempts and due time of requests that will be tried again, by id.
    pub tries: HashMap<u64, (u32, u64)>,
    /// What a journal that was settled before does not say in order.
    pub changes: Changes,
    pub commit: Option<Commit>,
}

impl Facts {
    /// Reads the journals; about so many bytes of changes are in memory at once, the others in this directory.
    pub fn of(closed: &Closed<'_>, dir: &Path, room: usize) -> Result<Facts, Unsettled> {
        let mut facts = Facts {
            finished: Ids::default(),
            failed: Ids::default(),
            tries: HashMap::new(),
            changes: Changes::new(dir, room),
            commit: None,
        };
        for number in 0..closed.count() {
            let mut order = closed.is_settled(number).then(InOrder::default);
            let told = closed.tell(number, |entry| facts.hear(&entry, order.as_mut()))?;
            facts.commit = told.commit.or(facts.commit.take());
        }
        Ok(facts)
    }

    fn hear(
        &mut self,
        entry: &Entry<'_>,
        mut order: Option<&mut InOrder>,
    ) -> Result<(), Unsettled> {
        let mut is_copied = |key| order.as_mut().is_some_and(|order| order.has_key(key));
        match *entry {
            Entry::Done { id, failed } => {
                if !self.finished.insert(id) {
                    return Err(Failure::new(format_args!("request {id} is finished twice")).into());
                }
                self.tries.remove(&id);
                if failed {
                    self.failed.insert(id);
                }
            }
            Entry::Defer {
                id,
                attempts,
                due_ms,
            } => {
                self.finished.remove(id);
                self.failed.remove(id);
                self.tries.insert(id, (attempts, due_ms));
            }
            Entry::Set { key, value } if !is_copied(key) => {
                self.changes
                    .note(key, Fact::of(key, value))
                    .map_err(aside)?;
            }
            Entry::Unset { key } => self.changes.note(key, Fact::Gone).map_err(aside)?,
            Entry::Seen { fingerprint } => {
                if let Some(order) = order {
                    order.has(u128::from_be_bytes(fingerprint));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// True for a request of which only the fingerprint is kept.
    pub fn is_done(&self, id: u64) -> bool {
        self.finished.contains(id) && !self.failed.contains(id)
    }
}

/// What of a settled journal is in order: its values by key, then its fingerprints. It is copied as it is read
/// once more; all else is sorted like what is new.
#[derive(Debug, Default)]
pub struct InOrder {
    key: Option<String>,
    fingerprint: Option<u128>,
}

impl InOrder {
    /// True for a key that comes in order.
    pub fn has_key(&mut self, next: &str) -> bool {
        let fits = match &self.key {
            None => true,
            Some(key) => rank(key) < rank(next),
        };
        if self.fingerprint.is_some() || !fits {
            return false;
        }
        let key = self.key.get_or_insert_default();
        key.clear();
        key.push_str(next);
        true
    }

    /// True for a fingerprint that comes in order.
    pub fn has(&mut self, next: u128) -> bool {
        let fits = self.fingerprint.is_none_or(|last| last < next);
        if fits {
            self.fingerprint = Some(next);
        }
        fits
    }
}
