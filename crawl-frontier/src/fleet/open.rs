//! Joining a crawl that many machines share, or beginning it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use crawl_ckpt::control::{Begin, Progress, SharedCrawl, Started};
use crawl_ckpt::durable::beside;
use crawl_ckpt::fleet::{
    BEAT_MS, Course, Depot, DepotError, RedisDepot, Rest, SharedJob, StoreUrl,
};
use crawl_ckpt::human::counted;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::{Exit, Failure};

use super::Fleet;
use super::bell::Bell;
use super::courier::Courier;
use super::mark;
use super::rewrite::LEAST_GROWN;
use super::sink::{patiently, unreachable};
use super::workshop::Workshop;
use crate::crawl::Split;
use crate::open::{Opened, Places};
use crate::store::random_key;

/// So long a store is waited for when a worker begins: another node takes the place of one that was lost meanwhile.
const BEGINS: Duration = Duration::from_secs(20);

/// A crawl that is joined on a thread of its own, so that whoever waits for it hears when he is told to end.
#[derive(Debug)]
pub struct Joining {
    joined: Receiver<Joined>,
    bell: UnixStream,
}

/// What came of it, and what the crawl began with.
type Joined = (Result<Opened<Fleet>, Failure>, Begin);

impl Joining {
    /// Begins with it.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(places: Places, begin: Begin, shared: SharedCrawl) -> Result<Joining, Failure> {
        let cannot = |e: io::Error| Failure::new(format_args!("cannot join the crawl: {e}"));
        let (bell, end) = Bell::new().map_err(cannot)?;
        let (tell, joined) = channel();
        let join = move || {
            let opened = open(places, &begin, &shared);
            // Nobody listens any more when he was told to end.
            let _ = tell.send((opened, begin));
            bell.ring();
        };
        let thread = std::thread::Builder::new().name("join".into());
        thread.spawn(join).map_err(cannot)?;
        Ok(Joining { joined, bell: end })
    }

    /// What rings when it is done.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn bell(&self) -> io::Result<UnixStream> {
        self.bell.try_clone()
    }

    /// What came of it; `None` while it goes on.
    pub fn joined(&self) -> Option<Joined> {
        match self.joined.try_recv() {
            Ok(joined) => Some(joined),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let failure = Failure::new("the thread that joins the crawl is gone");
                Some((Err(failure), Begin::default()))
            }
        }
    }
}

