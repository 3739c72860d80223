//! One crawl on many machines, over a Redis Cluster: the same records as on one machine without a store.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, Cluster, DEADLINE, Folder, Site, Tool, skipped};

/// Hosts of a crawl of many, each an address of this machine and so a domain of its own.
const HOSTS: usize = 100;
/// Pages of each.
const PAGES: usize = 5;

/// What is known of each page, in the order of their URLs. Where a page was found first, and so how deep it
/// lies, is a matter of who is faster.
fn records(data: &Path, spider: &str) -> Vec<Value> {
    let crawls = data.join("default").join(spider).join("crawls");
    let paths = fs::read_dir(crawls)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let outputs = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let texts: Vec<String> = outputs
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut records: Vec<Value> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let fields = record.as_object_mut().unwrap();
            for of_this_run in ["depth", "elapsed_ms", "fetched_at", "referer"] {
                fields.remove(of_this_run);
            }
            record
        })
        .collect();
    records.sort_by_key(|record| record["url"].to_string());
    records
}

/// Crawls this spider without a store, and with two workers over a cluster; compares what they have.
fn the_same_with_and_without_a_store(folder: &Folder, spider: &str, options: &[&str]) -> usize {
    let Some(cluster) = Cluster::start() else {
        return 0;
    };
    let crawl = |data: &str| {
        Tool::new("crawl-run")
            .dir(folder)
            .arg(format!("{spider}.json"))
            .args(options)
            .args(["--data-dir", data])
    };
    crawl("alone").run().code(0);
    let shared = |worker: &str| {
        let tool = crawl(worker).args(["--store", &cluster.url()]);
        tool.args(["--worker", worker]).start()
    };
    let (a, b) = (shared("a"), shared("b"));
    a.wait().code(0);
    b.wait().code(0);
    let alone = records(&folder.join("alone"), spider);
    let mut both = records(&folder.join("a"), spider);
    both.extend(records(&folder.join("b"), spider));
    both.sort_by_key(|record| record["url"].to_string());
    let urls = |records: &[Value]| -> BTreeSet<String> {
        let urls = records.iter().map(|record| record["url"].to_string());
        urls.collect()
    };
    assert_eq!(urls(&both), urls(&alone));
    for (shared, alone) in both.iter().zip(&alone) {
        assert_eq!(shared, alone);
    }
    assert_eq!(both.len(), alone.len());
    alone.len()
}

#[test]
fn two_workers_have_the_records_of_one_crawl_without_a_store_on_a_hundred_hosts_that_link_to_each_other()
 {
    let site = Site::at("0.0.0.0");
    let port = site.port();
    let url = move |host: usize, page: usize| {
        format!("http://127.1.2.{}:{port}/page-{page}", host % HOSTS + 1)
    };
    site.otherwise(move |asked| {
        let page = asked.path.strip_prefix("/page-").map(str::parse::<usize>);
        let Some(Ok(page)) = page else {
            return Answer::status(404);
        };
        // Who was asked is not known: a page links to hosts all over, some links lead nowhere.
        let links = (0..HOSTS).map(|host| url(host, (page + host) % (PAGES + 1)));
        let links = links.map(|url| format!("<a href='{url}'>there</a>"));
        if page == PAGES {
            Answer::status(404)
        } else {
            Answer::html(format!(
                "<title>{page}</title>{}",
                links.collect::<String>()
            ))
        }
    });
    let folder = Folder::new();
    let hosts: Vec<String> = (1..=HOSTS).map(|n| format!("127.1.2.{n}")).collect();
    let spider = json!({"name": "many", "start_urls": [url(0, 0)], "allowed_domains": hosts});
    folder.write("many.json", spider.to_string());
    let count = the_same_with_and_without_a_store(&folder, "many", &[]);
    assert!(count == 0 || count >= HOSTS * PAGES, "{count}");
}

/// The folder of the toolchain's documentation, where that is installed.
fn rust_docs() -> Option<PathBuf> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.ok()?.stdout).ok()?;
    let docs = Path::new(sysroot.trim()).join("share/doc/rust/html");
    docs.join("alloc").is_dir().then_some(docs)
}

#[test]
fn two_workers_have_the_records_of_one_crawl_without_a_store_on_documentation_of_rust() {
    let Some(docs) = rust_docs() else {
        skipped("no documentation of Rust is installed");
        return;
    };
    let (site, folder) = (Site::folder(docs), Folder::new());
    let spider = json!({"name": "alloc", "start_urls": [site.url("/alloc/index.html")]});
    folder.write("alloc.json", spider.to_string());
    let count = the_same_with_and_without_a_store(&folder, "alloc", &["--no-parent"]);
    assert!(count == 0 || count > 100, "{count}");
}

/// Pages of a tree over many hosts.
const TREE: usize = 90;

