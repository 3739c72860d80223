//! Whole fleets over an engine that misbehaves: real workers, real journals, a site and a fetcher of
//! the test's own, and a clock that the test turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use crawl_ckpt::control::Begin;
use crawl_ckpt::fleet::{BEAT_MS, FakeDepot, Faults, LEASE_MS};
use crawl_ckpt::job::JobPlace;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::{Plan, Scope};
use serde_json::Value;

use super::bell::Bell;
use super::courier::{Courier, Round, Task, Word};
use super::open::assemble;
use super::{Fleet, Workshop};
use crate::crawl::{Done, Split, Step};
use crate::served::Served;

const PARTS: u32 = 5;
const PAGES: usize = 40;
const HOSTS: usize = 9;
const STEP_MS: u64 = 100;
const KEY: [u8; 16] = [5; 16];

fn url(page: usize) -> String {
    format!("http://10.0.0.{}/{page}", page % HOSTS + 1)
}

/// A tree: one link leads to each page, so that a link that is lost is a page that is.
fn result_of(request: &Value) -> String {
    let (id, asked) = (&request["id"], request["url"].as_str().unwrap());
    let page: usize = asked.rsplit('/').next().unwrap().parse().unwrap();
    let children = (page * 2 + 1..page * 2 + 3).filter(|child| *child < PAGES);
    let links: Vec<String> = children.map(url).collect();
    serde_json::json!({"id": id, "url": asked, "status": 200, "links": links}).to_string()
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }
}

struct Worker {
    fleet: Fleet,
    round: Round,
    inbox: Receiver<Task>,
    /// Request lines that are under way.
    asked: Vec<Value>,
    /// It does nothing until then.
    stopped_until_ms: u64,
}

