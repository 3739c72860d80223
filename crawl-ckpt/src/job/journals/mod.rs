//! The journals of a job: the one in force, read and written, and the next one that takes its place.

use std::path::PathBuf;

use super::contents::is_journal;
use super::lock::JobLock;
use super::{IMAGE, JOURNAL, Job, MANIFEST, clear_leftovers, remove_spool};
use crate::durable::{parent, remove_if_there};
use crate::error::StoreError;
use crate::journal::{self, Commit, Entry, JournalFile, Mark, Reader, Replayed, Writer};

impl Job {
    /// The journal in force.
    pub fn journal_path(&self) -> PathBuf {
        self.place.dir.join(journal_name(self.manifest.generation))
    }

    fn journal(&self) -> JournalFile<'_> {
        JournalFile {
            disk: &*self.disk,
            path: self.journal_path(),
            generation: self.manifest.generation,
            key: self.manifest.key,
            sealed: self.manifest.sealed,
        }
    }

    /// Tells every entry of the journal in the order in which they were written, from the
    /// start or from a mark that an image stands for. An entry is told only after the checksum of its
    /// whole batch was found right. `each` may refuse an entry that makes no sense, in
    /// words, which is damage at that place.
    ///
    /// # Errors
    /// Errors of the disk, and damage; a torn tail is no damage.
    pub fn replay(
        &self,
        from: Option<&Mark>,
        each: impl FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<Replayed, StoreError> {
        journal::replay(&self.journal(), from, each)
    }

    /// The last commit, without reading what is before it: for a quick look from outside. Works
    /// beside a running writer; says nothing about the rest of the journal. `None` when there is no
    /// batch yet.
    ///
    /// # Errors
    /// Errors of the disk; a journal whose header is not the job's, or whose end is not the sealed one.
    pub fn last_commit(&self) -> Result<Option<Commit>, StoreError> {
        journal::last_commit(&self.journal())
    }

    /// Reads single requests of the journal. A [`Writer`] gives a reader of its own.
    ///
    /// # Errors
    /// Errors of the disk, and a journal whose header is not the job's.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.journal())
    }

    /// Opens the journal to go on at `end`, as a replay gave it. The seal is taken off
    /// first and a torn tail is cut off. When this returns, all that the replay told is durable,
    /// also what a run that was killed had written and not synced yet.
    ///
    /// # Errors
    /// Errors of the disk; a journal shorter than `end`, or one whose header is not the job's.
    pub fn writer(&mut self, lock: &JobLock, end: &Mark) -> Result<Writer, StoreError> {
        self.settle(lock)?;
        let (trust, claim) = (self.trust.clone(), self.claim.clone());
        Writer::open(&self.journal(), end, trust, claim)
    }

    /// Makes the job ready for a writer: what an earlier run changed and could not sync any more is
    /// made durable, the seal is taken off, left-over files are removed. In this order: a journal may be
    /// removed only when it is certain that the manifest names another.
    fn settle(&mut self, lock: &JobLock) -> Result<(), StoreError> {
        self.claim()?;
        if !std::mem::take(&mut self.is_new) {
            for dir in [&*self.place.dir, parent(&self.place.dir)] {
                self.disk
                    .sync_dir(dir)
                    .map_err(StoreError::io("sync", dir))?;
            }
        }
        self.update(lock, |manifest| manifest.sealed = None)?;
        clear_leftovers(&*self.disk, &self.place, lock)?;
        self.sweep(lock)
    }

    /// Notes where the journal ends, so that any later damage is certain to be found. For a clean
    /// pause, after the last batch. The journal is synced first, whatever `end` was.
    ///
    /// # Errors
    /// Errors of the disk; a journal that does not end at `end`.
    pub fn seal(&mut self, lock: &JobLock, end: &Mark) -> Result<(), StoreError> {
        self.claim()?;
        let path = self.journal_path();
        let synced = self.disk.open(&path).and_then(|file| {
            file.sync()?;
            file.len()
        });
        let len = self
            .trust
            .after(synced)
            .map_err(StoreError::io("sync", &path))?;
        if len != end.bytes {
            let why = format!(
                "the journal ends here, it was to be sealed at {}",
                end.bytes
            );
            return Err(StoreError::damaged(&path, len, why));
        }
        let image = self.disk.open_read(&self.image_path()).is_ok();
        self.update(lock, |manifest| {
            manifest.sealed = Some(*end);
            manifest.image = image;
        })
    }

    /// Begins the journal of the next generation, to be filled with what still lives and then
    /// put in force with [`Job::switch_generation`]. Until then it counts for nothing. Its first request
    /// gets the id `first_id`.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin_generation(&self, lock: &JobLock, first_id: u64) -> Result<Writer, StoreError> {
        debug_assert!(lock.guards(&self.place));
        let generation = self.manifest.generation + 1;
        let path = self.place.dir.join(journal_name(generation));
        remove_if_there(&*self.disk, &path).map_err(StoreError::io("remove", &path))?;
        journal::create(&*self.disk, &path, generation, first_id, self.manifest.key)
    }

    /// Puts the journal of the next generation in force: it is synced, the manifest names it, the
    /// old journal and its image are removed as far as that goes.
    ///
    /// # Errors
    /// Errors of the disk. The old journal is in force then or the new one; the job and the
    /// writers of both refuse all further work, unless the old one is in force for certain.
    pub fn switch_generation(
        &mut self,
        lock: &JobLock,
        next: &mut Writer,
    ) -> Result<(), StoreError> {
        next.sync()?;
        next.sync_name(&*self.disk)?;
        next.share(&self.trust);
        self.update(lock, |manifest| {
            manifest.generation += 1;
            manifest.sealed = None;
            manifest.image = false;
        })?;
        // The new one is in force. What cannot be removed is left over and counts for nothing; an error
        // here would make somebody go on with the old one.
        let _ = remove_if_there(&*self.disk, &self.image_path());
        let _ = self.sweep(lock);
        Ok(())
    }

    /// Removes what an interrupted run left in the directory: temporary files, journals that
    /// are not in force, WARC records that were never taken.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn sweep(&self, lock: &JobLock) -> Result<(), StoreError> {
        debug_assert!(lock.guards(&self.place));
        let dir = &self.place.dir;
        let in_force = journal_name(self.manifest.generation);
        for name in self.disk.list(dir).map_err(StoreError::io("list", dir))? {
            let Some(name) = name.to_str() else { continue };
            let is_old_journal = is_journal(name) && name != in_force;
            let is_temporary = name.strip_suffix(".tmp");
            if is_old_journal || is_temporary.is_some_and(|of| of == MANIFEST || of == IMAGE) {
                let path = dir.join(name);
                remove_if_there(&*self.disk, &path).map_err(StoreError::io("remove", &path))?;
            }
        }
        let spool = self.place.spool_dir();
        remove_spool(&*self.disk, &spool).map_err(StoreError::io("remove", &spool))
    }
}

/// The file name of a generation's journal.
pub(super) fn journal_name(generation: u64) -> String {
    format!("{JOURNAL}{generation}")
}

#[cfg(test)]
mod tests;
