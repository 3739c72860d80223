//! A job on a simulated disk, stopped at every operation and broken at every
//! operation: what is found afterwards is always a state that a plain model allows.
//!
//! The model is a list of states, one a commit. A job that is opened after a
//! stop must equal one of those between the last that was acknowledged and the last that
//! was attempted, its output, cut back to the committed length, must hold exactly
//! the records of that state, and it must be possible to go on.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod found;
mod life;
mod model;
mod restored;
mod stops;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use crawl_ckpt::durable::Disk;
use crawl_ckpt::durable::sim::{Fault, SimDisk};

use life::{Ground, Life, short_life};
use model::Model;
use stops::{Moment, NESTED_EVERY, STOPS, try_stops};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[test]
fn a_job_stopped_at_any_operation_is_one_that_the_model_allows() {
    let ground = Arc::new(Ground::new());
    let disk = SimDisk::new();
    let model = Arc::new(Mutex::new(Model::default()));
    let (send, receive) = sync_channel::<Moment>(64);
    let receive = Arc::new(Mutex::new(receive));
    let (states, moments) = (AtomicU64::new(0), AtomicU64::new(0));
    let watched = model.clone();
    let mut number = 0;
    disk.watch(move |disk| {
        number += 1;
        let model = watched.lock().unwrap().clone();
        // A worker that found something hangs up.
        let _ = send.send(Moment {
            number,
            disk: disk.snapshot(),
            model,
        });
    });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (receive, ground) = (receive.clone(), ground.clone());
            let (states, moments) = (&states, &moments);
            scope.spawn(move || {
                loop {
                    let moment = receive.lock().unwrap().recv();
                    let Ok(moment) = moment else { return };
                    let ways = if moment.number % 4 == 0 {
                        STOPS.len()
                    } else {
                        3
                    };
                    // A recovery removes what was in force before only after a compaction.
                    let nested = moment.number % NESTED_EVERY == 0 || moment.model.is_compacting;
                    let tried = try_stops(&moment, &ground, ways, nested);
                    states.fetch_add(
                        tried.unwrap_or_else(|error| panic!("{error}")),
                        Ordering::Relaxed,
                    );
                    moments.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(receive);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut life = Life::begin(shared, ground.clone(), model.clone()).unwrap();
        life.live(220).unwrap();
        life.remove().unwrap();
        // The watcher holds the sending end.
        disk.watch(|_| {});
    });
    let (states, moments) = (states.into_inner(), moments.into_inner());
    eprintln!("{states} states after stops at {moments} moments, all allowed");
    assert!(states > 10_000);
}

#[test]
fn a_job_broken_at_any_operation_stops_and_loses_nothing() {
    let operations = {
        let disk = SimDisk::new();
        short_life(&disk, &Arc::new(Ground::new()), &Arc::default()).unwrap();
        disk.operations()
    };
    let tried = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let tried = &tried;
            scope.spawn(move || {
                let ground = Arc::new(Ground::new());
                for operation in (1..=operations).filter(|operation| operation % 2 == half) {
                    for fault in [
                        Fault::Full,
                        Fault::Broken,
                        Fault::Interrupted,
                        Fault::Stopped,
                    ] {
                        let disk = SimDisk::new();
                        disk.fail(operation, fault);
                        let model = Arc::new(Mutex::new(Model::default()));
                        let ended = short_life(&disk, &ground, &model);
                        let moment = Moment {
                            number: operation,
                            disk,
                            model: model.lock().unwrap().clone(),
                        };
                        let result = try_stops(&moment, &ground, STOPS.len(), false);
                        let states = result.unwrap_or_else(|error| {
                            panic!(
                                "{fault:?} at operation {operation}, which ended {ended:?}: {error}"
                            )
                        });
                        tried.fetch_add(states, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let tried = tried.into_inner();
    eprintln!("{tried} states after 4 faults at {operations} operations, all allowed");
    assert!(tried > 5_000);
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_written() {
    for fault in [Fault::Full, Fault::Broken, Fault::Interrupted] {
        for operation in 1..=7 {
            let disk = SimDisk::new();
            let ground = Arc::new(Ground::new());
            let mut life = Life::begin(Arc::new(disk.clone()), ground, Arc::default()).unwrap();
            life.commit().unwrap();
            // Output written and synced, pages too; the batch written, journal synced.
            disk.fail(disk.operations() + operation, fault);
            assert!(life.commit().is_err());
            let journal = life.job.journal_path();
            let before = disk.read(&journal).unwrap();
            assert!(life.commit().is_err());
            if operation > 4 {
                assert!(life.retag().is_err() && life.pause().is_err());
            }
            assert_eq!(disk.read(&journal).unwrap(), before);
        }
    }
}
