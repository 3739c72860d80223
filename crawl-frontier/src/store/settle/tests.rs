use std::sync::Arc;

use super::*;
use crate::rules::{HostRules, SavedRules};
use crate::store::compact::compact;
use crate::store::memory::Memory;
use crate::store::restore::restore;
use crate::store::seen::SeenRoom;
use crate::store::{Ticket, Watch};
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{JobPlace, Manifest};
use crawl_ckpt::journal::Reader;
use crawl_ckpt::repair::repair;
use crawl_ckpt::robots::Robots;

/// Nobody is in a hurry.
struct Leisurely;

impl Watch for Leisurely {
    fn tell(&mut self, _: String) {}

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

/// A crawl of made-up pages: what it does next is told by the dice.
struct Made {
    _dir: tempfile::TempDir,
    lock: JobLock,
    job: Job,
    writer: Writer,
    commit: Commit,
    dice: u64,
    pending: Vec<u64>,
    failed: Vec<u64>,
    next: u64,
}

impl Made {
    fn new(seed: u64) -> Made {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let manifest = Manifest::new("test").unwrap();
        let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
        let end = job.replay(None, |_| Ok(())).unwrap().mark;
        Made {
            writer: job.writer(&lock, &end).unwrap(),
            _dir: dir,
            lock,
            job,
            commit: Commit::default(),
            dice: seed,
            pending: Vec::new(),
            failed: Vec::new(),
            next: 0,
        }
    }

