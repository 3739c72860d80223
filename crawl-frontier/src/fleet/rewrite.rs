//! The journal of a partition, rewritten in the store while the crawl goes on: what waits, what is known, and of
//! what is finished the request and who has its record, so that a worker's share can be pending again when its
//! disk is lost. What goes is the commits, letters and values of times past, most of a journal that grew slowly.
//!
//! All is made out of the closed journals of this machine's copy, and written beside the log as its next base; a
//! switch in the store puts it in force, and then the copy does the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crawl_ckpt::control::Progress;
use crawl_ckpt::fleet::{Base, Credits, Depot, DepotError, Fate, PART, Written};
use crawl_ckpt::hex;
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Entry, Mark, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::lease::Lease;
use super::sink::patiently;
use super::workshop::Workshop;
use crate::store::Original;
use crate::store::settle::aside;
use crate::store::settle::changes::{Change, Changes, Fact};

/// A journal that grew by less is not rewritten: so much is read in a few milliseconds.
pub const LEAST_GROWN: u64 = 1 << 20;
/// Written at once, so that a commit of the same node waits for no more.
const BATCH_BYTES: usize = 256 << 10;
/// One that waits for its turn looks so often.
const TURN: Duration = Duration::from_millis(20);

/// Who rewrites the journal of a partition.
#[derive(Debug)]
pub struct BaseWriter {
    engine: Box<dyn Depot>,
    part: u32,
    lease: Arc<Lease>,
    patience: Duration,
    base: Option<Base>,
    least_grown: u64,
    /// About so many bytes of values are in memory at once.
    room: usize,
    /// A try is worth it when the journal ends there …
    worth_at: u64,
    /// … and a third of it cannot be requests.
    requests: Requests,
    turn: Arc<AtomicBool>,
}

impl BaseWriter {
    /// Of a partition that begins with this.
    pub fn new(shop: &Workshop, part: u32, lease: Arc<Lease>, base: Option<Base>) -> BaseWriter {
        let least_grown = shop.least_grown;
        let begin = base.map_or(0, |base| base.stands_for.bytes);
        BaseWriter {
            engine: shop.engine.another(),
            part,
            lease,
            patience: shop.patience,
            worth_at: begin + base.map_or(0, |base| base.end.bytes).max(least_grown),
            requests: Requests::default(),
            base,
            least_grown,
            room: usize::try_from(shop.memory_bytes / 16).unwrap_or(usize::MAX),
            turn: shop.turn.clone(),
        }
    }
}

/// The requests of a journal, which are nearly all that lives of it. Told by their number, so that a journal which
/// only grows by new ones is not read to find that out: that took about 8 % of the time of whoever finds many.
#[derive(Debug, Clone, Copy, Default)]
struct Requests {
    bytes: u64,
    count: u64,
}

impl Requests {
    /// What one takes, of the shorter ones, as long as nothing is known.
    const SHORT: u64 = 60;

    /// About what those take that are there when a journal ends so.
    fn bytes_at(self, end: &Mark) -> u64 {
        let each = self.bytes.checked_div(self.count);
        let more = end.next_id.saturating_sub(self.count);
        self.bytes + more * each.unwrap_or(Requests::SHORT)
    }
}

impl Original for BaseWriter {
    /// When it is twice as long as it was rewritten to: so all rewriting together costs no more than what was written.
    fn is_grown(&mut self, end: &Mark) -> bool {
        end.bytes >= self.worth_at && is_worth(self.requests.bytes_at(end), self.bytes_at(end))
    }

    fn rewrite(
        &mut self,
        job: &mut Job,
        lock: &JobLock,
        is_over: &AtomicBool,
    ) -> Result<bool, Failure> {
        let Some(stands_for) = job.manifest().before.last().map(|last| last.goes_on_at()) else {
            return Ok(false);
        };
        let now = self.bytes_at(&stands_for);
        // Also when nothing comes of this.
        self.worth_at = stands_for.bytes + (now / 2).max(self.least_grown);
        // One at a time, so that a worker of many partitions has threads and memory left.
        let Some(_turn) = Turn::wait(&self.turn, || self.is_over(is_over)) else {
            return Ok(false);
        };
        let rewritten = self.build(job, lock, is_over, now);
        let (mut writer, base) = match rewritten {
            Ok(Some(built)) => built,
            Ok(None) | Err(NoBase::Over) => return Ok(false),
            Err(NoBase::Failed(failure)) => return Err(failure),
        };
        let base = Base { stands_for, ..base };
        let (engine, lease, part) = (&mut self.engine, &self.lease, self.part);
        let switched = patiently(self.patience, || {
            if lease.is_lost() || is_over.load(Ordering::Relaxed) {
                return Ok(Fate::Fenced);
            }
            engine.switch(part, lease.epoch, &base)
        });
        if switched != Ok(Fate::Durable) {
            // It may be in force or not, which the next owner is told.
            self.worth_at = u64::MAX;
            return match switched {
                Err(error @ DepotError::Refused(_)) => Err(error.into()),
                Ok(_) | Err(DepotError::Unsure(_)) => Ok(false),
            };
        }
        self.base = Some(base);
        self.worth_at = stands_for.bytes + base.end.bytes.max(self.least_grown);
        job.switch_settled(lock, &mut writer)?;
        Ok(true)
    }
}

