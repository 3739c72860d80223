//! What of a crawl outlives a run beside the queue: how it is taken up again,
//! and what an image of it holds.

use std::collections::BTreeMap;

use crawl_ckpt::tool::Failure;

use super::Crawl;
use crate::clock::{LONGEST_PAUSE_MS, due_by};
use crate::keys;
use crate::schedule::{Gate, HostId};
use crate::store::{Remembered, Rest, Store, Ticket, Tries};
use crate::url::origin;

impl<S: Store> Crawl<S> {
    /// Goes on from what the store remembers. Returns how many cookies expired meanwhile.
    pub(crate) fn restore(&mut self, memory: Remembered, now_ms: u64) -> u64 {
        self.schedule = memory.schedule;
        self.tries = memory
            .tries
            .into_iter()
            .map(|(id, (attempts, _))| (id, attempts))
            .collect();
        self.progress = memory.progress;
        if self.store.is_incremental() {
            self.progress.delta.get_or_insert_default();
        }
        self.scope.restore_hosts(&memory.values);
        self.secrets.restore(memory.values.keys());
        self.starts.gave_page = memory.values.contains_key(keys::GAVE_PAGE);
        self.state.json = memory
            .values
            .get(keys::PARSER_STATE)
            .and_then(|state| String::from_utf8(state.clone()).ok());
        let values = memory.values.iter();
        let expired = values
            .map(|(key, value)| self.cookies.restore(key, value))
            .sum();
        for (key, value) in &memory.values {
            self.lost.restore(key, value);
        }
        let hosts: Vec<(HostId, String)> = self
            .schedule
            .hosts()
            .map(|(id, host)| (id, host.origin.to_string()))
            .collect();
        for (id, host_origin) in hosts {
            let saved = memory.values.get(&keys::robots(&host_origin));
            let known = saved.is_some_and(|saved| self.robots.restore(id, saved, now_ms));
            let shut = self.plan.robots && !known;
            if shut {
                self.robots.want(id);
            }
            if let Some(saved) = memory.values.get(&keys::route(&host_origin)) {
                self.routes.restore(id, saved);
            }
            let page = memory.values.get(&keys::answered(&host_origin));
            if let Some(page) = page.and_then(|page| std::str::from_utf8(page).ok()) {
                self.schedule.heard(id);
                self.outage.remember(id, page);
            }
            let parked = self.routes.parked(id).is_some();
            let wait = memory.values.get(&keys::wait(&host_origin));
            let wait_ms = wait.and_then(|wait| std::str::from_utf8(wait).ok()?.parse().ok());
            let delay_ms = self.plan.pace.delay_ms.max(self.robots.delay_ms(id));
            let longest_ms = delay_ms.max(LONGEST_PAUSE_MS);
            let wait_ms = due_by(wait_ms.unwrap_or(0), memory.at_ms, now_ms, longest_ms);
            self.schedule.change(id, |host| {
                host.delay_ms = delay_ms;
                host.due_ms = wait_ms;
                host.gate = match (parked, shut) {
                    (true, _) => Gate::Parked,
                    (false, true) => Gate::Shut,
                    (false, false) => Gate::Open,
                };
            });
        }
        // A checkpoint of an older version does not say who answered.
        if self.progress.counts.done > 0
            && self.outage.is_unheard()
            && let Some(url) = self.plan.start_urls.first()
            && let Some(host) = self.schedule.find_host(origin(url))
        {
            self.schedule.heard(host);
            self.outage.remember(host, &url[origin(url).len()..]);
        }
        expired
    }

    /// Closes the store, behind the last commit. Gives what people should read.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn close(&mut self, now_ms: u64) -> Result<Vec<String>, Failure> {
        let (others, tries) = self.elsewhere();
        let rest = Rest {
            schedule: &self.schedule,
            others,
            tries,
            values: self.values(),
            progress: self.progress(),
            at_ms: now_ms,
        };
        self.store.close(rest)
    }

    /// Makes what the complete crawl learned known to the next one. Call it behind
    /// [`Crawl::close`].
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn make_known(&mut self) -> Result<(), Failure> {
        self.store.make_known()
    }

    /// Requests that wait in no host, and what is known of those that will be tried again.
    fn elsewhere(&self) -> (Vec<(HostId, Ticket)>, Tries) {
        let flights = self.flights.iter();
        let flights = flights.map(|(_, flight)| (flight.host, flight.ticket));
        let later = self
            .schedule
            .deferred()
            .map(|(_, host, ticket)| (host, ticket));
        let mut tries: Tries = self
            .tries
            .iter()
            .map(|(&id, &attempts)| (id, (attempts, 0)))
            .collect();
        for (due_ms, _, ticket) in self.schedule.deferred() {
            tries.entry(ticket.id()).or_default().1 = due_ms;
        }
        let alone = self.lost.alone.iter().map(|due| (due.host, due.ticket));
        (flights.chain(later).chain(alone).collect(), tries)
    }

    /// The values that are kept beside the queue, by key.
    fn values(&self) -> BTreeMap<String, String> {
        let robots = self.schedule.hosts().filter_map(|(id, host)| {
            let saved = self.robots.saved(id)?;
            Some((keys::robots(&host.origin), saved))
        });
        let hosts = [(keys::SCOPE_HOSTS.to_owned(), self.scope.hosts_json())];
        let directories = self.scope.directory_keys();
        let directories = directories.map(|key| (key, "1".to_owned()));
        let state = self.state.json.iter();
        let state = state.map(|json| (keys::PARSER_STATE.to_owned(), json.clone()));
        let page = self
            .starts
            .gave_page
            .then(|| (keys::GAVE_PAGE.to_owned(), "1".to_owned()));
        let routes = self.schedule.hosts().filter_map(|(id, host)| {
            let saved = self.routes.saved(id)?;
            Some((keys::route(&host.origin), saved))
        });
        let waits = self
            .schedule
            .hosts()
            .filter(|(_, host)| host.due_ms > self.schedule.now_ms());
        let waits = waits.map(|(_, host)| (keys::wait(&host.origin), host.due_ms.to_string()));
        let answered = self.schedule.hosts().filter_map(|(id, host)| {
            let page = self.outage.page(id)?;
            Some((keys::answered(&host.origin), page.to_owned()))
        });
        robots
            .chain(waits)
            .chain(answered)
            .chain(self.lost.values())
            .chain(routes)
            .chain(self.cookies.all())
            .chain(hosts)
            .chain(directories)
            .chain(state)
            .chain(page)
            .chain(self.secrets.saved())
            .collect()
    }
}
