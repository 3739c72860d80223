//! An output that has another name until its crawl is complete: who reads finished files never meets it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Job, Manifest, OutputPlace};
use crate::durable::{Disk, RealDisk, beside, parent, rename_new};
use crate::error::StoreError;
use crate::lock::JobLock;

/// What is behind the name of such an output.
pub const UNFINISHED: &str = ".unfinished";

/// The name that an output has until its crawl is complete.
pub fn unfinished(output: &Path) -> PathBuf {
    beside(output, UNFINISHED)
}

impl Job {
    /// Gives the output of a complete crawl its name. False when that is taken: nothing has changed
    /// then, and another name may be tried. Durable when this returns; after a kill
    /// [`Job::finish_publishing`] does what is left.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn publish(
        &mut self,
        lock: &JobLock,
        data_dir: &Path,
        name: &Path,
    ) -> Result<bool, StoreError> {
        let name = OutputPlace::file(name, data_dir);
        self.update(lock, |manifest| {
            let output = manifest.output.replace(name);
            manifest.unfinished = manifest.unfinished.take().or(output);
        })?;
        self.finish_publishing(data_dir)
    }

    /// Does what a killed run left of it. False when the name is taken.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish_publishing(&self, data_dir: &Path) -> Result<bool, StoreError> {
        let Some((from, to)) = self.manifest().renaming(data_dir) else {
            return Ok(true);
        };
        match rename_new(&from, &to) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(false),
            // It was done before.
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            renamed => renamed.map_err(StoreError::io("rename", &from))?,
        }
        let folder = parent(&to);
        let synced: io::Result<()> = RealDisk.sync_dir(folder);
        synced.map_err(StoreError::io("sync", folder))?;
        Ok(true)
    }
}

impl Manifest {
    /// The file that the output is in now: one that is to get its name has the one before until then.
    /// `None` when there is none or it is a stream.
    pub fn output_file(&self, data_dir: &Path) -> Option<PathBuf> {
        let before = self.renaming(data_dir).map(|(before, _)| before);
        let output = || self.output.as_ref()?.resolve(data_dir);
        before.filter(|before| before.is_file()).or_else(output)
    }

    /// The name that the output is to lose, and the one that it is to get.
    fn renaming(&self, data_dir: &Path) -> Option<(PathBuf, PathBuf)> {
        let from = self.unfinished.as_ref()?.resolve(data_dir)?;
        let to = self.output.as_ref()?.resolve(data_dir)?;
        // Only such a name is ever given; a job that came from elsewhere may hold any other.
        let is_ours = from.to_string_lossy().ends_with(UNFINISHED) && parent(&from) == parent(&to);
        is_ours.then_some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobPlace;
    use std::fs;
    use std::sync::Arc;

    #[test]
    fn a_name_is_given_once_whenever_it_was_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        let place = JobPlace::at(&data.join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let (taken, name) = (data.join("x.jsonl"), data.join("x-2.jsonl"));
        let mut manifest = Manifest::new("test").unwrap();
        manifest.output = Some(OutputPlace::file(&unfinished(&taken), data));
        let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
        fs::write(&taken, "old").unwrap();
        fs::write(unfinished(&taken), "new").unwrap();
        assert!(!job.publish(&lock, data, &taken).unwrap());
        // A kill left it here; whoever comes next goes on.
        drop(job);
        let mut job = Job::open(Arc::new(RealDisk), &place).unwrap().unwrap();
        assert_eq!(job.manifest().output_file(data), Some(unfinished(&taken)));
        assert!(!job.finish_publishing(data).unwrap());
        assert!(job.publish(&lock, data, &name).unwrap());
        for _ in 0..2 {
            assert!(job.finish_publishing(data).unwrap());
            assert_eq!(fs::read_to_string(&name).unwrap(), "new");
            assert_eq!(job.manifest().output_file(data), Some(name.clone()));
        }
        assert_eq!(fs::read_to_string(&taken).unwrap(), "old");
        assert!(!unfinished(&taken).exists());
    }

    #[test]
    fn a_job_from_elsewhere_renames_nothing_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        let place = JobPlace::at(&data.join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        fs::create_dir(data.join("other")).unwrap();
        for victim in ["mine.txt", "other/mine.unfinished"] {
            let victim = data.join(victim);
            fs::write(&victim, "mine").unwrap();
            let mut manifest = Manifest::new("test").unwrap();
            manifest.output = Some(OutputPlace::file(&data.join("x.jsonl"), data));
            manifest.unfinished = Some(OutputPlace::file(&victim, data));
            let job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
            job.finish_publishing(data).unwrap();
            assert!(victim.exists());
            job.remove(&lock).unwrap();
        }
    }
}
