//! What waits in each host: first come first served within a priority.
//!
//! A pending request is 16 bytes: its id, where it lies, and a link to the next. When there are too many, those
//! that go last are put aside on the disk, but for the few that have a priority. After a pause of a long queue, they
//! are in the part that the image names.

mod aside;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crawl_ckpt::durable::Disk;
use crawl_ckpt::error::StoreError;
use crawl_ckpt::tool::Failure;
use crawl_ckpt::waiting::WaitingPart;

pub use self::aside::LastBlock;
use self::aside::{Aside, NewRun};
use super::outputs::MAKE_ROOM;
use super::{AsideRoom, Ticket};
use crate::schedule::{Count, HostId, grow_by_quarters};

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

/// Fewer are not worth the work.
const LEAST: usize = 1 << 12;
/// So many of a host are in memory at most while others of it are aside.
const AT_HAND: usize = 256;

/// Fewer that wait are read in a twentieth of a second at a start.
const LONG: u64 = 4 << 20;
/// So many of a long queue are read at a start.
const HEADS: u64 = 1 << 17;

/// How much of what waits may be in memory, and where the rest of it goes.
#[derive(Debug, Clone)]
pub struct LanesRoom {
    pub(super) disk: Arc<dyn Disk>,
    /// The job's.
    pub(super) dir: PathBuf,
    pub(super) most: usize,
    /// Of a queue that is longer, a start reads the heads alone …
    pub(super) long: u64,
    /// … which are so many together.
    pub(super) heads: u64,
}

impl LanesRoom {
    /// So many bytes, and this job directory.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, bytes: u64) -> LanesRoom {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<Node>();
        LanesRoom {
            disk,
            dir,
            most: most.max(LEAST),
            long: LONG,
            heads: HEADS,
        }
    }

    /// The image must not bring a part back that is damaged: then the next start makes it anew.
    fn part_failed(&self, error: StoreError) -> Failure {
        let image = crawl_ckpt::image::path_in(&self.dir);
        if matches!(error, StoreError::Damaged { .. }) && self.disk.remove_file(&image).is_ok() {
            return Failure::new(error)
                .hint("the same command goes on: it reads the journal instead");
        }
        error.into()
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

    /// Another lane goes behind this one.
    fn join(&mut self, behind: Lane, nodes: &mut [Node]) {
        match (self.tail, behind.head) {
            (_, NONE) => {}
            (NONE, _) => *self = behind,
            (tail, head) => {
                nodes[tail as usize].next = head;
                self.tail = behind.tail;
            }
        }
    }

    fn take(&mut self, nodes: &[Node]) -> u32 {
        let node = self.head;
        self.head = nodes[node as usize].next;
        if self.head == NONE {
            self.tail = NONE;
        }
        node
    }
}

/// The requests of a lane.
#[derive(Debug, Clone)]
pub struct LaneTickets<'a> {
    nodes: &'a [Node],
    next: u32,
}

impl Iterator for LaneTickets<'_> {
    type Item = Ticket;

    fn next(&mut self) -> Option<Ticket> {
        let node = self.nodes.get(self.next as usize)?;
        self.next = node.next;
        Some(node.ticket())
    }
}

