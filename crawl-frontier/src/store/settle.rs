//! The journals that are closed, rewritten as one with what of them still lives, while the crawl writes the
//! next: the disk follows what is pending and seen, and a start after a kill has little to read.
//!
//! All is made out of the closed journals alone, which nobody changes any more: the crawl goes on meanwhile
//! and knows nothing of it. Requests keep their ids, by which they are found from then on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Entry, Replayed, Stored, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::replay::Finished;
use super::request::fingerprint_of;
use crate::keys::HOST;
use crate::url::{Fingerprinter, origin};

/// Small, since a request is looked for in its batch.
const BATCH_BYTES: usize = 256 << 10;
/// Batches to a sync: the crawl's own syncs must not wait long for these.
const SYNC_EVERY: u64 = 32;

/// Settles the closed journals of a job, with about so many new fingerprints in memory at once. False when it was
/// told to end: nothing changed then, and what there is of the new journal counts for nothing.
///
/// # Errors
/// Errors of the disk, and damage. The job is as it was then, or it refuses all further work.
pub fn settle(
    job: &mut Job,
    lock: &JobLock,
    at_once: u64,
    is_over: &AtomicBool,
) -> Result<bool, Failure> {
    let mut settled = match rewrite(job, lock, at_once, is_over) {
        Ok(Some(settled)) => settled,
        Ok(None) | Err(Unsettled::Over) => return Ok(false),
        Err(Unsettled::Failed(failure)) => return Err(failure),
    };
    job.switch_settled(lock, &mut settled)?;
    Ok(true)
}

/// Why journals are not settled.
enum Unsettled {
    Over,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Unsettled {
    fn from(error: E) -> Unsettled {
        Unsettled::Failed(error.into())
    }
}

fn rewrite(
    job: &Job,
    lock: &JobLock,
    at_once: u64,
    is_over: &AtomicBool,
) -> Result<Option<Writer>, Unsettled> {
    let closed = Closed { job, is_over };
    let facts = Facts::of(&closed)?;
    let (Some(commit), Some(last)) = (&facts.commit, job.manifest().before.last()) else {
        return Ok(None);
    };
    let writer = job.begin_settled(lock)?;
    let mut rewriter = SettledWriter {
        batch: Batch::new(&writer.end()),
        writer,
        commit,
        is_over,
    };
    let mut parts = Among::all(facts.finished.count().div_ceil(at_once.max(1)));
    let first = parts.next().unwrap_or_default();
    let NewlyDone { new, by_origin } = rewriter.requests(&closed, &facts, first)?;
    rewriter.batch.go_on_with(last.goes_on_at().next_id);
    rewriter.hosts_and_values(&closed, &facts, by_origin)?;
    rewriter.seen(&closed, new, first)?;
    for among in parts {
        // Too many for the memory at once: the journals are read again.
        let new = tell_requests(&closed, &facts, among, |_, _, _| Ok(()))?;
        rewriter.seen(&closed, new, among)?;
    }
    rewriter.close()?;
    Ok(Some(rewriter.writer))
}

/// The journals that are settled.
struct Closed<'a> {
    job: &'a Job,
    is_over: &'a AtomicBool,
}

impl Closed<'_> {
    fn count(&self) -> usize {
        self.job.manifest().before.len()
    }

    /// True for the one that was settled before.
    fn is_settled(&self, number: usize) -> bool {
        let closed = &self.job.manifest().before[number];
        closed.stands_for.is_some()
    }

    /// Tells the entries of one.
    fn tell(
        &self,
        number: usize,
        mut each: impl FnMut(Entry<'_>) -> Result<(), Unsettled>,
    ) -> Result<Replayed, Unsettled> {
        let mut stop = None;
        let told = self.job.replay_closed(number, |entry| {
            // There is one in each batch.
            let is_over = matches!(entry, Entry::Commit(_)) && self.is_over.load(Ordering::Relaxed);
            let heard = if is_over {
                Err(Unsettled::Over)
            } else {
                each(entry)
            };
            heard.map_err(|why| {
                let words = match &why {
                    Unsettled::Over => "a signal came".to_owned(),
                    Unsettled::Failed(failure) => failure.message.clone(),
                };
                stop = Some(why);
                words
            })
        });
        match stop {
            Some(why) => Err(why),
            None => Ok(told?),
        }
    }
}

