//! Each kind of mishap at each call that the workers of a small crawl make.

use std::collections::BTreeSet;

use crawl_ckpt::fleet::{Faults, Mishap, Spot};

use super::scene::{Scene, Size};

const SIZE: Size = Size {
    parts: 3,
    pages: 12,
    hosts: 6,
    workers: 2,
    least_grown: 400,
};
/// In how many ways the workers take turns.
const TURNS: u64 = 4;

/// Crawls until the crawl is over.
fn crawl(scene: &mut Scene, faults: Faults) -> Result<(), String> {
    scene.engine.misbehave(faults);
    for _ in 0..1000 {
        if scene.step(|_| false)? {
            return scene.end();
        }
    }
    Err("it does not end".to_owned())
}

/// Crawls, with something that happens at a call: whether it came to that, or what is wrong with what came out.
fn disturb(seed: u64, faults: Faults, (spot, mishap): (Spot, Mishap)) -> Result<bool, String> {
    let mut scene = Scene::new(SIZE, seed);
    scene.engine.place(spot, mishap);
    crawl(&mut scene, faults)?;
    let was_met = scene.engine.was_met();
    scene.judge().map(|()| was_met)
}

/// All calls that a crawl makes with which nothing goes wrong, each with all that can happen at it.
fn points(seed: u64, faults: Faults) -> Vec<(Spot, Mishap)> {
    let mut scene = Scene::new(SIZE, seed);
    scene.engine.write_down();
    crawl(&mut scene, faults).unwrap();
    let spots = scene.engine.written();
    let points = spots.into_iter().flat_map(|spot| {
        let mishaps = Mishap::at(&spot).iter();
        mishaps.map(move |mishap| (spot.clone(), *mishap))
    });
    points.collect()
}

/// Every how-manieth point is tried; `FLEET_EVERY=1` asks for all.
fn every() -> usize {
    let every = std::env::var("FLEET_EVERY").ok();
    every.and_then(|every| every.parse().ok()).unwrap_or(61)
}

#[test]
fn no_mishap_at_any_call_loses_or_doubles_a_page() {
    let (mut tried, mut met) = (0, 0);
    for seed in 1..=TURNS {
        for (spot, mishap) in points(seed, Faults::default()).into_iter().step_by(every()) {
            match disturb(seed, Faults::default(), (spot.clone(), mishap)) {
                Err(why) => panic!("seed {seed}, {mishap:?} at {spot:?}: {why}"),
                Ok(was_met) => met += usize::from(was_met),
            }
            tried += 1;
        }
    }
    // Of the last ones the crawl may be over a call earlier.
    assert!(met * 10 > tried * 9, "{met} of {tried}");
}

#[test]
fn no_mishap_while_a_journal_is_rewritten_loses_or_doubles_a_page() {
    let of_bases = ["build", "switch", "read_base"];
    let (mut tried, mut met) = (BTreeSet::new(), 0);
    for seed in 1..=TURNS {
        let points = points(seed, Faults::default()).into_iter();
        let points = points.filter(|(spot, _)| of_bases.contains(&spot.call));
        for (spot, mishap) in points {
            match disturb(seed, Faults::default(), (spot.clone(), mishap)) {
                Err(why) => panic!("seed {seed}, {mishap:?} at {spot:?}: {why}"),
                Ok(was_met) => met += usize::from(was_met),
            }
            tried.insert(spot.call);
        }
    }
    assert!(met > 20 && tried.len() >= 2, "{met}, {tried:?}");
}

/// At some point the judge sees what goes wrong without this part of the protocol.
fn some_go_wrong(faults: Faults, calls: &[&str], mishaps: &[Mishap]) {
    let points = (1..=TURNS).flat_map(|seed| {
        let points = points(seed, faults).into_iter();
        points.map(move |point| (seed, point))
    });
    let mut points =
        points.filter(|(_, (spot, mishap))| calls.contains(&spot.call) && mishaps.contains(mishap));
    let wrong = points.find_map(|(seed, point)| disturb(seed, faults, point).err());
    assert!(wrong.is_some(), "the judge saw nothing");
}

#[test]
fn without_a_wait_for_copies_one_failover_loses_a_page() {
    let faults = Faults {
        waits_for_no_copy: true,
        ..Faults::default()
    };
    some_go_wrong(faults, &["commit"], &[Mishap::Failover]);
}

#[test]
fn a_letter_that_is_struck_out_before_it_is_taken_is_lost_by_one_mishap() {
    let faults = Faults {
        confirms_early: true,
        ..Faults::default()
    };
    some_go_wrong(faults, &["send"], &[Mishap::LostLetter]);
}

#[test]
fn without_a_fence_a_worker_that_was_stopped_in_a_commit_spoils_the_journal() {
    let faults = Faults {
        has_no_fence: true,
        ..Faults::default()
    };
    some_go_wrong(faults, &["commit"], &[Mishap::Stopped]);
}
