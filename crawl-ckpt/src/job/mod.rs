//! A job directory: where it lies, what it is, and how it comes and goes.
//!
//! A [`JobPlace`] is only a path; a [`Job`] is a directory whose manifest was
//! checked. Every function that changes one takes the [`JobLock`].

mod clear;
mod error;
mod manifest;
mod name;
mod output;
pub(crate) mod place;

use std::path::PathBuf;
use std::sync::Arc;

pub use clear::{Clearing, rename_aside, unfinished_output};
pub use error::JobError;
pub use manifest::{FORMAT, Manifest, OutputPlace, Seal};
pub use name::{Name, NameError};
pub(crate) use output::flaw as output_flaw;
pub use output::{EXCHANGE, OUTPUT, behind_links, check_output, due_exchange, replacement};
pub use place::{JobPlace, data_dir};

use crate::durable::{Disk, Trust, parent, remove_if_there, replace};
use crate::journal::{self, Mark, Writer};
use crate::lock::JobLock;

/// File name of the manifest.
pub(crate) const MANIFEST: &str = "job.json";
const IMAGE: &str = "image";
const JOURNAL: &str = "journal-";

/// A job directory whose manifest was read and is sound.
#[derive(Debug, Clone)]
pub struct Job {
    disk: Arc<dyn Disk>,
    place: JobPlace,
    manifest: Manifest,
    trust: Trust,
}

impl Job {
    /// Creates a job with an empty journal. It is built beside and renamed, so that it is there
    /// as a whole or not at all. Durable when this returns.
    ///
    /// # Errors
    /// Those of the disk; a job that is there already.
    pub fn create(
        disk: Arc<dyn Disk>,
        place: &JobPlace,
        lock: &JobLock,
        manifest: Manifest,
    ) -> Result<Job, JobError> {
        debug_assert!(lock.guards(place));
        clear_leftovers(&*disk, place, lock)?;
        if disk
            .exists(&place.dir)
            .map_err(JobError::io("look at", &place.dir))?
        {
            return Err(JobError::Exists {
                path: place.dir.clone(),
            });
        }
        let building = place.building();
        let folder = parent(&place.dir);
        disk.create_dir_all(folder)
            .map_err(JobError::io("create", folder))?;
        disk.create_dir(&building)
            .map_err(JobError::io("create", &building))?;
        let journal = building.join(journal_name(manifest.generation));
        journal::create(&*disk, &journal, manifest.generation, 0, manifest.key)?;
        let job = Job {
            disk,
            place: place.clone(),
            manifest,
            trust: Trust::default(),
        };
        // Syncs the directory as well, and with it the journal's name.
        job.write_manifest(building.join(MANIFEST))?;
        let disk = &job.disk;
        disk.rename(&building, &place.dir)
            .map_err(JobError::io("create", &place.dir))?;
        disk.sync_dir(folder)
            .map_err(JobError::io("sync", folder))?;
        Ok(job)
    }

