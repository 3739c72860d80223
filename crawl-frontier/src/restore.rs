//! A crawl as its journal tells it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crawl_ckpt::control::{Progress, Started};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Commit, Entry, JournalError, Mark, Stored, replay};
use crawl_ckpt::plan::{Plan, Scope};
use crawl_ckpt::tool::Failure;

use crate::compact::{HOST, mark_of};
use crate::crawl::Crawl;
use crate::log::Log;
use crate::queue::{Gate, Queue, Sweep, Ticket};
use crate::scope::is_private_url;
use crate::seen::Seen;
use crate::snapshot::{self, View};
use crate::url::{Marker, authority, origin};

/// What a journal came to.
#[derive(Debug)]
pub struct Restored {
    /// Where a writer goes on.
    pub end: Mark,
    /// How much of the journal an image spared; `None`: all was replayed.
    pub image: Option<Mark>,
    /// Failed requests that are pending again, for whoever commits that.
    pub reopened: Vec<Ticket>,
    /// What to tell.
    pub started: Started,
    /// What people should read.
    pub notes: Vec<String>,
    memory: Memory,
    plan: Plan,
    key: [u8; 16],
}

/// The state that is in memory while a crawl runs.
#[derive(Debug)]
pub struct Memory {
    /// Every URL taken on.
    pub seen: Seen,
    /// What is pending.
    pub queue: Queue,
    /// Attempts and due time of requests that will be tried again, by id.
    pub tries: HashMap<u64, (u32, u64)>,
    /// Values kept beside the queue.
    pub values: HashMap<String, Vec<u8>>,
    /// The figures.
    pub progress: Progress,
    /// When the figures were committed.
    pub at_ms: u64,
    /// Committed lengths of the files that the journal vouches for.
    pub files: BTreeMap<String, u64>,
}

/// The ids of finished requests.
#[derive(Debug, Default)]
struct Finished {
    bits: Vec<u64>,
}

impl Finished {
    fn insert(&mut self, id: u64) -> bool {
        let (word, bit) = ((id / 64) as usize, 1 << (id % 64));
        if word >= self.bits.len() {
            self.bits.resize((word + 1).next_power_of_two(), 0);
        }
        let new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        new
    }

    fn remove(&mut self, id: u64) {
        if let Some(word) = self.bits.get_mut((id / 64) as usize) {
            *word &= !(1 << (id % 64));
        }
    }

    fn contains(&self, id: u64) -> bool {
        let word = self.bits.get((id / 64) as usize);
        word.is_some_and(|word| word & 1 << (id % 64) != 0)
    }
}

/// Reads a job's journal. With `reopen`, what has failed is pending again.
///
/// # Errors
/// Those of the disk, and damage.
pub fn restore(job: &Job, plan: &Plan, now_ms: u64, reopen: bool) -> Result<Restored, Failure> {
    let key = job.manifest().key;
    let marker = Marker::new(key);
    let window = plan.pace.per_host;
    let mut notes = Vec::new();
    let (mut memory, from) = match snapshot::load(job, window) {
        // An image does not tell what has failed.
        Ok(Some(_)) if reopen => (Memory::new(window), None),
        Ok(Some((memory, mark))) => (memory, Some(mark)),
        Ok(None) => (Memory::new(window), None),
        Err(why) => {
            notes.push(format!("{why}; the journal is read instead"));
            (Memory::new(window), None)
        }
    };
    let mut finished = Finished::default();
    let mut failed = HashSet::new();
    let replayed = replay(job, from.as_ref(), |entry| {
        match entry {
            Entry::Request { id, at, request } => {
                memory.take_on(&marker, Ticket { id, at }, &request)?;
            }
            Entry::Seen { fingerprint } => {
                memory.seen.insert(u128::from_be_bytes(fingerprint));
            }
            Entry::Done {
                id,
                failed: has_failed,
            } => {
                if has_failed && reopen {
                    failed.insert(id);
                }
                if !finished.insert(id) {
                    return Err(format!("request {id} is finished twice"));
                }
            }
            Entry::Defer {
                id,
                attempts,
                due_ms,
            } => {
                // Of a finished request: it was made pending again.
                finished.remove(id);
                failed.remove(&id);
                memory.tries.insert(id, (attempts, due_ms));
            }
            Entry::Set { key, value } if key.starts_with(HOST) => {
                memory.meet_host(&key[HOST.len()..], value);
            }
            Entry::Set { key, value } => {
                memory.values.insert(key.to_owned(), value.to_owned());
            }
            Entry::Unset { key } => {
                memory.values.remove(key);
            }
            Entry::Commit(_) => {}
        }
        Ok(())
    })?;
    for &id in &failed {
        finished.remove(id);
        memory.tries.remove(&id);
    }
    memory.tries.retain(|id, _| !finished.contains(*id));
    let mut reopened = Vec::new();
    memory
        .queue
        .sweep(|ticket| match memory.tries.get(&ticket.id) {
            _ if finished.contains(ticket.id) => Sweep::Drop,
            _ if failed.contains(&ticket.id) => {
                reopened.push(ticket);
                Sweep::Keep
            }
            Some(&(_, due_ms)) if due_ms > now_ms => Sweep::Defer(due_ms),
            _ => Sweep::Keep,
        });
    memory.tries.retain(|_, (attempts, _)| *attempts > 0);

    let commit = replayed.commit.unwrap_or_else(|| Commit {
        at_ms: memory.at_ms,
        progress: memory.progress.clone(),
        files: memory.files.clone(),
    });
    let counts = commit.progress.counts;
    let lost = counts.pending + counts.in_flight + counts.parked;
    if counts.seen != memory.seen.len() as u64
        || memory.queue.pending() != lost + reopened.len() as u64
    {
        let why = format!(
            "the last commit counts {} URLs with {lost} to do, the entries {} with {}",
            counts.seen,
            memory.seen.len(),
            memory.queue.pending(),
        );
        let path = job.journal_path();
        return Err(JournalError::damaged(&path, replayed.mark.bytes, why).into());
    }
    memory.files = commit.files;
    memory.at_ms = commit.at_ms;
    memory.progress = commit.progress;
    memory.progress.records_run = 0;
    Ok(Restored {
        end: replayed.mark,
        image: from,
        reopened,
        notes,
        started: Started {
            resumed: true,
            counts,
            age_s: now_ms.saturating_sub(commit.at_ms) / 1000,
            cookies_expired: 0,
            requeued: counts.in_flight,
        },
        memory,
        plan: plan.clone(),
        key,
    })
}

