//! The job directory that a store writes.

use std::io;
use std::sync::atomic::AtomicBool;

use crawl_ckpt::control::Counts;
use crawl_ckpt::error::StoreError;
use crawl_ckpt::job::{Job, Manifest};
use crawl_ckpt::journal::{Mark, Reader, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::known::Delta;
use super::memory::View;
use super::unsound::{INSTEAD, Unsound, forget_image};
use super::{Watch, compact, image, settle};

/// What has the truth of a job that is a copy.
pub trait Original: std::fmt::Debug + Send {
    /// True when its journal, which ends there by now, is to be rewritten.
    fn is_grown(&mut self, end: &Mark) -> bool;

    /// Rewrites what the closed journals of the copy have, there and here. False when nothing came of it.
    ///
    /// # Errors
    /// Errors of this machine's disk, and damage.
    fn rewrite(
        &mut self,
        job: &mut Job,
        lock: &JobLock,
        is_over: &AtomicBool,
    ) -> Result<bool, Failure>;
}

/// A job that is held and written.
#[derive(Debug)]
pub struct HeldJob {
    job: Job,
    lock: JobLock,
    /// How far the image in the job reaches.
    imaged_bytes: u64,
    /// So much may be unsettled.
    least_unsettled: u64,
    /// Who settles, or compacts, has so many bytes of what is sorted in memory at once.
    settle_room: usize,
    /// What the journals had when they were last settled.
    settled_bytes: u64,
    /// The journal's end and the URLs done at that time; `None`: the run has just begun.
    since: Option<Since>,
    /// Of a copy.
    original: Option<Box<dyn Original>>,
}

/// When journals were settled last.
#[derive(Debug, Clone, Copy, Default)]
struct Since {
    bytes: u64,
    ids: u64,
    done: u64,
}

/// So much is read again in half a second when a run was killed.
const UNSETTLED_BYTES: u64 = 64 << 20;
/// With less memory it is less, down to this.
const LEAST_UNSETTLED_BYTES: u64 = 4 << 10;
/// Less is in so many pieces that they take more.
const LEAST_SORTED_BYTES: usize = 1 << 20;
/// What the journal needs no more of a URL that is done, at least.
const DEAD_BYTES: u64 = 64;

impl HeldJob {
    /// A job that was restored, or made.
    /// `memory_bytes` is about how much memory the crawl may take.
    pub fn new(job: Job, lock: JobLock, image: Option<&Mark>, memory_bytes: u64) -> HeldJob {
        HeldJob {
            settled_bytes: job.journal_bytes(),
            job,
            lock,
            imaged_bytes: image.map_or(0, |mark| mark.bytes),
            least_unsettled: (memory_bytes / 16).clamp(LEAST_UNSETTLED_BYTES, UNSETTLED_BYTES),
            settle_room: usize::try_from(memory_bytes / 16).unwrap_or(usize::MAX),
            since: None,
            original: None,
        }
    }

    /// A job that is a copy of what another has.
    pub fn copy_of(original: Box<dyn Original>, job: Job, lock: JobLock) -> HeldJob {
        HeldJob {
            original: Some(original),
            ..HeldJob::new(job, lock, None, 0)
        }
    }

    /// Whether so much in the journals is dead since they were settled that it is worth the work: a fifth of what
    /// would be read for it, or a third of what was written since. So however long a crawl is, what is written for
    /// this stays below a few times what it frees: 227 bytes a URL at 8 million and 267 at 20 million, all of which
    /// were pending at first.
    pub fn wants_settling(&mut self, end: &Mark, counts: &Counts, hosts: u64) -> bool {
        if let Some(original) = &mut self.original {
            return original.is_grown(end);
        }
        let now = Since {
            bytes: end.bytes,
            ids: end.next_id,
            done: counts.done,
        };
        let since = *self.since.get_or_insert_with(|| {
            let living = compact::living_bytes(counts, hosts);
            if living * 2 + self.least_unsettled <= self.settled_bytes {
                // Earlier runs left it so.
                self.settled_bytes = 0;
                Since::default()
            } else {
                now
            }
        });
        let grown = now.bytes.saturating_sub(since.bytes);
        let each = grown / now.ids.saturating_sub(since.ids).max(1);
        let done = now.done.saturating_sub(since.done);
        let dead = done * DEAD_BYTES;
        // A fifth at least of what requests that are not short leave dead is seen here …
        let is_dead = dead >= self.least_unsettled && dead * 5 >= self.settled_bytes + grown;
        // … and long ones here.
        let is_much = grown >= self.least_unsettled.max(self.settled_bytes / 2);
        let is_worth = is_dead || is_much && done * each * 3 >= grown;
        if is_worth {
            self.since = Some(now);
        }
        is_worth
    }

    /// Goes on in a journal of its own, which `reader` reads as well from then on.
    ///
    /// # Errors
    /// Errors of the disk; nothing more may be written then.
    pub fn go_on_anew(&mut self, writer: &Writer, reader: &Reader) -> Result<Writer, Failure> {
        let next = match &self.original {
            Some(_) => self.job.go_on_anew_copied(&self.lock, writer)?,
            None => self.job.go_on_anew(&self.lock, writer)?,
        };
        self.job.renew(reader)?;
        Ok(next)
    }

    /// Settles the journals before the one that is written, unless it is told to end.
    ///
    /// # Errors
    /// Errors of the disk, and damage. The job is sound all the same, or refuses all further work.
    pub fn settle(&mut self, reader: Option<Reader>, is_over: &AtomicBool) -> Result<(), Failure> {
        let settled = match &mut self.original {
            Some(original) => original.rewrite(&mut self.job, &self.lock, is_over),
            None => settle::settle(&mut self.job, &self.lock, self.settle_room, is_over),
        };
        self.put_off();
        if settled? {
            self.imaged_bytes = 0;
            if let Some(reader) = reader {
                self.job.renew(&reader)?;
            }
        }
        Ok(())
    }

    /// Lets as much come to the journals again as is worth it.
    pub fn put_off(&mut self) {
        self.settled_bytes = self.job.journal_bytes();
    }

    /// Closes the job in good order at its durable end: rewrites a journal that is mostly dead,
    /// writes an image when that would spare a long replay, and seals the journal. In a hurry
    /// it does the last alone: all else counts for nothing before it is whole. A job that is removed
    /// next stays as it is: all of it is durable.
    ///
    /// # Errors
    /// Errors of the disk; an image that cannot be written is only worth a note.
    pub fn close(
        &mut self,
        end: &Mark,
        view: View<'_>,
        watch: &mut dyn Watch,
    ) -> Result<(), Failure> {
        if watch.is_last() {
            return Ok(());
        }
        let end = self.tidy(end, view, watch)?;
        if watch.is_in_a_hurry() {
            // What cannot be removed now, the next run removes.
            let _ = self.job.sweep(&self.lock);
        }
        Ok(self.job.seal(&self.lock, &end)?)
    }

    /// Does what makes the next start quick. Gives the journal's end.
    fn tidy(&mut self, end: &Mark, view: View<'_>, watch: &mut dyn Watch) -> Result<Mark, Failure> {
        if watch.is_in_a_hurry() {
            return Ok(*end);
        }
        match view.seen.find_out() {
            Ok(()) => {}
            Err(Unsound::Part(error)) => return Ok(self.do_without(&error, end, watch)),
            Err(Unsound::Other(failure)) => return Err(failure),
        }
        let is_dead = compact::is_worth(&self.job, end, &view)?;
        if is_dead || self.lacks_image(end) {
            watch.tell_of_tidying();
        }
        let compacted = if is_dead {
            let room = self.settle_room.max(LEAST_SORTED_BYTES);
            match compact::compact(&mut self.job, &self.lock, end, &view, room, watch) {
                Ok(compacted) => compacted,
                Err(Unsound::Part(error)) => return Ok(self.do_without(&error, end, watch)),
                Err(Unsound::Other(failure)) => return Err(failure),
            }
        } else {
            None
        };
        let (end, view) = match &compacted {
            None => (*end, view),
            Some(compacted) => {
                self.imaged_bytes = 0;
                (compacted.end, compacted.view(view))
            }
        };
        if self.lacks_image(&end) {
            match image::save(&self.job, &self.lock, &end, &view, watch) {
                Ok(()) => view.seen.image_is_in_force(),
                Err(error) => match Unsound::of(error, unwritten) {
                    Unsound::Part(error) => return Ok(self.do_without(&error, &end, watch)),
                    Unsound::Other(failure) => watch.tell(failure.message),
                },
            }
        }
        Ok(end)
    }

    /// A part is damaged: the next start makes all of them anew. Gives the journal's end, as it is.
    fn do_without(&self, error: &StoreError, end: &Mark, watch: &mut dyn Watch) -> Mark {
        watch.tell(format!("{error}; at the next start {INSTEAD}"));
        // One that stays is passed over like this one, once somebody comes to the same place.
        let _ = forget_image(&**self.job.disk(), &self.job.place().dir);
        *end
    }

    fn lacks_image(&self, end: &Mark) -> bool {
        end.bytes.saturating_sub(self.imaged_bytes) >= image::WORTH_BYTES
    }

    /// Makes what the complete crawl learned known to the next one.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn absorb(&self, delta: &Delta, learned_bytes: u64) -> Result<(), Failure> {
        delta.absorb(&self.job, &self.lock, learned_bytes)
    }
}

fn unwritten(error: io::Error) -> Failure {
    Failure::new(format_args!(
        "no image was written, the next start takes longer: {error}"
    ))
}

/// The manifest of a new job.
///
/// # Errors
/// When the system has no random bytes to give.
pub fn new_manifest() -> Result<Manifest, Failure> {
    Manifest::new(concat!("crawl-frontier ", env!("CARGO_PKG_VERSION"))).map_err(Failure::new)
}

/// A key that nobody can guess.
///
/// # Errors
/// When the system has no random bytes to give.
pub fn random_key() -> Result<[u8; 16], Failure> {
    new_manifest().map(|manifest| manifest.key)
}
