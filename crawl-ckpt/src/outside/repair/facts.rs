//! What the sound batches of a damaged journal tell.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::Path;

use super::output::Records;
use crate::address::masked;
use crate::control::Counts;
use crate::durable::Disk;
use crate::error::StoreError;
use crate::job::{ClosedJournal, Manifest};
use crate::journal::{Commit, Entry, Gap, Mark, Salvaged, salvage};

/// The facts that can be proven.
#[derive(Debug, Default)]
pub struct Facts {
    /// The requests by their ids.
    pub requests: BTreeMap<u64, KnownRequest>,
    /// Attempts and due times.
    pub deferred: HashMap<u64, (u32, u64)>,
    /// Fingerprints of finished URLs.
    pub seen: Vec<[u8; 16]>,
    /// State beside the queue.
    pub values: BTreeMap<String, Vec<u8>>,
    /// The first id by the hash of the URL, as a record has it.
    by_url: HashMap<[u8; 16], u64>,
    /// Further ids of the same URL: another method or body, or another user.
    twins: HashMap<[u8; 16], Vec<u64>>,
    done: HashMap<u64, bool>,
}

/// A URL that was taken on.
#[derive(Debug)]
pub struct KnownRequest {
    pub place: KnownFrom,
    /// Whether the request failed; `None` while it is pending.
    pub finished: Option<bool>,
}

/// Where a request is known from.
#[derive(Debug)]
pub enum KnownFrom {
    /// A journal, by its number among those that were read, at this byte.
    Journal(usize, u64),
    /// A record in the output.
    Record { url: String, depth: u32 },
}

/// What could not be brought together.
#[derive(Debug, Default)]
pub struct Mismatches {
    pub lost_records: u64,
    pub foreign_records: u64,
}

impl Facts {
    /// Reads the sound batches of the journals that count. What was salvaged of the last one is told, with the gaps
    /// and batches of all.
    pub fn read(
        disk: &dyn Disk,
        dir: &Path,
        manifest: &Manifest,
    ) -> Result<(Facts, Salvaged), StoreError> {
        let mut facts = Facts::default();
        let mut all = Salvaged::default();
        let mut begin = None;
        for (number, generation) in generations(manifest).enumerate() {
            let path = dir.join(format!("journal-{generation}"));
            let told = salvage(
                disk,
                &path,
                manifest.key,
                generation,
                begin.as_ref(),
                |entry| {
                    facts.add(entry, number);
                },
            );
            let closed = manifest.before.get(number);
            let told = match told {
                // All of it is lost, and what follows may be sound.
                Err(_) if closed.is_some() => Salvaged::default(),
                told => told?,
            };
            let mut gaps = std::mem::take(&mut all.gaps);
            gaps.extend(&told.gaps);
            if let Some(closed) = closed.filter(|closed| closed.end.seq > told.seq) {
                gaps.push(lost_end(generation, &told, &closed.end));
            }
            all = Salvaged {
                gaps,
                batches: all.batches + told.batches,
                commit: told.commit.or(all.commit),
                ..told
            };
            begin = closed.map(ClosedJournal::goes_on_at);
        }
        Ok((facts, all))
    }

    fn add(&mut self, entry: Entry<'_>, journal: usize) {
        match entry {
            Entry::Request { id, at, request } => {
                self.name(request.url, id);
                let request = KnownRequest {
                    place: KnownFrom::Journal(journal, at),
                    finished: None,
                };
                self.requests.insert(id, request);
            }
            Entry::Seen { fingerprint } => self.seen.push(fingerprint),
            Entry::Done { id, failed } => {
                self.done.insert(id, failed);
            }
            Entry::Defer {
                id,
                attempts,
                due_ms,
            } => {
                self.done.remove(&id);
                self.deferred.insert(id, (attempts, due_ms));
            }
            Entry::Set { key, value } => {
                self.values.insert(key.to_owned(), value.to_owned());
            }
            Entry::Unset { key } => {
                self.values.remove(key);
            }
            Entry::Ids { .. } | Entry::Commit(_) => {}
        }
    }

    /// Decides what is finished. The output decides where it has a record; where it is not what
    /// the commit says, only a record counts.
    pub fn settle(
        &mut self,
        records: Option<&Records>,
        commit: &Commit,
        manifest: &Manifest,
    ) -> Mismatches {
        let mut mismatches = Mismatches::default();
        let mut recorded = HashSet::new();
        let mut free = self.twins_in_order();
        for record in records.iter().flat_map(|records| &records.records) {
            let id = match self.of_record(&record.url, &mut free) {
                Some(id) => id,
                // The record may be of a URL of which only the fingerprint is kept.
                None if !self.seen.is_empty() => {
                    mismatches.foreign_records += 1;
                    continue;
                }
                None => {
                    mismatches.foreign_records += 1;
                    self.take_on(record.url.clone(), record.depth)
                }
            };
            recorded.insert(id);
            self.done.insert(id, record.failed);
        }
        let makes_no_records = manifest.plan.as_ref().is_some_and(|plan| plan.delta);
        let is_whole = records.is_none_or(|records| records.is_whole(commit));
        let done_counts = is_whole || makes_no_records;
        for (id, failed) in &self.done {
            let Some(request) = self.requests.get_mut(id) else {
                continue;
            };
            if done_counts || recorded.contains(id) {
                request.finished = Some(*failed);
            } else {
                mismatches.lost_records += 1;
            }
        }
        mismatches
    }

