//! The store that users have: in memory and on this machine's disk.

use std::time::Duration;

use crawl_ckpt::capture::{Archived, Spooled};
use crawl_ckpt::control::Progress;
use crawl_ckpt::delta::{Fingerprint, LEARNED, Page};
use crawl_ckpt::journal::{Mark, Stored};
use crawl_ckpt::tool::{Exit, Failure};

use super::keeper::Keeper;
use super::known::Delta;
use super::lanes::Lanes;
use super::memory::View;
use super::seen::{Seen, SeenRoom};
use super::{HeldJob, Log, Rest, Store, Ticket, Watch};
use crate::schedule::HostId;
use crate::unnamed::AsideRoom;

/// A seen set and lanes in memory; a journal, the outputs and what is known of pages on the disk.
/// A test crawl has no journal.
#[derive(Debug)]
pub struct Embedded {
    seen: Seen,
    lanes: Lanes,
    log: Log,
    keeper: Keeper,
    /// What earlier crawls knew; `None` unless the crawl is incremental.
    delta: Option<Delta>,
    /// The journal's end as of the last commit that was waited for.
    end: Option<Mark>,
}

impl Embedded {
    /// A store with nothing in it, all of which stays in memory.
    pub fn new(log: Log) -> Embedded {
        Embedded::with(Seen::new(), Lanes::new(), log, None, None)
    }

    /// A store with nothing in it.
    pub fn empty(room: SeenRoom, log: Log, job: Option<HeldJob>, delta: Option<Delta>) -> Embedded {
        let lanes = Lanes::within(room.waiting());
        Embedded::with(Seen::empty(room), lanes, log, job, delta)
    }

    /// A store that goes on.
    pub(super) fn with(
        seen: Seen,
        lanes: Lanes,
        log: Log,
        job: Option<HeldJob>,
        delta: Option<Delta>,
    ) -> Embedded {
        Embedded {
            seen,
            lanes,
            log,
            keeper: Keeper::new(job),
            delta,
            end: None,
        }
    }
}

impl Embedded {
    /// Waits, for so long at most, until what was committed is durable; true when it is.
    ///
    /// # Errors
    /// The failure of a commit.
    pub fn wait_for_commits(&mut self, most: Duration) -> Result<bool, Failure> {
        self.log.wait_for_commits(most)
    }

    /// True while journals are settled beside the crawl.
    #[cfg(test)]
    pub fn is_settling(&self) -> bool {
        self.keeper.is_settling()
    }

    /// That what was told of URLs, and of what waits, is right.
    fn check(&mut self) -> Result<(), Failure> {
        self.seen.check()?;
        self.lanes.check()
    }
}

impl Store for Embedded {
    fn share(&self) -> Option<AsideRoom> {
        // As much as for what waits.
        self.lanes.room()
    }

    fn is_seen(&self, fingerprints: &[u128], seen: &mut Vec<bool>) {
        // The processor waits for the cache misses of all of them at once.
        for &fingerprint in fingerprints {
            self.seen.touch(fingerprint);
        }
        seen.clear();
        seen.extend(fingerprints.iter().map(|one| self.seen.contains(*one)));
    }

    fn take_on(&mut self, host: HostId, fingerprint: u128, request: &Stored<'_>) -> Option<Ticket> {
        if !self.seen.insert(fingerprint) {
            return None;
        }
        let ticket = self.log.request(request);
        self.lanes.push(host, ticket, request.priority);
        Some(ticket)
    }

    fn put(&mut self, host: HostId, ticket: Ticket, priority: i64) {
        self.lanes.push(host, ticket, priority);
    }

    fn pop(&mut self, host: HostId) -> Option<Ticket> {
        self.lanes.pop(host)
    }

    fn read<'b>(&'b self, ticket: Ticket, buffer: &'b mut Vec<u8>) -> Result<Stored<'b>, Failure> {
        self.log.read(ticket, buffer)
    }

    fn finish(&mut self, ticket: Ticket, failed: bool, record: Option<&str>) {
        self.log.finish(ticket.id, failed, record);
    }

    fn keeps_pages(&self) -> bool {
        self.log.keeps_pages()
    }

    fn keep(&mut self, told: &Spooled<'_>, now_ms: u64) -> Result<Archived<'static>, String> {
        match self.log.warc() {
            Some(warc) => warc.keep(told, now_ms),
            None => Err("no WARC is written".into()),
        }
    }

    fn pass_over(&mut self, told: &Spooled<'_>) {
        if let Some(warc) = self.log.warc() {
            warc.pass_over(told);
        }
    }

    fn defer(&mut self, ticket: Ticket, attempts: u32, due_ms: u64) {
        self.log.defer(ticket.id, attempts, due_ms);
    }

    fn set(&mut self, key: &str, value: &[u8]) {
        self.log.set(key, value);
    }

    fn unset(&mut self, key: &str) {
        self.log.unset(key);
    }

    fn is_incremental(&self) -> bool {
        self.delta.is_some()
    }

    fn known<'b>(
        &self,
        page: &Fingerprint,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Page<'b>>, Failure> {
        match &self.delta {
            Some(delta) => delta.find(page, buffer),
            None => Ok(None),
        }
    }

    fn learn(&mut self, page: &Page<'_>, is_same: bool) {
        if is_same {
            self.log.learn_same(&page.fingerprint);
        } else {
            self.log.learn_page(page);
        }
    }

    fn wants_commit(&mut self, now_ms: u64) -> Result<bool, Failure> {
        self.seen.tend();
        self.check()?;
        self.log.wants_commit(now_ms)
    }

    fn next_commit_ms(&self) -> Option<u64> {
        self.log.next_due_ms()
    }

    fn commit(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure> {
        self.check()?;
        let (counts, hosts) = (progress.counts, progress.hosts);
        self.log.commit(now_ms, progress)?;
        self.keeper.tend(&mut self.log, &counts, hosts)
    }

    fn commit_now(&mut self, now_ms: u64, progress: Progress) -> Result<(), Failure> {
        self.check()?;
        self.end = self.log.commit_now(now_ms, progress)?;
        Ok(())
    }

    fn take_trouble(&mut self) -> Option<String> {
        let failure = self.keeper.take_failure()?;
        let told = format!("the journal was not settled: {}", failure.message);
        Some(match failure.hint {
            Some(hint) if failure.exit == Exit::Damaged => {
                format!("{told}; once the crawl is paused, {hint} saves what is sound")
            }
            _ => told,
        })
    }

    fn close(&mut self, rest: Rest<'_>, watch: &mut dyn Watch) -> Result<(), Failure> {
        self.log.finish_warc()?;
        let job = self.keeper.home(&mut self.log)?;
        if let (Some(job), Some(end)) = (job, &self.end) {
            self.seen.come_to_rest(watch);
            let view = View {
                seen: &self.seen,
                lanes: &self.lanes,
                files: self.log.files(),
                tails: self.log.tails(),
                rest,
            };
            job.close(end, view, watch)?;
        }
        if let Some(trouble) = self.take_trouble() {
            watch.tell(trouble);
        }
        Ok(())
    }

    fn make_known(&mut self) -> Result<(), Failure> {
        let job = self.keeper.home(&mut self.log)?;
        match (job, &self.delta, self.log.files().get(LEARNED)) {
            (Some(job), Some(delta), Some(&bytes)) => job.absorb(delta, bytes),
            _ => Ok(()),
        }
    }
}