/// What an image needs a part for.
#[derive(Debug)]
pub enum WantedPart<'a> {
    /// All that waits is in the image.
    None,
    /// What is aside is in this part already, and the image has the rest.
    Kept(&'a WaitingPart),
    /// All but so many of each host are for a new one.
    New(usize),
}

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

    /// How much of what waits may be in memory; `None`: all of it.
    pub fn room(&self) -> Option<AsideRoom> {
        self.room.as_ref().map(|room| AsideRoom {
            dir: room.dir.clone(),
            bytes: room.most * size_of::<Node>(),
        })
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
        self.nodes.push(Node {
            next: id.0,
            ..Node::new(ticket)
        });
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
            self.nodes[kept] = Node { next: NONE, ..node };
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
            .map(|(priority, lane)| (priority, self.tickets(lane)))
            .collect()
    }

    /// Those of priority 0 that go next and are in memory.
    pub fn plain_at_hand(&self, id: HostId) -> LaneTickets<'_> {
        let plain = self.plain.get(id.0 as usize);
        self.tickets(plain.unwrap_or(&EMPTY_LANE))
    }

    /// How many of a host stay in an image that has `most` without a priority at most.
    pub fn heads(&self, id: HostId, most: usize) -> u32 {
        let others = self.others.get(&id.0).into_iter().flatten();
        let others = others
            .map(|(_, lane)| self.tickets(lane).count())
            .sum::<usize>();
        (others + self.plain_at_hand(id).take(most).count()) as u32
    }

    /// The number of the part, when nothing else is aside.
    pub fn part_number(&self) -> Option<u64> {
        let part = self.aside.as_ref().and_then(|aside| aside.part());
        part.map(|part| part.number())
    }

    /// Those of priority 0 that came behind what is aside.
    pub fn behind(&self, id: HostId) -> LaneTickets<'_> {
        let behind = self.behind.get(id.0 as usize);
        self.tickets(behind.unwrap_or(&EMPTY_LANE))
    }

    /// Where a host goes on in what is aside: how many are left, and how many are gone before them.
    pub fn place_aside(&self, id: HostId) -> (u32, u32) {
        let aside = self.aside.as_ref();
        aside.map_or((0, 0), |aside| (aside.left(id.0), aside.gone(id.0)))
    }

    /// What an image needs a part for, when so many requests wait.
    pub fn wanted_part(&self, pending: u64) -> WantedPart<'_> {
        let Some(room) = &self.room else {
            return WantedPart::None;
        };
        let aside = self.aside.as_ref();
        let left = aside.map_or(0, |aside| aside.left_of_all());
        if let Some(part) = aside.and_then(|aside| aside.part())
            && left * 2 >= part.count()
            && pending - left <= room.long
        {
            return WantedPart::Kept(part);
        }
        if left > 0 || pending > room.long {
            let hosts = self.plain.len().max(1) as u64;
            return WantedPart::New((room.heads / hosts).min(AT_HAND as u64) as usize);
        }
        WantedPart::None
    }

    /// Takes the part that an image names, of which [`Lanes::leave`] tells what is left.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn take_part(&mut self, part: WaitingPart) -> io::Result<()> {
        let dir = self.room.as_ref().map(|room| &*room.dir);
        self.aside = Some(Aside::over(part, dir)?);
        Ok(())
    }

    /// So many of a host are left of the part, behind so many that are gone.
    pub fn leave(&mut self, id: HostId, left: u32, gone: u32) {
        self.grow(id.0 as usize + 1);
        if let Some(aside) = &mut self.aside {
            aside.leave(id.0, left, gone);
        }
    }

    /// Whoever cannot put anything aside has all in memory: who only reads, and who has no file without a name.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn take_in(&mut self) -> io::Result<()> {
        if self.aside.as_ref().is_none_or(|aside| aside.takes_more()) {
            return Ok(());
        }
        self.most = usize::MAX;
        for host in 0..self.plain.len() as u32 {
            self.take_aside(host, u32::MAX)?;
        }
        (self.aside, self.behind) = (None, Vec::new());
        Ok(())
    }

    /// Puts aside what goes last.
    #[cold]
    fn make_room(&mut self) {
        let Some(room) = &self.room else { return };
        if self.aside.is_none() {
            match Aside::create(&room.dir) {
                Ok(Some(aside)) => {
                    self.aside = Some(aside);
                    self.behind = vec![EMPTY_LANE; self.plain.len()];
                }
                // On such a disk it is as if nobody had said how much memory there is.
                Ok(None) => {
                    self.most = usize::MAX;
                    return;
                }
                Err(e) => return self.note(Err(e)),
            }
        }
        let put = self.put_aside(self.window());
        self.note(put);
    }

    /// So many of each host stay in memory.
    fn window(&self) -> usize {
        let most = self.room.as_ref().map_or(usize::MAX, |room| room.most);
        (most / 4 / self.plain.len().max(1)).min(AT_HAND)
    }

    /// Puts aside what is behind the first `keep` of a host, and all that came behind what is aside already.
    fn put_aside(&mut self, keep: usize) -> io::Result<()> {
        let Some(aside) = &mut self.aside else {
            return Ok(());
        };
        let mut run = NewRun::default();
        let mut nodes = Vec::new();
        let mut plain = vec![EMPTY_LANE; self.plain.len()];
        let copy = |from: &Lane, most: usize, to: &mut Lane, nodes: &mut Vec<Node>| {
            let (mut node, mut copied) = (from.head, 0);
            while node != NONE && copied < most {
                let old = self.nodes[node as usize];
                nodes.push(Node { next: NONE, ..old });
                to.append(nodes.len() as u32 - 1, nodes);
                (node, copied) = (old.next, copied + 1);
            }
            node
        };
        for (id, lane) in self.plain.iter().enumerate() {
            let host = id as u32;
            let mut node = if aside.left(host) > 0 {
                copy(lane, usize::MAX, &mut plain[id], &mut nodes);
                self.behind[id].head
            } else {
                copy(lane, keep, &mut plain[id], &mut nodes)
            };
            while node != NONE {
                let old = self.nodes[node as usize];
                aside.push(&mut run, host, old.ticket())?;
                node = old.next;
            }
        }
        let mut others = std::mem::take(&mut self.others);
        for lane in others.values_mut().flat_map(|lanes| lanes.values_mut()) {
            let old = std::mem::replace(lane, EMPTY_LANE);
            copy(&old, usize::MAX, lane, &mut nodes);
        }
        let finished = aside.finish(run);
        // What is in the run is not in memory any more, so a failure here ends all work.
        let most = self.room.as_ref().map_or(0, |room| room.most);
        self.most = (nodes.len() + most / 2).max(most);
        (self.plain, self.others, self.nodes) = (plain, others, nodes);
        self.behind.fill(EMPTY_LANE);
        self.free = NONE;
        finished
    }

    /// Fetches what goes next of a host that has nothing in memory before what is aside.
    fn fetch(&mut self, host: u32) {
        let most = self.window().max(1) as u32;
        let taken = self.take_aside(host, most);
        self.note(taken);
    }

    /// Brings so many of a host into memory that go next of what is aside.
    fn take_aside(&mut self, host: u32, most: u32) -> io::Result<()> {
        let Some(aside) = &mut self.aside else {
            return Ok(());
        };
        for ticket in aside.take(host, most)? {
            let node = self.node(ticket);
            self.hang(node, (host, 0, false));
        }
        if self.left_aside(host) == 0
            && let Some(behind) = self.behind.get_mut(host as usize)
        {
            let behind = std::mem::replace(behind, EMPTY_LANE);
            self.plain[host as usize].join(behind, &mut self.nodes);
        }
        Ok(())
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(e) = result {
            let failure = self.failed(e);
            self.failure.get_or_insert(failure);
        }
    }

    /// Why what is aside cannot be told.
    pub fn failed(&self, error: io::Error) -> Failure {
        match (error.downcast::<StoreError>(), &self.room) {
            (Ok(error), Some(room)) => room.part_failed(error),
            (Ok(error), None) => error.into(),
            (Err(e), _) => {
                Failure::new(format_args!("cannot put aside what waits: {e}")).hint(MAKE_ROOM)
            }
        }
    }

    fn tickets(&self, lane: &Lane) -> LaneTickets<'_> {
        LaneTickets {
            nodes: &self.nodes,
            next: lane.head,
        }
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
