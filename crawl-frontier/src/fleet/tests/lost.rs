//! Partitions that the engine lost while nobody looked.

use std::fs;

use crawl_ckpt::fleet::FakeDepot;

use super::scene::{Random, STEP_MS, Size, Worker, new_dir};

const SIZE: Size = Size {
    parts: 3,
    pages: 4000,
    hosts: 9,
    workers: 2,
    least_grown: 2000,
};

#[test]
fn a_partition_that_was_lost_while_no_worker_ran_is_found_by_whoever_comes_and_its_records_stay() {
    for part in 0..SIZE.parts {
        let (dir, engine) = (new_dir(), FakeDepot::new(SIZE.parts, 1));
        let start = |name: &str| {
            Worker::start(dir.path(), name, &engine, SIZE, Random::of(u64::from(part)))
        };
        let mut now_ms = 1_000_000;
        let mut worker = start("a");
        for _ in 0..40 {
            now_ms += STEP_MS;
            assert_eq!(worker.step(now_ms).unwrap(), None, "it is too small");
        }
        drop(worker);
        let sizes = || {
            let parts = fs::read_dir(dir.path().join("parts")).unwrap();
            let mut sizes: Vec<_> = parts
                .map(|part| part.unwrap())
                .map(|part| (part.file_name(), part.metadata().unwrap().len()))
                .collect();
            sizes.sort();
            sizes
        };
        let before = sizes();
        assert!(engine.lose(part) > 0, "partition {part} was never begun");
        for name in ["a", "b"] {
            let mut worker = start(name);
            let why = (0..10).find_map(|_| {
                now_ms += STEP_MS;
                worker.step(now_ms).err()
            });
            let why = why.unwrap_or_default();
            let named = format!("the store lost committed batches of partition {part}: ");
            assert!(why.starts_with(&named), "{name}: {why}");
            assert!(why.ends_with("has 0"), "{why}");
        }
        assert_eq!(sizes(), before);
    }
}
