//! Which host is asked next, and when.
//!
//! Pure code: the clock is an argument, in milliseconds. What waits in a host lies in the
//! [store](crate::store); here is only how much.

mod by_origin;
mod earlier;
mod origins;
mod parked;
mod slots;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use self::by_origin::ByOrigin;
use self::earlier::EarlierPages;
use self::origins::Origins;
use self::parked::ParkedHosts;
use self::slots::{Slot, Slots};
use crate::pace::Pace;
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
#[derive(Debug, Clone, Copy, Default)]
pub struct Host {
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
    /// How it answered.
    pub pace: Pace,
    /// It ever answered for a page.
    heard: bool,
}

/// What there is of every host: a crawl may know millions of which it asks a few.
#[derive(Debug)]
struct HostRow {
    /// Where its origin is kept.
    origin: u32,
    pending: u32,
    taken: u32,
    /// Where all else is kept; a host of which nothing else is to be known has none.
    slot: u32,
    gate: Gate,
    heard: bool,
    /// There is just one entry a host.
    listed: Listed,
}

impl HostRow {
    /// What waits until a human decides.
    fn parked(&self) -> u32 {
        match self.gate {
            Gate::Parked => self.pending,
            Gate::Open | Gate::Shut => 0,
        }
    }
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

/// What a host is like of which nothing else is known.
#[derive(Debug, Clone, Copy)]
struct Usual {
    window: u32,
    delay_ms: u64,
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
    rows: Vec<HostRow>,
    slots: Slots,
    earlier: EarlierPages,
    texts: Origins,
    by_origin: ByOrigin,
    /// Of the hosts whose gate is [`Gate::Parked`].
    parked: ParkedHosts,
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
    usual: Usual,
    /// The time of the last `next`.
    now_ms: u64,
}

impl<T: Copy + Ord> Schedule<T> {
    /// Without hosts; `window` is how many requests a host may have in flight.
    pub fn new(window: u32) -> Schedule<T> {
        Schedule {
            rows: Vec::new(),
            slots: Slots::default(),
            earlier: EarlierPages::default(),
            texts: Origins::default(),
            by_origin: ByOrigin::new(),
            parked: ParkedHosts::default(),
            ring: VecDeque::new(),
            new: VecDeque::new(),
            is_turn_of_new: false,
            timers: BinaryHeap::new(),
            deferred: BinaryHeap::new(),
            pending: 0,
            usual: Usual {
                window,
                delay_ms: 0,
            },
            now_ms: 0,
        }
    }

    /// The least time between two requests to a host, where nothing else is said.
    pub fn set_usual_delay(&mut self, delay_ms: u64) {
        self.usual.delay_ms = delay_ms;
    }

    /// Requests that wait, deferred ones included.
    pub fn pending(&self) -> u64 {
        self.pending + self.deferred.len() as u64
    }

    /// How many hosts there are.
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// The hosts, in the order in which they were met.
    pub fn hosts(&self) -> impl ExactSizeIterator<Item = (HostId, Host)> {
        let places = 0..self.rows.len();
        places.map(|place| (HostId(place as u32), self.at(place as u32)))
    }

    /// The places of all hosts.
    pub fn ids(&self) -> impl Iterator<Item = HostId> + use<T> {
        (0..self.rows.len() as u32).map(HostId)
    }

    /// A host.
    pub fn host(&self, id: HostId) -> Host {
        self.at(id.0)
    }

    /// `scheme://host[:port]` of a host.
    pub fn origin(&self, id: HostId) -> String {
        self.texts.get(self.rows[id.0 as usize].origin)
    }

    /// `host[:port]` of each host.
    pub fn authorities(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| self.texts.parts(row.origin).1)
    }

    /// The path and query of a page that a host answered for.
    pub fn page(&self, id: HostId) -> Option<&str> {
        let row = &self.rows[id.0 as usize];
        let slot = self.slots.get(row.slot);
        let page = slot.and_then(|slot| slot.page.as_deref());
        page.or_else(|| self.earlier.get(id))
    }

    fn at(&self, id: u32) -> Host {
        let row = &self.rows[id as usize];
        let host = Host {
            pending: row.pending,
            taken: row.taken.into(),
            gate: row.gate,
            heard: row.heard,
            window: self.usual.window,
            delay_ms: self.usual.delay_ms,
            ..Host::default()
        };
        match self.slots.get(row.slot) {
            None => host,
            Some(slot) => Host {
                in_flight: slot.in_flight,
                window: slot.window,
                due_ms: slot.due_ms,
                delay_ms: slot.delay_ms,
                pace: slot.pace,
                ..host
            },
        }
    }