/// A third of it at least is to be dead.
fn is_worth(living: u64, now: u64) -> bool {
    living * 3 <= now * 2
}

impl BaseWriter {
    /// How long the journal is that ends there.
    fn bytes_at(&self, end: &Mark) -> u64 {
        let (begin, before) = self
            .base
            .map_or((0, 0), |base| (base.stands_for.bytes, base.end.bytes));
        before + end.bytes - begin
    }

    fn is_over(&self, is_over: &AtomicBool) -> bool {
        is_over.load(Ordering::Relaxed) || self.lease.is_lost()
    }

    /// Writes the next base; what it stands for is still to be said. `None` when it would not be much shorter than
    /// what there is, which has so many bytes.
    fn build(
        &mut self,
        job: &Job,
        lock: &JobLock,
        is_over: &AtomicBool,
        now: u64,
    ) -> Result<Option<(Writer, Base)>, NoBase> {
        let facts = PartFacts::of(job, self.room, &|| self.is_over(is_over))?;
        self.requests = facts.requests;
        if !is_worth(facts.bytes(), now) {
            return Ok(None);
        }
        let generation = job.next_generation();
        let writer = job.begin_settled(lock)?;
        let mut commit = facts.commit.clone();
        for credit in facts.credits.by_part().values() {
            credit.take_from(&mut commit.progress);
        }
        let mut pieces = Pieces {
            batch: Batch::new(&writer.end()),
            number: self.base.map_or(1, |base| base.number + 1),
            writer,
            commit,
            rewriter: self,
            is_over,
        };
        pieces.write(job, facts)?;
        let Pieces { writer, number, .. } = pieces;
        let end = writer.end();
        let base = Base {
            number,
            generation,
            end,
            stands_for: end,
        };
        Ok(Some((writer, base)))
    }
}

