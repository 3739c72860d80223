//! What the entries of a journal come to, and whether a commit says the same.

use crate::control::Counts;
use crate::job::EXCHANGE;
use crate::journal::{Commit, Entry};

/// What the entries of a journal come to.
#[derive(Default)]
pub struct Tally {
    /// Whether a request is finished, by its id, from the first id on; `None` where none is.
    finished: Vec<Option<bool>>,
    first_id: Option<u64>,
    seen: u64,
    done: u64,
    /// A file is to take the output's place: its name.
    pub exchange: Option<Vec<u8>>,
}

impl Tally {
    /// Takes the next one.
    ///
    /// # Errors
    /// In words, when it makes no sense behind those before it.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), String> {
        match entry {
            Entry::Request { id, .. } => {
                let first = *self.first_id.get_or_insert(*id);
                let index = usize::try_from(id - first).unwrap_or(usize::MAX);
                if index < self.finished.len() {
                    return Err(format!("request {id} comes twice"));
                }
                // A settled journal has no more all of them.
                self.finished.resize(index, None);
                self.finished.push(Some(false));
                self.seen += 1;
            }
            Entry::Seen { .. } => {
                self.seen += 1;
                self.done += 1;
            }
            Entry::Done { id, .. } => {
                if std::mem::replace(self.finished_mut(*id)?, true) {
                    return Err(format!("request {id} is finished twice"));
                }
                self.done += 1;
            }
            // A request that is pending again, though it was finished, is to be tried once more.
            Entry::Defer { id, .. } => {
                if std::mem::replace(self.finished_mut(*id)?, false) {
                    self.done -= 1;
                }
            }
            Entry::Set { key, value } if *key == EXCHANGE => {
                self.exchange = Some(value.to_vec());
            }
            Entry::Unset { key } if *key == EXCHANGE => self.exchange = None,
            Entry::Set { .. } | Entry::Unset { .. } | Entry::Ids { .. } | Entry::Commit(_) => {}
        }
        Ok(())
    }

    /// Why the figures of the last commit are not what the entries come to; `None` when they are.
    pub fn flaw(&self, commit: Option<&Commit>) -> Option<String> {
        let progress = commit.map(|commit| &commit.progress);
        let counts = progress.map_or_else(Counts::default, |progress| progress.counts);
        let finished = counts.done + counts.failed;
        if !counts.balances() {
            return Some(format!(
                "the last commit's counts do not add up: {counts:?}"
            ));
        }
        if (counts.seen, finished) != (self.seen, self.done) {
            return Some(format!(
                "the last commit counts {} URLs, {finished} of them finished; the entries come to {} and {}",
                counts.seen, self.seen, self.done
            ));
        }
        let progress = progress?;
        let unchanged = progress.delta?.unchanged;
        let records = progress.records + progress.withdrawn;
        (records + unchanged != finished).then(|| {
            format!(
                "the last commit counts {finished} URLs as finished, {records} records or dropped, and {unchanged} pages unchanged"
            )
        })
    }

    fn finished_mut(&mut self, id: u64) -> Result<&mut bool, String> {
        let index = self.first_id.and_then(|first| id.checked_sub(first));
        let index = index.and_then(|index| usize::try_from(index).ok());
        index
            .and_then(|index| self.finished.get_mut(index)?.as_mut())
            .ok_or_else(|| format!("there is no request {id}"))
    }
}
