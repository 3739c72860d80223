use std::fs;

use super::*;
use crate::error::StoreError;
use crate::job::Job;
use crate::job::testing::TestPlace;
use crate::journal::{Batch, CommitText, Referer, Stored};
use crate::tool::{Exit, Failure};

fn commit(at_ms: u64) -> Commit {
    let mut commit = Commit {
        at_ms,
        ..Commit::default()
    };
    commit.progress.records = at_ms;
    commit.files.insert("output".into(), at_ms * 100);
    commit
}

fn commit_text(at_ms: u64) -> String {
    let json = serde_json::to_string(&commit(at_ms)).unwrap();
    format!("{:?}", Entry::Commit(CommitText(&json)))
}

fn plain(url: &str) -> Stored<'_> {
    Stored {
        url,
        ..Stored::default()
    }
}

/// The entries of a journal, in words.
fn told(job: &Job, from: Option<&Mark>) -> Result<(Vec<String>, Replayed), StoreError> {
    let mut entries = Vec::new();
    let replayed = job.replay(from, |entry| {
        entries.push(format!("{entry:?}"));
        Ok(())
    })?;
    Ok((entries, replayed))
}

/// Appends batches of three requests each, with a sync after each.
fn fill(writer: &mut Writer, batches: std::ops::Range<u64>) -> Vec<Mark> {
    batches
        .map(|n| {
            let mut batch = Batch::new(&writer.end());
            for i in 0..3 {
                batch.request(&plain(&format!("http://host-{n}.example/{i}")));
            }
            batch.done(n, n % 2 == 0);
            writer.append(&batch.close(&commit(n))).unwrap()
        })
        .collect()
}

fn start(job: &Job) -> Mark {
    job.replay(None, |_| Ok(())).unwrap().mark
}

fn writer(place: &TestPlace, job: &mut Job) -> Writer {
    let end = start(job);
    job.writer(&place.lock, &end).unwrap()
}

