//! What waits in each host: first come first served within a priority.
//!
//! A pending request is 16 bytes: its id, where it lies, and a link to the next. When there are too many, those
//! that go last are put aside on the disk, but for the few that have a priority. After a pause of a long queue, they
//! are in the part that the image names.

mod aside;
mod imaged;
mod lane;
mod room;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;

use crawl_ckpt::tool::Failure;

use self::aside::Aside;
pub use self::aside::LastBlock;
pub use self::imaged::WantedPart;
use self::lane::{EMPTY_LANE, Lane, LaneTickets, NONE, Node};
pub use self::room::LanesRoom;
use super::Ticket;
use crate::schedule::{Count, HostId, grow_by_quarters};

/// Lanes of one host by priority, the highest first.
type Priorities = BTreeMap<Reverse<i64>, Lane>;

/// All pending requests but those that are kept back, host by host.
#[derive(Debug)]
pub struct Lanes {
    /// By host, of priority 0, which nearly all requests have.
    plain: Vec<Lane>,
    /// Of other priorities; hardly a host has any.
    others: HashMap<u32, Priorities>,
    nodes: Vec<Node>,
    /// Where in `nodes` the requests begin that wait for [`Lanes::settle`]; their `next`
    /// is their host.
    arrived: Option<usize>,
    /// Those of them that have a priority, by their place in `nodes`.
    urgent: Vec<(usize, i64)>,
    /// Head of the list of unused nodes.
    free: u32,
    /// `None`: all stays in memory.
    room: Option<LanesRoom>,
    /// With more nodes than this, some are put aside.
    most: usize,
    aside: Option<Aside>,
    /// By host, what came behind what is aside of it.
    behind: Vec<Lane>,
    failure: Option<Failure>,
}

impl Lanes {
    /// Empty lanes.
    pub fn new() -> Lanes {
        Lanes {
            plain: Vec::new(),
            others: HashMap::new(),
            nodes: Vec::new(),
            arrived: None,
            urgent: Vec::new(),
            free: NONE,
            room: None,
            most: usize::MAX,
            aside: None,
            behind: Vec::new(),
            failure: None,
        }
    }

    /// Empty lanes, of which not all stays in memory.
    pub fn within(room: Option<LanesRoom>) -> Lanes {
        Lanes {
            most: room.as_ref().map_or(usize::MAX, |room| room.most),
            room,
            ..Lanes::new()
        }
    }

    /// Empty lanes with as much room.
    pub fn anew(&self) -> Lanes {
        Lanes::within(self.room.clone())
    }

    /// That nothing failed. What was told after a failure is not to be relied on: nothing may be committed.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// True when some are to be put aside.
    pub fn is_full(&self) -> bool {
        self.nodes.len() >= self.most
    }

    /// True when some are aside.
    pub fn has_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// Adds a request behind those of its priority.
    pub fn push(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        debug_assert!(self.arrived.is_none(), "what arrived must settle first");
        self.append(id, ticket, priority);
        if self.is_full() {
            self.make_room();
        }
    }

    fn append(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        let node = self.node(ticket);
        self.grow(id.0 as usize + 1);
        let is_behind = self.left_aside(id.0) > 0;
        self.hang(node, (id.0, priority, is_behind));
    }

    fn left_aside(&self, host: u32) -> u32 {
        self.aside.as_ref().map_or(0, |aside| aside.left(host))
    }

    /// Takes the first request of a host.
    pub fn pop(&mut self, id: HostId) -> Option<Ticket> {
        let has_plain = self.plain.get(id.0 as usize)?.head != NONE || self.left_aside(id.0) > 0;
        let others = self.others.get_mut(&id.0);
        let node = match others.and_then(|others| others.first_entry()) {
            Some(mut first) if first.key().0 > 0 || !has_plain => {
                let node = first.get_mut().take(&self.nodes);
                if first.get().head == NONE {
                    first.remove();
                    self.forget_if_empty(id.0);
                }
                node
            }
            _ if has_plain => self.take_plain(id.0)?,
            _ => return None,
        };
        Some(self.release(node))
    }

