//! Which URL next, and when: the pending requests of every host, first come
//! first served within a priority, and the hosts in turn.
//!
//! Pure code: the clock is an argument, in milliseconds. A pending request is
//! 16 bytes: its id, the offset of its record in the journal, and a link to the
//! next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::url::Marker;

/// A host's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// A pending request: its id, and where in the journal its record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Its id; at most 2^48.
    pub id: u64,
    /// Its offset in the journal; at most 2^48.
    pub at: u64,
}

const NONE: u32 = u32::MAX;

/// One pending request, packed, and the next of its lane.
#[derive(Debug, Clone, Copy)]
struct Node {
    id_low: u32,
    at_low: u32,
    id_high: u16,
    at_high: u16,
    next: u32,
}

impl Node {
    fn new(ticket: Ticket) -> Node {
        debug_assert!(ticket.id >> 48 == 0 && ticket.at >> 48 == 0);
        Node {
            id_low: ticket.id as u32,
            at_low: ticket.at as u32,
            id_high: (ticket.id >> 32) as u16,
            at_high: (ticket.at >> 32) as u16,
            next: NONE,
        }
    }

    fn ticket(self) -> Ticket {
        Ticket {
            id: u64::from(self.id_high) << 32 | u64::from(self.id_low),
            at: u64::from(self.at_high) << 32 | u64::from(self.at_low),
        }
    }
}

/// Requests of one priority, in order.
#[derive(Debug, Clone, Copy)]
struct Lane {
    head: u32,
    tail: u32,
}

const EMPTY_LANE: Lane = Lane {
    head: NONE,
    tail: NONE,
};

impl Lane {
    fn append(&mut self, node: u32, nodes: &mut [Node]) {
        match self.tail {
            NONE => self.head = node,
            tail => nodes[tail as usize].next = node,
        }
        self.tail = node;
    }
}

/// The plain lane of a host while many requests settle in it.
struct Line {
    lane: Lane,
    taken: u32,
    kept: u32,
}

impl Line {
    fn behind(host: &Host) -> Line {
        Line {
            lane: host.plain,
            taken: 0,
            kept: 0,
        }
    }
}

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

/// A host with its pending requests.
#[derive(Debug, Clone)]
pub struct Host {
    /// `scheme://host[:port]`.
    pub origin: Box<str>,
    /// Requests that wait in its lanes.
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
    /// Priority 0, which nearly all requests have.
    plain: Lane,
    /// Other priorities, the highest first.
    lanes: BTreeMap<Reverse<i64>, Lane>,
    /// In the ring, or in the timers: there is just one entry a host.
    listed: bool,
}

impl Host {
    fn can_go(&self) -> bool {
        self.pending > 0 && self.in_flight < self.window && self.gate == Gate::Open
    }
}

/// A request that is to be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whom to ask.
    pub host: HostId,
    /// For what.
    pub ticket: Ticket,
}

/// What becomes of a request in a [`Queue::sweep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// It stays in its place.
    Keep,
    /// It is not pending any more.
    Drop,
    /// It is kept back until this time.
    Defer(u64),
}

/// All pending requests.
#[derive(Debug)]
pub struct Queue {
    hosts: Vec<Host>,
    /// Hosts by the mark of their origin. A mark is as good as the text, and is found
    /// with one look where the text takes three: half of a bulk load went there.
    by_origin: HashTable<(u128, u32)>,
    origins: Marker,
    nodes: Vec<Node>,
    /// Where in `nodes` the requests begin that wait for [`Queue::settle`]; their `next`
    /// is their host.
    arrived: Option<usize>,
    /// Those of them that have a priority, by their place in `nodes`.
    urgent: Vec<(usize, i64)>,
    /// Head of the list of unused nodes.
    free: u32,
    /// Hosts that can be asked now, in turn.
    ring: VecDeque<u32>,
    /// Hosts that can be asked later.
    timers: BinaryHeap<Reverse<(u64, u32)>>,
    /// Requests to be tried again later.
    deferred: BinaryHeap<Reverse<(u64, u32, Ticket)>>,
    pending: u64,
    window: u32,
    /// The time of the last `next`.
    now_ms: u64,
}

