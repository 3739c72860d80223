//! What of a crawl outlives a run beside the queue: how it is taken up again,
//! and what an image of it holds.

use std::collections::BTreeMap;

use super::{Crawl, STATE};
use crate::answer::LONGEST_PAUSE_MS;
use crate::memory::{Memory, View};
use crate::queue::{Gate, HostId, Ticket};
use crate::restore::due_by;
use crate::scope::HOSTS;
use crate::url::origin;

impl Crawl {
    /// Goes on from what a journal told. Returns how many cookies expired meanwhile.
    pub(crate) fn restore(&mut self, memory: Memory, now_ms: u64) -> u64 {
        self.seen = memory.seen;
        self.queue = memory.queue;
        self.tries = memory
            .tries
            .into_iter()
            .map(|(id, (attempts, _))| (id, attempts))
            .collect();
        self.progress = memory.progress;
        self.scope.restore_hosts(&memory.values);
        self.state.json = memory
            .values
            .get(STATE)
            .and_then(|state| String::from_utf8(state.clone()).ok());
        let values = memory.values.iter();
        let expired = values
            .map(|(key, value)| self.cookies.restore(key, value))
            .sum();
        let hosts: Vec<(HostId, String)> = self
            .queue
            .hosts()
            .map(|(id, host)| (id, host.origin.to_string()))
            .collect();
        for (id, host_origin) in hosts {
            let saved = memory.values.get(&robots_key(&host_origin));
            let known = saved.is_some_and(|saved| self.robots.restore(id, saved, now_ms));
            let shut = self.plan.robots && !known;
            if shut {
                self.robots.want(id);
            }
            if let Some(saved) = memory.values.get(&route_key(&host_origin)) {
                self.routes.restore(id, saved);
            }
            let parked = self.routes.parked(id).is_some();
            let wait = memory.values.get(&wait_key(&host_origin));
            let wait_ms = wait.and_then(|wait| std::str::from_utf8(wait).ok()?.parse().ok());
            let delay_ms = self.plan.pace.delay_ms.max(self.robots.delay_ms(id));
            let longest_ms = delay_ms.max(LONGEST_PAUSE_MS);
            let wait_ms = due_by(wait_ms.unwrap_or(0), memory.at_ms, now_ms, longest_ms);
            self.queue.change(id, |host| {
                host.delay_ms = delay_ms;
                host.due_ms = wait_ms;
                host.gate = match (parked, shut) {
                    (true, _) => Gate::Parked,
                    (false, true) => Gate::Shut,
                    (false, false) => Gate::Open,
                };
            });
        }
        if self.progress.counts.done > 0
            && let Some(url) = self.plan.start_urls.first()
        {
            self.outage.expect(origin(url));
        }
        expired
    }

    /// All that an image keeps. Call it after the last commit.
    pub(crate) fn view(&self, at_ms: u64) -> View<'_> {
        let flights = self.flights.iter();
        let flights = flights.map(|(&id, flight)| (flight.host, Ticket { id, at: flight.at }));
        let later = self
            .queue
            .deferred()
            .map(|(_, host, ticket)| (host, ticket));
        let mut tries: BTreeMap<u64, (u32, u64)> = self
            .tries
            .iter()
            .map(|(&id, &attempts)| (id, (attempts, 0)))
            .collect();
        for (due_ms, _, ticket) in self.queue.deferred() {
            tries.entry(ticket.id).or_default().1 = due_ms;
        }
        View {
            seen: &self.seen,
            queue: &self.queue,
            others: flights.chain(later).collect(),
            tries,
            values: self.values(),
            progress: self.progress(),
            at_ms,
            files: self.log.files(),
        }
    }

    /// The values that are kept beside the queue, by key.
    fn values(&self) -> BTreeMap<String, String> {
        let robots = self.queue.hosts().filter_map(|(id, host)| {
            let saved = self.robots.saved(id)?;
            Some((robots_key(&host.origin), saved))
        });
        let hosts = [(HOSTS.to_owned(), self.scope.hosts_json())];
        let state = self.state.json.iter();
        let state = state.map(|json| (STATE.to_owned(), json.clone()));
        let routes = self.queue.hosts().filter_map(|(id, host)| {
            let saved = self.routes.saved(id)?;
            Some((route_key(&host.origin), saved))
        });
        let waits = self
            .queue
            .hosts()
            .filter(|(_, host)| host.due_ms > self.queue.now_ms());
        let waits = waits.map(|(_, host)| (wait_key(&host.origin), host.due_ms.to_string()));
        robots
            .chain(waits)
            .chain(routes)
            .chain(self.cookies.all())
            .chain(hosts)
            .chain(state)
            .collect()
    }
}

/// Under this key the checkpoint keeps the rules of a host's robots.txt.
pub(super) fn robots_key(origin: &str) -> String {
    format!("robots:{origin}")
}

/// Under this key the checkpoint keeps until when a host asked not to be asked.
pub(super) fn wait_key(origin: &str) -> String {
    format!("wait:{origin}")
}

/// Under this key the checkpoint keeps a host's route.
pub(crate) fn route_key(origin: &str) -> String {
    format!("route:{origin}")
}
