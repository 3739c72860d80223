//! Crawls of hosts that block all, on a simulated disk.

use std::sync::Arc;

use crawl_ckpt::control::{NAMED, Parked, Progress};
use crawl_ckpt::durable::Disk;
use crawl_ckpt::durable::sim::{SimDisk, Unsynced};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::Request;
use serde_json::json;

use super::*;
use crate::crawl::{Done, Step};
use crate::store::restore::restore;
use crate::store::seen::SeenRoom;
use crate::store::{Embedded, Log, OutputTo, Outputs, new_manifest};

/// The lock is a real file; all else is on the simulated disk.
struct BlockedGround {
    disk: SimDisk,
    place: JobPlace,
    lock: JobLock,
    _dir: tempfile::TempDir,
}

impl BlockedGround {
    fn new() -> BlockedGround {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        BlockedGround {
            disk: SimDisk::new(),
            lock: JobLock::acquire(&place).unwrap(),
            place,
            _dir: dir,
        }
    }

    /// A crawl whose first page links to so many hosts, two pages each.
    fn begin(&self, hosts: usize) -> Crawl<Embedded> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let manifest = new_manifest().unwrap();
        let job = Job::create(disk, &self.place, &self.lock, manifest).unwrap();
        let store = Embedded::empty(SeenRoom::reading(&job), self.log(job), None, None);
        let mut crawl = Crawl::new(plan(), [7; 16], store).unwrap();
        crawl.start().unwrap();
        let request = asked(&mut crawl).pop().unwrap();
        let links: Vec<String> = (0..hosts * 2)
            .map(|n| format!("http://h{}.example/{n}", n / 2))
            .collect();
        answer(&mut crawl, &request, json!({"status": 200, "links": links}));
        crawl
    }

    /// It goes on with what is found.
    fn resume(&self) -> Crawl<Embedded> {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let job = Job::open(disk, &self.place).unwrap().unwrap();
        let restored = restore(&job, 8, 1, false, SeenRoom::reading(&job)).unwrap();
        let (store, memory) = restored.into_store(self.log(job), None, None);
        let mut crawl = Crawl::new(plan(), [7; 16], store).unwrap();
        crawl.restore(memory, 1);
        crawl
    }

    fn log(&self, mut job: Job) -> Log {
        let end = job.replay(None, |_| Ok(())).unwrap().mark;
        let writer = job.writer(&self.lock, &end).unwrap();
        let outputs = Outputs::begin(&self.disk, OutputTo::Nowhere).unwrap();
        Log::on_disk(writer, job.reader().unwrap(), outputs, None, None).unwrap()
    }

    fn committed(&self) -> Progress {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let job = Job::open(disk, &self.place).unwrap().unwrap();
        job.last_commit().unwrap().unwrap().progress
    }
}

fn plan() -> Plan {
    Plan {
        start_urls: vec!["http://start.example/".into()],
        proxies: vec!["datacenter".into(), "residential".into()],
        robots: false,
        ..Plan::default()
    }
}

type Asked = (u64, String);

/// All that can be asked for now.
fn asked(crawl: &mut Crawl<Embedded>) -> Vec<Asked> {
    let mut lines = Vec::new();
    while crawl.next_request(1, &mut lines).unwrap() == Step::Sent {}
    let lines = std::str::from_utf8(&lines).unwrap().lines();
    lines
        .map(|line| {
            let request: Request<'_> = serde_json::from_str(line).unwrap();
            (request.id.unwrap(), request.url.into_string())
        })
        .collect()
}

fn answer(crawl: &mut Crawl<Embedded>, (id, url): &Asked, mut told: serde_json::Value) {
    (told["id"], told["url"]) = (json!(id), json!(url));
    crawl.answer(told.to_string().as_bytes(), 1).unwrap();
}

/// Asks once and is blocked by all; false when nothing could be asked.
fn is_blocked(crawl: &mut Crawl<Embedded>) -> bool {
    let asked = asked(crawl);
    for request in &asked {
        answer(crawl, request, json!({"status": 403}));
    }
    !asked.is_empty()
}

fn block_all(crawl: &mut Crawl<Embedded>) {
    while is_blocked(crawl) {}
    let step = crawl.next_request(1, &mut Vec::new()).unwrap();
    assert_eq!(step, Step::Done(Done::Parked));
    crawl.commit_now(1).unwrap();
}

fn parked(crawl: &Crawl<Embedded>) -> BTreeMap<String, Parked> {
    crawl.parked().collect()
}

#[test]
fn a_commit_is_of_the_same_size_whatever_number_of_hosts_is_parked() {
    let sizes = [NAMED, NAMED + 1, 5 * NAMED].map(|hosts| {
        let ground = BlockedGround::new();
        let mut crawl = ground.begin(hosts);
        block_all(&mut crawl);
        let progress = ground.committed();
        assert_eq!(progress, crawl.progress());
        assert_eq!(
            (progress.parked_hosts, progress.parked.len()),
            (hosts as u64, NAMED)
        );
        assert_eq!(progress.counts.parked, hosts as u64 * 2);
        assert_eq!(parked(&crawl).len(), hosts, "the end tells of all");
        serde_json::to_string(&progress).unwrap().len()
    });
    // Larger numbers have more digits.
    assert!(sizes[2] < sizes[0] + 40, "{sizes:?}");
}

#[test]
fn the_hosts_with_most_urls_are_named_and_one_that_answers_is_parked_no_more() {
    let ground = BlockedGround::new();
    let mut crawl = ground.begin(NAMED + 20);
    block_all(&mut crawl);
    let late = "http://h119.example";
    let mut more = |count: usize| {
        let id = crawl.schedule.find_host(late).unwrap();
        for n in 0..count {
            crawl.schedule.arrived(id);
            assert_eq!(crawl.parked().next().unwrap().1.urls, n as u64 + 3);
        }
        (id, crawl.progress())
    };
    let (id, progress) = more(3);
    assert_eq!(progress.parked[late].urls, 5);
    assert_eq!(progress.counts.parked, (NAMED as u64 + 20) * 2 + 3);
    crawl.schedule.change(id, |host| host.gate = Gate::Open);
    let progress = crawl.progress();
    assert_eq!(progress.parked_hosts, NAMED as u64 + 19);
    assert!(!parked(&crawl).contains_key(late));
}

#[test]
fn whenever_the_power_fails_the_hosts_of_the_last_commit_are_parked() {
    for unsynced in [Unsynced::Lost, Unsynced::Kept] {
        for stop in 0..12 {
            let ground = BlockedGround::new();
            let mut crawl = ground.begin(30);
            for _ in 0..stop {
                is_blocked(&mut crawl);
            }
            crawl.commit_now(1).unwrap();
            let before = parked(&crawl);
            let counts = crawl.progress().counts;
            // Of this nothing is committed.
            is_blocked(&mut crawl);
            drop(crawl);
            ground.disk.power_cut(unsynced);
            ground.disk.revive();
            let mut again = ground.resume();
            assert_eq!(parked(&again), before, "stopped after {stop}");
            assert_eq!(again.progress().counts.unfinished(), counts.unfinished());
            block_all(&mut again);
            assert_eq!(again.progress().counts.parked, 60);
            assert_eq!(ground.committed(), again.progress());
        }
    }
}
