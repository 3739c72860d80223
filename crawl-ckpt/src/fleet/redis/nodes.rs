//! The nodes of an engine, one or a cluster of them, and a connection to each. One that does not answer is
//! left alone for a moment, so that the others are not held up by it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::redis::{Arg, Cmd, Connection, RedisError, Value, cmd, from_redis_value_ref, pipe};

use super::scripts;
use super::slots::{SlotMap, slot_of};
use super::tls;
use crate::fleet::depot::FULL;
use crate::fleet::{DepotError, NodeAddress, StoreUrl};
use crate::human::counted;
use crate::mutex::lock;

/// The map of a cluster is asked for so often, at most.
const REFRESH: Duration = Duration::from_millis(200);
/// So long one node may take to tell of it.
const TELLING: Duration = Duration::from_secs(1);
/// The least and the most time for which a node is left alone.
const REST: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(4));
/// What a node says when its slots may be another's by now.
const ELSEWHERE: [&str; 8] = [
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "READONLY",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "LOADING",
    "NOSCRIPT",
];

/// What a node answers to one command.
type NodeAnswer = Result<Value, DepotError>;

/// Connections of one thread.
#[derive(Debug)]
pub struct Nodes {
    shared: Arc<Whereabouts>,
    /// So long one answer is waited for.
    answer: Duration,
    links: HashMap<NodeAddress, NodeLink>,
    is_stale: bool,
    refreshed: Option<Instant>,
    /// Whom to ask first for the map.
    turn: usize,
}

/// What all threads know.
#[derive(Debug)]
struct Whereabouts {
    url: StoreUrl,
    map: Mutex<Option<Arc<SlotMap>>>,
}

#[derive(Default)]
struct NodeLink {
    connection: Option<Connection>,
    /// It is left alone until then, because of this.
    rests: Option<(Instant, DepotError)>,
    /// The same for what waits for copies.
    is_thin: Option<(Instant, DepotError)>,
}

impl std::fmt::Debug for NodeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeLink")
            .field("rests", &self.rests)
            .finish_non_exhaustive()
    }
}

impl From<RedisError> for DepotError {
    fn from(error: RedisError) -> DepotError {
        if let Some(why) = tls::refusal(&error) {
            return DepotError::Refused(why);
        }
        let why = if error.is_timeout() {
            // The system's words for it are of no use to anybody.
            "no answer in time".to_owned()
        } else {
            error.to_string()
        };
        // Wrong passwords and rights do not become right.
        let refused = match error.code() {
            Some("NOAUTH") => {
                "authentication required: the password is in $CRAWL_STORE_PASSWORD".to_owned()
            }
            Some("NOPERM") => no_permission(&why),
            Some("OOM") => return DepotError::Unsure(FULL.to_owned()),
            code if code == Some("WRONGPASS")
                || error.kind() == ::redis::ErrorKind::AuthenticationFailed =>
            {
                "authentication failed: wrong user, or wrong password in $CRAWL_STORE_PASSWORD"
                    .to_owned()
            }
            _ => return DepotError::Unsure(why),
        };
        DepotError::Refused(refused)
    }
}

/// What a user may not do is said once for each command of a pipeline.
fn no_permission(why: &str) -> String {
    let first = why
        .split_once("permissions to ")
        .map_or(why, |(_, rest)| rest);
    let first = first.split([')', ',']).next().unwrap_or_default();
    format!(
        "its user has no permission to {first}: ACL SETUSER NAME ~* +@all gives all that is needed"
    )
}

impl Nodes {
    /// Those of a store; nothing is asked yet.
    pub fn new(url: &StoreUrl, answer: Duration) -> Nodes {
        let shared = Whereabouts {
            url: url.clone(),
            map: Mutex::new(None),
        };
        Nodes::over(Arc::new(shared), answer)
    }

    /// The same for another thread, which waits so long for an answer.
    pub fn another(&self, answer: Duration) -> Nodes {
        Nodes::over(self.shared.clone(), answer)
    }

