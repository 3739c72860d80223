//! A file that grows at its end and can be cut back: the output, and whatever
//! else a commit vouches for by its length.

use std::io;
use std::path::{Path, PathBuf};

use super::{Disk, DiskFile, Tail, Trust, parent};

/// A file that is only ever appended to or cut back. After a failed write, sync
/// or cut it refuses all further work: what the disk holds is unknown then, and a
/// later success would hide it.
#[derive(Debug)]
pub struct Append {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    tail: Tail,
    trust: Trust,
}

impl Append {
    /// Creates a new file, its mode by the umask. Its name is durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk; a file that is there already is one.
    pub fn create(disk: &dyn Disk, path: &Path) -> io::Result<Append> {
        let file = disk.create_shared(path)?;
        named(disk, path)?;
        Append::over(file, path)
    }

    /// Creates a file like [`Append::create`], with mode 0600.
    ///
    /// # Errors
    /// Errors of the disk; a file that is there already is one.
    pub fn create_private(disk: &dyn Disk, path: &Path) -> io::Result<Append> {
        let file = disk.create(path)?;
        named(disk, path)?;
        Append::over(file, path)
    }

    /// Opens an existing output to go on at its end; its name may be a link.
    ///
    /// # Errors
    /// Errors of the disk; a missing file is one.
    pub fn open(disk: &dyn Disk, path: &Path) -> io::Result<Append> {
        Append::over(disk.open_shared(path)?, path)
    }

    /// Opens a file of a job, otherwise like [`Append::open`].
    ///
    /// # Errors
    /// Errors of the disk; a missing file is one, and so is a link.
    pub fn open_private(disk: &dyn Disk, path: &Path) -> io::Result<Append> {
        Append::over(disk.open(path)?, path)
    }

    fn over(file: Box<dyn DiskFile>, path: &Path) -> io::Result<Append> {
        let len = file.len()?;
        Ok(Append {
            tail: Tail::read(&*file, len)?,
            file,
            path: path.to_owned(),
            len,
            trust: Trust::default(),
        })
    }

    /// Looks whether the file is still there under its name, as it was left. Others may rename,
    /// remove or write it, and what they did to it must not be taken for what was committed.
    ///
    /// # Errors
    /// Says what is different; those of the disk, and every call after a failed one.
    pub fn check(&mut self) -> io::Result<()> {
        self.guarded(|append| {
            let len = append.file.len()?;
            let why = if !append.file.is_at(&append.path)? {
                "it was removed, renamed or replaced while it was written".to_owned()
            } else if len != append.len {
                format!("it has {len} bytes, and {} were written", append.len)
            } else if Tail::read(&*append.file, len)? != append.tail {
                "its last bytes are not those that were written".to_owned()
            } else {
                return Ok(());
            };
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        })
    }

    /// Writes at the end. Durable after [`Append::sync`].
    ///
    /// # Errors
    /// Errors of the disk, and every call after a failed one.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.guarded(|append| {
            append.file.write_at(bytes, append.len)?;
            append.len += bytes.len() as u64;
            append.tail.push(bytes);
            Ok(())
        })
    }

    /// Makes all that was appended durable.
    ///
    /// # Errors
    /// Errors of the disk, and every call after a failed one.
    pub fn sync(&mut self) -> io::Result<()> {
        self.guarded(|append| append.file.sync())
    }

    /// Cuts the file back, durably when this returns.
    ///
    /// # Errors
    /// Errors of the disk, every call after a failed one, and a file that is
    /// shorter than `len`: what a commit vouched for is gone.
    pub fn cut_to(&mut self, len: u64) -> io::Result<()> {
        self.guarded(|append| {
            if append.len < len {
                let message = format!("{} bytes are there, {len} were committed", append.len);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
            if append.len > len {
                append.file.set_len(len)?;
                append.len = len;
                append.tail = Tail::read(&*append.file, len)?;
            }
            append.file.sync()
        })
    }

    /// The length in bytes, unsynced ones included.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The last bytes of the file.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }

    /// True when the file holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Append) -> io::Result<()>) -> io::Result<()> {
        if self.trust.is_lost() {
            return Err(Trust::refusal());
        }
        let result = work(self);
        self.trust.after(result)
    }
}

/// Makes the name of a new file durable. Where that fails the file goes again: nobody knows of
/// it, and whoever comes next would find the name taken.
fn named(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.sync_dir(parent(path)).inspect_err(|_| {
        // The error that is passed on is the one that matters.
        let _ = disk.remove_file(path);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::RealDisk;
    use crate::durable::sim::{Fault, SimDisk};

    #[test]
    fn appends_and_cuts_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut out = Append::create(&RealDisk, &path).unwrap();
        out.append(b"one\n").unwrap();
        out.append(b"two\n").unwrap();
        out.sync().unwrap();
        drop(out);
        let mut out = Append::open(&RealDisk, &path).unwrap();
        out.cut_to(4).unwrap();
        out.append(b"2\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\n2\n");
        assert_eq!(out.len(), 6);
    }

    #[test]
    fn a_file_whose_name_cannot_be_made_durable_takes_no_name() {
        let disk = SimDisk::new();
        let path = Path::new("/out");
        disk.fail(disk.operations() + 2, Fault::Full);
        assert!(Append::create(&disk, path).is_err());
        assert!(!disk.exists(path).unwrap());
        Append::create(&disk, path).unwrap();
    }

    #[test]
    fn what_others_do_to_the_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let swapped = |bytes: &[u8]| {
            std::fs::write(dir.path().join("other"), bytes).unwrap();
            std::fs::rename(dir.path().join("other"), &path).unwrap();
        };
        let harms: [&dyn Fn(); 5] = [
            &|| std::fs::remove_file(&path).unwrap(),
            &|| swapped(b"one\n"),
            &|| std::fs::write(&path, "").unwrap(),
            &|| std::fs::write(&path, "two\n").unwrap(),
            &|| std::fs::write(&path, "one\ntwo\n").unwrap(),
        ];
        for (number, harm) in harms.into_iter().enumerate() {
            let _ = std::fs::remove_file(&path);
            let mut out = Append::create(&RealDisk, &path).unwrap();
            out.append(b"one\n").unwrap();
            out.check().unwrap();
            harm();
            assert!(out.check().is_err(), "harm {number}");
            assert!(out.append(b"x").is_err(), "harm {number}");
        }
    }

    #[test]
    fn a_file_shorter_than_committed_is_an_error_and_nothing_works_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut out = Append::create(&RealDisk, &dir.path().join("out")).unwrap();
        assert!(out.cut_to(1).is_err());
        assert!(out.append(b"x").is_err());
        assert!(out.sync().is_err());
    }
}
