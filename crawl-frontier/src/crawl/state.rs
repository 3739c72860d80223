//! What of a crawl outlives a run beside the queue: how it is taken up again,
//! and what an image of it holds.

use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::tool::Failure;

use super::Crawl;
use crate::clock::{LONGEST_PAUSE_MS, due_by};
use crate::keys::{self, OfHost};
use crate::schedule::{Gate, HostId};
use crate::store::{Remembered, Rest, Store, Ticket, Tries, Watch};
use crate::url::origin;

impl<S: Store> Crawl<S> {
    /// Goes on from what the store remembers. Returns how many cookies expired meanwhile.
    pub(crate) fn restore(&mut self, memory: Remembered, now_ms: u64) -> u64 {
        self.schedule = memory.schedule;
        self.schedule.set_usual_delay(self.plan.pace.delay_ms);
        self.tries = memory
            .tries
            .into_iter()
            .map(|(id, (attempts, _))| (id, attempts))
            .collect();
        self.progress = memory.progress;
        self.costs.restore(&self.progress);
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
        let heard = self.schedule.hosts().find(|(_, host)| host.is_heard());
        if let Some((id, _)) = heard {
            self.outage.remember(id);
        }
        self.robots.restore(memory.rules, now_ms);
        self.restore_hosts(&memory.values, memory.at_ms, now_ms);
        // A checkpoint of an older version does not say who answered.
        if self.progress.counts.done > 0
            && self.outage.is_unheard()
            && let Some(url) = self.plan.start_urls.first()
            && let Some(host) = self.schedule.find_host(origin(url))
        {
            self.schedule.heard(host, &url[origin(url).len()..]);
            self.outage.remember(host);
        }
        expired
    }

    /// Takes up what is known of each host. `at_ms` is when that was committed.
    fn restore_hosts(&mut self, values: &HashMap<String, Vec<u8>>, at_ms: u64, now_ms: u64) {
        let mut waits: HashMap<HostId, u64> = HashMap::new();
        // Not host by host: most have few of these, or none.
        for (key, value) in values {
            let of_host = OfHost::of(key);
            let met =
                of_host.and_then(|(kind, origin)| Some((kind, self.schedule.find_host(origin)?)));
            match met {
                Some((OfHost::Route, id)) => self.routes.restore(id, value),
                Some((OfHost::Cost, id)) => self.costs.restore_host(id, value),
                Some((OfHost::Wait, id)) => {
                    let text = std::str::from_utf8(value).ok();
                    if let Some(due_ms) = text.and_then(|due_ms| due_ms.parse().ok()) {
                        waits.insert(id, due_ms);
                    }
                }
                // Remembered by the store.
                Some((OfHost::Robots | OfHost::Answered, _)) | None => {}
            }
        }
        for id in self.schedule.ids() {
            let shut = self.plan.robots && self.robots.want(id);
            let parked = self.routes.parked(id).is_some();
            let delay_ms = self.plan.pace.delay_ms.max(self.robots.delay_ms(id));
            let longest_ms = delay_ms.max(LONGEST_PAUSE_MS);
            let due_ms = waits.get(&id).copied().unwrap_or(0);
            let due_ms = due_by(due_ms, at_ms, now_ms, longest_ms);
            if due_ms > now_ms {
                self.asked_to_wait.insert(id, due_ms);
            }
            let gate = match (parked, shut) {
                (true, _) => Gate::Parked,
                (false, true) => Gate::Shut,
                (false, false) => Gate::Open,
            };
            // Nearly all are as usual, and a change costs several looks.
            let host = self.schedule.host(id);
            if (host.delay_ms, host.due_ms, host.gate) != (delay_ms, due_ms, gate) {
                self.schedule.change(id, |host| {
                    (host.delay_ms, host.due_ms, host.gate) = (delay_ms, due_ms, gate);
                });
            }
        }
    }

    /// Stays on the hosts that there are now. A list of them, as a scope has it, would be as large as all else
    /// that is known of them.
    pub(crate) fn stay_on_hosts(&mut self) {
        self.scope.close();
        self.first_hosts = self.schedule.count() as u32;
    }

    /// Closes the store, behind the last commit.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn close(&mut self, now_ms: u64, watch: &mut dyn Watch) -> Result<(), Failure> {
        let values = self.values();
        let (others, tries) = self.elsewhere();
        let rest = Rest {
            schedule: &self.schedule,
            others,
            tries,
            rules: &self.robots,
            values,
            progress: self.progress(),
            at_ms: now_ms,
        };
        self.store.close(rest, watch)
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

    /// The values that are kept beside the queue, by key, but for the rules of robots.txt.
    fn values(&self) -> BTreeMap<String, String> {
        let of_host = |kind: OfHost, id, saved| (kind.key(&self.schedule.origin(id)), saved);
        let hosts = [(keys::SCOPE_HOSTS.to_owned(), self.scope.hosts_json())];
        let directories = self.scope.directory_keys();
        let directories = directories.map(|key| (key, "1".to_owned()));
        let state = self.state.json.iter();
        let state = state.map(|json| (keys::PARSER_STATE.to_owned(), json.clone()));
        let page = self
            .starts
            .gave_page
            .then(|| (keys::GAVE_PAGE.to_owned(), "1".to_owned()));
        let routes = self.routes.all_saved();
        let routes = routes.map(|(id, saved)| of_host(OfHost::Route, id, saved));
        let costs = self.costs.all_saved();
        let costs = costs.map(|(id, saved)| of_host(OfHost::Cost, id, saved));
        let waits = self.schedule.waits();
        let waits = waits.map(|(id, due_ms)| of_host(OfHost::Wait, id, due_ms.to_string()));
        let all = waits
            .chain(self.lost.values())
            .chain(routes)
            .chain(costs)
            .chain(self.cookies.all())
            .chain(hosts)
            .chain(directories)
            .chain(state)
            .chain(page)
            .chain(self.secrets.saved());
        all.collect()
    }
}
