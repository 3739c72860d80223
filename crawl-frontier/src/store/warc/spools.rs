//! The files in which the fetcher leaves WARC records. Each of their bytes belongs to one result, so
//! a file is used up when results have told of all of it and it does not grow any more.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crawl_ckpt::capture::{SpoolPlace, Spooled};
use crawl_ckpt::durable::{Disk, DiskFile};
use crawl_ckpt::job::{remove_spool, spool_file};
use crawl_ckpt::tool::Failure;

const NO_SENSE: &str = "the lengths make no sense";

/// Bytes in a spool file.
#[derive(Debug, Clone)]
pub struct SpoolRange {
    /// The file, which may have no name any more.
    pub file: Arc<dyn DiskFile>,
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
}

/// The directory, and what was told of the files in it.
#[derive(Debug)]
pub struct Spools {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// By process and number.
    files: BTreeMap<(u32, u64), SpoolFile>,
    used_up: Vec<PathBuf>,
}

#[derive(Debug)]
struct SpoolFile {
    file: Arc<dyn DiskFile>,
    /// Its length when that was last looked at.
    len: u64,
    /// So many of its bytes were told of.
    told: u64,
}

impl Spools {
    /// Makes the directory, and removes what an earlier run left in it. Call it with the lock
    /// held, before anything is asked for.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Spools, Failure> {
        let made = remove_spool(&*disk, &dir).and_then(|()| match disk.create_dir(&dir) {
            // A fetcher that still lives left something in it just now.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && disk.is_dir(&dir)? => Ok(()),
            made => made,
        });
        made.map_err(|e| Failure::new(format_args!("cannot create {}: {e}", dir.display())))?;
        Ok(Spools {
            disk,
            dir,
            files: BTreeMap::new(),
            used_up: Vec::new(),
        })
    }

    /// The bytes that a result tells of.
    ///
    /// # Errors
    /// Why there are none, in words.
    pub fn take(&mut self, told: &Spooled<'_>) -> Result<SpoolRange, String> {
        if !(1..=told.length).contains(&told.response_length) {
            return Err(NO_SENSE.into());
        }
        self.take_bytes(&told.file, told.offset, told.length)
    }

    /// The bytes of an exchange that no result is about.
    ///
    /// # Errors
    /// As [`Spools::take`].
    pub fn take_place(&mut self, told: &SpoolPlace<'_>) -> Result<SpoolRange, String> {
        self.take_bytes(&told.file, told.offset, told.length)
    }

    fn take_bytes(&mut self, name: &str, offset: u64, length: u64) -> Result<SpoolRange, String> {
        let key = spool_file(name).ok_or("the file has no name of a spool file")?;
        let end = offset.checked_add(length).ok_or(NO_SENSE)?;
        let path = self.dir.join(name);
        if !self.files.contains_key(&key) {
            let file = self.disk.open_read(&path).map_err(|e| e.to_string())?;
            let known = SpoolFile {
                file: file.into(),
                len: 0,
                told: 0,
            };
            self.files.insert(key, known);
        }
        let Some(known) = self.files.get_mut(&key) else {
            return Err("it is gone".into());
        };
        if end > known.len {
            known.len = known.file.len().map_err(|e| e.to_string())?;
        }
        if end > known.len {
            return Err(format!("the file ends at byte {}", known.len));
        }
        known.told += length;
        let range = SpoolRange {
            file: Arc::clone(&known.file),
            offset,
            length,
        };
        self.forget_used(key.0)?;
        Ok(range)
    }

    /// Those of a process that are used up: all but the newest, which still grows.
    fn forget_used(&mut self, pid: u32) -> Result<(), String> {
        let keys: Vec<_> = self.files.range((pid, 0)..=(pid, u64::MAX)).collect();
        let mut used = Vec::new();
        for (key, known) in keys.into_iter().rev().skip(1) {
            let len = known.file.len().map_err(|e| e.to_string())?;
            if known.told >= len {
                used.push(*key);
            }
        }
        for key in used {
            self.files.remove(&key);
            let (pid, number) = key;
            self.used_up.push(self.dir.join(format!("{pid}-{number}")));
        }
        Ok(())
    }

    /// Takes the files that are used up, to be removed once what was told is durable.
    pub fn take_used(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.used_up)
    }

    /// Where they lie.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
