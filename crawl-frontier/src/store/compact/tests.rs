use std::sync::Arc;

use super::*;
use crate::store::HeldJob;
use crate::store::image;
use crate::store::memory::Memory;
use crate::store::restore::{Restored, restore};
use crate::store::seen::SeenRoom;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{JobPlace, Manifest};
use crawl_ckpt::journal::Stored;

fn restored(job: &Job, reopen: bool) -> Result<Restored, Failure> {
    restore(job, 9, 5, reopen, SeenRoom::reading(job))
}

/// Of 300 that are kept whole and 108 that failed, so many bytes are in memory at once.
const ROOM: usize = 1000;

/// Nobody is in a hurry.
struct Patient;

impl Watch for Patient {
    fn tell(&mut self, _: String) {}

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

/// Nobody is, and what is told is kept.
struct Listening(Vec<String>);

impl Watch for Listening {
    fn tell(&mut self, note: String) {
        self.0.push(note);
    }

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

/// Somebody is, from this question on.
struct HurriedAfter(u32);

impl Watch for HurriedAfter {
    fn tell(&mut self, _: String) {}

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 == 0
    }
}

/// A job of `count` requests of which all but every tenth are finished, with every twenty-fifth
/// of these failed, and one is to be tried again.
fn job(lock: &JobLock, place: &JobPlace, count: u64, path: &str) -> Job {
    let manifest = Manifest::new("test").unwrap();
    let mut job = Job::create(Arc::new(RealDisk), place, lock, manifest).unwrap();
    let end = job.replay(None, |_| Ok(())).unwrap().mark;
    let mut writer = job.writer(lock, &end).unwrap();
    let mut batch = Batch::new(&end);
    for n in 0..count {
        let url = format!("http://h{}.example/{path}{n}", n % 3);
        let extra = (n % 20 == 0).then_some(r#"{"method":"POST","body":"b"}"#);
        batch.request(&Stored {
            url: &url,
            priority: (n % 2) as i64,
            extra,
            ..Stored::default()
        });
    }
    let mut commit = Commit::default();
    let counts = &mut commit.progress.counts;
    counts.seen = count;
    for id in 0..count {
        if id % 10 == 0 {
            counts.pending += 1;
        } else if id % 25 == 0 {
            counts.failed += 1;
            batch.done(id, true);
        } else {
            counts.done += 1;
            batch.done(id, false);
        }
    }
    batch.defer(10, 2, 90_000);
    batch.set("cookies:a", b"[]");
    batch.set("answered:http://h0.example", b"/7");
    writer.append(&batch.close(&commit)).unwrap();
    job
}

#[test]
fn a_rewritten_job_is_the_same_job_in_less_room() {
    let dir = tempfile::tempdir().unwrap();
    let place = JobPlace::at(&dir.path().join("job"));
    let lock = JobLock::acquire(&place).unwrap();
    let mut job = job(&lock, &place, 3000, "");
    let before = restored(&job, false).unwrap();
    let (end, before) = (before.end, before.into_memory());
    let compacted = compact(&mut job, &lock, &end, &before.view(), ROOM, &mut Patient)
        .unwrap()
        .unwrap();
    assert!(
        compacted.end.bytes < end.bytes * 2 / 3,
        "{} {}",
        compacted.end.bytes,
        end.bytes
    );

    let after = restored(&job, false).unwrap();
    assert_eq!(after.end, compacted.end);
    let after = after.into_memory();
    assert!(
        after
            .seen
            .table()
            .shards()
            .flatten()
            .eq(before.seen.table().shards().flatten())
    );
    assert_eq!(after.values, before.values);
    let heard = |memory: &Memory| -> Vec<Option<String>> {
        let hosts = memory.schedule.hosts();
        let page = |id| memory.schedule.page(id).map(str::to_owned);
        hosts.map(|(id, _)| page(id)).collect()
    };
    assert_eq!(heard(&before)[..2], [Some("/7".to_owned()), None]);
    assert_eq!(heard(&after), heard(&before));
    let view = compacted.view(before.view());
    image::save(&job, &lock, &compacted.end, &view, &mut Patient).unwrap();
    let (imaged, _) = image::load(&job, 9, SeenRoom::reading(&job))
        .unwrap()
        .unwrap();
    assert_eq!(heard(&imaged), heard(&before));
    assert_eq!(after.progress, before.progress);
    assert_eq!(after.schedule.pending(), 300);
    assert_eq!(after.schedule.deferred().count(), 1);
    assert_eq!(after.tries.values().collect::<Vec<_>>(), [&(2, 90_000)]);
    let urls = |job: &Job, memory: &Memory| -> Vec<String> {
        let reader = job.reader().unwrap();
        let mut buffer = Vec::new();
        let lanes = memory.schedule.hosts();
        let tickets = lanes.flat_map(|(id, _)| memory.lanes.of(id));
        let tickets: Vec<Ticket> = tickets.map(|(_, ticket)| ticket).collect();
        let url = |ticket: &Ticket| {
            reader
                .request_at(ticket.id, ticket.at, &mut buffer)
                .unwrap()
                .url
                .to_owned()
        };
        tickets.iter().map(url).collect()
    };
    let list = urls(&job, &after);
    assert_eq!(list.len(), 299);
    assert!(list.iter().all(|url| url.ends_with('0')));
    let again = restored(&job, true).unwrap();
    let mut reader_buffer = Vec::new();
    let reader = job.reader().unwrap();
    let mut number = |ticket: &Ticket| -> u64 {
        let stored = reader
            .request_at(ticket.id, ticket.at, &mut reader_buffer)
            .unwrap();
        stored.url.rsplit('/').next().unwrap().parse().unwrap()
    };
    let mut failed: Vec<u64> = again.reopened.iter().map(&mut number).collect();
    failed.sort_unstable();
    let want = (0..3000).filter(|n| n % 25 == 0 && n % 10 != 0);
    assert_eq!(failed, want.collect::<Vec<_>>());

    let hosts = |memory: &Memory| -> Vec<(String, u64, u32)> {
        let hosts = memory.schedule.hosts();
        let origin = |id| memory.schedule.origin(id);
        hosts
            .map(|(id, host)| (origin(id), host.taken, host.pending))
            .collect()
    };
    assert_eq!(hosts(&before), hosts(&after));
}

#[test]
fn what_pending_requests_take_is_told_by_some_of_them() {
    for (path, least, most) in [("", 60, 60), (&*"x".repeat(500), 520, 560)] {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let job = job(&lock, &place, 6000, path);
        let restored = restored(&job, false).unwrap();
        let (end, memory) = (restored.end, restored.into_memory());
        let bytes = request_bytes(&job, &end, &memory.view()).unwrap();
        assert!((least..=most).contains(&bytes), "{bytes}");
    }
}

#[test]
fn how_long_a_rewritten_journal_is_is_known_before() {
    for (hosts, each, path) in [
        (1, 5_000, "x"),
        (2_000, 2, "y"),
        (500, 4, &*"z".repeat(300)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let manifest = Manifest::new("test").unwrap();
        let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
        let end = job.replay(None, |_| Ok(())).unwrap().mark;
        let mut writer = job.writer(&lock, &end).unwrap();
        let mut batch = Batch::new(&end);
        let mut commit = Commit::default();
        let counts = &mut commit.progress.counts;
        for n in 0..hosts * each {
            let url = format!("http://host-{}.example/{path}{n}", n % hosts);
            batch.request(&Stored {
                url: &url,
                ..Stored::default()
            });
            // All but every tenth are done.
            if n % 10 == 0 {
                counts.pending += 1;
            } else {
                counts.done += 1;
                batch.done(n, false);
            }
        }
        for n in 0..hosts {
            let origin = format!("http://host-{n}.example");
            batch.set(&OfHost::Answered.key(&origin), b"/a-page-that-came");
        }
        counts.seen = hosts * each;
        commit.progress.hosts = hosts;
        let end = writer.append(&batch.close(&commit)).unwrap();
        let memory = restored(&job, false).unwrap().into_memory();
        let view = memory.view();
        let known = living_now(&job, &end, &view).unwrap();
        let compacted = compact(&mut job, &lock, &end, &view, ROOM, &mut Patient);
        let real = compacted.unwrap().unwrap().end.bytes;
        let told = format!("{hosts} hosts: {known}, and {real} in truth");
        assert!(known * 10 > real * 8 && known * 8 < real * 10, "{told}");
    }
}

#[test]
fn much_beside_the_queue_is_written_in_batches() {
    let dir = tempfile::tempdir().unwrap();
    let place = JobPlace::at(&dir.path().join("job"));
    let lock = JobLock::acquire(&place).unwrap();
    let mut job = job(&lock, &place, 30, "");
    let before = restored(&job, false).unwrap();
    let (end, mut before) = (before.end, before.into_memory());
    let rules = vec![b'x'; BATCH_BYTES / 2];
    for n in 0..9 {
        let key = format!("cookies:h{n}.example");
        before.values.insert(key, rules.clone());
    }
    let compacted = compact(&mut job, &lock, &end, &before.view(), ROOM, &mut Patient)
        .unwrap()
        .unwrap();
    assert!(compacted.end.seq > 4, "{:?}", compacted.end);
    let after = restored(&job, false).unwrap();
    assert_eq!(after.into_memory().values, before.values);
}

#[test]
fn a_hurry_at_any_moment_leaves_the_old_journal_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let place = JobPlace::at(&dir.path().join("job"));
    let lock = JobLock::acquire(&place).unwrap();
    let mut job = job(&lock, &place, 3000, "");
    let before = restored(&job, false).unwrap();
    let (end, before) = (before.end, before.into_memory());
    let mut questions = 1;
    while compact(
        &mut job,
        &lock,
        &end,
        &before.view(),
        ROOM,
        &mut HurriedAfter(questions),
    )
    .unwrap()
    .is_none()
    {
        job.sweep(&lock).unwrap();
        assert_eq!(job.manifest().generation, 1);
        assert!(!place.dir.join("journal-2").exists(), "at {questions}");
        assert_eq!(restored(&job, false).unwrap().end, end);
        questions += 1;
    }
    // Both replays of what failed, the set, the last batch, and the end.
    assert!(questions > 5, "asked {questions} times");
    let after = restored(&job, false).unwrap().into_memory();
    assert_eq!(after.progress, before.progress);
    assert_eq!(job.manifest().generation, 2);
}

#[test]
fn a_pause_that_finds_a_part_damaged_keeps_the_journal_and_leaves_no_image() {
    for is_known in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("job"));
        let lock = JobLock::acquire(&place).unwrap();
        let mut job = job(&lock, &place, 300, "");
        let room = SeenRoom {
            first: 100,
            later: 100,
            is_writer: true,
            ..SeenRoom::reading(&job)
        };
        let before = restore(&job, 9, 5, false, room.clone()).unwrap();
        let (end, mut memory) = (before.end, before.into_memory());
        memory.seen.come_to_rest(&mut Patient);
        let view = memory.view();
        let mut sorted = memory.seen.sorted().unwrap();
        let all: Vec<u128> = std::iter::from_fn(|| sorted.next().unwrap()).collect();
        image::save(&job, &lock, &end, &view, &mut Patient).unwrap();
        let part = memory.seen.parts()[0].number();
        let part = place.dir.join(format!("seen-{part}"));
        let mut bytes = std::fs::read(&part).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&part, bytes).unwrap();
        // Nobody has read its blocks.
        let (memory, _) = image::load(&job, 9, room).unwrap().unwrap();
        let view = memory.view();
        if is_known {
            assert!(all.iter().all(|one| memory.seen.contains(*one)));
        } else {
            let told = compact(&mut job, &lock, &end, &view, ROOM, &mut Patient);
            assert!(matches!(told, Err(Unsound::Part(_))), "{told:?}");
            assert!(memory.seen.sorted().and_then(|mut all| all.next()).is_err());
        }
        let mut watch = Listening(Vec::new());
        let mut held = HeldJob::new(job, lock, Some(&end), 0);
        held.close(&end, memory.view(), &mut watch).unwrap();
        drop(held);
        let job = Job::open(Arc::new(RealDisk), &place).unwrap().unwrap();
        assert_eq!(job.manifest().sealed, Some(end));
        assert_eq!(place.dir.join("image").exists(), !is_known);
        let told = watch.0.concat();
        assert_eq!(
            told.contains("the journal is read instead"),
            is_known,
            "{told}"
        );
        assert_eq!(restored(&job, false).unwrap().end, end);
    }
}