/// Joins the crawl that a store has, or begins it there.
///
/// # Errors
/// A store that cannot be used; a crawl of another plan (2); a worker of this name that lives (75).
fn open(places: Places, begin: &Begin, shared: &SharedCrawl) -> Result<Opened<Fleet>, Failure> {
    let place = places.job.as_ref();
    let place = place.ok_or_else(|| Failure::with(Exit::Usage, "--store needs --job"))?;
    let lock = match places.lock {
        Some(fd) => JobLock::inherit(place, fd)?,
        None => JobLock::acquire(place)?,
    };
    let url = StoreUrl::parse(&shared.url, None)?;
    let mut engine = RedisDepot::new(&url, &shared.spider, "", shared.parts, 0);
    let patience = BEGINS.min(Duration::from_secs(begin.plan.retry.outage_s));
    let held = insist(patience, || engine.check())?;
    if let Some(copies) = shared
        .copies
        .filter(|copies| *copies > held.fewest_replicas)
    {
        let have = counted(u64::from(held.fewest_replicas), "replica");
        let message = format!("--copies {copies}: a node of the store has {have}");
        return Err(Failure::with(Exit::Usage, message));
    }
    // What a crawl begins with stays, also when a replica is gone for a while.
    engine.want_copies(shared.copies.unwrap_or(held.replicas.min(1)));
    let crawl_id = choose(&mut engine, shared, patience)?;
    engine.set_crawl(&crawl_id);
    let name = format!("{}/{crawl_id}", shared.spider);
    let rm = url.command("rm", &name);
    let job = settle(&mut engine, begin, shared, (&name, &rm), patience)?;
    engine.set_parts(job.parts);
    let copies = shared.copies.unwrap_or(job.copies);
    engine.want_copies(copies);
    let (parts_dir, joined) = outputs_of(shared, &crawl_id).unzip();
    let resume = url.command("resume", &name);
    let course = insist(patience, || engine.course())?;
    if course == Course::Paused {
        let message = format!("the crawl is paused for all workers: {name}");
        return Err(Failure::with(Exit::Stopped, message)
            .hint(format_args!("{resume}   (and then the same command)")));
    }
    if course != Course::Over(Rest::Complete)
        && let Some(joined) = joined.as_ref().filter(|joined| joined.exists())
    {
        let message = format!("output {}: the file exists already", joined.display());
        return Err(
            Failure::with(Exit::Usage, message).hint(match shared.output {
                Some(_) => "choose another --output FILE",
                None => {
                    "take part under another --worker NAME, or begin another crawl by --crawl-id ID"
                }
            }),
        );
    }
    refuse_a_namesake(&mut engine, &shared.worker, patience)?;
    let fsync = held.fsync.as_deref().unwrap_or("unknown");
    let promise = format!(
        "crawl {crawl_id} on {url}: worker {}, {}; each commit is on {}{}, appendfsync {fsync}",
        shared.worker,
        counted(u64::from(job.parts), "partition"),
        counted(u64::from(copies) + 1, "node"),
        match held.primaries {
            1 => String::new(),
            primaries => format!(" of a cluster with {primaries} primaries"),
        },
    );
    let mut notes = Vec::new();
    if held.fewest_replicas < copies {
        notes.push(format!(
            "a node of the store has {}, which commits wait for",
            match held.fewest_replicas {
                0 => "no replica".to_owned(),
                some => counted(u64::from(some), "replica") + " only",
            }
        ));
    }
    let key = job.key;
    if let Some(dir) = parts_dir
        .as_ref()
        .filter(|_| course != Course::Over(Rest::Complete))
    {
        mark::leave(dir, &shared.worker, &name, &mark_of(key))?;
    }
    let patience = Duration::from_secs(begin.plan.retry.outage_s);
    let (bell, end) = Bell::new().map_err(|e| Failure::new(format_args!("no bell: {e}")))?;
    let courier = Courier::start(
        Box::new(engine.hasty()),
        &shared.worker,
        job.parts,
        patience,
        bell.clone(),
    )?;
    let workshop = Workshop {
        dir: place.dir.clone(),
        parts_dir,
        worker: shared.worker.clone(),
        begin: begin.clone(),
        key,
        split: Split::new(job.parts, key),
        memory_bytes: places.memory_bytes,
        hasty: Box::new(engine.hasty()),
        engine: Box::new(engine),
        patience,
        bell,
        least_grown: LEAST_GROWN,
        turn: Arc::default(),
    };
    let fleet = assemble(workshop, courier, end, joined.clone(), resume.clone(), lock);
    let started = Started {
        promise: Some(promise),
        output: joined,
        resume: Some(resume),
        shared: Some(format!("{name} {}", mark_of(key))),
        ..Started::default()
    };
    Ok(Opened {
        crawl: fleet,
        started,
        notes,
    })
}

/// Asks until there is an answer, for so long. A store that refuses has to be set up in another way.
fn insist<T>(patience: Duration, ask: impl FnMut() -> Result<T, DepotError>) -> Result<T, Failure> {
    patiently(patience, ask).map_err(|error| match error {
        DepotError::Refused(why) => {
            Failure::with(Exit::Usage, format_args!("cannot use the store: {why}"))
        }
        DepotError::Unsure(_) => unreachable(&error),
    })
}

/// A worker that owns nothing yet. `bell` rings when its courier has something to say.
pub(super) fn assemble(
    workshop: Workshop,
    courier: Courier,
    bell: UnixStream,
    joined: Option<PathBuf>,
    resume: String,
    lock: JobLock,
) -> Fleet {
    Fleet {
        concurrency: workshop.begin.plan.pace.concurrency,
        workshop,
        courier,
        bell,
        owned: BTreeMap::new(),
        lanes: BTreeMap::new(),
        orphans: HashMap::new(),
        turn: 0,
        heard_ms: 0,
        tended_ms: 0,
        most_records: None,
        gone: Progress::default(),
        all: None,
        over: None,
        is_paused: false,
        notes: Vec::new(),
        details: Vec::new(),
        failed: None,
        last_wait: None,
        joined,
        resume,
        _lock: lock,
    }
}