    fn throw(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    /// One batch: some URLs are taken on, most end, some fail, wait, or are to be tried again.
    fn go_on(&mut self, requests: u64) {
        let mut batch = Batch::new(&self.writer.end());
        for _ in 0..requests {
            let host = self.throw(7);
            let url = format!("http://h{host}.example/page/{}", self.next);
            self.next += 1;
            let (id, _) = batch.request(&Stored {
                url: &url,
                priority: i64::from(host == 3),
                extra: (host == 5).then_some(r#"{"method":"POST","body":"b"}"#),
                ..Stored::default()
            });
            self.pending.push(id);
            self.commit.progress.counts.seen += 1;
        }
        for _ in 0..requests {
            let at = self.throw(self.pending.len() as u64) as usize;
            let id = self.pending[at];
            match self.throw(12) {
                0..8 => {
                    self.pending.swap_remove(at);
                    batch.done(id, false);
                    self.commit.progress.counts.done += 1;
                }
                8 => {
                    self.pending.swap_remove(at);
                    self.failed.push(id);
                    batch.done(id, true);
                    self.commit.progress.counts.failed += 1;
                }
                9 => batch.defer(id, 2, 90_000),
                // One that failed is tried once more.
                10 if !self.failed.is_empty() => {
                    let at = self.throw(self.failed.len() as u64) as usize;
                    let id = self.failed.swap_remove(at);
                    self.pending.push(id);
                    batch.defer(id, 0, 0);
                    self.commit.progress.counts.failed -= 1;
                }
                _ => {}
            }
        }
        let key = format!("cookies:{}", self.throw(5));
        match self.throw(3) {
            0 => batch.unset(&key),
            _ => batch.set(&key, format!("[{}]", self.next).as_bytes()),
        }
        let host = self.throw(7);
        let rules = Robots::parse(&format!("User-agent: *\nDisallow: /{}\n", self.next), "x");
        let saved = SavedRules {
            robots: rules,
            fetched_ms: self.next,
            refused: false,
        };
        let key = format!("robots:http://h{host}.example");
        match self.throw(4) {
            0 => batch.unset(&key),
            _ => batch.set(&key, &serde_json::to_vec(&saved).unwrap()),
        }
        batch.set(
            &format!("answered:http://h{}.example", self.next % 7),
            b"/7",
        );
        self.commit.progress.counts.pending = self.pending.len() as u64;
        self.commit.at_ms += 1;
        self.writer.append(&batch.close(&self.commit)).unwrap();
    }

    fn go_on_anew(&mut self) {
        self.writer = self.job.go_on_anew(&self.lock, &self.writer).unwrap();
    }

    fn settle(&mut self) {
        // All of what is new in memory, or most of it aside.
        let room = [1 << 24, 20_000, 500][self.throw(3) as usize];
        let over = AtomicBool::new(false);
        assert!(settle(&mut self.job, &self.lock, room, &over).unwrap());
    }

    fn memory(&self, reopen: bool) -> Memory {
        let room = SeenRoom::reading(&self.job);
        let restored = restore(&self.job, 9, 5, reopen, room).unwrap();
        assert_eq!(restored.end, self.writer.end());
        restored.into_memory()
    }

    /// All that a run goes on with, in words, however it was kept.
    fn told(&self, reopen: bool) -> Vec<String> {
        let memory = self.memory(reopen);
        let mut told: Vec<String> = Vec::new();
        let reader = self.job.reader().unwrap();
        for (id, host) in memory.schedule.hosts() {
            let (priorities, tickets): (Vec<_>, Vec<_>) = memory.lanes.of(id).into_iter().unzip();
            let urls = (priorities, urls(&reader, &tickets));
            let rules = memory.rules.saved(id).unwrap();
            told.push(format!(
                "{} {} {:?} {rules:?} {urls:?}",
                memory.schedule.origin(id),
                host.taken,
                memory.schedule.page(id)
            ));
        }
        let later: Vec<_> = memory.schedule.deferred().collect();
        for (due_ms, _, ticket) in later {
            told.push(format!("{:?} {due_ms}", urls(&reader, &[ticket])));
        }
        told.extend(memory.tries.iter().map(|tries| format!("{tries:?}")));
        told.extend(memory.values.iter().map(|value| format!("{value:?}")));
        // Hosts with nothing to do may be met in another order.
        told.sort();
        let seen: Vec<u128> = memory.seen.table().shards().flatten().collect();
        told.push(format!("{seen:?} {:?} {:?}", memory.progress, memory.files));
        told
    }
}

fn urls(reader: &Reader, tickets: &[Ticket]) -> Vec<String> {
    let mut buffer = Vec::new();
    let mut read = |ticket: &Ticket| {
        let stored = reader
            .request_at(ticket.id, ticket.at, &mut buffer)
            .unwrap();
        format!("{} {} {:?}", ticket.id, stored.url, stored.extra)
    };
    tickets.iter().map(&mut read).collect()
}

#[test]
fn a_crawl_goes_on_as_if_nothing_had_been_settled() {
    for seed in 1..7_u64 {
        let mut made = Made::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for round in 0..30 {
            let requests = [3, 300, 20][round % 3];
            made.go_on(requests);
            if made.throw(3) == 0 {
                made.go_on_anew();
                // Not always is there anything in it.
                if made.throw(2) == 0 {
                    made.go_on(9);
                }
            }
            if made.throw(4) == 0 && !made.job.manifest().before.is_empty() {
                let (before, reopened) = (made.told(false), made.told(true));
                let live = made.memory(false);
                let reader = made.job.reader().unwrap();
                let tickets: Vec<Ticket> = (live.schedule.ids())
                    .flat_map(|id| live.lanes.of(id))
                    .map(|(_, ticket)| ticket)
                    .collect();
                let read = urls(&reader, &tickets);
                made.settle();
                assert_eq!(made.told(false), before, "seed {seed}, round {round}");
                assert_eq!(made.told(true), reopened, "seed {seed}, round {round}");
                // The run that goes on has the places of before.
                made.job.renew(&reader).unwrap();
                assert_eq!(urls(&reader, &tickets), read);
            }
            if made.throw(9) == 0 {
                let before = made.memory(false);
                let end = made.writer.end();
                let compacted = compact(
                    &mut made.job,
                    &made.lock,
                    &end,
                    &before.view(),
                    1 << 20,
                    &mut Leisurely,
                );
                let end = compacted.unwrap().unwrap().end;
                assert!(made.job.manifest().before.is_empty());
                made.writer = made.job.writer(&made.lock, &end).unwrap();
                // The requests have other ids now.
                let memory = made.memory(false);
                for (id, _) in before.schedule.hosts() {
                    let host = memory.schedule.find_host(&before.schedule.origin(id));
                    let rules = host.map(|host| memory.rules.saved(host).unwrap());
                    assert_eq!(rules, Some(before.rules.saved(id).unwrap()));
                }
                made.pending = (memory.schedule.ids())
                    .flat_map(|id| memory.lanes.of(id))
                    .map(|(_, ticket)| ticket)
                    .chain(memory.schedule.deferred().map(|(.., ticket)| ticket))
                    .map(|ticket| ticket.id)
                    .collect();
                made.failed.clear();
            }
        }
    }
}

#[test]
fn what_is_done_takes_a_fingerprint_and_no_more_once_it_is_settled() {
    let mut made = Made::new(7);
    made.go_on(20_000);
    made.go_on_anew();
    let before = made.job.journal_bytes();
    made.settle();
    let counts = made.commit.progress.counts;
    let whole = counts.seen - counts.done;
    let after = made.job.journal_bytes();
    assert!(after < before * 2 / 3, "{after} of {before}");
    assert!(
        after < counts.done * 18 + whole * 70,
        "{after} for {counts:?}"
    );
    // Again there is nothing to gain, and nothing is lost.
    made.go_on_anew();
    made.settle();
    assert!(made.job.journal_bytes() < after + 1000);
}

#[test]
fn who_is_told_to_end_leaves_the_journals_as_they_are() {
    let mut made = Made::new(5);
    made.go_on(500);
    made.go_on_anew();
    made.go_on(5);
    let (before, told) = (made.job.manifest().clone(), made.told(false));
    let settled = settle(&mut made.job, &made.lock, 1 << 24, &AtomicBool::new(true));
    assert!(!settled.unwrap());
    assert_eq!(*made.job.manifest(), before);
    assert_eq!(made.told(false), told);
}

#[test]
fn a_settled_job_is_repaired_without_its_manifest() {
    let mut made = Made::new(11);
    for round in 0..6 {
        made.go_on(200);
        made.go_on_anew();
        if round % 2 == 1 {
            made.settle();
        }
    }
    // Closed journals behind a settled one, and one that is written.
    made.go_on(50);
    made.go_on_anew();
    made.go_on(50);
    let place = made.job.place().clone();
    std::fs::remove_file(place.dir.join("job.json")).unwrap();
    let repaired = repair(&place, &made.lock, &place.dir).unwrap();
    let counts = made.commit.progress.counts;
    assert_eq!(
        (repaired.seen, repaired.pending),
        (counts.seen, counts.pending)
    );
    assert_eq!((repaired.gaps.len(), &repaired.left_out[..]), (0, &[][..]));
}

#[test]
fn hosts_count_their_requests_also_when_what_waits_has_no_room() {
    let mut made = Made::new(3);
    made.go_on(30_000);
    made.go_on_anew();
    made.settle();
    let expected = taken(&made.memory(false));
    assert_eq!(expected.iter().map(|(_, taken)| taken).sum::<u64>(), 30_000);
    let room = SeenRoom::within(1 << 10, &mut made.job).unwrap();
    let restored = restore(&made.job, 9, 5, false, room).unwrap();
    let memory = restored.into_memory();
    assert!(memory.lanes.has_aside());
    assert_eq!(taken(&memory), expected);
}

/// How many requests each host has had.
fn taken(memory: &Memory) -> Vec<(String, u64)> {
    let hosts = memory.schedule.hosts();
    let hosts = hosts.map(|(id, host)| (memory.schedule.origin(id), host.taken));
    let mut hosts: Vec<_> = hosts.collect();
    hosts.sort();
    hosts
}