    /// What is kept of a host that is asked.
    fn slot(&mut self, id: u32) -> &mut Slot {
        let row = &self.rows[id as usize];
        if self.slots.get(row.slot).is_none() {
            let (rows, usual, now_ms) = (&self.rows, self.usual, self.now_ms);
            let rests =
                |slot: &Slot| rows[slot.host as usize].pending == 0 && slot.rests(usual, now_ms);
            let (place, before) = self.slots.take(Slot::new(id, usual), rests);
            if let Some(before) = before {
                self.rows[before as usize].slot = slots::NOWHERE;
            }
            self.rows[id as usize].slot = place;
        }
        self.slots.at(self.rows[id as usize].slot)
    }

    /// What gives origins their fingerprints, for [`Schedule::find_fingerprint`] and [`Schedule::host_of_fingerprint`].
    pub fn origins(&self) -> Fingerprinter {
        self.by_origin.fingerprinter()
    }

    /// The host with this origin, if it was met.
    pub fn find_host(&self, origin: &str) -> Option<HostId> {
        self.find_fingerprint(self.origins().get(origin))
    }

    /// The host whose origin has this fingerprint, if it was met.
    #[inline]
    pub fn find_fingerprint(&self, fingerprint: u128) -> Option<HostId> {
        self.by_origin.find(fingerprint)
    }

    /// Has the processor fetch what [`Schedule::find_fingerprint`] will look at.
    #[inline]
    pub fn touch(&self, fingerprint: u128) {
        self.by_origin.touch(fingerprint);
    }

    /// True when one of the first `count` hosts has this authority, whatever its scheme.
    pub fn is_among_first(&self, count: u32, authority: &str) -> bool {
        let is_one = |scheme: &str| {
            let id = self.find_host(&format!("{scheme}{authority}"));
            id.is_some_and(|id| id.0 < count)
        };
        is_one("https://") || is_one("http://")
    }

    /// Makes room for so many hosts that will be added.
    pub fn reserve(&mut self, hosts: usize) {
        self.rows.reserve_exact(hosts);
        self.by_origin.reserve(hosts);
    }

    /// The host with this origin; new ones begin with `gate`.
    pub fn host_of(&mut self, origin: &str, gate: Gate) -> HostId {
        self.host_of_fingerprint(self.origins().get(origin), origin, gate)
    }

    /// The same, for an origin whose fingerprint is known.
    pub fn host_of_fingerprint(&mut self, fingerprint: u128, origin: &str, gate: Gate) -> HostId {
        if let Some(id) = self.find_fingerprint(fingerprint) {
            return id;
        }
        let id = self.push_row(origin, gate);
        self.by_origin.insert(fingerprint, id);
        id
    }

    /// Takes one of very many hosts, which is met once; it is found after [`Schedule::index`] alone.
    pub fn add(&mut self, origin: &str) -> HostId {
        let id = self.push_row(origin, Gate::Open);
        self.by_origin.add(self.origins().get(origin), id);
        id
    }

    /// Has all hosts be found that were added; false when one was there before.
    #[must_use]
    pub fn index(&mut self) -> bool {
        self.by_origin.index()
    }

    fn push_row(&mut self, origin: &str, gate: Gate) -> HostId {
        let id = self.rows.len() as u32;
        grow_by_quarters(&mut self.rows, id as usize + 1);
        self.rows.push(HostRow {
            origin: self.texts.push(origin),
            pending: 0,
            taken: 0,
            slot: slots::NOWHERE,
            gate,
            heard: false,
            listed: Listed::Nowhere,
        });
        HostId(id)
    }

    /// Changes a host, and lets it go on if the change allows that.
    pub fn change(&mut self, id: HostId, change: impl FnOnce(&mut Host)) {
        let mut host = self.at(id.0);
        change(&mut host);
        let row = &mut self.rows[id.0 as usize];
        // Nobody takes on four billion requests of a host, and what is counted here decides nothing.
        row.taken = u32::try_from(host.taken).unwrap_or(u32::MAX);
        let was = row.parked();
        row.gate = host.gate;
        self.parked.tell(id, was, row.parked());
        let is_usual = Slot::new(id.0, self.usual).is_like(&host);
        if !is_usual || self.rows[id.0 as usize].slot != slots::NOWHERE {
            self.slot(id.0).become_like(&host);
        }
        self.list(id.0);
    }

    /// Nothing is known of how hosts answered.
    pub fn forget_paces(&mut self) {
        self.slots
            .all()
            .for_each(|slot| slot.pace = Pace::default());
    }

    /// The hosts that are not to be asked before some time to come, and that time.
    pub fn waits(&self) -> impl Iterator<Item = (HostId, u64)> {
        let later = self.slots.iter().filter(|slot| slot.due_ms > self.now_ms);
        later.map(|slot| (HostId(slot.host), slot.due_ms))
    }

