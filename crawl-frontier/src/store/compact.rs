//! A journal rewritten to what still lives: the fingerprint of every URL that is done, and the
//! requests that are pending or have failed whole: these may be asked for once more.
//!
//! Done at a clean pause, when most of the journal is dead; the size of a
//! checkpoint then follows what is pending and seen, not what happened.

use std::collections::{BTreeMap, HashMap};
use std::io;

use crawl_ckpt::control::{Counts, Progress};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Entry, Mark, Reader, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::ids::Ids;
use super::lanes::{self, Lanes, LastRead};
use super::memory::View;
use super::request::fingerprint_of;
use super::runs::Sorter;
use super::settle::aside;
use super::unsound::Unsound;
use super::{Rest, Ticket, Tries, Watch};
use crate::keys::{HOST, OfHost};
use crate::rules;
use crate::schedule::{HostId, Schedule};
use crate::url::{Fingerprinter, origin};

/// A smaller journal is not worth the rewriting.
const WORTH_BYTES: u64 = 32 << 20;
/// A fingerprint with its tag.
const SEEN_BYTES: u64 = 17;
/// A request that is kept whole, of the shorter ones.
const WHOLE_BYTES: u64 = 60;
/// A host, of the shorter ones.
const HOST_BYTES: u64 = 30;
/// The length of requests is told by so many of those pending, and what hosts take by so many.
const SAMPLES: u64 = 256;
const BATCH_BYTES: usize = 4 << 20;
/// Batches to a sync: nothing can end one, so it must not have a gigabyte to write.
const SYNC_EVERY: u64 = 16;
/// Whether anybody is in a hurry is asked so often, in fingerprints.
const ASK_EVERY: u64 = 1 << 16;

/// True when a rewritten journal would be half as long at most.
///
/// # Errors
/// Errors of the disk, and damage.
pub fn is_worth(job: &Job, end: &Mark, view: &View<'_>) -> Result<bool, Failure> {
    let Progress { counts, hosts, .. } = &view.rest.progress;
    let bytes_now = job.journal_bytes();
    let is_worth = |living: u64| bytes_now >= WORTH_BYTES && living * 2 <= bytes_now;
    Ok(is_worth(living_bytes(counts, *hosts)) && is_worth(living_now(job, end, view)?))
}

/// About how long a rewritten journal would be.
fn living_now(job: &Job, end: &Mark, view: &View<'_>) -> Result<u64, Failure> {
    let Progress { counts, hosts, .. } = &view.rest.progress;
    let requests = (counts.seen - counts.done) * request_bytes(job, end, view)?;
    Ok(counts.done * SEEN_BYTES + requests + hosts * host_bytes(end, view)?)
}

/// What lives in the journals of a crawl, when all of it is short.
pub fn living_bytes(counts: &Counts, hosts: u64) -> u64 {
    let whole = counts.seen - counts.done;
    counts.done * SEEN_BYTES + whole * WHOLE_BYTES + hosts * HOST_BYTES
}

/// What a host takes, on average.
fn host_bytes(end: &Mark, view: &View<'_>) -> Result<u64, Failure> {
    let mut batch = Batch::new(end);
    let empty = batch.bytes();
    let step = view.rest.schedule.count() as u64 / SAMPLES + 1;
    let mut samples = 0;
    for (id, host) in view.rest.schedule.hosts().step_by(step as usize) {
        put_host(&mut batch, id, host.taken, view)?;
        samples += 1;
    }
    Ok(((batch.bytes() - empty) as u64 / samples.max(1)).max(HOST_BYTES))
}

/// Writes what is kept of a host, of whose requests so many are fingerprints.
fn put_host(batch: &mut Batch, id: HostId, taken: u64, view: &View<'_>) -> Result<(), Failure> {
    let Rest {
        schedule, rules, ..
    } = &view.rest;
    let origin = schedule.origin(id);
    batch.set(&format!("{HOST}{origin}"), taken.to_string().as_bytes());
    if schedule.host(id).is_heard() {
        // Any page will do of a host of which nothing is to come.
        let page = schedule.page(id).unwrap_or("/");
        batch.set(&OfHost::Answered.key(&origin), page.as_bytes());
    }
    if let Some(rules) = rules.saved(id).map_err(rules::failed)? {
        batch.set(&OfHost::Robots.key(&origin), rules.as_bytes());
    }
    Ok(())
}

