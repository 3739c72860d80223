//! The state of a crawl that is in memory: what was seen, what is pending, and
//! what little else there is; and a view of it for whoever writes it down.

use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::control::Progress;

use super::lanes::Lanes;
use super::seen::Seen;
use super::{Rest, Ticket};
use crate::answered::Answered;
use crate::rules::KeptRules;
use crate::schedule::{Gate, HostId, Room, Schedule};

/// The state that is in memory while a crawl runs.
#[derive(Debug)]
pub struct Memory {
    /// Every URL taken on.
    pub seen: Seen,
    /// The hosts.
    pub schedule: Schedule<Ticket>,
    /// What waits in them.
    pub lanes: Lanes,
    /// Attempts and due time of requests that will be tried again, by id.
    pub tries: HashMap<u64, (u32, u64)>,
    /// What the robots.txt of hosts say.
    pub rules: KeptRules,
    /// Values kept beside the queue.
    pub values: HashMap<String, Vec<u8>>,
    /// The hosts that answered, as long as a journal is read.
    pub answered: Answered,
    /// The figures.
    pub progress: Progress,
    /// When the figures were committed.
    pub at_ms: u64,
    /// Committed lengths of the files that the journal vouches for.
    pub files: BTreeMap<String, u64>,
    /// By what their last bytes are known again.
    pub tails: BTreeMap<String, String>,
}

/// What an image is made from, borrowed from a crawl.
#[derive(Debug)]
pub struct View<'a> {
    /// Every URL taken on.
    pub seen: &'a Seen,
    /// What waits in the hosts.
    pub lanes: &'a Lanes,
    /// Committed lengths of files.
    pub files: BTreeMap<String, u64>,
    /// By what their last bytes are known again.
    pub tails: BTreeMap<String, String>,
    /// All else.
    pub rest: Rest<'a>,
}

impl Memory {
    /// Of a crawl with nothing taken on.
    pub fn new(window: u32, seen: Seen) -> Memory {
        Memory {
            seen,
            schedule: Schedule::new(window),
            lanes: Lanes::new(),
            tries: HashMap::new(),
            rules: KeptRules::default(),
            values: HashMap::new(),
            answered: Answered::default(),
            progress: Progress::default(),
            at_ms: 0,
            files: BTreeMap::new(),
            tails: BTreeMap::new(),
        }
    }

    /// All that an image keeps.
    pub fn view(&self) -> View<'_> {
        let text = |(key, value): (&String, &Vec<u8>)| {
            (key.clone(), String::from_utf8_lossy(value).into_owned())
        };
        let later = self.schedule.deferred();
        View {
            seen: &self.seen,
            lanes: &self.lanes,
            files: self.files.clone(),
            tails: self.tails.clone(),
            rest: Rest {
                schedule: &self.schedule,
                others: later.map(|(_, host, ticket)| (host, ticket)).collect(),
                tries: self.tries.iter().map(|(id, tries)| (*id, *tries)).collect(),
                rules: &self.rules,
                values: self.values.iter().map(text).collect(),
                progress: self.progress.clone(),
                at_ms: self.at_ms,
            },
        }
    }

    /// Requests that wait, those that did not settle included.
    pub fn pending(&self) -> u64 {
        self.schedule.pending() + self.lanes.unsettled()
    }

    /// Puts requests that arrived together into their hosts, but for those that are not to stay.
    pub fn settle(&mut self, mut stays: impl FnMut(&mut Schedule<Ticket>, HostId, Ticket) -> bool) {
        let hosts = self.schedule.count();
        let schedule = &mut self.schedule;
        let gained = self
            .lanes
            .settle(hosts, |host, ticket| stays(schedule, host, ticket));
        for (id, count) in self.schedule.ids().zip(gained) {
            self.schedule.gained(id, count);
        }
    }

    /// Has the schedule know who answered, once it knows for whom something waits.
    pub fn pass_on_answered(&mut self) {
        for (host, page) in self.answered.pages() {
            self.schedule.heard_before(host, page);
        }
        self.answered = Answered::default();
    }

    /// Takes those out that are not to stay.
    pub fn sweep(&mut self, mut stays: impl FnMut(&mut Schedule<Ticket>, HostId, Ticket) -> bool) {
        let schedule = &mut self.schedule;
        let left = self
            .lanes
            .sweep(|host, ticket| stays(schedule, host, ticket));
        self.schedule.left(left);
    }

    /// The same for those alone that are in memory.
    pub fn sweep_at_hand(
        &mut self,
        mut stays: impl FnMut(&mut Schedule<Ticket>, HostId, Ticket) -> bool,
    ) {
        let schedule = &mut self.schedule;
        let left = self
            .lanes
            .sweep_at_hand(|host, ticket| stays(schedule, host, ticket));
        self.schedule.left(left);
    }

    /// Takes one of very many requests, `kept` under this id and there in the journal; nothing
    /// but this may be done before [`Memory::settle`].
    #[inline]
    pub fn arrive(&mut self, host: HostId, kept: (u64, u64), priority: i64) {
        let (id, at) = kept;
        self.lanes.arrive(host, Ticket { id, at }, priority);
    }

    /// The next request that a crawl would send, and its host, of which the schedule wants to
    /// know what became of it.
    pub fn next(&mut self, now_ms: u64) -> Option<(HostId, Ticket)> {
        while let Some((host, ticket)) = self.schedule.woken(now_ms) {
            self.push(host, ticket, i64::MAX);
        }
        let host = self.schedule.next(now_ms, Room::ALL)?;
        self.lanes.pop(host).map(|ticket| (host, ticket))
    }

    /// Adds a request behind those of its priority.
    pub fn push(&mut self, host: HostId, ticket: Ticket, priority: i64) {
        self.lanes.push(host, ticket, priority);
        self.schedule.arrived(host);
    }

    /// Takes a host as a rewritten journal keeps it.
    pub fn meet_host(&mut self, origin: &str, taken: &[u8]) {
        let taken = std::str::from_utf8(taken)
            .ok()
            .and_then(|taken| taken.parse().ok());
        let id = self.schedule.host_of(origin, Gate::Open);
        // The requests that are kept whole count themselves, before this or behind it.
        self.schedule
            .change(id, |host| host.taken += taken.unwrap_or(0));
    }

    /// Called with each request of a list before it is taken on, it has the processor fetch what those need that
    /// come soon: to wait for it took a third of a bulk load of 100 M URLs.
    #[inline]
    pub fn touch<T>(&self, list: &[T], next: usize, fingerprints: impl Fn(&T) -> Fingerprints) {
        let first = if next == 0 { 0 } else { next + SOON };
        for one in list.iter().take(next + SOON + 1).skip(first) {
            let fingerprints = fingerprints(one);
            self.seen.touch(fingerprints.request);
            self.schedule.touch(fingerprints.host);
        }
    }

    /// Remembers a request; its host, when it was not seen before.
    #[inline]
    pub fn meet(&mut self, fingerprints: Fingerprints, origin: &str) -> Option<HostId> {
        if !self.seen.insert(fingerprints.request) {
            return None;
        }
        let host = fingerprints.host;
        Some(self.schedule.host_of_fingerprint(host, origin, Gate::Open))
    }
}

/// What so many requests later is needed is fetched.
const SOON: usize = 32;

/// What a request and its host are known by.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprints {
    /// Of the request, in [`Seen`].
    pub request: u128,
    /// Of its origin, in the [`Schedule`].
    pub host: u128,
}
