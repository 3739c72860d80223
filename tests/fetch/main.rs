//! crawl-fetch from outside: requests in, results out.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod endings;
mod lines;
mod manners;
mod pages;
mod proxies;
mod shortages;

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use support::hostile::{self, CASES};
use support::{Answer, Folder, Signal, Site, Tool};

fn fetch() -> Tool {
    Tool::new("crawl-fetch")
}

/// The results of these request lines, by URL.
#[track_caller]
fn results(tool: Tool, lines: &[String]) -> HashMap<String, Value> {
    let done = tool.stdin(lines.join("\n")).run().code(0);
    let results: HashMap<String, Value> = done
        .lines()
        .iter()
        .map(|line| {
            let result: Value = serde_json::from_str(line).unwrap();
            (result["url"].as_str().unwrap().to_owned(), result)
        })
        .collect();
    assert_eq!(results.len(), lines.len(), "a result a request:\n{done}");
    results
}

/// The result of one request.
#[track_caller]
fn result(tool: Tool, request: &Value) -> Value {
    let done = tool.stdin(request.to_string()).run();
    let lines = done.lines();
    assert_eq!(lines.len(), 1, "{done}");
    serde_json::from_str(&lines[0]).unwrap()
}

fn kind(result: &Value) -> &str {
    result["error"]["kind"].as_str().unwrap_or("none")
}
