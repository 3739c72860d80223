//! Disturbs crawls at every one of their file operations, by kills, signals and errors, in each act
//! of a crawl's life, and judges what the same command makes of it. See `scripts/torture --every-operation`.
//!
//! An act is prepared once, run once to count its operations (`scripts/fault.c` sees them as system
//! calls), and then run anew for each of them, in a copy of what was prepared. Threads make no two
//! runs quite the same, so an operation is hit by its number and not by its name.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "acts.rs"]
mod acts;
#[allow(dead_code)]
#[path = "archive.rs"]
mod archive;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Done, Folder, Site, Tool, bin, target_dir};

use acts::{Act, FAULTS, LIFE, MORE, MORE_BYTES, PAGES, PAUSED};

fn main() {
    let mut args = std::env::args().skip(1);
    let stride = args
        .next()
        .map_or(1, |text| text.parse().expect("a stride"));
    let (only, only_fault) = (args.next(), args.next());
    let is = |only: &Option<String>, name: &str| only.as_deref().is_none_or(|only| only == name);
    let fault = compile();
    let mut acts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = 0;
    for act in LIFE.iter().filter(|act| is(&only, act.name)) {
        let stage = Stage::new(act, &fault);
        for (name, exits) in FAULTS.iter().filter(|fault| is(&only_fault, fault.0)) {
            let (count, points, bad) = stage.disturb(name, exits, stride);
            eprintln!(
                "torture: {}, {name}: {points} of {count} operations, {bad} wrong",
                act.name
            );
            *acts.entry(act.name).or_default() += points;
            *faults.entry(name).or_default() += points;
            wrong += bad;
        }
    }
    let points: usize = acts.values().sum();
    let line = json!({ "points": points, "acts": acts, "faults": faults, "wrong": wrong });
    println!("{line}");
    std::process::exit(i32::from(wrong > 0));
}

/// Builds the program that disturbs others.
fn compile() -> PathBuf {
    let program = target_dir().join("fault");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/fault.c");
    let built = Command::new("cc")
        .args(["-O1", "-o"])
        .arg(&program)
        .arg(source)
        .status();
    assert!(built.unwrap().success(), "cc");
    program
}

/// What an act needs, prepared: its site and its files.
struct Stage<'a> {
    act: &'a Act,
    fault: &'a Path,
    site: Site,
    folder: Folder,
}