/// What the journals say of requests and values.
#[derive(Default)]
struct Facts {
    finished: Finished,
    failed: HashSet<u64>,
    /// Attempts and due time of requests that will be tried again, by id.
    tries: HashMap<u64, (u32, u64)>,
    /// Values since the journal that was settled before; `None` of a key that has none any more.
    changes: BTreeMap<String, Option<Vec<u8>>>,
    commit: Option<Commit>,
}

impl Facts {
    fn of(closed: &Closed<'_>) -> Result<Facts, Unsettled> {
        let mut facts = Facts::default();
        for number in 0..closed.count() {
            let is_settled = closed.is_settled(number);
            let told = closed.tell(number, |entry| facts.hear(&entry, is_settled))?;
            facts.commit = told.commit.or(facts.commit.take());
        }
        let finished = &facts.finished;
        facts.tries.retain(|id, _| !finished.contains(*id));
        Ok(facts)
    }

    fn hear(&mut self, entry: &Entry<'_>, is_settled: bool) -> Result<(), Unsettled> {
        match *entry {
            Entry::Done { id, failed } => {
                if !self.finished.insert(id) {
                    return Err(Failure::new(format_args!("request {id} is finished twice")).into());
                }
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
                self.failed.remove(&id);
                self.tries.insert(id, (attempts, due_ms));
            }
            Entry::Set { key, value } if !is_settled && !key.starts_with(HOST) => {
                self.changes.insert(key.to_owned(), Some(value.to_owned()));
            }
            Entry::Unset { key } => {
                self.changes.insert(key.to_owned(), None);
            }
            _ => {}
        }
        Ok(())
    }

    /// True for a request of which only the fingerprint is kept.
    fn is_done(&self, id: u64) -> bool {
        self.finished.contains(id) && !self.failed.contains(&id)
    }
}

/// What is kept as fingerprints only from now on.
struct NewlyDone {
    /// Some of the fingerprints.
    new: Vec<u128>,
    /// Requests by their host.
    by_origin: HashMap<String, u64>,
}

/// One of so many equal parts of all fingerprints.
#[derive(Clone, Copy)]
struct Among {
    part: u64,
    parts: u64,
}

impl Default for Among {
    /// All of them.
    fn default() -> Among {
        Among { part: 0, parts: 1 }
    }
}

impl Among {
    fn all(parts: u64) -> impl Iterator<Item = Among> {
        let parts = parts.max(1);
        (0..parts).map(move |part| Among { part, parts })
    }

    fn has(self, fingerprint: u128) -> bool {
        let part = ((fingerprint >> 64) * u128::from(self.parts)) >> 64;
        part == u128::from(self.part)
    }
}

/// Tells all requests, and whether only the fingerprint is kept of them from now on. Gives the new fingerprints, as
/// far as they are among some.
fn tell_requests(
    closed: &Closed<'_>,
    facts: &Facts,
    among: Among,
    mut each: impl FnMut(u64, &Stored<'_>, bool) -> Result<(), Unsettled>,
) -> Result<Vec<u128>, Unsettled> {
    let fingerprinter = Fingerprinter::new(closed.job.manifest().key);
    let mut new = Vec::new();
    for number in 0..closed.count() {
        let mut run = Ascending::default();
        closed.tell(number, |entry| {
            let fingerprint = match entry {
                Entry::Request { id, request, .. } => {
                    let is_done = facts.is_done(id);
                    each(id, &request, is_done)?;
                    if !is_done {
                        return Ok(());
                    }
                    fingerprint_of(fingerprinter, &request)?
                }
                Entry::Seen { fingerprint } => {
                    let fingerprint = u128::from_be_bytes(fingerprint);
                    // The first journal's are told again in order.
                    if number == 0 && run.takes(fingerprint) {
                        return Ok(());
                    }
                    fingerprint
                }
                _ => return Ok(()),
            };
            if among.has(fingerprint) {
                new.push(fingerprint);
            }
            Ok(())
        })?;
    }
    Ok(new)
}

struct SettledWriter<'a> {
    batch: Batch,
    writer: Writer,
    commit: &'a Commit,
    is_over: &'a AtomicBool,
}

