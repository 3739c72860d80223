//! The WARC files, for who writes them: the thread that commits.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use crawl_ckpt::durable::{Append, Disk, read_full, remove_if_there};
use crawl_ckpt::job::remove_spool;
use crawl_ckpt::tool::Failure;
use crawl_ckpt::warc::FileName;

use super::spools::SpoolRange;
use crate::store::outputs::{cannot_write, look_at};
use crate::unnamed::MAKE_ROOM;

/// Records are copied in pieces of so many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// One thing to be done before a commit can vouch for it.
#[derive(Debug)]
pub enum WarcStep {
    /// A file is begun, with its *warcinfo* record.
    Begin(FileName, Vec<u8>),
    /// Records are added to it.
    Copy(SpoolRange),
}

/// What a commit does with the WARC files.
#[derive(Debug, Default)]
pub struct WarcWork {
    /// In this order.
    pub steps: Vec<WarcStep>,
    /// Spool files that nobody needs once this is durable.
    pub used_up: Vec<PathBuf>,
}

/// The directory of the WARC files, and the one that grows.
#[derive(Debug)]
pub struct WarcFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    spool_dir: PathBuf,
    open: Option<(FileName, Append)>,
    /// Files that are whole, and get their final name once a commit names the one after them.
    whole: Vec<FileName>,
    piece: Vec<u8>,
}

impl WarcFiles {
    /// Files of this directory, which is there. None of those in it is written any more.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, spool_dir: PathBuf) -> WarcFiles {
        WarcFiles {
            disk,
            dir,
            spool_dir,
            open: None,
            whole: Vec::new(),
            piece: Vec::new(),
        }
    }

    /// Does all steps. What they wrote is durable when this returns.
    ///
    /// # Errors
    /// [`Exit::Damaged`](crawl_ckpt::tool::Exit::Damaged) when somebody else changed a file; those of the disk.
    pub fn write(&mut self, steps: &[WarcStep]) -> Result<(), Failure> {
        if let Some((_, file)) = &mut self.open {
            look_at("WARC", file)?;
        }
        for step in steps {
            match step {
                WarcStep::Begin(name, info) => self.begin(name, info)?,
                WarcStep::Copy(range) => self.copy(range)?,
            }
        }
        if steps.is_empty() {
            Ok(())
        } else {
            self.sync()
        }
    }

    /// Behind the commit: gives whole files their final names, and removes spool files that are
    /// used up. A kill before that leaves it to the next run.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn settle(&mut self, used_up: &[PathBuf]) -> Result<(), Failure> {
        for spool in used_up {
            remove_if_there(&*self.disk, spool).map_err(|e| {
                Failure::new(format_args!("cannot remove {}: {e}", spool.display()))
            })?;
        }
        if self.whole.is_empty() {
            return Ok(());
        }
        for name in self.whole.drain(..) {
            let (open, whole) = (self.dir.join(name.open()), self.dir.join(name.as_str()));
            self.disk
                .rename(&open, &whole)
                .map_err(|e| Failure::new(format_args!("cannot rename {}: {e}", open.display())))?;
        }
        self.disk
            .sync_dir(&self.dir)
            .map_err(|e| Failure::new(format_args!("cannot sync {}: {e}", self.dir.display())))
    }

    /// Behind the last commit: all files are whole, and nothing is left of the spool.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.whole.extend(self.open.take().map(|(name, _)| name));
        self.settle(&[])?;
        let dir = &self.spool_dir;
        remove_spool(&*self.disk, dir)
            .map_err(|e| Failure::new(format_args!("cannot remove {}: {e}", dir.display())))
    }

    fn begin(&mut self, name: &FileName, info: &[u8]) -> Result<(), Failure> {
        self.sync()?;
        self.whole.extend(self.open.take().map(|(name, _)| name));
        let path = self.dir.join(name.open());
        let mut file = Append::create(&*self.disk, &path).map_err(|e| {
            Failure::new(format_args!("cannot create {}: {e}", path.display())).hint(MAKE_ROOM)
        })?;
        file.append(info)
            .map_err(|e| cannot_write(path.display(), &e))?;
        self.open = Some((name.clone(), file));
        Ok(())
    }

    fn copy(&mut self, range: &SpoolRange) -> Result<(), Failure> {
        let Some((_, file)) = &mut self.open else {
            return Err(Failure::new("no WARC file was begun"));
        };
        let dir = &self.spool_dir;
        let cannot_read = |e| Failure::new(format_args!("cannot read {}: {e}", dir.display()));
        let (mut at, end) = (range.offset, range.offset + range.length);
        while at < end {
            let most = PIECE_BYTES.min((end - at) as usize);
            self.piece.resize(most, 0);
            let read = read_full(&*range.file, &mut self.piece, at).map_err(cannot_read)?;
            if read < most {
                return Err(cannot_read(ErrorKind::UnexpectedEof.into()));
            }
            file.append(&self.piece)
                .map_err(|e| cannot_write(file.path().display(), &e))?;
            at += read as u64;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        match &mut self.open {
            Some((_, file)) => file
                .sync()
                .map_err(|e| cannot_write(file.path().display(), &e)),
            None => Ok(()),
        }
    }
}
