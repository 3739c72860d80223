//! A lane: requests one behind another, in a list of all nodes.

use crate::store::Ticket;

/// No node.
pub const NONE: u32 = u32::MAX;

/// One pending request, packed, and the next of its lane.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    id_low: u32,
    at_low: u32,
    id_high: u16,
    at_high: u16,
    /// The one behind it.
    pub next: u32,
}

impl Node {
    pub fn new(ticket: Ticket) -> Node {
        debug_assert!(ticket.id >> 48 == 0 && ticket.at >> 48 == 0);
        Node {
            id_low: ticket.id as u32,
            at_low: ticket.at as u32,
            id_high: (ticket.id >> 32) as u16,
            at_high: (ticket.at >> 32) as u16,
            next: NONE,
        }
    }

    pub fn with_next(self, next: u32) -> Node {
        Node { next, ..self }
    }

    pub fn ticket(self) -> Ticket {
        Ticket {
            id: u64::from(self.id_high) << 32 | u64::from(self.id_low),
            at: u64::from(self.at_high) << 32 | u64::from(self.at_low),
        }
    }
}

/// Requests of one priority, in order.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    pub head: u32,
    tail: u32,
}

/// So many lanes are walked side by side …
const ABREAST: usize = 64;
/// … and so far: what was seen of them stays in the processor's cache.
const FAR: usize = 2048;

/// No requests.
pub const EMPTY_LANE: Lane = Lane {
    head: NONE,
    tail: NONE,
};

impl Lane {
    pub fn tickets(self, nodes: &[Node]) -> LaneTickets<'_> {
        LaneTickets {
            nodes,
            next: self.head,
        }
    }

    pub fn nodes(self, nodes: &[Node]) -> impl Iterator<Item = Node> {
        let node = |at: u32| nodes.get(at as usize).copied();
        std::iter::successors(node(self.head), move |last| node(last.next))
    }

    /// The same of copies that are put behind other nodes.
    pub fn copied(self, nodes: &[Node], new: &mut Vec<Node>) -> Lane {
        let mut lane = EMPTY_LANE;
        self.nodes(nodes)
            .for_each(|node| lane.append_copy(node, new));
        lane
    }

    pub fn append_copy(&mut self, node: Node, nodes: &mut Vec<Node>) {
        nodes.push(node.with_next(NONE));
        self.append(nodes.len() as u32 - 1, nodes);
    }

    pub fn append(&mut self, node: u32, nodes: &mut [Node]) {
        match self.tail {
            NONE => self.head = node,
            tail => nodes[tail as usize].next = node,
        }
        self.tail = node;
    }

    /// Another lane goes behind this one.
    pub fn join(&mut self, behind: Lane, nodes: &mut [Node]) {
        match (self.tail, behind.head) {
            (_, NONE) => {}
            (NONE, _) => *self = behind,
            (tail, head) => {
                nodes[tail as usize].next = head;
                self.tail = behind.tail;
            }
        }
    }

    /// Takes the first of a lane that is not empty.
    pub fn take(&mut self, nodes: &[Node]) -> u32 {
        let node = self.head;
        self.head = nodes[node as usize].next;
        if self.head == NONE {
            self.tail = NONE;
        }
        node
    }
}

/// For who walks one lane after another, called with each before. Every so many lanes it walks the next ones side by
/// side, which lets the processor wait for the cache misses of all of them at once: where a request lies is known
/// only from the one before, and to write 100 M of them down took 10 s.
pub fn touch(lanes: &[Lane], next: usize, nodes: &[Node]) {
    if !next.is_multiple_of(ABREAST) {
        return;
    }
    let mut heads = [NONE; ABREAST];
    for (head, lane) in heads.iter_mut().zip(lanes.iter().skip(next)) {
        *head = lane.head;
    }
    for _ in 0..FAR {
        let mut is_over = true;
        for head in &mut heads {
            if let Some(node) = nodes.get(*head as usize) {
                *head = node.next;
                is_over = false;
            }
        }
        if is_over {
            break;
        }
    }
    std::hint::black_box(heads);
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
