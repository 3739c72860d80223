//! What an answer does: a record, another try, links, cookies.

use crawl_ckpt::address::masked;
use crawl_ckpt::journal::Stored;
use crawl_ckpt::record::{Change, ErrorKind, FetchError, FetchResult};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;

use super::answer::{self, Fate};
use super::errands::{Errand, Errands};
use super::result::{self, ReadResult};

use super::routes::block_of;
use super::tally;
use super::turns::Ended;
use super::{Crawl, Flight, HeldRecord, Record, Refused};
use crate::keys::OfHost;
use crate::schedule::HostId;
use crate::store::{Store, Ticket};

/// Why a result line was not taken.
#[derive(Debug)]
pub enum Trouble {
    /// The line is no result, and why; nothing changed.
    Line(String),
    /// The crawl cannot go on.
    Crawl(Failure),
}

impl From<String> for Trouble {
    fn from(why: String) -> Trouble {
        Trouble::Line(why)
    }
}

impl<S: Store> Crawl<S> {
    /// Takes one result line.
    ///
    /// # Errors
    /// Says what is wrong with a line that is no result, or why the crawl cannot go on.
    pub fn answer(&mut self, line: &[u8], now_ms: u64) -> Result<(), Trouble> {
        self.answer_read(result::read(line), now_ms)
    }

    /// Takes a result line that was read.
    ///
    /// # Errors
    /// As [`Crawl::answer`].
    pub fn answer_read(&mut self, read: ReadResult<'_>, now_ms: u64) -> Result<(), Trouble> {
        let ReadResult {
            mut result,
            mut flaw,
        } = read;
        let Some(id) = result.id else {
            let why = flaw.unwrap_or_else(|| "it has no id".into());
            return Err(Trouble::Line(why));
        };
        if self.store.keeps_pages() {
            flaw = flaw.or(self.keep_exchange(id, &mut result, now_ms));
        } else {
            (result.spool, result.capture) = (None, None);
        }
        self.take(id, &mut result, now_ms)?;
        self.lost.is_heard = true;
        self.lost.heard_ms = now_ms;
        flaw.map_or(Ok(()), |flaw| Err(Trouble::Line(flaw)))
    }

    /// Has the exchange of a result kept, and puts into the result where it will lie. A result whose
    /// exchange cannot be kept is none: says why.
    fn keep_exchange(
        &mut self,
        id: u64,
        result: &mut FetchResult<'_>,
        now_ms: u64,
    ) -> Option<String> {
        let told = result.spool.take();
        if !self.flights.contains_key(&id) && !self.errands.is_under_way(id) {
            if let Some(told) = told {
                self.store.pass_over(&told);
            }
            return None;
        }
        let kept = match told {
            Some(told) => self.store.keep(&told, now_ms).map(Some),
            // Without a status there was no exchange.
            None if result.status.is_none() => Ok(None),
            None => Err("it has a status and no WARC records".to_owned()),
        };
        match kept {
            Ok(kept) => {
                result.warc = kept;
                None
            }
            Err(why) => {
                *result = result::none(Some(id), &why);
                Some(why)
            }
        }
    }

    pub(super) fn take(
        &mut self,
        id: u64,
        result: &mut FetchResult<'_>,
        now_ms: u64,
    ) -> Result<(), Trouble> {
        let none = || format!("no request with id {id} is under way");
        if Errands::is_ours(id) {
            let errand = self.errands.came(id).ok_or_else(none)?;
            tally::proxy(&mut self.progress, result);
            let host = match errand {
                Errand::File(host) => Some(host),
                Errand::Probe => None,
            };
            self.pay(id, host, result);
            match errand {
                Errand::File(host) => {
                    self.found_file(host);
                    self.answer_robots(host, result, now_ms);
                }
                Errand::Probe => self.answer_probe(result, now_ms),
            }
            return Ok(());
        }
        let flight = self.flights.remove(&id).ok_or_else(none)?;
        let ticket = flight.ticket;
        self.name(ticket, &flight, result)?;
        self.found(flight.fingerprint);
        self.landed(&flight);
        self.learn_pace(&flight, result, now_ms);
        self.schedule.answered(flight.host);
        self.progress.bytes += result.bytes.unwrap_or(0);
        tally::proxy(&mut self.progress, result);
        self.pay(id, Some(flight.host), result);
        tally::rendered(&mut self.progress, result);
        if self.plan.cookies {
            let set = result.set_cookie.iter().map(|header| &**header);
            self.cookies.take(&result.url, set);
        }
        self.hear(flight.host, result, now_ms);
        if let Some(state) = result.state {
            // In the commit of this result, and it came later than any before.
            self.state.json = Some(state.get().to_owned());
            (self.state.is_new, self.state.is_told) = (true, true);
        }
        if self.turns_back(result, id) {
            self.schedule.defer(flight.host, ticket, now_ms);
            return Ok(());
        }
        self.decide(ticket, &flight, result, now_ms)
            .map_err(Trouble::Crawl)
    }

