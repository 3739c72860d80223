//! What must survive a power cut: the only place that renames and syncs.
//!
//! All files of a job, and the output beside it, are reached through a [`Disk`],
//! so that tests can put a simulated one in its place that drops whatever was
//! not synced. [`replace`] swaps a small file atomically, [`Append`] grows a
//! file that can be cut back.

mod append;
mod behind;
pub(crate) mod flock;
pub(crate) mod named;
mod open;
mod real;
mod shifted;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
mod tail;
mod trust;
mod unsynced;

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

pub use append::Append;
pub(crate) use behind::Behind;
pub use open::{Links, open_file};
pub(crate) use open::{open_dir, through};
pub use real::{RealDisk, rename_new};
pub(crate) use shifted::shifted;
pub use tail::Tail;
pub use trust::Trust;
pub use unsynced::UnsyncedDisk;

/// [`Disk::read`] refuses a longer file. A manifest with two million start URLs is shorter.
pub const MAX_READ_BYTES: u64 = 256 << 20;

/// True when there is no such directory.
pub(crate) fn is_no_dir(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory
}

/// A file system, or something that behaves like one.
pub trait Disk: Send + Sync + Debug {
    /// Creates a new file for reading and writing, mode 0600. An existing one is an error.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Creates a new file whose mode the umask decides: for output that others read.
    fn create_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for reading and writing. What is no file, a link to one too, is
    /// [`io::ErrorKind::InvalidData`] here and in all that opens.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing output, whose name may be a link, for reading and writing.
    fn open_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// The whole content of a small file: one of over [`MAX_READ_BYTES`] is an error.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Renames a file or directory; a file in the way is replaced. Durable after
    /// [`Disk::sync_dir`] of the folders concerned.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory, mode 0700. An existing one is an error.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Creates a directory and what is missing above it, modes by the umask, and
    /// makes them durable, also those that exist and may not be durable yet.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in any order.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a directory, held until the file is closed;
    /// [`io::ErrorKind::WouldBlock`] when somebody else has it. `None` where it cannot be taken.
    fn claim(&self, path: &Path) -> io::Result<Option<File>>;
    /// True when a directory is there, which a link to one is not.
    fn is_dir(&self, path: &Path) -> io::Result<bool>;
    /// True when something is there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
}

/// An open file. All access names its offset, so one file serves many threads.
pub trait DiskFile: Send + Sync + Debug {
    /// Writes all bytes at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Where the next bytes begin that somebody wrote, from an offset on; `None` when only a hole follows,
    /// which costs no time to skip. The offset itself where holes are not told.
    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        Ok(Some(offset))
    }
    /// Reads up to the buffer's length; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Makes all that was written, and the length, durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// True when the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// True when the name leads to this very file.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
    /// Cuts or extends the file. Durable after [`DiskFile::sync`].
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Reads until the buffer is full or the file ends; returns the bytes read.
///
/// # Errors
/// Errors of the file.
pub fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// Replaces a small file: a temporary one beside it is written and synced, then
/// renamed over it, then the folder is synced. At every moment a reader finds
/// the old content or the new one. When this returns, the new one is durable.
///
/// # Errors
/// Errors of the disk. The old content is still there then, or the new one, but
/// which of them survives a power cut is open: stop working.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    remove_if_there(disk, &temporary)?;
    let file = disk.create(&temporary)?;
    file.write_at(bytes, 0)?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    disk.sync_dir(parent(path))
}

/// Replaces a small file that others read: as [`replace`], but the umask decides on its mode, and a
/// power cut may bring the old content back.
///
/// # Errors
/// Errors of the disk. The old content is still there then, and no temporary file.
pub fn publish(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    remove_if_there(disk, &temporary)?;
    let publish = || {
        let file = disk.create_shared(&temporary)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        disk.rename(&temporary, path)
    };
    publish().inspect_err(|_| {
        // The first error is the one to tell.
        let _ = remove_if_there(disk, &temporary);
    })
}

/// Removes a file; one that is not there is fine.
///
/// # Errors
/// Errors of the disk, but for "not found".
pub fn remove_if_there(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The path with something added to its last name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The folder that holds a path; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_leaves_the_new_content_and_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(dir.path().join("f.tmp"), "left over").unwrap();
        replace(&RealDisk, &path, b"one").unwrap();
        replace(&RealDisk, &path, b"two").unwrap();
        assert_eq!(RealDisk.read(&path).unwrap(), b"two");
        publish(&RealDisk, &path, b"three").unwrap();
        assert_eq!(RealDisk.read(&path).unwrap(), b"three");
        assert_eq!(RealDisk.list(dir.path()).unwrap(), ["f"]);
    }
}
