//! Spider files of ScrapAI's form, run unchanged against pages on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod checking;
mod deciding;
mod news;
mod settings;
mod shop;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{Answer, Done, Folder, Site, Tool};

/// The items of a test crawl with this spider file, by path; pages without one are `null`.
#[track_caller]
fn crawl(folder: &Folder, site: &Site, spider: Value) -> (BTreeMap<String, Value>, Done) {
    folder.write("spider.json", spider.to_string());
    let done = Tool::new("crawl-run")
        .dir(folder)
        .args(["--limit", "100", "spider.json"])
        .run()
        .code(0);
    let mut items = BTreeMap::new();
    for line in done.text().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap();
        let path = url.strip_prefix(&site.url("")).unwrap().to_owned();
        items.insert(path, record["item"].clone());
    }
    (items, done)
}

/// The items of crawl-fetch alone.
#[track_caller]
fn fetch(folder: &Folder, spider: &Value, url: &str) -> Value {
    let file = folder.write("alone.json", spider.to_string());
    let done = Tool::new("crawl-fetch")
        .arg("--extract")
        .arg(file)
        .stdin(url)
        .run()
        .code(0);
    serde_json::from_str(&done.text()).unwrap()
}
