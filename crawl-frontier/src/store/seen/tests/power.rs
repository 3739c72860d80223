//! A job whose set does not fit into memory, on a disk whose power is cut before each operation: what is read
//! afterwards is what was committed, and no image names a part that is not whole.

use std::cmp::Reverse;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crawl_ckpt::durable::sim::{SimDisk, Unsynced};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::journal::{Batch, Mark, Stored, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::robots::Robots;

use super::*;
use crate::keys::OfHost;
use crate::rules::{HostRules, SavedRules};
use crate::store::lanes::LanesRoom;
use crate::store::memory::{Fingerprints, Memory};
use crate::store::restore::restore;
use crate::store::{Ticket, compact, image, new_manifest};
use crate::url::Fingerprinter;

/// So many may be in memory.
const MOST: usize = 40;
/// So many come with each commit.
const EACH: u64 = 25;

struct SettingLife<'a> {
    lock: &'a JobLock,
    job: Job,
    memory: Memory,
    writer: Writer,
    end: Mark,
    acknowledged: &'a AtomicU64,
}

fn room_of(job: &Job, is_writer: bool) -> SeenRoom {
    SeenRoom {
        first: MOST,
        later: MOST,
        is_writer,
        waiting: is_writer.then(|| LanesRoom {
            most: 60,
            long: EACH,
            heads: 8,
            ..LanesRoom::new(job.disk().clone(), job.place().dir.clone(), 0)
        }),
        ..SeenRoom::reading(job)
    }
}

const ORIGIN: &str = "http://site.example";

fn url_of(number: u64) -> String {
    format!("{ORIGIN}/{number}")
}

/// Some go first.
fn priority_of(number: u64) -> i64 {
    i64::from(number.is_multiple_of(5))
}

/// What the robots.txt says when so many were taken on.
fn rules_of(count: u64) -> String {
    let robots = Robots::parse(&format!("User-agent: *\nDisallow: /{count}\n"), "x");
    let saved = SavedRules {
        robots,
        fetched_ms: count,
        refused: false,
    };
    serde_json::to_string(&saved).unwrap()
}

impl<'a> SettingLife<'a> {
    fn begin(
        disk: &SimDisk,
        place: &JobPlace,
        lock: &'a JobLock,
        acknowledged: &'a AtomicU64,
    ) -> SettingLife<'a> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let job = Job::open(disk.clone(), place).unwrap();
        let job = job.map_or_else(
            || Job::create(disk, place, lock, new_manifest().unwrap()),
            Ok,
        );
        let mut job = job.unwrap();
        let restored = restore(&job, 9, 5, false, room_of(&job, true)).unwrap();
        assert!(restored.notes.is_empty(), "{:?}", restored.notes);
        let end = restored.end;
        SettingLife {
            writer: job.writer(lock, &end).unwrap(),
            memory: restored.into_memory(),
            job,
            lock,
            end,
            acknowledged,
        }
    }

    fn commit(&mut self) {
        let fingerprinter = Fingerprinter::new(self.job.manifest().key);
        let origins = self.memory.schedule.origins();
        let mut batch = Batch::new(&self.end);
        let first = self.memory.seen.len() as u64;
        for number in first..first + EACH {
            let url = url_of(number);
            let fingerprints = Fingerprints {
                request: fingerprinter.get(&url),
                host: origins.get(ORIGIN),
            };
            let stored = Stored {
                url: &url,
                priority: priority_of(number),
                ..Stored::default()
            };
            let host = self.memory.meet(fingerprints, ORIGIN).unwrap();
            let kept = batch.request(&stored);
            self.memory.arrive(host, kept, stored.priority);
        }
        let rules = rules_of(first + EACH);
        batch.set(&OfHost::Robots.key(ORIGIN), rules.as_bytes());
        let host = self.memory.schedule.find_host(ORIGIN).unwrap();
        self.memory.rules.keep(host, rules.as_bytes());
        // One operation of the disk after another, so that each is looked at.
        self.memory.seen.work_off();
        self.memory.seen.check().unwrap();
        let counts = &mut self.memory.progress.counts;
        (counts.seen, counts.pending) = (first + EACH, first + EACH);
        let commit = crawl_ckpt::journal::Commit {
            progress: self.memory.progress.clone(),
            ..Default::default()
        };
        self.end = self.writer.append(&batch.close(&commit)).unwrap();
        self.acknowledged.store(first + EACH, Ordering::Relaxed);
    }

    fn pause(mut self, rewrite: bool) {
        self.memory.settle(|_, _, _| true);
        self.memory.seen.come_to_rest(&mut Unhurried);
        self.memory.seen.check().unwrap();
        let view = self.memory.view();
        let compacted = rewrite.then(|| {
            // So few bytes that most of what is sorted is aside.
            let (lock, end) = (self.lock, &self.end);
            let compacted = compact::compact(&mut self.job, lock, end, &view, 500, &mut Unhurried);
            compacted.unwrap().unwrap()
        });
        let (end, view) = match &compacted {
            Some(compacted) => (compacted.end, compacted.view(view)),
            None => (self.end, view),
        };
        image::save(&self.job, self.lock, &end, &view, &mut Unhurried).unwrap();
        view.seen.image_is_in_force();
        self.job.seal(self.lock, &end).unwrap();
    }
}

