//! A journal rewritten to what still lives: the fingerprint of every URL that is done, and the
//! requests that are pending or have failed whole: these may be asked for once more.
//!
//! Done at a clean pause, when most of the journal is dead; the size of a
//! checkpoint then follows what is pending and seen, not what happened.

use std::collections::{BTreeMap, HashMap, HashSet};

use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Entry, Mark, Reader, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::lanes::Lanes;
use super::memory::View;
use super::request::fingerprint_of;
use super::{Rest, Ticket, Tries};
use crate::keys::{HOST, OfHost};
use crate::schedule::{HostId, Schedule};
use crate::url::{Fingerprinter, origin};

/// A smaller journal is not worth the rewriting.
const WORTH_BYTES: u64 = 32 << 20;
/// A fingerprint with its tag.
const SEEN_BYTES: u64 = 17;
/// A request that is kept whole, of the shorter ones.
const WHOLE_BYTES: u64 = 60;
/// The length of requests is told by so many of those pending.
const SAMPLES: u64 = 256;
const BATCH_BYTES: usize = 4 << 20;

/// True when a rewritten journal would be half as long at most.
///
/// # Errors
/// Errors of the disk, and damage.
pub fn is_worth(job: &Job, end: &Mark, view: &View<'_>) -> Result<bool, Failure> {
    let counts = view.rest.progress.counts;
    let whole = counts.seen - counts.done;
    let is_worth = |bytes: u64| {
        let living = counts.done * SEEN_BYTES + whole * bytes;
        end.bytes >= WORTH_BYTES && living * 2 <= end.bytes
    };
    Ok(is_worth(WHOLE_BYTES) && is_worth(request_bytes(job, end, view)?))
}

/// What a pending request takes, on average.
fn request_bytes(job: &Job, end: &Mark, view: &View<'_>) -> Result<u64, Failure> {
    let reader = job.reader()?;
    let (mut batch, mut buffer) = (Batch::new(end), Vec::new());
    let empty = batch.bytes();
    let lanes = view.rest.schedule.hosts();
    let lanes = lanes.flat_map(|(id, _)| view.lanes.of(id));
    let tickets = lanes.flat_map(|(_, tickets)| tickets);
    let step = view.rest.schedule.pending() / SAMPLES + 1;
    let mut samples = 0;
    for ticket in tickets.step_by(step as usize) {
        batch.request(&reader.request_at(ticket.at, &mut buffer)?);
        samples += 1;
    }
    Ok(((batch.bytes() - empty) as u64 / samples.max(1)).max(WHOLE_BYTES))
}

/// What was rewritten, for an image of it.
#[derive(Debug)]
pub struct Compacted {
    /// The end of the new journal.
    pub end: Mark,
    /// The hosts.
    schedule: Schedule<Ticket>,
    /// What is pending in them, with its new tickets.
    lanes: Lanes,
    /// Attempts and due time of requests that will be tried again, by new id.
    tries: Tries,
}

impl Compacted {
    /// What an image of it is made from, as `old` was of the journal before.
    pub fn view<'a>(&'a self, old: View<'a>) -> View<'a> {
        View {
            lanes: &self.lanes,
            rest: Rest {
                schedule: &self.schedule,
                others: Vec::new(),
                tries: self.tries.clone(),
                ..old.rest
            },
            ..old
        }
    }
}

/// Rewrites the journal and puts the new one in force.
///
/// # Errors
/// Errors of the disk; the old journal is in force then, or the new one.
pub fn compact(
    job: &mut Job,
    lock: &JobLock,
    end: &Mark,
    view: &View<'_>,
) -> Result<Compacted, Failure> {
    let commit = Commit {
        at_ms: view.rest.at_ms,
        progress: view.rest.progress.clone(),
        files: view.files.clone(),
        tails: view.tails.clone(),
    };
    let failed = match view.rest.progress.counts.failed {
        0 => Failed::default(),
        _ => Failed::read(job)?,
    };
    let writer = job.begin_generation(lock, end.next_id)?;
    let mut rewriter = Rewriter {
        fingerprinter: Fingerprinter::new(job.manifest().key),
        reader: job.reader()?,
        batch: Batch::new(&writer.end()),
        writer,
        commit,
        schedule: Schedule::new(u32::MAX),
        lanes: Lanes::new(),
        tries: BTreeMap::new(),
        living: Vec::new(),
        buffer: Vec::new(),
    };
    rewriter.rewrite(view, &failed)?;
    let Rewriter {
        mut writer,
        schedule,
        lanes,
        tries,
        ..
    } = rewriter;
    job.switch_generation(lock, &mut writer)?;
    Ok(Compacted {
        end: writer.end(),
        schedule,
        lanes,
        tries,
    })
}

