//! A Redis Cluster of a test's own, started by `scripts/cluster`, whose nodes can be killed, stopped, and cut
//! off from one another.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::redis::can_speak_tls;
use super::{DEADLINE, Folder, Random, Signal, has, send_signal};

/// Three primaries and their replicas.
const NODES: u8 = 6;
/// A primary is replaced after so much silence.
const TIMEOUT_MS: &str = "1500";

/// The least time between two looks at whose connections there are.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A cluster in a folder of its own. Ended when dropped.
pub struct Cluster {
    folder: Folder,
    port: u16,
    links: Arc<Links>,
    is_secure: bool,
}

/// What is passed on between nodes, and from clients, who are number 0.
#[derive(Default)]
struct Links {
    cut: Mutex<Cut>,
    changed: Condvar,
    /// Held by who looks whose the connections are.
    look: Mutex<()>,
}

/// What is not.
#[derive(Default)]
struct Cut {
    nodes: HashSet<(u8, u8)>,
    /// Clients by their processes, and whose the ports are that their connections come from: those of
    /// connections too that they gave up.
    clients: HashSet<u32>,
    ports: HashMap<u16, u32>,
    /// So many looks at these were begun.
    looks: u64,
}

/// A connection: from a node or a client to a node, or back; with the port that a client has for it.
#[derive(Clone, Copy)]
struct Link {
    from: u8,
    to: u8,
    client: Option<u16>,
}

fn ip(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 10 + node)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/cluster")
}

impl Cluster {
    /// Starts one that syncs each write; `None`, and a word of it, when Redis is not installed.
    pub fn start() -> Option<Cluster> {
        Cluster::start_as(false)
    }

    /// The same, of nodes that speak TLS alone, also to each other.
    pub fn secure() -> Option<Cluster> {
        can_speak_tls().then(|| Cluster::start_as(true)).flatten()
    }

    fn start_as(is_secure: bool) -> Option<Cluster> {
        if !has("redis-server") || !has("redis-cli") {
            return None;
        }
        let mut random = Random(Random::any_seed());
        // Ports that were free a moment ago may be taken.
        for _ in 0..5 {
            let links = Arc::new(Links::default());
            let port = (0..1000).find_map(|_| relay_at(&links, 6000 + random.below(3800) as u16));
            let port = port.expect("no free ports");
            let cluster = Cluster {
                folder: Folder::new(),
                port,
                links,
                is_secure,
            };
            let (port, own) = (port.to_string(), std::process::id().to_string());
            let started = Command::new(script())
                .arg("start")
                .arg(cluster.dir())
                .args(["--relayed", "--port", &port, "--timeout", TIMEOUT_MS])
                .args(["--until", &own])
                .args(is_secure.then_some("--tls"))
                .output()
                .unwrap();
            if started.status.success() {
                return Some(cluster);
            }
            eprintln!("{}", String::from_utf8_lossy(&started.stderr));
        }
        panic!("scripts/cluster does not start");
    }

    fn dir(&self) -> PathBuf {
        self.folder.join("cluster")
    }

    /// Where it is, for `--store`.
    pub fn url(&self) -> String {
        let scheme = if self.is_secure { "rediss" } else { "redis" };
        format!("{scheme}://{}:{}/", ip(1), self.port + 1)
    }

    /// The same, by all its nodes.
    pub fn url_of_all(&self) -> String {
        let scheme = if self.is_secure { "rediss" } else { "redis" };
        let nodes = self
            .nodes()
            .map(|node| format!("{}:{}", ip(node), self.port + 1));
        format!("{scheme}://{}/", nodes.collect::<Vec<_>>().join(","))
    }

    /// By whom the certificates of a secure one were issued.
    pub fn authority(&self) -> PathBuf {
        self.dir().join("tls/ca.pem")
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = u8> + use<> {
        1..=NODES
    }

    /// What a node says to a command, asked past all cuts; `None` when it says nothing.
    pub fn ask(&self, node: u8, words: &[&str]) -> Option<String> {
        if self.is_secure {
            return self.ask_over_tls(node, words);
        }
        let address = SocketAddr::new(IpAddr::V4(ip(node)), self.port);
        let limit = Duration::from_secs(1);
        let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        stream.write_all(command.as_bytes()).ok()?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end();
        let Some(length) = line.strip_prefix('$') else {
            return Some(line.get(1..)?.to_owned());
        };
        let mut text = vec![0; length.parse().ok()?];
        reader.read_exact(&mut text).ok()?;
        String::from_utf8(text).ok()
    }

    fn ask_over_tls(&self, node: u8, words: &[&str]) -> Option<String> {
        let mut asking = Command::new("redis-cli");
        asking.args(["-h", &ip(node).to_string(), "-p", &self.port.to_string()]);
        asking.args(["--tls", "--cacert"]).arg(self.authority());
        let told = asking.args(words).output().unwrap();
        let text = String::from_utf8(told.stdout).ok()?;
        told.status.success().then(|| text.trim_end().to_owned())
    }

    /// A line of its INFO.
    fn info(&self, node: u8, section: &str, name: &str) -> Option<String> {
        let text = self.ask(node, &["INFO", section])?;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::to_owned)
    }

