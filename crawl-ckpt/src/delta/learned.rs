//! What a crawl under way has learned: `pages` in its job directory. It grows by a block a
//! commit, which vouches for its length, and is thrown away with the job.

use std::path::PathBuf;

use super::LEARNED;
use super::frame::{BLOCK_HEADER, Block, DeltaHeader, HEADER, ScopeHash, close, open};
use super::known::Known;
use super::page::{Fingerprint, Page, PageEntry, put_same};
use crate::durable::{Append, Disk, DiskFile, remove_if_there};
use crate::error::StoreError;
use crate::job::Job;
use crate::lock::JobLock;

/// What is learned until the next commit, in memory. Blocks are made of it in the order in
/// which they are to be appended.
#[derive(Debug)]
pub struct Learning {
    salt: [u8; 16],
    base: [u8; 16],
    scope: ScopeHash,
    /// Room for a block's header, then the entries.
    block: Vec<u8>,
    end: u64,
}

impl Learning {
    fn new(header: &DeltaHeader, scope: ScopeHash, end: u64) -> Learning {
        Learning {
            salt: header.salt(),
            base: header.base,
            scope,
            block: Vec::new(),
            end,
        }
    }

    /// What was known of a page still holds.
    pub fn same(&mut self, fingerprint: &Fingerprint) {
        put_same(self.entries(), fingerprint);
    }

    /// This is known of a page now.
    pub fn page(&mut self, page: &Page<'_>) {
        page.encode(self.entries());
    }

    fn entries(&mut self) -> &mut Vec<u8> {
        if self.block.is_empty() {
            self.block.resize(BLOCK_HEADER, 0);
        }
        &mut self.block
    }

    /// The next block; empty when nothing was learned.
    pub fn take(&mut self) -> Vec<u8> {
        let mut block = std::mem::take(&mut self.block);
        if !block.is_empty() {
            close(&mut block, self.end, &self.salt, &self.scope);
        }
        self.end += block.len() as u64;
        block
    }

    /// The key of the job that had learned what was known when the crawl began; zero when nothing
    /// was.
    pub fn base(&self) -> [u8; 16] {
        self.base
    }

    /// Bytes that wait to be taken.
    pub fn waiting_bytes(&self) -> usize {
        self.block.len()
    }

    /// The length of the file with all blocks that were taken.
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// Where a job keeps what it learned.
pub(super) fn path(job: &Job) -> PathBuf {
    job.place().dir.join(LEARNED)
}

/// Begins a file that says what a new crawl learns, durable when this returns. `known` is what it
/// knows, if that is anything.
///
/// # Errors
/// Errors of the disk.
pub fn begin(
    job: &Job,
    lock: &JobLock,
    known: Option<&Known>,
    scope: ScopeHash,
) -> Result<(Append, Learning), StoreError> {
    debug_assert!(lock.guards(job.place()));
    let path = path(job);
    let disk: &dyn Disk = &**job.disk();
    // A run that was killed before its first commit may have left one.
    remove_if_there(disk, &path).map_err(StoreError::io("remove", &path))?;
    let header = DeltaHeader {
        key: job.manifest().key,
        base: known.map(Known::key).unwrap_or_default(),
        captures: job.manifest().warc.is_some() || known.is_some_and(Known::has_captures),
    };
    let mut file = Append::create_private(disk, &path).map_err(StoreError::io("create", &path))?;
    file.append(&header.encode())
        .and_then(|()| file.sync())
        .map_err(StoreError::io("write", &path))?;
    Ok((file, Learning::new(&header, scope, HEADER as u64)))
}

/// Goes on behind what was committed; the rest is cut off.
///
/// # Errors
/// Errors of the disk; a file that is missing, shorter than committed, or another job's.
pub fn resume(
    job: &Job,
    lock: &JobLock,
    committed: u64,
    scope: ScopeHash,
) -> Result<(Append, Learning), StoreError> {
    debug_assert!(lock.guards(job.place()));
    let file = File::open(job, committed)?;
    let (path, header) = (file.path, file.header);
    let mut append =
        Append::open_private(&**job.disk(), &path).map_err(StoreError::io("open", &path))?;
    append
        .cut_to(committed)
        .map_err(StoreError::io("cut", &path))?;
    Ok((append, Learning::new(&header, scope, committed)))
}

/// Whether what a job learned is there as far as it was committed. Its blocks are not read.
///
/// # Errors
/// As [`resume`].
pub fn check(job: &Job, committed: u64) -> Result<(), StoreError> {
    File::open(job, committed).map(|_| ())
}

/// What a crawl has learned, for reading.
#[derive(Debug)]
pub(super) struct File {
    pub path: PathBuf,
    pub file: Box<dyn DiskFile>,
    pub header: DeltaHeader,
    committed: u64,
}

impl File {
    pub fn open(job: &Job, committed: u64) -> Result<File, StoreError> {
        let path = path(job);
        let file = open(&**job.disk(), &path)?.ok_or_else(|| {
            let why = format!("it is missing, {committed} bytes were committed");
            StoreError::damaged_pages(&path, 0, why)
        })?;
        let len = file.len().map_err(StoreError::io("read", &path))?;
        if len < committed {
            let why = format!("it ends here, {committed} bytes were committed");
            return Err(StoreError::damaged_pages(&path, len, why));
        }
        let header = DeltaHeader::read(&*file, &path)?;
        if header.key != job.manifest().key {
            return Err(StoreError::damaged_pages(
                &path,
                0,
                "it belongs to another job",
            ));
        }
        Ok(File {
            path,
            file,
            header,
            committed,
        })
    }

    /// Tells every entry, where it lies, and the scope that it was learned under.
    pub fn tell(
        &self,
        mut each: impl FnMut(u64, PageEntry<'_>, &ScopeHash) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (mut at, salt) = (HEADER as u64, self.header.salt());
        let mut buffer = Vec::new();
        while at < self.committed {
            let end = self.committed;
            let block = Block::read(&*self.file, &self.path, &salt, at, end, &mut buffer)?;
            block.tell(&self.path, |at, entry| {
                each(at, entry, &block.scope).map(|()| true)
            })?;
            at = block.end();
        }
        Ok(())
    }
}
