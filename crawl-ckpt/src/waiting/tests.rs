use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::durable::{Disk, RealDisk};
use crate::error::StoreError;
use crate::parts::WAITING;

const KEY: [u8; 16] = [7; 16];

/// Some hosts with one request, some with hundreds, some with none.
fn requests(count: u64) -> Vec<WaitingRequest> {
    let host = |n: u64| if n < 300 { n } else { 400 + n / 700 * 3 };
    (0..count)
        .map(|n| WaitingRequest {
            host: host(n) as u32,
            id: n * 7919 % (1 << 48),
            at: (1 << 48) - 1 - n,
        })
        .collect()
}

fn write(dir: &Path, number: u64, all: &[WaitingRequest]) -> WaitingPart {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut writer = WaitingPartWriter::create(&disk, dir, number, KEY, all.len() as u64).unwrap();
    for one in all {
        writer.push(*one).unwrap();
    }
    writer.finish().unwrap()
}

fn all_of(part: &WaitingPart) -> Result<Vec<WaitingRequest>, StoreError> {
    let mut all = Vec::new();
    for number in 0..part.blocks() {
        all.extend(part.read(number)?);
    }
    Ok(all)
}

#[test]
fn a_part_of_any_length_tells_what_was_put_in() {
    let dir = tempfile::tempdir().unwrap();
    for (number, count) in (3..).zip([0, 1, 254, 255, 256, 20_000, 255 * 256 * 2 + 1]) {
        let all = requests(count);
        let written = write(dir.path(), number, &all);
        let read = WaitingPart::open(&RealDisk, dir.path(), number, KEY).unwrap();
        assert_eq!(read.named(), written.named());
        for part in [written, read] {
            assert_eq!((part.number(), part.count()), (number, count));
            part.check().unwrap();
            assert!(all_of(&part).unwrap() == all);
            for number in 0..part.blocks() {
                let first = all[number * 255];
                let mut before = all[..number * 255].iter();
                let start = BlockStart {
                    host: first.host,
                    before: before.by_ref().filter(|one| one.host == first.host).count() as u32,
                };
                assert_eq!(part.start(number), start);
            }
        }
    }
}

#[test]
fn no_flipped_byte_no_cut_and_no_other_part_goes_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    let sum = write(dir.path(), 1, &requests(600)).named();
    let path = WAITING.path(dir.path(), 1);
    let good = std::fs::read(&path).unwrap();
    let flaw = || WaitingPart::open(&RealDisk, dir.path(), 1, KEY).and_then(|part| all_of(&part));
    assert!(flaw().is_ok());
    for at in (0..good.len()).step_by(13).chain([good.len() - 1]) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        assert!(flaw().is_err(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(flaw().is_err(), "cut at {at}");
    }
    std::fs::write(&path, &good).unwrap();
    assert!(WaitingPart::open(&RealDisk, dir.path(), 1, [8; 16]).is_err());
    let mut others = requests(600);
    others[300].at -= 1000;
    assert_ne!(write(dir.path(), 1, &others).named(), sum);
}

#[test]
fn what_is_in_no_order_or_not_whole_is_not_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let create = |count| WaitingPartWriter::create(&disk, dir.path(), 1, KEY, count).unwrap();
    let request = |host| WaitingRequest { host, id: 1, at: 2 };
    let mut writer = create(2);
    writer.push(request(5)).unwrap();
    assert!(writer.push(request(4)).is_err());
    assert!(writer.finish().is_err());
    let mut writer = create(1);
    writer.push(request(5)).unwrap();
    writer.discard().unwrap();
    assert_eq!(RealDisk.list(dir.path()).unwrap().len(), 0);
}