    /// The nodes that think that they are primaries.
    pub fn primaries(&self) -> Vec<u8> {
        let role = |node: &u8| self.info(*node, "replication", "role");
        let is_primary = |node: &u8| role(node).as_deref() == Some("master");
        self.nodes().filter(is_primary).collect()
    }

    /// A primary and its replicas.
    pub fn shard_of(&self, primary: u8) -> Vec<u8> {
        let host = ip(primary).to_string();
        let follows = |node: &u8| {
            let master = self.info(*node, "replication", "master_host");
            *node == primary || master.as_ref() == Some(&host)
        };
        self.nodes().filter(follows).collect()
    }

    /// True when every shard has a primary that all know and a replica that is in step.
    pub fn is_whole(&self) -> bool {
        let sees_all = |node| {
            let info = self.ask(node, &["CLUSTER", "INFO"]).unwrap_or_default();
            info.contains("cluster_state:ok") && info.contains("cluster_slots_fail:0")
        };
        let has = |node, name: &str, value: &str| {
            self.info(node, "replication", name).as_deref() == Some(value)
        };
        let primaries = self.primaries();
        primaries.len() == 3
            && self.nodes().all(|node| {
                sees_all(node)
                    && if primaries.contains(&node) {
                        has(node, "connected_slaves", "1")
                    } else {
                        has(node, "master_link_status", "up")
                    }
            })
    }

    /// Waits for that.
    pub fn wait_whole(&self) {
        let begun = Instant::now();
        while !self.is_whole() {
            assert!(begun.elapsed() < DEADLINE, "the cluster does not recover");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal to the process of a node.
    pub fn signal(&self, node: u8, signal: Signal) {
        let file = self.dir().join(format!("{node}/redis.pid"));
        let pid = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(pid) = pid.trim().parse::<i64>() else {
            return;
        };
        let title = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if title.starts_with(b"redis-server") {
            send_signal(signal, pid);
        }
    }

    /// Starts a node again that was killed.
    pub fn start_again(&self, node: u8) {
        let mut command = Command::new(script());
        command
            .args(["node", &node.to_string()])
            .arg(self.dir())
            .args(["--port", &self.port.to_string()]);
        let started = command.output().unwrap();
        assert!(started.status.success(), "{started:?}");
    }

    /// Kills all of these nodes, and waits until none of them answers.
    pub fn kill(&self, nodes: &[u8]) {
        nodes
            .iter()
            .for_each(|node| self.signal(*node, Signal::Kill));
        let begun = Instant::now();
        while nodes
            .iter()
            .any(|node| self.ask(*node, &["PING"]).is_some())
        {
            assert!(begun.elapsed() < DEADLINE, "a node outlives SIGKILL");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has a node that was killed forget all keys; it stays in the cluster.
    pub fn wipe(&self, node: u8) {
        let files = self.dir().join(format!("{node}/appendonlydir"));
        std::fs::remove_dir_all(files).unwrap();
    }

    /// Passes nothing on between a node and the other ones; nor between it and clients, if these are meant too.
    pub fn cut_off(&self, node: u8, from_clients: bool) {
        let first = u8::from(!from_clients);
        let others = (first..=NODES).filter(|other| *other != node);
        let pairs = others.flat_map(|other| [(node, other), (other, node)]);
        self.links.cut.lock().unwrap().nodes.extend(pairs);
    }

    /// Passes on what is between nodes, and between all clients and nodes, again.
    pub fn heal(&self) {
        self.links.cut.lock().unwrap().nodes.clear();
        self.links.changed.notify_all();
    }

    /// Passes nothing on between a process and all nodes: what it sends waits.
    pub fn cut_off_client(&self, pid: u32) {
        self.links.cut.lock().unwrap().clients.insert(pid);
        self.links.look_at_clients();
    }

    /// Passes it on again, what waited first; tells how many connections did.
    pub fn let_through(&self, pid: u32) -> usize {
        let mut cut = self.links.cut.lock().unwrap();
        let before = cut.ports.len();
        cut.clients.remove(&pid);
        cut.ports.retain(|_, client| *client != pid);
        self.links.changed.notify_all();
        before - cut.ports.len()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.heal();
        for node in self.nodes() {
            self.signal(node, Signal::Kill);
        }
    }
}

/// Relays for all nodes, if all ports are free: a node listens at `port` and `port + 10000`, others reach it
/// at the next ones.
fn relay_at(links: &Arc<Links>, port: u16) -> Option<u16> {
    let bind = |node, port| TcpListener::bind((ip(node), port)).ok();
    let mut relays = Vec::new();
    for node in 1..=NODES {
        for port in [port, port + 10_000] {
            bind(node, port)?;
            relays.push((node, port, bind(node, port + 1)?));
        }
    }
    for (node, port, listener) in relays {
        let links = links.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let links = links.clone();
                thread::spawn(move || links.relay(stream, node, port));
            }
        });
    }
    Some(port)
}

impl Links {
    fn relay(self: Arc<Links>, stream: TcpStream, node: u8, port: u16) -> std::io::Result<()> {
        let peer = stream.peer_addr()?;
        let from = match peer.ip() {
            IpAddr::V4(ip) => ip.octets()[3].saturating_sub(10),
            IpAddr::V6(_) => 0,
        };
        let there = Link {
            from,
            to: node,
            client: (from == 0).then(|| peer.port()),
        };
        let back = Link {
            from: node,
            to: from,
            ..there
        };
        if there.client.is_some() {
            self.look_at_clients();
        }
        self.wait_for(there);
        let server = TcpStream::connect((ip(node), port))?;
        // What waits for more to come would make each answer 40 ms late.
        stream.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from, into) = (server.try_clone()?, stream.try_clone()?);
        let links = self.clone();
        thread::spawn(move || links.copy(from, into, back));
        self.copy(stream, server, there);
        Ok(())
    }

