//! A site, workers on threads of their own, each of which does a step when it is told to, and the judge.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crawl_ckpt::control::Begin;
use crawl_ckpt::fleet::{FakeDepot, LEASE_MS};
use crawl_ckpt::job::JobPlace;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::{Plan, Scope};
use serde_json::Value;

use crate::crawl::{Done, Split, Step};
use crate::fleet::bell::Bell;
use crate::fleet::courier::Courier;
use crate::fleet::open::assemble;
use crate::fleet::round::Round;
use crate::fleet::words::Task;
use crate::fleet::{Fleet, Workshop};
use crate::served::Served;

/// The time of a step.
pub const STEP_MS: u64 = 100;
const KEY: [u8; 16] = [5; 16];
const NAMES: [&str; 3] = ["a", "b", "c"];

/// How large a crawl is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub parts: u32,
    pub pages: usize,
    pub hosts: usize,
    pub workers: usize,
    /// A journal that grew by less is not rewritten.
    pub least_grown: u64,
}

impl Size {
    fn url(self, page: usize) -> String {
        format!("http://10.0.0.{}/{page}", page % self.hosts + 1)
    }

    /// A tree: one link leads to each page, so that a link that is lost is a page that is.
    fn result_of(self, request: &Value) -> String {
        let (id, asked) = (&request["id"], request["url"].as_str().unwrap());
        let Ok(page) = asked.rsplit('/').next().unwrap().parse::<usize>() else {
            // It is asked for robots.txt, to see whether the fetcher works.
            return serde_json::json!({"id": id, "url": asked, "status": 404}).to_string();
        };
        let children = (page * 2 + 1..page * 2 + 3).filter(|child| *child < self.pages);
        let links: Vec<String> = children.map(|child| self.url(child)).collect();
        serde_json::json!({"id": id, "url": asked, "status": 200, "links": links}).to_string()
    }
}

/// Numbers that look drawn, the same for the same seed.
pub struct Random(pub u64);

