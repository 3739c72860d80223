//! A job directory: where it lies, what it is, and how it comes and goes.
//!
//! A [`JobPlace`] is only a path; a [`Job`] is a directory whose manifest was
//! checked. Every function that changes one takes the [`JobLock`].

mod clear;
mod contents;
mod journals;
pub mod lock;
mod manifest;
mod name;
mod output;
mod output_place;
mod place;
mod publish;
mod spool;
mod warc;

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use clear::{Clearing, rename_aside, rename_output};
pub use journals::{JobCopy, Needed};
pub use manifest::{ClosedJournal, FORMAT, Manifest, Seal};
pub use name::{Name, NameError};
pub use output::{EXCHANGE, OUTPUT, behind_links, check_output, due_exchange, replacement};
pub(crate) use output::{begins_as_ours, flaw as output_flaw};
pub use output_place::OutputPlace;
pub use place::{JobPlace, data_dir};
pub use publish::{UNFINISHED, unfinished};
pub use spool::{remove_spool, spool_beside, spool_file};
pub(crate) use warc::lies_at;
pub use warc::{WARC, settle_warc, vouched_warc, warc_dir};

use crate::durable::{Disk, RealDisk, Trust, is_no_dir, parent, remove_if_there, replace};
use crate::error::StoreError;
use crate::journal::{self, JournalFile};

use contents::Contents;
use journals::journal_name;
use lock::JobLock;

/// File name of the manifest.
pub(crate) const MANIFEST: &str = "job.json";
pub(crate) const IMAGE: &str = "image";
const JOURNAL: &str = "journal-";
/// What a crawl learned of pages: the file in the job directory, and its name in commits.
pub(crate) const LEARNED: &str = "pages";
/// The manifest of a job that is being removed where it lies.
const REMOVED: &str = "job.json.removed";

/// A job directory whose manifest was read and is sound.
#[derive(Debug, Clone)]
pub struct Job {
    disk: Arc<dyn Disk>,
    place: JobPlace,
    manifest: Manifest,
    trust: Trust,
    /// The directory, locked from the first change on, for as long as this lives.
    claim: Option<Arc<File>>,
    /// This process made it, and nothing of it can be undurable yet.
    is_new: bool,
}

impl Job {
    /// Creates a job with an empty journal. It is built beside and renamed, so that it is there
    /// as a whole or not at all; in an empty directory that is there already, the manifest comes last.
    /// Durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk; a job that is there already, or something that is not ours.
    pub fn create(
        disk: Arc<dyn Disk>,
        place: &JobPlace,
        lock: &JobLock,
        manifest: Manifest,
    ) -> Result<Job, StoreError> {
        debug_assert!(lock.guards(place));
        clear_leftovers(&*disk, place, lock)?;
        let mut job = Job {
            disk,
            place: place.clone(),
            manifest,
            trust: Trust::default(),
            claim: None,
            is_new: true,
        };
        job.manifest.format = job.manifest.format_needed();
        match contents_of(&*job.disk, &place.dir)? {
            None => job.build_beside()?,
            Some(contents) => {
                if is_job(&*job.disk, &place.dir, &contents)? {
                    return Err(StoreError::Exists {
                        path: place.dir.clone(),
                    });
                }
                refuse_foreign(&place.dir, &contents)?;
                job.claim()?;
                // What a creation or removal left that was cut short.
                contents
                    .remove(&*job.disk, &place.dir)
                    .map_err(StoreError::io("clear", &place.dir))?;
                job.build(&place.dir)?;
                let folder = parent(&place.dir);
                job.disk
                    .sync_dir(folder)
                    .map_err(StoreError::io("sync", folder))?;
            }
        }
        Ok(job)
    }

