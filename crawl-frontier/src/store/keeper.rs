//! Who has the job while a crawl runs: the store itself, the thread that commits, for as long as it begins a
//! journal, or the thread that settles those before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crawl_ckpt::control::Counts;
use crawl_ckpt::tool::Failure;

use super::{HeldJob, Log};

/// The job, wherever it is.
#[derive(Debug)]
pub struct Keeper {
    at: JobAt,
    /// The thread that settles is to end.
    is_over: Arc<AtomicBool>,
    /// Why journals were not settled.
    failure: Option<Failure>,
}

#[derive(Debug)]
enum JobAt {
    /// A test crawl has none; and nobody has it after a failure that ends the crawl.
    Nowhere,
    Home(Box<HeldJob>),
    Committer,
    Settler(Settling),
}

/// Gives the job back, and whether all went well.
type Settling = JoinHandle<Option<(Box<HeldJob>, Result<(), Failure>)>>;

impl Keeper {
    /// Of a job; `None` for a test crawl.
    pub fn new(job: Option<HeldJob>) -> Keeper {
        Keeper {
            at: job.map_or(JobAt::Nowhere, |job| JobAt::Home(Box::new(job))),
            is_over: Arc::default(),
            failure: None,
        }
    }

    /// Sees to it that the journals are settled when that is worth it. `counts` are those of the last commit, of so
    /// many hosts.
    ///
    /// # Errors
    /// The failure of an earlier commit.
    pub fn tend(&mut self, log: &mut Log, counts: &Counts, hosts: u64) -> Result<(), Failure> {
        self.at = match std::mem::replace(&mut self.at, JobAt::Nowhere) {
            JobAt::Home(mut job) => match log.end() {
                Some(end) if job.wants_settling(&end, counts, hosts) => {
                    log.go_on_anew(job)?;
                    JobAt::Committer
                }
                _ => JobAt::Home(job),
            },
            JobAt::Committer => match log.take_job() {
                Some(job) => self.settle(job, log),
                None => JobAt::Committer,
            },
            JobAt::Settler(thread) if thread.is_finished() => self.settled(thread)?,
            other => other,
        };
        Ok(())
    }

    /// The job, once nobody else has it. Whoever settles journals leaves them as they are.
    ///
    /// # Errors
    /// The thread that had it is gone.
    pub fn home(&mut self, log: &mut Log) -> Result<Option<&mut HeldJob>, Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        self.at = match std::mem::replace(&mut self.at, JobAt::Nowhere) {
            JobAt::Committer => log.take_job().map_or(JobAt::Nowhere, JobAt::Home),
            JobAt::Settler(thread) => self.settled(thread)?,
            other => other,
        };
        Ok(match &mut self.at {
            JobAt::Home(job) => Some(job),
            _ => None,
        })
    }

    /// True while journals are settled.
    #[cfg(test)]
    pub fn is_settling(&self) -> bool {
        matches!(&self.at, JobAt::Settler(thread) if !thread.is_finished())
    }

    /// Why journals were not settled, if that failed. The job is sound all the same.
    pub fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn settle(&mut self, mut job: Box<HeldJob>, log: &Log) -> JobAt {
        let (reader, is_over) = (log.reader(), self.is_over.clone());
        let (given, taken) = std::sync::mpsc::sync_channel(1);
        let work = move || {
            let (mut job, reader): (Box<HeldJob>, _) = taken.recv().ok()?;
            let settled = job.settle(reader, &is_over);
            Some((job, settled))
        };
        match std::thread::Builder::new()
            .name("settle".into())
            .spawn(work)
        {
            Ok(thread) => {
                // The thread waits for it, so that the job is not lost with a thread that cannot be started.
                let _ = given.send((job, reader));
                JobAt::Settler(thread)
            }
            Err(e) => {
                job.put_off();
                self.failure = Some(Failure::new(format_args!("cannot start a thread: {e}")));
                JobAt::Home(job)
            }
        }
    }

    fn settled(&mut self, thread: Settling) -> Result<JobAt, Failure> {
        let gone = || Failure::new("the thread that settles journals is gone");
        let (job, settled) = thread.join().ok().flatten().ok_or_else(gone)?;
        if let Err(failure) = settled {
            self.failure = Some(failure);
        }
        Ok(JobAt::Home(job))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let JobAt::Settler(thread) = std::mem::replace(&mut self.at, JobAt::Nowhere) {
            // A panic there was told by the panic itself.
            let _ = thread.join();
        }
    }
}
