//! The journal reader: any bytes behind a sound header are batches, a torn tail or damage;
//! what is told is told again by a second reading, and a batch of ours that is spliced in is read.
#![no_main]

use std::fs;
use std::sync::{Arc, LazyLock, Mutex};

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{Job, JobPlace, Manifest};
use crawl_ckpt::journal::{Batch, Commit, Entry, Stored};
use crawl_ckpt::lock::JobLock;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// A job with a few batches, and the bytes of its journal.
struct Ground {
    job: Job,
    sound: Vec<u8>,
    _folder: TempDir,
}

static GROUND: LazyLock<Mutex<Ground>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let place = JobPlace::at(&folder.path().join("checkpoint"));
    let lock = JobLock::acquire(&place).expect("the lock");
    let manifest = Manifest::new("fuzz").expect("random bytes");
    let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).expect("a job");
    let start = job.replay(None, |_| Ok(())).expect("a journal").mark;
    let mut writer = job.writer(&lock, &start).expect("a writer");
    for n in 0..3 {
        let mut batch = Batch::new(&writer.end());
        let url = format!("https://a.example/{n}");
        let (id, _) = batch.request(&Stored {
            url: &url,
            ..Stored::default()
        });
        batch.set("key", b"value");
        batch.done(id, false);
        writer
            .append(&batch.close(&Commit::default()))
            .expect("room");
    }
    let sound = fs::read(job.journal_path()).expect("the journal");
    Mutex::new(Ground {
        job,
        sound,
        _folder: folder,
    })
});

/// The input is edits: a place, how many bytes go, and what comes instead.
fn edited(sound: &[u8], mut edits: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    while let [a, b, gone, count, rest @ ..] = edits {
        let at = usize::from(u16::from_le_bytes([*a, *b])) % (bytes.len() + 1);
        let end = (at + usize::from(*gone)).min(bytes.len());
        let (new, rest) = rest.split_at(rest.len().min(usize::from(*count)));
        bytes.splice(at..end, new.iter().copied());
        edits = rest;
    }
    bytes
}

fuzz_target!(|edits: &[u8]| {
    let ground = GROUND.lock().expect("no panic before");
    let (job, path) = (&ground.job, ground.job.journal_path());
    let bytes = edited(&ground.sound, edits);
    fs::write(&path, &bytes).expect("room");
    let tell = || {
        let (mut told, mut places) = (Vec::new(), Vec::new());
        let replayed = job.replay(None, |entry| {
            if let Entry::Request { id, at, .. } = &entry {
                places.push((*id, *at));
            }
            told.push(format!("{entry:?}"));
            Ok(())
        });
        (replayed.map_err(|error| error.to_string()), told, places)
    };
    let (replayed, told, places) = tell();
    assert_eq!((&replayed, &told), (&tell().0, &tell().1));
    let _ = job.last_commit();
    if let Ok(replayed) = replayed {
        assert_eq!(
            replayed.mark.bytes + replayed.torn_bytes,
            bytes.len() as u64
        );
        // What counts is what was written, since no other bytes have its checksums.
        assert_eq!(
            bytes[..replayed.mark.bytes as usize],
            ground.sound[..replayed.mark.bytes as usize]
        );
        let reader = job.reader().expect("a sound header");
        let mut buffer = Vec::new();
        for (id, at) in places {
            reader
                .request_at(id, at, &mut buffer)
                .expect("a request that was told");
        }
    }
});
