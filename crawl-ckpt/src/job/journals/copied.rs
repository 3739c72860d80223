//! A job directory that is a copy of what a store has: a base, perhaps, and the batches behind it, byte for byte. All
//! of its journals but the base have the header of the first, since their batches are of one chain.

use super::{Job, JobLock, StoreError, Writer, journal_name};
use crate::durable::remove_if_there;
use crate::fleet::{Base, JournalHead};
use crate::hex;
use crate::journal::{self, JournalFile, LIVING, Mark};

/// What a copy needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// Batches of this base, from this number on.
    Base(u64, u64),
    /// Batches of the log, from this number on.
    Log(u64),
    /// Nothing.
    Nothing,
}

/// A copy that is being made, or brought up to date.
#[derive(Debug)]
pub struct JobCopy<'j> {
    job: &'j mut Job,
    lock: &'j JobLock,
    head: JournalHead,
    base: Option<Writer>,
    log: Option<Writer>,
}

impl<'j> JobCopy<'j> {
    /// Begins to make a new job a copy of this.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin(
        job: &'j mut Job,
        lock: &'j JobLock,
        head: &JournalHead,
    ) -> Result<JobCopy<'j>, StoreError> {
        let (mut base, mut log) = (None, None);
        match &head.base {
            Some(of) => base = Some(job.begin_numbered(lock, of.generation, None, 0)?),
            None => {
                let start = job.replay(None, |_| Ok(()))?.mark;
                log = Some(job.writer(lock, &start)?);
            }
        }
        Ok(JobCopy {
            job,
            lock,
            head: head.clone(),
            base,
            log,
        })
    }

    /// Goes on with a copy that was made before. Nobody synced it: what of it is sound is read here, and whether
    /// that belongs to `head` is told by the batches that follow it, or by [`JobCopy::finish`]. `None` when it has
    /// no end that could.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn go_on(
        job: &'j mut Job,
        lock: &'j JobLock,
        head: &JournalHead,
    ) -> Result<Option<JobCopy<'j>>, StoreError> {
        let end = job.replay(None, |_| Ok(()))?.mark;
        let first = head.base.map_or(0, |base| base.stands_for.seq);
        if end.seq < first || end.seq > head.seq {
            return Ok(None);
        }
        let log = Some(job.writer(lock, &end)?);
        Ok(Some(JobCopy {
            job,
            lock,
            head: head.clone(),
            base: None,
            log,
        }))
    }

    /// What it needs next.
    pub fn needs(&self) -> Needed {
        match (&self.base, self.head.base, &self.log) {
            (Some(base), Some(of), _) => Needed::Base(of.number, base.end().seq + 1),
            (.., Some(log)) if log.end().seq < self.head.seq => Needed::Log(log.end().seq + 1),
            _ => Needed::Nothing,
        }
    }

    /// Takes the next batch. Of what comes at once, those that are not needed are left.
    ///
    /// # Errors
    /// Damage, when it is no sound batch, or not the next one; those of the disk.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if let (Some(base), Some(of)) = (&mut self.base, self.head.base) {
            base.append_bytes(bytes)?;
            if base.end().seq == of.end.seq {
                self.go_on_behind(&of)?;
            }
        } else if let Some(log) = &mut self.log
            && log.end().seq < self.head.seq
        {
            log.append_bytes(bytes)?;
        }
        Ok(())
    }

    fn go_on_behind(&mut self, of: &Base) -> Result<(), StoreError> {
        let Some(mut base) = self.base.take() else {
            return Ok(());
        };
        if base.end() != of.end {
            let why = "what the journal was rewritten to ends elsewhere";
            let path = self.job.place.dir.join(journal_name(of.generation));
            return Err(StoreError::damaged(&path, base.end().bytes, why));
        }
        let stands_for = Some(of.stands_for);
        self.job
            .begin_with(self.lock, of.generation, &mut base, stands_for)?;
        self.log = Some(self.job.writer(self.lock, &of.stands_for)?);
        Ok(())
    }

    /// The journal, to go on with; `None` when it is not the one that was to be copied.
    pub fn finish(self) -> Option<Writer> {
        let JournalHead { seq, sum, .. } = &self.head;
        self.log.filter(|log| {
            let end = log.end();
            end.seq == *seq && (*seq == 0 || hex::encode(&end.sum) == *sum)
        })
    }
}

impl Job {
    /// As [`Job::go_on_anew`], of a copy of what a store has.
    ///
    /// # Errors
    /// As there.
    pub fn go_on_anew_copied(
        &mut self,
        lock: &JobLock,
        writer: &Writer,
    ) -> Result<Writer, StoreError> {
        let end: Mark = writer.end();
        let path = self.place.dir.join(journal_name(self.next_generation()));
        // What is left of a base that came to nothing.
        remove_if_there(&*self.disk, &path).map_err(StoreError::io("remove", &path))?;
        let journal = JournalFile {
            path,
            generation: LIVING,
            begin: Some(end),
            ..self.journal()
        };
        let next = journal::create(&journal, 0)?;
        self.go_on_in(lock, next, end)
    }
}
