//! What waits in each host: first come first served within a priority.
//!
//! A pending request is 16 bytes: its id, where it lies, and a link to the next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use super::Ticket;
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

    fn take(&mut self, nodes: &[Node]) -> u32 {
        let node = self.head;
        self.head = nodes[node as usize].next;
        if self.head == NONE {
            self.tail = NONE;
        }
        node
    }
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
        }
    }

    /// Adds a request behind those of its priority.
    pub fn push(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        debug_assert!(self.arrived.is_none(), "what arrived must settle first");
        self.append(id, ticket, priority);
    }

    fn append(&mut self, id: HostId, ticket: Ticket, priority: i64) {
        let node = self.node(ticket);
        self.grow(id.0 as usize + 1);
        lane(&mut self.plain, &mut self.others, id.0, priority).append(node, &mut self.nodes);
    }

    /// Takes the first request of a host.
    pub fn pop(&mut self, id: HostId) -> Option<Ticket> {
        let plain = self.plain.get_mut(id.0 as usize)?;
        let has_plain = plain.head != NONE;
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
            _ if has_plain => plain.take(&self.nodes),
            _ => return None,
        };
        Some(self.release(node))
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
            let lane = lane(&mut self.plain, &mut self.others, node.next, priority);
            lane.append(kept as u32, &mut self.nodes);
            counts[host].pending += 1;
            kept += 1;
        }
        self.nodes.truncate(kept);
        self.nodes.shrink_to(kept + kept / 4);
        counts
    }

    /// Goes through all requests and keeps those that are to stay. Tells how many each host has.
    pub fn sweep(&mut self, mut stays: impl FnMut(HostId, Ticket) -> bool) -> Vec<u32> {
        let mut counts = Vec::with_capacity(self.plain.len());
        for id in 0..self.plain.len() as u32 {
            let plain = std::mem::replace(&mut self.plain[id as usize], EMPTY_LANE);
            let others = self.others.remove(&id).unwrap_or_default().into_iter();
            let others = others.map(|(Reverse(priority), lane)| (priority, lane));
            let mut count = 0;
            for (priority, lane) in others.chain([(0, plain)]) {
                let mut node = lane.head;
                while node != NONE {
                    let Node { next, .. } = self.nodes[node as usize];
                    let ticket = self.release(node);
                    if stays(HostId(id), ticket) {
                        // In the node that was released, so what arrived and did not settle stays where it is.
                        self.append(HostId(id), ticket, priority);
                        count += 1;
                    }
                    node = next;
                }
            }
            counts.push(count);
        }
        counts
    }

    /// The requests of one host, the highest priority first.
    pub fn of(&self, id: HostId) -> Vec<(i64, Vec<Ticket>)> {
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

    fn tickets(&self, lane: &Lane) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        let mut node = lane.head;
        while node != NONE {
            tickets.push(self.nodes[node as usize].ticket());
            node = self.nodes[node as usize].next;
        }
        tickets
    }

    fn grow(&mut self, hosts: usize) {
        if self.plain.len() < hosts {
            grow_by_quarters(&mut self.plain, hosts);
            self.plain.resize(hosts, EMPTY_LANE);
        }
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

fn lane<'a>(
    plain: &'a mut [Lane],
    others: &'a mut HashMap<u32, Priorities>,
    host: u32,
    priority: i64,
) -> &'a mut Lane {
    if priority == 0 {
        return &mut plain[host as usize];
    }
    let others = others.entry(host).or_default();
    others.entry(Reverse(priority)).or_insert(EMPTY_LANE)
}

#[cfg(test)]
mod tests;
