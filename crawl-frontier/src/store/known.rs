//! What earlier crawls knew of pages.

use crawl_ckpt::delta::{self, Fingerprint, Known, Learning, Page, ScopeHash};
use crawl_ckpt::durable::{Append, RealDisk};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::Failure;

/// What earlier crawls knew; nothing of it changes before the crawl is complete.
#[derive(Debug)]
pub struct Delta {
    known: Option<Known>,
    scope: ScopeHash,
}

/// What the crawl learns, as it goes to the disk and as it gathers in memory.
pub type Learned = (Append, Learning);

impl Delta {
    /// For a crawl that begins: reads all that is known, so that damage is told before anything
    /// is asked for. `None` unless the plan is incremental.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn open(place: &JobPlace, plan: &Plan) -> Result<Option<Delta>, Failure> {
        if !plan.delta {
            return Ok(None);
        }
        let scope = scope_of(plan);
        let known = Known::open(&RealDisk, place, scope)?;
        if let Some(known) = &known {
            known.tell(|_| Ok(()))?;
        }
        Ok(Some(Delta { known, scope }))
    }

    /// Begins to learn, in a new job.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin(&self, job: &Job, lock: &JobLock) -> Result<Learned, Failure> {
        Ok(delta::begin(job, lock, self.known.as_ref(), self.scope)?)
    }

    /// For a crawl that goes on: what is known, as long as it is what was known when the crawl
    /// began. `committed` is how much it learned, if that was committed.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn resume(
        job: &Job,
        lock: &JobLock,
        plan: &Plan,
        committed: Option<u64>,
        notes: &mut Vec<String>,
    ) -> Result<Option<(Delta, Learned)>, Failure> {
        if !plan.delta {
            return Ok(None);
        }
        let scope = scope_of(plan);
        let known = Known::open(&**job.disk(), job.place(), scope)?;
        let mut delta = Delta { known, scope };
        let Some(committed) = committed else {
            let learned = delta.begin(job, lock)?;
            return Ok(Some((delta, learned)));
        };
        let learned = delta::resume(job, lock, committed, scope)?;
        let key = delta.known.as_ref().map(Known::key).unwrap_or_default();
        if key != learned.1.base() {
            delta.known = None;
            if key != job.manifest().key {
                notes.push(
                    "what is known of pages is not what the crawl began with: \
                     the rest of it is fetched in full"
                        .to_owned(),
                );
            }
        }
        Ok(Some((delta, learned)))
    }

    /// Makes what the complete crawl learned known to the next one.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn absorb(&self, job: &Job, lock: &JobLock, learned_bytes: u64) -> Result<(), Failure> {
        Ok(delta::absorb(job, lock, learned_bytes, self.scope)?)
    }

    /// What is known of a page.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn find<'b>(
        &self,
        fingerprint: &Fingerprint,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Page<'b>>, Failure> {
        match &self.known {
            Some(known) => Ok(known.find(fingerprint, buffer)?),
            None => Ok(None),
        }
    }
}

/// What a crawl takes on: links of a page are those that belong to the crawl, under this alone.
fn scope_of(plan: &Plan) -> ScopeHash {
    // Strings, numbers and lists: this cannot fail.
    let json = serde_json::to_vec(&(&plan.scope, plan.allow_private)).unwrap_or_default();
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(&json).as_bytes()[..16]);
    half
}
