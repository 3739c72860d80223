//! What befalls the nodes of a cluster, one at a time.

use std::time::{Duration, Instant};

use super::support::{Cluster, Random, Signal};

/// The faults of nodes. P: of a primary, R: of a replica.
const WAYS: [Way; 13] = [
    Way::KillP,
    Way::KillR,
    Way::StopP,
    Way::StopR,
    Way::CutP,
    Way::CutPFromNodes,
    Way::CutR,
    Way::CutRThenKillP,
    Way::Hangup,
    Way::Swap,
    Way::KillShard,
    Way::KillAll,
    Way::Full,
];

/// A primary that is gone for so long is replaced.
const REPLACED: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// SIGKILL; it is started again after a while.
    KillP,
    KillR,
    /// SIGSTOP, then SIGCONT: the primary does not know that it was replaced.
    StopP,
    StopR,
    /// Nothing reaches it.
    CutP,
    /// Only clients do, whom it goes on to serve.
    CutPFromNodes,
    CutR,
    /// A replica is cut off, and becomes the primary with what it has: its primary is killed for good.
    CutRThenKillP,
    /// All connections of clients are closed, whatever was to come over them, and no node knows a script.
    Hangup,
    /// A replica takes its primary's place in good order.
    Swap,
    /// A primary and its replica are killed at once.
    KillShard,
    /// All nodes are.
    KillAll,
    /// No memory is left for what is to be written, on all nodes.
    Full,
}

/// What is going on.
pub struct Trouble<'a> {
    cluster: &'a Cluster,
    /// What it is, of which nodes, and until when.
    now: Option<(Way, Vec<u8>, Instant)>,
    /// It is over, and the shards may still lack replicas.
    recovers: bool,
}

impl<'a> Trouble<'a> {
    pub fn new(cluster: &'a Cluster) -> Trouble<'a> {
        cluster.wait_whole();
        Trouble {
            cluster,
            now: None,
            recovers: false,
        }
    }

    /// True until the cluster is as it should be.
    pub fn is_on(&self) -> bool {
        self.now.is_some() || self.recovers
    }

    /// Does something to a node; says what.
    pub fn disturb(&mut self, random: &mut Random) -> Option<String> {
        let primaries = self.cluster.primaries();
        let replicas = self.cluster.nodes().filter(|n| !primaries.contains(n));
        let replicas: Vec<u8> = replicas.collect();
        if primaries.len() != 3 {
            return None;
        }
        let way = *random.pick(&WAYS);
        let (primary, replica) = (*random.pick(&primaries), *random.pick(&replicas));
        let nodes = match way {
            Way::KillP | Way::StopP | Way::CutP | Way::CutPFromNodes => vec![primary],
            Way::KillR | Way::StopR | Way::CutR | Way::Swap => vec![replica],
            Way::KillShard => self.cluster.shard_of(primary),
            Way::CutRThenKillP => {
                let mut shard = self.cluster.shard_of(primary);
                shard.sort_by_key(|node| *node == primary);
                shard
            }
            Way::KillAll | Way::Full | Way::Hangup => self.cluster.nodes().collect(),
        };
        for node in &nodes {
            let ask = |words: &[&str]| drop(self.cluster.ask(*node, words));
            match way {
                Way::KillP | Way::KillR | Way::KillShard | Way::KillAll => {
                    self.cluster.signal(*node, Signal::Kill);
                }
                Way::StopP | Way::StopR => self.cluster.signal(*node, Signal::Stop),
                Way::CutP | Way::CutR => self.cluster.cut_off(*node, true),
                Way::CutPFromNodes => self.cluster.cut_off(*node, false),
                Way::CutRThenKillP if *node == primary => {}
                Way::CutRThenKillP => self.cluster.cut_off(*node, true),
                Way::Hangup => {
                    ask(&["SCRIPT", "FLUSH"]);
                    ask(&["CLIENT", "KILL", "TYPE", "normal"]);
                }
                Way::Swap => ask(&["CLUSTER", "FAILOVER"]),
                Way::Full => self.set_memory(*node, "1"),
            }
        }
        // A second is too short for the primary to be replaced, four are not.
        let lasts = Duration::from_millis(200 + random.below(6000));
        let name = format!("{way:?}");
        let said = format!("{name} of {nodes:?} for {lasts:.1?}");
        super::say(&said);
        self.now = Some((way, nodes, Instant::now() + lasts));
        Some(name)
    }

    /// Ends what has lasted long enough.
    pub fn go_on(&mut self) {
        if let Some((way, nodes, until)) = &self.now {
            if Instant::now() < *until {
                return;
            }
            let (way, nodes) = (*way, nodes.clone());
            if let (Way::CutRThenKillP, Some(primary)) = (way, nodes.last()) {
                self.cluster.signal(*primary, Signal::Kill);
                self.cluster.heal();
                self.now = Some((Way::KillP, vec![*primary], Instant::now() + REPLACED));
                return;
            }
            self.undo(way, &nodes);
            self.now = None;
            self.recovers = true;
        } else if self.recovers && self.cluster.is_whole() {
            self.recovers = false;
        }
    }

    /// Ends all, and waits until the cluster is as it should be.
    pub fn end(&mut self) {
        if let Some((way, nodes, _)) = self.now.take() {
            self.undo(way, &nodes);
        }
        self.cluster.wait_whole();
        self.recovers = false;
    }

    fn undo(&self, way: Way, nodes: &[u8]) {
        for node in nodes {
            match way {
                Way::KillP | Way::KillR | Way::KillShard | Way::KillAll => {
                    self.cluster.start_again(*node);
                }
                Way::StopP | Way::StopR => self.cluster.signal(*node, Signal::Cont),
                Way::CutP | Way::CutPFromNodes | Way::CutR => self.cluster.heal(),
                Way::CutRThenKillP => self.cluster.heal(),
                Way::Hangup | Way::Swap => {}
                Way::Full => self.set_memory(*node, "0"),
            }
        }
    }

    fn set_memory(&self, node: u8, bytes: &str) {
        self.cluster
            .ask(node, &["CONFIG", "SET", "maxmemory", bytes]);
    }
}
