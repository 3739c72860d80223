//! The targets of a page's links.

use std::hash::BuildHasher;

use crawl_ckpt::record::{MAX_LINK_BYTES, MAX_LINKS};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use memchr::memchr;

/// Absolute http(s) URLs without fragments, one behind the other, each once.
pub struct Targets<'t> {
    /// What they are resolved against.
    pub options: url::ParseOptions<'t>,
    /// Each, as an index into `ends`.
    pub resolved: &'t mut HashTable<u32>,
    /// Their text.
    pub text: &'t mut String,
    /// Where each ends in it.
    pub ends: &'t mut Vec<usize>,
    /// Of `resolved`.
    pub hasher: &'t RandomState,
    /// How many did not fit.
    pub dropped: u64,
}

impl Targets<'_> {
    /// Resolves a link; returns the place of its target, if it has one.
    #[inline]
    pub fn add(&mut self, href: &str) -> Option<u32> {
        let Targets {
            resolved,
            text,
            ends,
            hasher,
            ..
        } = self;
        let href = &href[..memchr(b'#', href.as_bytes()).unwrap_or(href.len())];
        let target = self.options.parse(href).ok()?;
        if !matches!(target.scheme(), "http" | "https") {
            return None;
        }
        let target = target.as_str();
        let hash = hasher.hash_one(target.as_bytes());
        let at = |other: u32| {
            let start = other
                .checked_sub(1)
                .map_or(0, |before| ends[before as usize]);
            &text.as_bytes()[start..ends[other as usize]]
        };
        if let Some(same) = resolved.find(hash, |other| at(*other) == target.as_bytes()) {
            return Some(*same);
        }
        if ends.len() >= MAX_LINKS || text.len() + target.len() > MAX_LINK_BYTES {
            self.dropped += 1;
            return None;
        }
        let place = ends.len() as u32;
        resolved.insert_unique(hash, place, |other| hasher.hash_one(at(*other)));
        text.push_str(target);
        ends.push(text.len());
        Some(place)
    }
}