/// Why a journal is not rewritten.
enum NoBase {
    /// There is no time for it, or the store does not take it now.
    Over,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for NoBase {
    fn from(error: E) -> NoBase {
        NoBase::Failed(error.into())
    }
}

/// Tells the entries of the closed journals, until it is over.
fn tell(
    job: &Job,
    is_over: &dyn Fn() -> bool,
    mut each: impl FnMut(Entry<'_>) -> Result<(), NoBase>,
) -> Result<(), NoBase> {
    for number in 0..job.manifest().before.len() {
        let mut stop = None;
        let told = job.replay_closed(number, |entry| {
            // There is one in each batch.
            let heard = match entry {
                Entry::Commit(_) if is_over() => Err(NoBase::Over),
                entry => each(entry),
            };
            heard.map_err(|why| {
                let words = match &why {
                    NoBase::Over => "there is no time".to_owned(),
                    NoBase::Failed(failure) => failure.message.clone(),
                };
                stop = Some(why);
                words
            })
        });
        match stop {
            Some(why) => return Err(why),
            None => told?,
        };
    }
    Ok(())
}

/// What the closed journals come to.
struct PartFacts {
    credits: Credits,
    /// Attempts and due time of requests that will be tried again, by id.
    tries: HashMap<u64, (u32, u64)>,
    /// Those that there are.
    values: Changes,
    values_bytes: u64,
    commit: Commit,
    requests: Requests,
}

impl PartFacts {
    fn of(job: &Job, room: usize, is_over: &dyn Fn() -> bool) -> Result<PartFacts, NoBase> {
        let dir = &job.place().dir;
        let mut facts = PartFacts {
            credits: Credits::default(),
            tries: HashMap::new(),
            values: Changes::new(dir, room / 2),
            values_bytes: 0,
            commit: Commit::default(),
            requests: Requests::default(),
        };
        let mut changes = Changes::new(dir, room / 2);
        // Measures requests.
        let mut scale = new_scale();
        tell(job, is_over, |entry| {
            facts.credits.hear(&entry).map_err(Failure::new)?;
            match entry {
                Entry::Request { request, .. } => {
                    let before = scale.bytes();
                    scale.request(&request);
                    facts.requests.bytes += (scale.bytes() - before) as u64 + DONE_BYTES;
                    facts.requests.count += 1;
                    if scale.bytes() > BATCH_BYTES {
                        scale = new_scale();
                    }
                }
                Entry::Defer {
                    id,
                    attempts,
                    due_ms,
                } => drop(facts.tries.insert(id, (attempts, due_ms))),
                Entry::Done { id, .. } => drop(facts.tries.remove(&id)),
                Entry::Set { key, value } if key != PART => {
                    let value = Fact::Value(value.to_owned());
                    changes.note(key, value).map_err(aside)?;
                }
                Entry::Unset { key } => changes.note(key, Fact::Gone).map_err(aside)?,
                Entry::Commit(commit) => facts.commit = commit.parse().map_err(Failure::new)?,
                _ => {}
            }
            Ok(())
        })?;
        let mut changes = changes.sorted().map_err(aside)?;
        while let Some(Change { key, fact }) = changes.next_before(None).map_err(aside)? {
            if let Fact::Value(value) = &fact {
                facts.values_bytes += (key.len() + value.len()) as u64;
                facts.values.note(&key, fact).map_err(aside)?;
            }
        }
        Ok(facts)
    }

    /// So long it will be, about.
    fn bytes(&self) -> u64 {
        self.requests.bytes + self.values_bytes
    }
}

/// That a request is finished takes about so much.
const DONE_BYTES: u64 = 4;

fn new_scale() -> Batch {
    Batch::new(&NOWHERE)
}

/// Where a batch lies that is only put together.
const NOWHERE: Mark = Mark {
    bytes: 0,
    seq: 0,
    next_id: 0,
    sum: [0; 16],
};

/// The next base on its way, batch for batch: to the copy, and to the store.
struct Pieces<'r> {
    rewriter: &'r mut BaseWriter,
    is_over: &'r AtomicBool,
    number: u64,
    writer: Writer,
    batch: Batch,
    /// Its figures grow with the output parts whose finished requests are written.
    commit: Commit,
}

impl Pieces<'_> {
    fn write(&mut self, job: &Job, facts: PartFacts) -> Result<(), NoBase> {
        let (over, lease) = (self.is_over, self.rewriter.lease.clone());
        let is_over = move || over.load(Ordering::Relaxed) || lease.is_lost();
        tell(job, &is_over, |entry| {
            let Entry::Request { id, request, .. } = entry else {
                return Ok(());
            };
            self.batch.go_on_with(id);
            self.batch.request(&request);
            if let Some(&(attempts, due_ms)) = facts.tries.get(&id) {
                self.batch.defer(id, attempts, due_ms);
            }
            self.close_if_full()
        })?;
        let mut values = facts.values.sorted().map_err(aside)?;
        while let Some(Change { key, fact }) = values.next_before(None).map_err(aside)? {
            if let Fact::Value(value) = fact {
                self.batch.set(&key, &value);
                self.close_if_full()?;
            }
        }
        self.close()?;
        let mut whole: Progress = self.commit.progress.clone();
        for (part, credit) in facts.credits.by_part() {
            credit.add_to(&mut whole);
            self.commit.progress = whole.clone();
            self.batch.set(PART, part.as_bytes());
            for id in credit.finished.iter() {
                self.batch.done(id, credit.failed.contains(id));
                self.close_if_full()?;
            }
            self.close()?;
        }
        // Who has what comes next, and the figures as they were.
        self.batch.set(PART, facts.credits.part().as_bytes());
        self.commit.clone_from(&facts.commit);
        self.close()
    }

    fn close_if_full(&mut self) -> Result<(), NoBase> {
        if self.batch.bytes() >= BATCH_BYTES {
            self.close()
        } else {
            Ok(())
        }
    }