impl Random {
    pub fn of(seed: u64) -> Random {
        let mut random = Random(seed * 2 + 1);
        for _ in 0..20 {
            random.below(2);
        }
        random
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

/// A worker that does a step when it is told to.
pub struct Worker {
    pub fleet: Fleet,
    round: Round,
    inbox: Receiver<Task>,
    engine: FakeDepot,
    size: Size,
    /// Request lines that are under way.
    asked: Vec<Value>,
    random: Random,
}

impl Worker {
    pub fn start(dir: &Path, name: &str, engine: &FakeDepot, size: Size, random: Random) -> Worker {
        let (bell, end) = Bell::new().unwrap();
        let begin = Begin {
            plan: Plan {
                start_urls: vec![size.url(0)],
                scope: Scope {
                    allowed_hosts: (1..=size.hosts).map(|n| format!("10.0.0.{n}")).collect(),
                    ..Scope::default()
                },
                allow_private: true,
                ..Plan::default()
            },
            ..Begin::default()
        };
        let place = JobPlace::at(&dir.join(name));
        let lock = JobLock::acquire(&place).unwrap();
        let workshop = Workshop {
            dir: place.dir,
            parts_dir: Some(dir.join("parts")),
            worker: name.to_owned(),
            begin,
            key: KEY,
            split: Split::new(size.parts, KEY),
            memory_bytes: 1 << 20,
            engine: Box::new(engine.clone()),
            hasty: Box::new(engine.clone()),
            patience: Duration::from_secs(60),
            bell: bell.clone(),
            least_grown: size.least_grown,
            turn: Arc::default(),
        };
        let parts = size.parts;
        let (courier, round, inbox) = Courier::idle(Box::new(engine.clone()), name, parts, bell);
        let joined = dir.join(format!("{name}.jsonl"));
        let fleet = assemble(workshop, courier, end, Some(joined), String::new(), lock);
        Worker {
            fleet,
            round,
            inbox,
            engine: engine.clone(),
            size,
            asked: Vec::new(),
            random,
        }
    }

    /// Does all of a step but to answer; what it came to when its crawl is over.
    pub fn ask(&mut self, now_ms: u64) -> Result<Option<Done>, String> {
        self.carry(now_ms);
        self.send(now_ms)
    }

    /// Does what the courier does of a step.
    pub fn carry(&mut self, now_ms: u64) {
        let tasks: Vec<Task> = self.inbox.try_iter().collect();
        // A failure of the engine is tried again.
        let _ = self.round.perform(tasks);
        let _ = self.round.go_round(now_ms);
    }

    fn send(&mut self, now_ms: u64) -> Result<Option<Done>, String> {
        let words = |failure: crawl_ckpt::tool::Failure| failure.message;
        let mut out = Vec::new();
        loop {
            match self.fleet.next_request(now_ms, &mut out).map_err(words)? {
                Step::Sent => {}
                Step::Wait { .. } => break,
                Step::Done(done) => return Ok(Some(done)),
            }
        }
        let lines = out
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        self.asked
            .extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        Ok(None)
    }

    /// The URLs that are under way.
    pub fn asked(&self) -> Vec<String> {
        let url = |request: &Value| request["url"].as_str().unwrap().to_owned();
        self.asked.iter().map(url).collect()
    }

    /// Answers what was asked first, if anything was, and commits it.
    pub fn answer_first(&mut self, now_ms: u64) -> bool {
        if self.asked.is_empty() {
            return false;
        }
        let line = self.size.result_of(&self.asked.remove(0));
        assert!(self.fleet.answer(line.as_bytes(), now_ms).is_ok());
        self.fleet.commit_now(now_ms).unwrap();
        self.fleet.wait_for_commits(|| false);
        true
    }

    /// Answers all that was asked, and waits for no commit.
    pub fn answer_all(&mut self, now_ms: u64) {
        for request in std::mem::take(&mut self.asked) {
            let line = self.size.result_of(&request);
            assert!(self.fleet.answer(line.as_bytes(), now_ms).is_ok());
        }
        self.fleet.commit_if_due(now_ms).unwrap();
    }

    /// One step; what it came to when its crawl is over.
    pub fn step(&mut self, now_ms: u64) -> Result<Option<Done>, String> {
        // The courier is a thread of its own, and late at times.
        let done = if self.random.below(4) > 0 {
            self.ask(now_ms)?
        } else {
            self.send(now_ms)?
        };
        if done.is_some() {
            return Ok(done);
        }
        let words = |failure: crawl_ckpt::tool::Failure| failure.message;
        let mut later = Vec::new();
        for request in std::mem::take(&mut self.asked) {
            if self.random.below(3) == 0 {
                later.push(request);
            } else {
                let line = self.size.result_of(&request);
                // Of a partition that is not ours any more, it is refused.
                let _ = self.fleet.answer(line.as_bytes(), now_ms);
            }
        }
        self.asked = later;
        self.fleet.commit_if_due(now_ms).map_err(words)?;
        self.fleet.wait_for_commits(|| self.engine.is_dead());
        Ok(None)
    }
}

/// What the one who turns the clock hears.
enum StepNews {
    /// A process did its step.
    Stepped(u32, Result<Option<Done>, String>),
    /// A process was stopped in the middle of it.
    Frozen(u32),
}

/// A worker, as long as one of its processes runs.
struct Process {
    life: u32,
    /// It is to do a step, at this time.
    orders: Option<Sender<u64>>,
    thread: Option<JoinHandle<()>>,
    engine: FakeDepot,
    /// It is stopped until then in the middle of a step.
    frozen_until_ms: Option<u64>,
}

impl Process {
    fn start(scene: &Scene, at: usize, tell: Sender<StepNews>) -> Process {
        let (engine, life) = scene.engine.of(NAMES[at]);
        let (orders, inbox) = channel::<u64>();
        let (dir, size) = (scene.dir.path().to_owned(), scene.size);
        let (depot, random) = (engine.clone(), Random::of(scene.seed + at as u64 * 7919));
        let thread = std::thread::spawn(move || {
            let mut worker = Worker::start(&dir, NAMES[at], &depot, size, random);
            for now_ms in inbox {
                let told = worker.step(now_ms);
                // The other end is there until this one has ended.
                let _ = tell.send(StepNews::Stepped(life, told));
            }
        });
        Process {
            life,
            orders: Some(orders),
            thread: Some(thread),
            engine,
            frozen_until_ms: None,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.engine.kill(self.life);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has told of itself, and its step is missed.
            let _ = thread.join();
        }
    }
}

/// A directory of its own, in memory where that goes.
pub fn new_dir() -> tempfile::TempDir {
    let root = if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    };
    tempfile::tempdir_in(root).unwrap()
}

/// A crawl of some workers over an engine.
pub struct Scene {
    pub engine: FakeDepot,
    size: Size,
    seed: u64,
    dir: tempfile::TempDir,
    processes: Vec<Option<Process>>,
    tell: Sender<StepNews>,
    heard: Receiver<StepNews>,
    now_ms: u64,
}

impl Scene {
    pub fn new(size: Size, seed: u64) -> Scene {
        let engine = FakeDepot::new(size.parts, seed.wrapping_mul(77) + 3);
        let (tell, heard) = channel();
        let of_freezes = tell.clone();
        engine.when_frozen(move |life| {
            // Nobody turns the clock any more.
            let _ = of_freezes.send(StepNews::Frozen(life));
        });
        Scene {
            engine,
            size,
            seed,
            dir: new_dir(),
            processes: (0..size.workers).map(|_| None).collect(),
            tell,
            heard,
            now_ms: 1_000_000,
        }
    }

