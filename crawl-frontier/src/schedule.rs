//! Which host is asked next, and when.
//!
//! Pure code: the clock is an argument, in milliseconds. What waits in a host lies in the
//! [store](crate::store); here is only how much.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::url::Fingerprinter;

/// A host's place in the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// What keeps a host from being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gate {
    /// Nothing.
    #[default]
    Open,
    /// Its rules must be known first.
    Shut,
    /// A human must decide.
    Parked,
}

/// A host, and when it may be asked.
#[derive(Debug, Clone)]
pub struct Host {
    /// `scheme://host[:port]`.
    pub origin: Box<str>,
    /// Requests that wait for it in the store.
    pub pending: u32,
    /// Requests that were sent and not answered.
    pub in_flight: u32,
    /// At most so many in flight.
    pub window: u32,
    /// Not asked before this time.
    pub due_ms: u64,
    /// Least time between two requests.
    pub delay_ms: u64,
    /// Requests ever taken on.
    pub taken: u64,
    /// Whether it may be asked at all.
    pub gate: Gate,
    /// It ever answered for a page.
    heard: bool,
    /// There is just one entry a host.
    listed: Listed,
}

/// Where a host stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Nowhere,
    /// Among the new ones.
    New,
    /// In the ring, or in the timers.
    Else,
}

/// Of which hosts a request may go now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Those that ever answered for a page.
    pub heard: bool,
    /// Those that did not, some of which are dead: they must not take the room of the others.
    pub new: bool,
}

impl Room {
    /// Of all.
    pub const ALL: Room = Room {
        heard: true,
        new: true,
    };
}

impl Host {
    /// Whether it ever answered for a page.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    fn can_go(&self) -> bool {
        self.pending > 0 && self.in_flight < self.window && self.gate == Gate::Open
    }
}

/// Where a host is found by its origin: 96 bits of the fingerprint tell a billion hosts apart, and the whole takes
/// half of the room that 128 bits and a place would.
#[derive(Debug, Clone, Copy)]
struct Met {
    fingerprint: [u32; 3],
    id: u32,
}

impl Met {
    fn new(fingerprint: u128, id: u32) -> Met {
        Met {
            fingerprint: [0, 32, 64].map(|shift| (fingerprint >> shift) as u32),
            id,
        }
    }

    fn hash(&self) -> u64 {
        u64::from(self.fingerprint[1]) << 32 | u64::from(self.fingerprint[0])
    }
}

/// Makes room for so many: a list of millions of hosts that doubled would be half empty.
pub fn grow_by_quarters<T>(list: &mut Vec<T>, len: usize) {
    if list.capacity() < len {
        list.reserve_exact(len + len / 4 + 16 - list.len());
    }
}

/// All hosts; `T` stands for a request that is kept back.
#[derive(Debug)]
pub struct Schedule<T> {
    hosts: Vec<Host>,
    /// Hosts by the fingerprint of their origin. A fingerprint is as good as the text, and is found
    /// with one look where the text takes three: half of a bulk load went there.
    by_origin: HashTable<Met>,
    origins: Fingerprinter,
    /// Hosts whose gate is [`Gate::Parked`].
    parked: BTreeSet<HostId>,
    /// Hosts that can be asked now, in turn.
    ring: VecDeque<u32>,
    /// The same of hosts that never answered, and of some that have by now and stand in the ring.
    new: VecDeque<u32>,
    /// It is the turn of one of these.
    is_turn_of_new: bool,
    /// Hosts that can be asked later.
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    /// Requests to be tried again later.
    deferred: BinaryHeap<Reverse<(u64, u32, T)>>,
    /// Requests that wait in the store, of all hosts.
    pending: u64,
    window: u32,
    /// The time of the last `next`.
    now_ms: u64,
}

impl<T: Copy + Ord> Schedule<T> {
    /// Without hosts; `window` is how many requests a host may have in flight.
    pub fn new(window: u32) -> Schedule<T> {
        let random = RandomState::new();
        let key = u128::from(random.hash_one(1)) << 64 | u128::from(random.hash_one(2));
        Schedule {
            hosts: Vec::new(),
            by_origin: HashTable::new(),
            origins: Fingerprinter::new(key.to_le_bytes()),
            parked: BTreeSet::new(),
            ring: VecDeque::new(),
            new: VecDeque::new(),
            is_turn_of_new: false,
            timers: BinaryHeap::new(),
            deferred: BinaryHeap::new(),
            pending: 0,
            window,
            now_ms: 0,
        }
    }

