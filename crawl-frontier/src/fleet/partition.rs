//! One partition that this worker owns: a crawl over a copy of the journal that the store has.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::{Disk, UnsyncedDisk};
use crawl_ckpt::error::StoreError;
use crawl_ckpt::fleet::{DepotError, JournalHead, Letter, Merits, Rest, Wanted, take_off};
use crawl_ckpt::job::{self, Job, JobCopy, JobPlace, Needed};
use crawl_ckpt::journal::Writer;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::lease::Lease;
use super::rewrite::BaseWriter;
use super::sink::{StoreSink, gap, insist, unreachable};
use super::workshop::Workshop;
use crate::crawl::Crawl;
use crate::store::restore::restore;
use crate::store::seen::SeenRoom;
use crate::store::{Embedded, HeldJob, Log, Outputs, new_manifest};

/// A partition at rest says so this often.
pub const TELL_MS: u64 = 1000;

/// A partition that is open.
#[derive(Debug)]
pub struct Partition {
    /// Its crawl.
    pub crawl: Crawl<Embedded>,
    /// Letters that were taken and are not durable yet, or not told of: the last one of each sender.
    taken: BTreeMap<u32, u64>,
    /// The batch that they are in.
    taken_seq: u64,
    /// What was told of its rest last, and when.
    told: Option<((u64, Rest), u64)>,
    /// When others' answers were told to it last.
    pub heard_ms: u64,
    /// What others did of it.
    before: Progress,
}

/// Why a partition is not open.
#[derive(Debug)]
pub enum Unopened {
    /// The node that has it does not answer now.
    Away,
    /// It cannot be opened.
    Failed(Failure),
}

impl From<Failure> for Unopened {
    fn from(failure: Failure) -> Unopened {
        Unopened::Failed(failure)
    }
}

impl From<StoreError> for Unopened {
    fn from(error: StoreError) -> Unopened {
        Unopened::Failed(error.into())
    }
}

impl From<DepotError> for Unopened {
    fn from(error: DepotError) -> Unopened {
        match error {
            DepotError::Unsure(_) => Unopened::Away,
            DepotError::Refused(_) => Unopened::Failed(unreachable(&error)),
        }
    }
}

/// Why a copy is not what it is to be.
enum Unfilled {
    Copy(Failure),
    Store(DepotError),
}

