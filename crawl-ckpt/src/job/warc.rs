//! The WARC files of a job: which of them a commit vouches for, and what is made of them after a
//! run that did not end in good order.
//!
//! One of them grows, under a name that ends with `.open`, and the last commit has its length. All
//! before it were whole before that commit; any later one was never vouched for.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Job;
use crate::durable::{Append, Disk, Tail, remove_if_there};
use crate::error::StoreError;
use crate::journal::Commit;
use crate::tool::{Exit, Failure};
use crate::warc::FileName;

/// What the name of a WARC file begins with in [`Commit::files`] and [`Commit::tails`].
pub const WARC: &str = "warc:";

const PUT_BACK: &str = "put the file back, or begin anew without the checkpoint (--fresh)";

/// The directory of the WARC files that belong to an output: beside it.
pub fn warc_dir(output: &Path) -> PathBuf {
    let mut name = output.file_stem().unwrap_or_default().to_owned();
    name.push("-warc");
    output.with_file_name(name)
}

/// The WARC file that a commit vouches for, and its length: the one that was written last.
pub fn vouched_warc(commit: &Commit) -> Option<(FileName, u64)> {
    let mut files = commit.files.iter();
    files.find_map(|(key, len)| {
        let (name, _) = FileName::parse(key.strip_prefix(WARC)?)?;
        Some((name, *len))
    })
}

impl Job {
    /// Where its WARC files lie; `None` when it keeps none.
    pub fn warc_dir(&self, data_dir: &Path) -> Option<PathBuf> {
        self.manifest.warc_dir(data_dir)
    }

    /// Makes what a run left of the WARC files whole: see [`settle_warc`]. The next file gets at least the
    /// number that this gives.
    ///
    /// # Errors
    /// Errors of the disk; a file that is shorter than committed.
    pub fn settle_warc(&self, commit: &Commit, data_dir: &Path) -> Result<u32, StoreError> {
        match self.warc_dir(data_dir) {
            Some(dir) => settle_warc(&*self.disk, &dir, commit),
            None => Ok(1),
        }
    }

    /// Looks whether the WARC file that a commit vouches for is there, with the bytes that were committed.
    ///
    /// # Errors
    /// [`Exit::Damaged`] says what is different; those of the file system.
    pub fn check_warc(&self, commit: &Commit, data_dir: &Path) -> Result<(), Failure> {
        let dir = self.warc_dir(data_dir);
        let (Some(dir), Some((name, len))) = (dir, vouched_warc(commit)) else {
            return Ok(());
        };
        let path = lies_at(&*self.disk, &dir, &name);
        let failure = |exit, why: String| {
            Failure::with(exit, format_args!("WARC {}: {why}", path.display())).hint(PUT_BACK)
        };
        match flaw(&*self.disk, &path, len, tail_of(commit, &name)) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(failure(Exit::Damaged, why)),
            Err(e) => Err(failure(Exit::Failed, e.to_string())),
        }
    }
}

/// Where a file lies, still open or whole.
pub(crate) fn lies_at(disk: &dyn Disk, dir: &Path, name: &FileName) -> PathBuf {
    let open = dir.join(name.open());
    if disk.exists(&open).unwrap_or(false) {
        open
    } else {
        dir.join(name.as_str())
    }
}

fn tail_of<'a>(commit: &'a Commit, name: &FileName) -> Option<&'a str> {
    let key = format!("{WARC}{name}");
    commit.tails.get(&key).map(String::as_str)
}

/// What of a file is not as committed, in words.
fn flaw(disk: &dyn Disk, path: &Path, len: u64, tail: Option<&str>) -> io::Result<Option<String>> {
    let file = match disk.open_read(path) {
        // A repair found nothing in it that is proven.
        Err(e) if e.kind() == ErrorKind::NotFound && len == 0 => return Ok(None),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Some("it is missing".to_owned())),
        Err(e) if e.kind() == ErrorKind::InvalidData => return Ok(Some(e.to_string())),
        file => file?,
    };
    let found = file.len()?;
    if found < len {
        let why = format!("damaged at byte {found}: {len} bytes were committed");
        return Ok(Some(why));
    }
    let is_ours = match tail {
        Some(sum) => Tail::read(&*file, len)?.sum() == *sum,
        None => true,
    };
    Ok((!is_ours).then(|| "it is not the file that the crawl wrote".to_owned()))
}

/// Makes what a run left in a WARC directory whole: cuts the file that the commit vouches for back to the
/// committed length, gives each file that was still open its final name, and removes those that no commit
/// ever named. Files that have their final name are not touched, but for the one of which a repair proved less
/// than is there. All of it is durable when this returns, and done again it changes nothing. The next file gets
/// at least the number that this gives.
///
/// # Errors
/// Errors of the disk; a file that is shorter than committed.
pub fn settle_warc(disk: &dyn Disk, dir: &Path, commit: &Commit) -> Result<u32, StoreError> {
    let names = match disk.list(dir) {
        Ok(names) => names,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(1),
        Err(e) => return Err(StoreError::io("list", dir)(e)),
    };
    let vouched = vouched_warc(commit);
    let last = vouched.as_ref().map_or(0, |(name, _)| name.serial());
    let mut highest = last;
    let names = names
        .iter()
        .filter_map(|name| FileName::parse(name.to_str()?));
    for (name, is_open) in names {
        let committed = vouched.as_ref().filter(|(vouched, _)| *vouched == name);
        let committed = committed.map(|(_, len)| *len);
        if !is_open {
            highest = highest.max(name.serial());
            // A run knows the last bytes; only a repair does not.
            if let Some(len) = committed.filter(|_| tail_of(commit, &name).is_none()) {
                cut(disk, &dir.join(name.as_str()), len)?;
            }
            continue;
        }
        let open = dir.join(name.open());
        if name.serial() > last {
            remove_if_there(disk, &open).map_err(StoreError::io("remove", &open))?;
            continue;
        }
        if let Some(len) = committed {
            cut(disk, &open, len)?;
            if len == 0 {
                continue;
            }
        }
        let whole = dir.join(name.as_str());
        if disk
            .exists(&whole)
            .map_err(StoreError::io("look at", &whole))?
        {
            return Err(StoreError::Foreign { path: whole });
        }
        disk.rename(&open, &whole)
            .map_err(StoreError::io("rename", &open))?;
    }
    disk.sync_dir(dir).map_err(StoreError::io("sync", dir))?;
    Ok(highest.saturating_add(1))
}

/// Cuts a file back to what is committed of it; one of which nothing is goes.
fn cut(disk: &dyn Disk, path: &Path, len: u64) -> Result<(), StoreError> {
    if len == 0 {
        return remove_if_there(disk, path).map_err(StoreError::io("remove", path));
    }
    let cut = Append::open_private(disk, path).and_then(|mut file| file.cut_to(len));
    cut.map_err(StoreError::io("cut back", path))
}
