//! Whole crawls with the real tools where the ground gives way: two runs at once, a
//! disk that is full, a network that goes, a checkpoint that is moved or damaged.
//!
//! What must come of it is always the same: an exit code that tells the truth, one
//! line that names the cause, and in the end one record for every page.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod damage;
mod disk;
mod moved;
mod network;
mod race;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Done, Folder, Site, Tool, Tree};

/// A site of generated pages, a folder, and the spider that crawls the one into the other.
struct Ground {
    folder: Folder,
    site: Site,
    pages: usize,
}

impl Ground {
    fn new(pages: usize) -> Ground {
        let ground = Ground {
            folder: Folder::new(),
            site: Site::tree(pages, 5),
            pages,
        };
        let spider = json!({
            "name": "shop",
            "start_urls": [ground.site.url("/")],
            "settings": {"ROBOTSTXT_OBEY": false, "CONCURRENT_REQUESTS_PER_DOMAIN": 4},
        });
        ground.folder.write("shop.json", spider.to_string());
        ground
    }

    /// The command that crawls, and goes on.
    fn crawl(&self) -> Tool {
        Tool::new("crawl-run").dir(&self.folder).arg("shop.json")
    }

    fn ckpt(&self, words: &[&str]) -> Tool {
        Tool::new("crawl-ckpt").dir(&self.folder).args(words)
    }

    /// Crawls so many pages, and pauses in good order.
    #[track_caller]
    fn pause_after(&self, records: usize) {
        let limit = records.to_string();
        self.crawl().args(["--max-pages", &limit]).run().code(4);
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn checkpoint(&self) -> PathBuf {
        checkpoint(&self.data())
    }

    /// What is known of the checkpoint.
    #[track_caller]
    fn shown(&self) -> Value {
        let done = self.ckpt(&["show", "default/shop", "--json"]).run().code(0);
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Every page has its one record in this file.
    #[track_caller]
    fn is_whole(&self, output: &Path) {
        let found = records(output);
        let want = (0..self.pages).map(|n| self.site.url(&Tree::path(n)));
        for url in want {
            let record = found.get(&url);
            let status = record.map(|record| &record["status"]);
            assert_eq!(status, Some(&json!(200)), "{url}: {record:?}");
        }
        assert_eq!(found.len(), self.pages);
    }

    /// The crawl is complete in its only output, and nothing is left of its checkpoint.
    #[track_caller]
    fn is_complete(&self) {
        self.is_complete_in(&self.data());
    }

    #[track_caller]
    fn is_complete_in(&self, data: &Path) {
        let [output] = &outputs(data)[..] else {
            panic!("not one output: {:?}", outputs(data));
        };
        self.is_whole(output);
        assert!(!checkpoint(data).exists());
    }
}

fn checkpoint(data: &Path) -> PathBuf {
    data.join("default/shop/checkpoint")
}

/// The output files, in order.
fn outputs(data: &Path) -> Vec<PathBuf> {
    let crawls = fs::read_dir(data.join("default/shop/crawls"));
    let files = crawls.into_iter().flatten().map(|file| file.unwrap());
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
    files.retain(|file| !file.to_string_lossy().contains(".summary.json"));
    files.sort();
    files
}

/// The records of a file by their URL; each URL must be there once.
#[track_caller]
fn records(file: &Path) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(file).unwrap();
    let mut records = BTreeMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        let before = records.insert(url, record);
        assert_eq!(before, None, "two records in {}", file.display());
    }
    records
}

/// It failed with one error, which names the path and the cause.
#[track_caller]
fn fails_with(done: Done, path: &str, cause: &str) -> Done {
    let done = done.code(1);
    let words = done.words();
    let errors: Vec<&str> = words.lines().filter(|line| line.contains(cause)).collect();
    let is_clear =
        matches!(errors[..], [line] if line.starts_with("crawl-run: ") && line.contains(path));
    assert!(is_clear, "not one error of {path} and {cause:?}:\n{done}");
    done
}

/// Copies a folder, as tar would.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = Tool::program("cp").arg("-a").arg(from).arg(to).run();
    copied.code(0);
}

/// Both folders hold the same, but for who held the lock last.
#[track_caller]
fn is_same(before: &Path, after: &Path) {
    let words = ["-r", "-x", "checkpoint.lock"];
    let differ = Tool::program("diff").args(words).arg(before).arg(after);
    differ.run().code(0).prints_just("");
}
