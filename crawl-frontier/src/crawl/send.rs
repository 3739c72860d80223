//! What goes out next: a probe, a robots.txt, or a page whose turn it is.

use crawl_ckpt::price;
use crawl_ckpt::record::{FetchResult, Request};
use crawl_ckpt::tool::Failure;

use super::compare::ask;
use super::receive::found_on;
use super::{Crawl, Done, Flight, Record, Step};
use crate::crawl::outage::Advice;
use crate::crawl::ruling::Ruling;
use crate::pace::AHEAD;
use crate::schedule::{Gate, HostId, Room};
use crate::store::request::{is_start, request_of};
use crate::store::{Store, Ticket};

/// So many requests that nobody answered, and none that somebody did: there is no network.
const NOBODY: usize = 1000;

/// So many requests may end unsent at a time.
const TURN: usize = 1000;

/// A request that is to be sent now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub host: HostId,
    pub ticket: Ticket,
}

impl<S: Store> Crawl<S> {
    /// Writes the next request line into `out`, or says why there is none.
    ///
    /// # Errors
    /// When a pending request cannot be read back from the journal.
    pub fn next_request(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Result<Step, Failure> {
        // Of a million that robots.txt forbids, so many end before somebody else has a turn.
        for _ in 0..TURN {
            if self.limit_reached() && self.under_way() == 0 {
                self.settle_all(now_ms)?;
            }
            if self.limit_reached() && (self.under_way() > 0 || self.is_anything_left()) {
                // Records of nothing useful are not what a test crawl is for.
                let is_empty = self.starts.have_failed() && self.runs_once;
                let done = if is_empty && !self.accept_empty {
                    Done::NothingUseful
                } else {
                    Done::Limit
                };
                return Ok(self.waiting_or(done));
            }
            match self.outage.advice(now_ms, self.plan.retry.outage_s * 1000) {
                Advice::Proceed => {}
                Advice::Wait { until_ms } => {
                    let until_ms = Some(until_ms);
                    return Ok(Step::Wait { until_ms });
                }
                Advice::GiveUp => return Ok(Step::Done(Done::NetworkGone)),
                Advice::Probe(host) => {
                    self.probe(host, now_ms, out);
                    // This host may be the only one that is gone.
                    if let Some(due) = self.next_due(now_ms, Room::ALL) {
                        self.send(due, false, now_ms, out)?;
                    }
                    return Ok(Step::Sent);
                }
            }
            if let Some(step) = self.next_alone(now_ms, out)? {
                return Ok(step);
            }
            if self.outage.is_unheard() && self.outage.held() >= NOBODY {
                return Ok(self.waiting_or(Done::NoAnswer));
            }
            let most = self.concurrency;
            let most_ahead = most.saturating_mul(AHEAD) as usize;
            let heard = self.flights.len() - self.unheard as usize;
            let room = Room {
                heard: self.busy < most && heard < most_ahead,
                new: self.unheard < most,
            };
            if !room.heard && !room.new {
                return Ok(Step::Wait { until_ms: None });
            }
            if let Some(host) = self.robots.next_wanted(now_ms) {
                if self.is_file_kept_back(host, now_ms) {
                    continue;
                }
                self.ask_for_file(host, now_ms, out);
                return Ok(Step::Sent);
            }
            let Some(due) = self.next_due(now_ms, room) else {
                return self.nothing_to_send(now_ms);
            };
            if self.send(due, false, now_ms, out)? {
                return Ok(Step::Sent);
            }
            if let Some(is_over) = self.costs.is_held() {
                return Ok(self.cost_step(is_over));
            }
        }
        let until_ms = Some(now_ms);
        Ok(Step::Wait { until_ms })
    }

    /// The next request whose turn it is.
    fn next_due(&mut self, now_ms: u64, room: Room) -> Option<Due> {
        while let Some((host, ticket)) = self.schedule.woken(now_ms) {
            self.put(host, ticket, i64::MAX);
        }
        let host = self.schedule.next(now_ms, room)?;
        let ticket = self.store.pop(host);
        ticket.map(|ticket| Due { host, ticket })
    }

    /// Asks for a host's robots.txt.
    pub(super) fn ask_for_file(&mut self, host: HostId, now_ms: u64, out: &mut Vec<u8>) {
        self.listen_for(now_ms);
        let origin = self.schedule.origin(host);
        let proxy = self.routes.proxy(self.routes.rung(host));
        let url = self.robots.url(host, &origin);
        let request = self.errands.ask_for_file(host, url, proxy, now_ms);
        self.put_out(request, out);
    }

    /// Asks once more for a page that the host answered for.
    fn probe(&mut self, host: HostId, now_ms: u64, out: &mut Vec<u8>) {
        let path = self.schedule.page(host).unwrap_or("/").to_owned();
        self.probe_for(&path, host, now_ms, out);
    }

    /// Asks a host for a path, only to see whether an answer comes.
    pub(super) fn probe_for(&mut self, path: &str, host: HostId, now_ms: u64, out: &mut Vec<u8>) {
        self.listen_for(now_ms);
        let url = format!("{}{path}", self.schedule.origin(host));
        let proxy = self.routes.proxy(self.routes.rung(host));
        let request = self.errands.probe(url, proxy, now_ms);
        self.put_out(request, out);
        self.outage.probe_sent();
    }

    fn limit_reached(&self) -> bool {
        self.most_told
            .is_some_and(|most| self.told() + self.to_be_told() >= most)
    }

    /// True while a URL could go on without a human's decision.
    fn is_anything_left(&self) -> bool {
        self.progress().counts.pending > 0
    }

    fn waiting_or(&self, done: Done) -> Step {
        match self.under_way() {
            0 => Step::Done(done),
            _ => Step::Wait { until_ms: None },
        }
    }

    fn nothing_to_send(&mut self, now_ms: u64) -> Result<Step, Failure> {
        let timers = [
            self.schedule.next_due_ms(),
            self.robots.next_due_ms(),
            self.lone_due_ms(),
        ];
        let until_ms = timers.into_iter().flatten().min();
        if self.under_way() > 0 || until_ms.is_some() {
            return Ok(Step::Wait { until_ms });
        }
        if self.retry_refused(now_ms) {
            return Ok(Step::Wait {
                until_ms: Some(now_ms),
            });
        }
        if self.outage.held() > 0 || self.robots.held() > 0 {
            if self.outage.is_unheard() {
                return Ok(Step::Done(Done::NoAnswer));
            }
            let suspect = self.robots.held_suspect();
            let dead = match suspect {
                None => self.outage.dead(now_ms),
                Some(_) => None,
            };
            match dead {
                Some(failed) => self.fail(failed),
                None => self.outage.idle(suspect, now_ms),
            }
            return Ok(Step::Wait {
                until_ms: Some(now_ms),
            });
        }
        if self.turns.waiting() > 0 {
            self.settle_all(now_ms)?;
            let until_ms = Some(now_ms);
            return Ok(Step::Wait { until_ms });
        }
        // So few that the parser is not what is broken.
        self.finish_unparsed();
        if self.schedule.pending() > 0 {
            return Ok(Step::Done(Done::Parked));
        }
        if self.starts.nothing_useful().is_some() && !self.accept_empty {
            return Ok(Step::Done(Done::NothingUseful));
        }
        Ok(Step::Done(if self.finish_starts(0) {
            Done::Complete
        } else {
            Done::Limit
        }))
    }

    /// The cap on costs keeps a request back.
    fn cost_step(&mut self, is_over: bool) -> Step {
        if !is_over {
            return Step::Wait { until_ms: None };
        }
        if !std::mem::replace(&mut self.is_costly, true) {
            self.notes.push(format!(
                "{} is spent, and one more request could cost more than what is left of --max-cost: \
                 a higher --max-cost goes on",
                price::shown(self.costs.spent())
            ));
        }
        self.waiting_or(Done::Limit)
    }

    /// Writes a request that is none for a page.
    fn put_out(&mut self, mut request: Request<'_>, out: &mut Vec<u8>) {
        let id = request.id.unwrap_or_default();
        self.costs.sent(id, request.proxy.as_deref());
        request.id = Some(self.lane | id);
        self.secrets.dress(&mut request);
        // Strings and numbers into memory: neither JSON nor the write can fail.
        let _ = serde_json::to_writer(&mut *out, &request);
        out.push(b'\n');
    }

    /// Sends a request, or finishes it when robots.txt disallows it.
    pub(super) fn send(
        &mut self,
        due: Due,
        alone: bool,
        now_ms: u64,
        out: &mut Vec<u8>,
    ) -> Result<bool, Failure> {
        if self.robots.renew(due.host, now_ms) {
            self.schedule
                .change(due.host, |host| host.gate = Gate::Shut);
            self.put(due.host, due.ticket, i64::MAX);
            return Ok(false);
        }
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let stored = self.store.read(due.ticket, &mut buffer)?;
        let ruling = self.robots.ruling(due.host, stored.url)?;
        if let Some(error) = ruling.error() {
            let result = FetchResult {
                url: stored.url.into(),
                depth: Some(stored.depth),
                referer: found_on(&stored),
                error: Some(error),
                ..FetchResult::default()
            };
            let mut record = Record::of(&result, matches!(ruling, Ruling::Unreachable(_)));
            if is_start(&stored)? {
                record.no_page = self.forbidden(due.host, &result);
            }
            self.read_buffer = buffer;
            self.schedule.skipped(due.host);
            self.finish(due.ticket, record);
            return Ok(false);
        }
        let fingerprint = self.fingerprinter.get(stored.url) as u64;
        if !alone && self.lost.goes_alone(fingerprint) {
            self.read_buffer = buffer;
            self.schedule.skipped(due.host);
            self.lost.alone.push_back(due);
            return Ok(false);
        }
        let mut request = request_of(&stored)?;
        request.id = Some(self.lane | due.ticket.id());
        if self.plan.no_referer {
            request.referer = None;
        }
        if self.plan.cookies {
            request.cookie = self.cookies.header(stored.url).map(Into::into);
        }
        let rung = self.routes.rung(due.host);
        if request.proxy.is_none() {
            request.proxy = self.routes.proxy(rung).map(|proxy| proxy.to_owned().into());
        }
        let follow = !stored.nofollow;
        if !self.costs.may_send(request.proxy.as_deref()) {
            drop(request);
            self.read_buffer = buffer;
            self.schedule.skipped(due.host);
            self.put(due.host, due.ticket, i64::MAX);
            return Ok(false);
        }
        let ask = ask(&self.store, &mut request, follow, &mut self.known_buffer)?;
        let host = self.schedule.host(due.host);
        let heard = host.is_heard();
        let busy = heard && host.window <= self.plan.pace.per_host;
        let flight = Flight {
            host: due.host,
            ticket: due.ticket,
            kind: request.kind,
            depth: stored.depth,
            redirects: stored.redirects,
            start: is_start(&stored)?,
            follow,
            fingerprint,
            sent_ms: now_ms,
            overtaken_ms: None,
            heard,
            busy,
            rung,
            ask,
        };
        if self.lost.is_set_aside(fingerprint) {
            self.read_buffer = buffer;
            self.took_off(flight);
            self.set_aside(due.ticket.id())?;
            return Ok(false);
        }
        let state = self.state.json.as_deref();
        let untold = !std::mem::replace(&mut self.state.is_told, true);
        request.state = state
            .filter(|_| untold)
            .and_then(|json| serde_json::from_str(json).ok());
        self.secrets.dress(&mut request);
        serde_json::to_writer(&mut *out, &request).map_err(Failure::new)?;
        self.costs.sent(due.ticket.id(), request.proxy.as_deref());
        self.listen_for(now_ms);
        out.push(b'\n');
        self.took_off(flight);
        self.read_buffer = buffer;
        Ok(true)
    }

    /// A request is under way from now on.
    fn took_off(&mut self, flight: Flight) {
        self.schedule.sent(flight.host, flight.sent_ms);
        self.busy += u32::from(flight.busy);
        self.unheard += u32::from(!flight.heard);
        self.flights.insert(flight.ticket.id(), flight);
    }
}
