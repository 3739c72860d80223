//! Whole fleets over an engine that misbehaves: real workers, real journals, a site and a fetcher of
//! the test's own, and a clock that the test turns.

mod away;
mod copies;
mod lost;
mod placed;
mod scene;

use crawl_ckpt::fleet::{BEAT_MS, FakeDepot, Faults, LEASE_MS};

use self::scene::{Random, STEP_MS, Scene, Size, Worker, new_dir};
use super::bell::Bell;
use super::courier::Courier;
use super::words::{Task, Word};
use crate::served::Served;

const SIZE: Size = Size {
    parts: 5,
    pages: 40,
    hosts: 9,
    workers: 3,
    least_grown: 2000,
};

/// What is to happen to workers, of a thousand steps.
#[derive(Clone, Copy)]
struct Weather {
    kills: u64,
    stops: u64,
    faults: Faults,
}

/// Crawls with three workers; how many bases there were, or what is wrong with what came out.
fn crawl(seed: u64, trouble: Weather) -> Result<u64, String> {
    let mut scene = Scene::new(SIZE, seed);
    scene.engine.misbehave(trouble.faults);
    let mut random = Random::of(seed);
    let mut stopped_until = [0; SIZE.workers];
    for step in 0..6000 {
        // In the end all is well, so that it can end.
        let is_calm = step > 1500;
        if step == 1501 {
            scene.engine.misbehave(Faults {
                lost_calls: 0,
                lost_answers: 0,
                lost_letters: 0,
                failovers: 0,
                ..trouble.faults
            });
        }
        let at = random.below(SIZE.workers as u64) as usize;
        if !is_calm && random.below(1000) < trouble.kills {
            scene.kill(at);
        }
        for until in &mut stopped_until {
            if !is_calm && random.below(1000) < trouble.stops {
                *until = step + (LEASE_MS + random.below(2 * LEASE_MS)) / STEP_MS;
            }
        }
        if scene.step(|at| stopped_until[at] > step)? {
            scene.end()?;
            return scene.judge().map(|()| scene.engine.bases());
        }
    }
    Err("it does not end".to_owned())
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
    let mut bases = 0;
    for seed in 1..=seeds() {
        match crawl(seed, trouble) {
            Ok(some) => bases += some,
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    assert!(bases > 0, "no journal was rewritten");
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
fn a_request_that_goes_alone_has_the_fetcher_for_itself_among_all_partitions() {
    let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
    let start = || Worker::start(dir.path(), "a", &engine, SIZE, Random::of(1));
    let mut worker = start();
    let mut now_ms = 1_000_000;
    let mut pass = |worker: &mut Worker| {
        now_ms += STEP_MS;
        worker.ask(now_ms).unwrap();
        now_ms
    };
    // The second and third page lead to four, of several partitions.
    let mut answered = 0;
    while worker.asked().len() < 4 || answered < 3 {
        let now_ms = pass(&mut worker);
        if answered < 3 && worker.answer_first(now_ms) {
            answered += 1;
        }
    }
    let now_ms = pass(&mut worker);
    worker.answer_first(now_ms);
    // Now all partitions know that the fetcher works, and two die of the other three.
    assert_eq!(worker.fleet.hear_silence(now_ms).unwrap(), None);
    let bad = worker.asked();
    assert_eq!(bad.len(), 3, "{bad:?}");
    for _ in 0..2 {
        assert_eq!(worker.fleet.fetcher_died().unwrap(), 0);
    }
    worker.fleet.commit_now(now_ms).unwrap();
    worker.fleet.wait_for_commits(|| false);
    drop(worker);
    let mut worker = start();
    let mut left = bad.clone();
    while !left.is_empty() {
        let now_ms = pass(&mut worker);
        let asked = worker.asked();
        if asked.iter().any(|url| bad.contains(url)) {
            assert_eq!(asked.len(), 1, "{asked:?}");
        }
        left.retain(|url| !asked.contains(url));
        worker.answer_first(now_ms);
    }
}

#[test]
fn a_partition_whose_release_was_lost_goes_to_its_next_owner_after_a_lease() {
    let engine = FakeDepot::new(SIZE.parts, 1);
    let (bell, _end) = Bell::new().unwrap();
    let start = |name| Courier::idle(Box::new(engine.clone()), name, SIZE.parts, bell.clone());
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