impl Workshop {
    /// Opens a partition of which the store has this journal. It is asked once: the others do not wait for a node
    /// that is lost.
    ///
    /// # Errors
    /// A node that does not answer; damage when the store has less; errors of the disk.
    pub fn open(
        &mut self,
        part: u32,
        lease: &Arc<Lease>,
        head: &JournalHead,
        now_ms: u64,
    ) -> Result<Partition, Unopened> {
        let place = JobPlace::at(&self.dir.join(format!("part-{part:03}")));
        let lock = JobLock::acquire(&place).map_err(Failure::from)?;
        let (mut job, copy) = match self.kept(part, &place, &lock, head)? {
            Some(kept) => kept,
            None => {
                let made = self.anew(part, &place, &lock, head);
                let has_failed = matches!(made, Err(Unopened::Failed(_)));
                if has_failed && self.is_anothers(part, lease.epoch)? {
                    lease.lose();
                }
                made?
            }
        };
        let (end, seq) = (copy.end(), head.seq);
        let name = self.output(part);
        let outputs = match &self.parts_dir {
            Some(dir) => {
                let outputs = self.hasty.outputs(part)?;
                let committed = outputs.iter().find(|(known, _)| *known == name);
                let committed = committed.map_or(0, |(_, len)| *len);
                Outputs::part(&dir.join(&name), committed)?
            }
            None => Outputs::default(),
        };
        // Who gives them to somebody else has none.
        let records = self.parts_dir.as_ref().map_or("", |_| &*name);
        let reader = job.reader()?;
        let sink = Box::new(StoreSink {
            copy,
            engine: self.engine.another(),
            part,
            output: name.clone(),
            lease: lease.clone(),
            patience: self.patience,
            bell: self.bell.clone(),
        });
        let plan = self.begin.plan.clone();
        let room = SeenRoom::within(self.memory_bytes / u64::from(self.split.parts()), &mut job)?;
        let log = Log::into_sink(sink, &end, reader, outputs)?;
        let original = Box::new(BaseWriter::new(self, part, lease.clone(), head.base));
        let mut crawl = if seq == 0 {
            let job = HeldJob::copy_of(original, job, lock);
            let store = Embedded::empty(room, log, Some(job), None);
            let mut crawl = Crawl::new(plan, self.key, store)?;
            crawl.live_in(part, self.split, &HashMap::new(), 0, records);
            crawl
        } else {
            let restored = restore(&job, plan.pace.per_host, now_ms, false, room)?;
            let job = HeldJob::copy_of(original, job, lock);
            let (store, remembered) = restored.into_store(log, Some(job), None);
            let mut crawl = Crawl::new(plan, self.key, store)?;
            crawl.live_in(part, self.split, &remembered.values, seq, records);
            crawl.restore(remembered, now_ms);
            crawl
        };
        crawl.take_secrets(&self.begin);
        crawl.take_cookies(&self.begin, now_ms);
        crawl.take_hosts(&self.begin);
        crawl.expect_answers(self.begin.answer_within_ms);
        if self.begin.accept_empty {
            crawl.accept_empty();
        }
        if self.begin.tell_of_urls {
            crawl.tell_of_urls();
        }
        if self.begin.careful {
            crawl.be_careful();
        }
        let before = crawl.progress();
        crawl.start()?;
        Ok(Partition {
            crawl,
            taken: BTreeMap::new(),
            taken_seq: 0,
            told: None,
            heard_ms: now_ms,
            before,
        })
    }

    /// The copy that this worker had last, brought up to date; `None` when it is not one of what the store has.
    fn kept(
        &mut self,
        part: u32,
        place: &JobPlace,
        lock: &JobLock,
        head: &JournalHead,
    ) -> Result<Option<(Job, Writer)>, Unopened> {
        // Nobody vouches for it: whatever is wrong with it, another one is made.
        let opened = Job::open(Arc::new(UnsyncedDisk), place).ok().flatten();
        let Some(mut job) = opened.filter(|job| job.manifest().key == self.key) else {
            return Ok(None);
        };
        let Ok(Some(copy)) = JobCopy::go_on(&mut job, lock, head) else {
            return Ok(None);
        };
        let writer = match self.fill(part, copy) {
            Ok(Some(writer)) => writer,
            Ok(None) | Err(Unfilled::Copy(_)) => return Ok(None),
            Err(Unfilled::Store(error)) => return Err(error.into()),
        };
        Ok(Some((job, writer)))
    }

    /// A copy of what the store has.
    fn anew(
        &mut self,
        part: u32,
        place: &JobPlace,
        lock: &JobLock,
        head: &JournalHead,
    ) -> Result<(Job, Writer), Unopened> {
        let disk: Arc<dyn Disk> = Arc::new(UnsyncedDisk);
        job::remove(&*disk, place, lock)?;
        let mut manifest = new_manifest()?;
        manifest.key = self.key;
        manifest.plan = Some(self.begin.plan.clone());
        let mut job = Job::create(disk, place, lock, manifest)?;
        let copy = JobCopy::begin(&mut job, lock, head)?;
        match self.fill(part, copy) {
            Ok(Some(writer)) => Ok((job, writer)),
            Ok(None) => Err(gap(part, head.seq).into()),
            Err(Unfilled::Copy(failure)) => Err(failure.into()),
            Err(Unfilled::Store(error)) => Err(error.into()),
        }
    }

