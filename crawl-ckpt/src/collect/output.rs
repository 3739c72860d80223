//! The file that is made: under its name when it is whole, and durable then.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::durable::{Disk, RealDisk, beside, parent, rename_new};
use crate::tool::{Exit, Failure};

/// A file that is written beside its name.
pub struct NewFile {
    path: PathBuf,
    aside: PathBuf,
    writer: BufWriter<File>,
    bytes: u64,
    is_done: bool,
}

impl NewFile {
    /// Begins one. What a run left that was killed is written over.
    ///
    /// # Errors
    /// [`Exit::Usage`] when there is such a file; errors of the disk.
    pub fn create(path: &Path) -> Result<NewFile, Failure> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let aside = beside(path, ".unfinished");
        let file = File::create(&aside)
            .map_err(|e| Failure::new(format_args!("cannot write {}: {e}", aside.display())))?;
        Ok(NewFile {
            path: path.to_owned(),
            aside,
            writer: BufWriter::with_capacity(1 << 20, file),
            bytes: 0,
            is_done: false,
        })
    }

    /// Adds a line, with a newline behind it where it has none.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let end: &[u8] = if line.ends_with(b"\n") { b"" } else { b"\n" };
        self.bytes += (line.len() + end.len()) as u64;
        let written = self.writer.write_all(line);
        written
            .and_then(|()| self.writer.write_all(end))
            .map_err(|e| self.failed(&e))
    }

    /// Gives it its name; gives its length.
    ///
    /// # Errors
    /// [`Exit::Usage`] when something has that name by now; errors of the disk.
    pub fn finish(mut self) -> Result<u64, Failure> {
        let synced = self.writer.flush();
        synced
            .and_then(|()| self.writer.get_ref().sync_all())
            .map_err(|e| self.failed(&e))?;
        rename_new(&self.aside, &self.path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => self.failed(&e),
        })?;
        self.is_done = true;
        RealDisk
            .sync_dir(parent(&self.path))
            .map_err(|e| self.failed(&e))?;
        Ok(self.bytes)
    }

    fn failed(&self, e: &io::Error) -> Failure {
        Failure::new(format_args!("cannot write {}: {e}", self.path.display()))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_done {
            // What stays is written over by the next one.
            let _ = fs::remove_file(&self.aside);
        }
    }
}

fn exists(path: &Path) -> Failure {
    let message = format!("output {}: the file exists already", path.display());
    Failure::with(Exit::Usage, message)
}
