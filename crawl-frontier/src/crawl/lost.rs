//! Requests that a fetcher did not answer: it died over them, or was ended since it was silent.
//!
//! They are sent again. One that was under way when two fetchers ended is sent with nothing else under way, so that
//! no other request can be the reason. When two more end over it, its page is: it is set aside with a record. One
//! alone may have been killed from outside. A robots.txt that is set aside is one that cannot be had.

use std::collections::{HashMap, VecDeque};

use crawl_ckpt::record::{ErrorKind, FetchError, FetchResult};
use crawl_ckpt::tool::Failure;

use super::receive::found_on;
use super::send::Due;
use super::{Crawl, Record, Step, Trouble};
use crate::keys::LOST;
use crate::schedule::{Gate, HostId};
use crate::store::Store;

/// So often, and a request is sent alone …
const ALONE: u32 = 2;
/// … or set aside: the last two times it was alone.
const SET_ASIDE: u32 = 4;
/// A start URL was set aside and its record waits for a page of another.
const WAITS: u32 = SET_ASIDE + 1;

/// A request that others overtook for so many times the fetcher's patience was dropped. It may have
/// waited for its turn, for memory or for a parser, and a restart costs pages.
const DROPPED: u64 = 4;

/// Why a request has a record that nobody answered.
const WHY: &str = "crawl-fetch died of it or fell silent about it four times, the last two with nothing else under \
                   way; it is set aside";

/// What is known of requests that were lost.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// How often, by the fingerprint of their URL.
    times: HashMap<u64, u32>,
    /// Requests that are to be sent alone.
    pub alone: VecDeque<Due>,
    /// Hosts whose robots.txt is to be asked for alone.
    files_alone: VecDeque<HostId>,
    /// One of them is under way.
    pub is_alone: bool,
    /// So many requests of other partitions are under way in the same fetcher.
    pub of_others: usize,
    /// The fetcher said something: it works.
    pub is_heard: bool,
    /// When it said the last thing; with nothing under way then, when it was asked the next.
    pub heard_ms: u64,
    /// The last fetcher ended badly, so this one has to show first that it works.
    pub is_careful: bool,
    /// The fetcher may say nothing for so long.
    pub patience_ms: Option<u64>,
    /// When to look next for requests that it dropped.
    look_ms: u64,
}

/// What a fetcher's silence leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetcherSilence {
    /// How many requests it was to answer.
    pub requests: u64,
    /// For how long.
    pub since_ms: u64,
}

impl Lost {
    /// Takes what the checkpoint keeps.
    pub fn restore(&mut self, key: &str, value: &[u8]) {
        let fingerprint = key.strip_prefix(LOST);
        let fingerprint =
            fingerprint.and_then(|fingerprint| u64::from_str_radix(fingerprint, 16).ok());
        let times = std::str::from_utf8(value).ok();
        let times = times.and_then(|times| times.parse().ok());
        if let (Some(fingerprint), Some(times)) = (fingerprint, times) {
            self.times.insert(fingerprint, times);
        }
    }

    /// What the checkpoint is to keep.
    pub fn values(&self) -> impl Iterator<Item = (String, String)> {
        let times = self.times.iter();
        times.map(|(&fingerprint, times)| (key(fingerprint), times.to_string()))
    }

    /// Whether this run set a request aside already, before the fetcher was started again.
    pub fn is_set_aside(&self, fingerprint: u64) -> bool {
        self.is_careful
            && self
                .times
                .get(&fingerprint)
                .is_some_and(|times| *times >= WAITS)
    }

    /// Whether a request goes with nothing else under way.
    pub fn goes_alone(&self, fingerprint: u64) -> bool {
        self.times
            .get(&fingerprint)
            .is_some_and(|times| *times >= ALONE)
    }

    /// Whether this fetcher has to show first that it works: the last one ended badly, or one is sent alone next,
    /// which is to be blamed for what becomes of it.
    fn is_unproven(&self) -> bool {
        let is_anything_alone = !self.alone.is_empty() || !self.files_alone.is_empty();
        !self.is_heard && (self.is_careful || is_anything_alone)
    }
}

