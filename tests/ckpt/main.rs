//! crawl-ckpt from outside: what it prints, what it removes, how it exits.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod collecting;
mod listing;
mod removal;
mod verify;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::image::ImageWriter;
use crawl_ckpt::job::{Job, JobPlace, Manifest, Name, OutputPlace};
use crawl_ckpt::journal::{Batch, Commit, Mark, Stored, Writer};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use serde_json::Value;
use support::{Done, Folder, Tool};

/// A data directory to put checkpoints into.
struct Data {
    folder: Folder,
}

/// A checkpoint that is being written.
struct Crawl {
    place: JobPlace,
    lock: JobLock,
    job: Job,
    writer: Writer,
    commit: Commit,
    output: PathBuf,
}

/// A test that starts a program at this moment may have forked a child that holds every lock of ours
/// until it becomes that program.
fn acquire(place: &JobPlace) -> JobLock {
    let deadline = Instant::now() + support::DEADLINE;
    loop {
        match JobLock::acquire(place) {
            Ok(lock) => return lock,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

impl Data {
    fn new() -> Data {
        Data {
            folder: Folder::new(),
        }
    }

    fn place(&self, project: &str, spider: &str) -> JobPlace {
        let name = |text| Name::parse(text).unwrap();
        JobPlace::of_spider(&self.folder, &name(project), &name(spider))
    }

    /// A crawl of `https://SPIDER/` that has begun and holds its lock.
    fn begin(&self, project: &str, spider: &str) -> Crawl {
        let place = self.place(project, spider);
        let lock = acquire(&place);
        let output = self
            .folder
            .write(&format!("{project}/{spider}/crawls/crawl.jsonl"), "");
        let mut manifest = Manifest::new("crawl-frontier test").unwrap();
        manifest.proxy_type = "auto".into();
        manifest.output = Some(OutputPlace::file(&output, &self.folder));
        manifest.plan = Some(Plan {
            start_urls: vec![format!("https://{spider}/")],
            ..Plan::default()
        });
        let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
        let start = job.replay(None, |_| Ok(())).unwrap().mark;
        let writer = job.writer(&lock, &start).unwrap();
        Crawl {
            place,
            lock,
            job,
            writer,
            commit: Commit::default(),
            output,
        }
    }

    /// A crawl that took on `seen` URLs, finished `done` and was paused.
    fn paused(&self, project: &str, spider: &str, seen: u64, done: u64) -> JobPlace {
        let mut crawl = self.begin(project, spider);
        crawl.step(seen, done);
        crawl.pause()
    }

    fn tool(&self, args: &[&str]) -> Tool {
        Tool::new("crawl-ckpt")
            .args(args)
            .arg("--data-dir")
            .arg(&self.folder)
    }

    fn run(&self, args: &[&str]) -> Done {
        self.tool(args).run()
    }

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let done = self.run(args);
        done.lines()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Crawl {
    /// Takes on `seen` URLs, finishes the first `done` of those pending, commits.
    fn step(&mut self, seen: u64, done: u64) -> Mark {
        let mut batch = Batch::new(&self.writer.end());
        let counts = &mut self.commit.progress.counts;
        for i in 0..seen {
            let url = format!("https://site.example/page/{}", counts.seen + i);
            batch.request(&Stored {
                url: &url,
                ..Stored::default()
            });
        }
        let finished = counts.done..counts.done + done;
        for id in finished.clone() {
            batch.done(id, false);
        }
        counts.seen += seen;
        counts.done += done;
        counts.pending = counts.seen - counts.done;
        self.commit.progress.records += done;
        self.commit.at_ms = now_ms();
        let mut output = OpenOptions::new().append(true).open(&self.output).unwrap();
        for i in finished {
            writeln!(output, "{{\"url\":\"https://site.example/page/{i}\"}}").unwrap();
        }
        let len = output.metadata().unwrap().len();
        self.commit.files.insert("output".into(), len);
        self.writer.append(&batch.close(&self.commit)).unwrap()
    }

    /// A commit as old as that.
    fn last_touched(&mut self, age: Duration) {
        let batch = Batch::new(&self.writer.end());
        self.commit.at_ms = now_ms() - age.as_millis() as u64;
        self.writer.append(&batch.close(&self.commit)).unwrap();
    }

    fn write_image(&self) {
        let end = self.writer.end();
        let mut image = ImageWriter::create(&self.job, &self.lock, &end, 1).unwrap();
        image.write_all(b"whatever the frontier keeps").unwrap();
        image.finish().unwrap();
    }

    fn pause(mut self) -> JobPlace {
        self.job.seal(&self.lock, &self.writer.end()).unwrap();
        let Crawl {
            place,
            lock,
            job,
            writer,
            ..
        } = self;
        drop((lock, job, writer));
        // As in `acquire`.
        let deadline = Instant::now() + support::DEADLINE;
        while JobLock::probe(&place).is_some() {
            assert!(Instant::now() < deadline, "the lock is still held");
        }
        place
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x40;
    fs::write(path, bytes).unwrap();
}

impl Crawl {
    fn write_image_at(&self, end: &Mark) {
        let mut image = ImageWriter::create(&self.job, &self.lock, end, 1).unwrap();
        image.write_all(b"whatever").unwrap();
        image.finish().unwrap();
    }
}