#[test]
fn every_kind_of_entry_survives_the_round_trip() {
    let place = TestPlace::new();
    let mut job = place.create();
    let mut writer = writer(&place, &mut job);
    let mut batch = Batch::new(&writer.end());
    assert!(batch.is_empty());
    let long = format!("http://a/{}", "x".repeat(5000));
    let rich = Stored {
        url: "https://a.example/b",
        depth: u32::MAX,
        priority: i64::MIN,
        nofollow: true,
        redirects: 9,
        referer: Some(Referer::of("https://a.example/b", "https://a.example/c")),
        extra: Some(r#"{"method":"POST"}"#),
    };
    let requests = [plain("http://a/"), rich, plain(&long)];
    let places: Vec<_> = requests.iter().map(|r| batch.request(r)).collect();
    assert_eq!(places.iter().map(|p| p.0).collect::<Vec<_>>(), [0, 1, 2]);
    batch.seen(&[9; 16]);
    batch.done(0, false);
    batch.done(1, true);
    batch.defer(2, 3, u64::MAX);
    batch.set("k", b"\0\xff");
    batch.unset("k");
    let mut expected: Vec<String> = requests
        .iter()
        .zip(&places)
        .map(|(request, (id, at))| Entry::Request {
            id: *id,
            at: *at,
            request: *request,
        })
        .chain([
            Entry::Seen {
                fingerprint: [9; 16],
            },
            Entry::Done {
                id: 0,
                failed: false,
            },
            Entry::Done {
                id: 1,
                failed: true,
            },
            Entry::Defer {
                id: 2,
                attempts: 3,
                due_ms: u64::MAX,
            },
            Entry::Set {
                key: "k",
                value: b"\0\xff",
            },
            Entry::Unset { key: "k" },
        ])
        .map(|entry| format!("{entry:?}"))
        .chain([commit_text(7)])
        .collect();
    for (request, (_, at)) in requests.iter().zip(&places) {
        assert_eq!(batch.request_at(*at).as_ref(), Some(request));
    }
    let closed = batch.close(&commit(7));
    let mut second = Batch::after(&closed, Vec::new());
    let (id, at) = second.request(&plain("http://b/"));
    assert_eq!(id, 3);
    assert_eq!(closed.request_at(at), None);
    assert_eq!(second.request_at(places[0].1), None);
    assert_eq!(closed.request_at(places[1].1), Some(rich));
    let middle = writer.append(&closed).unwrap();
    let second = second.close(&commit(8));
    let end = writer.append(&second).unwrap();

    let tail = [
        format!(
            "{:?}",
            Entry::Request {
                id,
                at,
                request: plain("http://b/")
            }
        ),
        commit_text(8),
    ];
    expected.extend(tail.clone());
    let (entries, replayed) = told(&job, None).unwrap();
    assert_eq!(entries, expected);
    assert_eq!(
        (replayed.mark, replayed.torn_bytes, replayed.batches),
        (end, 0, 2)
    );
    assert_eq!(replayed.commit, Some(commit(8)));
    let (entries, replayed) = told(&job, Some(&middle)).unwrap();
    assert_eq!(entries, tail);
    assert_eq!((replayed.mark, replayed.batches), (end, 1));
    assert_eq!(job.last_commit().unwrap(), Some(commit(8)));

    let mut buffer = Vec::new();
    for reader in [writer.reader(), job.reader().unwrap()] {
        for (request, (id, at)) in requests.iter().zip(&places) {
            assert_eq!(reader.request_at(*id, *at, &mut buffer).unwrap(), *request);
        }
        for wrong in [
            0,
            64,
            places[0].1 + 1,
            end.bytes - 1,
            end.bytes,
            u64::MAX / 2,
        ] {
            assert!(reader.request_at(0, wrong, &mut buffer).is_err(), "{wrong}");
        }
    }
}

#[test]
fn a_torn_last_batch_is_dropped_and_the_rest_survives() {
    let place = TestPlace::new();
    let mut job = place.create();
    let mut one = writer(&place, &mut job);
    let marks = fill(&mut one, 0..3);
    let good = fs::read(job.journal_path()).unwrap();
    for cut in marks[1].bytes..marks[2].bytes {
        fs::write(job.journal_path(), &good[..cut as usize]).unwrap();
        let (entries, replayed) = told(&job, None).unwrap();
        assert_eq!(replayed.mark, marks[1], "cut at {cut}");
        assert_eq!(replayed.torn_bytes, cut - marks[1].bytes);
        assert_eq!(replayed.commit, Some(commit(1)));
        assert_eq!(entries.len(), 2 * 5);
        assert_eq!(job.last_commit().unwrap(), Some(commit(1)));
    }
    // A writer cuts the tail off and goes on.
    let mut two = job.writer(&place.lock, &marks[1]).unwrap();
    let again = fill(&mut two, 2..3);
    assert_eq!(again, &marks[2..]);
    assert_eq!(fs::read(job.journal_path()).unwrap(), good);
}

#[test]
fn a_flipped_byte_in_the_last_unsealed_batch_costs_that_batch_and_no_other() {
    let place = TestPlace::new();
    let mut job = place.create();
    let marks = fill(&mut writer(&place, &mut job), 0..3);
    let good = fs::read(job.journal_path()).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        fs::write(job.journal_path(), &bad).unwrap();
        let result = told(&job, None);
        if at as u64 >= marks[1].bytes {
            assert_eq!(result.unwrap().1.mark, marks[1], "byte {at}");
        } else {
            // A bad batch before a good one was durable once.
            let error = result.unwrap_err();
            let offset = match &error {
                StoreError::Damaged { offset, .. } => *offset,
                StoreError::Newer { .. } => 0,
                other => panic!("byte {at}: {other}"),
            };
            assert!(offset <= at as u64, "byte {at}: {error}");
            assert_eq!(Failure::from(error).exit, Exit::Damaged);
        }
    }
}

#[test]
fn nothing_that_happens_to_a_sealed_journal_goes_unnoticed() {
    let place = TestPlace::new();
    let mut job = place.create();
    let marks = fill(&mut writer(&place, &mut job), 0..3);
    job.seal(&place.lock, &marks[2]).unwrap();
    let job = place.open();
    let good = fs::read(job.journal_path()).unwrap();
    assert_eq!(told(&job, None).unwrap().1.mark, marks[2]);
    assert_eq!(told(&job, Some(&marks[2])).unwrap().1.commit, None);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(job.journal_path(), &bad).unwrap();
        assert!(told(&job, None).is_err(), "byte {at}");
        if at < 64 || at as u64 >= marks[1].bytes {
            assert!(job.last_commit().is_err(), "byte {at}");
        }
        fs::write(job.journal_path(), &good[..at]).unwrap();
        assert!(told(&job, None).is_err(), "cut at {at}");
        assert!(job.last_commit().is_err(), "cut at {at}");
        assert!(told(&job, Some(&marks[2])).is_err(), "cut at {at}");
    }
    let mut longer = good.clone();
    longer.push(0);
    fs::write(job.journal_path(), &longer).unwrap();
    assert!(told(&job, None).is_err());
    let other = Mark {
        sum: [0; 16],
        ..marks[2]
    };
    fs::write(job.journal_path(), &good).unwrap();
    assert!(told(&job, Some(&other)).is_err());
}

#[test]
fn opening_for_writing_takes_the_seal_off_first() {
    let place = TestPlace::new();
    let mut job = place.create();
    let end = fill(&mut writer(&place, &mut job), 0..2)[1];
    job.seal(&place.lock, &end).unwrap();
    drop(job);
    let mut job = place.open();
    assert_eq!(job.manifest().sealed, Some(end));
    let mut writer = job.writer(&place.lock, &end).unwrap();
    assert_eq!(place.open().manifest().sealed, None);
    fill(&mut writer, 2..3);
    assert_eq!(told(&place.open(), None).unwrap().1.batches, 3);
}