    fn build_beside(&mut self) -> Result<(), StoreError> {
        let (building, dir) = (self.place.building(), self.place.dir.clone());
        let folder = parent(&dir);
        self.disk
            .create_dir_all(folder)
            .map_err(StoreError::io("create", folder))?;
        refuse_taken(&*self.disk, &building)?;
        self.disk
            .create_dir(&building)
            .map_err(StoreError::io("create", &building))?;
        self.claim = claim(&*self.disk, &building)?.map(Arc::new);
        self.fill(&building)?;
        self.disk
            .rename(&building, &dir)
            .map_err(StoreError::io("create", &dir))?;
        self.disk
            .sync_dir(folder)
            .map_err(StoreError::io("sync", folder))
    }

    /// Writes journal and manifest where nobody looks yet. Syncs the directory.
    fn fill(&self, dir: &Path) -> Result<(), StoreError> {
        self.new_journal(dir)?;
        self.write_manifest(dir.join(MANIFEST))
    }

    /// Writes the journal, then the manifest, without which the journal counts for nothing. Syncs the directory.
    fn build(&self, dir: &Path) -> Result<(), StoreError> {
        self.new_journal(dir)?;
        self.disk
            .sync_dir(dir)
            .map_err(StoreError::io("sync", dir))?;
        self.write_manifest(dir.join(MANIFEST))
    }

    fn new_journal(&self, dir: &Path) -> Result<(), StoreError> {
        let journal = JournalFile {
            path: dir.join(journal_name(self.manifest.generation)),
            ..self.journal()
        };
        journal::create(&journal, 0)?;
        Ok(())
    }

    /// Locks the directory, so that nobody else writes in it whatever becomes of the lock file.
    ///
    /// # Errors
    /// Somebody else writes in it; errors of the disk.
    pub fn claim(&mut self) -> Result<(), StoreError> {
        if self.claim.is_none() {
            self.claim = claim(&*self.disk, &self.place.dir)?.map(Arc::new);
        }
        Ok(())
    }

