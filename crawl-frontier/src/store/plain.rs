//! A store of plain maps, for tests: it holds what the door asks for, and no more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use crawl_ckpt::capture::{Archived, Spooled};
use crawl_ckpt::control::Progress;
use crawl_ckpt::delta::{Fingerprint, Page};
use crawl_ckpt::journal::{Referer, Stored};
use crawl_ckpt::tool::Failure;

use super::{Rest, Store, Ticket, Watch};
use crate::schedule::HostId;
use crate::unnamed::AsideRoom;

/// All in memory, and gone with it.
#[derive(Debug, Default)]
pub struct Plain {
    /// What the crawl may keep of rules and of cookies.
    pub share: Option<AsideRoom>,
    seen: HashSet<u128>,
    requests: Vec<Kept>,
    waiting: BTreeMap<(HostId, Reverse<i64>, u64), Ticket>,
    arrivals: u64,
    /// Finished requests, whether they failed, and their records.
    pub finished: Vec<(u64, bool, Option<String>)>,
    /// The values under their keys.
    pub values: BTreeMap<String, Vec<u8>>,
    /// The spool files of exchanges that were kept, if any are to be.
    pub kept: Option<Vec<String>>,
    /// How many facts wait for a commit.
    waits: usize,
    /// The figures of the last commit.
    pub committed: Option<Progress>,
}

#[derive(Debug)]
struct Kept {
    url: String,
    depth: u32,
    priority: i64,
    nofollow: bool,
    redirects: u32,
    referer: Option<String>,
    extra: Option<String>,
}

impl Store for Plain {
    fn share(&self) -> Option<AsideRoom> {
        self.share.clone()
    }

    fn is_seen(&self, fingerprints: &[u128], seen: &mut Vec<bool>) {
        seen.clear();
        seen.extend(fingerprints.iter().map(|one| self.seen.contains(one)));
    }

    fn take_on(&mut self, host: HostId, fingerprint: u128, request: &Stored<'_>) -> Option<Ticket> {
        if !self.seen.insert(fingerprint) {
            return None;
        }
        let id = self.requests.len() as u64;
        let referer = request.referer.map(|page| page.to_text(request.url));
        self.requests.push(Kept {
            url: request.url.to_owned(),
            depth: request.depth,
            priority: request.priority,
            nofollow: request.nofollow,
            redirects: request.redirects,
            referer: referer.map(|page| page.into_owned()),
            extra: request.extra.map(str::to_owned),
        });
        let ticket = Ticket { id, at: id };
        self.put(host, ticket, request.priority);
        Some(ticket)
    }

    fn put(&mut self, host: HostId, ticket: Ticket, priority: i64) {
        self.waits += 1;
        self.arrivals += 1;
        let place = (host, Reverse(priority), self.arrivals);
        self.waiting.insert(place, ticket);
    }

    fn pop(&mut self, host: HostId) -> Option<Ticket> {
        let first = (host, Reverse(i64::MAX), 0);
        let last = (host, Reverse(i64::MIN), u64::MAX);
        let (&place, _) = self.waiting.range(first..=last).next()?;
        self.waiting.remove(&place)
    }

    fn read<'b>(&'b self, ticket: Ticket, _: &'b mut Vec<u8>) -> Result<Stored<'b>, Failure> {
        let kept = self.requests.get(ticket.id as usize);
        let kept = kept.ok_or_else(|| Failure::new("there is no such request"))?;
        Ok(Stored {
            url: &kept.url,
            depth: kept.depth,
            priority: kept.priority,
            nofollow: kept.nofollow,
            redirects: kept.redirects,
            referer: kept
                .referer
                .as_deref()
                .map(|page| Referer::of(&kept.url, page)),
            extra: kept.extra.as_deref(),
        })
    }

    fn finish(&mut self, ticket: Ticket, failed: bool, record: Option<&str>) {
        self.waits += 1;
        self.finished
            .push((ticket.id, failed, record.map(str::to_owned)));
    }

    fn keeps_pages(&self) -> bool {
        self.kept.is_some()
    }

    fn keep(&mut self, told: &Spooled<'_>, _: u64) -> Result<Archived<'static>, String> {
        let kept = self.kept.as_mut().ok_or("no WARC is written")?;
        kept.push(told.file.to_string());
        Ok(Archived {
            file: told.file.to_string().into(),
            offset: told.offset,
            length: told.response_length,
        })
    }

    fn pass_over(&mut self, _: &Spooled<'_>) {}

    fn defer(&mut self, _: Ticket, _: u32, _: u64) {
        self.waits += 1;
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.waits += 1;
        self.values.insert(key.to_owned(), value.to_owned());
    }

    fn unset(&mut self, key: &str) {
        self.values.remove(key);
        self.waits += 1;
    }

    fn is_incremental(&self) -> bool {
        false
    }

    fn known<'b>(&self, _: &Fingerprint, _: &'b mut Vec<u8>) -> Result<Option<Page<'b>>, Failure> {
        Ok(None)
    }

    fn learn(&mut self, _: &Page<'_>, _: bool) {}

    fn wants_commit(&mut self, _: u64) -> Result<bool, Failure> {
        Ok(self.waits > 0)
    }

    fn next_commit_ms(&self) -> Option<u64> {
        (self.waits > 0).then_some(0)
    }

    fn commit(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure> {
        self.commit_now(now_ms, progress)
    }

    fn commit_now(&mut self, _: u64, progress: Progress) -> Result<(), Failure> {
        self.waits = 0;
        self.committed = Some(progress);
        Ok(())
    }

    fn close(&mut self, _: Rest<'_>, _: &mut dyn Watch) -> Result<(), Failure> {
        Ok(())
    }

    fn make_known(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
