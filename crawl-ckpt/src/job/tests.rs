use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::testing::TestPlace;
use super::*;
use crate::durable::RealDisk;
use crate::error::StoreError;
use crate::tool::{Exit, Failure};

fn names(place: &TestPlace) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_job_comes_and_goes_as_a_whole() {
    let place = TestPlace::new();
    assert!(
        Job::open(Arc::new(RealDisk), &place.place)
            .unwrap()
            .is_none()
    );
    let job = place.create();
    assert_eq!(names(&place), ["checkpoint", "checkpoint.lock"]);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&job.place().dir), 0o700);
    assert_eq!(mode(&job.journal_path()), 0o600);
    assert_eq!(place.open().manifest(), job.manifest());
    let again = Job::create(
        Arc::new(RealDisk),
        &place.place,
        &place.lock,
        job.manifest().clone(),
    );
    assert!(matches!(again, Err(StoreError::Exists { .. })));
    job.remove(&place.lock).unwrap();
    assert_eq!(names(&place), ["checkpoint.lock"]);
}

#[test]
fn what_an_interrupted_creation_or_removal_left_is_cleared_away() {
    let place = TestPlace::new();
    for files in [
        &[][..],
        &["journal-1"],
        &["job.json.tmp"],
        &["image", "job.json"],
    ] {
        for left in ["checkpoint.new", "checkpoint.removing"] {
            let left = place.dir.path().join(left);
            std::fs::create_dir(&left).unwrap();
            for file in files {
                let begin = if file.starts_with("journal") {
                    "CRAWLJNL"
                } else {
                    "{\"format\":1"
                };
                std::fs::write(left.join(file), begin).unwrap();
            }
        }
        clear_leftovers(&RealDisk, &place.place, &place.lock).unwrap();
        assert_eq!(names(&place), ["checkpoint.lock"]);
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
fn what_a_power_cut_left_of_a_header_or_of_a_replacement_is_ours() {
    // The format alone is no bad UTF-8, and all the same no text.
    let mut kept = vec![0; 64];
    kept[8] = 1;
    for (name, left_of_it) in [("journal-1", kept), ("job.json.tmp", vec![0xa5; 95])] {
        let place = TestPlace::new();
        let left = place.dir.path().join("checkpoint.new");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(name), left_of_it).unwrap();
        clear_leftovers(&RealDisk, &place.place, &place.lock).unwrap();
        assert_eq!(names(&place), ["checkpoint.lock"]);
    }
}

#[test]
fn an_update_is_there_after_reopening() {
    let place = TestPlace::new();
    let mut job = place.create();
    job.update(&place.lock, |manifest| {
        manifest.proxy_type = "residential".into();
    })
    .unwrap();
    assert_eq!(place.open().manifest().proxy_type, "residential");
}

#[test]
fn a_missing_manifest_or_journal_is_damage() {
    let place = TestPlace::new();
    let job = place.create();
    let manifest = job.place().dir.join(MANIFEST);
    let bytes = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    // Nothing was ever committed to it, so nothing is lost: its creation was cut short.
    assert!(
        Job::open(Arc::new(RealDisk), &place.place)
            .unwrap()
            .is_none()
    );
    std::fs::write(job.journal_path(), [0; journal::HEADER + 1]).unwrap();
    let error = Job::open(Arc::new(RealDisk), &place.place).unwrap_err();
    assert_eq!(Failure::from(error).exit, Exit::Damaged);
    std::fs::write(manifest, bytes).unwrap();
    std::fs::remove_file(job.journal_path()).unwrap();
    let error = job.replay(None, |_| Ok(())).unwrap_err();
    assert_eq!(Failure::from(error).exit, Exit::Damaged);
}

#[test]
fn a_directory_that_is_there_already_takes_a_job_when_it_is_empty() {
    let place = TestPlace::new();
    let dir = &place.place.dir;
    std::fs::create_dir(dir).unwrap();
    // The root of a volume, and what a creation and a removal leave that were cut short.
    std::fs::create_dir(dir.join("lost+found")).unwrap();
    for left in ["journal-1", REMOVED, "image"] {
        std::fs::write(dir.join(left), "").unwrap();
    }
    assert!(
        Job::open(Arc::new(RealDisk), &place.place)
            .unwrap()
            .is_none()
    );
    let job = place.create();
    assert_eq!(place.open().manifest(), job.manifest());
    let mut left = RealDisk.list(dir).unwrap();
    left.sort();
    assert_eq!(left, ["job.json", "journal-1", "lost+found"]);
}

#[test]
fn what_is_not_ours_is_neither_built_in_nor_removed() {
    let place = TestPlace::new();
    let dir = &place.place.dir;
    std::fs::create_dir(dir).unwrap();
    std::fs::write(dir.join("thesis.txt"), "mine").unwrap();
    let manifest = Manifest::new("test 1").unwrap();
    let disk = Arc::new(RealDisk);
    let refused = Job::create(disk, &place.place, &place.lock, manifest).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    remove(&RealDisk, &place.place, &place.lock).unwrap();
    assert_eq!(RealDisk.list(dir).unwrap(), ["thesis.txt"]);

    std::fs::remove_file(dir.join("thesis.txt")).unwrap();
    let job = place.create();
    std::fs::write(dir.join("thesis.txt"), "mine").unwrap();
    let refused = job.remove(&place.lock).unwrap_err();
    assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
    assert_eq!(RealDisk.list(dir).unwrap().len(), 3);
}

#[test]
fn files_with_our_names_and_not_our_begin_are_somebody_elses() {
    for (name, text) in [
        ("job.json", "{\"name\":\"of another tool\"}\n"),
        ("journal-1", "dear diary\n"),
        ("journal-2024", "CRAWL"),
        ("image", "a photo"),
        ("job.json.tmp", "x"),
    ] {
        let place = TestPlace::new();
        let (at, is_begin) = (&place.place, text == "CRAWL");
        for dir in [&at.dir, &at.removing(), &at.building()] {
            std::fs::create_dir(dir).unwrap();
            std::fs::write(dir.join(name), text).unwrap();
        }
        assert_eq!(is_there(at), is_begin, "{name}");
        if is_begin {
            continue;
        }
        remove(&RealDisk, at, &place.lock).unwrap();
        let manifest = Manifest::new("test 1").unwrap();
        let refused = Job::create(Arc::new(RealDisk), at, &place.lock, manifest);
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::Foreign { .. }), "{refused}");
        for dir in [&at.dir, &at.removing(), &at.building()] {
            assert_eq!(std::fs::read_to_string(dir.join(name)).unwrap(), text);
        }
    }
}