impl Memory {
    fn new(window: u32) -> Memory {
        Memory {
            seen: Seen::new(),
            queue: Queue::new(window),
            tries: HashMap::new(),
            values: HashMap::new(),
            progress: Progress::default(),
            at_ms: 0,
            files: BTreeMap::new(),
        }
    }

    /// All that an image keeps.
    pub fn view(&self) -> View<'_> {
        let text = |(key, value): (&String, &Vec<u8>)| {
            (key.clone(), String::from_utf8_lossy(value).into_owned())
        };
        let later = self.queue.deferred();
        View {
            seen: &self.seen,
            queue: &self.queue,
            others: later.map(|(_, host, ticket)| (host, ticket)).collect(),
            tries: self.tries.iter().map(|(id, tries)| (*id, *tries)).collect(),
            values: self.values.iter().map(text).collect(),
            progress: self.progress.clone(),
            at_ms: self.at_ms,
            files: self.files.clone(),
        }
    }

    /// Takes a host as a rewritten journal keeps it.
    fn meet_host(&mut self, origin: &str, taken: &[u8]) {
        let taken = std::str::from_utf8(taken)
            .ok()
            .and_then(|taken| taken.parse().ok());
        let id = self.queue.host_of(origin, Gate::Open);
        // Its pending requests follow and count themselves.
        self.queue
            .change(id, |host| host.taken = taken.unwrap_or(0));
    }

    fn take_on(
        &mut self,
        marker: &Marker,
        ticket: Ticket,
        stored: &Stored<'_>,
    ) -> Result<(), String> {
        let mark = mark_of(*marker, stored).map_err(|failure| failure.message)?;
        if !self.seen.insert(mark) {
            return Err(format!("{} was taken on twice", stored.url));
        }
        let host = self.queue.host_of(origin(stored.url), Gate::Open);
        self.queue.change(host, |host| host.taken += 1);
        self.queue.push(host, ticket, stored.priority);
        Ok(())
    }
}

impl Restored {
    /// A value that is kept beside the queue.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.memory.values.get(key).map(Vec::as_slice)
    }

    /// The figures and file lengths of the last commit, to change them in the next one.
    pub fn figures(&mut self) -> (&mut Progress, &mut BTreeMap<String, u64>) {
        (&mut self.memory.progress, &mut self.memory.files)
    }

    /// The committed length of the output.
    pub fn output_bytes(&self) -> u64 {
        self.memory.files.get("output").copied().unwrap_or(0)
    }

    /// The plan to go on with.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Keeps a crawl without start URLs and scope on the hosts that it has requests for.
    pub fn stay_on_its_hosts(&mut self) {
        if self.plan.start_urls.is_empty() && self.plan.scope == Scope::default() {
            let hosts = self.memory.queue.hosts();
            let hosts = hosts.map(|(_, host)| authority(&host.origin).to_owned());
            self.plan.scope.allowed_hosts = hosts.collect();
            self.plan.allow_private |= self
                .memory
                .queue
                .hosts()
                .any(|(_, host)| is_private_url(&host.origin));
        }
    }

    /// The pending requests and all else, without a crawl around them.
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    /// The crawl, which writes to `log` from now on.
    ///
    /// # Errors
    /// When the plan's scope does not compile.
    pub fn into_crawl(self, log: Log, now_ms: u64) -> Result<(Crawl, Started), Failure> {
        let mut crawl = Crawl::new(self.plan, self.key, log)?;
        let mut started = self.started;
        started.cookies_expired = crawl.restore(self.memory, now_ms);
        Ok((crawl, started))
    }
}