impl SettledWriter<'_> {
    /// The requests that live, in the order in which they came. Gives those that are done, their fingerprints as
    /// far as they are among some.
    fn requests(
        &mut self,
        closed: &Closed<'_>,
        facts: &Facts,
        among: Among,
    ) -> Result<NewlyDone, Unsettled> {
        let mut by_origin: HashMap<String, u64> = HashMap::new();
        let new = tell_requests(closed, facts, among, |id, request, is_done| {
            if !is_done {
                return self.request(id, request, facts);
            }
            let origin = origin(request.url);
            match by_origin.get_mut(origin) {
                Some(taken) => *taken += 1,
                None => drop(by_origin.insert(origin.to_owned(), 1)),
            }
            Ok(())
        })?;
        Ok(NewlyDone { new, by_origin })
    }

    fn request(&mut self, id: u64, request: &Stored<'_>, facts: &Facts) -> Result<(), Unsettled> {
        self.batch.go_on_with(id);
        self.batch.request(request);
        if facts.failed.contains(&id) {
            self.batch.done(id, true);
        } else if let Some(&(attempts, due_ms)) = facts.tries.get(&id) {
            self.batch.defer(id, attempts, due_ms);
        }
        self.close_if_full()
    }

    /// How many requests of each host are fingerprints, and the values, of which some are kept only when their
    /// host is known.
    fn hosts_and_values(
        &mut self,
        closed: &Closed<'_>,
        facts: &Facts,
        mut taken: HashMap<String, u64>,
    ) -> Result<(), Unsettled> {
        let is_settled = closed.is_settled(0);
        closed.tell(0, |entry| {
            let Entry::Set { key, value } = entry else {
                return Ok(());
            };
            if let Some(origin) = key.strip_prefix(HOST) {
                let before = std::str::from_utf8(value).ok();
                let before = before.and_then(|taken| taken.parse().ok()).unwrap_or(0);
                self.host(origin, before + taken.remove(origin).unwrap_or(0))
            } else if is_settled && !facts.changes.contains_key(key) {
                // Behind the hosts that were there comes the first value.
                self.new_hosts(&mut taken)?;
                self.batch.set(key, value);
                self.close_if_full()
            } else {
                Ok(())
            }
        })?;
        self.new_hosts(&mut taken)?;
        for (key, value) in &facts.changes {
            if let Some(value) = value {
                self.batch.set(key, value);
                self.close_if_full()?;
            }
        }
        Ok(())
    }

    fn new_hosts(&mut self, taken: &mut HashMap<String, u64>) -> Result<(), Unsettled> {
        for (origin, taken) in taken.drain() {
            self.host(&origin, taken)?;
        }
        Ok(())
    }

    fn host(&mut self, origin: &str, taken: u64) -> Result<(), Unsettled> {
        let key = format!("{HOST}{origin}");
        self.batch.set(&key, taken.to_string().as_bytes());
        self.close_if_full()
    }

    /// The fingerprints of what is done, in ascending order: so they are remembered fastest.
    fn seen(
        &mut self,
        closed: &Closed<'_>,
        mut new: Vec<u128>,
        among: Among,
    ) -> Result<(), Unsettled> {
        new.sort_unstable();
        let mut new = new.into_iter().peekable();
        let mut run = Ascending::default();
        closed.tell(0, |entry| {
            let Entry::Seen { fingerprint } = entry else {
                return Ok(());
            };
            let fingerprint = u128::from_be_bytes(fingerprint);
            if !run.takes(fingerprint) || !among.has(fingerprint) {
                return Ok(());
            }
            while let Some(before) = new.next_if(|new| *new < fingerprint) {
                self.seen_one(before)?;
            }
            self.seen_one(fingerprint)
        })?;
        new.try_for_each(|fingerprint| self.seen_one(fingerprint))
    }

    fn seen_one(&mut self, fingerprint: u128) -> Result<(), Unsettled> {
        self.batch.seen(&fingerprint.to_be_bytes());
        self.close_if_full()
    }

    fn close_if_full(&mut self) -> Result<(), Unsettled> {
        if self.batch.bytes() >= BATCH_BYTES {
            self.close()
        } else {
            Ok(())
        }
    }

    fn close(&mut self) -> Result<(), Unsettled> {
        if self.is_over.load(Ordering::Relaxed) {
            return Err(Unsettled::Over);
        }
        self.writer.put(&mut self.batch, self.commit, SYNC_EVERY)?;
        Ok(())
    }
}

/// What of a list is in ascending order, one after another.
#[derive(Default)]
struct Ascending {
    last: Option<u128>,
}

impl Ascending {
    fn takes(&mut self, next: u128) -> bool {
        let fits = self.last.is_none_or(|last| last < next);
        if fits {
            self.last = Some(next);
        }
        fits
    }
}

#[cfg(test)]
mod tests;