/// What a pending request takes, on average.
fn request_bytes(job: &Job, end: &Mark, view: &View<'_>) -> Result<u64, Failure> {
    let reader = job.reader()?;
    let (mut batch, mut buffer) = (Batch::new(end), Vec::new());
    let empty = batch.bytes();
    let hosts = view.rest.schedule.ids();
    let tickets = hosts.flat_map(|id| view.lanes.at_hand(id));
    let step = view.rest.schedule.pending() / SAMPLES + 1;
    let mut samples = 0;
    for ticket in tickets.step_by(step as usize) {
        batch.request(&reader.request_at(ticket.id, ticket.at, &mut buffer)?);
        samples += 1;
    }
    Ok(((batch.bytes() - empty) as u64 / samples.max(1)).max(WHOLE_BYTES))
}

/// What was rewritten, for an image of it.
#[derive(Debug)]
pub struct Compacted {
    /// The end of the new journal.
    pub end: Mark,
    /// What waits in the hosts, with its new tickets …
    lanes: Lanes,
    /// … and what waits in none.
    others: Vec<(HostId, Ticket)>,
    /// Attempts and due time of requests that will be tried again, by new id.
    tries: Tries,
}

impl Compacted {
    /// What an image of it is made from, as `old` was of the journal before.
    pub fn view<'a>(&'a self, old: View<'a>) -> View<'a> {
        View {
            lanes: &self.lanes,
            rest: Rest {
                others: self.others.clone(),
                tries: self.tries.clone(),
                ..old.rest
            },
            ..old
        }
    }
}

/// Rewrites the journal and puts the new one in force, with about `room` bytes of what is sorted in memory at once.
/// `None` in a hurry: the old one is in force then, and what there is of the new one is left for [`Job::sweep`].
///
/// # Errors
/// Errors of the disk; the old journal is in force then, or the new one. After damage in a part it is the old one.
pub fn compact(
    job: &mut Job,
    lock: &JobLock,
    end: &Mark,
    view: &View<'_>,
    room: usize,
    watch: &mut dyn Watch,
) -> Result<Option<Compacted>, Unsound> {
    let rewritten = match rewrite(job, lock, end, view, room, watch) {
        Ok(rewritten) => rewritten,
        Err(Unwritten::Hurry) => return Ok(None),
        Err(Unwritten::Failed(why)) => return Err(why),
    };
    let Rewriter {
        mut writer,
        lanes,
        others,
        tries,
        ..
    } = rewritten;
    job.switch_generation(lock, &mut writer)
        .map_err(|e| Unsound::Other(e.into()))?;
    Ok(Some(Compacted {
        end: writer.end(),
        lanes,
        others,
        tries,
    }))
}

/// Why a journal is not rewritten to its end.
#[derive(Debug)]
enum Unwritten {
    Hurry,
    Failed(Unsound),
}

impl<E: Into<Failure>> From<E> for Unwritten {
    fn from(error: E) -> Unwritten {
        Unwritten::Failed(Unsound::Other(error.into()))
    }
}

fn hold_on(watch: &mut dyn Watch) -> Result<(), Unwritten> {
    if watch.is_in_a_hurry() {
        Err(Unwritten::Hurry)
    } else {
        Ok(())
    }
}

