//! crawl-ckpt from outside: what it prints, what it removes, how it exits.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

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

#[test]
fn without_a_checkpoint_ls_prints_nothing_and_exits_0() {
    let data = Data::new();
    for args in [&["ls"][..], &["ls", "--json"], &["size"], &["verify"]] {
        let done = data.run(args).code(0).is_quiet();
        assert_eq!(done.text(), "", "{args:?}");
        let no_data = Tool::new("crawl-ckpt").args(args).dir(&data.folder);
        assert_eq!(no_data.run().code(0).is_quiet().text(), "", "{args:?}");
    }
}

#[test]
fn a_place_that_was_named_and_is_not_there_is_told() {
    let data = Data::new();
    data.folder.write("file", "");
    for (place, why) in [("nowhere", "No such file"), ("file", "Not a directory")] {
        for command in ["ls", "size", "verify", "rm"] {
            let tool = Tool::new("crawl-ckpt").args([command, "--data-dir", place]);
            let tool = match command {
                "rm" => tool.arg("--all"),
                _ => tool,
            };
            let done = tool.dir(&data.folder).run().code(2);
            done.says(&format!("cannot use --data-dir {place}: {why}"))
                .says("hint: crawl-ckpt ls   (looks below $CRAWL_DATA_DIR, else ./data)");
        }
    }
    data.paused("news", "a.example", 1, 0);
    data.run(&["ls", "nws"])
        .code(1)
        .says("there is no project nws in")
        .says("there are: news");
    data.run(&["ls", "news"]).code(0).prints("a.example");
}

#[test]
fn ls_has_one_row_a_checkpoint() {
    let data = Data::new();
    data.paused("news", "b.example", 1200, 200);
    data.paused("news", "a.example", 3, 3);
    data.paused("shops", "c.example", 1, 0);
    let lines = data.run(&["ls"]).code(0).is_quiet().lines();
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(
        words[0],
        [
            "PROJECT", "SPIDER", "STATE", "PENDING", "SEEN", "SIZE", "AGE", "PROXY"
        ]
    );
    let rows: Vec<&[&str]> = words[1..].iter().map(|row| &row[..5]).collect();
    assert_eq!(
        rows,
        [
            ["news", "a.example", "paused", "0", "3"],
            ["news", "b.example", "paused", "1,000", "1,200"],
            ["shops", "c.example", "paused", "1", "1"],
        ]
    );
    assert_eq!(words[1].last(), Some(&"auto"));
    assert_eq!(data.run(&["ls", "shops"]).code(0).lines().len(), 2);
}

#[test]
fn ls_json_has_exactly_the_promised_fields() {
    let data = Data::new();
    let place = data.paused("news", "a.example", 10, 4);
    let rows = data.json(&["ls", "--json"]);
    assert_eq!(rows.len(), 1);
    let row = rows[0].as_object().unwrap();
    let mut names: Vec<&str> = row.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "age_s",
            "bytes",
            "done",
            "failed",
            "path",
            "pending",
            "project",
            "proxy_type",
            "seen",
            "spider",
            "state"
        ]
    );
    assert_eq!(row["project"], "news");
    assert_eq!(row["spider"], "a.example");
    assert_eq!(row["state"], "paused");
    assert_eq!(row["pending"], 6);
    assert_eq!(row["seen"], 10);
    assert_eq!(row["done"], 4);
    assert_eq!(row["failed"], 0);
    assert_eq!(row["proxy_type"], "auto");
    assert_eq!(row["path"], place.dir.to_str().unwrap());
    assert!(row["age_s"].as_u64().unwrap() < 60);
    let bytes: u64 = ["job.json", "journal-1"]
        .iter()
        .map(|name| place.dir.join(name).metadata().unwrap().len())
        .sum();
    assert_eq!(row["bytes"], bytes);
}