    fn over(shared: Arc<Whereabouts>, answer: Duration) -> Nodes {
        Nodes {
            shared,
            answer,
            links: HashMap::new(),
            is_stale: false,
            refreshed: None,
            turn: 0,
        }
    }

    /// So long an answer is waited for.
    pub fn answer(&self) -> Duration {
        self.answer
    }

    /// Asks each node for what it has the keys of, all of a node in one go. With `copies`, an answer stands
    /// for what as many replicas have, which holds for commands that write.
    pub fn ask_each(&mut self, commands: &[Cmd], copies: u32) -> Vec<NodeAnswer> {
        let map = match self.map() {
            Ok(map) => map,
            Err(error) => return commands.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut told: Vec<NodeAnswer> = Vec::new();
        let mut groups: BTreeMap<&NodeAddress, Vec<usize>> = BTreeMap::new();
        for (at, command) in commands.iter().enumerate() {
            let slot = key_of(command).map_or(0, slot_of);
            if let Some(node) = map.primary(slot) {
                groups.entry(node).or_default().push(at);
            } else {
                self.is_stale = true;
            }
            told.push(Err(DepotError::Unsure("no node has that key".into())));
        }
        // All are told before the first is heard, so that they work at the same time.
        let mut sent = Vec::new();
        for (node, group) in groups {
            let begun = Instant::now();
            let mut bytes = Vec::new();
            for at in &group {
                commands[*at].write_packed_command(&mut bytes);
            }
            match self.send(node, bytes, copies) {
                Ok(()) => sent.push((node, group, begun)),
                Err(error) => group.iter().for_each(|at| told[*at] = Err(error.clone())),
            }
        }
        for (node, group, begun) in sent {
            match self.hear(node, group.len(), copies, begun) {
                Ok(answers) => group
                    .into_iter()
                    .zip(answers)
                    .for_each(|(at, answer)| told[at] = answer),
                Err(error) => group.iter().for_each(|at| told[*at] = Err(error.clone())),
            }
        }
        told
    }

    /// Asks every node the same, replicas too.
    ///
    /// # Errors
    /// When no node tells who the others are.
    pub fn ask_everyone(
        &mut self,
        command: &Cmd,
    ) -> Result<Vec<(NodeAddress, NodeAnswer)>, DepotError> {
        let map = self.map()?;
        let primaries = map.primaries().into_iter();
        let all = primaries.chain(map.replicas());
        let told = all.map(|node| {
            let told = self
                .fresh(node)
                .and_then(|mut connection| Ok(command.query(&mut connection)?));
            (node.clone(), told)
        });
        Ok(told.collect())
    }

    fn send(
        &mut self,
        node: &NodeAddress,
        mut bytes: Vec<u8>,
        copies: u32,
    ) -> Result<(), DepotError> {
        let (begun, now) = (Instant::now(), Instant::now());
        let link = self.links.entry(node.clone()).or_default();
        let rests = link.rests.iter();
        let thin = link.is_thin.iter().filter(|_| copies > 0);
        if let Some((_, why)) = rests.chain(thin).find(|(until, _)| now < *until) {
            return Err(why.clone());
        }
        if copies > 0 {
            let wait_ms = (self.answer / 2).as_millis() as u64;
            let mut wait = cmd("WAIT");
            wait.arg(copies)
                .arg(wait_ms)
                .write_packed_command(&mut bytes);
        }
        let sent = self.connect(node).and_then(|connection| {
            connection.send_packed_command(&bytes)?;
            Ok(())
        });
        sent.map_err(|error| self.give_up(node, begun, error))
    }

    /// Hears so many answers of a node, and what came of the wait for copies.
    fn hear(
        &mut self,
        node: &NodeAddress,
        count: usize,
        copies: u32,
        begun: Instant,
    ) -> Result<Vec<NodeAnswer>, DepotError> {
        let link = self.links.entry(node.clone()).or_default();
        let Some(connection) = link.connection.as_mut() else {
            return Err(DepotError::Unsure(format!(
                "the connection to {node} is lost"
            )));
        };
        let mut answers = Vec::with_capacity(count);
        let mut is_elsewhere = false;
        for _ in 0..count + usize::from(copies > 0) {
            match connection.recv_response() {
                Ok(answer) => answers.push(answer.extract_error().map_err(|error| {
                    let code = error.code();
                    is_elsewhere |= code.is_some_and(|code| ELSEWHERE.contains(&code));
                    DepotError::from(error)
                })),
                Err(error) => return Err(self.give_up(node, begun, error.into())),
            }
        }
        link.rests = None;
        let have = (copies > 0).then(|| answers.pop()).flatten();
        if is_elsewhere {
            link.connection = None;
            self.is_stale = true;
        }
        let have = have.map(|have| {
            from_redis_value_ref::<u32>(&have?)
                .map_err(RedisError::from)
                .map_err(DepotError::from)
        });
        let have = have.unwrap_or(Ok(0))?;
        if have < copies {
            let of = counted(u64::from(copies), "replica");
            let error = DepotError::Unsure(format!("{have} of {of} of {node} answered"));
            link.is_thin = Some((Instant::now() + rest(begun), error.clone()));
            // Another may be the primary by now.
            self.is_stale = true;
            return Err(error);
        }
        link.is_thin = None;
        Ok(answers)
    }

    /// Nobody knows what still comes over the connection, nor whether another is the primary by now.
    fn give_up(&mut self, node: &NodeAddress, begun: Instant, error: DepotError) -> DepotError {
        let error = match error {
            DepotError::Unsure(why) => DepotError::Unsure(format!("{node}: {why}")),
            DepotError::Refused(why) => DepotError::Refused(format!("{node}: {why}")),
        };
        let link = self.links.entry(node.clone()).or_default();
        link.connection = None;
        link.rests = Some((Instant::now() + rest(begun), error.clone()));
        self.is_stale = true;
        error
    }

    fn connect(&mut self, node: &NodeAddress) -> Result<&mut Connection, DepotError> {
        let open = self
            .links
            .get_mut(node)
            .and_then(|link| link.connection.take());
        let connection = match open {
            Some(connection) => connection,
            None => {
                let mut connection = self.fresh(node)?;
                let mut load = pipe();
                for script in scripts::ALL {
                    load.cmd("SCRIPT").arg("LOAD").arg(script).ignore();
                }
                load.query::<()>(&mut connection)?;
                connection
            }
        };
        let link = self.links.entry(node.clone()).or_default();
        Ok(link.connection.insert(connection))
    }

    fn fresh(&self, node: &NodeAddress) -> Result<Connection, DepotError> {
        let url = self.shared.url.exposed(node);
        let url = url.ok_or_else(|| DepotError::Unsure(format!("{node} is no address")))?;
        let client = tls::client(&url)?;
        let begin = || {
            let mut connection = client.get_connection_with_timeout(self.telling())?;
            connection.set_read_timeout(Some(self.answer))?;
            connection.set_write_timeout(Some(self.answer))?;
            // Says more plainly than what follows why it is refused.
            cmd("PING").query::<()>(&mut connection)?;
            Ok(connection)
        };
        begin().map_err(|error: RedisError| {
            let error = DepotError::from(error);
            // Once a node has told of the others, the scheme is right.
            let is_new = lock(&self.shared.map).is_none();
            if !is_new || matches!(error, DepotError::Refused(_)) {
                return error;
            }
            let wrong = tls::wrong_scheme(&url, node, TELLING);
            wrong.map_or(error, |why| DepotError::Refused(why.to_owned()))
        })
    }

    /// So long a node may take to begin: longer each time, as long as none ever has. A machine that has much to do
    /// takes seconds for the first words of TLS.
    fn telling(&self) -> Duration {
        let is_new = lock(&self.shared.map).is_none();
        let tries = self.turn.saturating_sub(1).min(8) as u32;
        let most = TELLING * if is_new { 1 << tries } else { 1 };
        most.min(self.answer)
    }

    /// Who has what, as far as it is known.
    fn map(&mut self) -> Result<Arc<SlotMap>, DepotError> {
        let known = lock(&self.shared.map).clone();
        let is_young = self.refreshed.is_some_and(|at| at.elapsed() < REFRESH);
        if let Some(map) = known.clone().filter(|_| !self.is_stale || is_young) {
            return Ok(map);
        }
        self.refreshed = Some(Instant::now());
        match self.ask_for_map(known.as_deref()) {
            Ok(map) => {
                let map = Arc::new(map);
                *lock(&self.shared.map) = Some(map.clone());
                self.is_stale = false;
                Ok(map)
            }
            // What was known is asked again; it may have come back.
            Err(error) => known.ok_or(error),
        }
    }

    fn ask_for_map(&mut self, known: Option<&SlotMap>) -> Result<SlotMap, DepotError> {
        let begun = Instant::now();
        let mut nodes: Vec<NodeAddress> = self.shared.url.hosts().to_vec();
        if let Some(map) = known {
            let primaries = map.primaries().into_iter();
            nodes.extend(primaries.chain(map.replicas()).cloned());
        }
        let first = self.turn % nodes.len();
        nodes.rotate_left(first);
        // Each time another one is asked first: one that was cut off knows no better.
        self.turn += 1;
        let mut unsound = None;
        let mut error = DepotError::Unsure("no node answers".into());
        for node in nodes {
            match self.tell_map(&node) {
                Ok((map, true)) => return Ok(map),
                Ok((map, false)) => unsound = Some(map),
                Err(DepotError::Refused(why)) => {
                    return Err(DepotError::Refused(format!("{node}: {why}")));
                }
                Err(DepotError::Unsure(why)) => {
                    error = DepotError::Unsure(format!("{node}: {why}"));
                }
            }
            if begun.elapsed() > self.answer {
                break;
            }
        }
        unsound.ok_or(error)
    }

    /// What a node says of the cluster, and whether it sees most of it.
    fn tell_map(&self, node: &NodeAddress) -> Result<(SlotMap, bool), DepotError> {
        let mut connection = self.fresh(node)?;
        connection.set_read_timeout(Some(self.telling()))?;
        match cmd("CLUSTER").arg("INFO").query::<String>(&mut connection) {
            Ok(info) => {
                let slots: Value = cmd("CLUSTER").arg("SLOTS").query(&mut connection)?;
                let map = SlotMap::read(&slots, node);
                let map = map.ok_or_else(|| DepotError::Unsure("it is in no cluster".into()))?;
                Ok((map, info.contains("cluster_state:ok")))
            }
            Err(error) if error.is_io_error() => Err(error.into()),
            // One that is in no cluster.
            Err(_) => {
                let role: Vec<Value> = cmd("ROLE").query(&mut connection)?;
                let role: String = role
                    .first()
                    .map_or(Ok(String::new()), from_redis_value_ref)
                    .map_err(RedisError::from)?;
                if role != "master" {
                    return Err(DepotError::Unsure("that node is a replica".into()));
                }
                Ok((SlotMap::of_one(node.clone()), true))
            }
        }
    }
}

/// So long a node is left alone whose failure took since `begun`.
fn rest(begun: Instant) -> Duration {
    (begun.elapsed() * 2).clamp(REST.0, REST.1)
}

/// The key of a command; `None` for one that is of the whole node.
fn key_of(command: &Cmd) -> Option<&[u8]> {
    let mut words = command.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        // A cursor; no command here has one.
        _ => &b"0"[..],
    });
    match words.next()? {
        b"EVALSHA" => words.nth(2),
        b"MEMORY" => words.nth(1),
        b"INFO" | b"CONFIG" | b"PING" => None,
        _ => words.next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_user_may_not_do_is_said_once() {
        let each = "NoPerm: this user has no permissions to run the 'script|load' command";
        let why =
            format!("Pipeline failures: [(Index 0, error: {each}), (Index 1, error: {each})]");
        let told = no_permission(&why);
        assert!(
            told.starts_with("its user has no permission to run the 'script|load' command: "),
            "{told}"
        );
    }
}
