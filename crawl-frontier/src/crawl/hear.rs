//! What a result says of its host and of the network: how fast it answers, whether it answers at
//! all, and what its robots.txt says.

use crawl_ckpt::record::{ErrorKind, FetchResult};

use super::answer;
use super::routes::block_of;
use super::{Crawl, Flight, HeldRecord};
use crate::keys::OfHost;
use crate::schedule::{Gate, HostId};
use crate::store::Store;
use crate::url::{Form, canonicalize_link};

/// What a result says of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Answer,
    /// No answer at all.
    Nobody,
    /// No host was asked.
    Nothing,
}

fn heard(result: &FetchResult<'_>) -> Heard {
    match result.error.as_ref().map(|error| error.kind) {
        Some(kind) if kind.is_unanswered() => Heard::Nobody,
        Some(ErrorKind::Invalid | ErrorKind::Io | ErrorKind::Refused) => Heard::Nothing,
        _ => Heard::Answer,
    }
}

impl<S: Store> Crawl<S> {
    pub(super) fn learn_pace(&mut self, flight: &Flight, result: &FetchResult<'_>, now_ms: u64) {
        // A host that never answered is not overloaded, and must not take days to fail.
        if heard(result) == Heard::Nobody && !self.schedule.host(flight.host).is_heard() {
            return;
        }
        let manner = answer::manner(result);
        let delay_ms = match self.plan.pace {
            ref pace if pace.random_delay => {
                answer::random_delay_ms(pace.delay_ms, flight.ticket.id())
            }
            ref pace => pace.delay_ms,
        };
        let floor_ms = delay_ms.max(self.robots.delay_ms(flight.host));
        let limits = &self.plan.pace;
        self.schedule.change(flight.host, |host| {
            host.pace.newest_ms = host.pace.newest_ms.max(flight.sent_ms);
            let speed = host.pace.learn(manner, now_ms, limits, floor_ms);
            (host.delay_ms, host.window) = (speed.delay_ms, speed.window);
        });
    }

    /// Notes whether the network answers at all.
    pub(super) fn hear(&mut self, host: HostId, result: &FetchResult<'_>, now_ms: u64) {
        match heard(result) {
            Heard::Nobody => self.hear_nobody(host, result, now_ms),
            Heard::Nothing => {}
            Heard::Answer => {
                if self.schedule.page(host).is_none() {
                    self.remember(host, &result.url);
                }
                self.end_outage(now_ms);
                let failed = self.outage.answered(host, now_ms);
                self.fail(failed);
            }
        }
    }

    fn hear_nobody(&mut self, host: HostId, result: &FetchResult<'_>, now_ms: u64) {
        let is_heard = self.schedule.host(host).is_heard();
        self.outage.unanswered(host, is_heard, now_ms);
        self.note_unanswered(result);
    }

    fn note_unanswered(&mut self, result: &FetchResult<'_>) {
        if let Some(error) = &result.error {
            self.unanswered = Some(format!("{}: {}", error.kind, error.message));
        }
    }

    /// A page of a host was answered of which none is known. The first one a later run is to know too.
    fn remember(&mut self, host: HostId, url: &str) {
        let origin = self.schedule.origin(host);
        let path = url.strip_prefix(&*origin).unwrap_or("/");
        if !self.schedule.host(host).is_heard() {
            self.store
                .set(&OfHost::Answered.key(&origin), path.as_bytes());
        }
        self.outage.remember(host);
        self.schedule.heard(host, path);
    }

    /// If nobody was answered until now, for certain, then no host and no URL was to blame.
    pub(super) fn end_outage(&mut self, now_ms: u64) {
        if self.outage.is_proven() {
            self.schedule.forget_paces();
            self.release_unanswered(now_ms);
            self.robots.want_held();
        }
    }

    /// Ends what nobody answered though others are answered.
    pub(super) fn fail(&mut self, failed: Vec<HeldRecord>) {
        for held in failed {
            self.finish(held.ticket, held.record);
        }
        for host in self.robots.give_up() {
            self.schedule.change(host, |host| host.gate = Gate::Open);
        }
    }

    /// Makes what nobody answered pending again, at no cost.
    pub(super) fn release_unanswered(&mut self, now_ms: u64) {
        for (host, held) in self.outage.release() {
            self.store.defer(held.ticket, 0, now_ms);
            self.schedule.defer(host, held.ticket, now_ms);
        }
    }

    pub(super) fn answer_robots(&mut self, host: HostId, result: &FetchResult<'_>, now_ms: u64) {
        // An answer to this alone says nothing of the site.
        match heard(result) {
            Heard::Nobody => self.hear_nobody(host, result, now_ms),
            Heard::Nothing => self.note_unanswered(result),
            Heard::Answer => {}
        }
        if self.follow_robots(host, result) {
            return;
        }
        if result.robots.is_some() && result.bytes >= Some(crawl_ckpt::robots::MAX_BYTES as u64) {
            let origin = self.schedule.origin(host);
            self.notes.push(format!(
                "{origin}/robots.txt is too long: what is behind its first 500 KiB is not read"
            ));
        }
        self.take_file(host, result, self.plan.retry.times, now_ms);
    }

    /// What is known of a host's robots.txt from now on, unless it is asked for again.
    pub(super) fn take_file(
        &mut self,
        host: HostId,
        result: &FetchResult<'_>,
        retries: u32,
        now_ms: u64,
    ) {
        let lives = self.schedule.host(host).is_heard();
        let block = block_of(result).filter(|_| result.status != Some(403));
        let Some(delay_ms) = self.robots.answer(host, result, lives, retries, now_ms) else {
            return;
        };
        if let Some(why) = block
            && self.routes.climb(host, why)
        {
            return self.change_route(host);
        }
        self.schedule.change(host, |host| {
            host.delay_ms = host.delay_ms.max(delay_ms);
            if host.gate == Gate::Shut {
                host.gate = Gate::Open;
            }
        });
        let origin = self.schedule.origin(host);
        if let Some(saved) = self.robots.saved(host) {
            self.store
                .set(&OfHost::Robots.key(&origin), saved.as_bytes());
        }
        self.take_on_sitemaps(&origin);
    }

    /// True when a host's robots.txt is asked for elsewhere, since it redirects there.
    fn follow_robots(&mut self, host: HostId, result: &FetchResult<'_>) -> bool {
        let mut target = String::new();
        let location = result.location.as_deref().unwrap_or_default();
        // What is no place to go to is no file.
        let is_place = canonicalize_link(location, Form::Standard, &mut target).is_ok()
            && self.scope.check_any_host(&target).is_ok();
        is_place && self.robots.follow(host, &target)
    }

    pub(super) fn answer_probe(&mut self, result: &FetchResult<'_>, now_ms: u64) {
        if heard(result) != Heard::Answer {
            return self.outage.probe_failed(now_ms);
        }
        self.end_outage(now_ms);
        if let Some((host, failed)) = self.outage.probe_answered(now_ms) {
            self.robots.doubt(host);
            self.fail(failed);
        }
    }
}
