//! What waits in each host: first come first served within a priority.
//!
//! A pending request is 16 bytes: its id, where it lies, and a link to the next. When there are too many, those
//! that go last are put aside on the disk. After a pause of a long queue, those without a priority are in the part
//! that the image names.

mod aside;
mod imaged;
mod lane;
mod ranked;
mod ranks;
mod room;

use std::io;

use crawl_ckpt::tool::Failure;

use self::aside::{Aside, LastBlock};
pub use self::imaged::WantedPart;
use self::lane::{EMPTY_LANE, Lane, LaneTickets, NONE, Node, touch};
use self::ranked::RankedBlocks;
use self::ranks::{Ranks, Whence};
pub use self::room::{LanesRoom, failed};
use super::Ticket;
use super::unsound::Unsound;
use crate::schedule::{Count, HostId, grow_by_quarters};

/// What was read last of what is aside, for who asks for one host after another.
#[derive(Debug, Default)]
pub struct LastRead {
    plain: LastBlock,
    ranked: RankedBlocks,
}

/// All pending requests but those that are kept back, host by host.
#[derive(Debug)]
pub struct Lanes {
    /// By host, of priority 0, which nearly all requests have.
    plain: Vec<Lane>,
    /// Of other priorities.
    ranks: Ranks,
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
    failure: Option<Unsound>,
}

