//! The web as it is, crawled with crawl-run: a site on which every path misbehaves,
//! hosts that block, proxies that cost money, traps and cookies.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod cookies;
mod explained;
mod hostile_site;
mod proxies;
mod traps;

use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use support::{Answer, Done, Folder, Site, Tool};

/// crawl-run in the folder, on its `shop.json`.
fn shop(folder: &Folder) -> Tool {
    Tool::new("crawl-run").dir(folder).arg("shop.json")
}

/// Writes `shop.json`, which starts at the site's front page and never waits.
fn spider(folder: &Folder, site: &Site, settings: Value, more: Value) {
    let mut all = json!({"RETRY_TIMES": 0, "AUTOTHROTTLE_ENABLED": false});
    merge(&mut all, settings);
    let mut spider = json!({"name": "shop", "start_urls": [site.url("/")], "settings": all});
    merge(&mut spider, more);
    folder.write("shop.json", spider.to_string());
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    into.as_object_mut().unwrap().extend(from);
}

/// The output files that end so, in the order of their names.
fn outputs(folder: &Folder, end: &str) -> Vec<PathBuf> {
    let files = folder.files().into_iter();
    let files = files.filter(|path| path.to_string_lossy().ends_with(end));
    files.map(|path| folder.join(path)).collect()
}

/// The records of the one output file, by URL; no URL has two.
#[track_caller]
fn records(folder: &Folder) -> HashMap<String, Value> {
    let files = outputs(folder, ".jsonl");
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(&files[0]).unwrap();
    let mut records = HashMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        let earlier = records.insert(url, record);
        assert!(earlier.is_none(), "two records: {line}");
    }
    records
}

fn kind(record: &Value) -> &str {
    record["error"]["kind"].as_str().unwrap_or("none")
}
