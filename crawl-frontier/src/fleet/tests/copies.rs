//! The copies that a worker has of its partitions: gone on with while they are sound, and made anew when not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crawl_ckpt::durable::UnsyncedDisk;
use crawl_ckpt::fleet::{FakeDepot, Mishap, Spot};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::journal::{Batch, Commit, Entry};
use crawl_ckpt::lock::JobLock;

use super::scene::{Random, STEP_MS, Size, Worker, judge, new_dir};
use crate::crawl::Done;
use crate::served::Served;

const SIZE: Size = Size {
    parts: 3,
    pages: 60,
    hosts: 9,
    workers: 1,
    least_grown: 2000,
};

fn start(dir: &Path, engine: &FakeDepot) -> Worker {
    Worker::start(dir, "a", engine, SIZE, Random::of(1))
}

/// The copies in a directory.
fn copies(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("a")).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

fn journals(copy: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(copy).unwrap().map(|e| e.unwrap().path());
    let is_journal = |path: &PathBuf| path.to_string_lossy().contains("journal-");
    paths.filter(is_journal).collect()
}

/// Has a worker begin a crawl, does this to each copy, and has it end the crawl. The calls by which it read
/// journals, and how many partitions it had.
fn go_on_after(spoil: impl Fn(&Path)) -> (BTreeSet<Option<u32>>, usize) {
    let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
    let mut now_ms = 1_000_000;
    let mut worker = start(dir.path(), &engine);
    while engine.bases() == 0 {
        now_ms += STEP_MS;
        assert_eq!(
            worker.step(now_ms).unwrap(),
            None,
            "no journal was rewritten"
        );
    }
    drop(worker);
    let copies = copies(dir.path());
    copies.iter().for_each(|copy| spoil(copy));
    engine.write_down();
    let mut worker = start(dir.path(), &engine);
    while worker.step(now_ms).unwrap() != Some(Done::Complete) {
        now_ms += STEP_MS;
    }
    drop(worker);
    let reads = |spot: &Spot| ["read", "read_base"].contains(&spot.call);
    let spots = engine.written().into_iter();
    let read = spots.filter(reads).map(|spot| spot.part).collect();
    judge(dir.path(), &engine, SIZE).unwrap();
    (read, copies.len())
}

#[test]
fn a_copy_that_is_still_valid_is_gone_on_with_and_nothing_is_read() {
    let (read, had) = go_on_after(|_| {});
    assert!(read.is_empty() && had > 1, "{read:?} of {had}");
}

#[test]
fn a_copy_with_rubbish_in_it_is_made_anew() {
    let (read, had) = go_on_after(|copy| {
        for journal in journals(copy) {
            let mut bytes = fs::read(&journal).unwrap();
            let at = bytes.len() / 2;
            bytes[at..at + 8].copy_from_slice(b"rubbish!");
            fs::write(&journal, bytes).unwrap();
        }
    });
    assert_eq!(read.len(), had);
}

#[test]
fn a_copy_that_is_cut_is_made_whole() {
    let (read, had) = go_on_after(|copy| {
        for journal in journals(copy) {
            let bytes = fs::read(&journal).unwrap();
            fs::write(&journal, &bytes[..bytes.len() / 2]).unwrap();
        }
    });
    assert_eq!(read.len(), had);
}

#[test]
fn a_copy_that_has_a_batch_that_was_never_committed_is_made_anew() {
    let (read, had) = go_on_after(|copy| {
        let place = JobPlace::at(copy);
        let lock = JobLock::acquire(&place).unwrap();
        let mut job = Job::open(Arc::new(UnsyncedDisk), &place).unwrap().unwrap();
        let mut last = Commit::default();
        let told = job.replay(None, |entry| {
            if let Entry::Commit(commit) = entry {
                last = commit.parse()?;
            }
            Ok(())
        });
        let end = told.unwrap().mark;
        let mut batch = Batch::new(&end);
        batch.set("who", b"nobody");
        let mut writer = job.writer(&lock, &end).unwrap();
        writer.append_copied(&batch.close(&last)).unwrap();
    });
    assert_eq!(read.len(), had);
}

/// Has one worker crawl all of it over this engine; what was told.
fn crawl(engine: &FakeDepot) -> Vec<String> {
    let dir = new_dir();
    let (mut now_ms, mut told) = (1_000_000, Vec::new());
    let mut worker = start(dir.path(), engine);
    loop {
        now_ms += STEP_MS;
        let done = worker.step(now_ms).unwrap();
        told.append(&mut worker.fleet.take_notes());
        if done == Some(Done::Complete) {
            break;
        }
    }
    drop(worker);
    judge(dir.path(), engine, SIZE).unwrap();
    told
}

#[test]
fn a_store_that_refuses_to_put_a_rewritten_journal_in_force_is_told_of_and_the_crawl_goes_on() {
    let engine = FakeDepot::new(SIZE.parts, 1);
    engine.write_down();
    assert_eq!(crawl(&engine), Vec::<String>::new());
    let mut calls = engine.written().into_iter();
    let switch = calls.find(|spot| spot.call == "switch").unwrap();
    let engine = FakeDepot::new(SIZE.parts, 1);
    engine.place(switch, Mishap::Refused);
    let told = crawl(&engine);
    assert!(engine.was_met());
    let is_told = |note: &String| {
        note.starts_with("the journal was not settled: ") && note.contains("no memory is left")
    };
    assert!(told.iter().any(is_told), "{told:?}");
}

#[test]
fn a_journal_that_cannot_be_rewritten_is_told_of_and_the_crawl_goes_on() {
    let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
    let (mut now_ms, mut told) = (1_000_000, Vec::new());
    let mut worker = start(dir.path(), &engine);
    loop {
        now_ms += STEP_MS;
        let done = worker.step(now_ms).unwrap();
        told.append(&mut worker.fleet.take_notes());
        for copy in copies(dir.path()) {
            // Where the first base is to lie, no file can be made.
            let in_the_way = copy.join("journal-3");
            if told.is_empty() && !in_the_way.exists() {
                fs::create_dir(in_the_way).unwrap();
            } else if !told.is_empty() && in_the_way.is_dir() {
                fs::remove_dir(in_the_way).unwrap();
            }
        }
        if done == Some(Done::Complete) {
            break;
        }
    }
    drop(worker);
    assert!(
        told.iter()
            .any(|note| note.starts_with("the journal was not settled: ")),
        "{told:?}"
    );
    judge(dir.path(), &engine, SIZE).unwrap();
}