impl Lanes {
    /// Empty lanes.
    pub fn new() -> Lanes {
        Lanes {
            plain: Vec::new(),
            ranks: Ranks::default(),
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
    /// Errors of the disk, and damage, after which the next start does without the image.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.find_out().map_err(|unsound| match &self.room {
            Some(room) => unsound.ends_run(&*room.disk, &room.dir),
            None => unsound.ends_reading(),
        })
    }

    /// The same for who can do without parts.
    pub fn find_out(&mut self) -> Result<(), Unsound> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// True when some are to be put aside.
    pub fn is_full(&self) -> bool {
        self.nodes.len() + self.urgent.len() + self.ranks.room() >= self.most
    }

    /// True when some are aside.
    pub fn has_aside(&self) -> bool {
        self.aside.is_some() || self.ranks.has_aside()
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
        self.hang(node, id.0, priority);
    }

    fn left_aside(&self, host: u32) -> u32 {
        self.aside.as_ref().map_or(0, |aside| aside.left(host))
    }

    /// Takes the first request of a host.
    pub fn pop(&mut self, id: HostId) -> Option<Ticket> {
        let has_plain = self.plain.get(id.0 as usize)?.head != NONE || self.left_aside(id.0) > 0;
        let ranked = if self.ranks.is_empty() {
            None
        } else {
            self.ranks.first(id.0)
        };
        let node = match ranked {
            Some((priority, whence)) if priority > 0 || !has_plain => {
                self.take_ranked(id.0, whence)?
            }
            _ if has_plain => self.take_plain(id.0)?,
            _ => return None,
        };
        Some(self.release(node))
    }

    /// The first node of a host of those with a priority, which wait there; `None` after a failure.
    fn take_ranked(&mut self, host: u32, whence: Whence) -> Option<u32> {
        if whence != Whence::Aside {
            return self.ranks.take(host, whence, &self.nodes);
        }
        let most = self.window().max(1) as u32;
        match self.ranks.fetch(host, most) {
            Ok(fetched) => {
                for (priority, ticket) in fetched {
                    let node = self.node(ticket);
                    let lane = self.ranks.lane_at(host, priority, Whence::Near);
                    lane.append(node, &mut self.nodes);
                }
            }
            Err(e) => self.note(Err(e)),
        }
        self.ranks.take(host, Whence::Near, &self.nodes)
    }

    /// The first node of priority 0 of a host that has some; `None` after a failure.
    fn take_plain(&mut self, host: u32) -> Option<u32> {
        if self.plain[host as usize].head == NONE {
            self.fetch(host);
        }
        let plain = &mut self.plain[host as usize];
        (plain.head != NONE).then(|| plain.take(&self.nodes))
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
    /// in which they came. Tells how many more each of so many hosts has, and has had; nothing when none arrived.
    pub fn settle(
        &mut self,
        hosts: usize,
        mut stays: impl FnMut(HostId, Ticket) -> bool,
    ) -> Vec<Count> {
        self.grow(hosts);
        let Some(first) = self.arrived.take() else {
            return Vec::new();
        };
        // What changes a million times lies close together; the hosts themselves do not.
        let mut counts = vec![Count::default(); self.plain.len()];
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
            self.hang(kept as u32, node.next, priority);
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

    /// The same for all but those without a priority that are aside.
    pub fn sweep_at_hand(&mut self, mut stays: impl FnMut(HostId, Ticket) -> bool) -> Vec<u32> {
        let swept = self
            .ranks
            .sweep_aside(|host, ticket| stays(HostId(host), ticket));
        self.note(swept);
        let mut counts = Vec::with_capacity(self.plain.len());
        for id in 0..self.plain.len() as u32 {
            self.touch(HostId(id));
            let left = self.left_aside(id);
            let mut count = left + self.ranks.left_aside(id);
            let mut sweep = |lanes: &mut Lanes, lane: Lane| {
                let (mut node, mut kept) = (lane.head, EMPTY_LANE);
                while node != NONE {
                    let Node { next, .. } = lanes.nodes[node as usize];
                    let ticket = lanes.release(node);
                    if stays(HostId(id), ticket) {
                        // In the node that was released, so what arrived and did not settle stays where it is.
                        let node = lanes.node(ticket);
                        kept.append(node, &mut lanes.nodes);
                        count += 1;
                    }
                    node = next;
                }
                kept
            };
            for (priority, whence, lane) in self.ranks.take_lanes(id) {
                let kept = sweep(self, lane);
                if kept.head != NONE {
                    *self.ranks.lane_at(id, priority, whence) = kept;
                }
            }
            let mut plain = sweep(self, self.plain[id as usize]);
            if let Some(behind) = self.behind.get(id as usize).copied() {
                let mut behind = sweep(self, behind);
                if left == 0 {
                    plain.join(behind, &mut self.nodes);
                    behind = EMPTY_LANE;
                }
                self.behind[id as usize] = behind;
            }
            self.plain[id as usize] = plain;
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
        last: &mut LastRead,
        mut each: impl FnMut(i64, Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        let LastRead { plain, ranked } = last;
        let mut is_plain_told = false;
        if !self.ranks.is_empty() {
            self.ranks
                .each(id.0, &self.nodes, ranked, |priority, ticket| {
                    if priority < 0 && !is_plain_told {
                        is_plain_told = true;
                        self.plain_with(id, plain, |ticket| each(0, ticket))?;
                    }
                    each(priority, ticket)
                })?;
        }
        if is_plain_told {
            return Ok(());
        }
        self.plain_with(id, plain, |ticket| each(0, ticket))
    }

    /// The same for those alone that have a priority.
    ///
    /// # Errors
    /// Errors of the disk, and of `each`.
    pub fn each_ranked(
        &self,
        id: HostId,
        last: &mut LastRead,
        each: impl FnMut(i64, Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.ranks.is_empty() {
            return Ok(());
        }
        self.ranks.each(id.0, &self.nodes, &mut last.ranked, each)
    }

    /// The same for those alone that have none.
    ///
    /// # Errors
    /// Errors of the disk, and of `each`.
    pub fn each_plain(
        &self,
        id: HostId,
        last: &mut LastRead,
        each: impl FnMut(Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        self.plain_with(id, &mut last.plain, each)
    }

    fn plain_with(
        &self,
        id: HostId,
        last: &mut LastBlock,
        mut each: impl FnMut(Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        self.plain_at_hand(id).try_for_each(&mut each)?;
        if let Some(aside) = &self.aside {
            aside.of(id.0, last, &mut each)?;
        }
        self.behind(id).try_for_each(each)
    }

    /// All of them.
    #[cfg(test)]
    pub fn of(&self, id: HostId) -> Vec<(i64, Ticket)> {
        let mut tickets = Vec::new();
        let each = |priority, ticket| {
            tickets.push((priority, ticket));
            Ok(())
        };
        self.each(id, &mut LastRead::default(), each).unwrap();
        tickets
    }

    /// Those of them that are in memory and not behind what is aside.
    pub fn at_hand(&self, id: HostId) -> impl Iterator<Item = Ticket> {
        let near = self.ranks.near(id.0, &self.nodes);
        near.flatten().chain(self.plain_at_hand(id))
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

    /// For who walks the lanes of priority 0 of one host after another, called with each before.
    pub fn touch(&self, id: HostId) {
        touch(&self.plain, id.0 as usize, &self.nodes);
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

    /// Puts a node behind those of its host and its priority.
    fn hang(&mut self, node: u32, host: u32, priority: i64) {
        let lane = match (priority, self.left_aside(host)) {
            (0, 0) => &mut self.plain[host as usize],
            (0, _) => &mut self.behind[host as usize],
            _ => self.ranks.lane(host, priority),
        };
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

#[cfg(test)]
mod tests;
