//! Redirects that lead back. Sites send whoever has no cookie to where one is set, and from there back
//! to the page. So the record of a page that redirects waits until it is known where that leads, and a
//! page that a redirect with a cookie leads back to is asked for again.

use std::collections::{HashMap, VecDeque};

use crawl_ckpt::record::{Change, FetchResult};
use crawl_ckpt::tool::Failure;

use super::{Crawl, Flight, Record};
use crate::store::Store;
use crate::url::canonicalize_link;

/// So many wait; with more, the first one has its record.
const MOST: usize = 64;

/// A longer record does not wait.
const MOST_BYTES: usize = 64 << 10;

/// The records that wait, and who was asked again.
#[derive(Debug, Default)]
pub(super) struct Turns {
    waiting: VecDeque<Waiting>,
    /// How often a request was asked again.
    times: HashMap<u64, u32>,
}

/// A URL that is over.
#[derive(Debug)]
pub(super) struct Ended {
    pub flight: Flight,
    pub redirects: bool,
    pub failed: bool,
    pub change: Option<Change>,
    /// None for a page that did not change.
    pub record: Option<Record>,
}

/// A page that redirects, and the URL that it has led to up to now.
#[derive(Debug)]
struct Waiting {
    ended: Ended,
    next: u64,
    set_cookie: bool,
}

/// Where a page redirects to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Onward {
    to: u128,
    is_new: bool,
}

impl Turns {
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Counts a turn; false when there were too many.
    pub fn once_more(&mut self, id: u64, most: u32) -> bool {
        let times = self.times.entry(id).or_default();
        *times += 1;
        *times <= most
    }

    /// True for a request that was asked again.
    pub fn is_again(&self, id: u64) -> bool {
        self.times.contains_key(&id)
    }
}

impl<S: Store> Crawl<S> {
    /// Where a page redirects to, before that is taken on.
    pub(super) fn onward(&self, result: &FetchResult<'_>) -> Option<Onward> {
        let location = result.location.as_ref().filter(|_| self.plan.cookies)?;
        let mut target = String::new();
        canonicalize_link(location, self.scope.form, &mut target).ok()?;
        let to = self.fingerprinter.get(&target);
        let is_new = !self.is_seen(to) && !self.lies_elsewhere(&target);
        Some(Onward { to, is_new })
    }

    /// Ends a URL, and those whose redirects led to it and not on.
    pub(super) fn settle(
        &mut self,
        ended: Ended,
        onward: Option<Onward>,
        set_cookie: bool,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let (own, most) = (ended.flight.fingerprint, self.plan.retry.max_redirects);
        // What does not belong to the crawl was not taken on. A start URL may be asked once more by a later run.
        let is_first = ended.is_held() && !self.starts.gave_page;
        let may_return =
            onward.filter(|onward| self.is_seen(onward.to) && (onward.is_new || is_first));
        let to = onward.map(|onward| onward.to as u64);
        let comes_back = |page: &Waiting| Some(page.own()) == to && (set_cookie || page.set_cookie);
        let (met, others): (Vec<_>, _) = std::mem::take(&mut self.turns.waiting)
            .into_iter()
            .partition(|page| page.next == own);
        self.turns.waiting = others.into();
        let leads_on = may_return.is_some() || met.iter().any(&comes_back);
        for mut page in met {
            let Flight { host, ticket, .. } = page.ended.flight;
            if comes_back(&page) && self.turns.once_more(ticket.id(), most) {
                self.schedule.defer(host, ticket, now_ms);
            } else if let Some(next) = to.filter(|to| leads_on && *to != page.own()) {
                page.next = next;
                page.set_cookie |= set_cookie;
                self.turns.waiting.push_back(page);
            } else {
                self.conclude_waiting(page, 1, now_ms)?;
            }
        }
        let is_long = |record: &Record| record.line.len() > MOST_BYTES;
        if may_return.is_none() || ended.record.as_ref().is_some_and(is_long) {
            return self.conclude(ended);
        }
        self.turns.waiting.push_back(Waiting {
            ended,
            next: to.unwrap_or_default(),
            set_cookie,
        });
        if self.turns.waiting.len() > MOST
            && let Some(first) = self.turns.waiting.pop_front()
        {
            self.conclude_waiting(first, 0, now_ms)?;
        }
        Ok(())
    }

    /// Ends all whose redirects did not come to an end.
    pub(super) fn settle_all(&mut self, now_ms: u64) -> Result<(), Failure> {
        while let Some(page) = self.turns.waiting.pop_front() {
            self.conclude_waiting(page, 0, now_ms)?;
        }
        Ok(())
    }

    /// Pages under way that have records in this run.
    pub(super) fn to_be_told(&self) -> u64 {
        let waiting = self.turns.waiting.iter();
        let told = waiting.filter(|page| self.starts.gave_page || !page.ended.is_held());
        (self.flights.len() + told.count()) as u64
    }

    /// Ends a page, with `to_come` of another one. A start URL that this run has no room for is pending again.
    fn conclude_waiting(
        &mut self,
        page: Waiting,
        to_come: u64,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let taken = self.told() + self.to_be_told() + to_come;
        if page.ended.is_held()
            && (self.starts.gave_page || self.runs_once)
            && self.most_told.is_some_and(|most| taken >= most)
        {
            let Flight { host, ticket, .. } = page.ended.flight;
            self.schedule.defer(host, ticket, now_ms);
            return Ok(());
        }
        self.conclude(page.ended)
    }

    fn conclude(&mut self, ended: Ended) -> Result<(), Failure> {
        let ticket = ended.flight.ticket;
        self.turns.times.remove(&ticket.id());
        if ended.redirects {
            self.follow_former_of(&ended.flight)?;
        }
        if let Some(record) = ended.record {
            self.finish(ticket, record);
        } else {
            self.store.finish(ticket, ended.failed, None);
            self.count_change(ended.change);
            self.progress.counts.done += 1;
        }
        Ok(())
    }
}

impl Waiting {
    /// The fingerprint of its URL.
    fn own(&self) -> u64 {
        self.ended.flight.fingerprint
    }
}

impl Ended {
    /// True for a start URL that gave no page: its record waits until there is one.
    fn is_held(&self) -> bool {
        let record = self.record.as_ref();
        record.is_some_and(|record| record.no_page.is_some())
    }
}
