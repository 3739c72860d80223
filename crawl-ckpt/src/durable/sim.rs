//! A disk in memory that loses what a real one may lose. For tests.
//!
//! What was written and what was synced are kept apart. When the power is cut,
//! all that was not synced is lost, or none of it, or any part of it: in sectors of
//! 512 bytes, out of order, each name by itself. A process that is only killed
//! leaves all of it readable, and still not synced. Any operation can fail. Every
//! operation that changes something is counted, and a watcher is shown the disk
//! before each, so that a test can try what a stop at that moment leaves.

mod tree;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::mutex::lock;

use self::tree::{Content, Dice, DiskNode, Folder, Tree};
use super::{Disk, DiskFile, parent};

/// What becomes of all that was not synced when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// Everything that was not synced is lost.
    Lost,
    /// Everything that was not synced is there.
    Kept,
    /// Each sector and each name is lost or not, by the dice with this seed.
    Diced(u64),
}

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// ENOSPC. A write gets half of its bytes in.
    Full,
    /// EIO. What a failed sync of a file should have made durable can still be read, but never
    /// will be durable, however often it is synced again. So it is on Linux.
    Broken,
    /// EINTR.
    Interrupted,
    /// The process stops dead: this operation and all later ones fail, until the power is cut
    /// or [`SimDisk::revive`].
    Stopped,
}

type Watcher = Box<dyn FnMut(&SimDisk) + Send>;

/// The disk. Clones are the same disk; [`SimDisk::snapshot`] makes another.
#[derive(Clone, Default)]
pub struct SimDisk {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    tree: Tree,
    operations: u64,
    fault: Option<(u64, Fault)>,
    is_stopped: bool,
    watcher: Option<Watcher>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// Shows the disk to a watcher before each operation that changes something, and in the
    /// middle of each write. What it is shown is a snapshot, to do anything with.
    pub fn watch(&self, watcher: impl FnMut(&SimDisk) + Send + 'static) {
        self.lock().watcher = Some(Box::new(watcher));
    }

    /// The operation of that number, from 1, fails.
    pub fn fail(&self, operation: u64, fault: Fault) {
        self.lock().fault = Some((operation, fault));
    }

