//! Small jobs of every released format, sound and damaged, in `tests/data`: each
//! reads as it ever did, whatever becomes of the code.
//!
//! `frontier` was left by a real crawl that was paused, `delta` by an incremental one, and
//! `flipped-learned` and `flipped-known` are that with one bit changed. The others are made
//! from a few entries by `make_the_jobs`, which is run by hand, once a format.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::image::ImageWriter;
use crawl_ckpt::job::{Job, JobPlace, Manifest, OutputPlace};
use crawl_ckpt::journal::{Batch, Commit, Entry, Referer, Stored};
use crawl_ckpt::lock::JobLock;
use support::{Folder, Tool};

/// Name, exit code of `crawl-ckpt verify`, and what it says.
const JOBS: [(&str, i32, &str); 13] = [
    ("frontier", 0, "sound: 32 entries in 6 batches"),
    (
        "paused",
        0,
        "sound: 14 entries in 2 batches, 925 B, and an image",
    ),
    ("killed", 0, "of an unfinished commit follow"),
    ("compacted", 0, "sound: 5 entries in 1 batch"),
    (
        "flipped-journal",
        65,
        "journal-1: damaged at byte 64: the checksum of a batch is wrong",
    ),
    (
        "flipped-manifest",
        65,
        "job.json: damaged at byte 0: the checksum is wrong",
    ),
    ("flipped-image", 65, "image: damaged: the checksum is wrong"),
    ("cut-journal", 65, "the journal ends here, the seal has"),
    ("cut-output", 65, "the output ends here"),
    (
        "delta",
        0,
        "sound: 16 entries in 2 batches, 1.3 KiB, and what is known of 12 pages",
    ),
    (
        "flipped-learned",
        65,
        "checkpoint/pages: damaged at byte 64: the checksum of a block is wrong",
    ),
    (
        "flipped-known",
        65,
        "delta/pages: damaged at byte 64: the checksum of a block is wrong",
    ),
    ("newer", 65, "format 2, this tool knows 1"),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/v1")
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A journal in words.
fn words(job: &Job) -> String {
    let mut text = String::new();
    let mut line = |line: String| text.extend([&line, "\n"]);
    job.replay(None, |entry| {
        line(match entry {
            Entry::Request { id, request, .. } => {
                let referer = request.referer.map(|referer| referer.to_text(request.url));
                format!(
                    "request {id} {} depth {} priority {} nofollow {} redirects {} referer {} extra {}",
                    request.url,
                    request.depth,
                    request.priority,
                    request.nofollow,
                    request.redirects,
                    referer.unwrap_or_default(),
                    request.extra.unwrap_or_default()
                )
            }
            Entry::Seen { fingerprint } => format!("seen {}", crawl_ckpt::hex::encode(&fingerprint)),
            Entry::Done { id, failed } => format!("done {id} failed {failed}"),
            Entry::Defer { id, attempts, due_ms } => format!("defer {id} {attempts} {due_ms}"),
            Entry::Set { key, value } => format!("set {key} {}", String::from_utf8_lossy(value)),
            Entry::Unset { key } => format!("unset {key}"),
            Entry::Ids { next } => format!("ids from {next}"),
            // Not the whole of it: a field may come to it in time.
            Entry::Commit(commit) => {
                let commit = commit.parse()?;
                let (counts, records) = (commit.progress.counts, commit.progress.records);
                let at_ms = commit.at_ms;
                format!(
                    "commit {at_ms} seen {} pending {} done {} failed {} records {records} files {:?}",
                    counts.seen, counts.pending, counts.done, counts.failed, commit.files
                )
            }
        });
        Ok(())
    })
    .unwrap();
    text
}

#[test]
fn jobs_of_format_1_read_as_they_ever_did() {
    for (name, exit, says) in JOBS {
        let folder = Folder::new();
        copy_tree(&data().join(name), &folder);
        let done = Tool::new("crawl-ckpt")
            .args(["verify", "--data-dir"])
            .arg(&folder)
            .run();
        let done = done.code(exit);
        match exit {
            0 => drop(done.is_quiet().prints(says)),
            _ => drop(done.says(says)),
        }
    }
}

#[test]
fn the_entries_of_format_1_mean_what_they_ever_did() {
    let everything = data().join("paused/p/s/checkpoint");
    let job = Job::open(Arc::new(RealDisk), &JobPlace::at(&everything))
        .unwrap()
        .unwrap();
    let expected = fs::read_to_string(data().join("paused.txt")).unwrap();
    assert_eq!(words(&job), expected);
    let killed = data().join("killed/p/s/checkpoint");
    let job = Job::open(Arc::new(RealDisk), &JobPlace::at(&killed))
        .unwrap()
        .unwrap();
    assert_eq!(words(&job), expected);
}

/// Writes all jobs but those that crawls left anew, into the source tree: `MAKE_JOBS=1 cargo test make_the_jobs`.
#[test]
fn make_the_jobs() {
    if std::env::var_os("MAKE_JOBS").is_none() {
        return;
    }
    let sound = Folder::new();
    let place = JobPlace::at(&sound.join("p/s/checkpoint"));
    let lock = JobLock::acquire(&place).unwrap();
    let output = sound.write(
        "p/s/crawls/crawl.jsonl",
        "{\"url\":\"https://a.example/1\"}\n{\"half",
    );
    let mut manifest = Manifest::new("crawl-frontier 0.1.0").unwrap();
    manifest.created_at = "2026-11-22T14:00:00Z".into();
    manifest.key = *b"tests/data/v1/..";
    manifest.output = Some(OutputPlace::file(&output, &sound));
    manifest.proxy_type = "auto".into();
    manifest.command = Some("crawl-run shop.json".into());
    let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
    let start = job.replay(None, |_| Ok(())).unwrap().mark;
    let mut writer = job.writer(&lock, &start).unwrap();

    let mut commit = Commit::default();
    let mut batch = Batch::new(&start);
    batch.request(&Stored {
        url: "https://a.example/",
        ..Stored::default()
    });
    let url = "https://a.example/1";
    batch.request(&Stored {
        url,
        depth: 1,
        priority: -3,
        nofollow: true,
        redirects: 2,
        referer: Some(Referer::of(url, "https://a.example/")),
        extra: Some(r#"{"meta":{"k":[1]}}"#),
    });
    batch.request(&Stored {
        url: "https://b.example/ü",
        depth: 300,
        priority: 7,
        ..Stored::default()
    });
    batch.set("key", b"one");
    batch.set("gone", b"two");
    commit.at_ms = 1_790_000_000_000;
    commit.progress.counts.seen = 3;
    commit.progress.counts.pending = 3;
    commit.files.insert("output".into(), 0);
    writer.append(&batch.close(&commit)).unwrap();

    let mut batch = Batch::new(&writer.end());
    batch.seen(&[0xab; 16]);
    batch.done(0, true);
    batch.done(1, false);
    batch.defer(2, 1, 1_790_000_060_000);
    batch.defer(2, 2, 1_790_000_120_000);
    batch.set("key", b"three");
    batch.unset("gone");
    commit.at_ms += 1000;
    let counts = &mut commit.progress.counts;
    (counts.seen, counts.pending, counts.done, counts.failed) = (4, 1, 2, 1);
    commit.progress.records = 1;
    commit.files.insert("output".into(), 30);
    let end = writer.append(&batch.close(&commit)).unwrap();
    let save = |name: &str| {
        let to = data().join(name);
        let _ = fs::remove_dir_all(&to);
        copy_tree(&sound, &to);
        fs::remove_file(to.join("p/s/checkpoint.lock")).unwrap();
        to
    };
    fs::write(data().join("paused.txt"), words(&job)).unwrap();

    let killed = save("killed").join("p/s/checkpoint/journal-1");
    let mut torn = fs::OpenOptions::new().append(true).open(killed).unwrap();
    torn.write_all(&fs::read(job.journal_path()).unwrap()[64..300])
        .unwrap();

    let mut image = ImageWriter::create(&job, &lock, &end, 999).unwrap();
    image.write_all(b"the body is the frontier's").unwrap();
    image.finish().unwrap();
    job.seal(&lock, &end).unwrap();
    save("paused");
    let change = |name: &str, file: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = save(name).join("p/s").join(file);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    change("flipped-journal", "checkpoint/journal-1", &|bytes| {
        bytes[150] ^= 1;
    });
    change("flipped-manifest", "checkpoint/job.json", &|bytes| {
        bytes[40] ^= 1;
    });
    change("flipped-image", "checkpoint/image", &|bytes| bytes[85] ^= 1);
    change("cut-journal", "checkpoint/journal-1", &|bytes| {
        bytes.truncate(700);
    });
    change("cut-output", "crawls/crawl.jsonl", &|bytes| {
        bytes.truncate(20);
    });
    change("newer", "checkpoint/job.json", &|bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let json = text
            .lines()
            .next()
            .unwrap()
            .replace("\"format\":1", "\"format\":2");
        *bytes = format!(
            "{json}\nblake3:{}\n",
            blake3::hash(json.as_bytes()).to_hex()
        )
        .into();
    });

    let mut next = job.begin_generation(&lock, end.next_id).unwrap();
    let mut batch = Batch::new(&next.end());
    for mark in [0xab, 0xcd, 0xef] {
        batch.seen(&[mark; 16]);
    }
    batch.request(&Stored {
        url: "https://b.example/ü",
        depth: 300,
        priority: 7,
        ..Stored::default()
    });
    next.append(&batch.close(&commit)).unwrap();
    job.switch_generation(&lock, &mut next).unwrap();
    job.seal(&lock, &next.end()).unwrap();
    save("compacted");
}
