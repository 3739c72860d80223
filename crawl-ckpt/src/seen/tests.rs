use std::path::Path;

use super::*;
use crate::durable::Disk;
use crate::durable::RealDisk;
use crate::error::StoreError;
use crate::parts::SEEN;
use std::sync::Arc;

const KEY: [u8; 16] = [7; 16];

/// Fingerprints as they are: without any order.
pub(super) fn fingerprints(seed: u64) -> impl Iterator<Item = u128> {
    (0..).map(move |n: u64| {
        let hash = blake3::hash(&[seed.to_le_bytes(), n.to_le_bytes()].concat());
        u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap())
    })
}

fn sorted(seed: u64, count: usize) -> Vec<u128> {
    let mut all: Vec<u128> = fingerprints(seed).take(count).collect();
    all.sort_unstable();
    all
}

fn write(dir: &Path, number: u64, all: &[u128]) -> SeenPart {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut writer = SeenPartWriter::create(&disk, dir, number, KEY, all.len() as u64).unwrap();
    for one in all {
        writer.push(*one).unwrap();
    }
    writer.finish().unwrap()
}

fn all_of(part: &SeenPart) -> Result<Vec<u128>, StoreError> {
    let mut fingerprints = part.fingerprints();
    let mut all = Vec::new();
    while let Some(one) = fingerprints.next()? {
        all.push(one);
    }
    Ok(all)
}

#[test]
fn a_part_of_any_length_tells_what_was_put_in_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    for (number, count) in [0, 1, 254, 255, 256, 511, 20_000, 255 * 64, 255 * 257 + 1]
        .into_iter()
        .enumerate()
    {
        let all = sorted(1, count);
        let written = write(dir.path(), number as u64, &all);
        let read = SeenPart::open(&RealDisk, dir.path(), number as u64, KEY).unwrap();
        assert_eq!(read.named(), written.named());
        for part in [written, read] {
            assert_eq!(
                (part.count(), all_of(&part).unwrap()),
                (count as u64, all.clone())
            );
            part.check().unwrap();
            assert!(all.iter().all(|one| part.contains(*one).unwrap()));
            let others = fingerprints(2).take(1000);
            assert!(others.into_iter().all(|one| !part.contains(one).unwrap()));
        }
    }
    assert_eq!(
        SEEN.numbers(&RealDisk, dir.path()).unwrap(),
        (0..9).collect::<Vec<_>>()
    );
    SEEN.remove(&RealDisk, dir.path(), 3).unwrap();
    assert!(SeenPart::open(&RealDisk, dir.path(), 3, KEY).is_err());
}

#[test]
fn fingerprints_that_begin_alike_are_found_in_whatever_block_they_lie() {
    let dir = tempfile::tempdir().unwrap();
    let all: Vec<u128> = (1..2000_u128)
        .map(|n| if n < 700 { n } else { 5 << 64 | n })
        .collect();
    let part = write(dir.path(), 1, &all);
    assert!(all.iter().all(|one| part.contains(*one).unwrap()));
    assert!(!part.contains(4 << 64).unwrap() && !part.contains(5 << 64 | 2000).unwrap());
}

#[test]
fn no_flipped_byte_and_no_cut_of_a_part_goes_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1, &sorted(1, 600));
    let path = dir.path().join("seen-1");
    let good = std::fs::read(&path).unwrap();
    let flaw = || SeenPart::open(&RealDisk, dir.path(), 1, KEY).and_then(|part| all_of(&part));
    assert!(flaw().is_ok());
    for at in (0..good.len()).step_by(13).chain([good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        assert!(flaw().is_err(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(flaw().is_err(), "cut at {at}");
    }
    std::fs::write(&path, [&good[..], b"x"].concat()).unwrap();
    assert!(flaw().is_err());
    std::fs::write(&path, &good).unwrap();
    let other = SeenPart::open(&RealDisk, dir.path(), 1, [8; 16]);
    assert!(other.is_err(), "of another job");
}

#[test]
fn what_is_in_no_order_or_not_whole_is_not_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let create = |count| SeenPartWriter::create(&disk, dir.path(), 1, KEY, count).unwrap();
    let mut writer = create(3);
    writer.push(5).unwrap();
    assert!(writer.push(5).is_err() && writer.push(0).is_err());
    assert!(writer.finish().is_err());
    let mut writer = create(1);
    writer.push(5).unwrap();
    writer.discard().unwrap();
    assert_eq!(RealDisk.list(dir.path()).unwrap().len(), 0);
}
