//! Directories whose names are known to be durable, up to where their file system begins.
//!
//! A batch makes a thousand folders in one. Each sync waits for the disk, also of a directory in
//! which nothing is new, so what lies above is synced once a process.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::SystemTime;

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::mutex::lock;

/// A directory, told from one that comes later under its name or its number.
type DirId = (u64, u64, SystemTime);

static DURABLE: Mutex<BTreeSet<DirId>> = Mutex::new(BTreeSet::new());

/// So many are known at most; then all are forgotten.
const MOST: usize = 100_000;

/// Nothing where the file system does not tell when a directory was made: it is never known then.
fn identity(path: &Path) -> Option<DirId> {
    let found = fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.created().ok()?))
}

/// True when the directory and all above it were made durable, by this process or by who handed
/// the directory over.
pub fn is_durable(path: &Path) -> bool {
    identity(path).is_some_and(|identity| lock(&DURABLE).contains(&identity))
}

/// The directory and all above it are durable.
pub fn note_durable(path: &Path) {
    if let Some(identity) = identity(path) {
        let mut durable = lock(&DURABLE);
        if durable.len() >= MOST {
            durable.clear();
        }
        durable.insert(identity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{Disk, RealDisk};

    #[test]
    fn a_directory_is_known_until_another_has_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("a/b"));
        fs::create_dir(&a).unwrap();
        assert!(!is_durable(&a));
        RealDisk.create_dir_all(&b).unwrap();
        assert!(is_durable(&a) && is_durable(&b));
        fs::rename(&b, dir.path().join("c")).unwrap();
        fs::create_dir(&b).unwrap();
        assert!(!is_durable(&b));
        RealDisk.create_dir_all(&b).unwrap();
        assert!(is_durable(&b));
    }
}