impl Worker {
    fn start(dir: &Path, name: &str, engine: &FakeDepot) -> Worker {
        let (bell, end) = Bell::new().unwrap();
        let begin = Begin {
            plan: Plan {
                start_urls: vec![url(0)],
                scope: Scope {
                    allowed_hosts: (1..=HOSTS).map(|n| format!("10.0.0.{n}")).collect(),
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
            split: Split::new(PARTS, KEY),
            memory_bytes: 1 << 20,
            engine: Box::new(engine.clone()),
            patience: Duration::from_secs(60),
            bell: bell.clone(),
        };
        let (courier, round, inbox) = Courier::idle(Box::new(engine.clone()), name, PARTS, bell);
        let joined = dir.join(format!("{name}.jsonl"));
        let fleet = assemble(workshop, courier, end, Some(joined), String::new(), lock);
        Worker {
            fleet,
            round,
            inbox,
            asked: Vec::new(),
            stopped_until_ms: 0,
        }
    }

    /// One step; what it came to when its crawl is over.
    fn step(&mut self, now_ms: u64, random: &mut Random) -> Result<Option<Done>, String> {
        // The courier is a thread of its own, and late at times.
        if random.below(4) > 0 {
            let tasks: Vec<Task> = self.inbox.try_iter().collect();
            // A failure of the engine is tried again.
            let _ = self.round.perform(tasks);
            let _ = self.round.go_round(now_ms);
        }
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
        let mut later = Vec::new();
        for request in std::mem::take(&mut self.asked) {
            if random.below(3) == 0 {
                later.push(request);
            } else {
                let line = result_of(&request);
                // Of a partition that is not ours any more, it is refused.
                let _ = self.fleet.answer(line.as_bytes(), now_ms);
            }
        }
        self.asked = later;
        self.fleet.commit_if_due(now_ms).map_err(words)?;
        self.fleet.wait_for_commits();
        Ok(None)
    }
}

/// What is to happen to workers, of a thousand steps.
#[derive(Clone, Copy)]
struct Weather {
    kills: u64,
    stops: u64,
    faults: Faults,
}

/// Crawls with three workers; what is wrong with what came out.
fn crawl(seed: u64, trouble: Weather) -> Result<(), String> {
    let root = if Path::new("/dev/shm").is_dir() {
        "/dev/shm"
    } else {
        "/tmp"
    };
    let dir = tempfile::tempdir_in(root).unwrap();
    let engine = FakeDepot::new(PARTS, seed.wrapping_mul(77) + 3);
    engine.misbehave(trouble.faults);
    let mut random = Random(seed * 2 + 1);
    for _ in 0..20 {
        random.below(2);
    }
    let mut now_ms = 1_000_000;
    let names = ["a", "b", "c"];
    let mut workers: Vec<Option<Worker>> = Vec::new();
    for name in names {
        workers.push(Some(Worker::start(dir.path(), name, &engine)));
    }
    let mut is_over = false;
    for step in 0..6000 {
        now_ms += STEP_MS;
        // In the end all is well, so that it can end.
        let is_calm = step > 1500;
        if step == 1501 {
            engine.misbehave(Faults {
                lost_calls: 0,
                lost_answers: 0,
                lost_letters: 0,
                failovers: 0,
                ..trouble.faults
            });
        }
        let at = random.below(3) as usize;
        if !is_calm && random.below(1000) < trouble.kills {
            workers[at] = None;
        }
        if workers[at].is_none() {
            workers[at] = Some(Worker::start(dir.path(), names[at], &engine));
        }
        for worker in workers.iter_mut().flatten() {
            if !is_calm && random.below(1000) < trouble.stops {
                worker.stopped_until_ms = now_ms + LEASE_MS + random.below(2 * LEASE_MS);
            }
            if worker.stopped_until_ms > now_ms {
                continue;
            }
            match worker.step(now_ms, &mut random)? {
                None => {}
                Some(Done::Complete) => is_over = true,
                Some(other) => return Err(format!("it ended with {other:?}")),
            }
        }
        if is_over {
            break;
        }
    }
    if !is_over {
        return Err("it does not end".to_owned());
    }
    drop(workers);
    let mut records: BTreeMap<String, usize> = BTreeMap::new();
    for (name, len) in engine.all_outputs() {
        let path: PathBuf = dir.path().join("parts").join(name);
        let text = fs::read(path).unwrap();
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
    for name in names {
        let mut worker = Worker::start(dir.path(), name, &engine);
        worker.fleet.make_known().map_err(|e| e.message)?;
    }
    if dir.path().join("parts").exists() {
        return Err("parts are left behind".to_owned());
    }
    let lost = (0..PAGES).filter(|page| !records.contains_key(&url(*page)));
    let lost: Vec<usize> = lost.collect();
    let doubled: Vec<_> = records.iter().filter(|(_, count)| **count > 1).collect();
    if lost.is_empty() && doubled.is_empty() && records.len() == PAGES {
        Ok(())
    } else {
        Err(format!("lost {lost:?}, doubled {doubled:?}"))
    }
}

const ALL: Weather = Weather {
    kills: 15,
    stops: 4,
    faults: Faults {
        lost_calls: 10,
        lost_answers: 10,
        lost_letters: 200,
        failovers: 5,
        waits_for_no_copy: false,
        confirms_early: false,
        has_no_fence: false,
    },
};

/// Seeds for this run; `FLEET_SEEDS` asks for more.
fn seeds() -> u64 {
    let seeds = std::env::var("FLEET_SEEDS").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(25)
}

fn all_are_well(trouble: Weather) {
    for seed in 1..=seeds() {
        if let Err(why) = crawl(seed, trouble) {
            panic!("seed {seed}: {why}");
        }
    }
}

/// The judge sees what goes wrong without this part of the protocol.
fn some_go_wrong(trouble: Weather) {
    let wrong = (1..=40).find_map(|seed| crawl(seed, trouble).err());
    assert!(wrong.is_some(), "the judge saw nothing");
}

#[test]
fn three_workers_have_each_page_once_when_nothing_goes_wrong() {
    all_are_well(Weather {
        kills: 0,
        stops: 0,
        faults: Faults::default(),
    });
}

#[test]
fn nothing_is_lost_or_doubled_by_kills_zombies_lost_calls_letters_answers_and_failovers() {
    all_are_well(ALL);
}

#[test]
fn without_a_wait_for_copies_a_failover_loses_pages() {
    let faults = Faults {
        waits_for_no_copy: true,
        failovers: 20,
        ..Faults::default()
    };
    some_go_wrong(Weather { faults, ..ALL });
}

#[test]
fn letters_that_are_struck_out_before_they_are_taken_are_lost() {
    let faults = Faults {
        confirms_early: true,
        ..ALL.faults
    };
    some_go_wrong(Weather { faults, ..ALL });
}

#[test]
fn without_a_fence_a_worker_that_comes_back_spoils_the_journal() {
    let faults = Faults {
        has_no_fence: true,
        ..Faults::default()
    };
    some_go_wrong(Weather {
        kills: 0,
        stops: 50,
        faults,
    });
}

#[test]
fn a_partition_whose_release_was_lost_goes_to_its_next_owner_after_a_lease() {
    let engine = FakeDepot::new(PARTS, 1);
    let (bell, _end) = Bell::new().unwrap();
    let start = |name| Courier::idle(Box::new(engine.clone()), name, PARTS, bell.clone());
    let (of_a, mut a, _tasks_a) = start("a");
    let (of_b, mut b, _tasks_b) = start("b");
    a.go_round(0).unwrap();
    b.go_round(BEAT_MS).unwrap();
    a.go_round(BEAT_MS).unwrap();
    let unwanted = of_a.words().filter_map(|word| match word {
        Word::Unwanted(part) => Some(part),
        _ => None,
    });
    let unwanted: Vec<u32> = unwanted.collect();
    assert!(!unwanted.is_empty());
    engine.misbehave(Faults {
        lost_calls: 1000,
        ..Faults::default()
    });
    let releases = unwanted.iter().map(|part| Task::Release(*part));
    a.perform(releases.collect()).unwrap_err();
    engine.misbehave(Faults::default());
    for beat in 2..4 + LEASE_MS / BEAT_MS {
        a.go_round(beat * BEAT_MS).unwrap();
        b.go_round(beat * BEAT_MS).unwrap();
    }
    let taken = of_b.words().filter_map(|word| match word {
        Word::Ours(part, ..) => Some(part),
        _ => None,
    });
    assert_eq!(taken.collect::<Vec<u32>>(), unwanted);
}
