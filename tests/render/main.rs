//! Pages whose links are made by scripts, rendered by a real browser that has no network: what it
//! finds, what it may ask for, what becomes of it when something dies.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod crawls;
mod endings;
mod pages;
mod pictures;
mod strangers;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use support::{Answer, Done, Folder, Running, Signal, Site, Tool, has};

/// True when there is a browser; the test is skipped without one.
fn has_browser() -> bool {
    has("chromium-headless-shell")
}

fn is_root() -> bool {
    let uid = Tool::program("id").arg("-u").run().text();
    uid.trim() == "0"
}

/// crawl-fetch with a browser, whose directory lies in the folder. Root has no sandbox.
fn renderer(folder: &Folder) -> Tool {
    let tool = Tool::new("crawl-fetch").arg("--render");
    let tool = tool.env("TMPDIR", folder.as_os_str());
    if is_root() {
        tool.arg("--no-sandbox")
    } else {
        tool
    }
}

/// Results by path.
fn by_path(done: &Done) -> BTreeMap<String, Value> {
    let results = done.lines().into_iter().map(|line| {
        let result: Value = serde_json::from_str(&line).unwrap();
        let url = result["url"].as_str().unwrap();
        let path = url.splitn(4, '/').last().unwrap_or_default();
        (format!("/{path}"), result)
    });
    results.collect()
}

fn render(folder: &Folder, site: &Site, paths: &[&str]) -> BTreeMap<String, Value> {
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    let done = renderer(folder).stdin(urls.join("\n")).run().code(0);
    let results = by_path(&done);
    assert_eq!(results.len(), paths.len(), "{done}");
    results
}

/// Paths of a result's links.
fn links(result: &Value) -> Vec<String> {
    let links = result["links"].as_array().cloned().unwrap_or_default();
    let paths = links.iter().map(|link| {
        let path = link.as_str().unwrap().splitn(4, '/').last().unwrap();
        format!("/{path}")
    });
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    paths
}

fn script(text: &str) -> Answer {
    Answer::typed("text/javascript", text)
}

/// Nothing that a browser wrote lies in the folder.
fn is_empty(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).unwrap();
    !entries.any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("crawl-browser")
    })
}

/// The processes of the browser whose directory lies in the folder, by number and words. Only its first
/// one has the directory among its words; the others are of its group.
fn browser_processes(folder: &Path) -> Vec<(i64, String)> {
    let ps = Tool::program("ps")
        .args(["-eo", "pgid,pid,args"])
        .run()
        .text();
    let lines = ps.lines().filter_map(|line| {
        let (group, rest) = line.trim_start().split_once(' ')?;
        let (pid, words) = rest.trim_start().split_once(' ')?;
        Some((group, pid, words))
    });
    let place = folder.to_string_lossy();
    let is_first =
        |words: &str| words.contains(&*place) && words.contains("--remote-debugging-pipe");
    let first = lines.clone().filter(|(_, _, words)| is_first(words));
    let groups: Vec<&str> = first.map(|(group, _, _)| group).collect();
    let of_group = lines.filter(|(group, _, _)| groups.contains(group));
    of_group
        .map(|(_, pid, words)| (pid.parse().unwrap(), words.to_owned()))
        .collect()
}

/// Waits until none of these processes is there any more.
fn wait_until_gone(processes: &[(i64, String)]) {
    let until = std::time::Instant::now() + support::DEADLINE;
    let lives = |pid: &i64| {
        // One that nobody reaped yet has no words.
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
    };
    for (pid, words) in processes {
        while lives(pid) {
            assert!(std::time::Instant::now() < until, "{words}");
            thread::yield_now();
        }
    }
}

const ADD: &str = "const add = (path, to) => {
  const a = document.createElement('a');
  a.href = path;
  (to || document.body).append(a);
};";
