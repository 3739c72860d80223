//! The targets of a page's links.

use std::hash::BuildHasher;

use crawl_ckpt::address::take_userinfo;
use crawl_ckpt::record::{MAX_LINK_BYTES, MAX_LINKS};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use memchr::memchr;
use url::Position;

use crate::resolve::{Folder, resolve};

/// So many bytes are read and written to resolve a page's links. A base URL of 4 MB makes links of
/// 4 MB of forty thousand short ones.
pub const MAX_WORK_BYTES: usize = 256 << 20;

/// Absolute http(s) URLs without fragments, one behind the other, each once.
pub struct Targets<'t> {
    /// What they are resolved against.
    pub options: url::ParseOptions<'t>,
    /// How long that is.
    pub base_bytes: usize,
    /// The same, for plain links.
    pub folder: Option<Folder<'t>>,
    /// Each, as an index into `ends`.
    pub resolved: &'t mut HashTable<u32>,
    /// Their text.
    pub text: &'t mut String,
    /// Where each ends in it.
    pub ends: &'t mut Vec<usize>,
    /// Of `resolved`.
    pub hasher: &'t RandomState,
    /// Bytes that may still be read and written.
    pub work: usize,
    /// How many did not fit.
    pub dropped: u64,
}

impl Targets<'_> {
    /// Resolves a link; returns the place of its target, if it has one.
    #[inline]
    pub fn add(&mut self, href: &str) -> Option<u32> {
        let end = match memchr(b'#', href.as_bytes()) {
            // A blank before a fragment is part of the path; at the end of a link it is not.
            Some(end) if end > 0 && href.as_bytes()[end - 1] <= b' ' => end + 1,
            Some(end) => end,
            None => href.len(),
        };
        let href = &href[..end];
        // The parser takes several times as long as a copy does.
        self.work = self.work.saturating_sub(2 * (self.base_bytes + href.len()));
        if self.work == 0 {
            self.dropped += 1;
            return None;
        }
        let mut target = resolve(self.options, href).ok()?;
        if !matches!(target.scheme(), "http" | "https") {
            return None;
        }
        take_userinfo(&mut target);
        let start = self.text.len();
        self.text.push_str(&target[..Position::AfterQuery]);
        self.keep(start)
    }

    /// Resolves a link, as it is written but for its fragment, if it is plain.
    #[inline]
    pub fn add_plain(&mut self, href: &[u8]) -> bool {
        if self.work == 0 {
            self.dropped += 1;
            return true;
        }
        let start = self.text.len();
        let folder = self.folder.as_ref();
        let is_plain = folder.is_some_and(|folder| folder.resolve(href, self.text));
        if is_plain {
            self.work = self.work.saturating_sub(self.text.len() - start);
            self.keep(start);
        }
        is_plain
    }

    /// Keeps the target that `text` has from `start` on, if it is new and fits; returns
    /// its place.
    fn keep(&mut self, start: usize) -> Option<u32> {
        let place = self.place(start);
        if place.is_some_and(|place| place as usize == self.ends.len()) {
            self.ends.push(self.text.len());
        } else {
            self.text.truncate(start);
        }
        place
    }

    /// The place of the target that `text` has from `start` on; a new one is the next.
    fn place(&mut self, start: usize) -> Option<u32> {
        let Targets {
            resolved,
            text,
            ends,
            hasher,
            ..
        } = self;
        let target = &text.as_bytes()[start..];
        let at = |place: u32| {
            let before = place.checked_sub(1);
            let from = before.map_or(0, |before| ends[before as usize]);
            let end = ends.get(place as usize).copied();
            &text.as_bytes()[from..end.unwrap_or(text.len())]
        };
        let hash = hasher.hash_one(target);
        if let Some(same) = resolved.find(hash, |place| at(*place) == target) {
            return Some(*same);
        }
        if ends.len() >= MAX_LINKS || text.len() > MAX_LINK_BYTES {
            self.dropped += 1;
            return None;
        }
        let place = ends.len() as u32;
        resolved.insert_unique(hash, place, |place| hasher.hash_one(at(*place)));
        Some(place)
    }
}