/// What is read after a power cut.
fn check(disk: &SimDisk, place: &JobPlace, unsynced: Unsynced, acknowledged: u64) -> usize {
    disk.power_cut(unsynced);
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let Some(job) = Job::open(disk, place).unwrap() else {
        assert_eq!(acknowledged, 0);
        return 0;
    };
    let restored = restore(&job, 9, 5, false, room_of(&job, false)).unwrap();
    assert!(
        restored.notes.is_empty(),
        "{unsynced:?}: {:?}",
        restored.notes
    );
    let memory = restored.into_memory();
    let count = memory.progress.counts.seen;
    assert!(
        count >= acknowledged,
        "{unsynced:?}: {count} of {acknowledged}"
    );
    let fingerprinter = Fingerprinter::new(job.manifest().key);
    for number in 0..count + EACH {
        let is_seen = memory.seen.contains(fingerprinter.get(&url_of(number)));
        assert_eq!(is_seen, number < count, "{unsynced:?}: {number} of {count}");
    }
    memory.seen.check().unwrap();
    let ids = memory.schedule.ids();
    let waiting = ids.flat_map(|id| memory.lanes.of(id));
    let read = job.reader().unwrap();
    let mut buffer = Vec::new();
    let url = |(_, ticket): (i64, Ticket)| {
        let stored = read.request_at(ticket.id, ticket.at, &mut buffer).unwrap();
        stored.url.to_owned()
    };
    let waiting: Vec<String> = waiting.map(url).collect();
    let mut taken_on: Vec<u64> = (0..count).collect();
    taken_on.sort_by_key(|number| Reverse(priority_of(*number)));
    let taken_on: Vec<String> = taken_on.into_iter().map(url_of).collect();
    assert_eq!(waiting, taken_on, "{unsynced:?}");
    if let Some(host) = memory.schedule.find_host(ORIGIN) {
        assert_eq!(memory.rules.saved(host).unwrap(), Some(rules_of(count)));
    }
    memory.seen.parts().len()
}

#[test]
fn a_power_cut_at_any_moment_leaves_a_set_that_is_what_was_committed() {
    let dir = tempfile::tempdir().unwrap();
    let place = JobPlace::at(&dir.path().join("job"));
    let lock = JobLock::acquire(&place).unwrap();
    let disk = SimDisk::new();
    (Arc::new(disk.clone()) as Arc<dyn Disk>)
        .create_dir_all(dir.path())
        .unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let most_parts = Arc::new(Mutex::new(0));
    let (told, parts, at) = (acknowledged.clone(), most_parts.clone(), place.clone());
    let mut seed = 0;
    disk.watch(move |snapshot| {
        seed += 1;
        for unsynced in [Unsynced::Lost, Unsynced::Kept, Unsynced::Diced(seed)] {
            let count = check(
                &snapshot.snapshot(),
                &at,
                unsynced,
                told.load(Ordering::Relaxed),
            );
            let mut most = parts.lock().unwrap();
            *most = count.max(*most);
        }
    });
    // What waits is put aside in a file without a name, on the real disk.
    std::fs::create_dir(&place.dir).unwrap();
    let mut kept = 0;
    for (commits, rewrite, is_killed) in [
        (6, false, false),
        (6, false, true),
        // Little comes, and the part of what waits stays.
        (1, false, false),
        (6, false, false),
        (6, true, false),
        (6, false, true),
    ] {
        let mut life = SettingLife::begin(&disk, &place, &lock, &acknowledged);
        kept += usize::from(life.memory.lanes.has_aside());
        for _ in 0..commits {
            life.commit();
        }
        if !is_killed {
            life.pause(rewrite);
        }
    }
    assert_eq!(kept, 5, "what waits was on the disk");
    assert!(*most_parts.lock().unwrap() >= 3, "the set was on the disk");
    assert!(disk.operations() > 200, "{}", disk.operations());
}