    /// Counts what a request cost.
    fn pay(&mut self, id: u64, host: Option<HostId>, result: &FetchResult<'_>) {
        let saved = self.costs.came(id, host, result, &mut self.progress);
        if let Some((saved, host)) = saved.zip(host) {
            let origin = self.schedule.origin(host);
            self.store.set(&OfHost::Cost.key(&origin), saved.as_bytes());
        }
    }

    /// A request is not under way any more.
    pub(super) fn landed(&mut self, flight: &Flight) {
        self.busy -= u32::from(flight.busy);
        self.unheard -= u32::from(!flight.heard);
    }

    /// A result is of its request's URL, whatever URL the fetcher writes into it.
    fn name(
        &mut self,
        ticket: Ticket,
        flight: &Flight,
        result: &mut FetchResult<'_>,
    ) -> Result<(), Trouble> {
        result.depth = Some(flight.depth);
        if self.fingerprinter.get(&result.url) as u64 == flight.fingerprint {
            return Ok(());
        }
        let stored = self.store.read(ticket, &mut self.read_buffer);
        let stored = stored.map_err(Trouble::Crawl)?;
        result.url = stored.url.to_owned().into();
        Ok(())
    }

    fn decide(
        &mut self,
        ticket: Ticket,
        flight: &Flight,
        result: &mut FetchResult<'_>,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let id = ticket.id();
        let attempt = self.tries.remove(&id).unwrap_or(0) + 1;
        match answer::fate(result, attempt, &self.plan.retry, id) {
            Fate::Finished { failed } => match block_of(result) {
                Some(why) => {
                    let record = self.record(ticket, result, attempt, failed, flight)?;
                    self.take_block(flight, Refused { ticket, record }, why, now_ms);
                }
                None => {
                    if was_parsed(result, flight) {
                        self.finish_unparsed();
                    }
                    let onward = self.onward(result);
                    let set_cookie = !result.set_cookie.is_empty();
                    result.delta = self.follow_and_compare(result, flight, failed)?;
                    self.note_page(result, flight);
                    let error = result.error.as_ref().map(|error| error.kind);
                    if error == Some(ErrorKind::Parse) {
                        let record = self.record(ticket, result, attempt, failed, flight)?;
                        self.unparsed
                            .push((flight.host, HeldRecord { ticket, record }));
                    } else {
                        let change = result.delta;
                        let record = if change == Some(Change::Unchanged) {
                            None
                        } else {
                            tally::item(&mut self.progress, result);
                            Some(self.record(ticket, result, attempt, failed, flight)?)
                        };
                        let ended = Ended {
                            flight: *flight,
                            redirects: result.location.is_some() && result.error.is_none(),
                            failed,
                            change,
                            record,
                        };
                        self.settle(ended, onward, set_cookie, now_ms)?;
                    }
                    self.take_success(flight, result);
                }
            },
            Fate::Again {
                after_ms,
                host_waits,
            } => {
                let due_ms = now_ms + after_ms;
                if host_waits {
                    self.hold_host(flight.host, due_ms, now_ms);
                }
                self.progress.retries += 1;
                self.trials.again(result, attempt, after_ms, host_waits);
                self.tries.insert(id, attempt);
                self.store.defer(ticket, attempt, due_ms);
                self.schedule.defer(flight.host, ticket, due_ms);
            }
            Fate::Unanswered => {
                let record = self.record(ticket, result, attempt, true, flight)?;
                let heard = self.schedule.host(flight.host).is_heard();
                let held = HeldRecord { ticket, record };
                self.outage.hold(flight.host, heard, held);
            }
        }
        Ok(())
    }

