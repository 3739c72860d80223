//! The state of a crawl that is in memory: what was seen, what is pending, and
//! what little else there is; and a view of it for whoever writes it down.

use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::control::Progress;

use crate::queue::{Gate, HostId, Queue, Ticket};
use crate::seen::Seen;

/// Under these keys a rewritten journal keeps how many requests each host has had.
pub const HOST: &str = "host:";

/// The state that is in memory while a crawl runs.
#[derive(Debug)]
pub struct Memory {
    /// Every URL taken on.
    pub seen: Seen,
    /// What is pending.
    pub queue: Queue,
    /// Attempts and due time of requests that will be tried again, by id.
    pub tries: HashMap<u64, (u32, u64)>,
    /// Values kept beside the queue.
    pub values: HashMap<String, Vec<u8>>,
    /// The figures.
    pub progress: Progress,
    /// When the figures were committed.
    pub at_ms: u64,
    /// Committed lengths of the files that the journal vouches for.
    pub files: BTreeMap<String, u64>,
}

/// What an image is made from, borrowed from a crawl.
#[derive(Debug)]
pub struct View<'a> {
    /// Every URL taken on.
    pub seen: &'a Seen,
    /// What is pending.
    pub queue: &'a Queue,
    /// Requests in no lane, in flight or kept back: pending for whoever resumes.
    pub others: Vec<(HostId, Ticket)>,
    /// Attempts and due time of requests that will be tried again, by id.
    pub tries: BTreeMap<u64, (u32, u64)>,
    /// Values kept beside the queue.
    pub values: BTreeMap<String, String>,
    /// The figures.
    pub progress: Progress,
    /// When they were committed.
    pub at_ms: u64,
    /// Committed lengths of files.
    pub files: BTreeMap<String, u64>,
}

impl Memory {
    /// Of a crawl with nothing taken on.
    pub fn new(window: u32) -> Memory {
        Memory {
            seen: Seen::new(),
            queue: Queue::new(window),
            tries: HashMap::new(),
            values: HashMap::new(),
            progress: Progress::default(),
            at_ms: 0,
            files: BTreeMap::new(),
        }
    }

    /// All that an image keeps.
    pub fn view(&self) -> View<'_> {
        let text = |(key, value): (&String, &Vec<u8>)| {
            (key.clone(), String::from_utf8_lossy(value).into_owned())
        };
        let later = self.queue.deferred();
        View {
            seen: &self.seen,
            queue: &self.queue,
            others: later.map(|(_, host, ticket)| (host, ticket)).collect(),
            tries: self.tries.iter().map(|(id, tries)| (*id, *tries)).collect(),
            values: self.values.iter().map(text).collect(),
            progress: self.progress.clone(),
            at_ms: self.at_ms,
            files: self.files.clone(),
        }
    }

    /// Takes a host as a rewritten journal keeps it.
    pub fn meet_host(&mut self, origin: &str, taken: &[u8]) {
        let taken = std::str::from_utf8(taken)
            .ok()
            .and_then(|taken| taken.parse().ok());
        let id = self.queue.host_of(origin, Gate::Open);
        // Its pending requests follow and count themselves.
        self.queue
            .change(id, |host| host.taken = taken.unwrap_or(0));
    }

    /// Looks where a request would be remembered, and at its host. Done for a group of
    /// requests before they are taken on, this makes the processor wait for all of
    /// their cache misses at once.
    #[inline]
    pub fn touch(&self, marks: Marks) -> Option<HostId> {
        std::hint::black_box(self.seen.touch(marks.request));
        self.queue.find_marked(marks.host)
    }

    /// Remembers a request; its host, when it was not seen before. `met` is what
    /// [`Memory::touch`] said.
    #[inline]
    pub fn meet(&mut self, marks: Marks, met: Option<HostId>, origin: &str) -> Option<HostId> {
        if !self.seen.insert(marks.request) {
            return None;
        }
        let new = || self.queue.host_marked(marks.host, origin, Gate::Open);
        Some(met.unwrap_or_else(new))
    }
}

/// So many requests are touched before they are taken on.
pub const GROUP: usize = 64;

/// What a request and its host are known by.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    /// Of the request, in [`Seen`].
    pub request: u128,
    /// Of its origin, in [`Queue`].
    pub host: u128,
}