impl Queue {
    /// An empty queue; `window` is how many requests a host may have in flight.
    pub fn new(window: u32) -> Queue {
        let random = RandomState::new();
        let key = u128::from(random.hash_one(1)) << 64 | u128::from(random.hash_one(2));
        Queue {
            hosts: Vec::new(),
            by_origin: HashTable::new(),
            origins: Marker::new(key.to_le_bytes()),
            nodes: Vec::new(),
            arrived: None,
            urgent: Vec::new(),
            free: NONE,
            ring: VecDeque::new(),
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

    /// A host.
    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[id.0 as usize]
    }

    /// What marks origins, for [`Queue::find_marked`] and [`Queue::host_marked`].
    pub fn origins(&self) -> Marker {
        self.origins
    }

    /// The host with this origin, if it was met.
    pub fn find_host(&self, origin: &str) -> Option<HostId> {
        self.find_marked(self.origins.get(origin))
    }

    /// The host whose origin has this mark, if it was met.
    #[inline]
    pub fn find_marked(&self, mark: u128) -> Option<HostId> {
        let found = self
            .by_origin
            .find(mark as u64, |(other, _)| *other == mark);
        found.map(|(_, id)| HostId(*id))
    }

    /// The host with this origin; new ones begin with `gate`.
    pub fn host_of(&mut self, origin: &str, gate: Gate) -> HostId {
        self.host_marked(self.origins.get(origin), origin, gate)
    }

    /// The same, for an origin whose mark is known.
    pub fn host_marked(&mut self, mark: u128, origin: &str, gate: Gate) -> HostId {
        if let Some(id) = self.find_marked(mark) {
            return id;
        }
        let id = self.hosts.len() as u32;
        self.by_origin
            .insert_unique(mark as u64, (mark, id), |(mark, _)| *mark as u64);
        self.hosts.push(Host {
            origin: origin.into(),
            pending: 0,
            in_flight: 0,
            window: self.window,
            due_ms: 0,
            delay_ms: 0,
            taken: 0,
            gate,
            plain: EMPTY_LANE,
            lanes: BTreeMap::new(),
            listed: false,
        });
        HostId(id)
    }

    /// Changes a host, and lets it go on if the change allows that.
    pub fn change(&mut self, id: HostId, change: impl FnOnce(&mut Host)) {
        change(&mut self.hosts[id.0 as usize]);
        self.list(id.0);
    }

    /// Adds a request behind those of its priority.
    pub fn push(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        debug_assert!(self.arrived.is_none(), "what arrived must settle first");
        let node = self.node(ticket);
        let lane = lane(&mut self.hosts[id.0 as usize], priority);
        lane.append(node, &mut self.nodes);
        self.count_in(id.0);
    }

    /// Takes one of very many requests, which are brought into order by
    /// [`Queue::settle`], all at once; nothing else may be done with the queue before that.
    #[inline]
    pub fn arrive(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        self.arrived.get_or_insert(self.nodes.len());
        if priority != 0 {
            self.urgent.push((self.nodes.len(), priority));
        }
        self.nodes.push(Node {
            next: id.0,
            ..Node::new(ticket)
        });
        self.pending += 1;
    }

    /// Puts those that arrived behind the others of their hosts, in the order in which they came.
    pub fn settle(&mut self, mut decide: impl FnMut(Ticket) -> Sweep) {
        let Some(first) = self.arrived.take() else {
            return;
        };
        // What changes a million times lies close together; the hosts themselves do not.
        let mut lines: Vec<Line> = self.hosts.iter().map(Line::behind).collect();
        let mut urgent = std::mem::take(&mut self.urgent).into_iter().peekable();
        let mut kept = first;
        for at in first..self.nodes.len() {
            let node = self.nodes[at];
            let line = &mut lines[node.next as usize];
            line.taken += 1;
            let priority = urgent.next_if(|(urgent, _)| *urgent == at);
            match decide(node.ticket()) {
                Sweep::Keep => {}
                Sweep::Drop => {
                    self.pending -= 1;
                    continue;
                }
                Sweep::Defer(due_ms) => {
                    self.pending -= 1;
                    self.defer(HostId(node.next), node.ticket(), due_ms);
                    continue;
                }
            }
            self.nodes[kept] = Node { next: NONE, ..node };
            let lane = match priority {
                None => &mut line.lane,
                Some((_, priority)) => lane(&mut self.hosts[node.next as usize], priority),
            };
            lane.append(kept as u32, &mut self.nodes);
            line.kept += 1;
            kept += 1;
        }
        self.nodes.truncate(kept);
        self.nodes.shrink_to(kept + kept / 4);
        for (id, line) in lines.into_iter().enumerate() {
            let host = &mut self.hosts[id];
            host.taken += u64::from(line.taken);
            host.pending += line.kept;
            host.plain = line.lane;
            self.list(id as u32);
        }
    }

    /// Keeps a request back until `due_ms`; it then goes before all others of its host.
    pub fn defer(&mut self, id: HostId, ticket: Ticket, due_ms: u64) {
        self.deferred.push(Reverse((due_ms, id.0, ticket)));
    }

    /// The next request to send, or `None` when nothing can go now. Say [`Queue::sent`] or
    /// [`Queue::skipped`] of it, else its host is asked nothing more.
    pub fn next(&mut self, now_ms: u64) -> Option<Due> {
        self.now_ms = now_ms;
        self.wake(now_ms);
        loop {
            let id = self.ring.pop_front()?;
            let host = &mut self.hosts[id as usize];
            host.listed = false;
            if !host.can_go() {
                continue;
            }
            if host.due_ms > now_ms {
                self.list(id);
                continue;
            }
            return Some(Due {
                host: HostId(id),
                ticket: self.pop(id),
            });
        }
    }

    /// What [`Queue::next`] gave was sent: the host is left alone for its delay.
    pub fn sent(&mut self, id: HostId) {
        let host = &mut self.hosts[id.0 as usize];
        host.in_flight += 1;
        host.due_ms = self.now_ms.saturating_add(host.delay_ms);
        self.list(id.0);
    }

    /// What [`Queue::next`] gave ended without asking the host, so it costs the host no turn.
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

    /// The requests of one host that wait in lanes, the highest priority first.
    pub fn lanes_of(&self, id: HostId) -> Vec<(i64, Vec<Ticket>)> {
        let host = self.host(id);
        let plain = (host.plain.head != NONE).then_some((0, &host.plain));
        let others = host
            .lanes
            .iter()
            .map(|(Reverse(priority), lane)| (*priority, lane));
        let mut lanes: Vec<_> = others.chain(plain).collect();
        lanes.sort_by_key(|(priority, _)| Reverse(*priority));
        lanes
            .into_iter()
            .map(|(priority, lane)| (priority, self.tickets(lane)))
            .collect()
    }

    fn tickets(&self, lane: &Lane) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        let mut node = lane.head;
        while node != NONE {
            tickets.push(self.nodes[node as usize].ticket());
            node = self.nodes[node as usize].next;
        }
        tickets
    }

