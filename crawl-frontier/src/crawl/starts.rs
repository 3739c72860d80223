//! Start URLs that gave no page. As long as nothing else did either, their records wait: a site that
//! is down, moved or forbidden today is no crawl that came to its end.

use std::collections::VecDeque;

use crawl_ckpt::address::masked;
use crawl_ckpt::record::{ErrorKind, FetchResult, Kind};

use super::routes::block_of;
use super::{Crawl, Flight, Record};
use crate::keys::{self, OfHost};
use crate::schedule::HostId;
use crate::store::{Store, Ticket};
use crate::url::canonicalize_link;

/// So many start URLs are told one by one.
const TOLD: usize = 3;

/// The start URLs of a crawl, and whether it was worth anything yet.
#[derive(Debug, Default)]
pub(super) struct Starts {
    /// A page came, in this run or in an earlier one.
    pub gave_page: bool,
    waiting: VecDeque<(Ticket, Record)>,
    /// What some of those that gave no page did.
    causes: Vec<String>,
    /// How many did something that is a cause.
    failed: u64,
    ended: u64,
}

/// A start URL that gave no page, and where it goes when it is to be asked again.
#[derive(Debug, Clone)]
pub(super) struct NoPage {
    pub host: HostId,
    /// robots.txt said so.
    by_robots: bool,
    /// Why it gave no page; nothing when it redirected to another URL of the crawl, which is told instead.
    pub cause: Option<String>,
}

impl Starts {
    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a record that has to wait; gives back one that has not.
    pub fn take(&mut self, ticket: Ticket, record: Record, keep: bool) -> Option<Record> {
        let Some(no_page) = record.no_page.as_ref().filter(|_| !self.gave_page) else {
            return Some(record);
        };
        self.ended += 1;
        if let Some(cause) = &no_page.cause {
            self.failed += 1;
            if self.causes.len() < TOLD {
                self.causes.push(cause.clone());
            }
        }
        if !keep {
            return Some(record);
        }
        self.waiting.push_back((ticket, record));
        None
    }

    /// Start URLs whose records wait, to be finished or to be pending again.
    pub fn release(&mut self) -> VecDeque<(Ticket, Record)> {
        (self.ended, self.failed, self.causes) = (0, 0, Vec::new());
        std::mem::take(&mut self.waiting)
    }

    /// A start URL gave no page, and nothing else did.
    pub fn have_failed(&self) -> bool {
        !self.gave_page && self.failed > 0
    }

    /// Why there was nothing useful, when all is over; `None` when there was.
    pub fn nothing_useful(&self) -> Option<String> {
        if self.gave_page || self.ended == 0 {
            return None;
        }
        if self.failed == 0 {
            return Some("the start URL's redirects lead in a circle".to_owned());
        }
        let causes = self.causes.join("; ");
        let more = self.failed - self.causes.len() as u64;
        let more = match more {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let who = match self.failed {
            1 => "the start URL gave no page".to_owned(),
            n => format!("none of {n} start URLs gave a page"),
        };
        Some(format!("{who}: {causes}{more}"))
    }
}

impl<S: Store> Crawl<S> {
    /// Whether the result of a start URL is that there is no page.
    pub(super) fn no_page(&self, result: &FetchResult<'_>, flight: &Flight) -> Option<NoPage> {
        if !flight.start || !self.awaits_page() || is_page(result, flight) {
            return None;
        }
        Some(NoPage {
            host: flight.host,
            by_robots: false,
            cause: self.cause(result),
        })
    }

    /// Why a start URL that robots.txt forbids gave no page.
    pub(super) fn forbidden(&self, host: HostId, result: &FetchResult<'_>) -> Option<NoPage> {
        let cause = self.awaits_page().then(|| self.cause(result))?;
        Some(NoPage {
            host,
            by_robots: true,
            cause,
        })
    }

    /// No page came yet. What `add` brought without a start URL is a list, which ends as it ends.
    fn awaits_page(&self) -> bool {
        !self.starts.gave_page && !self.plan.start_urls.is_empty()
    }

