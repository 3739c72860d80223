//! The directory in a job in which the fetcher leaves WARC records until the frontier has taken them.
//! Nothing in it is ever durable, and nothing in it outlives a run.

use std::io;
use std::path::{Path, PathBuf};

use super::JobPlace;
use crate::durable::{Disk, beside, is_no_dir, remove_if_there};

/// The name of the directory.
pub(super) const SPOOL: &str = "spool";

impl JobPlace {
    /// Where the fetcher leaves WARC records.
    pub fn spool_dir(&self) -> PathBuf {
        self.dir.join(SPOOL)
    }
}

/// The spool of a crawl without a job, which keeps WARC files in this directory.
pub fn spool_beside(warc_dir: &Path) -> PathBuf {
    beside(warc_dir, ".spool")
}

/// The process and the number in the name of a spool file, `PID-N`; `None` for any other name.
pub fn spool_file(name: &str) -> Option<(u32, u64)> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (pid, number) = name.split_once('-')?;
    if !digits(pid) || !digits(number) {
        return None;
    }
    Some((pid.parse().ok()?, number.parse().ok()?))
}

/// Removes a spool directory with the files in it; one that is not there is fine. What is no spool file
/// stays, and the directory with it.
///
/// # Errors
/// Errors of the disk.
pub fn remove_spool(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    let names = match disk.list(dir) {
        Err(e) if is_no_dir(&e) => return Ok(()),
        names => names?,
    };
    for name in names {
        if name.to_str().and_then(spool_file).is_some() {
            remove_if_there(disk, &dir.join(name))?;
        }
    }
    match disk.remove_dir(dir) {
        // A fetcher that still lives made another, or it is somebody else's.
        Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::RealDisk;

    #[test]
    fn only_spool_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join(SPOOL);
        remove_spool(&RealDisk, &spool).unwrap();
        std::fs::create_dir(&spool).unwrap();
        for name in ["17-0", "17-12", "notes", "17-", "-3", "17-+3", "17-0.tmp"] {
            std::fs::write(spool.join(name), "").unwrap();
        }
        remove_spool(&RealDisk, &spool).unwrap();
        let mut left = RealDisk.list(&spool).unwrap();
        left.sort();
        assert_eq!(left, ["-3", "17-", "17-+3", "17-0.tmp", "notes"]);
        for name in left {
            std::fs::remove_file(spool.join(name)).unwrap();
        }
        std::fs::write(spool.join("17-0"), "").unwrap();
        remove_spool(&RealDisk, &spool).unwrap();
        assert!(!spool.exists());
    }
}
