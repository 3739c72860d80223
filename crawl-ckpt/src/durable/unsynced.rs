//! A disk for copies of what is durable elsewhere.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Disk, DiskFile, RealDisk};

/// The file system, but nothing waits for it: after a power cut, what was written may be there or not.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnsyncedDisk;

#[derive(Debug)]
struct UnsyncedFile(Box<dyn DiskFile>);

fn unsynced(file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
    Ok(Box::new(UnsyncedFile(file?)))
}

impl Disk for UnsyncedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        unsynced(RealDisk.create(path))
    }

    fn create_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        unsynced(RealDisk.create_shared(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        unsynced(RealDisk.open(path))
    }

    fn open_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        unsynced(RealDisk.open_shared(path))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk.open_read(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        RealDisk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        RealDisk.list(path)
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn claim(&self, path: &Path) -> io::Result<Option<File>> {
        RealDisk.claim(path)
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        RealDisk.is_dir(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        RealDisk.exists(path)
    }
}

impl DiskFile for UnsyncedFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        self.0.next_data(offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
