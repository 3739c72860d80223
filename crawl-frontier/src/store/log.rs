//! The journal, the output and what is learned of pages, as the frontier writes them: facts and records
//! are collected in memory and handed over together, to a thread that commits them. The crawl goes on meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use crawl_ckpt::control::Progress;
use crawl_ckpt::delta::{Fingerprint, LEARNED, Learning, Page};
use crawl_ckpt::durable::Append;
use crawl_ckpt::job::OUTPUT;
use crawl_ckpt::journal::{Batch, ClosedBatch, Commit, Mark, Reader, Stored, Writer};
use crawl_ckpt::tool::Failure;

use super::committer::{CommitWork, Committer, Files, Sink, Work, Written};
use super::outputs::{Ends, Outputs};
use super::warc::{Warc, WarcFiles, WarcWork};
use super::{HeldJob, Ticket};

/// A commit at most so often …
pub const COMMIT_MS: u64 = 200;
/// … unless so much waits.
const COMMIT_BYTES: usize = 8 << 20;
/// The crawl stops and waits for the disk when so much waits.
const WAITING_BYTES: usize = 64 << 20;

/// Facts and records on their way to the disk.
#[derive(Debug)]
pub struct Log {
    batch: Batch,
    /// Of the files that commits vouch for.
    ends: Ends,
    /// Of a crawl that keeps the pages themselves.
    warc: Option<Warc>,
    /// Of an incremental crawl.
    learning: Option<Learning>,
    /// `None` for a test crawl: all requests then stay in `batch`.
    reader: Option<Reader>,
    /// Handed over and perhaps not written yet.
    waiting: VecDeque<Arc<ClosedBatch>>,
    /// It began a journal, and is nobody's yet.
    job: Option<Box<HeldJob>>,
    committer: Committer,
    last_ms: u64,
}

