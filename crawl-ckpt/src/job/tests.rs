use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::testing::Place;
use super::*;
use crate::durable::RealDisk;
use crate::tool::{Exit, Failure};

fn names(place: &Place) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_job_comes_and_goes_as_a_whole() {
    let place = Place::new();
    assert!(
        Job::open(Arc::new(RealDisk), &place.place)
            .unwrap()
            .is_none()
    );
    let job = place.create();
    assert_eq!(names(&place), ["checkpoint", "checkpoint.lock"]);
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&job.place().dir), 0o700);
    assert_eq!(mode(&job.journal_path()), 0o600);
    assert_eq!(place.open().manifest(), job.manifest());
    let again = Job::create(
        Arc::new(RealDisk),
        &place.place,
        &place.lock,
        job.manifest().clone(),
    );
    assert!(matches!(again, Err(JobError::Exists { .. })));
    job.remove(&place.lock).unwrap();
    assert_eq!(names(&place), ["checkpoint.lock"]);
}

#[test]
fn what_an_interrupted_creation_or_removal_left_is_cleared_away() {
    let place = Place::new();
    for left in ["checkpoint.new", "checkpoint.removing"] {
        std::fs::create_dir_all(place.dir.path().join(left).join("deep")).unwrap();
    }
    let job = place.create();
    assert_eq!(names(&place), ["checkpoint", "checkpoint.lock"]);
    for left in ["journal-7", "job.json.tmp", "image.tmp"] {
        std::fs::write(job.place().dir.join(left), "x").unwrap();
    }
    job.sweep(&place.lock).unwrap();
    let mut left = RealDisk.list(&job.place().dir).unwrap();
    left.sort();
    assert_eq!(left, ["job.json", "journal-1"]);
}

#[test]
fn an_update_is_there_after_reopening() {
    let place = Place::new();
    let mut job = place.create();
    job.update(&place.lock, |manifest| {
        manifest.proxy_type = "residential".into();
    })
    .unwrap();
    assert_eq!(place.open().manifest().proxy_type, "residential");
}

#[test]
fn a_missing_manifest_or_journal_is_damage() {
    let place = Place::new();
    let job = place.create();
    std::fs::remove_file(job.journal_path()).unwrap();
    let error = journal::replay(&job, None, |_| Ok(())).unwrap_err();
    assert_eq!(Failure::from(error).exit, Exit::Damaged);
    std::fs::remove_file(job.place().dir.join("job.json")).unwrap();
    let error = Job::open(Arc::new(RealDisk), &place.place).unwrap_err();
    assert_eq!(Failure::from(error).exit, Exit::Damaged);
}

#[test]
fn a_generation_counts_only_once_it_is_switched_to() {
    let place = Place::new();
    let mut job = place.create();
    let next = job.begin_generation(&place.lock, 40).unwrap();
    assert_eq!(next.end().next_id, 40);
    assert_eq!(place.open().manifest().generation, 1);
    drop(next);
    let mut next = job.begin_generation(&place.lock, 41).unwrap();
    job.switch_generation(&place.lock, &mut next).unwrap();
    let job = place.open();
    assert_eq!(job.manifest().generation, 2);
    assert!(!job.place().dir.join("journal-1").exists());
    let replayed = journal::replay(&job, None, |_| Ok(())).unwrap();
    assert_eq!(replayed.mark.next_id, 41);
}