    /// The first node of priority 0 of a host that has some; `None` after a failure.
    fn take_plain(&mut self, host: u32) -> Option<u32> {
        if self.plain[host as usize].head == NONE {
            self.fetch(host);
        }
        let plain = &mut self.plain[host as usize];
        (plain.head != NONE).then(|| plain.take(&self.nodes))
    }

    fn forget_if_empty(&mut self, id: u32) {
        if self.others.get(&id).is_some_and(BTreeMap::is_empty) {
            self.others.remove(&id);
        }
    }

    /// Takes one of very many requests, which are brought into order by
    /// [`Lanes::settle`], all at once; nothing else may be done with the lanes before that.
    #[inline]
    pub fn arrive(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        self.arrived.get_or_insert(self.nodes.len());
        if priority != 0 {
            self.urgent.push((self.nodes.len(), priority));
        }
        self.nodes.push(Node::new(ticket).with_next(id.0));
    }

    /// How many arrived and did not settle.
    pub fn unsettled(&self) -> u64 {
        self.arrived
            .map_or(0, |first| (self.nodes.len() - first) as u64)
    }

    /// Puts those that arrived and are to stay behind the others of their hosts, in the order
    /// in which they came. Tells how many more each of so many hosts has, and has had.
    pub fn settle(
        &mut self,
        hosts: usize,
        mut stays: impl FnMut(HostId, Ticket) -> bool,
    ) -> Vec<Count> {
        self.grow(hosts);
        // What changes a million times lies close together; the hosts themselves do not.
        let mut counts = vec![Count::default(); self.plain.len()];
        let Some(first) = self.arrived.take() else {
            return counts;
        };
        let mut urgent = std::mem::take(&mut self.urgent).into_iter().peekable();
        let mut kept = first;
        for at in first..self.nodes.len() {
            let node = self.nodes[at];
            let host = node.next as usize;
            counts[host].taken += 1;
            let priority = urgent.next_if(|(urgent, _)| *urgent == at);
            if !stays(HostId(node.next), node.ticket()) {
                continue;
            }
            self.nodes[kept] = node.with_next(NONE);
            let priority = priority.map_or(0, |(_, priority)| priority);
            let is_behind = self.left_aside(node.next) > 0;
            let lane = lane_of(
                &mut self.plain,
                &mut self.behind,
                &mut self.others,
                (node.next, priority, is_behind),
            );
            lane.append(kept as u32, &mut self.nodes);
            counts[host].pending += 1;
            kept += 1;
        }
        self.nodes.truncate(kept);
        if self.is_full() {
            self.make_room();
        } else {
            self.nodes.shrink_to(kept + kept / 4);
        }
        counts
    }

    /// Goes through all requests and keeps those that are to stay. Tells how many each host has.
    pub fn sweep(&mut self, mut stays: impl FnMut(HostId, Ticket) -> bool) -> Vec<u32> {
        if let (Some(aside), Some(room)) = (&mut self.aside, &self.room) {
            let swept = aside.sweep(&room.dir, |host, ticket| stays(HostId(host), ticket));
            self.note(swept);
        }
        self.sweep_at_hand(stays)
    }

    /// The same for those alone that are in memory.
    pub fn sweep_at_hand(&mut self, mut stays: impl FnMut(HostId, Ticket) -> bool) -> Vec<u32> {
        let mut counts = Vec::with_capacity(self.plain.len());
        for id in 0..self.plain.len() as u32 {
            let plain = std::mem::replace(&mut self.plain[id as usize], EMPTY_LANE);
            let behind = self.behind.get_mut(id as usize);
            let behind = behind.map(|lane| std::mem::replace(lane, EMPTY_LANE));
            let behind = behind.map(|lane| (0, true, lane));
            let others = self.others.remove(&id).unwrap_or_default().into_iter();
            let others = others.map(|(Reverse(priority), lane)| (priority, false, lane));
            let left = self.left_aside(id);
            let mut count = left;
            for (priority, is_behind, lane) in others.chain([(0, false, plain)]).chain(behind) {
                let mut node = lane.head;
                while node != NONE {
                    let Node { next, .. } = self.nodes[node as usize];
                    let ticket = self.release(node);
                    if stays(HostId(id), ticket) {
                        // In the node that was released, so what arrived and did not settle stays where it is.
                        let node = self.node(ticket);
                        self.hang(node, (id, priority, is_behind && left > 0));
                        count += 1;
                    }
                    node = next;
                }
            }
            counts.push(count);
        }
        counts
    }

