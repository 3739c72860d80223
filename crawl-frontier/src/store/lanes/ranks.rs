//! What waits with a priority: lanes in memory, the highest first, and what of it is aside.
//!
//! Of one priority, those that are near came first, then those aside, then those behind.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use super::lane::{EMPTY_LANE, Lane, LaneTickets, NONE, Node};
use super::ranked::{NewRankedRun, RankedAside, RankedBlocks, RunPlace};
use crate::store::Ticket;

/// A lane takes as much memory as so many requests.
const LANE_NODES: usize = 2;

/// Lanes of one host by priority, the highest first.
type Priorities = BTreeMap<Reverse<i64>, Lane>;

/// All that has a priority, host by host; hardly a host has any.
#[derive(Debug, Default)]
pub struct Ranks {
    near: HashMap<u32, Priorities>,
    behind: HashMap<u32, Priorities>,
    /// How many lanes there are.
    lanes: usize,
    aside: Option<RankedAside>,
}

/// Where a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whence {
    Near,
    Aside,
    Behind,
}

impl Ranks {
    /// True when nothing has a priority.
    pub fn is_empty(&self) -> bool {
        self.near.is_empty() && self.behind.is_empty() && self.aside.is_none()
    }

    /// As many requests take as much memory as the lanes do.
    pub fn room(&self) -> usize {
        self.lanes * LANE_NODES
    }

    /// True when some are aside.
    pub fn has_aside(&self) -> bool {
        self.aside.is_some()
    }

    /// How many of a host are aside.
    pub fn left_aside(&self, host: u32) -> u32 {
        self.aside.as_ref().map_or(0, |aside| aside.left(host))
    }

    /// How many of a host there are.
    pub fn count(&self, host: u32, nodes: &[Node]) -> usize {
        let lanes = [&self.near, &self.behind].into_iter();
        let lanes = lanes.filter_map(|of| of.get(&host)).flatten();
        let counts = lanes.map(|(_, lane)| lane.tickets(nodes).count());
        counts.sum::<usize>() + self.left_aside(host) as usize
    }

    /// The lane of a host for who comes now with this priority.
    pub fn lane(&mut self, host: u32, priority: i64) -> &mut Lane {
        let top = self.aside.as_ref().and_then(|aside| aside.top(host));
        let is_behind = top.is_some_and(|top| priority <= top) || {
            let behind = self.behind.get(&host);
            behind.is_some_and(|behind| behind.contains_key(&Reverse(priority)))
        };
        let whence = if is_behind {
            Whence::Behind
        } else {
            Whence::Near
        };
        self.lane_at(host, priority, whence)
    }

    /// The lane of a host there.
    pub fn lane_at(&mut self, host: u32, priority: i64, whence: Whence) -> &mut Lane {
        let of = match whence {
            Whence::Behind => &mut self.behind,
            Whence::Near | Whence::Aside => &mut self.near,
        };
        let lanes = &mut self.lanes;
        let of_host = of.entry(host).or_default();
        of_host.entry(Reverse(priority)).or_insert_with(|| {
            *lanes += 1;
            EMPTY_LANE
        })
    }

    /// The priority of the request of a host that goes first, and where it waits.
    pub fn first(&self, host: u32) -> Option<(i64, Whence)> {
        let first = |of: &HashMap<u32, Priorities>| {
            let (Reverse(priority), _) = of.get(&host)?.first_key_value()?;
            Some(*priority)
        };
        let aside = self.aside.as_ref().and_then(|aside| aside.top(host));
        let firsts = [
            (first(&self.near), Whence::Near),
            (aside, Whence::Aside),
            (first(&self.behind), Whence::Behind),
        ];
        let firsts = firsts.into_iter();
        let firsts = firsts.filter_map(|(priority, whence)| Some((priority?, whence)));
        firsts.min_by_key(|(priority, whence)| (Reverse(*priority), *whence))
    }

    /// Takes the request of a host that goes first of those that wait there, in memory.
    pub fn take(&mut self, host: u32, whence: Whence, nodes: &[Node]) -> Option<u32> {
        let of = match whence {
            Whence::Near => &mut self.near,
            Whence::Behind => &mut self.behind,
            Whence::Aside => return None,
        };
        let of_host = of.get_mut(&host)?;
        let mut first = of_host.first_entry()?;
        let node = first.get_mut().take(nodes);
        if first.get().head == NONE {
            first.remove();
            self.lanes -= 1;
            if of_host.is_empty() {
                of.remove(&host);
            }
        }
        Some(node)
    }

