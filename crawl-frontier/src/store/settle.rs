//! The journals that are closed, rewritten as one with what of them still lives, while the crawl writes the
//! next: the disk follows what is pending and seen, and a start after a kill has little to read.
//!
//! All is made out of the closed journals alone, which nobody changes any more: the crawl goes on meanwhile
//! and knows nothing of it. Requests keep their ids, by which they are found from then on.

pub(crate) mod changes;
mod facts;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Entry, Replayed, Stored, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use self::changes::{Change, Fact, SortedChanges};
use self::facts::{Facts, InOrder};
use super::request::fingerprint_of;
use super::runs::{Merged, Sorter};
use crate::unnamed::MAKE_ROOM;
use crate::url::{Fingerprinter, origin};

/// Small, since a request is looked for in its batch.
const BATCH_BYTES: usize = 256 << 10;
/// Batches to a sync: the crawl's own syncs must not wait long for these.
const SYNC_EVERY: u64 = 32;

/// Settles the closed journals of a job, with about so many bytes of what is new in memory at once. False when it was
/// told to end: nothing changed then, and what there is of the new journal counts for nothing.
///
/// # Errors
/// Errors of the disk, and damage. The job is as it was then, or it refuses all further work.
pub fn settle(
    job: &mut Job,
    lock: &JobLock,
    room: usize,
    is_over: &AtomicBool,
) -> Result<bool, Failure> {
    let mut settled = match rewrite(job, lock, room, is_over) {
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
    room: usize,
    is_over: &AtomicBool,
) -> Result<Option<Writer>, Unsettled> {
    let closed = Closed { job, is_over };
    let dir = &job.place().dir;
    let mut facts = Facts::of(&closed, dir, room / 2)?;
    let (Some(commit), Some(last)) = (&facts.commit.take(), job.manifest().before.last()) else {
        return Ok(None);
    };
    let writer = job.begin_settled(lock)?;
    let mut rewriter = SettledWriter {
        batch: Batch::new(&writer.end()),
        writer,
        commit,
        is_over,
    };
    // The fingerprints of what is kept as such only from now on.
    let mut new = Sorter::new(dir, room / 2);
    rewriter.requests(&closed, &mut facts, &mut new)?;
    rewriter.batch.go_on_with(last.goes_on_at().next_id);
    rewriter.all_else(
        &closed,
        facts.changes.sorted().map_err(aside)?,
        new.sorted().map_err(aside)?,
    )?;
    rewriter.close()?;
    Ok(Some(rewriter.writer))
}

/// Why what is sorted cannot be put aside.
pub(crate) fn aside(error: io::Error) -> Failure {
    Failure::new(format_args!("cannot put aside what is sorted: {error}")).hint(MAKE_ROOM)
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

    /// True for the one that was settled before, the first.
    fn is_settled(&self, number: usize) -> bool {
        let closed = self.job.manifest().before.get(number);
        closed.is_some_and(|closed| closed.stands_for.is_some())
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

struct SettledWriter<'a> {
    batch: Batch,
    writer: Writer,
    commit: &'a Commit,
    is_over: &'a AtomicBool,
}

impl SettledWriter<'_> {
    /// The requests that live, in the order in which they came. Those that are done become fingerprints.
    fn requests(
        &mut self,
        closed: &Closed<'_>,
        facts: &mut Facts,
        new: &mut Sorter,
    ) -> Result<(), Unsettled> {
        let fingerprinter = Fingerprinter::new(closed.job.manifest().key);
        for number in 0..closed.count() {
            let mut order = closed.is_settled(number).then(InOrder::default);
            closed.tell(number, |entry| {
                let fingerprint = match entry {
                    Entry::Request { id, request, .. } if facts.is_done(id) => {
                        facts.changes.took(origin(request.url)).map_err(aside)?;
                        fingerprint_of(fingerprinter, &request)?
                    }
                    Entry::Request { id, request, .. } => return self.request(id, &request, facts),
                    Entry::Seen { fingerprint } => {
                        let fingerprint = u128::from_be_bytes(fingerprint);
                        if order.as_mut().is_some_and(|order| order.has(fingerprint)) {
                            return Ok(());
                        }
                        fingerprint
                    }
                    _ => return Ok(()),
                };
                Ok(new.push(fingerprint).map_err(aside)?)
            })?;
        }
        Ok(())
    }

    fn request(&mut self, id: u64, request: &Stored<'_>, facts: &Facts) -> Result<(), Unsettled> {
        self.batch.go_on_with(id);
        self.batch.request(request);
        if facts.failed.contains(id) {
            self.batch.done(id, true);
        } else if let Some(&(attempts, due_ms)) = facts.tries.get(&id) {
            self.batch.defer(id, attempts, due_ms);
        }
        self.close_if_full()
    }

    /// How many requests of each host are fingerprints, the values, and the fingerprints, each of them in order:
    /// so they are remembered fastest, and the next time much of them is only copied.
    fn all_else(
        &mut self,
        closed: &Closed<'_>,
        mut changes: SortedChanges,
        mut new: Merged<u128>,
    ) -> Result<(), Unsettled> {
        if closed.is_settled(0) {
            let mut order = InOrder::default();
            closed.tell(0, |entry| match entry {
                Entry::Set { key, value } if order.has_key(key) => {
                    self.changes_before(Some(key), &mut changes)?;
                    let before = Fact::of(key, value);
                    let fact = match changes.next_of(key).map_err(aside)? {
                        Some(later) => before.then(later),
                        None => before,
                    };
                    self.change(&Change::new(key, fact))
                }
                Entry::Seen { fingerprint } => {
                    let fingerprint = u128::from_be_bytes(fingerprint);
                    if !order.has(fingerprint) {
                        return Ok(());
                    }
                    self.changes_before(None, &mut changes)?;
                    self.seen_before(Some(fingerprint), &mut new)?;
                    self.seen(fingerprint)
                }
                _ => Ok(()),
            })?;
        }
        self.changes_before(None, &mut changes)?;
        self.seen_before(None, &mut new)
    }

    /// The changes of the keys before this one, or all that are left.
    fn changes_before(
        &mut self,
        key: Option<&str>,
        changes: &mut SortedChanges,
    ) -> Result<(), Unsettled> {
        while let Some(change) = changes.next_before(key).map_err(aside)? {
            self.change(&change)?;
        }
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<(), Unsettled> {
        match &change.fact {
            Fact::Taken(count) => self.batch.set(&change.key, count.to_string().as_bytes()),
            Fact::Value(value) => self.batch.set(&change.key, value),
            Fact::Gone => {}
        }
        self.close_if_full()
    }

    /// The new fingerprints before this one, or all that are left.
    fn seen_before(
        &mut self,
        fingerprint: Option<u128>,
        new: &mut Merged<u128>,
    ) -> Result<(), Unsettled> {
        let is_before = |new: &u128| fingerprint.is_none_or(|fingerprint| *new < fingerprint);
        while let Some(new) = new.next_if(is_before).map_err(aside)? {
            self.seen(new)?;
        }
        Ok(())
    }

    fn seen(&mut self, fingerprint: u128) -> Result<(), Unsettled> {
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

#[cfg(test)]
mod tests;