impl<'a> Stage<'a> {
    fn new(act: &'a Act, fault: &'a Path) -> Stage<'a> {
        let (site, blocks) = (Site::new(), Arc::new(AtomicBool::new(true)));
        let links: String = (1..PAGES).map(|n| format!("<a href=/{n}>")).collect();
        site.page("/", &links);
        let is_blocked = Arc::clone(&blocks);
        site.otherwise(move |asked| match asked.path.as_str() {
            "/robots.txt" => Answer::status(404),
            "/1" if is_blocked.load(Ordering::SeqCst) => Answer::status(403),
            _ => Answer::html("a page").header("Set-Cookie", "seen=1; Max-Age=9999"),
        });
        let stage = Stage {
            act,
            fault,
            site,
            folder: Folder::new(),
        };
        let write = |name: &str, text: String| stage.folder.write(name, text);
        write("sites.csv", format!("url\n{}\n", stage.site.url("/")));
        let warc = json!({
            "name": stage.spider(),
            "start_urls": [stage.site.url("/")],
            "warc": {"max_size": 2500, "metadata": false},
        });
        write("warc.json", warc.to_string());
        write(
            "jar.txt",
            "# Netscape HTTP Cookie File\nkept.example\tFALSE\t/\tFALSE\t0\tkept\t1\n".into(),
        );
        write(
            "more.jsonl",
            if act.act.contains("add") || act.before.len() > 1 {
                stage.more()
            } else {
                String::new()
            },
        );
        if !act.name.starts_with("retry") {
            blocks.store(false, Ordering::SeqCst);
        }
        for command in act.before {
            let done = stage.tool(&stage.folder, &[], command).run();
            assert!([0, 4].contains(&done.exit()), "{}: {done}", act.name);
        }
        blocks.store(false, Ordering::SeqCst);
        stage
    }

    /// Requests that take much of the journal.
    fn more(&self) -> String {
        let line = |n| {
            let request = json!({
                "url": self.site.url(&format!("/more/{n}")),
                "method": "POST",
                "body": "b".repeat(MORE_BYTES),
            });
            format!("{request}\n")
        };
        (0..MORE).map(line).collect()
    }

    /// The command in this folder, run by another one.
    fn tool(&self, folder: &Path, by: &[String], command: &str) -> Tool {
        let (url, spider) = (self.site.url("/"), self.spider());
        let command = command.replace("URL", &url).replace("SPIDER", &spider);
        let (command, stdin) = match command.split_once('<') {
            Some((command, file)) => (command, fs::read(folder.join(file)).unwrap()),
            None => (command.as_str(), Vec::new()),
        };
        let mut words = command.split_whitespace();
        let program = bin(words.next().unwrap());
        let tool = match by.split_first() {
            None => Tool::program(program),
            Some((first, by)) => Tool::program(first).args(by).arg(program),
        };
        tool.dir(folder)
            .args(words)
            .env("CRAWL_DATA_DIR", "data")
            .stdin(stdin)
    }

    fn spider(&self) -> String {
        format!("127.0.0.1-{}", self.site.port())
    }

    /// Disturbs the act at each of its operations in this way. Gives how many operations there are,
    /// at how many it was disturbed, and how often what came of it was wrong.
    fn disturb(&self, how: &str, exits: &[i32], stride: usize) -> (usize, usize, usize) {
        let count = self.run(&self.copy(), 0, how).0;
        let (next, points, wrong) = (
            AtomicUsize::new(1),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let work = || {
            loop {
                let k = next.fetch_add(stride, Ordering::SeqCst);
                if k > count {
                    return;
                }
                points.fetch_add(1, Ordering::SeqCst);
                let folder = self.copy();
                let at_k = || {
                    let (_, done) = self.run(&folder, k, how);
                    self.judge(&folder, &done, exits)
                        .map_err(|why| format!("{why}\n{done}"))
                };
                // What takes too long panics.
                let judged = catch_unwind(AssertUnwindSafe(at_k));
                if let Err(why) = judged.unwrap_or_else(|_| Err("it panicked".into())) {
                    wrong.fetch_add(1, Ordering::SeqCst);
                    println!(
                        "{}, {how} at operation {k} of {count}: {why}",
                        self.act.name
                    );
                    println!("kept: {}", folder.display());
                    std::mem::forget(folder);
                }
            }
        };
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            (0..cores).for_each(|_| drop(scope.spawn(work)));
        });
        (count, points.into_inner(), wrong.into_inner())
    }

    /// What was prepared, once more.
    fn copy(&self) -> Folder {
        let copy = Folder::new();
        let from = self.folder.join(".");
        let copied = Command::new("cp").arg("-a").arg(from).arg(&copy).status();
        assert!(copied.unwrap().success(), "cp");
        copy
    }

    /// Runs the act with this operation disturbed; gives how many there were.
    fn run(&self, folder: &Path, k: usize, how: &str) -> (usize, Done) {
        let by = [
            self.fault.display().to_string(),
            k.to_string(),
            how.to_owned(),
            folder.display().to_string(),
        ];
        let done = self.tool(folder, &by, self.act.act).run();
        let count = done.lines().last().and_then(|line| line.parse().ok());
        (count.unwrap_or_default(), done)
    }

    /// What is wrong after the act was disturbed and the same command went on.
    fn judge(&self, folder: &Folder, disturbed: &Done, exits: &[i32]) -> Result<(), String> {
        if !exits.contains(&disturbed.exit()) {
            return Err(format!("exit {}", disturbed.exit()));
        }
        let mut last = None;
        for command in std::iter::once(&"crawl-ckpt verify").chain(self.act.after) {
            let mut done = self.tool(folder, &[], command).run();
            for _ in 0..200 {
                if done.exit() != 75 && !done.words().contains("is running") {
                    break;
                }
                // Killed one after the other, the last of its processes ends in a moment.
                sleep(Duration::from_millis(50));
                done = self.tool(folder, &[], command).run();
            }
            if done.exit() != 0 {
                return Err(format!("then exit {}: {done}", done.exit()));
            }
            last = Some(done);
        }
        let last = last.unwrap();
        // It has the bodies of all requests.
        self.site.clear_log();
        let place = folder.join("data/default").join(self.spider());
        let again = place.with_file_name(format!("{}.retry", self.spider()));
        if place.join("checkpoint").exists() || again.join("checkpoint").exists() {
            return Err(format!("the checkpoint is still there: {last}"));
        }
        if !fs::read_to_string(folder.join("jar.txt"))
            .unwrap()
            .contains("kept.example")
        {
            return Err("the jar of cookies is lost".into());
        }
        // What was to replace a file of the user's lies beside it until it is written the next time.
        let is_left = |file: &PathBuf| {
            let file = file.to_string_lossy();
            let ends = [".tmp", ".new", ".removing", ".open", "spool", ".unfinished"];
            let is_retry = file.ends_with(".retry");
            file.starts_with("data") && (is_retry || ends.iter().any(|end| file.contains(end)))
        };
        let left = folder.files().into_iter().find(is_left);
        if let Some(left) = left {
            return Err(format!("{} is left behind: {last}", left.display()));
        }
        let crawls = place.join("crawls");
        self.judge_outputs(folder, &crawls)
            .and_then(|()| self.judge_archive(&crawls))
            .map_err(|why| format!("{why}: {last}"))
    }

    /// Every byte of the WARC files, if the act keeps pages.
    fn judge_archive(&self, crawls: &Path) -> Result<(), String> {
        if !self.act.name.starts_with("warc") {
            return Ok(());
        }
        let archive = archive::judge(crawls);
        if archive.is_right() && archive.files > 0 {
            Ok(())
        } else {
            Err(format!("{archive:?}"))
        }
    }

    fn judge_outputs(&self, folder: &Path, crawls: &Path) -> Result<(), String> {
        let mut whole = 0;
        for entry in fs::read_dir(crawls).map_err(|e| e.to_string())? {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_none_or(|extension| extension != "jsonl")
            {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            // What failed in a finished crawl is in its output for ever.
            if self.act.name.starts_with("retry-failed") {
                let before = path.strip_prefix(folder).unwrap();
                match fs::read_to_string(self.folder.join(before)) {
                    Ok(before) if before == text => continue,
                    Ok(_) => return Err(format!("{} is another", path.display())),
                    Err(_) => {}
                }
            }
            let mut urls = text.lines().map(page).collect::<Result<Vec<_>, String>>()?;
            let all = urls.len();
            urls.sort();
            urls.dedup();
            // The output of a checkpoint that was removed by hand stays as it was.
            let is_left = self.act.name.ends_with("rm") && all == PAUSED;
            if urls.len() != all || !is_left && ![PAGES, self.act.records].contains(&all) {
                let path = path.display();
                return Err(format!("{all} records of {} URLs in {path}", urls.len()));
            }
            whole += usize::from(!is_left);
        }
        match whole {
            0 => Err("no output".into()),
            _ => Ok(()),
        }
    }
}

/// The URL of a record of a page.
fn page(line: &str) -> Result<String, String> {
    let record: Value = serde_json::from_str(line).map_err(|e| format!("{line}: {e}"))?;
    match record["status"].as_u64() {
        Some(200) => Ok(record["url"].to_string()),
        _ => Err(format!("no page: {line}")),
    }
}
