//! A complete crawl's end: what it learned becomes a part of what is known.

use super::frame::{DeltaHeader, ScopeHash, entry_at};
use super::is_absorbed;
use super::known::{Known, KnownWriter};
use super::learned::File;
use super::page::{Fingerprint, Page, PageEntry};
use crate::error::StoreError;
use crate::job::Job;
use crate::lock::JobLock;

/// A page that so many complete crawls in a row did not come by is forgotten.
pub const KEPT_CRAWLS: u32 = 10;

/// One thing that was learned: of which page, where it lies, and what of it counts.
struct Lesson {
    fingerprint: Fingerprint,
    /// The place of the entry in the file, with the bits [`SAME`] and [`FOREIGN`].
    at: u64,
}

/// Only a mark that what was known still holds.
const SAME: u64 = 1 << 63;
/// Learned under another scope: its links do not count.
const FOREIGN: u64 = 1 << 62;

/// Makes what a complete crawl learned known to the next one, durably when this returns. What
/// was known already is kept; done before, nothing is done again. `committed` is the
/// length of what was learned.
///
/// # Errors
/// Errors of the disk, and damage; what is known is then what was known before.
pub fn absorb(
    job: &Job,
    lock: &JobLock,
    committed: u64,
    scope: ScopeHash,
) -> Result<(), StoreError> {
    debug_assert!(lock.guards(job.place()));
    if is_absorbed(job)? {
        return Ok(());
    }
    let learned = File::open(job, committed)?;
    let known = Known::open(&**job.disk(), job.place(), scope)?;
    // Marks that something still holds speak of what was known when the crawl began.
    let known = known.filter(|known| known.key() == learned.header.base);
    let header = DeltaHeader {
        key: job.manifest().key,
        base: [0; 16],
        captures: learned.header.captures || known.as_ref().is_some_and(Known::has_captures),
    };
    let lessons = lessons(&learned, &scope)?;
    let mut merge = Merge {
        writer: KnownWriter::create(job.disk(), job.place(), header, scope)?,
        lessons: lessons.into_iter().peekable(),
        learned: &learned,
        buffer: Vec::new(),
    };
    if let Some(known) = &known {
        known.tell(|page| merge.take_known(page))?;
    }
    while let Some(lesson) = merge.lessons.next() {
        merge.write(&lesson)?;
    }
    merge.writer.finish()
}

/// What was learned, one lesson a page, by ascending fingerprint.
fn lessons(learned: &File, scope: &ScopeHash) -> Result<Vec<Lesson>, StoreError> {
    let mut lessons = Vec::new();
    learned.tell(|at, entry, of| {
        let foreign = if of == scope { 0 } else { FOREIGN };
        lessons.push(match entry {
            PageEntry::Same(fingerprint) => Lesson {
                fingerprint,
                at: at | SAME,
            },
            PageEntry::Page(page) => Lesson {
                fingerprint: page.fingerprint,
                at: at | foreign,
            },
        });
        Ok(())
    })?;
    // Of several the last one counts, and any page more than a mark.
    let rank = |lesson: &Lesson| (lesson.at & SAME, u64::MAX - (lesson.at & !(SAME | FOREIGN)));
    lessons.sort_unstable_by_key(|lesson| (lesson.fingerprint, rank(lesson)));
    lessons.dedup_by_key(|lesson| lesson.fingerprint);
    Ok(lessons)
}

struct Merge<'a> {
    writer: KnownWriter,
    lessons: std::iter::Peekable<std::vec::IntoIter<Lesson>>,
    learned: &'a File,
    buffer: Vec<u8>,
}

impl Merge<'_> {
    /// Takes over a page that was known, and before it what was learned of others.
    fn take_known(&mut self, mut page: Page<'_>) -> Result<(), StoreError> {
        let is_before = |lesson: &Lesson| lesson.fingerprint < page.fingerprint;
        while let Some(lesson) = self.lessons.next_if(is_before) {
            self.write(&lesson)?;
        }
        let is_it = |lesson: &Lesson| lesson.fingerprint == page.fingerprint;
        match self.lessons.next_if(is_it) {
            Some(lesson) if lesson.at & SAME == 0 => return self.write(&lesson),
            Some(_) => page.missed = 0,
            None => page.missed += 1,
        }
        if page.missed < KEPT_CRAWLS {
            self.writer.page(&page)
        } else {
            Ok(())
        }
    }

    fn write(&mut self, lesson: &Lesson) -> Result<(), StoreError> {
        if lesson.at & SAME != 0 {
            // What was known is not there any more: the page will be a new one.
            return Ok(());
        }
        let at = lesson.at & !FOREIGN;
        let File { file, path, .. } = self.learned;
        let PageEntry::Page(mut page) = entry_at(&**file, path, at, &mut self.buffer)? else {
            return Err(StoreError::damaged_pages(path, at, "this is no page"));
        };
        page.links = page.links.filter(|_| lesson.at & FOREIGN == 0);
        self.writer.page(&page)
    }
}
