//! crawl-run from outside.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod later;
mod life;
mod stand_in;
mod usage;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, DEADLINE, Folder, Running, Signal, Site, Tool};

/// crawl-run with its data in the folder.
fn crawl_run(folder: &Folder) -> Tool {
    Tool::new("crawl-run").dir(folder)
}

const PAGES: usize = 60;

/// A site whose pages take a moment, so that a crawl can be met in the middle.
fn slow_site() -> Site {
    let site = Site::tree(PAGES, 5);
    site.latency(Duration::from_millis(60));
    site
}

/// A spider file for the site, with more keys.
fn spider(folder: &Folder, site: &Site, more: Value) {
    let mut spider = json!({
        "name": "shop",
        "start_urls": [site.url("/")],
        "settings": {"ROBOTSTXT_OBEY": false, "CONCURRENT_REQUESTS_PER_DOMAIN": 4},
    });
    for (key, value) in more.as_object().expect("an object") {
        spider[key] = value.clone();
    }
    folder.write("shop.json", spider.to_string());
}

fn shop(folder: &Folder) -> Tool {
    crawl_run(folder).arg("shop.json")
}

fn checkpoint(folder: &Folder) -> PathBuf {
    folder.join("data/default/shop/checkpoint")
}

/// The output files of the spider, in order.
fn outputs(folder: &Folder) -> Vec<PathBuf> {
    let crawls = folder.join("data/default/shop/crawls");
    let files = folder.files().into_iter().map(|file| folder.join(file));
    let records = |file: &PathBuf| !file.to_string_lossy().contains(".summary.json");
    files
        .filter(|file| file.starts_with(&crawls) && records(file))
        .collect()
}

/// The URLs of the records in a file; each must be there once.
#[track_caller]
fn urls(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).expect("the output");
    let mut urls = BTreeSet::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).expect("a record");
        let url = record["url"].as_str().expect("its URL").to_owned();
        assert!(urls.insert(url.clone()), "{url} is there twice");
    }
    urls
}

/// The only output has a record of every page of the tree, and the checkpoint is gone.
#[track_caller]
fn is_whole(folder: &Folder) {
    let [output] = &outputs(folder)[..] else {
        panic!("not one output: {:?}", outputs(folder));
    };
    assert_eq!(urls(output).len(), PAGES);
    assert!(!checkpoint(folder).exists());
}

/// The process ids of the children of that name.
fn children(parent: u32, name: &str) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let pids = list.unwrap_or_default();
    let pids = pids.split_whitespace().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| name_of(*pid).is_some_and(|comm| comm == name))
        .collect()
}

/// Name of a process; `None` once it is gone, or only waits for its parent to look.
fn name_of(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.split_once('(')?;
    let (name, state) = rest.rsplit_once(") ")?;
    (!state.starts_with('Z')).then(|| name.to_owned())
}

fn kill(pid: u32) {
    Tool::program("kill")
        .args(["-KILL", &pid.to_string()])
        .run()
        .code(0);
}

/// Kills the child of that name in the middle of a crawl.
#[track_caller]
fn kill_child(run: &Running, name: &str) {
    let [pid] = children(run.pid(), name)[..] else {
        panic!("not one {name}");
    };
    kill(pid);
}
