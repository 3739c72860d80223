//! Nodes of the engine that do not answer for a while, while others do.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crawl_ckpt::fleet::{BEAT_MS, Depot, FakeDepot};

use super::scene::{Random, STEP_MS, Size, Worker, judge, new_dir};
use crate::crawl::Done;
use crate::served::Served;

const SIZE: Size = Size {
    parts: 5,
    pages: 1000,
    hosts: 9,
    workers: 2,
    least_grown: 2000,
};

fn start(dir: &Path, name: &str, engine: &FakeDepot) -> Worker {
    Worker::start(dir, name, engine, SIZE, Random::of(3))
}

/// Has a worker do so many steps, or as many as it takes; the time then.
fn steps(worker: &mut Worker, mut now_ms: u64, most: u32) -> (u64, Option<Done>) {
    for _ in 0..most {
        now_ms += STEP_MS;
        let done = worker.step(now_ms).unwrap();
        if done.is_some() {
            return (now_ms, done);
        }
    }
    (now_ms, None)
}

/// Partitions that have something, and how many batches.
fn begun(engine: &FakeDepot) -> Vec<(u32, u64)> {
    let shown = engine.clone().look().unwrap();
    let parts = (0..).zip(shown).map(|(part, shown)| (part, shown.seq));
    parts.filter(|(_, seq)| *seq > 0).collect()
}

#[test]
fn a_partition_whose_node_is_lost_before_it_is_open_is_opened_later_and_the_others_go_on_meanwhile()
{
    let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
    let mut worker = start(dir.path(), "a", &engine);
    let (mut now_ms, _) = steps(&mut worker, 1_000_000, 15);
    worker.fleet.commit_now(now_ms).unwrap();
    drop(worker);
    let before = begun(&engine);
    assert!(before.len() > 1, "{before:?}");
    let lost = before[0].0;
    let mut worker = start(dir.path(), "a", &engine);
    // All are its own; then the node is gone.
    now_ms += BEAT_MS;
    worker.carry(now_ms);
    engine.silence(lost);
    let (mut now_ms, _) = steps(&mut worker, now_ms, 15);
    let has_grown =
        |(part, seq): &(u32, u64)| begun(&engine).iter().any(|(of, is)| of == part && is > seq);
    engine.end_silence();
    let grown: BTreeSet<u32> = before
        .iter()
        .filter(|part| has_grown(part))
        .map(|(part, _)| *part)
        .collect();
    assert!(!grown.is_empty(), "the others stood still");
    assert!(!grown.contains(&lost));
    let done;
    (now_ms, done) = steps(&mut worker, now_ms, 4000);
    assert_eq!(done, Some(Done::Complete), "at {now_ms}");
    drop(worker);
    assert_eq!(judge(dir.path(), &engine, SIZE), Ok(()));
}

#[test]
fn a_partition_of_a_lost_node_that_another_worker_is_to_have_holds_up_no_other_one() {
    let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
    let mut a = start(dir.path(), "a", &engine);
    let (mut now_ms, _) = steps(&mut a, 1_000_000, 15);
    a.ask(now_ms + STEP_MS).unwrap();
    assert!(!a.asked().is_empty());
    let mut b = start(dir.path(), "b", &engine);
    begun(&engine)
        .iter()
        .for_each(|(part, _)| engine.silence(*part));
    // Half of them are to go to who came, and nobody takes their commits: who waits for one ends with an error.
    for _ in 0..30 {
        now_ms += STEP_MS;
        b.carry(now_ms);
        a.ask(now_ms).unwrap();
        a.answer_all(now_ms);
    }
    engine.end_silence();
    let mut left = vec![a, b];
    while !left.is_empty() {
        now_ms += STEP_MS;
        left.retain_mut(|worker| match worker.step(now_ms).unwrap() {
            None => true,
            Some(done) => {
                assert_eq!(done, Done::Complete);
                false
            }
        });
    }
    assert_eq!(judge(dir.path(), &engine, SIZE), Ok(()));
}

#[test]
fn a_worker_that_is_told_to_end_leaves_commits_that_no_node_takes_and_another_one_fetches_these_pages()
 {
    let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
    let mut worker = start(dir.path(), "a", &engine);
    let (mut now_ms, _) = steps(&mut worker, 1_000_000, 15);
    let before = begun(&engine);
    for (part, _) in &before {
        engine.silence(*part);
    }
    worker.answer_all(now_ms);
    worker.fleet.is_to_end_within(Duration::ZERO);
    // What was not renewed for a while is left.
    worker.fleet.commit_now(now_ms).unwrap();
    let notes = worker.fleet.take_notes();
    assert!(
        notes
            .iter()
            .any(|note| note.contains("the store did not take the last commits of")),
        "{notes:?}"
    );
    drop(worker);
    engine.end_silence();
    let mut worker = start(dir.path(), "b", &engine);
    let done;
    (now_ms, done) = steps(&mut worker, now_ms, 4000);
    assert_eq!(done, Some(Done::Complete), "at {now_ms}");
    drop(worker);
    assert_eq!(judge(dir.path(), &engine, SIZE), Ok(()));
}