/// A tree over many hosts that gives so many pages, and the others when it is told to.
struct Gated {
    site: Site,
    folder: Folder,
    asked: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Gated {
    fn new(most: usize) -> Gated {
        let (site, folder) = (Site::at("0.0.0.0"), Folder::new());
        let (asked, most) = (
            Arc::new(AtomicUsize::new(0)),
            Arc::new(AtomicUsize::new(most)),
        );
        let (port, count, limit) = (site.port(), asked.clone(), most.clone());
        let url = move |n: usize| format!("http://127.1.3.{}:{port}/page-{n}", n % HOSTS + 1);
        site.otherwise(move |asked| {
            let number = asked.path.strip_prefix("/page-").map(str::parse::<usize>);
            let Some(Ok(n)) = number else {
                return Answer::status(404);
            };
            let mine = count.fetch_add(1, Ordering::SeqCst);
            while mine >= limit.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(5));
            }
            let children = (n * 3 + 1..n * 3 + 4).filter(|child| *child < TREE);
            let links = children.map(|child| format!("<a href='{}'>{child}</a>", url(child)));
            Answer::html(links.collect::<String>())
        });
        let hosts: Vec<String> = (1..=HOSTS).map(|n| format!("127.1.3.{n}")).collect();
        let settings = json!({"CONCURRENT_REQUESTS": 4});
        let spider = json!({"name": "tree", "start_urls": [url(0)], "allowed_domains": hosts, "settings": settings});
        folder.write("tree.json", spider.to_string());
        Gated {
            site,
            folder,
            asked,
            most,
        }
    }

    fn worker(&self, cluster: &Cluster) -> Tool {
        self.worker_named("a", cluster)
    }

    fn worker_named(&self, name: &str, cluster: &Cluster) -> Tool {
        self.worker_at(&cluster.url(), name)
    }

    fn worker_at(&self, url: &str, name: &str) -> Tool {
        Tool::new("crawl-run")
            .dir(&self.folder)
            .args(["tree.json", "--store", url, "--worker", name])
            .args(["--data-dir", name, "--parts", "16", "--crawl-id", "one"])
    }

    /// Waits until somebody waits for a page.
    fn wait_held(&self) {
        let begun = Instant::now();
        while self.asked.load(Ordering::SeqCst) <= self.most.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < DEADLINE, "no page is held");
            sleep(Duration::from_millis(20));
        }
    }

    fn release(&self) {
        self.most.store(usize::MAX, Ordering::SeqCst);
    }

    /// The lines of all output parts.
    fn lines(&self) -> usize {
        let dir = self.folder.join("a/default/tree/crawls/crawl_one.d");
        let parts = fs::read_dir(dir).unwrap();
        let paths = parts.map(|entry| entry.unwrap().path());
        let parts = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
        parts
            .map(|part| fs::read_to_string(part).unwrap().lines().count())
            .sum()
    }

    /// Workers a and b together have one record of each page.
    #[track_caller]
    fn has_one_record_a_page(&self) {
        let all = ["a", "b"].map(|name| records(&self.folder.join(name), "tree"));
        let urls = all.iter().flatten().map(|record| record["url"].to_string());
        let urls: Vec<String> = urls.collect();
        let each: BTreeSet<&String> = urls.iter().collect();
        assert_eq!((urls.len(), each.len()), (TREE, TREE));
    }
}

#[test]
fn a_worker_without_its_cluster_ends_with_1_after_its_outage_and_goes_on_when_the_nodes_are_back() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let tree = Gated::new(20);
    let a = tree.worker(&cluster).args(["--outage", "3s"]).start();
    tree.wait_held();
    let all: Vec<u8> = cluster.nodes().collect();
    cluster.kill(&all);
    a.wait_says("stand still");
    tree.release();
    let ended = a.wait().code(1);
    ended
        .says("the store cannot be reached")
        .says("hint: to go on: ")
        // How far all are nobody knows; what was seen before that is past.
        .never_says("of 1 worker");
    // Nor does one begin without it.
    let refused = tree.worker(&cluster).args(["--outage", "1s"]).run();
    refused.code(1).says("the store cannot be reached");
    all.iter().for_each(|node| cluster.start_again(*node));
    cluster.wait_whole();
    tree.worker(&cluster).run().code(0);
    let records = records(&tree.folder.join("a"), "tree");
    let urls: BTreeSet<String> = records
        .iter()
        .map(|record| record["url"].to_string())
        .collect();
    assert_eq!((records.len(), urls.len()), (TREE, TREE));
}

#[test]
fn over_tls_two_workers_go_on_when_a_node_of_their_cluster_is_killed() {
    let Some(cluster) = Cluster::secure() else {
        return;
    };
    let tree = Gated::new(30);
    let [a, b] = ["a", "b"].map(|name| {
        let worker = tree.worker_named(name, &cluster);
        worker
            .env("CRAWL_STORE_CA_CERT", cluster.authority())
            .start()
    });
    tree.wait_held();
    let primary = cluster.primaries()[0];
    cluster.kill(&[primary]);
    tree.release();
    // Its replica takes its place, and has one again.
    cluster.start_again(primary);
    for worker in [a, b] {
        worker.wait().code(0);
    }
    tree.has_one_record_a_page();
}