    /// Goes through all requests that wait in lanes.
    pub fn sweep(&mut self, mut decide: impl FnMut(Ticket) -> Sweep) {
        for id in 0..self.hosts.len() as u32 {
            let host = &mut self.hosts[id as usize];
            let waited = std::mem::take(&mut host.pending);
            self.pending -= u64::from(waited);
            let plain = std::mem::replace(&mut host.plain, EMPTY_LANE);
            let lanes = std::mem::take(&mut host.lanes);
            let lanes = lanes
                .into_iter()
                .map(|(Reverse(priority), lane)| (priority, lane));
            for (priority, lane) in lanes.chain([(0, plain)]) {
                let mut node = lane.head;
                while node != NONE {
                    let Node { next, .. } = self.nodes[node as usize];
                    let ticket = self.release(node);
                    match decide(ticket) {
                        Sweep::Keep => self.push(HostId(id), ticket, priority),
                        Sweep::Drop => {}
                        Sweep::Defer(due_ms) => self.defer(HostId(id), ticket, due_ms),
                    }
                    node = next;
                }
            }
        }
    }

    /// The deferred requests: due time, host, request.
    pub fn deferred(&self) -> impl Iterator<Item = (u64, HostId, Ticket)> {
        self.deferred
            .iter()
            .map(|Reverse((due, host, ticket))| (*due, HostId(*host), *ticket))
    }

    fn wake(&mut self, now_ms: u64) {
        while let Some(&Reverse((due, id, ticket))) = self.deferred.peek()
            && due <= now_ms
        {
            self.deferred.pop();
            self.push(HostId(id), ticket, i64::MAX);
        }
        while let Some(&Reverse((due, id))) = self.timers.peek()
            && due <= now_ms
        {
            self.timers.pop();
            self.ring.push_back(id);
        }
    }

    /// Lists a host that can go in the ring, or in the timers when it must wait.
    fn list(&mut self, id: u32) {
        let host = &mut self.hosts[id as usize];
        if host.listed || !host.can_go() {
            return;
        }
        host.listed = true;
        if host.due_ms <= self.now_ms {
            self.ring.push_back(id);
        } else {
            self.timers.push(Reverse((host.due_ms, id)));
        }
    }

    fn pop(&mut self, id: u32) -> Ticket {
        let host = &mut self.hosts[id as usize];
        host.pending -= 1;
        self.pending -= 1;
        let take = |lane: &mut Lane, nodes: &[Node]| {
            let node = lane.head;
            lane.head = nodes[node as usize].next;
            if lane.head == NONE {
                lane.tail = NONE;
            }
            node
        };
        let plain_first = |priority: i64, plain: &Lane| priority <= 0 && plain.head != NONE;
        let node = match host.lanes.first_entry() {
            Some(mut first) if !plain_first(first.key().0, &host.plain) => {
                let node = take(first.get_mut(), &self.nodes);
                if first.get().head == NONE {
                    first.remove();
                }
                node
            }
            _ => take(&mut host.plain, &self.nodes),
        };
        self.release(node)
    }

    fn release(&mut self, node: u32) -> Ticket {
        let ticket = self.nodes[node as usize].ticket();
        self.nodes[node as usize].next = self.free;
        self.free = node;
        ticket
    }

    fn node(&mut self, ticket: Ticket) -> u32 {
        let node = Node::new(ticket);
        if self.free == NONE {
            self.nodes.push(node);
            return (self.nodes.len() - 1) as u32;
        }
        let at = self.free;
        self.free = self.nodes[at as usize].next;
        self.nodes[at as usize] = node;
        at
    }

    fn count_in(&mut self, id: u32) {
        self.hosts[id as usize].pending += 1;
        self.pending += 1;
        self.list(id);
    }
}

fn lane(host: &mut Host, priority: i64) -> &mut Lane {
    if priority == 0 {
        return &mut host.plain;
    }
    host.lanes.entry(Reverse(priority)).or_insert(EMPTY_LANE)
}

#[cfg(test)]
mod tests;
