//! What earlier crawls knew: `delta/pages`, sorted by fingerprint, replaced as a whole when a
//! crawl is complete. Memory holds one fingerprint a block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::KNOWN;
use super::frame::{BLOCK_HEADER, Block, DeltaHeader, HEADER, ScopeHash, close, open};
use super::page::{Fingerprint, Page, PageEntry};
use crate::codec::{array_at, first_half, u64_at};
use crate::durable::{Disk, DiskFile, beside, parent, read_full, remove_if_there};
use crate::error::StoreError;
use crate::job::JobPlace;

/// A block is closed at this size: what a look at one page reads.
const BLOCK_BYTES: usize = 16 << 10;
const WRITE_BYTES: usize = 1 << 20;
/// A fingerprint and a place.
const INDEX_ENTRY: usize = 24;
const TRAILER: usize = 32;

/// What was known when a crawl began. Nothing changes it while the crawl runs.
#[derive(Debug)]
pub struct Known {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    header: DeltaHeader,
    scope: ScopeHash,
    /// The first fingerprint of each block, and where the block lies.
    index: Vec<(Fingerprint, u64)>,
    /// Where the blocks of pages end.
    end: u64,
    pages: u64,
}

impl Known {
    /// Opens what is known beside a job, for a crawl of this scope; `None` when nothing is.
    ///
    /// # Errors
    /// Errors of the disk; damage to its header or index.
    pub fn open(
        disk: &dyn Disk,
        place: &JobPlace,
        scope: ScopeHash,
    ) -> Result<Option<Known>, StoreError> {
        let path = place.delta_dir().join(KNOWN);
        let Some(file) = open(disk, &path)? else {
            return Ok(None);
        };
        let header = DeltaHeader::read(&*file, &path)?;
        let salt = header.salt();
        let len = file.len().map_err(StoreError::io("read", &path))?;
        let at = len.saturating_sub(TRAILER as u64);
        let mut trailer = [0; TRAILER];
        let got = read_full(&*file, &mut trailer, at).map_err(StoreError::io("read", &path))?;
        if got < TRAILER || trailer[16..] != trailer_sum(&salt, &trailer) {
            return Err(StoreError::damaged_pages(
                &path,
                at,
                "the end of the file is not its end",
            ));
        }
        let (end, pages) = (u64_at(&trailer, 0), u64_at(&trailer, 8));
        let mut buffer = Vec::new();
        let index = Block::read(&*file, &path, &salt, end, at, &mut buffer)?;
        if index.end() != at || index.payload.len() % INDEX_ENTRY != 0 {
            return Err(StoreError::damaged_pages(
                &path,
                end,
                "the index is of another length",
            ));
        }
        let entries = index.payload.chunks_exact(INDEX_ENTRY);
        let index = entries.map(|entry| (array_at(entry, 0), u64_at(entry, 16)));
        Ok(Some(Known {
            index: index.collect(),
            path,
            file,
            header,
            scope,
            end,
            pages,
        }))
    }

    /// The key of the job that learned it last.
    pub fn key(&self) -> [u8; 16] {
        self.header.key
    }

    /// True when pages may have captures.
    pub fn has_captures(&self) -> bool {
        self.header.captures
    }

    /// So many pages are known.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// What is known of a page. Its links are only told when they hold for this scope.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn find<'b>(
        &self,
        fingerprint: &Fingerprint,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Page<'b>>, StoreError> {
        let after = self
            .index
            .partition_point(|(first, _)| first <= fingerprint);
        let Some(&(_, at)) = after.checked_sub(1).and_then(|n| self.index.get(n)) else {
            return Ok(None);
        };
        let block = self.block(at, buffer)?;
        let mut found = None;
        block.tell(&self.path, |_, entry| {
            if let PageEntry::Page(page) = entry
                && page.fingerprint == *fingerprint
            {
                found = Some(self.under_scope(page, &block.scope));
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Tells every page, by ascending fingerprint. All that the file holds is checked by that.
    ///
    /// # Errors
    /// Errors of the disk, damage, and what `each` says.
    pub fn tell(
        &self,
        mut each: impl FnMut(Page<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut at = HEADER as u64;
        let mut before: Option<Fingerprint> = None;
        let (mut pages, mut blocks) = (0, self.index.iter());
        let mut buffer = Vec::new();
        while at < self.end {
            let block = self.block(at, &mut buffer)?;
            let mut is_first = true;
            block.tell(&self.path, |at, entry| {
                let damaged = |why| Err(StoreError::damaged_pages(&self.path, at, why));
                let PageEntry::Page(page) = entry else {
                    return damaged("this is no page");
                };
                if before.is_some_and(|before| before >= page.fingerprint) {
                    return damaged("pages are not in their order");
                }
                if std::mem::take(&mut is_first)
                    && blocks.next() != Some(&(page.fingerprint, block.at))
                {
                    return damaged("the index says otherwise");
                }
                before = Some(page.fingerprint);
                pages += 1;
                each(self.under_scope(page, &block.scope)).map(|()| true)
            })?;
            at = block.end();
        }
        match (pages == self.pages, blocks.next()) {
            (true, None) => Ok(()),
            _ => {
                let why = format!("{pages} pages are there and {} were", self.pages);
                Err(StoreError::damaged_pages(&self.path, self.end, why))
            }
        }
    }

    fn block<'b>(&self, at: u64, buffer: &'b mut Vec<u8>) -> Result<Block<'b>, StoreError> {
        let salt = self.header.salt();
        Block::read(&*self.file, &self.path, &salt, at, self.end, buffer)
    }

    fn under_scope<'b>(&self, mut page: Page<'b>, scope: &ScopeHash) -> Page<'b> {
        page.links = page.links.filter(|_| *scope == self.scope);
        page
    }
}

