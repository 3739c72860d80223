mod power;

use std::collections::BTreeSet;
use std::path::Path;

use crawl_ckpt::durable::{Disk, RealDisk};

use super::*;

/// Fingerprints as they are: without any order.
fn fingerprints(seed: u64) -> impl Iterator<Item = u128> {
    (0..).map(move |n: u64| {
        let hash = blake3::hash(&[seed.to_le_bytes(), n.to_le_bytes()].concat());
        u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap())
    })
}

fn room(disk: &Arc<dyn Disk>, dir: &Path, most: usize) -> SeenRoom {
    SeenRoom {
        disk: disk.clone(),
        dir: dir.to_owned(),
        key: [3; 16],
        first: most,
        later: most,
        is_writer: true,
        waiting: None,
        keeps_rules: true,
    }
}

struct Unhurried;

impl Watch for Unhurried {
    fn tell(&mut self, _: String) {}

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

fn all_of(seen: &Seen) -> Vec<u128> {
    let mut sorted = seen.sorted().unwrap();
    let mut all = Vec::new();
    while let Some(fingerprint) = sorted.next().unwrap() {
        all.push(fingerprint);
    }
    all
}

#[test]
fn a_set_of_any_room_agrees_with_a_plain_one() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    for most in [100, 1000, 4000, usize::MAX] {
        let mut seen = Seen::empty(room(&disk, dir.path(), most));
        let mut model = BTreeSet::new();
        // New ones, those of long ago, those of just now, and new ones again.
        for fingerprint in fingerprints(1)
            .take(8000)
            .chain(fingerprints(1).take(3000))
            .chain(fingerprints(1).skip(7000).take(2000))
            .chain(fingerprints(2).take(3000))
            .chain([0, 1, 0, u128::MAX])
        {
            let is_new = model.insert(fingerprint.max(1));
            assert_eq!(!seen.contains(fingerprint), is_new);
            assert_eq!(seen.insert(fingerprint), is_new);
            assert_eq!(seen.len(), model.len());
        }
        assert!(fingerprints(3).take(3000).all(|one| !seen.contains(one)));
        seen.come_to_rest(&mut Unhurried);
        seen.check().unwrap();
        assert_eq!(seen.parts().is_empty(), most == usize::MAX);
        assert!(all_of(&seen).into_iter().eq(model.iter().copied()));
        assert!(model.iter().all(|one| seen.contains(*one)));
        // Merged, four at a time.
        assert!(
            seen.parts().len() <= 16_000 / most.min(16_000) + 1,
            "{}",
            seen.parts().len()
        );
    }
}

#[test]
fn a_rewritten_journal_fills_a_set_of_any_room_in_order_and_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    for most in [100, 1000, 20_000, usize::MAX] {
        let mut seen = Seen::empty(room(&disk, dir.path(), most));
        let mut ascent = Ascent::default();
        let mut model: BTreeSet<u128> = fingerprints(1).take(500).collect();
        for &fingerprint in &model {
            seen.insert(fingerprint);
        }
        let mut told: Vec<u128> = fingerprints(1).skip(400).take(15_000).collect();
        told.extend([0, 1, u128::MAX]);
        told.sort_unstable();
        told.extend(fingerprints(1).take(700));
        for &fingerprint in &told {
            ascent.take(&mut seen, fingerprint);
        }
        ascent.end(&mut seen);
        model.extend(told.iter().map(|one| *one.max(&1)));
        assert_eq!(seen.len(), model.len());
        seen.come_to_rest(&mut Unhurried);
        seen.check().unwrap();
        assert!(all_of(&seen).into_iter().eq(model.iter().copied()));
        assert!(model.iter().all(|one| seen.contains(*one)));
    }
}

#[test]
fn parts_that_no_image_names_are_removed_and_those_that_one_names_stay() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let files = || crawl_ckpt::parts::SEEN.numbers(&*disk, dir.path()).unwrap();
    let mut seen = Seen::empty(room(&disk, dir.path(), 100));
    for fingerprint in fingerprints(1).take(250) {
        seen.insert(fingerprint);
    }
    seen.come_to_rest(&mut Unhurried);
    seen.check().unwrap();
    seen.image_is_in_force();
    let named = files();
    let numbers = |seen: &Seen| {
        seen.parts()
            .iter()
            .map(|part| part.number())
            .collect::<Vec<_>>()
    };
    assert_eq!((named.clone(), named.len()), (numbers(&seen), 2));
    let (table, parts) = (seen.table().clone(), seen.parts().to_vec());
    drop(seen);

    // The next run has more of them, and is killed before it writes an image.
    let mut seen = Seen::over(room(&disk, dir.path(), 100), table.clone(), parts.clone());
    for fingerprint in fingerprints(1).take(2000) {
        seen.insert(fingerprint);
    }
    assert_eq!(seen.len(), 2000);
    seen.come_to_rest(&mut Unhurried);
    seen.check().unwrap();
    assert!(named.iter().all(|number| files().contains(number)));
    assert!(files().len() > named.len());
    drop(seen);
    let seen = Seen::over(room(&disk, dir.path(), 100), table, parts);
    assert_eq!((files(), seen.len()), (named, 250));

    // Without an image none is of use.
    drop(seen);
    Seen::empty(room(&disk, dir.path(), 100));
    assert!(files().is_empty());
}

#[test]
fn after_a_failure_nothing_is_new_and_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut seen = Seen::empty(room(&disk, dir.path(), 300));
    for fingerprint in fingerprints(1).take(300) {
        seen.insert(fingerprint);
    }
    seen.come_to_rest(&mut Unhurried);
    seen.check().unwrap();
    std::fs::write(dir.path().join("image"), "names it").unwrap();
    std::fs::write(dir.path().join("seen-1"), [9; 20_000]).unwrap();
    assert!(fingerprints(1).take(300).all(|one| seen.contains(one)));
    let told = seen.check().unwrap_err();
    assert!(told.message.contains("seen-1: damaged"), "{}", told.message);
    // The journal makes it anew.
    assert!(!dir.path().join("image").exists());
}