    /// The parked hosts for which requests wait.
    pub fn parked(&self) -> &ParkedHosts {
        &self.parked
    }

    /// So many wait for the host now.
    fn set_pending(&mut self, id: HostId, pending: u32) {
        let row = &mut self.rows[id.0 as usize];
        let was = row.parked();
        let waited = std::mem::replace(&mut row.pending, pending);
        self.parked.tell(id, was, row.parked());
        self.pending = self.pending - u64::from(waited) + u64::from(pending);
        self.list(id.0);
    }

    /// One more request was taken on, and waits for the host in the store.
    pub fn took_on(&mut self, id: HostId) {
        let row = &mut self.rows[id.0 as usize];
        row.taken = row.taken.saturating_add(1);
        self.arrived(id);
    }

    /// One more request waits for the host in the store.
    pub fn arrived(&mut self, id: HostId) {
        self.set_pending(id, self.rows[id.0 as usize].pending + 1);
    }

    /// So many more wait for a host, and were taken on.
    pub fn gained(&mut self, id: HostId, count: Count) {
        let row = &mut self.rows[id.0 as usize];
        row.taken = row.taken.saturating_add(count.taken);
        let pending = row.pending + count.pending;
        self.set_pending(id, pending);
    }

    /// So many wait for each host now.
    pub fn left(&mut self, counts: Vec<u32>) {
        for (id, count) in counts.into_iter().enumerate() {
            self.set_pending(HostId(id as u32), count);
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

    /// The host answered for a page. Its path and query are kept as long as something waits for the host, or is
    /// asked of it, and some time longer.
    pub fn heard(&mut self, id: HostId, page: &str) {
        self.slot(id.0).page = Some(page.into());
        self.note_heard(id);
    }

    /// The host answered for a page in an earlier run.
    pub fn heard_before(&mut self, id: HostId, page: &str) {
        self.earlier.put(id, page);
        self.note_heard(id);
    }

    fn note_heard(&mut self, id: HostId) {
        let row = &mut self.rows[id.0 as usize];
        row.heard = true;
        if row.listed == Listed::New {
            row.listed = Listed::Else;
            self.ring.push_back(id.0);
        }
    }

    /// The next host in turn.
    fn turn(&mut self, room: Room) -> Option<u32> {
        self.is_turn_of_new = !self.is_turn_of_new;
        if room.new && (self.is_turn_of_new || self.ring.is_empty() || !room.heard) {
            while let Some(id) = self.new.pop_front() {
                if !self.rows[id as usize].heard {
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

    /// A host that can be asked now, which keeps its turn.
    pub fn first_in_turn(&self) -> Option<HostId> {
        let mut turns = self.ring.iter().chain(&self.new);
        turns.find(|id| self.at(**id).can_go()).copied().map(HostId)
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
            self.rows[id as usize].listed = Listed::Nowhere;
            let host = self.at(id);
            if !host.can_go() {
                continue;
            }
            if host.due_ms > now_ms {
                self.list(id);
                continue;
            }
            self.rows[id as usize].pending -= 1;
            self.pending -= 1;
            return Some(HostId(id));
        }
    }

    /// A request was sent to the host that [`Schedule::next`] gave: it is left alone for its
    /// delay.
    pub fn sent(&mut self, id: HostId, now_ms: u64) {
        let slot = self.slot(id.0);
        slot.in_flight += 1;
        slot.due_ms = now_ms.saturating_add(slot.delay_ms);
        self.list(id.0);
    }

    /// The request of the host that [`Schedule::next`] gave ended without asking it, so it costs
    /// the host no turn.
    pub fn skipped(&mut self, id: HostId) {
        self.list(id.0);
    }

    /// A request of the host was answered, or will not be.
    pub fn answered(&mut self, id: HostId) {
        let slot = self.slot(id.0);
        slot.in_flight = slot.in_flight.saturating_sub(1);
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
        let can_go = self.at(*id).can_go();
        can_go.then_some((*due_ms, HostId(*id)))
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
        let host = self.at(id);
        let row = &mut self.rows[id as usize];
        if row.listed != Listed::Nowhere || !host.can_go() {
            return;
        }
        if host.due_ms <= self.now_ms {
            self.push(id);
        } else {
            row.listed = Listed::Else;
            self.timers.push(Reverse((host.due_ms, id)));
        }
    }

    /// Puts a host where its turn comes.
    fn push(&mut self, id: u32) {
        let row = &mut self.rows[id as usize];
        let (listed, turns) = if row.heard {
            (Listed::Else, &mut self.ring)
        } else {
            (Listed::New, &mut self.new)
        };
        row.listed = listed;
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