#[test]
fn a_running_crawl_is_told_from_a_paused_and_a_corrupt_one() {
    let data = Data::new();
    let mut running = data.begin("p", "running");
    running.step(5, 1);
    data.paused("p", "paused", 1, 0);
    let corrupt = data.paused("p", "corrupt", 1, 0);
    flip(&corrupt.dir.join("journal-1"), 20);
    let headless = data.paused("p", "headless", 1, 0);
    fs::remove_file(headless.dir.join("job.json")).unwrap();
    let rows = data.json(&["ls", "--json"]);
    let state = |spider: &str| {
        let row = rows.iter().find(|row| row["spider"] == spider).unwrap();
        row["state"].as_str().unwrap()
    };
    assert_eq!(state("running"), "running");
    assert_eq!(state("paused"), "paused");
    assert_eq!(state("corrupt"), "corrupt");
    assert_eq!(state("headless"), "corrupt");
    data.run(&["ls"])
        .code(0)
        .says("p/corrupt: ")
        .says("journal-1: damaged at byte 0");
    let corrupt = rows.iter().find(|row| row["spider"] == "corrupt").unwrap();
    assert_eq!(corrupt.get("pending"), None);
}

#[test]
fn show_tells_all_and_the_command_that_resumes() {
    let data = Data::new();
    data.paused("news", "a.example", 10, 4);
    let done = data.run(&["show", "news/a.example"]).code(0).is_quiet();
    let folder = data.folder.to_str().unwrap();
    let resume = format!("crawl-run --project news --data-dir {folder} https://a.example/");
    let done = done.prints(&resume).prints("crawls/crawl.jsonl");
    done.prints("10 URLs").prints("paused");
    let rows = data.json(&["show", "news/a.example", "--json"]);
    assert_eq!(rows[0]["resume"], resume.as_str());
    assert_eq!(rows[0]["progress"]["records"], 4);
    assert_eq!(rows[0]["sealed"], true);

    let mut crawl = data.begin("default", "shop");
    let command = "crawl-run shop.json -H 'X: it'\\''s'";
    crawl
        .job
        .update(&crawl.lock, |manifest| {
            manifest.command = Some(command.into());
        })
        .unwrap();
    crawl.step(1, 0);
    let pid = std::process::id();
    data.run(&["show", "shop"])
        .code(0)
        .prints(command)
        .prints(&format!("running: pid {pid} on "));
}

#[test]
fn a_wrong_name_lists_what_there_is() {
    let data = Data::new();
    data.run(&["show", "p/s"])
        .code(1)
        .says("p/s has no checkpoint")
        .says("--limit");
    data.paused("news", "a.example", 1, 0);
    for command in ["show", "size", "verify", "rm"] {
        data.run(&[command, "news/b"])
            .code(1)
            .says("news/b has no checkpoint")
            .says("news/a.example");
    }
    for bad in ["../../etc", "a/b/c", "", "news/", "/etc", "x/.."] {
        data.run(&["show", bad]).code(2).says("is no name");
        data.run(&["rm", "--yes", bad]).code(2).says("is no name");
    }
    data.run(&["show"]).code(2);
    data.run(&["rm"]).code(2);
    data.run(&["rm", "--all", "news/a.example"]).code(2);
}

#[test]
fn size_tells_the_parts() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(1000, 10);
    crawl.write_image();
    let place = crawl.pause();
    let len = |name: &str| place.dir.join(name).metadata().unwrap().len();
    let rows = data.json(&["size", "p/s", "--json"]);
    let parts = &rows[0]["parts"];
    assert_eq!(parts["journal"], len("journal-1"));
    assert_eq!(parts["image"], len("image"));
    assert_eq!(parts["other"], len("job.json"));
    assert_eq!(parts["output"], 38 * 10);
    assert_eq!(
        rows[0]["bytes"],
        len("journal-1") + len("image") + len("job.json")
    );
    data.run(&["size", "p/s"])
        .code(0)
        .prints("journal")
        .prints("not large");
    data.run(&["size"]).code(0).prints("JOURNAL").prints("p");
}

#[test]
fn size_says_what_to_do_about_a_large_one() {
    let data = Data::new();
    let place = data.paused("p", "s", 10, 5);
    let large = |path: PathBuf| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().set_len(300 << 20).unwrap();
    };
    large(place.dir.join("image"));
    let done = data.run(&["size", "p/s"]).code(0);
    let done = done.prints("5 URLs are pending").prints("--max-pages N");
    assert!(!done.text().contains("--reset-deltafetch"), "{done}");
    fs::remove_file(place.dir.join("image")).unwrap();
    large(place.dir.join("../delta/known"));
    data.run(&["size", "p/s"])
        .code(0)
        .prints("This is not large.")
        .prints("300 MiB (kept for the next crawl)")
        .prints("crawl-run --reset-deltafetch");
}

