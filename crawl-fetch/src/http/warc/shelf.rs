//! Where records go: the one file of `--warc`, or the spool that the frontier takes them from.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crawl_ckpt::tool::Failure;

/// A spool file that has so much is followed by another one.
const SPOOL_BYTES: u64 = 64 << 20;

/// Appends bundles, of which each is there as a whole or not at all as long as this process lives.
#[derive(Debug)]
pub struct Shelf {
    place: Home,
    file: Option<File>,
    /// Whole bundles end here.
    end: u64,
    /// After this nothing more is written.
    broken: Option<String>,
}

#[derive(Debug)]
enum Home {
    File(PathBuf),
    Spool {
        dir: PathBuf,
        /// Of the file that is open, or the next one.
        number: u64,
    },
}

impl Shelf {
    /// A new file; an existing one is never written into.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn file(path: &Path) -> io::Result<Shelf> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Shelf {
            file: Some(file),
            ..Shelf::new(Home::File(path.to_owned()))
        })
    }

    /// Files of a directory, made when they are needed.
    pub fn spool(dir: &Path) -> Shelf {
        Shelf::new(Home::Spool {
            dir: dir.to_owned(),
            number: 0,
        })
    }

    fn new(place: Home) -> Shelf {
        Shelf {
            place,
            file: None,
            end: 0,
            broken: None,
        }
    }

    /// Gets ready for an bundle: where it will be.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub fn begin(&mut self) -> Result<(String, u64), String> {
        if let Some(why) = &self.broken {
            return Err(why.clone());
        }
        if let Home::Spool { number, .. } = &mut self.place
            && self.end >= SPOOL_BYTES
        {
            (self.file, self.end) = (None, 0);
            *number += 1;
        }
        if self.file.is_none()
            && let Err(error) = self.open_next()
        {
            return Err(self.give_up(&error));
        }
        Ok((self.name(), self.end))
    }

    /// Opens the next file of the spool.
    fn open_next(&mut self) -> io::Result<()> {
        loop {
            let mut options = OpenOptions::new();
            let options = options.write(true).create_new(true).mode(0o600);
            match (options.open(self.path()), &mut self.place) {
                // A process that had our id left it.
                (Err(e), Home::Spool { number, .. })
                    if e.kind() == io::ErrorKind::AlreadyExists =>
                {
                    *number += 1;
                }
                (opened, _) => {
                    self.file = Some(opened?);
                    return Ok(());
                }
            }
        }
    }

    fn name(&self) -> String {
        match &self.place {
            Home::File(path) => path.to_string_lossy().into_owned(),
            Home::Spool { number, .. } => format!("{}-{number}", std::process::id()),
        }
    }

    fn path(&self) -> PathBuf {
        match &self.place {
            Home::File(path) => path.clone(),
            Home::Spool { dir, .. } => dir.join(self.name()),
        }
    }

    /// Writes a part of the bundle, so far behind its beginning.
    ///
    /// # Errors
    /// When that fails: the bundle is gone, and nothing more is written.
    pub fn write(&mut self, bytes: &[u8], behind: u64) -> Result<(), String> {
        let written = match &self.file {
            Some(file) => file.write_all_at(bytes, self.end + behind),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        written.map_err(|error| self.give_up(&error))
    }

    /// The bundle is there, and so long.
    pub fn end(&mut self, length: u64) {
        self.end += length;
    }

    /// Takes back what was written of an bundle that has no end.
    pub fn take_back(&mut self) {
        let cut = self.file.as_ref().map(|file| file.set_len(self.end));
        if let Some(Err(error)) = cut {
            let why = self.broken.get_or_insert_default();
            why.push_str(&format!("; its last record is torn: {error}"));
        }
    }

    /// Why nothing is written any more.
    pub fn trouble(&self) -> Option<String> {
        self.broken.clone()
    }

    fn give_up(&mut self, error: &io::Error) -> String {
        let path = self.path();
        self.broken = Some(format!("cannot write {}: {error}", path.display()));
        self.take_back();
        self.broken.clone().unwrap_or_default()
    }

    /// Nothing more is written; what is there is on disk when this returns.
    ///
    /// # Errors
    /// When the system says that it is not.
    pub fn close(&mut self) -> Result<(), Failure> {
        let file = self.file.take();
        if let (Home::File(path), Some(file), None) = (&self.place, file, &self.broken) {
            let synced = file.sync_all();
            synced
                .map_err(|e| Failure::new(format_args!("cannot write {}: {e}", path.display())))?;
        }
        self.broken.get_or_insert("the run is over".to_owned());
        Ok(())
    }
}