    fn copy(&self, mut from: TcpStream, mut into: TcpStream, link: Link) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            self.wait_for(link);
            if into.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        self.wait_for(link);
        // The other side may be gone already.
        let _ = into.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    }

    /// Learns which connections are of those that are cut off, as of now. A look takes some 20 ms of a
    /// processor, and many may ask for one.
    fn look_at_clients(&self) {
        let before = self.cut.lock().unwrap().looks;
        let _look = self.look.lock().unwrap();
        let clients = {
            let mut cut = self.cut.lock().unwrap();
            if cut.clients.is_empty() || cut.looks > before {
                return;
            }
            cut.looks += 1;
            cut.clients.clone()
        };
        let ports = clients.iter().map(|pid| (*pid, ports_of(*pid)));
        let ports: Vec<(u32, Vec<u16>)> = ports.collect();
        let mut cut = self.cut.lock().unwrap();
        for (pid, ports) in ports {
            if cut.clients.contains(&pid) {
                cut.ports.extend(ports.into_iter().map(|port| (port, pid)));
            }
        }
        drop(cut);
        thread::sleep(LOOK_AGAIN);
    }

    /// Waits until the link is there.
    fn wait_for(&self, link: Link) {
        let cut = self.cut.lock().unwrap();
        drop(self.changed.wait_while(cut, |cut| cut.has(link)).unwrap());
    }
}

impl Cut {
    fn has(&self, link: Link) -> bool {
        let client = link.client;
        self.nodes.contains(&(link.from, link.to))
            || client.is_some_and(|port| self.ports.contains_key(&port))
    }
}

/// The ports of a process's connections; none when it is gone.
fn ports_of(pid: u32) -> Vec<u16> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
    let links = files.flatten().flatten();
    let links = links.filter_map(|file| std::fs::read_link(file.path()).ok());
    let sockets: HashSet<String> = links
        .filter_map(|link| {
            let inode = link.to_str()?.strip_prefix("socket:[")?;
            Some(inode.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let ports = table.lines().filter_map(|line| {
        // `N: LOCAL REMOTE STATE QUEUES TIMER RETRIES UID TIMEOUT INODE`, addresses in hex digits
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, port) = words.get(1)?.split_once(':')?;
        let is_its = sockets.contains(*words.get(9)?);
        u16::from_str_radix(port, 16).ok().filter(|_| is_its)
    });
    ports.collect()
}
