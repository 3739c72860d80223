//! crawl-frontier from outside: the test plays the fetcher.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bulk;
mod damaged;
mod dropping;
mod output;
mod proxies;
mod robots;
mod serving;
mod settling;
mod silence;
mod stopping;
mod strangers;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Done, Folder, Running, Signal, Tool};

const START: &str = "http://site.example/";

fn frontier(folder: &Folder) -> Tool {
    Tool::new("crawl-frontier").dir(folder)
}

fn serve(folder: &Folder, options: &[&str]) -> Running {
    let basics = [
        "serve",
        "--job",
        "job",
        "--start",
        START,
        "--output",
        "out.jsonl",
    ];
    frontier(folder).args(basics).args(options).start()
}

/// The `count` requests that were sent so far.
fn requests(running: &Running, count: usize) -> Vec<Value> {
    let lines = running.wait_lines(count);
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A page as the answer to a request.
fn page(request: &Value, links: &[&str]) -> Value {
    json!({
        "url": request["url"], "id": request["id"], "depth": request["depth"], "status": 200,
        "elapsed_ms": 1, "links": links,
    })
}

fn error(request: &Value, kind: &str) -> Value {
    json!({
        "url": request["url"], "id": request["id"], "error": {"kind": kind, "message": "told"},
    })
}

fn send(running: &mut Running, answer: &Value) {
    running.send(&answer.to_string());
}

/// Answers whatever is asked for until the frontier ends.
fn answer_all(mut run: Running, answer: impl Fn(&Value) -> Value) -> Done {
    let mut answered = 0;
    while run.status().is_none() {
        let stdout = run.stdout();
        let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
        for line in whole.lines().skip(answered) {
            send(&mut run, &answer(&serde_json::from_str(line).unwrap()));
            answered += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    run.wait()
}

/// The output records by URL; a URL with two records fails.
fn records(folder: &Folder) -> BTreeMap<String, Value> {
    let mut records = BTreeMap::new();
    for line in folder.read("out.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        assert!(
            records.insert(url, record).is_none(),
            "a second record: {line}"
        );
    }
    records
}

fn stat(folder: &Folder) -> Value {
    let done = frontier(folder)
        .args(["stat", "--job", "job", "--json"])
        .run()
        .code(0);
    serde_json::from_str(&done.text()).unwrap()
}

fn urls(requests: &[Value]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request["url"].as_str().unwrap())
        .collect()
}