    /// Opens a job, for reading as well as for writing; `None` when there is no directory, or nothing
    /// of a job in it.
    ///
    /// # Errors
    /// Errors of the disk; a manifest that is missing, damaged, or of a version not known here.
    pub fn open(disk: Arc<dyn Disk>, place: &JobPlace) -> Result<Option<Job>, StoreError> {
        let path = place.dir.join(MANIFEST);
        let bytes = match disk.read(&path) {
            Ok(bytes) => bytes,
            Err(e) if is_no_dir(&e) => {
                // Asked in this order, a directory that is removed meanwhile is no damage.
                let contents = contents_of(&*disk, &place.dir)?.unwrap_or_default();
                return if is_job(&*disk, &place.dir, &contents)? {
                    Err(StoreError::damaged(&path, 0, "the file is missing"))
                } else {
                    Ok(None)
                };
            }
            // No file, or far too large: it is not what was written.
            Err(e) if e.kind() == ErrorKind::InvalidData => {
                return Err(StoreError::damaged(&path, 0, e.to_string()));
            }
            Err(e) => return Err(StoreError::io("read", &path)(e)),
        };
        let manifest = Manifest::from_bytes(&bytes, &path)?;
        Ok(Some(Job {
            disk,
            place: place.clone(),
            manifest,
            trust: Trust::default(),
            claim: None,
            is_new: false,
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

    /// The image, which need not be there.
    pub fn image_path(&self) -> PathBuf {
        self.place.dir.join(IMAGE)
    }

    /// Changes the manifest. Durable when this returns. After an error the old one is in force
    /// or the new one, nobody knows which: the job and its writer refuse all further work.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn update(
        &mut self,
        lock: &JobLock,
        change: impl FnOnce(&mut Manifest),
    ) -> Result<(), StoreError> {
        debug_assert!(lock.guards(&self.place));
        self.claim()?;
        let old = self.manifest.clone();
        change(&mut self.manifest);
        self.manifest.format = self.manifest.format_needed();
        if self.manifest == old {
            return Ok(());
        }
        let path = self.place.dir.join(MANIFEST);
        if self.trust.is_lost() {
            return Err(StoreError::io("write", &path)(Trust::refusal()));
        }
        let result = self.write_manifest(path);
        if result.is_err() {
            self.trust.lose();
            self.manifest = old;
        }
        result
    }

    /// Removes the job. It is gone as a whole at one moment: the directory is renamed aside, and
    /// its files are removed after that.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn remove(mut self, lock: &JobLock) -> Result<(), StoreError> {
        clear_leftovers(&*self.disk, &self.place, lock)?;
        self.claim()?;
        take_away(&*self.disk, &self.place)
    }

    fn write_manifest(&self, path: PathBuf) -> Result<(), StoreError> {
        let bytes = self
            .manifest
            .to_bytes()
            .map_err(|e| StoreError::io("write", &path)(e.into()))?;
        replace(&*self.disk, &path, &bytes).map_err(StoreError::io("write", &path))
    }
}

/// Removes a job directory whatever its state, a damaged one too, and what is left over of
/// earlier ones. None there is fine, and what has neither manifest nor journal is none.
///
/// # Errors
/// Errors of the disk; somebody writes in it; something lies in it that is not ours: nothing
/// is removed then.
pub fn remove(disk: &dyn Disk, place: &JobPlace, lock: &JobLock) -> Result<(), StoreError> {
    match prepare_removal(disk, place, lock)? {
        Some(_claim) => take_away(disk, place),
        None => Ok(()),
    }
}

/// Removes a job as [`remove`] does, but leaves the files that nobody looks for any more to a later
/// [`clear_leftovers`].
///
/// # Errors
/// As [`remove`].
pub fn put_away(disk: &dyn Disk, place: &JobPlace, lock: &JobLock) -> Result<(), StoreError> {
    match prepare_removal(disk, place, lock)? {
        Some(_claim) => rename_away(disk, place).map(drop),
        None => Ok(()),
    }
}

/// Clears what earlier removals left, and claims the job, which may have no lock to claim; `None` when there is none.
fn prepare_removal(
    disk: &dyn Disk,
    place: &JobPlace,
    lock: &JobLock,
) -> Result<Option<Option<File>>, StoreError> {
    clear_leftovers(disk, place, lock)?;
    match contents_of(disk, &place.dir)? {
        Some(contents) if contents.shows_a_job() => claim(disk, &place.dir).map(Some),
        _ => Ok(None),
    }
}

/// Removes a job that is claimed.
fn take_away(disk: &dyn Disk, place: &JobPlace) -> Result<(), StoreError> {
    let removing = place.removing();
    match rename_away(disk, place)? {
        Some(contents) => contents
            .remove(disk, &removing)
            .and_then(|()| disk.remove_dir(&removing))
            .map_err(StoreError::io("remove", &removing)),
        None => Ok(()),
    }
}

/// Renames a job that is claimed, from when on there is none, and gives what lies in it; `None` when the
/// directory has no other name to take, and was emptied.
fn rename_away(disk: &dyn Disk, place: &JobPlace) -> Result<Option<Contents>, StoreError> {
    let (dir, removing) = (&place.dir, place.removing());
    let contents = contents_of(disk, dir)?.unwrap_or_default();
    refuse_foreign(dir, &contents)?;
    refuse_taken(disk, &removing)?;
    let is_dir = disk.is_dir(dir).map_err(StoreError::io("look at", dir))?;
    if !is_dir {
        // The job directory is a link, and the link stays.
        return empty(disk, dir, &contents).map(|()| None);
    }
    match disk.rename(dir, &removing) {
        // The root of a volume stays too: it cannot be renamed.
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::ResourceBusy | ErrorKind::CrossesDevices
            ) =>
        {
            empty(disk, dir, &contents).map(|()| None)
        }
        Err(e) => Err(StoreError::io("remove", dir)(e)),
        Ok(()) => {
            let folder = parent(dir);
            disk.sync_dir(folder)
                .map_err(StoreError::io("sync", folder))?;
            Ok(Some(contents))
        }
    }
}

/// Removes a job out of a directory that stays. The job is gone as a whole at the moment when its manifest is renamed.
fn empty(disk: &dyn Disk, dir: &Path, contents: &Contents) -> Result<(), StoreError> {
    let put_aside = || {
        if contents.has(MANIFEST) {
            disk.rename(&dir.join(MANIFEST), &dir.join(REMOVED))?;
            disk.sync_dir(dir)?;
        }
        contents.remove(disk, dir)?;
        remove_if_there(disk, &dir.join(REMOVED))?;
        disk.sync_dir(dir)
    };
    put_aside().map_err(StoreError::io("remove the job in", dir))
}

/// Removes directories that an interrupted creation or removal left beside the job. What does not
/// show a job of ours is somebody else's and stays.
///
/// # Errors
/// Errors of the disk.
pub fn clear_leftovers(
    disk: &dyn Disk,
    place: &JobPlace,
    lock: &JobLock,
) -> Result<(), StoreError> {
    debug_assert!(lock.guards(place));
    for path in [place.building(), place.removing()] {
        let Some(contents) = left_over(disk, &path)? else {
            continue;
        };
        contents
            .remove(disk, &path)
            .and_then(|()| match contents.foreign {
                None => disk.remove_dir(&path),
                Some(_) => Ok(()),
            })
            .map_err(StoreError::io("remove", &path))?;
    }
    Ok(())
}

/// What lies in a directory that an interrupted creation or removal left; `None` when it is none.
fn left_over(disk: &dyn Disk, path: &Path) -> Result<Option<Contents>, StoreError> {
    if !disk.is_dir(path).map_err(StoreError::io("look at", path))? {
        return Ok(None);
    }
    let contents = contents_of(disk, path)?;
    Ok(contents.filter(|contents| contents.shows_a_job() || contents.is_empty()))
}

/// True when a job lies at a place, be it damaged, or what is left of one whose removal was cut short.
pub fn is_there(place: &JobPlace) -> bool {
    let is_ours = |dir: &Path| match contents_of(&RealDisk, dir) {
        Ok(contents) => contents.is_some_and(|contents| contents.shows_a_job()),
        // What cannot be looked at may be one; who opens it is told.
        Err(_) => true,
    };
    is_ours(&place.dir) || left_over(&RealDisk, &place.removing()).is_ok_and(|left| left.is_some())
}

/// True when something was committed to a job here: there is a manifest, or a journal that holds more
/// than its header. Neither is there in a directory where a creation or a removal was cut short.
fn is_job(disk: &dyn Disk, dir: &Path, contents: &Contents) -> Result<bool, StoreError> {
    if contents.has(MANIFEST) {
        return Ok(true);
    }
    if contents.has(REMOVED) {
        return Ok(false);
    }
    for name in contents.journals() {
        let path = dir.join(name);
        match disk.open_read(&path).and_then(|file| file.len()) {
            Ok(len) if len <= journal::HEADER as u64 => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Ok(_) => return Ok(true),
            Err(e) if e.kind() == ErrorKind::InvalidData => return Ok(true),
            Err(e) => return Err(StoreError::io("read", &path)(e)),
        }
    }
    Ok(false)
}

fn contents_of(disk: &dyn Disk, dir: &Path) -> Result<Option<Contents>, StoreError> {
    Contents::of(disk, dir).map_err(StoreError::io("list", dir))
}

/// The lock of a directory; a directory that is not there has none.
fn claim(disk: &dyn Disk, dir: &Path) -> Result<Option<File>, StoreError> {
    match disk.claim(dir) {
        Ok(claim) => Ok(claim),
        Err(e) if e.kind() == ErrorKind::WouldBlock => Err(StoreError::Held { path: dir.into() }),
        Err(e) if is_no_dir(&e) => Ok(None),
        Err(e) => Err(StoreError::io("lock", dir)(e)),
    }
}

fn refuse_foreign(dir: &Path, contents: &Contents) -> Result<(), StoreError> {
    match &contents.foreign {
        None => Ok(()),
        Some(name) => Err(StoreError::Foreign {
            path: dir.join(name),
        }),
    }
}

/// A name beside the job that is ours to use is taken by somebody else.
fn refuse_taken(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    if disk.exists(path).map_err(StoreError::io("look at", path))? {
        Err(StoreError::Foreign { path: path.into() })
    } else {
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
