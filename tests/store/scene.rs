//! A store, a site, workers that crawl it, and crawl-ckpt that looks at it.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Answer, DEADLINE, Folder, Redis, Running, Signal, Site, Tool, send_signal};

/// So many hosts, each an address of this machine and so a domain of its own.
pub const HOSTS: usize = 40;
pub const PAGES: usize = 90;
/// Pages on one host that lead to one another, each to so many that no other page leads to.
pub const HUBS: usize = 6;
const HUB_LINKS: usize = 700;
/// Nobody is there.
pub const DEAD: &str = "http://127.1.2.1:1/dead";

/// A store, a site whose pages are a tree over many hosts, and a spider for it.
pub struct Scene {
    pub url: String,
    /// What the store is, when it is no cluster.
    pub redis: Option<Redis>,
    pub site: Site,
    pub folder: Folder,
    /// So many pages were asked for, where there are hubs so many of these.
    pub asked: Arc<AtomicUsize>,
    /// So many are given; who asks for more waits.
    pub most: Arc<AtomicUsize>,
    /// Partitions of its crawl.
    pub parts: usize,
}

/// Which pages a page leads to, and how long their URLs are.
#[derive(Clone, Copy, PartialEq)]
pub enum Shape {
    /// Three more.
    Tree,
    /// A hub to the next one and to pages of all other hosts, by long URLs, and to one that there is not. A host has
    /// few pages: most of a hub's links end as letters in the journal of its partition.
    Hubs,
}

impl Scene {
    pub fn new() -> Option<Scene> {
        Scene::over(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    pub fn over(options: &[&str]) -> Option<Scene> {
        let redis = Redis::start(options)?;
        Some(Scene::in_store(redis.url(), Some(redis), Shape::Tree))
    }

    pub fn in_store(store: String, redis: Option<Redis>, shape: Shape) -> Scene {
        let (folder, site) = (Folder::new(), Site::at("0.0.0.0"));
        let port = site.port();
        let asked_for = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (count, limit) = (asked_for.clone(), most.clone());
        let filler = match shape {
            Shape::Tree => String::new(),
            Shape::Hubs => format!("/{}", "long".repeat(450)),
        };
        let fill = filler.clone();
        let url = move |n: usize| {
            let host = match shape {
                Shape::Tree => n % HOSTS + 1,
                Shape::Hubs if n < HUBS => 1,
                Shape::Hubs => n % (HOSTS - 1) + 2,
            };
            format!("http://127.1.2.{host}:{port}/page-{n}{fill}")
        };
        let start = url(0);
        site.otherwise(move |asked| {
            let number = asked.path.strip_prefix("/page-");
            let number = number.and_then(|path| path.strip_suffix(&*filler));
            let number = number.map(str::parse::<usize>);
            let Some(Ok(n)) = number else {
                return Answer::status(404);
            };
            if shape == Shape::Hubs && n >= HUBS {
                return Answer::html("");
            }
            let mine = count.fetch_add(1, Ordering::SeqCst);
            while mine >= limit.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(5));
            }
            let link = |url: &str| format!("<a href='{url}'>there</a>");
            let links =
                |pages: Range<usize>| pages.map(|page| link(&url(page))).collect::<String>();
            let first = HUBS + n * HUB_LINKS;
            Answer::html(match shape {
                Shape::Tree => links(n * 3 + 1..PAGES.min(n * 3 + 4)),
                Shape::Hubs => {
                    links(n + 1..HUBS.min(n + 2)) + &link(DEAD) + &links(first..first + HUB_LINKS)
                }
            })
        });
        let hosts: Vec<String> = (1..=HOSTS).map(|n| format!("\"127.1.2.{n}\"")).collect();
        let spider = format!(
            r#"{{"name": "tree", "start_urls": ["{}"], "allowed_domains": [{}], "settings": {{"CONCURRENT_REQUESTS": 4, "RETRY_TIMES": 0, "DOWNLOAD_TIMEOUT": 300}}}}"#,
            start,
            hosts.join(", ")
        );
        folder.write("tree.json", spider);
        Scene {
            url: store,
            redis,
            site,
            folder,
            asked: asked_for,
            most,
            parts: if shape == Shape::Hubs { 4 } else { 16 },
        }
    }

    /// The one server.
    pub fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }

    /// From so many pages on the site gives none until [`Scene::release`].
    pub fn hold_after(&self, pages: usize) {
        self.most.store(pages, Ordering::SeqCst);
    }

    /// Waits until somebody waits for a page.
    pub fn wait_held(&self) {
        self.wait_until("a page is held", || {
            self.asked.load(Ordering::SeqCst) > self.most.load(Ordering::SeqCst)
        });
    }

    pub fn release(&self) {
        self.hold_after(usize::MAX);
    }

    pub fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < DEADLINE, "{what}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Starts two workers, and lets them go when each has its share; after so many pages they wait.
    pub fn two_workers(&self, pages: usize) -> (Running, Running) {
        self.hold_after(0);
        let a = self.worker("a").start();
        self.wait_held();
        let b = self.worker("b").start();
        let owned = |worker: &str| {
            let owns = |part| {
                let state = format!("{{default/tree/one:{part}}}:l");
                self.redis().ask(&["HGET", &state, "owner"]) == worker
            };
            (0..16).filter(|part| owns(*part)).count()
        };
        self.wait_until("even shares", || owned("a") >= 7 && owned("b") >= 7);
        self.hold_after(pages);
        (a, b)
    }

    pub fn worker(&self, name: &str) -> Tool {
        Tool::new("crawl-run")
            .dir(&self.folder)
            .args(["tree.json", "--store", &self.url, "--worker", name])
            .args(["--data-dir", name, "--crawl-id", "one"])
            .args(["--parts", &self.parts.to_string()])
    }

    /// Has one worker crawl so many pages, and end.
    pub fn begun(&self, pages: usize) {
        let some = self.worker("a").args(["--max-pages", &pages.to_string()]);
        some.run().code(4);
    }

    pub fn ckpt<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Tool {
        Tool::new("crawl-ckpt")
            .dir(&self.folder)
            .args(["--store", &self.url])
            .args(words)
    }

    /// The JSON lines that a command prints.
    pub fn told<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
        let done = self.ckpt(words).arg("--json").run().code(0);
        let lines = done.lines().into_iter();
        lines
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect()
    }

    pub fn records(&self, workers: &[&str]) -> BTreeMap<String, usize> {
        let mut records = BTreeMap::new();
        for worker in workers {
            let crawls = self.folder.join(worker).join("default/tree/crawls");
            for file in jsonl(&crawls)
                .into_iter()
                .chain(jsonl(&crawls.join("crawl_one.d")))
            {
                for line in fs::read_to_string(file).unwrap().lines() {
                    let record: Value = serde_json::from_str(line).unwrap();
                    let url = record["url"].as_str().unwrap().to_owned();
                    *records.entry(url).or_default() += 1;
                }
            }
        }
        records
    }
}

pub fn jsonl(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .collect()
}

pub fn kill(running: &Running) {
    send_signal(Signal::Kill, -i64::from(running.pid()));
}

pub fn scene_json(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