#[test]
fn without_a_shard_workers_begin_and_go_on_with_what_the_others_have_and_a_signal_ends_them() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let tree = Gated::new(20);
    let url = cluster.url_of_all();
    let worker = |name| tree.worker_at(&url, name);
    let a = worker("a").args(["--grace", "1s"]).start();
    tree.wait_held();
    // One that has nothing of the crawl as a whole.
    let has = |node: &u8, key: &str| cluster.ask(*node, &["EXISTS", key]).as_deref() == Some("1");
    let whole = ["{default/tree:m}:current", "{default/tree/one:m}:job"];
    let primaries = cluster.primaries().into_iter();
    let mut spare = primaries.filter(|node| !whole.iter().any(|key| has(node, key)));
    let shard = cluster.shard_of(spare.next().unwrap());
    cluster.kill(&shard);
    let goes_on = |pages: usize| {
        let (begun, most) = (Instant::now(), tree.asked.load(Ordering::SeqCst) + pages);
        tree.most.store(most, Ordering::SeqCst);
        while tree.asked.load(Ordering::SeqCst) < most {
            assert!(begun.elapsed() < DEADLINE, "all pages wait");
            sleep(Duration::from_millis(20));
        }
    };
    goes_on(8);
    let b = worker("b").args(["--grace", "1s"]).start();
    b.wait_says("each commit is on");
    goes_on(8);
    tree.release();
    for running in [a, b] {
        running.signal(support::Signal::Term);
        running.wait().code(143);
    }
    // Nor is one held up that waits for the nodes without which it cannot begin.
    let all: Vec<u8> = cluster.nodes().collect();
    cluster.kill(&all);
    let c = worker("c").start();
    c.wait_says("this is c");
    c.signal(support::Signal::Term);
    c.wait().code(143).never_says("cannot be reached");
    all.iter().for_each(|node| cluster.start_again(*node));
    cluster.wait_whole();
    let [a, b] = ["a", "b"].map(|name| worker(name).start());
    for running in [a, b] {
        running.wait().code(0);
    }
    tree.has_one_record_a_page();
}

#[test]
fn a_cluster_that_lost_a_shard_is_found_by_the_worker_that_was_told_of_more() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let tree = Gated::new(30);
    let a = tree.worker(&cluster).start();
    tree.wait_held();
    // Each shard has partitions of whose commits somebody was told.
    let has_commits = |node: &u8| {
        let keys = [
            "EVAL",
            "local n = 0 for _, k in ipairs(redis.call('KEYS', '*:l')) do \
            if tonumber(redis.call('HGET', k, 'seq') or '0') > 1 then n = n + 1 end end return tostring(n)",
            "0",
        ];
        cluster.ask(*node, &keys).is_some_and(|count| count != "0")
    };
    let begun = Instant::now();
    let shard = loop {
        if let Some(primary) = cluster.primaries().into_iter().find(has_commits) {
            break cluster.shard_of(primary);
        }
        assert!(begun.elapsed() < DEADLINE, "no commits");
        sleep(Duration::from_millis(20));
    };
    cluster.kill(&shard);
    shard.iter().for_each(|node| cluster.wipe(*node));
    shard.iter().for_each(|node| cluster.start_again(*node));
    tree.release();
    let ended = a.wait().code(65);
    ended
        .says("the store lost committed batches of partition")
        .says(" verify ");
}

#[test]
fn a_cluster_that_lost_everything_ends_with_65_and_the_records_stay() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let tree = Gated::new(usize::MAX);
    tree.worker(&cluster)
        .args(["--max-pages", "30"])
        .run()
        .code(4);
    let lines = tree.lines();
    assert!(lines >= 30, "{lines}");
    let all: Vec<u8> = cluster.nodes().collect();
    cluster.kill(&all);
    all.iter().for_each(|node| cluster.wipe(*node));
    all.iter().for_each(|node| cluster.start_again(*node));
    cluster.wait_whole();
    let asked = tree.site.count();
    let refused = tree.worker(&cluster).run().code(65);
    refused
        .says("the store has lost default/tree/one")
        .says("crawl_one.d.lost")
        .says("--crawl-id");
    assert_eq!((tree.lines(), tree.site.count()), (lines, asked));
    let crawls = tree.folder.join("a/default/tree/crawls");
    fs::rename(crawls.join("crawl_one.d"), crawls.join("crawl_one.d.lost")).unwrap();
    tree.worker(&cluster).run().code(0);
    assert_eq!(records(&tree.folder.join("a"), "tree").len(), TREE);
}