#[test]
fn what_outlives_checkpoints_is_told_with_its_size() {
    let data = Data::new();
    data.paused("p", "busy", 10, 5);
    data.folder.write("p/busy/delta/known", [0; 2048]);
    data.folder.write("p/idle/delta/known", [0; 4096]);
    data.folder
        .write("q/.batch/sites-1234abcd.jsonl", [0; 1024]);
    data.folder.write("q/.batch/sites-1234abcd.lock", "");

    let done = data.run(&["ls"]).code(0);
    assert!(done.lines()[0].ends_with("PROXY    DELTA"), "{done}");
    assert!(done.lines()[1].ends_with("auto   2.0 KiB"), "{done}");
    done.prints_lines(2)
        .says("q: the state of 1 batch takes 1.0 KiB")
        .says("known of earlier crawls of 1 spider without a checkpoint: 4.0 KiB");
    data.run(&["ls", "q"])
        .code(0)
        .prints_just("")
        .says("1 batch")
        .never_says("spider");
    data.run(&["ls", "-q"]).code(0).is_quiet();
    assert_eq!(data.json(&["ls", "--json"])[0]["delta_bytes"], 2048);
    data.run(&["show", "p/busy"])
        .code(0)
        .prints("2.0 KiB, known of earlier crawls");

    let lines = data.run(&["size"]).code(0).is_quiet().lines();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[2].starts_with("p        idle    -"), "{lines:#?}");
    assert!(lines[3].starts_with("q        .batch  -"), "{lines:#?}");
    let rows = data.json(&["size", "--json"]);
    assert_eq!(rows[1]["parts"]["delta"], 4096);
    assert_eq!(
        (&rows[2]["batches"], &rows[2]["bytes"]),
        (&1.into(), &1024.into())
    );
    data.run(&["size", "p/idle"])
        .code(0)
        .prints("p/idle, no checkpoint")
        .prints("4.0 KiB");
    data.run(&["size", "p/none"]).code(1);
}

#[test]
fn verify_passes_a_sound_job_and_names_the_place_of_every_flipped_byte() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(3, 1);
    crawl.step(2, 2);
    crawl.write_image();
    let place = crawl.pause();
    data.run(&["verify", "p/s"])
        .code(0)
        .is_quiet()
        .prints("p/s: sound: 10 entries in 2 batches");
    data.run(&["verify"]).code(0).prints("p/s: sound");
    for name in ["job.json", "journal-1", "image"] {
        let path = place.dir.join(name);
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(97).chain([good.len() - 1]) {
            flip(&path, at);
            let done = data
                .run(&["verify", "p/s"])
                .code(65)
                .says("p/s: ")
                .says(name)
                .says("damaged");
            assert_eq!(done.text(), "", "{name} byte {at}");
            fs::write(&path, &good).unwrap();
        }
        fs::remove_file(&path).unwrap();
        if name != "image" {
            data.run(&["verify", "p/s"])
                .code(65)
                .says(name)
                .says("missing");
        }
        fs::write(&path, &good).unwrap();
    }
    let journal = place.dir.join("journal-1");
    flip(&journal, 130);
    data.run(&["verify", "p/s"])
        .code(65)
        .says("journal-1: damaged at byte 64: the checksum of a batch is wrong");
    let rows = data.json(&["verify", "--json"]);
    assert_eq!(rows[0]["sound"], false);
    assert_eq!(rows[0]["problems"][0]["offset"], 64);
}

#[test]
fn verify_holds_the_output_against_the_last_commit() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(10, 4);
    let output = crawl.output.clone();
    crawl.pause();
    let good = fs::read(&output).unwrap();
    // What follows the committed length is cut off by the next run.
    fs::write(&output, [&good[..], b"{\"half"].concat()).unwrap();
    data.run(&["verify", "p/s"]).code(0);
    fs::write(&output, &good[..good.len() - 1]).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("crawl.jsonl: damaged at byte 151: the output ends here");
    let joined = String::from_utf8(good).unwrap().replacen('\n', " ", 1);
    fs::write(&output, joined).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("3 lines lie before this byte, 4 records");
    fs::remove_file(&output).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("the output is missing");
}