#[test]
fn a_hole_in_batches_that_shared_a_sync_is_a_torn_tail() {
    let place = TestPlace::new();
    let mut job = place.create();
    let mut writer = writer(&place, &mut job);
    let marks = fill(&mut writer, 0..1);
    for n in 1..5 {
        let mut batch = Batch::new(&writer.end());
        batch.set("k", &[n as u8; 100]);
        writer.append_unsynced(&batch.close(&commit(n))).unwrap();
    }
    // Power is cut: the second of four unsynced batches never reached the disk.
    let good = fs::read(job.journal_path()).unwrap();
    let mut holed = good.clone();
    let second = marks[0].bytes as usize + 300..marks[0].bytes as usize + 900;
    holed[second].fill(0);
    fs::write(job.journal_path(), &holed).unwrap();
    let (_, replayed) = told(&job, None).unwrap();
    assert!(replayed.mark.seq >= 1 && replayed.mark.seq < 5);
    // The same hole is damage once a batch tells that all of them were synced.
    fs::write(job.journal_path(), &good).unwrap();
    writer.sync().unwrap();
    fill(&mut writer, 5..6);
    let mut holed = fs::read(job.journal_path()).unwrap();
    holed[marks[0].bytes as usize + 300..marks[0].bytes as usize + 900].fill(0);
    fs::write(job.journal_path(), &holed).unwrap();
    assert!(matches!(told(&job, None), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_journal_shorter_than_its_image_knows_is_damage() {
    let place = TestPlace::new();
    let mut job = place.create();
    let marks = fill(&mut writer(&place, &mut job), 0..2);
    let good = fs::read(job.journal_path()).unwrap();
    fs::write(job.journal_path(), &good[..marks[0].bytes as usize]).unwrap();
    assert!(matches!(
        told(&job, Some(&marks[1])),
        Err(StoreError::Damaged { .. })
    ));
    let error = job.writer(&place.lock, &marks[1]).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }));
}

#[test]
fn a_newer_journal_is_refused() {
    let place = TestPlace::new();
    let job = place.create();
    let mut bytes = fs::read(job.journal_path()).unwrap();
    bytes[8] = 2;
    let sum = blake3::hash(&bytes[..48]);
    bytes[48..64].copy_from_slice(&sum.as_bytes()[..16]);
    fs::write(job.journal_path(), &bytes).unwrap();
    let error = told(&job, None).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { format: 2, .. }),
        "{error}"
    );
}

#[test]
fn the_journal_of_another_job_is_refused() {
    let (one, two) = (TestPlace::new(), TestPlace::new());
    let (first, second) = (one.create(), two.create());
    fs::copy(first.journal_path(), second.journal_path()).unwrap();
    assert!(matches!(
        told(&second, None),
        Err(StoreError::Damaged { .. })
    ));
}

#[test]
fn a_refused_entry_is_damage_at_its_place() {
    let place = TestPlace::new();
    let mut job = place.create();
    fill(&mut writer(&place, &mut job), 0..1);
    let error = job.replay(None, |entry| match entry {
        Entry::Done { .. } => Err("no such request".to_owned()),
        _ => Ok(()),
    });
    let Err(StoreError::Damaged { offset, why, .. }) = error else {
        panic!()
    };
    assert!(offset > 128);
    assert_eq!(why, "no such request");
}

#[test]
fn batches_out_of_order_are_refused_and_harm_nothing() {
    let place = TestPlace::new();
    let mut job = place.create();
    let mut writer = writer(&place, &mut job);
    let start = writer.end();
    let end = fill(&mut writer, 0..1)[0];
    let error = writer.append(&Batch::new(&start).close(&commit(1)));
    assert!(matches!(error, Err(StoreError::Misfit { .. })));
    writer.append(&Batch::new(&end).close(&commit(1))).unwrap();
    assert_eq!(told(&job, None).unwrap().1.batches, 2);
}

#[test]
fn the_last_commit_is_found_behind_a_large_batch_and_a_long_tail() {
    let place = TestPlace::new();
    let mut job = place.create();
    assert_eq!(job.last_commit().unwrap(), None);
    let mut writer = writer(&place, &mut job);
    let mut batch = Batch::new(&writer.end());
    // Full of what looks like the beginning of a batch.
    batch.set("k", &b"\xc1BAT".repeat(300_000));
    writer.append(&batch.close(&commit(1))).unwrap();
    let mut bytes = fs::read(job.journal_path()).unwrap();
    bytes.extend(b"\xc1BAT".repeat(100_000));
    fs::write(job.journal_path(), &bytes).unwrap();
    assert_eq!(job.last_commit().unwrap(), Some(commit(1)));
    assert_eq!(told(&job, None).unwrap().1.torn_bytes, 400_000);
}