    fn name(&mut self, url: &str, id: u64) {
        let hash = hash(&masked(url));
        if *self.by_url.entry(hash).or_insert(id) != id {
            self.twins.entry(hash).or_default().push(id);
        }
    }

    /// Of several requests with one URL, which a record is taken for next: rather one that is known to
    /// be finished, since more a record does not tell. There may be a million of them.
    fn twins_in_order(&self) -> HashMap<[u8; 16], VecDeque<u64>> {
        let in_order = |(hash, twins): (&[u8; 16], &Vec<u64>)| {
            let mut ids: Vec<u64> = self
                .by_url
                .get(hash)
                .into_iter()
                .chain(twins)
                .copied()
                .collect();
            ids.sort_unstable_by_key(|id| (!self.done.contains_key(id), *id));
            (*hash, ids.into())
        };
        self.twins.iter().map(in_order).collect()
    }

    /// The request that a record is of. Of several with one URL it is one that has no record yet.
    fn of_record(&self, url: &str, free: &mut HashMap<[u8; 16], VecDeque<u64>>) -> Option<u64> {
        let hash = hash(url);
        let first = *self.by_url.get(&hash)?;
        let next = free.get_mut(&hash).and_then(VecDeque::pop_front);
        Some(next.unwrap_or(first))
    }

    /// A URL that only its record tells of. Its id is one that no request had.
    fn take_on(&mut self, url: String, depth: u32) -> u64 {
        let id = self.requests.keys().next_back().map_or(0, |id| id + 1);
        self.name(&url, id);
        let request = KnownRequest {
            place: KnownFrom::Record { url, depth },
            finished: None,
        };
        self.requests.insert(id, request);
        id
    }

    /// How many URLs are where.
    pub fn counts(&self) -> Counts {
        let finished = |failed| {
            let requests = self.requests.values();
            requests
                .filter(|request| request.finished == Some(failed))
                .count() as u64
        };
        let (done, failed) = (finished(false) + self.seen.len() as u64, finished(true));
        let seen = (self.requests.len() + self.seen.len()) as u64;
        Counts {
            seen,
            pending: seen - done - failed,
            done,
            failed,
            ..Counts::default()
        }
    }
}

/// The journals that count, the oldest first.
pub fn generations(manifest: &Manifest) -> impl Iterator<Item = u64> + '_ {
    let before = manifest.before.iter().map(|closed| closed.generation);
    before.chain([manifest.generation])
}

/// What is missing behind what was salvaged of a journal whose end is known.
pub fn lost_end(generation: u64, told: &Salvaged, end: &Mark) -> Gap {
    Gap {
        generation,
        at: told.end,
        bytes: 0,
        batches: end.seq - told.seq,
        requests: end.next_id.saturating_sub(told.next_id),
    }
}

fn hash(url: &str) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(url.as_bytes()).as_bytes()[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::super::output::Record;
    use super::*;
    use crate::journal::Stored;

    #[test]
    fn requests_with_one_url_have_a_record_each() {
        let mut facts = Facts::default();
        let urls = [
            "http://a.example/form",
            "http://a.example/form",
            "http://u:p@a.example/",
            "http://v:p@a.example/",
        ];
        for (id, url) in (0..).zip(urls) {
            let request = Stored {
                url,
                ..Stored::default()
            };
            facts.add(Entry::Request { id, at: 0, request }, 0);
        }
        // Of the form the POST alone is finished, and the second user.
        for id in [1, 3] {
            facts.add(Entry::Done { id, failed: false }, 0);
        }
        let record = |url: &str| Record {
            url: masked(url).into_owned(),
            depth: 0,
            failed: false,
        };
        let records = |urls: &[&str]| Records {
            records: urls.iter().map(|url| record(url)).collect(),
            lines: 0,
            bytes: 0,
        };
        // The output is not what the commit says, so only records count.
        let commit = Commit {
            progress: crate::control::Progress {
                records: 9,
                ..Default::default()
            },
            ..Commit::default()
        };
        let manifest = Manifest::new("test").unwrap();
        let mut finished = |records| {
            let mismatches = facts.settle(Some(&records), &commit, &manifest);
            assert_eq!(mismatches.foreign_records + mismatches.lost_records, 0);
            let requests = facts.requests.values_mut();
            let finished = requests.map(|request| request.finished.take().is_some());
            finished.collect::<Vec<bool>>()
        };
        assert_eq!(
            finished(records(&[urls[1], urls[3]])),
            [false, true, false, true]
        );
        assert_eq!(finished(records(&urls)), [true; 4]);
    }
}
