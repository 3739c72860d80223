//! Stops crawls at every one of their file operations, by SIGKILL or with an I/O error, in each act
//! of a crawl's life, and judges what the same command makes of it. See `scripts/torture --every-operation`.
//!
//! An act is prepared, run once to count its operations (`scripts/fault.c` sees them as system calls),
//! and then prepared and run anew for each of them. Threads make no two runs quite the same, so
//! an operation is hit by its number and not by its name.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Done, Folder, Site, Tool, bin, target_dir};

/// The start page, and those that it leads to.
const PAGES: usize = 7;

/// How an operation ends: all processes are killed before it, or it fails (x86-64).
const FAULTS: [(&str, &str); 3] = [("kill", "kill"), ("EIO", "5"), ("ENOSPC", "28")];

/// An act: what makes it possible, what is stopped, and what goes on after that. URL stands for the
/// start URL, SITES for a list of it.
struct Act {
    name: &'static str,
    before: &'static [&'static [&'static str]],
    act: &'static [&'static str],
    after: &'static [&'static str],
    /// The records that the finished crawl has, or none when there is nothing new.
    records: usize,
}

const PAUSE: &[&str] = &["URL", "--max-pages", "3"];
const RETRY: &[&str] = &[
    "URL",
    "--proxy-type",
    "none",
    "--on-proxy-change",
    "retry-blocked",
];

const LIFE: [Act; 9] = [
    Act {
        name: "new",
        before: &[],
        act: &["URL"],
        after: &["URL"],
        records: PAGES,
    },
    Act {
        name: "resume",
        before: &[PAUSE],
        act: &["URL"],
        after: &["URL"],
        records: PAGES,
    },
    Act {
        name: "pause",
        before: &[PAUSE],
        act: PAUSE,
        after: &["URL"],
        records: PAGES,
    },
    Act {
        name: "fresh",
        before: &[PAUSE],
        act: &["URL", "--fresh", "--max-pages", "3"],
        after: &["URL"],
        records: PAGES,
    },
    Act {
        name: "proxy clear",
        before: &[PAUSE],
        act: &["URL", "--proxy-type", "none", "--max-pages", "3"],
        after: &["URL", "--proxy-type", "none"],
        records: PAGES,
    },
    Act {
        name: "retry-blocked",
        before: &[PAUSE],
        act: RETRY,
        after: RETRY,
        records: PAGES,
    },
    Act {
        name: "delta merge",
        before: &[&["URL", "--delta"], &["URL", "--delta", "--max-pages", "3"]],
        act: &["URL", "--delta"],
        after: &["URL", "--delta"],
        records: 0,
    },
    Act {
        name: "reset",
        before: &[&["URL", "--delta"], &["URL", "--delta", "--max-pages", "3"]],
        act: &["URL", "--delta", "--reset-deltafetch"],
        after: &["URL", "--delta", "--reset-deltafetch"],
        records: PAGES,
    },
    Act {
        name: "batch",
        before: &[],
        act: &["batch", "SITES"],
        after: &["batch", "SITES"],
        records: PAGES,
    },
];

fn main() {
    let mut args = std::env::args().skip(1);
    let stride: usize = args
        .next()
        .map_or(1, |text| text.parse().expect("a stride"));
    let only = args.next();
    let fault = compile();
    let mut totals: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = 0;
    for act in LIFE
        .iter()
        .filter(|act| only.as_deref().is_none_or(|only| act.name == only))
    {
        for (name, number) in FAULTS {
            let count = Stage::new(act).run(&fault, 0, number).0;
            let mut points = 0;
            for k in (1..=count).step_by(stride) {
                let stage = Stage::new(act);
                let (_, done) = stage.run(&fault, k, number);
                points += 1;
                if let Err(why) = stage.judge(&done, name) {
                    wrong += 1;
                    println!(
                        "{}, {name} at operation {k} of {count}: {why}\n{done}",
                        act.name
                    );
                    println!("kept: {}", stage.folder.display());
                    std::mem::forget(stage.folder);
                }
            }
            eprintln!(
                "torture: {}, {name}: {points} of {count} operations",
                act.name
            );
            *totals.entry(name.to_owned()).or_default() += points;
        }
    }
    println!("{}", json!({ "points": totals, "wrong": wrong }));
    std::process::exit(i32::from(wrong > 0));
}

/// Builds the program that stops others.
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