/// The requests that have failed.
#[derive(Debug, Default)]
struct Failed {
    /// Where they lie in the journal.
    places: Vec<u64>,
    by_origin: HashMap<String, u64>,
}

impl Failed {
    /// Which they are is in no memory: few crawls ask for it.
    fn read(job: &Job) -> Result<Failed, Failure> {
        let mut ids = HashSet::new();
        job.replay(None, |entry| {
            match entry {
                Entry::Done { id, failed: true } => drop(ids.insert(id)),
                Entry::Defer { id, .. } => drop(ids.remove(&id)),
                _ => {}
            }
            Ok(())
        })?;
        let mut failed = Failed::default();
        job.replay(None, |entry| {
            if let Entry::Request { id, at, request } = entry
                && ids.contains(&id)
            {
                failed.places.push(at);
                let origin = origin(request.url);
                *failed.by_origin.entry(origin.to_owned()).or_default() += 1;
            }
            Ok(())
        })?;
        Ok(failed)
    }
}

struct Rewriter {
    fingerprinter: Fingerprinter,
    reader: Reader,
    batch: Batch,
    writer: Writer,
    commit: Commit,
    schedule: Schedule<Ticket>,
    lanes: Lanes,
    tries: Tries,
    /// The fingerprints of requests that are kept whole.
    living: Vec<u128>,
    buffer: Vec<u8>,
}

impl Rewriter {
    fn rewrite(&mut self, view: &View<'_>, failed: &Failed) -> Result<(), Failure> {
        for (key, value) in &view.rest.values {
            self.batch.set(key, value.as_bytes());
            self.close_if_full()?;
        }
        let mut others: BTreeMap<HostId, Vec<Ticket>> = BTreeMap::new();
        for &(host, ticket) in &view.rest.others {
            others.entry(host).or_default().push(ticket);
        }
        for (id, host) in view.rest.schedule.hosts() {
            // They were sent before, so they go first.
            let lanes = [(i64::MAX, others.remove(&id).unwrap_or_default())];
            let lanes: Vec<_> = lanes.into_iter().chain(view.lanes.of(id)).collect();
            let tickets = || lanes.iter().flat_map(|(_, tickets)| tickets);
            // Requests that are kept whole count themselves when they are read back.
            let failed = failed.by_origin.get(&*host.origin).copied().unwrap_or(0);
            let whole = failed + tickets().count() as u64;
            let taken = host.taken.saturating_sub(whole).to_string();
            self.batch
                .set(&format!("{HOST}{}", host.origin), taken.as_bytes());
            if let Some(page) = view.rest.answered.page(id) {
                let key = OfHost::Answered.key(&host.origin);
                self.batch.set(&key, page.as_bytes());
            }
            self.close_if_full()?;
            let new = self.schedule.host_of(&host.origin, host.gate);
            self.schedule
                .change(new, |changed| changed.taken = host.taken);
            for &ticket in tickets() {
                self.request(new, ticket, view)?;
            }
        }
        for &at in &failed.places {
            let (new, _) = self.copy(at)?;
            self.batch.done(new.id, true);
            self.close_if_full()?;
        }
        self.finished(view)?;
        self.close()
    }

    fn request(&mut self, host: HostId, old: Ticket, view: &View<'_>) -> Result<(), Failure> {
        let (new, priority) = self.copy(old.at)?;
        self.lanes.push(host, new, priority);
        self.schedule.arrived(host);
        if let Some(&(attempts, due_ms)) = view.rest.tries.get(&old.id) {
            self.batch.defer(new.id, attempts, due_ms);
            self.tries.insert(new.id, (attempts, due_ms));
        }
        self.close_if_full()
    }