    /// Takes so many of a host that are aside; they are near from now on.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn fetch(&mut self, host: u32, most: u32) -> io::Result<Vec<(i64, Ticket)>> {
        match &mut self.aside {
            Some(aside) => aside.take(host, most),
            None => Ok(Vec::new()),
        }
    }

    /// Takes the lanes of a host out, each with where it was.
    pub fn take_lanes(&mut self, host: u32) -> impl Iterator<Item = (i64, Whence, Lane)> + use<> {
        let near = self.near.remove(&host).unwrap_or_default();
        let behind = self.behind.remove(&host).unwrap_or_default();
        self.lanes -= near.len() + behind.len();
        let lane = |whence| move |(Reverse(priority), lane)| (priority, whence, lane);
        let near = near.into_iter().map(lane(Whence::Near));
        near.chain(behind.into_iter().map(lane(Whence::Behind)))
    }

    /// Goes through those that are aside and keeps those that are to stay.
    ///
    /// # Errors
    /// Errors of the disk: all is as it was then.
    pub fn sweep_aside(&mut self, stays: impl FnMut(u32, Ticket) -> bool) -> io::Result<()> {
        match &mut self.aside {
            Some(aside) => aside.sweep(stays),
            None => Ok(()),
        }
    }

    /// Those of a host that are near, the highest priority first.
    pub fn near<'n>(&self, host: u32, nodes: &'n [Node]) -> impl Iterator<Item = LaneTickets<'n>> {
        let lanes = self.near.get(&host).into_iter().flatten();
        lanes.map(|(_, lane)| lane.tickets(nodes))
    }

    /// Tells the requests of a host in the order in which they go. `last` is for who asks for one host after another.
    ///
    /// # Errors
    /// Errors of the disk, and of `each`.
    pub fn each(
        &self,
        host: u32,
        nodes: &[Node],
        last: &mut RankedBlocks,
        mut each: impl FnMut(i64, Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        let lanes = |of: &HashMap<u32, Priorities>, whence| {
            let of_host = of.get(&host).into_iter().flatten();
            let lanes = of_host.map(|(priority, lane)| ((*priority, whence), *lane));
            lanes.collect::<Vec<_>>()
        };
        let mut all = lanes(&self.near, Whence::Near);
        all.append(&mut lanes(&self.behind, Whence::Behind));
        all.sort_unstable_by_key(|(rank, _)| *rank);
        let mut all = all.into_iter().peekable();
        if let Some(aside) = &self.aside {
            aside.of(host, last, |priority, ticket| {
                let next = (Reverse(priority), Whence::Aside);
                while let Some(((Reverse(priority), _), lane)) =
                    all.next_if(|(rank, _)| *rank < next)
                {
                    lane.tickets(nodes)
                        .try_for_each(|ticket| each(priority, ticket))?;
                }
                each(priority, ticket)
            })?;
        }
        all.try_for_each(|((Reverse(priority), _), lane)| {
            lane.tickets(nodes)
                .try_for_each(|ticket| each(priority, ticket))
        })
    }

    /// Copies the nodes. When there are more than `few`, what is behind the first `keep` of a host, and all
    /// that came behind what is aside, is put aside in this directory.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn copy(
        &mut self,
        (few, keep): (usize, usize),
        dir: &Path,
        nodes: &[Node],
        new: &mut Vec<Node>,
    ) -> io::Result<()> {
        let all = self.near.values().chain(self.behind.values()).flatten();
        let count = all.map(|(_, lane)| lane.tickets(nodes).count());
        if count.sum::<usize>() + self.room() <= few {
            let all = self.near.values_mut().chain(self.behind.values_mut());
            for lane in all.flat_map(BTreeMap::values_mut) {
                *lane = lane.copied(nodes, new);
            }
            return Ok(());
        }
        let aside = match &mut self.aside {
            Some(aside) => aside,
            none => none.insert(RankedAside::create(dir)?),
        };
        let mut run = NewRankedRun::default();
        for (host, lanes) in in_order(&mut self.near) {
            let (mut left, mut kept) = (keep, Priorities::new());
            for (priority, lane) in lanes {
                let mut kept_lane = EMPTY_LANE;
                for node in lane.nodes(nodes) {
                    if left > 0 {
                        left -= 1;
                        kept_lane.append_copy(node, new);
                    } else {
                        aside.push(&mut run, host, (priority.0, node.ticket()))?;
                    }
                }
                if kept_lane.head != NONE {
                    kept.insert(priority, kept_lane);
                }
            }
            if !kept.is_empty() {
                self.near.insert(host, kept);
            }
        }
        aside.finish(run, RunPlace::Before)?;
        let mut run = NewRankedRun::default();
        for (host, lanes) in in_order(&mut self.behind) {
            for (priority, lane) in lanes {
                for ticket in lane.tickets(nodes) {
                    aside.push(&mut run, host, (priority.0, ticket))?;
                }
            }
        }
        aside.finish(run, RunPlace::Behind)?;
        self.lanes = self.near.values().map(BTreeMap::len).sum();
        Ok(())
    }
}

fn in_order(of: &mut HashMap<u32, Priorities>) -> Vec<(u32, Priorities)> {
    let mut hosts: Vec<_> = std::mem::take(of).into_iter().collect();
    hosts.sort_unstable_by_key(|(host, _)| *host);
    hosts
}
