//! Where a job lies, and where its lock does.

use std::path::{Path, PathBuf};

use super::Name;
use crate::durable::{beside, parent};

/// Where all projects lie: the `--data-dir` given, else `$CRAWL_DATA_DIR`, else `./data`.
pub fn data_dir(given: Option<&Path>) -> PathBuf {
    let variable = || std::env::var_os("CRAWL_DATA_DIR").filter(|value| !value.is_empty());
    match given {
        Some(dir) => dir.to_owned(),
        None => variable().map_or_else(|| "data".into(), PathBuf::from),
    }
}

/// A job directory, which need not exist, and the lock file beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlace {
    /// The job directory.
    pub dir: PathBuf,
    /// The lock file, `DIR.lock`. Beside and not inside, so that it outlives the directory.
    pub lock: PathBuf,
}

impl JobPlace {
    /// The checkpoint of a spider: `DATA_DIR/<project>/<spider>/checkpoint`.
    pub fn of_spider(data_dir: &Path, project: &Name, spider: &Name) -> JobPlace {
        JobPlace::lying_at(data_dir.join(project).join(spider).join("checkpoint"))
    }

    /// A job directory named by a path. The path is made absolute and links in it are
    /// resolved, so that two ways to one job lead to one lock.
    pub fn at(dir: &Path) -> JobPlace {
        let resolved = dir.canonicalize().or_else(|_| {
            let dir = std::path::absolute(dir)?;
            let name = dir.file_name().unwrap_or_default();
            Ok::<_, std::io::Error>(parent(&dir).canonicalize()?.join(name))
        });
        let absolute = || std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        JobPlace::lying_at(resolved.unwrap_or_else(|_| absolute()))
    }

    fn lying_at(dir: PathBuf) -> JobPlace {
        // Collecting the components drops a trailing slash, which would put the lock inside.
        let dir: PathBuf = dir.components().collect();
        let lock = beside(&dir, ".lock");
        JobPlace { dir, lock }
    }

    /// Where what is known of pages is kept from one crawl to the next.
    pub fn delta_dir(&self) -> PathBuf {
        parent(&self.dir).join("delta")
    }

    /// Where the dated outputs of a spider lie.
    pub fn crawls_dir(&self) -> PathBuf {
        parent(&self.dir).join("crawls")
    }

    /// Where the directory is built before it gets its name.
    pub(crate) fn building(&self) -> PathBuf {
        beside(&self.dir, ".new")
    }

    /// Where the directory is put before its files are removed.
    pub fn removing(&self) -> PathBuf {
        beside(&self.dir, ".removing")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ways_to_a_job_lead_to_one_lock() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("job")).unwrap();
        std::os::unix::fs::symlink(root.join("job"), root.join("link")).unwrap();
        for way in ["job", "job/", "./job", "link", "job/."] {
            let place = JobPlace::at(&root.join(way));
            assert_eq!(place.lock, root.join("job.lock"), "{way}");
        }
        assert_eq!(JobPlace::at(&root.join("new/")).lock, root.join("new.lock"));
    }

    #[test]
    fn a_spiders_checkpoint_is_the_same_job_by_name_and_by_path() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (p, s) = (Name::parse("p").unwrap(), Name::parse("s").unwrap());
        let by_name = JobPlace::of_spider(&root, &p, &s);
        std::fs::create_dir_all(&by_name.dir).unwrap();
        assert_eq!(by_name, JobPlace::at(&by_name.dir));
        assert_eq!(by_name.lock, root.join("p/s/checkpoint.lock"));
    }
}