/// What tells a crawl from another of its name; nobody learns its key from that.
fn mark_of(key: [u8; 16]) -> String {
    blake3::hash(&key).to_hex()[..16].to_owned()
}

/// Where the parts of this worker's output lie, and the one file that is made of them.
fn outputs_of(shared: &SharedCrawl, crawl_id: &str) -> Option<(PathBuf, PathBuf)> {
    if let Some(output) = &shared.output {
        return Some((beside(output, ".d"), output.clone()));
    }
    let crawls = shared.crawls.as_ref()?;
    let joined = format!("crawl_{crawl_id}.{}.jsonl", shared.worker);
    let parts = format!("crawl_{crawl_id}.d");
    Some((crawls.join(parts), crawls.join(joined)))
}

/// The name of the crawl: the one that is asked for, else the one that is under way, else that of a new one.
fn choose(
    engine: &mut RedisDepot,
    shared: &SharedCrawl,
    patience: Duration,
) -> Result<String, Failure> {
    if let Some(crawl_id) = &shared.crawl_id {
        return Ok(crawl_id.clone());
    }
    let current = insist(patience, || engine.current())?;
    if let Some(current) = current {
        engine.set_crawl(&current);
        let course = insist(patience, || engine.course())?;
        if course != Course::Over(Rest::Complete) {
            return Ok(current);
        }
    }
    Ok(shared.new_crawl_id.clone())
}

/// What the crawl began with: this, or what another worker began it with, which must be the same.
fn settle(
    engine: &mut RedisDepot,
    begin: &Begin,
    shared: &SharedCrawl,
    name: (&str, &str),
    patience: Duration,
) -> Result<SharedJob, Failure> {
    let ours = SharedJob::new(
        random_key()?,
        shared.parts,
        engine.copies(),
        begin.plan.clone(),
    );
    let text = serde_json::to_string(&ours).map_err(Failure::new)?;
    refuse_what_is_left(engine, name, patience)?;
    let text = insist(patience, || engine.open(&text))?;
    let job = SharedJob::parse(&text)?;
    let usage = |why: &str| Err(Failure::with(Exit::Usage, why));
    if job.plan.identity() != begin.plan.identity() {
        return usage(
            "the crawl in the store is of other start URLs or another scope: use the same spider file on each machine, or another --crawl-id",
        );
    }
    if shared.parts_given && job.parts != shared.parts {
        return usage("--parts: the crawl in the store began with another number of partitions");
    }
    Ok(job)
}

/// What a crawl began with is lost where partitions of it are: another one of its name would not go with these.
fn refuse_what_is_left(
    engine: &mut RedisDepot,
    (name, rm): (&str, &str),
    patience: Duration,
) -> Result<(), Failure> {
    if insist(patience, || engine.job())?.is_some() {
        return Ok(());
    }
    let parts = insist(patience, || engine.glance())?;
    let is_left = parts.iter().any(|part| part.view.seq > 0);
    // Another worker may have begun it meanwhile.
    if is_left && insist(patience, || engine.job())?.is_none() {
        let message =
            format!("the store has lost what {name} began with, and has partitions of it still");
        return Err(Failure::with(Exit::Damaged, message).hint(format_args!(
            "{rm}   (removes what is left of it), or --crawl-id ID for a crawl of another name"
        )));
    }
    Ok(())
}

/// A worker that was killed leaves its name behind; one that lives goes on counting.
fn refuse_a_namesake(
    engine: &mut RedisDepot,
    worker: &str,
    patience: Duration,
) -> Result<(), Failure> {
    let mut count = || -> Result<u64, DepotError> {
        let beats = engine.beat(worker)?;
        let own = beats.into_iter().find(|(name, _)| name == worker);
        Ok(own.map_or(0, |(_, beat)| beat))
    };
    // Both counts anew after a failure: what was lost may have been counted.
    let is_alive = insist(patience, || {
        let first = count()?;
        if first <= 1 {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(BEAT_MS * 2));
        Ok(count()? > first + 1)
    })?;
    if is_alive {
        let message = format!("another worker that is called {worker} takes part already");
        return Err(Failure::with(Exit::Held, message).hint("give each its own --worker NAME"));
    }
    Ok(())
}