    /// Tells the requests of one host with their priority, in the order in which they go. `last` is for who asks
    /// for one host after another.
    ///
    /// # Errors
    /// Errors of the disk, and of `each`.
    pub fn each(
        &self,
        id: HostId,
        last: &mut LastBlock,
        mut each: impl FnMut(i64, Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        let lanes = self.at_hand(id);
        let higher = lanes.iter().take_while(|(priority, _)| *priority >= 0);
        let higher = higher.count();
        for (priority, mut tickets) in lanes[..higher].iter().cloned() {
            tickets.try_for_each(|ticket| each(priority, ticket))?;
        }
        if let Some(aside) = &self.aside {
            aside.of(id.0, last, |ticket| each(0, ticket))?;
        }
        self.behind(id).try_for_each(|ticket| each(0, ticket))?;
        for (priority, mut tickets) in lanes[higher..].iter().cloned() {
            tickets.try_for_each(|ticket| each(priority, ticket))?;
        }
        Ok(())
    }

    /// All of them.
    #[cfg(test)]
    pub fn of(&self, id: HostId) -> Vec<(i64, Ticket)> {
        let mut tickets = Vec::new();
        let each = |priority, ticket| {
            tickets.push((priority, ticket));
            Ok(())
        };
        self.each(id, &mut LastBlock::default(), each).unwrap();
        tickets
    }

    /// Those of them that go next and are in memory, the highest priority first.
    pub fn at_hand(&self, id: HostId) -> Vec<(i64, LaneTickets<'_>)> {
        let Some(plain) = self.plain.get(id.0 as usize) else {
            return Vec::new();
        };
        let plain = (plain.head != NONE).then_some((0, plain));
        let others = self.others.get(&id.0).into_iter().flatten();
        let others = others.map(|(Reverse(priority), lane)| (*priority, lane));
        let mut lanes: Vec<_> = others.chain(plain).collect();
        lanes.sort_by_key(|(priority, _)| Reverse(*priority));
        lanes
            .into_iter()
            .map(|(priority, lane)| (priority, lane.tickets(&self.nodes)))
            .collect()
    }

    /// Those of priority 0 that go next and are in memory.
    pub fn plain_at_hand(&self, id: HostId) -> LaneTickets<'_> {
        let plain = self.plain.get(id.0 as usize);
        plain.unwrap_or(&EMPTY_LANE).tickets(&self.nodes)
    }

    /// Those of priority 0 that came behind what is aside.
    pub fn behind(&self, id: HostId) -> LaneTickets<'_> {
        let behind = self.behind.get(id.0 as usize);
        behind.unwrap_or(&EMPTY_LANE).tickets(&self.nodes)
    }

    fn grow(&mut self, hosts: usize) {
        if self.plain.len() < hosts {
            grow_by_quarters(&mut self.plain, hosts);
            self.plain.resize(hosts, EMPTY_LANE);
        }
        if self.aside.is_some() && self.behind.len() < self.plain.len() {
            grow_by_quarters(&mut self.behind, self.plain.len());
            self.behind.resize(self.plain.len(), EMPTY_LANE);
        }
    }

    /// Puts a node at the end of a lane.
    fn hang(&mut self, node: u32, which: (u32, i64, bool)) {
        let lane = lane_of(&mut self.plain, &mut self.behind, &mut self.others, which);
        lane.append(node, &mut self.nodes);
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
}

/// The lane of a host, a priority, and whether it is behind what is aside.
fn lane_of<'a>(
    plain: &'a mut [Lane],
    behind: &'a mut [Lane],
    others: &'a mut HashMap<u32, Priorities>,
    (host, priority, is_behind): (u32, i64, bool),
) -> &'a mut Lane {
    match (priority, is_behind) {
        (0, false) => &mut plain[host as usize],
        (0, true) => &mut behind[host as usize],
        _ => {
            let others = others.entry(host).or_default();
            others.entry(Reverse(priority)).or_insert(EMPTY_LANE)
        }
    }
}

#[cfg(test)]
mod tests;