impl Log {
    /// A log that goes on at the end of a job's journal, its outputs, and what it learned of pages.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn on_disk(
        writer: Writer,
        reader: Reader,
        mut outputs: Outputs,
        learned: Option<(Append, Learning)>,
        warc: Option<(Warc, WarcFiles)>,
    ) -> Result<Log, Failure> {
        let end = writer.end();
        let (pages, learning) = learned.unzip();
        if let Some(pages) = pages {
            outputs.add(LEARNED, pages);
        }
        let sink: Box<dyn Sink> = Box::new(writer);
        let (warc, files) = warc.unzip();
        let files = Files {
            sink: Some(sink),
            reader: Some(reader.clone()),
            warc: files,
            outputs,
        };
        Log::over(&end, Some(reader), files, learning, warc)
    }

    /// A log that goes on at `end` of what a sink holds, whose requests are read by `reader`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn into_sink(
        sink: Box<dyn Sink>,
        end: &Mark,
        reader: Reader,
        outputs: Outputs,
    ) -> Result<Log, Failure> {
        let files = Files {
            sink: Some(sink),
            reader: Some(reader.clone()),
            warc: None,
            outputs,
        };
        Log::over(end, Some(reader), files, None, None)
    }

    /// A log of a test crawl, without a journal.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn in_memory(outputs: Outputs, warc: Option<(Warc, WarcFiles)>) -> Result<Log, Failure> {
        let end = Mark {
            bytes: 0,
            seq: 0,
            next_id: 0,
            sum: [0; 16],
        };
        let (warc, files) = warc.unzip();
        let files = Files {
            sink: None,
            reader: None,
            warc: files,
            outputs,
        };
        Log::over(&end, None, files, None, warc)
    }

    fn over(
        end: &Mark,
        reader: Option<Reader>,
        files: Files,
        learning: Option<Learning>,
        warc: Option<Warc>,
    ) -> Result<Log, Failure> {
        let mark = files.sink.is_some().then_some(*end);
        Ok(Log {
            batch: Batch::new(end),
            ends: files.outputs.ends(),
            warc,
            learning,
            reader,
            waiting: VecDeque::new(),
            job: None,
            committer: Committer::start(files, mark)?,
            last_ms: 0,
        })
    }

    /// Takes a request on.
    pub fn request(&mut self, request: &Stored<'_>) -> Ticket {
        let (id, at) = self.batch.request(request);
        Ticket { id, at }
    }

    /// Finishes a request; its output record, if it gets one, is `record`, without the newline.
    pub fn finish(&mut self, id: u64, failed: bool, record: Option<&str>) {
        if let (Some(record), Some(output)) = (record, self.ends.waiting(OUTPUT)) {
            output.extend_from_slice(record.as_bytes());
            output.push(b'\n');
        }
        if self.reader.is_some() {
            self.batch.done(id, failed);
        }
    }

    /// True when the pages themselves are kept.
    pub fn keeps_pages(&self) -> bool {
        self.warc.is_some()
    }

    /// What is to be kept of the pages themselves; `None` when nothing is.
    pub fn warc(&mut self) -> Option<&mut Warc> {
        self.warc.as_mut()
    }

    /// What was known of a page still holds.
    pub fn learn_same(&mut self, fingerprint: &Fingerprint) {
        if let Some(learning) = &mut self.learning {
            learning.same(fingerprint);
        }
    }

    /// This is known of a page now.
    pub fn learn_page(&mut self, page: &Page<'_>) {
        if let Some(learning) = &mut self.learning {
            learning.page(page);
        }
    }

    /// A request is pending again, and not to be sent before `due_ms`.
    pub fn defer(&mut self, id: u64, attempts: u32, due_ms: u64) {
        if self.reader.is_some() {
            self.batch.defer(id, attempts, due_ms);
        }
    }

    /// Keeps a value beside the queue.
    pub fn set(&mut self, key: &str, value: &[u8]) {
        if self.reader.is_some() {
            self.batch.set(key, value);
        }
    }

    /// Keeps no value under a key any more.
    pub fn unset(&mut self, key: &str) {
        if self.reader.is_some() {
            self.batch.unset(key);
        }
    }

    /// Reads a request back.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read<'b>(
        &'b self,
        ticket: Ticket,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Stored<'b>, Failure> {
        if let Some(stored) = self.batch.request_at(ticket.at) {
            return Ok(stored);
        }
        let waiting = self.waiting.iter().find(|batch| batch.end() > ticket.at);
        if let Some(stored) = waiting.and_then(|batch| batch.request_at(ticket.at)) {
            return Ok(stored);
        }
        match &self.reader {
            Some(reader) => Ok(reader.request_at(ticket.id, ticket.at, buffer)?),
            None => Err(Failure::new(format_args!(
                "request {} is not there",
                ticket.id
            ))),
        }
    }

    /// True when it is time for [`Log::commit`]. Waits for the disk when too much waits.
    ///
    /// # Errors
    /// The failure of an earlier commit: nothing may go on after it.
    pub fn wants_commit(&mut self, now_ms: u64) -> Result<bool, Failure> {
        self.take_reports()?;
        let learned = self.learning.as_ref().map_or(0, Learning::waiting_bytes);
        let kept = self.warc.as_ref().map_or(0, Warc::waiting_bytes);
        let waits = self.batch.bytes() + self.ends.waiting_bytes() + learned + kept;
        if waits >= WAITING_BYTES && self.committer.under_way > 0 {
            self.wait_for_one()?;
        }
        let due = now_ms >= self.last_ms + COMMIT_MS || waits >= COMMIT_BYTES;
        Ok(due && self.committer.under_way == 0 && !self.is_clean())
    }

    /// Hands over what waits; the crawl goes on while it is written.
    ///
    /// # Errors
    /// The failure of an earlier commit.
    pub fn commit(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure> {
        self.hand_over(now_ms, progress)
    }

    /// Behind the last commit: gives the WARC files their final names.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish_warc(&mut self) -> Result<(), Failure> {
        if self.warc.is_none() {
            return Ok(());
        }
        self.committer.send(Work::Commit(CommitWork {
            warc: WarcWork::default(),
            pieces: Vec::new(),
            batch: None,
            is_last: true,
        }))?;
        while self.committer.under_way > 0 {
            self.wait_for_one()?;
        }
        Ok(())
    }

    /// Commits all that waits; it is durable when this returns. Gives the journal's end.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn commit_now(&mut self, now_ms: u64, progress: Progress) -> Result<Option<Mark>, Failure> {
        self.hand_over(now_ms, progress)?;
        while self.committer.under_way > 0 {
            self.wait_for_one()?;
        }
        Ok(self.committer.mark)
    }

    /// Waits, for so long at most, until what was handed over is durable; true when it is.
    ///
    /// # Errors
    /// The failure of a commit.
    pub fn wait_for_commits(&mut self, most: Duration) -> Result<bool, Failure> {
        let begun = Instant::now();
        while self.committer.under_way > 0 {
            let left = most.saturating_sub(begun.elapsed());
            match self.committer.done.recv_timeout(left) {
                Ok(report) => self.took(report)?,
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Err(Committer::gone()),
            }
        }
        Ok(true)
    }

    /// The journal's end, as of the last commit that is durable; `None` for a test crawl.
    pub fn end(&self) -> Option<Mark> {
        self.committer.mark
    }

    /// Reads requests back on any thread; `None` for a test crawl.
    pub fn reader(&self) -> Option<Reader> {
        self.reader.clone()
    }

    /// Has what is committed from now on go to a journal of its own. [`Log::take_job`] gives the job back.
    ///
    /// # Errors
    /// The failure of an earlier commit.
    pub fn go_on_anew(&mut self, job: Box<HeldJob>) -> Result<(), Failure> {
        self.committer.send(Work::GoOnAnew(job))
    }

    /// The job, once the journal was begun.
    pub fn take_job(&mut self) -> Option<Box<HeldJob>> {
        self.job.take()
    }

    /// Lengths of the files that the last commit vouches for.
    pub fn files(&self) -> BTreeMap<String, u64> {
        let warc = self.warc.as_ref().map(Warc::files).unwrap_or_default();
        self.ends.files().into_iter().chain(warc).collect()
    }

    /// By what it knows the last bytes of those files again.
    pub fn tails(&self) -> BTreeMap<String, String> {
        let warc = self.warc.as_ref().map(Warc::tails).unwrap_or_default();
        self.ends.tails().into_iter().chain(warc).collect()
    }

    /// When the next commit is due, if anything waits for it.
    pub fn next_due_ms(&self) -> Option<u64> {
        (!self.is_clean()).then_some(self.last_ms + COMMIT_MS)
    }

    fn is_clean(&self) -> bool {
        let kept = self.warc.as_ref().map_or(0, Warc::waiting_bytes);
        let waits = self.ends.waiting_bytes() + kept > 0;
        !waits && (self.reader.is_none() || self.batch.is_empty())
    }

    fn hand_over(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure> {
        self.last_ms = now_ms;
        if let (Some(learning), Some(pages)) = (&mut self.learning, self.ends.waiting(LEARNED)) {
            *pages = learning.take();
        }
        let pieces = self.ends.take();
        let warc = match &mut self.warc {
            Some(warc) => warc.take()?,
            None => WarcWork::default(),
        };
        let batch = self.reader.is_some().then(|| {
            let commit = Commit {
                at_ms: now_ms,
                progress,
                files: self.files(),
                tails: self.tails(),
            };
            let next = Batch::new(&Mark {
                bytes: 0,
                seq: 0,
                next_id: 0,
                sum: [0; 16],
            });
            let closed = std::mem::replace(&mut self.batch, next).close(&commit);
            self.batch = Batch::after(&closed, Vec::new());
            let closed = Arc::new(closed);
            self.waiting.push_back(closed.clone());
            closed
        });
        self.committer.send(Work::Commit(CommitWork {
            warc,
            pieces,
            batch,
            is_last: false,
        }))
    }

    fn take_reports(&mut self) -> Result<(), Failure> {
        while let Ok(report) = self.committer.done.try_recv() {
            self.took(report)?;
        }
        Ok(())
    }

    fn wait_for_one(&mut self) -> Result<(), Failure> {
        let report = self.committer.done.recv();
        self.took(report.unwrap_or_else(|_| Err(Committer::gone())))
    }

    fn took(&mut self, report: Result<Written, Failure>) -> Result<(), Failure> {
        self.committer.under_way -= 1;
        let mark = match report? {
            Written::Committed(mark) => mark,
            Written::Anew(job) => {
                self.job = Some(job);
                None
            }
        };
        if let Some(mark) = mark {
            self.committer.mark = Some(mark);
            while self
                .waiting
                .front()
                .is_some_and(|batch| batch.end() <= mark.bytes)
            {
                self.waiting.pop_front();
            }
        }
        Ok(())
    }
}