fn key(fingerprint: u64) -> String {
    format!("{LOST}{fingerprint:016x}")
}

impl<S: Store> Crawl<S> {
    /// The last fetcher ended badly, so this one has to show first that it works.
    pub fn be_careful(&mut self) {
        self.lost.is_careful = true;
    }

    /// A fetcher that has requests and says nothing for so long is to be ended.
    pub fn expect_answers(&mut self, patience_ms: Option<u64>) {
        self.lost.patience_ms = patience_ms;
    }

    /// Sends what goes alone; `None` when there is nothing of it.
    pub(super) fn next_alone(
        &mut self,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<Option<Step>, Failure> {
        let is_over = self.under_way() == 0;
        self.lost.is_alone &= !is_over;
        let can_go = self.lone_that_can_go(now_ms);
        let unproven = self.lost.is_unproven();
        let teller = unproven.then(|| self.teller()).flatten();
        let has_file = !self.lost.files_alone.is_empty();
        if !self.lost.is_alone && can_go.is_none() && teller.is_none() && !has_file {
            return Ok(None);
        }
        if !is_over {
            return Ok(Some(Step::Wait { until_ms: None }));
        }
        if let Some(host) = teller {
            // The fetcher has to show that it works; no page is fetched again for that.
            self.probe_for("/robots.txt", host, now_ms, out);
            return Ok(Some(Step::Sent));
        }
        if self.lost.of_others > 0 {
            return Ok(Some(Step::Wait { until_ms: None }));
        }
        if let Some(host) = self.lost.files_alone.pop_front() {
            self.ask_for_file(host, now_ms, out);
            self.lost.is_alone = true;
            return Ok(Some(Step::Sent));
        }
        if let Some(due) = can_go.and_then(|place| self.lost.alone.remove(place))
            && self.send(due, true, now_ms, out)?
        {
            self.lost.is_alone = true;
        }
        Ok(Some(Step::Sent))
    }

    /// Whom to ask for something to see whether the fetcher works: the host that answered last. Before anybody did,
    /// one whose turn it is: a fetcher that dies of its page still gives its robots.txt, or says why there is none.
    fn teller(&self) -> Option<HostId> {
        let lone = self.lost.alone.front().map(|due| due.host);
        let known = self.outage.witness().or(lone);
        let known = known.or_else(|| self.schedule.first_in_turn());
        known.filter(|host| self.file_losses(*host) == 0)
    }

    /// So many fetchers ended over the host's robots.txt.
    fn file_losses(&self, host: HostId) -> u32 {
        // Asked of each host, and empty as a rule.
        if self.lost.times.is_empty() {
            return 0;
        }
        let fingerprint = self.file_fingerprint(host);
        self.lost.times.get(&fingerprint).copied().unwrap_or(0)
    }

    fn file_fingerprint(&self, host: HostId) -> u64 {
        let url = self.robots.url(host, &self.schedule.origin(host));
        self.fingerprinter.get(&url) as u64
    }

    /// Has a robots.txt wait that is to be asked for alone, or takes it for one that cannot be had, when fetchers died
    /// of it. False: it is to be asked for like any other.
    pub(super) fn is_file_kept_back(&mut self, host: HostId, now_ms: u64) -> bool {
        let losses = self.file_losses(host);
        if losses >= SET_ASIDE && self.lost.is_careful {
            let error = FetchError {
                kind: ErrorKind::Robots,
                message: WHY.into(),
            };
            let result = FetchResult {
                error: Some(error),
                ..FetchResult::default()
            };
            self.take_file(host, &result, 0, now_ms);
        } else if losses >= ALONE {
            self.lost.files_alone.push_back(host);
        } else {
            return false;
        }
        true
    }

    /// The fetcher answered for a host's robots.txt.
    pub(super) fn found_file(&mut self, host: HostId) {
        if self.file_losses(host) > 0 {
            self.found(self.file_fingerprint(host));
        }
    }

    /// Whether one that goes alone is under way or can go: then nobody else may send with the same fetcher.
    pub fn wants_to_be_alone(&self, now_ms: u64) -> bool {
        let is_under_way = self.lost.is_alone && self.under_way() > 0;
        is_under_way
            || !self.lost.files_alone.is_empty()
            || self.lost.alone.iter().any(|due| {
                let host = self.schedule.host(due.host);
                host.gate == Gate::Open && host.due_ms <= now_ms
            })
    }

    /// The first that goes alone whose host may be asked now. Those whose host may not be asked at
    /// all wait in it again.
    fn lone_that_can_go(&mut self, now_ms: u64) -> Option<usize> {
        for _ in 0..self.lost.alone.len() {
            let due = self.lost.alone.pop_front()?;
            match self.schedule.host(due.host).gate {
                Gate::Open => self.lost.alone.push_back(due),
                Gate::Shut | Gate::Parked => self.put(due.host, due.ticket, i64::MAX),
            }
        }
        let mut alone = self.lost.alone.iter();
        alone.position(|due| self.schedule.host(due.host).due_ms <= now_ms)
    }

    /// When the host of one that goes alone may be asked.
    pub(super) fn lone_due_ms(&self) -> Option<u64> {
        let alone = self.lost.alone.iter();
        alone.map(|due| self.schedule.host(due.host).due_ms).min()
    }

    /// The fetcher answered for a request, whose losses are forgotten.
    pub(super) fn found(&mut self, fingerprint: u64) {
        // Asked first, for it is empty as a rule.
        if !self.lost.times.is_empty() && self.lost.times.remove(&fingerprint).is_some() {
            self.store.set(&key(fingerprint), b"");
        }
    }

    /// The fetcher died: what was under way is lost once more. Gives how many requests are set
    /// aside.
    ///
    /// # Errors
    /// When one cannot be read back.
    pub fn fetcher_died(&mut self) -> Result<u64, Failure> {
        // A fetcher that never answered anything died of something else than a page.
        if !self.lost.is_heard {
            return Ok(0);
        }
        let ids: Vec<u64> = self.flights.keys().copied().collect();
        let mut aside = 0;
        for id in ids {
            if self.lose(id) >= SET_ASIDE {
                self.set_aside(id)?;
                aside += 1;
            }
        }
        for host in self.errands.files() {
            // The next run takes it for one that cannot be had.
            let is_aside = self.lose_once_more(self.file_fingerprint(host)) >= SET_ASIDE;
            aside += u64::from(is_aside);
        }
        Ok(aside)
    }

    fn lose(&mut self, id: u64) -> u32 {
        let lost = self.flights.get(&id).map(|flight| flight.fingerprint);
        lost.map_or(0, |fingerprint| self.lose_once_more(fingerprint))
    }

    fn lose_once_more(&mut self, fingerprint: u64) -> u32 {
        let times = self.lost.times.get(&fingerprint).copied().unwrap_or(0) + 1;
        self.keep_times(fingerprint, times);
        times
    }

    fn keep_times(&mut self, fingerprint: u64, times: u32) {
        self.lost.times.insert(fingerprint, times);
        self.store
            .set(&key(fingerprint), times.to_string().as_bytes());
    }

    /// Ends a request that is under way with a record.
    pub(super) fn set_aside(&mut self, id: u64) -> Result<(), Failure> {
        let Some(flight) = self.flights.remove(&id) else {
            return Ok(());
        };
        self.landed(&flight);
        self.schedule.answered(flight.host);
        self.tries.remove(&id);
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let stored = self.store.read(flight.ticket, &mut buffer)?;
        let kind = ErrorKind::Io;
        let message = WHY.into();
        let result = FetchResult {
            url: stored.url.into(),
            depth: Some(flight.depth),
            referer: found_on(&stored),
            error: Some(FetchError { kind, message }),
            attempts: Some(SET_ASIDE),
            ..FetchResult::default()
        };
        let record = Record {
            no_page: self.no_page(&result, &flight),
            ..Record::of(&result, true)
        };
        self.read_buffer = buffer;
        match record.no_page {
            Some(_) => self.keep_times(flight.fingerprint, WAITS),
            None => self.found(flight.fingerprint),
        }
        self.finish(flight.ticket, record);
        Ok(())
    }

    /// When the fetcher's silence is over at the latest. One that answers others is not silent: a
    /// request may wait in it for its turn, or until this machine has what it needs.
    pub fn silence_due_ms(&self) -> Option<u64> {
        let patience_ms = self.lost.patience_ms.filter(|_| self.under_way() > 0)?;
        Some(self.lost.heard_ms.saturating_add(patience_ms))
    }

    /// Call it before a request is sent.
    pub(super) fn listen_for(&mut self, now_ms: u64) {
        if self.under_way() == 0 {
            self.lost.heard_ms = now_ms;
        }
    }

    /// The fetcher and we were both stopped for so long.
    pub fn slept(&mut self, for_ms: u64) {
        for flight in self.flights.values_mut() {
            flight.sent_ms += for_ms;
            flight.overtaken_ms = None;
        }
        self.lost.heard_ms += for_ms;
        self.errands.slept(for_ms);
    }

    /// Looks whether the fetcher is silent for too long, which is for a request what its death is. `Some`: it is to
    /// be started again.
    ///
    /// # Errors
    /// When a request cannot be read back.
    pub fn hear_silence(&mut self, now_ms: u64) -> Result<Option<FetcherSilence>, Failure> {
        let due_ms = self.silence_due_ms();
        let (Some(patience_ms), Some(due_ms)) = (self.lost.patience_ms, due_ms) else {
            return Ok(None);
        };
        let dropped = self.dropped(now_ms, patience_ms);
        if now_ms < due_ms && dropped.is_empty() {
            return Ok(None);
        }
        // One that has not answered anything is not silent because of a page.
        if self.lost.is_unproven() {
            return Ok(Some(FetcherSilence {
                requests: self.under_way() as u64,
                since_ms: patience_ms,
            }));
        }
        // What else is nearly as late would be found out by one restart each.
        let late = |since_ms: u64| now_ms.saturating_sub(since_ms) >= patience_ms * 3 / 4;
        let flights = self.flights.iter();
        let flights = flights.filter(|(_, flight)| late(flight.sent_ms));
        let ids: Vec<u64> = if dropped.is_empty() {
            flights.map(|(&id, _)| id).collect()
        } else {
            dropped
        };
        let mut silence = FetcherSilence {
            requests: 0,
            since_ms: patience_ms,
        };
        for id in ids {
            if self.lose(id) >= SET_ASIDE {
                self.set_aside(id)?;
            } else {
                silence.requests += 1;
            }
        }
        for id in self
            .errands
            .asked_before(now_ms.saturating_sub(patience_ms * 3 / 4))
        {
            self.fail_silent(id, now_ms)?;
        }
        // What is still under way has its own time.
        self.lost.heard_ms = now_ms;
        Ok((silence.requests > 0).then_some(silence))
    }

    /// The requests that the fetcher dropped. It takes those to a host in turn: when one that was
    /// sent later is answered, this one must be under way in it, and when one is that was sent long
    /// after that, it is not.
    fn dropped(&mut self, now_ms: u64, patience_ms: u64) -> Vec<u64> {
        let mut dropped = Vec::new();
        if now_ms < self.lost.look_ms {
            return dropped;
        }
        self.lost.look_ms = now_ms + patience_ms / 4;
        for (&id, flight) in &mut self.flights {
            let newest_ms = self.schedule.host(flight.host).pace.newest_ms;
            match flight.overtaken_ms {
                None if newest_ms > flight.sent_ms => flight.overtaken_ms = Some(now_ms),
                Some(then_ms) if newest_ms >= then_ms + patience_ms * DROPPED => dropped.push(id),
                _ => {}
            }
        }
        dropped
    }

    /// Takes silence about a robots.txt for a failed attempt.
    fn fail_silent(&mut self, id: u64, now_ms: u64) -> Result<(), Failure> {
        let mut result = FetchResult {
            id: Some(id),
            error: Some(FetchError {
                kind: ErrorKind::Io,
                message: "the fetcher was silent about it".into(),
            }),
            ..FetchResult::default()
        };
        match self.take(id, &mut result, now_ms) {
            Err(Trouble::Crawl(failure)) => Err(failure),
            // The request was under way.
            Err(Trouble::Line(_)) | Ok(()) => Ok(()),
        }
    }
}