    /// Opens a job, for reading as well as for writing; `None` when there is no directory.
    ///
    /// # Errors
    /// Those of the disk; a manifest that is missing, damaged, or of a version not known here.
    pub fn open(disk: Arc<dyn Disk>, place: &JobPlace) -> Result<Option<Job>, JobError> {
        let path = place.dir.join(MANIFEST);
        let bytes = match disk.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                // Asked in this order, a directory that is removed meanwhile is no damage.
                return match disk
                    .exists(&place.dir)
                    .map_err(JobError::io("look at", &place.dir))?
                {
                    true => Err(JobError::damaged(&path, 0, "the file is missing")),
                    false => Ok(None),
                };
            }
            Err(e) => return Err(JobError::io("read", &path)(e)),
        };
        let manifest = Manifest::from_bytes(&bytes, &path)?;
        Ok(Some(Job {
            disk,
            place: place.clone(),
            manifest,
            trust: Trust::default(),
        }))
    }

    /// What the job is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where the job lies.
    pub fn place(&self) -> &JobPlace {
        &self.place
    }

    /// The disk that it lies on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The journal in force.
    pub fn journal_path(&self) -> PathBuf {
        self.place.dir.join(journal_name(self.manifest.generation))
    }

    /// The image, which need not be there.
    pub fn image_path(&self) -> PathBuf {
        self.place.dir.join(IMAGE)
    }

    /// Changes the manifest. Durable when this returns. After an error the old one is in force
    /// or the new one, nobody knows which: the job and its writer refuse all further work.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn update(
        &mut self,
        lock: &JobLock,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), JobError> {
        debug_assert!(lock.guards(&self.place));
        let old = self.manifest.clone();
        change(&mut self.manifest);
        if self.manifest == old {
            return Ok(());
        }
        let path = self.place.dir.join(MANIFEST);
        if self.trust.is_lost() {
            return Err(JobError::io("write", &path)(Trust::refusal()));
        }
        let result = self.write_manifest(path);
        if result.is_err() {
            self.trust.lose();
            self.manifest = old;
        }
        result
    }

    /// Notes where the journal ends, so that any later damage is certain to be found. For a clean
    /// pause, after the last batch. The journal is synced first, whatever `end` was.
    ///
    /// # Errors
    /// Those of the disk; a journal that does not end at `end`.
    pub fn seal(&mut self, lock: &JobLock, end: &Mark) -> Result<(), JobError> {
        let path = self.journal_path();
        let synced = self.disk.open(&path).and_then(|file| {
            file.sync()?;
            file.len()
        });
        let len = self
            .trust
            .after(synced)
            .map_err(JobError::io("sync", &path))?;
        if len != end.bytes {
            let why = format!(
                "the journal ends here, it was to be sealed at {}",
                end.bytes
            );
            return Err(JobError::damaged(&path, len, why));
        }
        let image = self.disk.open_read(&self.image_path()).is_ok();
        self.update(lock, |manifest| {
            manifest.sealed = Some(*end);
            manifest.image = image;
        })
    }

    /// Makes the job ready for a writer: what an earlier run changed and could not sync any more is
    /// made durable, the seal is taken off, left-over files are removed. In this order: a journal may be
    /// removed only when it is certain that the manifest names another.
    pub(crate) fn settle(&mut self, lock: &JobLock) -> Result<(), JobError> {
        for dir in [&*self.place.dir, parent(&self.place.dir)] {
            self.disk.sync_dir(dir).map_err(JobError::io("sync", dir))?;
        }
        self.update(lock, |manifest| manifest.sealed = None)?;
        clear_leftovers(&*self.disk, &self.place, lock)?;
        self.sweep(lock)
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Begins the journal of the next generation, to be filled with what still lives and then
    /// put in force with [`Job::switch_generation`]. Until then it counts for nothing. Its first request
    /// gets the id `first_id`.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn begin_generation(&self, lock: &JobLock, first_id: u64) -> Result<Writer, JobError> {
        debug_assert!(lock.guards(&self.place));
        let generation = self.manifest.generation + 1;
        let path = self.place.dir.join(journal_name(generation));
        remove_if_there(&*self.disk, &path).map_err(JobError::io("remove", &path))?;
        Ok(journal::create(
            &*self.disk,
            &path,
            generation,
            first_id,
            self.manifest.key,
        )?)
    }

    /// Puts the journal of the next generation in force: it is synced, the manifest names it, the
    /// old journal and its image are removed as far as that goes.
    ///
    /// # Errors
    /// Those of the disk. The old journal is in force then or the new one; the job and the
    /// writers of both refuse all further work, unless the old one is in force for certain.
    pub fn switch_generation(&mut self, lock: &JobLock, next: &mut Writer) -> Result<(), JobError> {
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
    /// are not in force.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn sweep(&self, lock: &JobLock) -> Result<(), JobError> {
        debug_assert!(lock.guards(&self.place));
        let dir = &self.place.dir;
        let in_force = journal_name(self.manifest.generation);
        for name in self.disk.list(dir).map_err(JobError::io("list", dir))? {
            let Some(name) = name.to_str() else { continue };
            let is_old_journal = name.starts_with(JOURNAL) && name != in_force;
            if is_old_journal || name.ends_with(".tmp") {
                let path = dir.join(name);
                remove_if_there(&*self.disk, &path).map_err(JobError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Removes the job. It is gone as a whole at one moment: the directory is renamed aside, and
    /// its files are removed after that.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn remove(self, lock: &JobLock) -> Result<(), JobError> {
        remove(&*self.disk, &self.place, lock)
    }

    fn write_manifest(&self, path: PathBuf) -> Result<(), JobError> {
        let bytes = self
            .manifest
            .to_bytes()
            .map_err(|e| JobError::io("write", &path)(e.into()))?;
        replace(&*self.disk, &path, &bytes).map_err(JobError::io("write", &path))
    }
}

/// Removes a job directory whatever its state, a damaged one too, and what is left over of
/// earlier ones. None there is fine.
///
/// # Errors
/// Those of the disk.
pub fn remove(disk: &dyn Disk, place: &JobPlace, lock: &JobLock) -> Result<(), JobError> {
    clear_leftovers(disk, place, lock)?;
    if disk
        .exists(&place.dir)
        .map_err(JobError::io("look at", &place.dir))?
    {
        let removing = place.removing();
        disk.rename(&place.dir, &removing)
            .map_err(JobError::io("remove", &place.dir))?;
        let folder = parent(&place.dir);
        disk.sync_dir(folder)
            .map_err(JobError::io("sync", folder))?;
        disk.remove_dir_all(&removing)
            .map_err(JobError::io("remove", &removing))?;
    }
    Ok(())
}

/// Removes directories that an interrupted creation or removal left beside the job.
///
/// # Errors
/// Those of the disk.
pub fn clear_leftovers(disk: &dyn Disk, place: &JobPlace, lock: &JobLock) -> Result<(), JobError> {
    debug_assert!(lock.guards(place));
    for path in [place.building(), place.removing()] {
        match disk.remove_dir_all(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(JobError::io("remove", &path)(e));
            }
            _ => {}
        }
    }
    Ok(())
}

fn journal_name(generation: u64) -> String {
    format!("{JOURNAL}{generation}")
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