    /// How many operations changed something so far.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// A disk that holds the same and goes its own way. Nobody watches it, and nothing fails on it.
    pub fn snapshot(&self) -> SimDisk {
        let shared = Shared {
            tree: self.lock().tree.clone(),
            ..Shared::default()
        };
        SimDisk {
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// Cuts the power and gives it back. Open files must not be used any more.
    pub fn power_cut(&self, unsynced: Unsynced) {
        let mut dice = Dice(match unsynced {
            Unsynced::Diced(seed) => seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            _ => 1,
        });
        let mut shared = self.lock();
        shared.is_stopped = false;
        for node in shared.tree.nodes.values_mut() {
            match node {
                DiskNode::File(content) => content.power_cut(unsynced, &mut dice),
                DiskNode::Folder(folder) => folder.power_cut(unsynced, &mut dice),
            }
        }
    }

    /// Starts the next process after [`Fault::Stopped`]: what was not synced can be read, and is
    /// not synced.
    pub fn revive(&self) {
        self.lock().is_stopped = false;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Looks at something.
    fn look<T>(&self, look: impl FnOnce(&Tree) -> io::Result<T>) -> io::Result<T> {
        let shared = self.lock();
        if shared.is_stopped {
            Err(stopped())
        } else {
            look(&shared.tree)
        }
    }

    /// Changes something, unless that fails. `on_fault` is done when it does.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Tree) -> io::Result<T>,
        on_fault: impl FnOnce(&mut Tree, Fault),
    ) -> io::Result<T> {
        self.show(|_| {});
        let mut shared = self.lock();
        if shared.is_stopped {
            return Err(stopped());
        }
        shared.operations += 1;
        let fault = match shared.fault {
            Some((operation, fault)) if operation == shared.operations => fault,
            _ => return change(&mut shared.tree),
        };
        shared.is_stopped = fault == Fault::Stopped;
        on_fault(&mut shared.tree, fault);
        Err(match fault {
            Fault::Full => ErrorKind::StorageFull.into(),
            Fault::Broken => io::Error::other("the device is broken"),
            Fault::Interrupted => ErrorKind::Interrupted.into(),
            Fault::Stopped => stopped(),
        })
    }

    /// Shows a snapshot to the watcher.
    fn show(&self, prepare: impl FnOnce(&mut Tree)) {
        let Some(mut watcher) = self.lock().watcher.take() else {
            return;
        };
        let snapshot = self.snapshot();
        prepare(&mut snapshot.lock().tree);
        watcher(&snapshot);
        self.lock().watcher = Some(watcher);
    }

    fn open_file(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self.look(|tree| tree.file_at(path))?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
        }))
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimDisk after {} operations", self.operations())
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.change(
            |tree| tree.create(path, DiskNode::File(Content::default())),
            |_, _| {},
        )?;
        self.open_file(path)
    }

    fn create_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(path)
    }

    fn open_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(path)
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_file(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look(|tree| {
            let number = tree.file_at(path)?;
            Ok(tree.content(number)?.now.to_vec())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|tree| tree.rename(from, to), |_, _| {})
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        // Asked first: that nothing is there to be removed changes nothing.
        self.look(|tree| tree.file_at(path))?;
        self.change(|tree| tree.forget(path), |_, _| {})
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(
            |tree| tree.create(path, DiskNode::Folder(Folder::default())),
            |_, _| {},
        )
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if !self.exists(path)? {
            self.create_dir_all(parent(path))?;
            self.create_dir(path)?;
            return self.sync_dir(parent(path));
        }
        let mut above = path.ancestors().skip(1);
        above.try_for_each(|above| {
            if above.as_os_str().is_empty() {
                Ok(())
            } else {
                self.sync_dir(above)
            }
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.list(path)?.is_empty() {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(|tree| tree.forget(path), |_, _| {})
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        self.look(|tree| Ok(tree.folder_at(path)?.now.keys().cloned().collect()))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // A device that fails here stops the file system; it does not forget names and go on.
        self.change(
            |tree| {
                let number = tree.find(path)?;
                tree.folder_mut(number)?.sync();
                Ok(())
            },
            |_, _| {},
        )
    }

    fn claim(&self, _: &Path) -> io::Result<Option<std::fs::File>> {
        // A simulated disk has no other process that could hold the lock.
        Ok(None)
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        self.look(|tree| Ok(tree.folder_at(path).is_ok()))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.look(|tree| Ok(tree.find(path).is_ok()))
    }
}

/// An open file.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    number: u64,
}

impl DiskFile for SimFile {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.disk
            .look(|tree| Ok(tree.file_at(path).is_ok_and(|number| number == self.number)))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let at = offset as usize;
        let half = &bytes[..bytes.len() / 2];
        self.disk.show(|tree| {
            if let Ok(content) = tree.content_mut(self.number) {
                content.write(at, half);
            }
        });
        self.disk.change(
            |tree| {
                tree.content_mut(self.number)?.write(at, bytes);
                Ok(())
            },
            |tree, fault| {
                if let (Fault::Full, Ok(content)) = (fault, tree.content_mut(self.number)) {
                    content.write(at, half);
                }
            },
        )
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.look(|tree| {
            let now = &tree.content(self.number)?.now;
            let rest = now.get(offset as usize..).unwrap_or_default();
            let len = rest.len().min(buffer.len());
            buffer[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.change(
            |tree| {
                let content = tree.content_mut(self.number)?;
                content.sync();
                Ok(())
            },
            |tree, fault| {
                if let (Fault::Broken, Ok(content)) = (fault, tree.content_mut(self.number)) {
                    content.fail_to_sync();
                }
            },
        )
    }

    fn len(&self) -> io::Result<u64> {
        self.disk
            .look(|tree| Ok(tree.content(self.number)?.now.len() as u64))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.change(
            |tree| {
                tree.content_mut(self.number)?.resize(len as usize);
                Ok(())
            },
            |_, _| {},
        )
    }
}

fn stopped() -> io::Error {
    io::Error::other("the process has stopped")
}

#[cfg(test)]
mod tests {
    use super::tree::SECTOR;
    use super::*;

    fn disk_with(name: &str, bytes: &[u8]) -> (SimDisk, Box<dyn DiskFile>) {
        let disk = SimDisk::new();
        let file = disk.create(Path::new(name)).unwrap();
        file.write_at(bytes, 0).unwrap();
        (disk, file)
    }

    #[test]
    fn only_what_was_synced_survives_a_power_cut() {
        let (disk, file) = disk_with("/f", b"one");
        let unsynced = disk.snapshot();
        unsynced.power_cut(Unsynced::Lost);
        assert!(!unsynced.exists(Path::new("/f")).unwrap());
        file.sync().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_at(b"ONE TWO", 0).unwrap();
        assert_eq!(disk.read(Path::new("/f")).unwrap(), b"ONE TWO");
        for (unsynced, content) in [(Unsynced::Lost, &b"one"[..]), (Unsynced::Kept, b"ONE TWO")] {
            let cut = disk.snapshot();
            cut.power_cut(unsynced);
            assert_eq!(cut.read(Path::new("/f")).unwrap(), content);
        }
    }

    #[test]
    fn a_renamed_folder_keeps_its_files() {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new("/a/b")).unwrap();
        disk.create(Path::new("/a/b/f")).unwrap();
        disk.rename(Path::new("/a/b"), Path::new("/a/c")).unwrap();
        assert!(disk.exists(Path::new("/a/c/f")).unwrap());
        assert!(disk.remove_dir(Path::new("/a/c")).is_err());
        disk.remove_file(Path::new("/a/c/f")).unwrap();
        disk.remove_dir(Path::new("/a/c")).unwrap();
        assert_eq!(disk.list(Path::new("/a")).unwrap(), Vec::<OsString>::new());
    }

    #[test]
    fn the_dice_tear_writes_at_sectors() {
        let (disk, _file) = disk_with("/f", &[7; 3000]);
        disk.sync_dir(Path::new("/")).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..50 {
            let cut = disk.snapshot();
            cut.power_cut(Unsynced::Diced(seed));
            let content = cut.read(Path::new("/f")).unwrap();
            assert!(
                content
                    .chunks(SECTOR)
                    .all(|sector| sector.iter().all(|b| *b == sector[0]))
            );
            seen.insert(content);
        }
        assert!(seen.len() > 20, "{}", seen.len());
    }

    #[test]
    fn what_a_failed_sync_lost_stays_lost() {
        let (disk, file) = disk_with("/f", b"x");
        disk.sync_dir(Path::new("/")).unwrap();
        disk.fail(disk.operations() + 1, Fault::Broken);
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(disk.read(Path::new("/f")).unwrap(), b"x");
        disk.power_cut(Unsynced::Kept);
        assert_eq!(disk.read(Path::new("/f")).unwrap(), b"");
    }

    #[test]
    fn a_stopped_process_does_nothing_more() {
        let (disk, file) = disk_with("/f", b"x");
        disk.fail(disk.operations() + 1, Fault::Stopped);
        assert!(file.sync().is_err());
        assert!(file.len().is_err());
        disk.revive();
        assert_eq!(file.len().unwrap(), 1);
    }
}