fn rewrite<'a>(
    job: &Job,
    lock: &JobLock,
    end: &Mark,
    view: &View<'_>,
    room: usize,
    watch: &'a mut dyn Watch,
) -> Result<Rewriter<'a>, Unwritten> {
    let dir = &job.place().dir;
    let commit = Commit {
        at_ms: view.rest.at_ms,
        progress: view.rest.progress.clone(),
        files: view.files.clone(),
        tails: view.tails.clone(),
    };
    let mut failed = Failed::none(Sorter::new(dir, room / 2));
    if view.rest.progress.counts.failed > 0 {
        failed.read(job, view.rest.schedule, watch)?;
    }
    let writer = job.begin_generation(lock, end.next_id)?;
    let mut rewriter = Rewriter {
        fingerprinter: Fingerprinter::new(job.manifest().key),
        reader: job.reader()?,
        batch: Batch::new(&writer.end()),
        writer,
        commit,
        lanes: view.lanes.anew(),
        others: Vec::with_capacity(view.rest.others.len()),
        tries: BTreeMap::new(),
        living: Sorter::new(dir, room / 2),
        buffer: Vec::new(),
        watch,
    };
    rewriter.rewrite(view, failed)?;
    hold_on(rewriter.watch)?;
    Ok(rewriter)
}

/// The requests that have failed.
struct Failed {
    /// Where they lie in the journal, in the order in which they came.
    tickets: Sorter,
    by_host: HashMap<HostId, u64>,
}

impl Failed {
    fn none(tickets: Sorter) -> Failed {
        Failed {
            tickets,
            by_host: HashMap::new(),
        }
    }

    /// Which they are is in no memory: few crawls ask for it.
    fn read(
        &mut self,
        job: &Job,
        schedule: &Schedule<Ticket>,
        watch: &mut dyn Watch,
    ) -> Result<(), Unwritten> {
        let mut ids = Ids::default();
        Failed::replay(job, watch, |entry| {
            match entry {
                Entry::Done { id, failed: true } => drop(ids.insert(id)),
                Entry::Defer { id, .. } => drop(ids.remove(id)),
                _ => {}
            }
            Ok(())
        })?;
        Failed::replay(job, watch, |entry| {
            if let Entry::Request { id, at, request } = entry
                && ids.contains(id)
            {
                self.tickets.push(number_of(Ticket { id, at }))?;
                if let Some(host) = schedule.find_host(origin(request.url)) {
                    *self.by_host.entry(host).or_default() += 1;
                }
            }
            Ok(())
        })
    }

    fn replay(
        job: &Job,
        watch: &mut dyn Watch,
        mut each: impl FnMut(Entry<'_>) -> io::Result<()>,
    ) -> Result<(), Unwritten> {
        let (mut is_stopped, mut failed) = (false, None);
        let replayed = job.replay(None, |entry| {
            // There is one in each batch.
            is_stopped |= matches!(entry, Entry::Commit(_)) && watch.is_in_a_hurry();
            if is_stopped {
                return Err("a signal came".into());
            }
            each(entry).map_err(|e| {
                let words = e.to_string();
                failed = Some(e);
                words
            })
        });
        match (replayed, failed) {
            (_, Some(error)) => Err(aside(error).into()),
            (Err(_), _) if is_stopped => Err(Unwritten::Hurry),
            (replayed, _) => replayed.map(drop).map_err(Unwritten::from),
        }
    }
}

/// As a number by which tickets are in the order in which they came.
fn number_of(ticket: Ticket) -> u128 {
    u128::from(ticket.id) << 64 | u128::from(ticket.at)
}

fn ticket_of(number: u128) -> Ticket {
    Ticket {
        id: (number >> 64) as u64,
        at: number as u64,
    }
}

struct Rewriter<'a> {
    fingerprinter: Fingerprinter,
    reader: Reader,
    batch: Batch,
    writer: Writer,
    commit: Commit,
    lanes: Lanes,
    others: Vec<(HostId, Ticket)>,
    tries: Tries,
    /// The fingerprints of requests that are kept whole.
    living: Sorter,
    buffer: Vec<u8>,
    watch: &'a mut dyn Watch,
}