    /// Writes a request again; its new ticket, and its priority.
    fn copy(&mut self, at: u64) -> Result<(Ticket, i64), Failure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let stored = self.reader.request_at(at, &mut buffer)?;
        self.living
            .push(fingerprint_of(self.fingerprinter, &stored)?);
        let (id, at) = self.batch.request(&stored);
        let priority = stored.priority;
        self.buffer = buffer;
        Ok((Ticket { id, at }, priority))
    }

    /// The fingerprints of what is done: all that were seen but those kept whole.
    fn finished(&mut self, view: &View<'_>) -> Result<(), Failure> {
        let mut living = std::mem::take(&mut self.living);
        living.sort_unstable();
        let mut living = living.into_iter().peekable();
        for fingerprint in view.seen.shards().flatten() {
            if living.next_if_eq(&fingerprint).is_none() {
                self.batch.seen(&fingerprint.to_be_bytes());
                self.close_if_full()?;
            }
        }
        match living.next() {
            None => Ok(()),
            Some(_) => Err(Failure::new("a request is not among those seen")),
        }
    }

    fn close_if_full(&mut self) -> Result<(), Failure> {
        if self.batch.bytes() >= BATCH_BYTES {
            self.close()
        } else {
            Ok(())
        }
    }

    fn close(&mut self) -> Result<(), Failure> {
        let empty = Batch::new(&self.writer.end());
        let closed = std::mem::replace(&mut self.batch, empty).close(&self.commit);
        let end = self.writer.append_unsynced(&closed)?;
        self.batch = Batch::with_buffer(&end, closed.into_buffer());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::image;
    use crate::store::memory::Memory;
    use crate::store::restore::restore;
    use crawl_ckpt::durable::RealDisk;
    use crawl_ckpt::job::{JobPlace, Manifest};
    use crawl_ckpt::journal::Stored;

    /// A job of `count` requests of which all but every tenth are finished, with every twenty-fifth
    /// of these failed, and one is to be tried again.
    fn job(lock: &JobLock, place: &JobPlace, count: u64, path: &str) -> Job {
        let manifest = Manifest::new("test").unwrap();
        let mut job = Job::create(Arc::new(RealDisk), place, lock, manifest).unwrap();
        let end = job.replay(None, |_| Ok(())).unwrap().mark;
        let mut writer = job.writer(lock, &end).unwrap();
        let mut batch = Batch::new(&end);
        for n in 0..count {
            let url = format!("http://h{}.example/{path}{n}", n % 3);
            let extra = (n % 20 == 0).then_some(r#"{"method":"POST","body":"b"}"#);
            batch.request(&Stored {
                url: &url,
                priority: (n % 2) as i64,
                extra,
                ..Stored::default()
            });
        }
        let mut commit = Commit::default();
        let counts = &mut commit.progress.counts;
        counts.seen = count;
        for id in 0..count {
            if id % 10 == 0 {
                counts.pending += 1;
            } else if id % 25 == 0 {
                counts.failed += 1;
                batch.done(id, true);
            } else {
                counts.done += 1;
                batch.done(id, false);
            }
        }
        batch.defer(10, 2, 90_000);
        batch.set("cookies:a", b"[]");
        batch.set("answered:http://h0.example", b"/7");
        writer.append(&batch.close(&commit)).unwrap();
        job
    }

    #[test]
    fn a_rewritten_job_is_the_same_job_in_less_room() {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let mut job = job(&lock, &place, 3000, "");
        let before = restore(&job, 9, 5, false).unwrap();
        let (end, before) = (before.end, before.into_memory());
        let compacted = compact(&mut job, &lock, &end, &before.view()).unwrap();
        assert!(
            compacted.end.bytes < end.bytes * 2 / 3,
            "{} {}",
            compacted.end.bytes,
            end.bytes
        );

        let after = restore(&job, 9, 5, false).unwrap();
        assert_eq!(after.end, compacted.end);
        let after = after.into_memory();
        assert!(
            after
                .seen
                .shards()
                .flatten()
                .eq(before.seen.shards().flatten())
        );
        assert_eq!(after.values, before.values);
        let heard = |memory: &Memory| -> Vec<Option<String>> {
            let hosts = memory.schedule.hosts();
            let page = |id| memory.answered.page(id).map(str::to_owned);
            hosts.map(|(id, _)| page(id)).collect()
        };
        assert_eq!(heard(&before)[..2], [Some("/7".to_owned()), None]);
        assert_eq!(heard(&after), heard(&before));
        let view = compacted.view(before.view());
        image::save(&job, &lock, &compacted.end, &view).unwrap();
        let (imaged, _) = image::load(&job, 9).unwrap().unwrap();
        assert_eq!(heard(&imaged), heard(&before));
        assert_eq!(after.progress, before.progress);
        assert_eq!(after.schedule.pending(), 300);
        assert_eq!(after.schedule.deferred().count(), 1);
        assert_eq!(after.tries.values().collect::<Vec<_>>(), [&(2, 90_000)]);
        let urls = |job: &Job, memory: &Memory| -> Vec<String> {
            let reader = job.reader().unwrap();
            let mut buffer = Vec::new();
            let lanes = memory.schedule.hosts();
            let lanes = lanes.flat_map(|(id, _)| memory.lanes.of(id));
            let tickets: Vec<Ticket> = lanes.flat_map(|(_, tickets)| tickets).collect();
            let url = |ticket: &Ticket| {
                reader
                    .request_at(ticket.at, &mut buffer)
                    .unwrap()
                    .url
                    .to_owned()
            };
            tickets.iter().map(url).collect()
        };
        let list = urls(&job, &after);
        assert_eq!(list.len(), 299);
        assert!(list.iter().all(|url| url.ends_with('0')));
        let again = restore(&job, u32::MAX, 5, true).unwrap();
        let mut reader_buffer = Vec::new();
        let reader = job.reader().unwrap();
        let mut number = |ticket: &Ticket| -> u64 {
            let stored = reader.request_at(ticket.at, &mut reader_buffer).unwrap();
            stored.url.rsplit('/').next().unwrap().parse().unwrap()
        };
        let mut failed: Vec<u64> = again.reopened.iter().map(&mut number).collect();
        failed.sort_unstable();
        let want = (0..3000).filter(|n| n % 25 == 0 && n % 10 != 0);
        assert_eq!(failed, want.collect::<Vec<_>>());

        for ((_, old), (_, new)) in before.schedule.hosts().zip(after.schedule.hosts()) {
            assert_eq!(
                (&old.origin, old.taken, old.pending),
                (&new.origin, new.taken, new.pending)
            );
        }
    }

    #[test]
    fn what_pending_requests_take_is_told_by_some_of_them() {
        for (path, least, most) in [("", 60, 60), (&*"x".repeat(500), 520, 560)] {
            let dir = tempfile::tempdir().unwrap();
            let place = JobPlace::at(&dir.path().join("job"));
            let lock = JobLock::acquire(&place).unwrap();
            let job = job(&lock, &place, 6000, path);
            let restored = restore(&job, 9, 5, false).unwrap();
            let (end, memory) = (restored.end, restored.into_memory());
            let bytes = request_bytes(&job, &end, &memory.view()).unwrap();
            assert!((least..=most).contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn much_beside_the_queue_is_written_in_batches() {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let mut job = job(&lock, &place, 30, "");
        let before = restore(&job, 9, 5, false).unwrap();
        let (end, mut before) = (before.end, before.into_memory());
        let rules = vec![b'x'; BATCH_BYTES / 2];
        for n in 0..9 {
            let key = format!("robots:http://h{n}.example");
            before.values.insert(key, rules.clone());
        }
        let compacted = compact(&mut job, &lock, &end, &before.view()).unwrap();
        assert!(compacted.end.seq > 4, "{:?}", compacted.end);
        let after = restore(&job, 9, 5, false).unwrap();
        assert_eq!(after.into_memory().values, before.values);
    }
}
