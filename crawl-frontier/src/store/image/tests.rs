//! Images of a queue of which a part lies in a file of its own.

use std::path::PathBuf;
use std::sync::Arc;

use crawl_ckpt::durable::{Disk, RealDisk};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::journal::Mark;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::parts::WAITING;
use crawl_ckpt::robots::Robots;

use super::*;
use crate::rules::{HostRules, SavedRules};
use crate::schedule::{Gate, HostId, Room};
use crate::store::lanes::{Lanes, LanesRoom};
use crate::store::memory::Memory;
use crate::store::seen::{Seen, SeenRoom};
use crate::store::{Ticket, Watch, new_manifest};

struct Unwatched;

impl Watch for Unwatched {
    fn tell(&mut self, _: String) {}

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

const MARK: Mark = Mark {
    bytes: 64,
    seq: 0,
    next_id: 0,
    sum: [7; 16],
};

struct ImagedJob {
    job: Job,
    lock: JobLock,
    _dir: tempfile::TempDir,
}

impl ImagedJob {
    fn new() -> ImagedJob {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let job = Job::create(disk, &place, &lock, new_manifest().unwrap()).unwrap();
        ImagedJob {
            job,
            lock,
            _dir: dir,
        }
    }

    fn reader(&self) -> SeenRoom {
        SeenRoom::reading(&self.job)
    }

    /// Of whom a queue of more than `long` goes into a part, but for 30 of it.
    fn writer(&self, long: u64) -> SeenRoom {
        let room = LanesRoom::new(self.job.disk().clone(), self.job.place().dir.clone(), 0);
        SeenRoom {
            is_writer: true,
            waiting: Some(LanesRoom {
                long,
                heads: 30,
                ..room
            }),
            ..self.reader()
        }
    }

    fn save(&self, memory: &Memory) {
        save(&self.job, &self.lock, &MARK, &memory.view(), &mut Unwatched).unwrap();
    }

    fn load(&self, room: SeenRoom) -> Memory {
        load(&self.job, 9, room).unwrap().unwrap().0
    }

    fn parts(&self) -> Vec<u64> {
        let dir = &self.job.place().dir;
        WAITING.numbers(&**self.job.disk(), dir).unwrap()
    }