    /// Requests that wait, deferred ones included.
    pub fn pending(&self) -> u64 {
        self.pending + self.deferred.len() as u64
    }

    /// The time of the last `next`.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The hosts, in the order in which they were met.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (HostId, &Host)> {
        self.hosts
            .iter()
            .enumerate()
            .map(|(n, host)| (HostId(n as u32), host))
    }

    /// The places of all hosts.
    pub fn ids(&self) -> impl Iterator<Item = HostId> + use<T> {
        (0..self.hosts.len() as u32).map(HostId)
    }

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0 as usize]
    }

    /// What gives origins their fingerprints, for [`Schedule::find_fingerprint`] and [`Schedule::host_of_fingerprint`].
    pub fn origins(&self) -> Fingerprinter {
        self.origins
    }

    /// The host with this origin, if it was met.
    pub fn find_host(&self, origin: &str) -> Option<HostId> {
        self.find_fingerprint(self.origins.get(origin))
    }

    /// The host whose origin has this fingerprint, if it was met.
    #[inline]
    pub fn find_fingerprint(&self, fingerprint: u128) -> Option<HostId> {
        let wanted = Met::new(fingerprint, 0);
        let found = self
            .by_origin
            .find(wanted.hash(), |met| met.fingerprint == wanted.fingerprint);
        found.map(|met| HostId(met.id))
    }

    /// The host with this origin; new ones begin with `gate`.
    pub fn host_of(&mut self, origin: &str, gate: Gate) -> HostId {
        self.host_of_fingerprint(self.origins.get(origin), origin, gate)
    }

    /// The same, for an origin whose fingerprint is known.
    pub fn host_of_fingerprint(&mut self, fingerprint: u128, origin: &str, gate: Gate) -> HostId {
        if let Some(id) = self.find_fingerprint(fingerprint) {
            return id;
        }
        let id = self.hosts.len() as u32;
        let met = Met::new(fingerprint, id);
        self.by_origin.insert_unique(met.hash(), met, Met::hash);
        grow_by_quarters(&mut self.hosts, id as usize + 1);
        self.hosts.push(Host {
            origin: origin.into(),
            pending: 0,
            in_flight: 0,
            window: self.window,
            due_ms: 0,
            delay_ms: 0,
            taken: 0,
            gate,
            heard: false,
            listed: Listed::Nowhere,
        });
        HostId(id)
    }

    /// Changes a host, and lets it go on if the change allows that.
    pub fn change(&mut self, id: HostId, change: impl FnOnce(&mut Host)) {
        let host = &mut self.hosts[id.0 as usize];
        let was = host.gate;
        change(host);
        match (was == Gate::Parked, host.gate == Gate::Parked) {
            (false, true) => drop(self.parked.insert(id)),
            (true, false) => drop(self.parked.remove(&id)),
            _ => {}
        }
        self.list(id.0);
    }

    /// The parked hosts, which are few among millions.
    pub fn parked(&self) -> impl Iterator<Item = (HostId, &Host)> {
        self.parked.iter().map(|id| (*id, self.host(*id)))
    }

    /// One more request waits for the host in the store.
    pub fn arrived(&mut self, id: HostId) {
        self.hosts[id.0 as usize].pending += 1;
        self.pending += 1;
        self.list(id.0);
    }

    /// So many more wait for each host, and were taken on.
    pub fn gained(&mut self, counts: Vec<Count>) {
        for (id, count) in counts.into_iter().enumerate() {
            let host = &mut self.hosts[id];
            host.pending += count.pending;
            host.taken += u64::from(count.taken);
            self.pending += u64::from(count.pending);
            self.list(id as u32);
        }
    }

    /// So many wait for each host now.
    pub fn left(&mut self, counts: Vec<u32>) {
        for (id, count) in counts.into_iter().enumerate() {
            let waited = std::mem::replace(&mut self.hosts[id].pending, count);
            self.pending = self.pending - u64::from(waited) + u64::from(count);
            self.list(id as u32);
        }
    }

    /// Keeps a request back until `due_ms`.
    pub fn defer(&mut self, id: HostId, request: T, due_ms: u64) {
        self.deferred.push(Reverse((due_ms, id.0, request)));
    }

    /// A request that was kept back until now, to be put before all others of its host.
    /// Called until there is none, before [`Schedule::next`].
    pub fn woken(&mut self, now_ms: u64) -> Option<(HostId, T)> {
        let &Reverse((due_ms, id, request)) = self.deferred.peek()?;
        if due_ms > now_ms {
            return None;
        }
        self.deferred.pop();
        Some((HostId(id), request))
    }

    /// The host answered for a page, now or in an earlier run.
    pub fn heard(&mut self, id: HostId) {
        let host = &mut self.hosts[id.0 as usize];
        host.heard = true;
        if host.listed == Listed::New {
            host.listed = Listed::Else;
            self.ring.push_back(id.0);
        }
    }

    /// The next host in turn.
    fn turn(&mut self, room: Room) -> Option<u32> {
        self.is_turn_of_new = !self.is_turn_of_new;
        if room.new && (self.is_turn_of_new || self.ring.is_empty() || !room.heard) {
            while let Some(id) = self.new.pop_front() {
                if !self.hosts[id as usize].heard {
                    return Some(id);
                }
            }
        }
        if room.heard {
            self.ring.pop_front()
        } else {
            None
        }
    }

    /// The host whose next request can be sent, or `None` when nobody can be asked now. Say
    /// [`Schedule::sent`] or [`Schedule::skipped`] of it, else it is asked nothing more.
    pub fn next(&mut self, now_ms: u64, room: Room) -> Option<HostId> {
        self.now_ms = now_ms;
        while let Some(&Reverse((due_ms, id))) = self.timers.peek()
            && due_ms <= now_ms
        {
            self.timers.pop();
            self.push(id);
        }
        loop {
            let id = self.turn(room)?;
            let host = &mut self.hosts[id as usize];
            host.listed = Listed::Nowhere;
            if !host.can_go() {
                continue;
            }
            if host.due_ms > now_ms {
                self.list(id);
                continue;
            }
            host.pending -= 1;
            self.pending -= 1;
            return Some(HostId(id));
        }
    }

    /// A request was sent to the host that [`Schedule::next`] gave: it is left alone for its
    /// delay.
    pub fn sent(&mut self, id: HostId, now_ms: u64) {
        let host = &mut self.hosts[id.0 as usize];
        host.in_flight += 1;
        host.due_ms = now_ms.saturating_add(host.delay_ms);
        self.list(id.0);
    }

    /// The request of the host that [`Schedule::next`] gave ended without asking it, so it costs
    /// the host no turn.
    pub fn skipped(&mut self, id: HostId) {
        self.list(id.0);
    }

    /// A request of the host was answered, or will not be.
    pub fn answered(&mut self, id: HostId) {
        let host = &mut self.hosts[id.0 as usize];
        host.in_flight = host.in_flight.saturating_sub(1);
        self.list(id.0);
    }

    /// When something that waits for the clock can go, in milliseconds.
    pub fn next_due_ms(&self) -> Option<u64> {
        let timer = self.timers.peek().map(|Reverse((due, _))| *due);
        let deferred = self.deferred.peek().map(|Reverse((due, _, _))| *due);
        timer.into_iter().chain(deferred).min()
    }

    /// The host that may be asked next by the clock, and when.
    pub fn next_timer(&self) -> Option<(u64, HostId)> {
        let Reverse((due_ms, id)) = self.timers.peek()?;
        let host = &self.hosts[*id as usize];
        host.can_go().then_some((*due_ms, HostId(*id)))
    }

    /// The request that is tried again next: when, and of which host.
    pub fn next_deferred(&self) -> Option<(u64, HostId)> {
        let Reverse((due_ms, id, _)) = self.deferred.peek()?;
        Some((*due_ms, HostId(*id)))
    }

    /// The deferred requests: due time, host, request.
    pub fn deferred(&self) -> impl Iterator<Item = (u64, HostId, T)> {
        self.deferred
            .iter()
            .map(|Reverse((due, host, request))| (*due, HostId(*host), *request))
    }

    /// Lists a host that can go in the ring, or in the timers when it must wait.
    fn list(&mut self, id: u32) {
        let host = &mut self.hosts[id as usize];
        if host.listed != Listed::Nowhere || !host.can_go() {
            return;
        }
        if host.due_ms <= self.now_ms {
            self.push(id);
        } else {
            host.listed = Listed::Else;
            self.timers.push(Reverse((host.due_ms, id)));
        }
    }

    /// Puts a host where its turn comes.
    fn push(&mut self, id: u32) {
        let host = &mut self.hosts[id as usize];
        let (listed, turns) = if host.heard {
            (Listed::Else, &mut self.ring)
        } else {
            (Listed::New, &mut self.new)
        };
        host.listed = listed;
        turns.push_back(id);
    }
}

/// How many requests of a host there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// That wait in the store.
    pub pending: u32,
    /// That were taken on and not counted before.
    pub taken: u32,
}