/// A job of four commits, and the marks at their ends.
fn of_four_commits(data: &Data) -> (JobPlace, [Mark; 4]) {
    let mut crawl = data.begin("p", "s");
    let marks = [(5, 0), (5, 3), (5, 2), (0, 1)].map(|(seen, done)| crawl.step(seen, done));
    (crawl.pause(), marks)
}

/// Puts the copy in the place of the damaged job, as the tool says.
fn take_the_copy(data: &Data, done: &Done) {
    let line = done.lines().pop().unwrap();
    let command = line.split_once("go on with the copy: ").unwrap().1;
    Tool::program("sh").args(["-c", command]).run().code(0);
    data.run(&["verify", "p/s"]).code(0).prints("p/s: sound");
}

#[test]
fn repair_saves_all_but_the_batch_that_is_damaged() {
    let data = Data::new();
    let (place, marks) = of_four_commits(&data);
    data.run(&["verify", "--repair", "p/s"])
        .code(0)
        .prints("sound");
    assert!(!place.dir.with_file_name("checkpoint.repaired").exists());

    let journal = place.dir.join("journal-1");
    flip(&journal, marks[0].bytes as usize + 100);
    let before = fs::read(&journal).unwrap();
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    // Pages 0 to 4 and 10 to 14 are known. Their ends were lost in part, but six have records;
    // one of them, page 5, is among those that were lost.
    let done = done.prints("saved 11 URLs, 5 of them pending, from 3 commits");
    let done = done
        .prints("1 commit\n")
        .prints("lost with it, unless a page leads there again: 4 URLs");
    let done = done.prints("known from the output alone, and finished: 1 URL");
    assert_eq!(fs::read(&journal).unwrap(), before);
    take_the_copy(&data, &done);
    let rows = data.json(&["ls", "--json"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["seen"], &rows[0]["done"]),
        (&11.into(), &6.into())
    );
}

#[test]
fn repair_tells_what_a_cut_journal_lost_by_its_seal() {
    let data = Data::new();
    let (place, marks) = of_four_commits(&data);
    for cut in [marks[1].bytes, marks[1].bytes + 70] {
        let journal = place.dir.join("journal-1");
        let good = fs::read(&journal).unwrap();
        fs::write(&journal, &good[..cut as usize]).unwrap();
        let done = data.run(&["verify", "--repair", "p/s"]).code(65);
        done.prints("saved 10 URLs, 4 of them pending, from 2 commits")
            .prints(", 2 commits\n")
            .prints("lost with it, unless a page leads there again: 5 URLs");
        fs::write(&journal, good).unwrap();
    }
}

#[test]
fn repair_fetches_again_what_has_no_record_any_more() {
    let data = Data::new();
    let (place, _) = of_four_commits(&data);
    let output = place.dir.with_file_name("crawls").join("crawl.jsonl");
    let text = fs::read_to_string(&output).unwrap();
    fs::write(&output, &text[..38 * 4 + 5]).unwrap();
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    let done = done
        .prints("saved 15 URLs, 11 of them pending")
        .prints("for want of a record in the output: 2 URLs");
    take_the_copy(&data, &done);
    assert_eq!(fs::read_to_string(&output).unwrap().len(), 38 * 4 + 5);
}

#[test]
fn repair_finds_the_output_when_the_manifest_is_lost() {
    let data = Data::new();
    let (place, _) = of_four_commits(&data);
    data.folder.write("p/s/crawls/crawl_2.jsonl", "{}\n");
    fs::remove_file(place.dir.join("job.json")).unwrap();
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    let done = done
        .prints("job.json is lost")
        .prints("saved 15 URLs, 9 of them pending");
    take_the_copy(&data, &done);
    data.run(&["show", "p/s"])
        .code(0)
        .prints("p/s/crawls/crawl.jsonl");
}

#[test]
fn repair_puts_a_flipped_byte_of_the_manifest_right() {
    let data = Data::new();
    let (place, _) = of_four_commits(&data);
    flip(&place.dir.join("job.json"), 77);
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    let done = done
        .prints("one wrong byte")
        .prints("saved 15 URLs, 9 of them pending");
    take_the_copy(&data, &done);
    data.run(&["show", "p/s"])
        .code(0)
        .prints("start URL    https://s/");
    // A journal's header is known from the manifest.
    flip(&place.dir.join("journal-1"), 20);
    data.run(&["verify", "--repair", "p/s"])
        .code(65)
        .prints("saved 15 URLs, 9 of them pending");
}