    fn close(&mut self) -> Result<(), NoBase> {
        let prev = hex::encode(&self.writer.end().sum);
        let batch = std::mem::replace(&mut self.batch, new_scale());
        let (end, bytes) = self.writer.append_copied(&batch.close(&self.commit))?;
        self.batch = Batch::new(&end);
        let (rewriter, over) = (&mut *self.rewriter, self.is_over);
        if rewriter.is_over(over) {
            return Err(NoBase::Over);
        }
        let written = Written {
            epoch: rewriter.lease.epoch,
            seq: end.seq,
            sum: &hex::encode(&end.sum),
            prev: &prev,
            bytes: &bytes,
            output: None,
            counts: self.commit.progress.counts,
        };
        // Begun anew when the journal has grown further: nobody waits for it.
        match rewriter.engine.build(rewriter.part, self.number, &written) {
            Ok(Fate::Durable) => Ok(()),
            Err(error @ DepotError::Refused(_)) => Err(NoBase::Failed(error.into())),
            Ok(Fate::Fenced | Fate::Gap) | Err(DepotError::Unsure(_)) => Err(NoBase::Over),
        }
    }
}

/// Whose turn it is to rewrite.
#[derive(Debug)]
struct Turn(Arc<AtomicBool>);

impl Turn {
    fn wait(turn: &Arc<AtomicBool>, is_over: impl Fn() -> bool) -> Option<Turn> {
        while turn.swap(true, Ordering::SeqCst) {
            if is_over() {
                return None;
            }
            sleep(TURN);
        }
        Some(Turn(turn.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::durable::UnsyncedDisk;
    use crawl_ckpt::job::{JobPlace, Manifest};

    /// Letters that came and went, and values that changed.
    fn closed(dir: &std::path::Path) -> Job {
        let place = JobPlace::at(dir);
        let lock = JobLock::acquire(&place).unwrap();
        let manifest = Manifest::new("test").unwrap();
        let mut job = Job::create(Arc::new(UnsyncedDisk), &place, &lock, manifest).unwrap();
        let end = job.replay(None, |_| Ok(())).unwrap().mark;
        let mut writer = job.writer(&lock, &end).unwrap();
        for round in 0..20_u64 {
            let mut batch = Batch::new(&writer.end());
            batch.set(&format!("mail:1:{round}"), &[7; 300]);
            if round > 2 {
                batch.unset(&format!("mail:1:{}", round - 3));
            }
            batch.set(&format!("cookies:{}", round % 7), &round.to_le_bytes());
            writer
                .append_copied(&batch.close(&Commit::default()))
                .unwrap();
        }
        job.go_on_anew_copied(&lock, &writer).unwrap();
        job
    }

    #[test]
    fn of_values_the_last_ones_are_told_and_measured_whatever_the_room() {
        for room in [0, 1000, usize::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let job = closed(dir.path());
            let Ok(facts) = PartFacts::of(&job, room, &|| false) else {
                panic!("the journals cannot be read");
            };
            let bytes = facts.bytes();
            let mut sorted = facts.values.sorted().unwrap();
            let mut told = Vec::new();
            while let Some(Change { key, fact }) = sorted.next_before(None).unwrap() {
                let Fact::Value(value) = fact else {
                    panic!("{key} has no value");
                };
                told.push((key, value));
            }
            let cookies = [14, 15, 16, 17, 18, 19, 13].into_iter().zip(0..);
            let cookies = cookies
                .map(|(round, n): (u64, _)| (format!("cookies:{n}"), round.to_le_bytes().to_vec()));
            let letters = (17..20).map(|n| (format!("mail:1:{n}"), vec![7; 300]));
            let expected: Vec<(String, Vec<u8>)> = cookies.chain(letters).collect();
            assert_eq!(told, expected, "{room}");
            assert_eq!(bytes, 7 * (9 + 8) + 3 * (9 + 300), "{room}");
        }
    }

    fn end(bytes: u64, next_id: u64) -> Mark {
        Mark {
            bytes,
            next_id,
            ..NOWHERE
        }
    }

    #[test]
    fn a_journal_that_is_nearly_all_requests_is_not_read_again_to_find_that_out() {
        let unknown = Requests::default();
        let is_worth_at = |of: Requests, end: Mark| is_worth(of.bytes_at(&end), end.bytes);
        assert!(!is_worth_at(unknown, end(85_000, 1000)));
        assert!(is_worth_at(unknown, end(95_000, 1000)));
        let known = Requests {
            bytes: 20_000,
            count: 100,
        };
        assert!(!is_worth_at(known, end(290_000, 1000)));
        assert!(is_worth_at(known, end(310_000, 1000)));
    }
}