#[test]
fn a_job_of_which_one_sign_is_damaged_can_be_removed() {
    for (name, left) in [("job.json", "journal-1"), ("journal-1", "job.json")] {
        let place = TestPlace::new();
        drop(place.create());
        let dir = &place.place.dir;
        std::fs::write(dir.join(name), "all of it is damaged").unwrap();
        assert!(is_there(&place.place), "{left} is its sign");
        remove(&RealDisk, &place.place, &place.lock).unwrap();
        assert!(!dir.exists());
    }
}

#[test]
fn a_job_that_is_put_away_is_gone_and_its_files_go_later() {
    let place = TestPlace::new();
    let at = &place.place;
    drop(place.create());
    put_away(&RealDisk, at, &place.lock).unwrap();
    assert!(!at.dir.exists() && at.removing().exists());
    assert!(Job::open(Arc::new(RealDisk), at).unwrap().is_none());
    // Whoever comes next may have begun another one meanwhile.
    let next = place.create();
    assert!(!at.removing().exists());
    drop(next);
    put_away(&RealDisk, at, &place.lock).unwrap();
    clear_leftovers(&RealDisk, at, &place.lock).unwrap();
    assert!(!at.removing().exists() && !is_there(at));
    put_away(&RealDisk, at, &place.lock).unwrap();
}

#[test]
fn a_job_behind_a_link_goes_and_the_directory_stays() {
    let place = TestPlace::new();
    let elsewhere = place.dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &place.place.dir).unwrap();
    let mut job = place.create();
    job.update(&place.lock, |manifest| manifest.proxy_type = "x".into())
        .unwrap();
    job.remove(&place.lock).unwrap();
    assert!(RealDisk.list(&elsewhere).unwrap().is_empty());
    assert!(place.place.dir.is_symlink());
}

#[test]
fn who_writes_in_a_job_keeps_others_out_without_its_lock_file() {
    let place = TestPlace::new();
    let job = place.create();
    std::fs::remove_file(&place.place.lock).unwrap();
    let refused = JobLock::acquire(&place.place).unwrap_err();
    assert_eq!(Failure::from(refused).exit, Exit::Held);
    assert!(JobLock::probe(&place.place).is_some());
    let refused = remove(&RealDisk, &place.place, &place.lock).unwrap_err();
    assert_eq!(Failure::from(refused).exit, Exit::Held);
    drop(job);
    JobLock::acquire(&place.place).unwrap();
}

#[test]
fn a_generation_counts_only_once_it_is_switched_to() {
    let place = TestPlace::new();
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
    let replayed = job.replay(None, |_| Ok(())).unwrap();
    assert_eq!(replayed.mark.next_id, 41);
}
