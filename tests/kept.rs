//! Whole sites kept as WARC by crawl-run: a hostile one, and real documentation. Every byte of the files is
//! accounted for, every record points at the answer that it speaks of, and other people's tools agree.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;
#[allow(dead_code)]
#[path = "support/warc.rs"]
mod warc;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::hostile::{self, CASES};
use support::{Folder, Site, Tool, skipped};
use warc::{Record, judged_by_others, records};

/// A crawl of a spider named `site`, its files below `data`.
struct Ground {
    folder: Folder,
}

impl Ground {
    fn new(spider: &Value) -> Ground {
        let ground = Ground {
            folder: Folder::new(),
        };
        ground.folder.write("site.json", spider.to_string());
        ground
    }

    fn crawl(&self) -> Tool {
        let tool = Tool::new("crawl-run").dir(&self.folder);
        tool.args(["site.json", "-q", "-o", "data/site.jsonl"])
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.join("data/site-warc")).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    fn output(&self) -> Vec<Value> {
        let output = self.folder.read("data/site.jsonl");
        let lines = output.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Reads all files; every record of the output points at the one answer for its URL. Gives the
    /// answers by file and place, and the output by path.
    #[track_caller]
    fn judge(&self, site: &Site) -> (BTreeMap<(String, u64), Record>, BTreeMap<String, Value>) {
        let mut answers = BTreeMap::new();
        for path in self.files() {
            let name = path.file_name().unwrap().to_str().unwrap();
            let all = records(&path);
            for (at, record) in all.iter().enumerate() {
                assert_eq!(record.is("warcinfo"), at == 0, "{name} {at}");
                if record.is("response") {
                    let place = (format!("site-warc/{name}"), record.offset);
                    answers.insert(place, record.clone());
                }
            }
            judged_by_others(&path);
        }
        let mut output = BTreeMap::new();
        let mut met = BTreeSet::new();
        for record in self.output() {
            let url = record["url"].as_str().unwrap();
            let kept = &record["warc"];
            assert_eq!(kept.is_object(), record["status"].is_u64(), "{record}");
            if kept.is_object() {
                let file = kept["file"].as_str().unwrap().to_owned();
                let place = (file, kept["offset"].as_u64().unwrap());
                let answer = &answers[&place];
                assert_eq!(answer.field("WARC-Target-URI"), url);
                assert_eq!(kept["length"], answer.length);
                let head = answer.head();
                let status = head.split([' ', '\r', '\n']).nth(1).unwrap();
                assert_eq!(status, record["status"].to_string(), "{record}");
                assert!(met.insert(place), "{record}");
            }
            let path = url.strip_prefix(&site.url("")).unwrap_or(url).to_owned();
            let before = output.insert(path, record);
            assert_eq!(before, None, "two records");
        }
        (answers, output)
    }
}

#[test]
fn whatever_a_site_does_its_archive_is_whole() {
    let site = hostile::site();
    let starts: Vec<String> = CASES.iter().map(|case| site.url(case.path)).collect();
    let ground = Ground::new(&json!({
        "name": "site",
        "start_urls": starts,
        // What the pages lead to has no end.
        "rules": [{"deny": ["."]}],
        "settings": {"DOWNLOAD_TIMEOUT": 6, "DOWNLOAD_MAXSIZE": 1 << 20, "RETRY_TIMES": 1,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 16, "AUTOTHROTTLE_ENABLED": false},
        "warc": {"max_size": 10_000, "operator": "Ann <ann@a.example>"},
    }));
    // Both in one run and over a pause.
    ground.crawl().args(["--max-pages", "30"]).run().code(4);
    ground.crawl().run().code(0);
    assert!(ground.files().len() > 3, "{:?}", ground.files());
    let (answers, output) = ground.judge(&site);
    for case in CASES {
        assert!(output.contains_key(case.path), "{}", case.path);
    }
    let with_answer = output.values().filter(|record| record["warc"].is_object());
    let with_answer = with_answer.count();
    // robots.txt, and what was tried again.
    assert!(with_answer > 60 && answers.len() > with_answer);
}

/// The documentation that comes with Rust; `None` when it is not installed.
fn rust_docs() -> Option<PathBuf> {
    let rustc = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(rustc.ok()?.stdout).ok()?;
    let docs = Path::new(sysroot.trim()).join("share/doc/rust/html");
    docs.join("std/index.html").is_file().then_some(docs)
}

#[test]
fn of_real_documentation_every_page_is_in_the_archive_as_it_lies_on_the_disk() {
    let Some(docs) = rust_docs() else {
        skipped("the documentation of Rust is not installed");
        return;
    };
    let site = Site::folder(&docs);
    let ground = Ground::new(&json!({
        "name": "site",
        "start_urls": [site.url("/index.html")],
        "rules": [{"allow": ["/(error_codes|nomicon|std)/"], "deny": ["/std/(arch|primitive)", "/std/[^c].*/"]}],
        "warc": {"max_size": 1_000_000},
    }));
    ground.crawl().args(["--max-pages", "250"]).run().code(4);
    ground.crawl().run().code(0);
    assert!(ground.files().len() > 3, "{:?}", ground.files());
    let (answers, output) = ground.judge(&site);
    assert!(output.len() > 600, "{}", output.len());
    for (path, record) in &output {
        let kept = &record["warc"];
        let file = kept["file"].as_str().unwrap().to_owned();
        let answer = &answers[&(file, kept["offset"].as_u64().unwrap())];
        let bare = path.split('?').next().unwrap();
        if record["status"] == 200 {
            let page = fs::read(docs.join(&bare[1..])).unwrap();
            assert!(answer.http().1 == page, "{path}");
        }
    }
}