    fn part_path(&self) -> PathBuf {
        WAITING.path(&self.job.place().dir, self.parts()[0])
    }
}

fn ticket(id: u64) -> Ticket {
    Ticket { id, at: id * 1000 }
}

/// Hosts with many, with few and with none, and some that have a priority.
fn fill(memory: &mut Memory, ids: std::ops::Range<u64>) {
    for host in 0..9 {
        let origin = format!("http://{host}.example");
        memory.schedule.host_of(&origin, Gate::Open);
    }
    for id in ids {
        let host = HostId([0, 0, 0, 0, 2, 2, 3, 8][(id % 8) as usize]);
        memory.push(
            host,
            ticket(id),
            [(7, 7), (9, -3)]
                .iter()
                .find(|(rest, _)| id % 97 == *rest)
                .map_or(0, |(_, priority)| *priority),
        );
    }
}

fn all_of(memory: &Memory) -> Vec<Vec<(i64, Ticket)>> {
    let ids = memory.schedule.ids();
    ids.map(|id| memory.lanes.of(id)).collect()
}

#[test]
fn rules_of_hosts_are_in_the_image_with_any_room() {
    let made = ImagedJob::new();
    let saved = |n: u32| {
        let robots = Robots::parse(&format!("User-agent: *\nDisallow: /{n}\n"), "x");
        let (fetched_ms, refused) = (n.into(), n == 40);
        serde_json::to_string(&SavedRules {
            robots,
            fetched_ms,
            refused,
        })
        .unwrap()
    };
    let mut memory = Memory::new(9, Seen::new());
    for n in 0..300 {
        let id = memory
            .schedule
            .host_of(&format!("http://{n}.example"), Gate::Open);
        if n % 3 > 0 {
            memory.rules.keep(id, saved(n).as_bytes());
        }
    }
    made.save(&memory);
    for room in [made.reader(), made.writer(700)] {
        let loaded = made.load(room);
        for id in memory.schedule.ids() {
            let expected = (id.0 % 3 > 0).then(|| saved(id.0));
            assert_eq!(loaded.rules.saved(id).unwrap(), expected);
        }
    }
}

fn pop(memory: &mut Memory, count: usize) -> Vec<Ticket> {
    let mut popped = Vec::new();
    for _ in 0..count {
        let host = memory.schedule.next(0, Room::ALL).unwrap();
        popped.push(memory.lanes.pop(host).unwrap());
        memory.schedule.skipped(host);
    }
    popped
}

#[test]
fn a_long_queue_goes_on_from_a_part_as_if_all_of_it_were_in_the_image() {
    let made = ImagedJob::new();
    let mut plain = Memory::new(9, Seen::new());
    let mut parted = Memory {
        lanes: Lanes::within(made.writer(700).waiting()),
        ..Memory::new(9, Seen::empty(made.writer(700)))
    };
    let mut id = 0;
    let mut parts = Vec::new();
    // Much comes, little, nothing; then more goes than comes.
    for (come, go) in [
        (3000, 10),
        (60, 700),
        (0, 300),
        (2000, 40),
        (0, 2500),
        (20, 0),
    ] {
        for memory in [&mut plain, &mut parted] {
            fill(memory, id..id + come);
        }
        id += come;
        assert_eq!(pop(&mut plain, go), pop(&mut parted, go));
        made.save(&parted);
        parts.push(made.parts());
        let read = made.load(made.reader());
        let heads_alone = made.load(made.writer(700));
        for memory in [&read, &heads_alone] {
            assert_eq!(all_of(memory), all_of(&plain));
            assert_eq!(memory.pending(), plain.pending());
        }
        // The order of hosts begins anew with each run.
        plain = read;
        parted = heads_alone;
    }
    // Kept as long as half of it waits, and little beside it.
    assert_eq!(parts, [[1], [1], [1], [2], [3], [3]]);
    let left = plain.pending() as usize;
    assert_eq!(pop(&mut plain, left), pop(&mut parted, left));
    assert!(parted.lanes.check().is_ok() && left > 0);
}

#[test]
fn what_has_a_priority_and_is_aside_is_in_the_image() {
    let made = ImagedJob::new();
    let lanes = || Lanes::within(made.writer(1 << 20).waiting());
    let mut plain = Memory::new(9, Seen::new());
    let mut small = Memory {
        lanes: lanes(),
        ..Memory::new(9, Seen::new())
    };
    for memory in [&mut plain, &mut small] {
        fill(memory, 0..1000);
        for id in 1000..20_000 {
            let priority = match id % 3 {
                0 => 1,
                1 => (id * 7919 % 10_007) as i64 - 5_000,
                _ => -1,
            };
            memory.push(HostId((id * 31 % 9) as u32), ticket(id), priority);
        }
    }
    assert!(small.lanes.has_aside());
    assert_eq!(pop(&mut plain, 3000), pop(&mut small, 3000));
    made.save(&small);
    for room in [made.reader(), made.writer(1 << 20)] {
        let mut loaded = made.load(room);
        assert_eq!(all_of(&loaded), all_of(&plain));
        let swept = loaded.lanes.sweep_at_hand(|_, _| true);
        let waiting: Vec<usize> = all_of(&plain).iter().map(Vec::len).collect();
        assert_eq!(
            swept
                .iter()
                .map(|count| *count as usize)
                .collect::<Vec<_>>(),
            waiting
        );
    }
    let mut loaded = made.load(made.writer(1 << 20));
    let left = plain.pending() as usize;
    assert!(pop(&mut loaded, left).len() == left && loaded.lanes.check().is_ok());
}

#[test]
fn a_start_reads_heads_alone_and_a_queue_that_is_short_has_no_part() {
    let made = ImagedJob::new();
    let mut memory = Memory {
        lanes: Lanes::within(made.writer(700).waiting()),
        ..Memory::new(9, Seen::new())
    };
    fill(&mut memory, 0..100);
    made.save(&memory);
    assert!(made.parts().is_empty());
    fill(&mut memory, 100..5000);
    made.save(&memory);
    let loaded = made.load(made.writer(700));
    let heads = loaded.schedule.ids();
    let heads = heads.map(|id| loaded.lanes.plain_at_hand(id).count());
    assert!(heads.sum::<usize>() <= 30);
    // Nearly all of it is gone.
    let mut memory = loaded;
    let gone = memory.pending() as usize - 40;
    pop(&mut memory, gone);
    made.save(&memory);
    let memory = made.load(made.reader());
    assert_eq!((memory.pending(), made.parts()), (40, vec![]));
}

#[test]
fn a_part_that_is_damaged_is_told_and_costs_the_image_no_request() {
    let made = ImagedJob::new();
    let mut memory = Memory {
        lanes: Lanes::within(made.writer(700).waiting()),
        ..Memory::new(9, Seen::new())
    };
    fill(&mut memory, 0..5000);
    made.save(&memory);
    let path = made.part_path();
    let good = std::fs::read(&path).unwrap();
    // In a block, which a start does not read …
    let mut bad = good.clone();
    bad[5000] ^= 1;
    std::fs::write(&path, bad).unwrap();
    let mut loaded = made.load(made.writer(700));
    let told = load(&made.job, 9, made.reader()).unwrap_err();
    assert!(told.why().contains("checksum of a block"), "{}", told.why());
    while let Some(host) = loaded.schedule.next(0, Room::ALL) {
        loaded.schedule.skipped(host);
        if loaded.lanes.pop(host).is_none() {
            break;
        }
    }
    let told = loaded.lanes.check().unwrap_err();
    assert!(told.message.contains("waiting-1: damaged"), "{told:?}");
    assert!(!made.job.image_path().exists(), "the journal is read next");
    // … and in its index.
    std::fs::write(&path, good).unwrap();
    made.save(&memory);
    let path = made.part_path();
    let mut bad = std::fs::read(&path).unwrap();
    let last = bad.len() - 40;
    bad[last] ^= 1;
    std::fs::write(&path, bad).unwrap();
    assert!(load(&made.job, 9, made.writer(700)).is_err());
    std::fs::remove_file(&path).unwrap();
    assert!(load(&made.job, 9, made.writer(700)).is_err());
}