/// Writes what is known, to take the place of what was.
pub(super) struct KnownWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    salt: [u8; 16],
    scope: ScopeHash,
    /// Blocks on their way to the disk, and where they belong.
    out: Vec<u8>,
    at: u64,
    /// Room for a header, then pages.
    block: Vec<u8>,
    index: Vec<u8>,
    pages: u64,
}

impl KnownWriter {
    /// Begins it beside a job whose key is `key`.
    pub fn create(
        disk: &Arc<dyn Disk>,
        place: &JobPlace,
        header: DeltaHeader,
        scope: ScopeHash,
    ) -> Result<KnownWriter, StoreError> {
        let path = place.delta_dir().join(KNOWN);
        let (temporary, folder) = (temporary(&path), parent(&path));
        disk.create_dir_all(folder)
            .map_err(StoreError::io("create", folder))?;
        remove_if_there(&**disk, &temporary).map_err(StoreError::io("remove", &temporary))?;
        let file = disk
            .create(&temporary)
            .map_err(StoreError::io("create", &temporary))?;
        Ok(KnownWriter {
            disk: Arc::clone(disk),
            path,
            file,
            salt: header.salt(),
            scope,
            out: header.encode().to_vec(),
            at: 0,
            block: vec![0; BLOCK_HEADER],
            index: vec![0; BLOCK_HEADER],
            pages: 0,
        })
    }

    /// Adds a page; fingerprints must ascend.
    pub fn page(&mut self, page: &Page<'_>) -> Result<(), StoreError> {
        if self.block.len() == BLOCK_HEADER {
            let at = self.at + self.out.len() as u64;
            self.index.extend_from_slice(&page.fingerprint);
            self.index.extend_from_slice(&at.to_le_bytes());
        }
        page.encode(&mut self.block);
        self.pages += 1;
        if self.block.len() >= BLOCK_BYTES {
            self.close_block()
        } else {
            Ok(())
        }
    }

    /// Puts it in the place of what was known, durably when this returns.
    pub fn finish(mut self) -> Result<(), StoreError> {
        if self.block.len() > BLOCK_HEADER {
            self.close_block()?;
        }
        let end = self.at + self.out.len() as u64;
        let mut index = std::mem::take(&mut self.index);
        close(&mut index, end, &self.salt, &self.scope);
        self.out.extend_from_slice(&index);
        let mut trailer = [0; TRAILER];
        trailer[..8].copy_from_slice(&end.to_le_bytes());
        trailer[8..16].copy_from_slice(&self.pages.to_le_bytes());
        let sum = trailer_sum(&self.salt, &trailer);
        trailer[16..].copy_from_slice(&sum);
        self.out.extend_from_slice(&trailer);
        self.write()?;
        let temporary = temporary(&self.path);
        let put = self.file.sync().and_then(|()| {
            self.disk.rename(&temporary, &self.path)?;
            self.disk.sync_dir(parent(&self.path))
        });
        put.map_err(StoreError::io("replace", &self.path))
    }

    fn close_block(&mut self) -> Result<(), StoreError> {
        let at = self.at + self.out.len() as u64;
        close(&mut self.block, at, &self.salt, &self.scope);
        self.out.extend_from_slice(&self.block);
        self.block.truncate(BLOCK_HEADER);
        if self.out.len() >= WRITE_BYTES {
            self.write()
        } else {
            Ok(())
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let path = temporary(&self.path);
        self.file
            .write_at(&self.out, self.at)
            .map_err(StoreError::io("write", &path))?;
        self.at += self.out.len() as u64;
        self.out.clear();
        Ok(())
    }
}

fn temporary(path: &Path) -> PathBuf {
    beside(path, ".tmp")
}

fn trailer_sum(salt: &[u8; 16], trailer: &[u8; TRAILER]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt);
    hasher.update(&trailer[..16]);
    first_half(hasher.finalize())
}
