//! Where records go: the one file of `--warc`, or the spool that the frontier takes them from.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crawl_ckpt::tool::Failure;

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
        /// A file that has so much is followed by another one.
        most: u64,
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

    /// Files of a directory, made when they are needed; one that has so many bytes is followed by
    /// another.
    pub fn spool(dir: &Path, most: u64) -> Shelf {
        Shelf::new(Home::Spool {
            dir: dir.to_owned(),
            number: 0,
            most,
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

    /// Gets ready for a bundle: where it will be.
    ///
    /// # Errors
    /// When nothing can be written any more.
    pub fn begin(&mut self) -> Result<(String, u64), String> {
        if let Some(why) = &self.broken {
            return Err(why.clone());
        }
        if let Home::Spool { number, most, .. } = &mut self.place
            && self.end >= *most
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

    /// Takes back what was written of a bundle that has no end.
    pub fn take_back(&mut self) {
        let cut = self.file.as_ref().map(|file| file.set_len(self.end));
        if let Some(Err(error)) = cut {
            let why = self.broken.get_or_insert_default();
            why.push_str(&format!("; its last record is torn: {error}"));
        }
    }

    /// Nothing is written any more.
    pub fn is_over(&self) -> bool {
        self.broken.is_some()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn put(shelf: &mut Shelf, text: &[u8]) -> (String, u64) {
        let place = shelf.begin().unwrap();
        shelf.write(&text[..1], 0).unwrap();
        shelf.write(&text[1..], 1).unwrap();
        shelf.end(text.len() as u64);
        place
    }

    #[test]
    fn a_spool_goes_on_in_another_file_when_one_is_full() {
        let dir = tempfile::tempdir().unwrap();
        let name = |n: u32| format!("{}-{n}", std::process::id());
        // Somebody had this process id before.
        std::fs::write(dir.path().join(name(1)), "stale").unwrap();
        let mut shelf = Shelf::spool(dir.path(), 8);
        let places = [(name(0), 0), (name(0), 5), (name(2), 0), (name(2), 5)];
        for (number, place) in places.into_iter().enumerate() {
            assert_eq!(put(&mut shelf, format!("text{number}").as_bytes()), place);
        }
        let read = |n| std::fs::read_to_string(dir.path().join(name(n))).unwrap();
        let files = [read(0), read(1), read(2)];
        assert_eq!(files, ["text0text1", "stale", "text2text3"]);
    }

    #[test]
    fn what_has_no_end_is_taken_back_and_what_is_closed_takes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.warc.gz");
        let mut shelf = Shelf::file(&path).unwrap();
        put(&mut shelf, b"whole");
        shelf.begin().unwrap();
        shelf.write(b"half", 0).unwrap();
        shelf.take_back();
        put(&mut shelf, b"again");
        shelf.close().unwrap();
        assert!(shelf.begin().is_err() && shelf.write(b"late", 0).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "wholeagain");
        assert_eq!(
            Shelf::file(&path).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn a_spool_without_its_directory_says_so_and_stays_broken() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let mut shelf = Shelf::spool(&gone, 8);
        let why = shelf.begin().unwrap_err();
        assert!(
            why.contains("gone") && why.contains("No such file"),
            "{why}"
        );
        std::fs::create_dir(&gone).unwrap();
        assert_eq!(shelf.begin().unwrap_err(), why);
        assert!(shelf.is_over());
    }
}