    fn cause(&self, result: &FetchResult<'_>) -> Option<String> {
        let why = match (&result.error, &result.location, result.status) {
            (Some(error), ..) => format!("{}: {}", error.kind, error.message),
            (None, Some(to), _) => {
                let mut target = String::new();
                let known = canonicalize_link(to, self.scope.form, &mut target).is_ok();
                if known && self.is_seen(self.fingerprinter.get(&target)) {
                    return None;
                }
                let refusal = self.check_host(&target).err();
                if known && refusal.is_none() && self.lies_elsewhere(&target) {
                    return None;
                }
                let why = refusal.map(|refusal| self.scope.why(refusal, &target, 0));
                let why = why.unwrap_or_else(|| "its host has had its share".to_owned());
                format!("it redirects to {}, which is left out: {why}", masked(to))
            }
            (None, None, Some(status)) => match (&result.blocked, block_of(result)) {
                (Some(blocked), _) => format!("blocked: {blocked}"),
                _ => format!("status {status}"),
            },
            (None, None, None) => "no status".to_owned(),
        };
        Some(format!("{}: {why}", masked(&result.url)))
    }

    /// Notes that a page came: start URLs that gave none have their records now.
    pub(super) fn note_page(&mut self, result: &FetchResult<'_>, flight: &Flight) {
        if self.starts.gave_page || !is_page(result, flight) {
            return;
        }
        self.starts.gave_page = true;
        self.set_for_all(keys::GAVE_PAGE, b"1");
        // The record of the page itself comes next.
        self.finish_starts(1);
    }

    /// A page came in another partition.
    pub(super) fn take_page_elsewhere(&mut self) {
        if !std::mem::replace(&mut self.starts.gave_page, true) {
            self.finish_starts(0);
        }
    }

    /// Gives start URLs without a page their records. False when this run may not have so many, with
    /// those `to_come`: the others are pending for the next one.
    pub(super) fn finish_starts(&mut self, to_come: u64) -> bool {
        let taken = self.told() + self.to_be_told() + to_come;
        let mut waiting = self.starts.release();
        let room = self.most_told.map(|most| most.saturating_sub(taken));
        let room = room.map_or(waiting.len(), |room| waiting.len().min(room as usize));
        for (ticket, record) in waiting.drain(..room) {
            self.write(ticket, &record);
        }
        self.starts.waiting = waiting;
        self.starts.waiting.is_empty()
    }

    /// Makes start URLs that gave no page pending again, at no cost.
    pub(super) fn release_starts(&mut self, now_ms: u64) {
        for (ticket, record) in self.starts.release() {
            let Some(no_page) = record.no_page else {
                continue;
            };
            self.store.defer(ticket, 0, now_ms);
            self.schedule.defer(no_page.host, ticket, now_ms);
            if no_page.by_robots {
                // The next run is to see whether it still does.
                self.robots.forget(no_page.host);
                let origin = self.schedule.origin(no_page.host);
                self.store.set(&OfHost::Robots.key(&origin), b"");
            }
        }
    }

    /// Why the crawl came to nothing, in words.
    pub fn nothing_useful(&self) -> Option<String> {
        self.starts.nothing_useful()
    }
}

/// True for the key which says that some page came.
pub(super) fn is_gave_page(key: &str) -> bool {
    key == keys::GAVE_PAGE
}

/// True for what a crawl is made for: a page that came, or that did not change; and a sitemap
/// that is a start URL.
fn is_page(result: &FetchResult<'_>, flight: &Flight) -> bool {
    // What the user's parser failed on came whole all the same.
    let error = result.error.as_ref().map(|error| error.kind);
    let usable = error.is_none_or(|kind| kind == ErrorKind::Parse) && result.blocked.is_none();
    let came = matches!(result.status, Some(200..=299 | 304));
    usable && came && (flight.kind == Kind::Page || flight.start)
}
