//! The thread that commits: the outputs first and their sync, then the batch that vouches for their lengths.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crawl_ckpt::journal::{ClosedBatch, Mark, Reader, Writer};
use crawl_ckpt::tool::Failure;

use super::HeldJob;
use super::outputs::Outputs;
use super::warc::{WarcFiles, WarcWork};
use crate::unnamed::MAKE_ROOM;

/// Our end of it.
#[derive(Debug)]
pub struct Committer {
    work: Option<Sender<Work>>,
    /// What became of each piece of work, in turn.
    pub done: Receiver<Result<Written, Failure>>,
    thread: Option<JoinHandle<()>>,
    /// Pieces of work of which nothing was heard yet.
    pub under_way: usize,
    /// The journal's end, as of the last commit that is durable; `None` for a test crawl.
    pub mark: Option<Mark>,
}

/// What a commit writes to.
#[derive(Debug)]
pub struct Files {
    /// Where batches go; `None` for a test crawl.
    pub sink: Option<Box<dyn Sink>>,
    /// Of the journal, which a new one is to read too.
    pub reader: Option<Reader>,
    /// Where the pages themselves go.
    pub warc: Option<WarcFiles>,
    /// The other files that a commit vouches for.
    pub outputs: Outputs,
}

/// What a piece of work came to.
#[derive(Debug)]
pub enum Written {
    /// A commit, and the journal's end with it.
    Committed(Option<Mark>),
    /// A journal of its own was begun.
    Anew(Box<HeldJob>),
}

/// Where finished batches go, each behind the one before. The journal of a job on this machine is
/// one, a store that many machines share another.
pub trait Sink: fmt::Debug + Send {
    /// Takes a batch, which is durable when this returns. Gives the new end.
    ///
    /// # Errors
    /// What keeps it from being durable. Nothing may be appended after that.
    fn append(&mut self, batch: &ClosedBatch) -> Result<Mark, Failure>;

    /// Goes on in a journal of its own, when a sink has any, so that those before it can be settled.
    ///
    /// # Errors
    /// Errors of the disk. Nothing may be appended after that.
    fn go_on_anew(&mut self, job: &mut HeldJob, reader: &Reader) -> Result<(), Failure>;
}

impl Sink for Writer {
    fn append(&mut self, batch: &ClosedBatch) -> Result<Mark, Failure> {
        let written = Writer::append(self, batch).map_err(Failure::from);
        written.map_err(|failure| failure.hint(MAKE_ROOM))
    }

    fn go_on_anew(&mut self, job: &mut HeldJob, reader: &Reader) -> Result<(), Failure> {
        let next = job.go_on_anew(self, reader);
        *self = next.map_err(|failure| failure.hint(MAKE_ROOM))?;
        Ok(())
    }
}

/// What it is given to do.
#[derive(Debug)]
pub enum Work {
    /// A commit.
    Commit(CommitWork),
    /// A journal of its own is begun.
    GoOnAnew(Box<HeldJob>),
}

/// What one commit writes.
#[derive(Debug)]
pub struct CommitWork {
    /// What is done to the WARC files.
    pub warc: WarcWork,
    /// What is to be appended, by the name of the file.
    pub pieces: Vec<(&'static str, Vec<u8>)>,
    /// What vouches for all of it.
    pub batch: Option<Arc<ClosedBatch>>,
    /// Nothing comes behind it.
    pub is_last: bool,
}

impl Committer {
    /// Starts it; the journal ends at `mark`.
    pub fn start(mut files: Files, mark: Option<Mark>) -> Result<Committer, Failure> {
        let (work, jobs) = channel::<Work>();
        let (reports, done) = channel();
        let run = move || {
            for work in jobs {
                let report = files.do_work(work);
                let failed = report.is_err();
                // Nobody listens any more only when the crawl ended with an error of its own.
                if reports.send(report).is_err() || failed {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("commit".into())
            .spawn(run)
            .map_err(|e| Failure::new(format_args!("cannot start a thread: {e}")))?;
        Ok(Committer {
            work: Some(work),
            done,
            thread: Some(thread),
            under_way: 0,
            mark,
        })
    }

    /// Hands it a piece of work.
    pub fn send(&mut self, work: Work) -> Result<(), Failure> {
        let sent = self.work.as_ref().map(|sender| sender.send(work));
        match sent {
            Some(Ok(())) => {
                self.under_way += 1;
                Ok(())
            }
            // The thread ends early only with a failure, which it reported.
            _ => match self.done.try_recv() {
                Ok(Err(failure)) => Err(failure),
                _ => Err(Committer::gone()),
            },
        }
    }

    /// It ended, and did not say why.
    pub fn gone() -> Failure {
        Failure::new("the thread that commits is gone")
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was told by the panic itself.
            let _ = thread.join();
        }
    }
}

impl Files {
    fn do_work(&mut self, work: Work) -> Result<Written, Failure> {
        match work {
            Work::Commit(work) => self.write(&work).map(Written::Committed),
            Work::GoOnAnew(mut job) => {
                if let (Some(sink), Some(reader)) = (&mut self.sink, &self.reader) {
                    sink.go_on_anew(&mut job, reader)?;
                }
                Ok(Written::Anew(job))
            }
        }
    }

    /// One commit. All that the batch vouches for is durable before it.
    fn write(&mut self, work: &CommitWork) -> Result<Option<Mark>, Failure> {
        if let Some(warc) = &mut self.warc {
            warc.write(&work.warc.steps)?;
        }
        self.outputs.append(&work.pieces)?;
        let mark = match (&mut self.sink, &work.batch) {
            (Some(sink), Some(batch)) => Some(sink.append(batch)?),
            _ => None,
        };
        match &mut self.warc {
            Some(warc) if work.is_last => warc.finish()?,
            Some(warc) => warc.settle(&work.warc.used_up)?,
            None => {}
        }
        Ok(mark)
    }
}