    /// Ends a worker's process at once.
    pub fn kill(&mut self, at: usize) {
        self.processes[at] = None;
    }

    /// Lets time pass, and each worker do a step but those that `rests` names. True when the crawl is over.
    pub fn step(&mut self, rests: impl Fn(usize) -> bool) -> Result<bool, String> {
        self.now_ms += STEP_MS;
        let mut is_over = false;
        for at in 0..self.processes.len() {
            if self.processes[at].is_none() {
                self.processes[at] = Some(Process::start(self, at, self.tell.clone()));
            }
            let process = self.processes[at].as_mut().unwrap();
            match process.frozen_until_ms {
                Some(until_ms) if until_ms > self.now_ms => continue,
                Some(_) => self.engine.thaw(process.life),
                None if rests(at) => continue,
                None => process.orders.as_ref().unwrap().send(self.now_ms).unwrap(),
            }
            is_over |= self.hear_of(at)?;
        }
        Ok(is_over)
    }

    /// Waits until a process has done its step, or is stopped in it.
    fn hear_of(&mut self, at: usize) -> Result<bool, String> {
        let process = self.processes[at].as_mut().unwrap();
        loop {
            match self.heard.recv_timeout(Duration::from_secs(60)) {
                Ok(StepNews::Frozen(life)) if life == process.life => {
                    // Until somebody else has what it had.
                    process.frozen_until_ms = Some(self.now_ms + 2 * LEASE_MS);
                    return Ok(false);
                }
                Ok(StepNews::Stepped(life, told)) if life == process.life => {
                    process.frozen_until_ms = None;
                    let is_dead = process.engine.is_dead();
                    if is_dead {
                        self.processes[at] = None;
                    }
                    return match told {
                        Ok(None) => Ok(false),
                        Ok(Some(Done::Complete)) => Ok(true),
                        Err(_) if is_dead => Ok(false),
                        Ok(Some(other)) => Err(format!("it ended with {other:?}")),
                        Err(why) => Err(why),
                    };
                }
                Ok(_) => {}
                Err(_) => return Err("a worker does not end its step".to_owned()),
            }
        }
    }

    /// Lets those that are stopped end their step, which comes after all, and ends all.
    pub fn end(&mut self) -> Result<(), String> {
        for at in 0..self.processes.len() {
            let frozen = self.processes[at].as_ref();
            if let Some(process) = frozen.filter(|process| process.frozen_until_ms.is_some()) {
                self.engine.thaw(process.life);
                self.hear_of(at)?;
            }
            self.kill(at);
        }
        Ok(())
    }

    /// What is wrong with what came out.
    pub fn judge(&self) -> Result<(), String> {
        judge(self.dir.path(), &self.engine, self.size)
    }
}

/// What is wrong with what came out of a crawl that is over.
pub fn judge(dir: &Path, engine: &FakeDepot, size: Size) -> Result<(), String> {
    let mut records: BTreeMap<String, usize> = BTreeMap::new();
    for (name, len) in engine.all_outputs() {
        let path: PathBuf = dir.join("parts").join(name);
        let text = fs::read(path).map_err(|e| e.to_string())?;
        let Some(committed) = text.get(..len as usize) else {
            return Err("a part is shorter than what was committed".to_owned());
        };
        for line in committed
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            let record: Value = serde_json::from_slice(line).map_err(|e| e.to_string())?;
            let url = record["url"].as_str().unwrap_or_default().to_owned();
            *records.entry(url).or_default() += 1;
        }
    }
    for name in &NAMES[..size.workers] {
        let (engine, _) = engine.of(name);
        let mut worker = Worker::start(dir, name, &engine, size, Random::of(1));
        worker.fleet.make_known().map_err(|e| e.message)?;
    }
    if dir.join("parts").exists() {
        return Err("parts are left behind".to_owned());
    }
    let lost = (0..size.pages).filter(|page| !records.contains_key(&size.url(*page)));
    let lost: Vec<usize> = lost.collect();
    let doubled: Vec<_> = records.iter().filter(|(_, count)| **count > 1).collect();
    if lost.is_empty() && doubled.is_empty() && records.len() == size.pages {
        Ok(())
    } else {
        Err(format!("lost {lost:?}, doubled {doubled:?}"))
    }
}