#[test]
fn repair_refuses_a_running_crawl() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(3, 0);
    crawl.step(3, 0);
    flip(&crawl.place.dir.join("journal-1"), 100);
    data.run(&["verify", "--repair", "p/s"])
        .code(75)
        .says("another run holds this job");
}

#[test]
fn verify_finds_counts_that_do_not_come_from_the_records() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.commit.progress.counts.failed = 1;
    crawl.step(3, 1);
    crawl.pause();
    data.run(&["verify", "p/s"]).code(65).says("do not add up");
    let mut crawl = data.begin("p", "t");
    crawl.commit.progress.counts.seen = 1;
    crawl.step(3, 0);
    crawl.pause();
    data.run(&["verify", "p/t"])
        .code(65)
        .says("counts 4 URLs")
        .says("come to 3");
}

#[test]
fn rm_removes_what_was_named_and_keeps_the_rest() {
    let data = Data::new();
    let (one, two) = (data.paused("p", "one", 5, 2), data.paused("p", "two", 5, 2));
    let done = data
        .run(&["rm", "--yes", "p/one"])
        .code(0)
        .says("removed p/one");
    done.says("its unfinished output stays");
    assert!(!one.dir.exists() && one.lock.exists() && two.dir.exists());
    // A damaged one goes as well.
    fs::write(two.dir.join("job.json"), "nonsense").unwrap();
    data.run(&["rm", "-q", "--yes", "p/two"]).code(0).is_quiet();
    assert!(!two.dir.exists());
    data.run(&["rm", "--yes", "p/two"])
        .code(1)
        .says("no checkpoint");
}

#[test]
fn the_place_of_warc_files_is_shown_and_told_when_the_checkpoint_goes() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    let dir = crawl.output.with_file_name("pages-warc");
    fs::create_dir(&dir).unwrap();
    let place = OutputPlace::file(&dir, &data.folder);
    let keep = |manifest: &mut Manifest| manifest.keep_warc(place);
    crawl.job.update(&crawl.lock, keep).unwrap();
    crawl.step(1, 0);
    crawl.pause();
    let dir = dir.display().to_string();
    let shown = data.run(&["show", "p/s"]).code(0);
    shown.prints(&format!("warc         {dir}\n"));
    assert_eq!(data.json(&["show", "p/s", "--json"])[0]["warc"], dir);
    let removed = data.run(&["rm", "--yes", "p/s"]).code(0);
    removed.says(&format!("p/s: its unfinished WARC files stay: {dir}"));
}

#[test]
fn rm_refuses_a_running_crawl_and_removes_the_others() {
    let data = Data::new();
    let mut running = data.begin("p", "running");
    running.step(1, 0);
    let other = data.paused("p", "other", 1, 0);
    let pid = std::process::id();
    let done = data.run(&["rm", "--yes", "p/running"]).code(75);
    done.says(&format!(
        "p/running: another run holds this job: pid {pid} on "
    ));
    data.run(&["rm", "--all", "--yes"])
        .code(75)
        .says("removed p/other");
    assert!(running.place.dir.exists() && !other.dir.exists());
    running.step(1, 1);
    let place = running.pause();
    data.run(&["rm", "--all", "--yes"])
        .code(0)
        .says("removed p/running");
    assert!(!place.dir.exists());
}

