//! The job directory that a store writes.

use crawl_ckpt::job::{Job, Manifest};
use crawl_ckpt::journal::Mark;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

use super::known::Delta;
use super::memory::View;
use super::{Watch, compact, image};

/// A job that is held and written.
#[derive(Debug)]
pub struct HeldJob {
    job: Job,
    lock: JobLock,
    /// How far the image in the job reaches.
    imaged_bytes: u64,
}

impl HeldJob {
    /// A job that was restored, or made.
    pub fn new(job: Job, lock: JobLock, image: Option<&Mark>) -> HeldJob {
        HeldJob {
            job,
            lock,
            imaged_bytes: image.map_or(0, |mark| mark.bytes),
        }
    }

    /// Closes the job in good order at its durable end: rewrites a journal that is mostly dead,
    /// writes an image when that would spare a long replay, and seals the journal. In a hurry
    /// it does the last alone: all else counts for nothing before it is whole.
    ///
    /// # Errors
    /// Errors of the disk; an image that cannot be written is only worth a note.
    pub fn close(
        &mut self,
        end: &Mark,
        view: View<'_>,
        watch: &mut dyn Watch,
    ) -> Result<(), Failure> {
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
        let is_dead = compact::is_worth(&self.job, end, &view)?;
        if is_dead || self.lacks_image(end) {
            watch.tell_of_tidying();
        }
        let compacted = if is_dead {
            compact::compact(&mut self.job, &self.lock, end, &view, watch)?
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
                Err(error) => watch.tell(format!(
                    "no image was written, the next start takes longer: {error}"
                )),
            }
        }
        Ok(end)
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
