//! The journals of a job, read as one: those that are closed, the one that is written, and those that take their place.

mod copied;

use std::path::PathBuf;

pub use copied::{JobCopy, Needed};

use super::contents::is_journal;
use super::lock::JobLock;
use super::{
    ClosedJournal, IMAGE, JOURNAL, Job, MANIFEST, Manifest, clear_leftovers, remove_spool,
};
use crate::durable::{parent, remove_if_there};
use crate::error::StoreError;
use crate::journal::{self, Commit, Entry, JournalFile, Mark, Reader, Replayed, Writer};

impl Job {
    /// The journal in force.
    pub fn journal_path(&self) -> PathBuf {
        self.place.dir.join(journal_name(self.manifest.generation))
    }

    /// Bytes of all journals that count. One that cannot be looked at is told by whoever reads it, and has none here.
    pub fn journal_bytes(&self) -> u64 {
        let all = self.journals();
        let len = |journal: &JournalFile<'_>| self.disk.open_read(&journal.path)?.len();
        all.iter().map(|journal| len(journal).unwrap_or(0)).sum()
    }

    pub(super) fn journal(&self) -> JournalFile<'_> {
        let before = self.manifest.before.last();
        JournalFile {
            disk: &*self.disk,
            path: self.journal_path(),
            generation: self.manifest.generation,
            key: self.manifest.key,
            begin: before.map(ClosedJournal::goes_on_at),
            sealed: self.manifest.sealed,
        }
    }

    /// All that count, the oldest first.
    fn journals(&self) -> Vec<JournalFile<'_>> {
        let mut begin = None;
        let mut all = Vec::new();
        for closed in &self.manifest.before {
            all.push(JournalFile {
                path: self.place.dir.join(journal_name(closed.generation)),
                generation: closed.generation,
                begin,
                sealed: Some(closed.end),
                ..self.journal()
            });
            begin = Some(closed.goes_on_at());
        }
        all.push(self.journal());
        all
    }

    /// Tells every entry of the journals in the order in which they were written, from the
    /// start or from a mark that an image stands for. An entry is told only after the checksum of its
    /// whole batch was found right. `each` may refuse an entry that makes no sense, in
    /// words, which is damage at that place.
    ///
    /// # Errors
    /// Errors of the disk, and damage; a torn tail is no damage.
    pub fn replay(
        &self,
        from: Option<&Mark>,
        mut each: impl FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<Replayed, StoreError> {
        let first = from.map_or(0, |mark| self.journal_with(mark));
        let count = self.manifest.before.len();
        let mut told = self.replay_one(first, from, &mut each)?;
        for number in first + 1..=count {
            let next = self.replay_one(number, None, &mut each)?;
            told = Replayed {
                batches: told.batches + next.batches,
                commit: next.commit.or(told.commit),
                ..next
            };
        }
        Ok(told)
    }

    /// Tells the entries of one of the closed journals, by its place in the manifest.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn replay_closed(
        &self,
        number: usize,
        mut each: impl FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<Replayed, StoreError> {
        debug_assert!(number < self.manifest.before.len());
        self.replay_one(number, None, &mut each)
    }

    /// Where the journal lies in the list in which a mark is: a settled one has none.
    fn journal_with(&self, mark: &Mark) -> usize {
        let before = &self.manifest.before;
        let ends_before =
            |closed: &&ClosedJournal| closed.stands_for.is_some() || closed.end.bytes < mark.bytes;
        before.iter().take_while(ends_before).count()
    }

    fn replay_one(
        &self,
        number: usize,
        from: Option<&Mark>,
        each: &mut impl FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<Replayed, StoreError> {
        let journal = self.journals().swap_remove(number);
        let closed = self.manifest.before.get(number);
        let stands_for = closed.and_then(|closed| closed.stands_for);
        let told = journal::replay(&journal, from, |entry| match entry {
            // Its place is no more the one that it was known by.
            Entry::Request { id, request, .. } if stands_for.is_some() => {
                each(Entry::Request { id, at: 0, request })
            }
            entry => each(entry),
        });
        let told = told.map_err(|error| error.within_file(journal.shift()))?;
        Ok(Replayed {
            mark: stands_for.unwrap_or(told.mark),
            ..told
        })
    }

    /// The last commit, without reading what is before it: for a quick look from outside. Works
    /// beside a running writer; says nothing about the rest of the journal. `None` when there is no
    /// batch yet.
    ///
    /// # Errors
    /// Errors of the disk; a journal whose header is not the job's, or whose end is not the sealed one.
    pub fn last_commit(&self) -> Result<Option<Commit>, StoreError> {
        for journal in self.journals().iter().rev() {
            let last = journal::last_commit(journal);
            if let Some(commit) = last.map_err(|error| error.within_file(journal.shift()))? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    /// Reads single requests of the journals.
    ///
    /// # Errors
    /// Errors of the disk, and a journal whose header is not the job's.
    pub fn reader(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.journals(), self.manifest.is_settled())
    }

    /// Has a reader, and all its clones, read the journals as they are now.
    ///
    /// # Errors
    /// As [`Job::reader`].
    pub fn renew(&self, reader: &Reader) -> Result<(), StoreError> {
        reader.renew(&self.journals(), self.manifest.is_settled())
    }

    /// Opens the journal to go on at `end`, as a replay gave it. The seal is taken off
    /// first and a torn tail is cut off. When this returns, all that the replay told is durable,
    /// also what a run that was killed had written and not synced yet.
    ///
    /// # Errors
    /// Errors of the disk; a journal shorter than `end`, or one whose header is not the job's.
    pub fn writer(&mut self, lock: &JobLock, end: &Mark) -> Result<Writer, StoreError> {
        let is_durable = self.is_new;
        self.settle(lock)?;
        let (trust, claim) = (self.trust.clone(), self.claim.clone());
        Writer::open(&self.journal(), end, is_durable, trust, claim)
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
        let shift = self.journal().shift();
        let synced = self.disk.open(&path).and_then(|file| {
            file.sync()?;
            Ok(file.len()? + shift)
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
        self.begin_journal(lock, None, first_id)
    }

    fn begin_journal(
        &self,
        lock: &JobLock,
        begin: Option<Mark>,
        first_id: u64,
    ) -> Result<Writer, StoreError> {
        self.begin_numbered(lock, self.next_generation(), begin, first_id)
    }

    fn begin_numbered(
        &self,
        lock: &JobLock,
        generation: u64,
        begin: Option<Mark>,
        first_id: u64,
    ) -> Result<Writer, StoreError> {
        debug_assert!(lock.guards(&self.place));
        let path = self.place.dir.join(journal_name(generation));
        remove_if_there(&*self.disk, &path).map_err(StoreError::io("remove", &path))?;
        let journal = JournalFile {
            path,
            generation,
            begin,
            ..self.journal()
        };
        journal::create(&journal, first_id)
    }

    /// The number of the journal that is begun next: none in force has it.
    pub fn next_generation(&self) -> u64 {
        let before = self.manifest.before.iter().map(|closed| closed.generation);
        before.fold(self.manifest.generation, u64::max) + 1
    }

    /// Puts the journal of the next generation in force: it is synced, the manifest names it, the
    /// old journals and the image are removed as far as that goes.
    ///
    /// # Errors
    /// Errors of the disk. The old journal is in force then or the new one; the job and the
    /// writers of both refuse all further work, unless the old one is in force for certain.
    pub fn switch_generation(
        &mut self,
        lock: &JobLock,
        next: &mut Writer,
    ) -> Result<(), StoreError> {
        let generation = self.next_generation();
        self.put_in_force(lock, next, |manifest, _| {
            manifest.generation = generation;
            manifest.before.clear();
            manifest.sealed = None;
            manifest.image = false;
        })?;
        // The new one is in force. What cannot be removed is left over and counts for nothing; an error
        // here would make somebody go on with the old one.
        let _ = remove_if_there(&*self.disk, &self.image_path());
        let _ = self.sweep(lock);
        Ok(())
    }

    /// Goes on in a journal of its own: the one that was written is closed, and may be settled with those before
    /// it while the new one is written. All that was appended must be synced.
    ///
    /// # Errors
    /// Errors of the disk; the job and the writers of both refuse all further work, unless the new one is not in
    /// force for certain.
    pub fn go_on_anew(&mut self, lock: &JobLock, writer: &Writer) -> Result<Writer, StoreError> {
        let end = writer.end();
        let next = self.begin_journal(lock, Some(end), end.next_id)?;
        self.go_on_in(lock, next, end)
    }

    fn go_on_in(
        &mut self,
        lock: &JobLock,
        mut next: Writer,
        end: Mark,
    ) -> Result<Writer, StoreError> {
        let (generation, closed) = (self.next_generation(), self.manifest.generation);
        self.put_in_force(lock, &mut next, |manifest, _| {
            manifest.before.push(ClosedJournal {
                generation: closed,
                end,
                stands_for: None,
            });
            manifest.generation = generation;
        })?;
        Ok(next)
    }

    /// Begins a journal that will stand for all closed ones, to be filled with what of them still lives and then
    /// put in force with [`Job::switch_settled`]. Until then it counts for nothing.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin_settled(&self, lock: &JobLock) -> Result<Writer, StoreError> {
        self.begin_journal(lock, None, 0)
    }

    /// Puts a settled journal in force instead of all closed ones, which are removed as far as that goes. So is
    /// the image, which would go on from one of them.
    ///
    /// # Errors
    /// Errors of the disk; as in [`Job::switch_generation`].
    pub fn switch_settled(
        &mut self,
        lock: &JobLock,
        settled: &mut Writer,
    ) -> Result<(), StoreError> {
        let stands_for = self.manifest.before.last().map(ClosedJournal::goes_on_at);
        self.begin_with(lock, self.next_generation(), settled, stands_for)
    }

    fn begin_with(
        &mut self,
        lock: &JobLock,
        generation: u64,
        settled: &mut Writer,
        stands_for: Option<Mark>,
    ) -> Result<(), StoreError> {
        self.put_in_force(lock, settled, |manifest, end| {
            manifest.before = vec![ClosedJournal {
                generation,
                end,
                stands_for,
            }];
            manifest.image = false;
        })?;
        // As in `switch_generation`: the settled one is in force.
        let _ = remove_if_there(&*self.disk, &self.image_path());
        let _ = self.sweep_journals();
        Ok(())
    }

    fn put_in_force(
        &mut self,
        lock: &JobLock,
        next: &mut Writer,
        change: impl FnOnce(&mut Manifest, Mark),
    ) -> Result<(), StoreError> {
        next.sync()?;
        next.sync_name(&*self.disk)?;
        next.share(&self.trust, self.claim.clone());
        let end = next.end();
        self.update(lock, |manifest| change(manifest, end))
    }

    /// Removes journals that do not count.
    fn sweep_journals(&self) -> Result<(), StoreError> {
        let dir = &self.place.dir;
        let in_force: Vec<PathBuf> = self.journals().into_iter().map(|one| one.path).collect();
        for name in self.disk.list(dir).map_err(StoreError::io("list", dir))? {
            let path = dir.join(&name);
            if name.to_str().is_some_and(is_journal) && !in_force.contains(&path) {
                remove_if_there(&*self.disk, &path).map_err(StoreError::io("remove", &path))?;
            }
        }
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
        self.sweep_journals()?;
        for name in self.disk.list(dir).map_err(StoreError::io("list", dir))? {
            let Some(name) = name.to_str() else { continue };
            let is_temporary = name.strip_suffix(".tmp");
            if is_temporary.is_some_and(|of| of == MANIFEST || of == IMAGE) {
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