#[test]
fn rm_older_than_goes_by_the_last_commit() {
    let data = Data::new();
    let day = Duration::from_secs(86_400);
    for (spider, days) in [("d6", 6), ("d8", 8)] {
        let mut crawl = data.begin("p", spider);
        crawl.step(1, 0);
        crawl.last_touched(day * days);
        crawl.pause();
    }
    let mut old_but_running = data.begin("p", "running");
    old_but_running.last_touched(day * 30);
    data.run(&["rm", "--yes", "--older-than", "7d"])
        .code(0)
        .says("removed p/d8")
        .never_says("d6");
    let rows = data.json(&["ls", "--json"]);
    let left: Vec<&str> = rows
        .iter()
        .map(|row| row["spider"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["d6", "running"]);
    assert!((6 * 86_400..6 * 86_400 + 60).contains(&rows[0]["age_s"].as_u64().unwrap()));
    data.run(&["rm", "--older-than", "soon"])
        .code(2)
        .says("no duration");
}

#[test]
fn rm_clears_what_an_interrupted_removal_left() {
    let data = Data::new();
    let place = data.paused("p", "s", 1, 0);
    fs::rename(&place.dir, place.removing()).unwrap();
    assert_eq!(data.run(&["ls"]).code(0).text(), "");
    data.run(&["rm", "--all", "--yes"])
        .code(0)
        .says("removed p/s");
    assert!(!place.removing().exists());
}

#[test]
fn a_job_is_named_by_its_directory_as_well() {
    let data = Data::new();
    let place = data.paused("p", "s", 4, 1);
    let dir = place.dir.to_str().unwrap();
    data.run(&["show", "--job", dir])
        .code(0)
        .prints(&format!("crawl-frontier serve --job {dir}"));
    data.run(&["verify", "--job", dir]).code(0).prints("sound");
    data.run(&["size", "--job", dir]).code(0).prints("journal");
    data.run(&["rm", "--yes", "--job", dir]).code(0);
    data.run(&["show", "--job", dir])
        .code(1)
        .says("there is no job in");
}

#[test]
fn names_from_the_disk_move_no_cursor() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl
        .job
        .update(&crawl.lock, |manifest| {
            manifest.proxy_type = "\u{1b}[31mred".into();
            manifest.tool = "evil\nline".into();
        })
        .unwrap();
    crawl.step(1, 0);
    for args in [&["ls"][..], &["show", "p/s"], &["size"]] {
        let text = data.run(args).code(0).text();
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    data.run(&["show", "p/s"]).prints(r"evil\nline");
}

#[test]
fn a_newer_format_is_refused_with_a_clear_error() {
    let data = Data::new();
    let place = data.paused("p", "s", 1, 0);
    let path = place.dir.join("job.json");
    let text = fs::read_to_string(&path).unwrap();
    let json = text
        .lines()
        .next()
        .unwrap()
        .replace("\"format\":1", "\"format\":9");
    let sum = blake3::hash(json.as_bytes()).to_hex();
    fs::write(&path, format!("{json}\nblake3:{sum}\n")).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("format 9, this tool knows 1");
    data.run(&["show", "p/s"])
        .code(65)
        .says("another version of the tools");
}

#[test]
fn nothing_that_a_running_crawl_does_is_an_error_for_who_looks_on() {
    let data = Data::new();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A crawl that begins, commits, compacts, pauses, resumes, ends and is removed, again and again.
            while !over.load(Ordering::Relaxed) {
                let mut crawl = data.begin("p", "s");
                for _ in 0..5 {
                    crawl.step(20, 10);
                }
                let mut next = crawl.job.begin_generation(&crawl.lock, 0).unwrap();
                let mut batch = Batch::new(&next.end());
                for i in 0..50 {
                    batch.seen(&[i; 16]);
                    batch.request(&Stored {
                        url: "https://a.example/",
                        ..Stored::default()
                    });
                }
                next.append(&batch.close(&crawl.commit)).unwrap();
                crawl.job.switch_generation(&crawl.lock, &mut next).unwrap();
                crawl.write_image_at(&next.end());
                crawl.job.seal(&crawl.lock, &next.end()).unwrap();
                let end = next.end();
                crawl.writer = crawl.job.writer(&crawl.lock, &end).unwrap();
                crawl.job.remove(&crawl.lock).unwrap();
                fs::remove_file(&crawl.output).unwrap();
            }
        });
        for _ in 0..40 {
            for args in [&["ls", "--json"][..], &["size"], &["verify"]] {
                let done = data.run(args);
                if done.exit() != 0 || !done.words().is_empty() {
                    over.store(true, Ordering::Relaxed);
                }
                let done = done.code(0).is_quiet();
                for line in done.lines().iter().filter(|line| line.starts_with('{')) {
                    let row: Value = serde_json::from_str(line).unwrap();
                    let (seen, pending) = (row["seen"].as_u64(), row["pending"].as_u64());
                    assert_eq!(
                        seen.unwrap(),
                        pending.unwrap() + row["done"].as_u64().unwrap()
                    );
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

impl Crawl {
    fn write_image_at(&self, end: &Mark) {
        let mut image = ImageWriter::create(&self.job, &self.lock, end, 1).unwrap();
        image.write_all(b"whatever").unwrap();
        image.finish().unwrap();
    }
}