impl Rewriter<'_> {
    fn rewrite(&mut self, view: &View<'_>, mut failed: Failed) -> Result<(), Unwritten> {
        for (key, value) in &view.rest.values {
            self.batch.set(key, value.as_bytes());
            self.close_if_full()?;
        }
        let mut others: BTreeMap<HostId, Vec<Ticket>> = BTreeMap::new();
        for &(host, ticket) in &view.rest.others {
            others.entry(host).or_default().push(ticket);
        }
        let mut last = LastRead::default();
        for (id, host) in view.rest.schedule.hosts() {
            let others = others.remove(&id).unwrap_or_default();
            // Requests that are kept whole count themselves when they are read back.
            let failed = failed.by_host.get(&id).copied().unwrap_or(0);
            let whole = failed + u64::from(host.pending) + others.len() as u64;
            put_host(&mut self.batch, id, host.taken.saturating_sub(whole), view)?;
            self.close_if_full()?;
            // They were sent before, so they go first.
            for ticket in others {
                let (new, _) = self.request(ticket, view)?;
                self.others.push((id, new));
            }
            let mut stop = None;
            let told = view.lanes.each(id, &mut last, |_, ticket| {
                let copied = self.request(ticket, view);
                let (new, priority) = copied.map_err(|why| {
                    stop = Some(why);
                    io::Error::from(io::ErrorKind::Other)
                })?;
                self.lanes.push(id, new, priority);
                Ok(())
            });
            match stop {
                Some(why) => return Err(why),
                None => told.map_err(|e| Unwritten::Failed(lanes::failed(e)))?,
            }
        }
        let mut tickets = failed.tickets.sorted().map_err(aside)?;
        while let Some(number) = tickets.next().map_err(aside)? {
            let (new, _) = self.copy(ticket_of(number))?;
            self.batch.done(new.id, true);
            self.close_if_full()?;
        }
        self.lanes.check()?;
        self.finished(view)?;
        self.close()
    }

    /// Writes a pending request again; its new ticket, and its priority.
    fn request(&mut self, old: Ticket, view: &View<'_>) -> Result<(Ticket, i64), Unwritten> {
        let (new, priority) = self.copy(old)?;
        if let Some(&(attempts, due_ms)) = view.rest.tries.get(&old.id) {
            self.batch.defer(new.id, attempts, due_ms);
            self.tries.insert(new.id, (attempts, due_ms));
        }
        self.close_if_full()?;
        Ok((new, priority))
    }

    /// Writes a request again; its new ticket, and its priority.
    fn copy(&mut self, old: Ticket) -> Result<(Ticket, i64), Unwritten> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let stored = self.reader.request_at(old.id, old.at, &mut buffer)?;
        let fingerprint = fingerprint_of(self.fingerprinter, &stored)?;
        self.living.push(fingerprint).map_err(aside)?;
        let (id, at) = self.batch.request(&stored);
        let priority = stored.priority;
        self.buffer = buffer;
        Ok((Ticket { id, at }, priority))
    }

    /// The fingerprints of what is done: all that were seen but those kept whole.
    fn finished(&mut self, view: &View<'_>) -> Result<(), Unwritten> {
        let mut living = self.living.sorted().map_err(aside)?;
        let damaged = |e| Unwritten::Failed(Unsound::part(e));
        let mut seen = view.seen.sorted().map_err(damaged)?;
        let mut asked = 0_u64;
        while let Some(fingerprint) = seen.next().map_err(damaged)? {
            if asked.is_multiple_of(ASK_EVERY) {
                hold_on(self.watch)?;
            }
            asked += 1;
            let is_next = |living: &u128| *living == fingerprint;
            if living.next_if(is_next).map_err(aside)?.is_none() {
                self.batch.seen(&fingerprint.to_be_bytes());
                self.close_if_full()?;
            }
        }
        if living.peek().is_some() {
            return Err(Failure::new("a request is not among those seen").into());
        }
        Ok(())
    }

    fn close_if_full(&mut self) -> Result<(), Unwritten> {
        if self.batch.bytes() >= BATCH_BYTES {
            self.close()
        } else {
            Ok(())
        }
    }

    fn close(&mut self) -> Result<(), Unwritten> {
        hold_on(self.watch)?;
        self.writer.put(&mut self.batch, &self.commit, SYNC_EVERY)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