    /// Asks nothing of a host before this time, over a resume too.
    fn hold_host(&mut self, host: HostId, due_ms: u64, now_ms: u64) {
        // Seldom enough to cost nothing.
        if self.asked_to_wait.len().is_power_of_two() {
            self.asked_to_wait.retain(|_, until_ms| *until_ms > now_ms);
        }
        self.asked_to_wait.insert(host, due_ms);
        self.schedule
            .change(host, |host| host.due_ms = host.due_ms.max(due_ms));
        let key = OfHost::Wait.key(&self.schedule.origin(host));
        let due_ms = self.schedule.host(host).due_ms.to_string();
        self.store.set(&key, due_ms.as_bytes());
    }

    /// True for a redirect to the page itself that set a cookie: it is asked for again with
    /// the cookie, as often as redirects are followed, and then has an error.
    fn turns_back(&mut self, result: &mut FetchResult<'_>, id: u64) -> bool {
        let itself = result
            .location
            .as_ref()
            .is_some_and(|location| **location == *result.url);
        if !itself || result.set_cookie.is_empty() || !self.plan.cookies {
            return false;
        }
        let most = self.plan.retry.max_redirects;
        let again = self.turns.once_more(id, most);
        if !again {
            let message = format!("more than {most} redirects to itself").into();
            result.error = Some(FetchError {
                kind: ErrorKind::Redirect,
                message,
            });
            result.location = None;
        }
        again
    }

    /// The output record of a result.
    fn record(
        &mut self,
        ticket: Ticket,
        result: &mut FetchResult<'_>,
        attempts: u32,
        failed: bool,
        flight: &Flight,
    ) -> Result<Record, Failure> {
        let no_page = self.no_page(result, flight);
        result.referer = None;
        if result.error.is_some() || result.status.is_some_and(|status| status >= 300) {
            let stored = self.store.read(ticket, &mut self.read_buffer)?;
            result.referer = found_on(&stored);
        }
        result.id = None;
        result.attempts = (attempts > 1).then_some(attempts);
        result.set_cookie.clear();
        result.sitemap.clear();
        (result.robots, result.state, result.capture) = (None, None, None);
        result.wire_bytes = None;
        // Links that are none but for some rules.
        if let Some(regions) = result.link_regions.take() {
            result.links.truncate(regions.usual as usize);
        }
        if !self.plan.keep_links {
            result.links.clear();
        }
        if !self.plan.keep_body {
            (result.body, result.body_base64) = (None, None);
        }
        Ok(Record {
            no_page,
            ..Record::of(result, failed)
        })
    }

    /// Finishes a URL, unless its record has to wait.
    pub(super) fn finish(&mut self, ticket: Ticket, record: Record) {
        // A test crawl ends with this run, so nothing of it waits for another.
        let keep = !self.runs_once;
        if let Some(record) = self.starts.take(ticket, record, keep) {
            self.write(ticket, &record);
        }
    }

    /// Writes the record of a URL and remembers that it is finished, in one commit.
    pub(super) fn write(&mut self, ticket: Ticket, record: &Record) {
        self.store.finish(ticket, record.failed, Some(&record.line));
        self.trials.finished(&record.line, record.failed);
        if let Some(class) = record.class {
            class.count(&mut self.progress);
        }
        self.count_change(record.change);
        self.progress.records += 1;
        self.progress.records_run += 1;
        if record.failed {
            self.progress.counts.failed += 1;
        } else {
            self.progress.counts.done += 1;
        }
    }

    /// The parser works: what it failed on was the pages' fault.
    pub(super) fn finish_unparsed(&mut self) {
        for (_, held) in std::mem::take(&mut self.unparsed) {
            self.finish(held.ticket, held.record);
        }
    }

    /// Makes what this run could not decide pending again, at no cost.
    pub fn release_held(&mut self, now_ms: u64) {
        if let Err(failure) = self.settle_all(now_ms) {
            self.notes.push(failure.message);
        }
        self.release_unanswered(now_ms);
        self.retry_refused(now_ms);
        for (host, held) in std::mem::take(&mut self.unparsed) {
            self.schedule.defer(host, held.ticket, now_ms);
        }
        self.release_starts(now_ms);
    }
}

/// The page that a URL was found on, for its record: what is wrong with a URL is mended there.
pub(super) fn found_on(stored: &Stored<'_>) -> Option<Text<'static>> {
    let page = stored.referer?.to_text(stored.url);
    Some(masked(&page).into_owned().into())
}

/// True for a page that went through the user's parser, if the crawl has one.
fn was_parsed(result: &FetchResult<'_>, flight: &Flight) -> bool {
    flight.kind.is_page()
        && result.status.is_some_and(|status| status / 100 == 2)
        && result.error.is_none()
}
