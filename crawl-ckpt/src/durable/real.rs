//! The file system of the operating system.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::{Disk, DiskFile, Links, MAX_READ_BYTES, flock, named, open_dir, open_file, parent};

/// The file system of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl RealDisk {
    fn create_with_mode(path: &Path, mode: u32) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(mode);
        Ok(Box::new(options.open(path)?))
    }

    /// Makes a directory durable that somebody made and perhaps did not sync: a run that was
    /// killed, or a user. Goes up to where the file system begins, or to what is known.
    fn sync_above(&self, path: &Path) -> io::Result<()> {
        if named::is_durable(path) {
            return Ok(());
        }
        let device = fs::metadata(path)?.dev();
        for above in std::path::absolute(path)?.ancestors().skip(1) {
            if fs::metadata(above)?.dev() != device {
                break;
            }
            match self.sync_dir(above) {
                // Where we may not look we made nothing.
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced?,
            }
            if named::is_durable(above) {
                break;
            }
        }
        named::note_durable(path);
        Ok(())
    }
}

/// Gives a file a name that nothing has: [`ErrorKind::AlreadyExists`](io::ErrorKind) when something has.
///
/// # Errors
/// Errors of the file system.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot look and rename at once.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_ok() => {
            Err(io::ErrorKind::AlreadyExists.into())
        }
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Self::create_with_mode(path, 0o600)
    }

    fn create_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Self::create_with_mode(path, 0o666)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(open_file(path, true, Links::Refused)?))
    }

    fn open_shared(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(open_file(path, true, Links::Followed)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(open_file(path, false, Links::Refused)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = open_file(path, false, Links::Refused)?;
        let len = file.metadata()?.len();
        if len > MAX_READ_BYTES {
            let message = format!("it is too large: {len} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let mut bytes = Vec::with_capacity(len as usize);
        file.take(MAX_READ_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return self.sync_above(path);
        }
        // The directory that a bare name is in cannot be made.
        if parent(path) != path {
            self.create_dir_all(parent(path))?;
        }
        match fs::create_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        self.sync_dir(parent(path))?;
        named::note_durable(path);
        Ok(())
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name()))
            .collect()
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        open_dir(path)?.sync_all()
    }

    fn claim(&self, path: &Path) -> io::Result<Option<File>> {
        let dir = open_dir(path)?;
        match flock::exclusive(&dir) {
            Ok(true) => Ok(Some(dir)),
            Ok(false) => Err(io::ErrorKind::WouldBlock.into()),
            // Network file systems lock only files that are open for writing. The lock file decides there.
            Err(_) => Ok(None),
        }
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match path.symlink_metadata() {
            Ok(found) => Ok(found.is_dir()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        match rustix::fs::seek(self, SeekFrom::Data(offset)) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NXIO) => Ok(None),
            // This file system does not tell.
            Err(_) => Ok(Some(offset)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let ours = self.metadata()?;
        match fs::metadata(path) {
            Ok(named) => Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}