    /// True when a partition was taken meanwhile: what is read of it then may be of another journal than was told.
    fn is_anothers(&mut self, part: u32, epoch: u64) -> Result<bool, DepotError> {
        let heard = BTreeMap::new();
        let wanted = Wanted {
            part,
            epoch,
            heard: &heard,
        };
        let letters = self.hasty.poll(&[wanted]).swap_remove(0)?;
        Ok(letters.is_none())
    }

    /// Reads what a copy needs. `None` when it came to something else.
    fn fill(&mut self, part: u32, mut copy: JobCopy<'_>) -> Result<Option<Writer>, Unfilled> {
        loop {
            let (next, read) = match copy.needs() {
                Needed::Base(base, from) => (from, self.hasty.read_base(part, base, from)),
                Needed::Log(from) => (from, self.hasty.read(part, from)),
                Needed::Nothing => return Ok(copy.finish()),
            };
            let batches = read.map_err(Unfilled::Store)?;
            if batches.is_empty() {
                return Err(Unfilled::Copy(gap(part, next)));
            }
            for batch in batches {
                copy.take(&batch)
                    .map_err(|error| Unfilled::Copy(error.into()))?;
            }
        }
    }

    /// Puts the records of this worker into one file, as far as they were committed, and removes the
    /// parts. Done before, it does nothing.
    ///
    /// # Errors
    /// Damage when a part is shorter than what was committed; errors of the disk.
    pub fn join_outputs(&mut self, joined: &Path) -> Result<(), Failure> {
        let Some(dir) = &self.parts_dir else {
            return Ok(());
        };
        let mut parts = Vec::new();
        for part in 0..self.split.parts() {
            let name = self.output(part);
            let outputs = insist(self.patience, || self.engine.outputs(part))?;
            // One that nothing was committed of may be there all the same.
            let found = outputs.into_iter().find(|(known, _)| *known == name);
            let len = found.map_or(0, |(_, len)| len);
            parts.push((dir.join(name), len));
        }
        // Goes with the parts.
        parts.push((super::mark::path(dir, &self.worker), 0));
        super::joined::join(&parts, dir, joined)
    }
}

impl Partition {
    /// What this worker did of it, and what is left to do.
    pub fn progress(&self) -> Progress {
        let mut progress = self.crawl.progress();
        take_off(&mut progress, &self.before);
        progress
    }

    /// Takes letters. Those that come too early come again.
    ///
    /// # Errors
    /// A letter that makes no sense.
    pub fn take_letters(&mut self, letters: Vec<Letter>) -> Result<(), Failure> {
        for letter in letters {
            let (source, number) = (letter.source, letter.number);
            if self.crawl.take_letter(source, number, &letter.bytes)? {
                self.taken.insert(source, self.crawl.letters_from(source));
            }
        }
        // Of letters that were all taken before, nothing is to be committed.
        let is_clean = self.crawl.next_commit_ms().is_none();
        self.taken_seq = self.crawl.batches() + u64::from(!is_clean);
        Ok(())
    }

    /// What the store is to know beside the journal, as of what is durable.
    pub fn merits(&mut self, lease: &Lease, rest: Option<Rest>, now_ms: u64) -> Option<Merits> {
        let mut merits = Merits::default();
        let durable = lease.durable();
        if !self.taken.is_empty() && durable >= self.taken_seq {
            merits.from = std::mem::take(&mut self.taken).into_iter().collect();
        }
        let is_clean = self.crawl.next_commit_ms().is_none() && self.taken.is_empty();
        let settled = self
            .crawl
            .settled()
            .filter(|seq| *seq == durable && is_clean);
        // Told again and again: what is told here may be lost.
        let is_news = |rest: &(u64, Rest)| {
            let told = self.told.filter(|(told, _)| told == rest);
            told.is_none_or(|(_, at_ms)| now_ms >= at_ms + TELL_MS)
        };
        if let Some(rest) = settled.zip(rest).filter(is_news) {
            self.told = Some((rest, now_ms));
            merits.rest = Some(rest);
        }
        (merits != Merits::default()).then_some(merits)
    }
}