/// One act, in a folder and on a site of its own.
struct Stage<'a> {
    act: &'a Act,
    site: Site,
    folder: Folder,
}

impl<'a> Stage<'a> {
    fn new(act: &'a Act) -> Stage<'a> {
        let (site, blocks) = (Site::new(), Arc::new(AtomicBool::new(true)));
        let links: String = (1..PAGES).map(|n| format!("<a href=/{n}>")).collect();
        site.page("/", &links);
        let is_blocked = Arc::clone(&blocks);
        site.otherwise(move |asked| match asked.path.as_str() {
            "/robots.txt" => Answer::status(404),
            "/1" if is_blocked.load(Ordering::SeqCst) => Answer::status(403),
            _ => Answer::html("a page"),
        });
        let stage = Stage {
            act,
            site,
            folder: Folder::new(),
        };
        stage
            .folder
            .write("sites.csv", format!("url\n{}\n", stage.site.url("/")));
        if act.name != "retry-blocked" {
            blocks.store(false, Ordering::SeqCst);
        }
        for words in act.before {
            let done = stage.tool(bin("crawl-run"), &[], words).run();
            assert!([0, 4].contains(&done.exit()), "{}: {done}", act.name);
        }
        blocks.store(false, Ordering::SeqCst);
        stage
    }

    fn tool(&self, program: PathBuf, first: &[String], words: &[&str]) -> Tool {
        let url = self.site.url("/");
        let words = words.iter().map(|word| match *word {
            "URL" => url.as_str(),
            "SITES" => "sites.csv",
            word => word,
        });
        Tool::program(program)
            .dir(&self.folder)
            .args(first)
            .args(words)
            .args(["--data-dir", "data"])
    }

    /// Runs the act with this operation stopped; gives how many there were.
    fn run(&self, fault: &Path, k: usize, number: &str) -> (usize, Done) {
        let folder = fs::canonicalize(&self.folder).unwrap();
        let run = bin("crawl-run");
        let first = [
            k.to_string(),
            number.to_owned(),
            folder.display().to_string(),
            run.display().to_string(),
        ];
        let done = self.tool(fault.to_owned(), &first, self.act.act).run();
        let count = done.lines().last().and_then(|line| line.parse().ok());
        (count.unwrap_or_default(), done)
    }

    /// What is wrong after the act was stopped and the same command went on.
    fn judge(&self, stopped: &Done, fault: &str) -> Result<(), String> {
        let right: &[i32] = match fault {
            // The frontier may be told of an error while crawl-run gets none, and the other way round.
            "kill" => &[137, 0, 4],
            _ => &[0, 1, 4],
        };
        if !right.contains(&stopped.exit()) {
            return Err(format!("exit {}", stopped.exit()));
        }
        let mut done = self.tool(bin("crawl-run"), &[], self.act.after).run();
        for _ in 0..200 {
            if done.exit() != 75 {
                break;
            }
            // Killed one after the other, the last of its processes ends in a moment.
            sleep(Duration::from_millis(50));
            done = self.tool(bin("crawl-run"), &[], self.act.after).run();
        }
        if done.exit() != 0 {
            return Err(format!("then exit {}: {done}", done.exit()));
        }
        let name = format!("data/default/127.0.0.1-{}", self.site.port());
        if self.folder.join(&name).join("checkpoint").exists() {
            return Err(format!("the checkpoint is still there: {done}"));
        }
        let crawls =
            fs::read_dir(self.folder.join(&name).join("crawls")).map_err(|e| e.to_string())?;
        let mut whole = 0;
        for path in crawls.map(|entry| entry.unwrap().path()) {
            if path
                .extension()
                .is_none_or(|extension| extension != "jsonl")
            {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let urls = text.lines().map(|line| {
                let record: Value =
                    serde_json::from_str(line).map_err(|e| format!("{line}: {e}"))?;
                match record["status"].as_u64() {
                    Some(200) => Ok(record["url"].to_string()),
                    _ => Err(format!("no page: {line}")),
                }
            });
            let mut urls = urls.collect::<Result<Vec<_>, String>>()?;
            let all = urls.len();
            urls.sort();
            urls.dedup();
            if urls.len() != all || ![PAGES, self.act.records].contains(&all) {
                return Err(format!(
                    "{all} records of {} URLs in {}: {done}",
                    urls.len(),
                    path.display()
                ));
            }
            whole += 1;
        }
        match whole {
            0 => Err(format!("no output: {done}")),
            _ => Ok(()),
        }
    }
}
