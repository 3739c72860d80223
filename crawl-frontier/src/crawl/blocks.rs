//! Hosts that block: which way they are asked next, and what of them waits for a human.

use std::collections::BTreeMap;

use crawl_ckpt::control::{Begin, KnownHost};
use crawl_ckpt::record::FetchResult;

use super::routes::Block;
use super::{Crawl, Flight, Refused};
use crate::keys::OfHost;
use crate::schedule::{Gate, HostId};
use crate::store::Store;

impl<S: Store> Crawl<S> {
    /// Takes what earlier crawls learned of hosts, which the order to begin brings along.
    pub fn take_hosts(&mut self, begin: &Begin) {
        self.routes.know(begin.hosts.clone());
    }

    /// What was learned of hosts, by origin.
    pub fn learned_hosts(&self, now_ms: u64) -> BTreeMap<String, KnownHost> {
        let learned = self.routes.learned(now_ms / 1000);
        learned
            .map(|(id, known)| {
                let used = self.costs.of(id);
                let origin = self.schedule.origin(id);
                (origin, KnownHost { used, ..known })
            })
            .collect()
    }

    /// A host is met for the first time.
    pub(super) fn meet(&mut self, host: HostId, origin: &str) {
        if !self.routes.meet(host, origin) {
            return;
        }
        self.keep_route(host);
        // Of many one is enough to say what happens.
        if !std::mem::replace(&mut self.told_of_known, true)
            && let Some(way) = self.routes.told(host)
        {
            self.notes.push(format!("{origin} is fetched {way}"));
        }
    }

    pub(super) fn take_block(
        &mut self,
        flight: &Flight,
        refused: Refused,
        why: String,
        now_ms: u64,
    ) {
        let host = flight.host;
        let rung = self.routes.rung(host);
        match self.routes.blocked(host, flight.rung, why, refused) {
            Block::Final(refused) => self.finish(refused.ticket, refused.record),
            Block::Climb(refused) => {
                self.store.defer(refused.ticket, 0, now_ms);
                self.schedule.defer(host, refused.ticket, now_ms);
                if self.routes.rung(host) != rung {
                    self.change_route(host);
                }
            }
            Block::Wait if self.is_idle(host) => {
                for refused in self.routes.take_refused(host) {
                    self.schedule.defer(host, refused.ticket, now_ms);
                }
            }
            Block::Wait => {}
            Block::Park(list) => {
                for refused in list {
                    self.put(host, refused.ticket, i64::MAX);
                }
                self.schedule.change(host, |host| host.gate = Gate::Parked);
                self.keep_route(host);
            }
        }
    }

    pub(super) fn take_success(&mut self, flight: &Flight, result: &FetchResult<'_>) {
        let host = flight.host;
        // An answer through another proxy says nothing of the one in use.
        if result.error.is_some() || flight.rung != self.routes.rung(host) {
            return;
        }
        let (refused, unparked) = self.routes.succeeded(host);
        for refused in refused {
            self.finish(refused.ticket, refused.record);
        }
        if unparked {
            self.schedule.change(host, |host| host.gate = Gate::Open);
            self.keep_route(host);
        }
    }

    fn is_idle(&self, host: HostId) -> bool {
        let host = self.schedule.host(host);
        host.pending == 0 && host.in_flight == 0
    }

    /// A host is asked another way from now on, its robots.txt first: what the other way got
    /// may have been a block.
    pub(super) fn change_route(&mut self, host: HostId) {
        self.keep_route(host);
        if !self.plan.robots {
            return;
        }
        self.robots.want_again(host);
        self.schedule.change(host, |host| {
            if host.gate == Gate::Open {
                host.gate = Gate::Shut;
            }
        });
        let origin = self.schedule.origin(host);
        self.store.set(&OfHost::Robots.key(&origin), b"");
    }

    fn keep_route(&mut self, host: HostId) {
        let origin = self.schedule.origin(host);
        if let Some(saved) = self.routes.saved(host) {
            self.store
                .set(&OfHost::Route.key(&origin), saved.as_bytes());
        }
    }

    /// Makes what waits for the outcome of others pending again. True if there was any.
    pub(super) fn retry_refused(&mut self, now_ms: u64) -> bool {
        let refused = self.routes.release();
        let any = !refused.is_empty();
        for (host, refused) in refused {
            self.schedule.defer(host, refused.ticket, now_ms);
        }
        any
    }
}

#[cfg(test)]
mod tests;
