//! Connections that wait for another request to their host, found by the host.
//!
//! ureq's own pool looks at all of its connections for each request, and keeps the newest: with
//! more hosts in turn than it has places, each is thrown away before its host is asked again. It
//! is given no places, so what it has done with comes here.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use crawl_ckpt::mutex::lock;
use rustix::process::Resource;
use ureq::Error;
use ureq::http::uri::Authority;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

/// A connection is not used after this time: many servers close at 5 s to 75 s, and one that is
/// found closed costs a second try.
const MAX_AGE: Duration = Duration::from_secs(15);

/// Those that are too old are looked for so often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// So many are kept, whatever the system allows: each costs the servers something too.
const MOST: usize = 10_000;

/// Of the descriptors that are there, requests under way have theirs, and so many more.
const OTHER_DESCRIPTORS: usize = 100;

/// Where connections wait, over all routes.
#[derive(Debug)]
pub struct Idle {
    per_host: usize,
    concurrency: usize,
    /// How many may wait.
    most: OnceLock<usize>,
    random: RandomState,
    shelf: Mutex<Rack>,
}

/// Where a connection leads.
#[derive(Debug, Clone, Eq)]
pub struct Destination {
    /// Which proxy it goes through.
    pub route: usize,
    /// With TLS to the host itself.
    pub secure: bool,
    /// Host and port.
    pub authority: Authority,
}

/// To the letter: canonical URLs have their hosts in lower case, and an [`Authority`] would lower
/// each letter anew for each of a request's six looks at the table.
impl PartialEq for Destination {
    fn eq(&self, other: &Destination) -> bool {
        self.route == other.route
            && self.secure == other.secure
            && self.authority.as_str() == other.authority.as_str()
    }
}

impl Hash for Destination {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.route, self.secure, self.authority.as_str()).hash(state);
    }
}

#[derive(Debug, Default)]
struct Rack {
    waiting: Vec<Resting>,
    /// By host, where they are in `waiting`, the newest last.
    by_host: HashMap<Destination, Vec<usize>, foldhash::fast::RandomState>,
    swept: Option<Instant>,
    /// Counts how often all were closed.
    round: u64,
}

#[derive(Debug)]
struct Resting {
    place: Destination,
    since: Instant,
    transport: Box<dyn Transport>,
}

impl Idle {
    /// None waits; of one host `per_host` may.
    pub fn new(per_host: usize, concurrency: usize) -> Arc<Idle> {
        Arc::new(Idle {
            per_host,
            concurrency,
            most: OnceLock::new(),
            random: RandomState::new(),
            shelf: Mutex::default(),
        })
    }

    /// The newest connection to there that seems to be open.
    pub fn take(self: &Arc<Self>, place: &Destination) -> Option<Lent> {
        loop {
            let mut shelf = lock(&self.shelf);
            let at = *shelf.by_host.get(place)?.last()?;
            let mut waiting = shelf.remove(at);
            let round = shelf.round;
            drop(shelf);
            if waiting.since.elapsed() < MAX_AGE && waiting.transport.is_open() {
                return Some(self.lent(waiting.place, waiting.transport, round));
            }
        }
    }

    /// Has a new connection come here when ureq has done with it.
    pub fn lend(self: &Arc<Self>, place: Destination, transport: Box<dyn Transport>) -> Lent {
        let round = lock(&self.shelf).round;
        self.lent(place, transport, round)
    }

    fn lent(
        self: &Arc<Self>,
        place: Destination,
        transport: Box<dyn Transport>,
        round: u64,
    ) -> Lent {
        Lent {
            owner: Some((Arc::clone(self), place)),
            transport,
            round,
            is_done: false,
        }
    }

    /// Closes all, and those that are lent when they are done.
    pub fn clear(&self) {
        let mut shelf = lock(&self.shelf);
        shelf.round += 1;
        shelf.by_host.clear();
        let closed = std::mem::take(&mut shelf.waiting);
        drop(shelf);
        drop(closed);
    }

    fn put(&self, place: Destination, transport: Box<dyn Transport>, round: u64) {
        let now = Instant::now();
        let most = self.most();
        let mut closed = Vec::new();
        let mut shelf = lock(&self.shelf);
        if round != shelf.round {
            return;
        }
        if shelf.swept.is_none_or(|swept| now - swept >= SWEEP_EVERY) {
            shelf.swept = Some(now);
            shelf.sweep(now, &mut closed);
        }
        let of_host = shelf.by_host.get(&place).map_or(&[][..], Vec::as_slice);
        if of_host.len() >= self.per_host {
            let oldest = of_host[0];
            closed.push(shelf.remove(oldest));
        }
        while shelf.waiting.len() >= most {
            // The oldest would be the worst choice: hosts have turns, so it is the next to be used.
            let any =
                self.random.hash_one((now, shelf.waiting.len())) as usize % shelf.waiting.len();
            closed.push(shelf.remove(any));
        }
        shelf.add(Resting {
            place,
            since: now,
            transport,
        });
        drop(shelf);
        drop(closed);
    }

    /// Asked for late: the limit is raised at the start.
    fn most(&self) -> usize {
        *self.most.get_or_init(|| {
            let limit = rustix::process::getrlimit(Resource::Nofile).current;
            let limit = limit.map_or(usize::MAX, |limit| limit as usize);
            let rest = limit.saturating_sub(self.concurrency + OTHER_DESCRIPTORS);
            (rest / 4 * 3).clamp(1, MOST)
        })
    }
}

impl Rack {
    fn add(&mut self, waiting: Resting) {
        let at = self.waiting.len();
        let of_host = self.by_host.entry(waiting.place.clone()).or_default();
        of_host.push(at);
        self.waiting.push(waiting);
    }

    fn remove(&mut self, at: usize) -> Resting {
        let removed = self.waiting.swap_remove(at);
        if let Some(of_host) = self.by_host.get_mut(&removed.place) {
            of_host.retain(|other| *other != at);
            if of_host.is_empty() {
                self.by_host.remove(&removed.place);
            }
        }
        // The last one has its place now.
        let was = self.waiting.len();
        if let Some(moved) = self.waiting.get(at)
            && let Some(of_host) = self.by_host.get_mut(&moved.place)
        {
            for other in of_host.iter_mut().filter(|other| **other == was) {
                *other = at;
            }
        }
        removed
    }

    fn sweep(&mut self, now: Instant, closed: &mut Vec<Resting>) {
        for at in (0..self.waiting.len()).rev() {
            if now.duration_since(self.waiting[at].since) >= MAX_AGE {
                closed.push(self.remove(at));
            }
        }
    }
}

/// A connection in use. It goes back to where it waits if it can be used again.
pub struct Lent {
    owner: Option<(Arc<Idle>, Destination)>,
    transport: Box<dyn Transport>,
    round: u64,
    is_done: bool,
}

impl Transport for Lent {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.await_input(timeout)
    }

    fn maybe_await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.maybe_await_input(timeout)
    }

    /// ureq asks this of one that it would keep, all of whose answer was read.
    fn is_open(&mut self) -> bool {
        self.is_done = self.transport.is_open();
        self.is_done
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((idle, place)) = self.owner.take().filter(|_| self.is_done) {
            let transport = std::mem::replace(&mut self.transport, Box::new(()));
            idle.put(place, transport, self.round);
        }
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").finish_non_exhaustive()
    }
}
