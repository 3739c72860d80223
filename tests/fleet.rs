//! One crawl on many machines: workers that share it over a Redis, each with a data directory of its own.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::{Answer, DEADLINE, Folder, Forward, Redis, Running, Signal, Site, Tool, send_signal};

/// So many hosts, each an address of this machine and so a domain of its own.
const HOSTS: usize = 40;

fn host(n: usize) -> String {
    format!("127.1.1.{}", n % HOSTS + 1)
}

fn url(site: &Site, n: usize) -> String {
    format!("http://{}:{}/page-{n}", host(n), site.port())
}

/// A tree over all hosts: each page is linked from one other, so that a link that is lost is a page that is.
fn tree(pages: usize, latency: Duration) -> Site {
    gated_tree(pages, latency, &Arc::new(AtomicBool::new(true)))
}

/// One whose first page is given when the gate is open.
fn gated_tree(pages: usize, latency: Duration, gate: &Arc<AtomicBool>) -> Site {
    let site = Site::at("0.0.0.0");
    let gate = gate.clone();
    let port = site.port();
    site.otherwise(move |asked| {
        let number = asked.path.strip_prefix("/page-").map(str::parse::<usize>);
        let Some(Ok(n)) = number else {
            return Answer::status(404);
        };
        while n == 0 && !gate.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(5));
        }
        let children = (n * 3 + 1..n * 3 + 4).filter(|child| *child < pages);
        let links = children.map(|child| {
            format!(
                "<a href='http://{}:{port}/page-{child}'>{child}</a>",
                host(child)
            )
        });
        Answer::html(links.collect::<String>()).after(latency)
    });
    site
}

fn spider(folder: &Folder, site: &Site) {
    let hosts: Vec<String> = (0..HOSTS).map(|n| format!("{:?}", host(n))).collect();
    let spider = format!(
        r#"{{"name": "tree", "start_urls": ["{}"], "allowed_domains": [{}], "settings": {{"CONCURRENT_REQUESTS": 4}}}}"#,
        url(site, 0),
        hosts.join(", ")
    );
    folder.write("tree.json", spider);
}

fn worker(folder: &Folder, redis: &Redis, name: &str) -> Tool {
    Tool::new("crawl-run")
        .dir(folder)
        .args(["tree.json", "--store", &redis.url(), "--worker", name])
        .args(["--data-dir", name])
        .env("COLUMNS", "200")
}

/// How often each URL has a record in all files of these workers.
fn records(folder: &Folder, workers: &[&str]) -> BTreeMap<String, usize> {
    let mut records = BTreeMap::new();
    for worker in workers {
        let crawls = folder.join(worker).join("default/tree/crawls");
        for file in files(&crawls) {
            for line in fs::read_to_string(file).unwrap().lines() {
                let record: serde_json::Value = serde_json::from_str(line).unwrap();
                let url = record["url"].as_str().unwrap().to_owned();
                *records.entry(url).or_default() += 1;
            }
        }
    }
    records
}

fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    let has_records = |path: &std::path::PathBuf| path.extension().is_some_and(|is| is == "jsonl");
    paths.filter(has_records).collect()
}

#[track_caller]
fn has_each_page_once(site: &Site, pages: usize, records: &BTreeMap<String, usize>) {
    let want: BTreeMap<String, usize> = (0..pages).map(|n| (url(site, n), 1)).collect();
    let missing: Vec<_> = want
        .keys()
        .filter(|url| !records.contains_key(*url))
        .collect();
    let doubled: Vec<_> = records.iter().filter(|(_, count)| **count > 1).collect();
    assert_eq!(missing, Vec::<&String>::new(), "lost of {pages}");
    assert_eq!(doubled, Vec::<(&String, &usize)>::new(), "doubled");
    assert_eq!(*records, want);
}

/// How many pages were asked for.
fn asked(site: &Site) -> usize {
    let paths = site.paths();
    let pages = paths.iter().filter(|path| path.starts_with("/page-"));
    pages.count()
}

/// Waits until each of two workers owns partitions.
fn wait_until_both_own(redis: &Redis) {
    let script = "local n = 0 for _, key in ipairs(redis.call('KEYS', '*:l')) do \
        if redis.call('HGET', key, 'owner') == ARGV[1] then n = n + 1 end end return n";
    let owned = |worker| {
        redis
            .ask(&["EVAL", script, "0", worker])
            .parse()
            .unwrap_or(0)
    };
    let begun = Instant::now();
    while !["a", "b"].into_iter().all(|worker| owned(worker) >= 28) {
        assert!(begun.elapsed() < DEADLINE, "no even shares");
        sleep(Duration::from_millis(50));
    }
}

/// Workers `a` and `b` on a tree of so many pages, each with half of the partitions.
fn begin_both(
    folder: &Folder,
    redis: &Redis,
    pages: usize,
    each: Duration,
) -> (Site, Running, Running) {
    let gate = Arc::new(AtomicBool::new(false));
    let site = gated_tree(pages, each, &gate);
    spider(folder, &site);
    let a = worker(folder, redis, "a").start();
    site.wait_for_path("/page-0");
    let b = worker(folder, redis, "b").start();
    wait_until_both_own(redis);
    gate.store(true, Ordering::SeqCst);
    (site, a, b)
}

fn kill(running: &Running) {
    send_signal(Signal::Kill, -i64::from(running.pid()));
}

#[test]
fn two_workers_share_a_crawl_and_have_each_page_once_between_them() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let folder = Folder::new();
    let (site, a, b) = begin_both(&folder, &redis, 600, Duration::from_millis(20));
    let (a, b) = (a.wait().code(0), b.wait().code(0));
    has_each_page_once(&site, 600, &records(&folder, &["a", "b"]));
    for worker in ["a", "b"] {
        let own = records(&folder, &[worker]).len();
        assert!(own > 50, "{worker} has {own} of 600 records: {a} {b}");
    }
    // A late cron job does not crawl again.
    let before = site.count();
    worker(&folder, &redis, "a").run().code(0);
    assert_eq!(site.count(), before);
    has_each_page_once(&site, 600, &records(&folder, &["a", "b"]));
}

#[test]
fn the_other_worker_takes_over_from_one_that_is_killed() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let folder = Folder::new();
    let (site, a, b) = begin_both(&folder, &redis, 900, Duration::from_millis(30));
    site.wait_until("200 pages", |log| log.len() > 200);
    kill(&a);
    b.wait().code(0);
    // What the one that was killed had committed is joined when it is started again.
    worker(&folder, &redis, "a").run().code(0);
    has_each_page_once(&site, 900, &records(&folder, &["a", "b"]));
}

#[test]
fn a_store_that_is_killed_and_comes_back_is_waited_for() {
    let Some(mut redis) = Redis::durable() else {
        return;
    };
    let (folder, site) = (Folder::new(), tree(300, Duration::from_millis(20)));
    spider(&folder, &site);
    let a = worker(&folder, &redis, "a").start();
    let b = worker(&folder, &redis, "b").start();
    site.wait_for(100);
    redis.kill_and_start_again(|| a.wait_says("stand still"));
    a.wait().code(0).says("the store is back");
    b.wait().code(0);
    has_each_page_once(&site, 300, &records(&folder, &["a", "b"]));
}

#[test]
fn a_worker_that_is_paused_gives_its_share_back_and_goes_on_with_the_same_command() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (folder, site) = (Folder::new(), tree(300, Duration::from_millis(20)));
    spider(&folder, &site);
    let a = worker(&folder, &redis, "a").start();
    site.wait_for(60);
    a.signal(Signal::Term);
    a.wait().code(143);
    assert!(asked(&site) < 300);
    worker(&folder, &redis, "a").run().code(0);
    has_each_page_once(&site, 300, &records(&folder, &["a"]));
    assert_eq!(asked(&site), 300, "no page was asked for twice");
}

#[test]
fn the_records_are_those_of_a_crawl_without_a_store() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (folder, site) = (Folder::new(), tree(200, Duration::ZERO));
    spider(&folder, &site);
    let alone = Tool::new("crawl-run")
        .dir(&folder)
        .args(["tree.json", "--data-dir", "alone"]);
    alone.run().code(0);
    worker(&folder, &redis, "a").run().code(0);
    assert_eq!(records(&folder, &["a"]), records(&folder, &["alone"]));
}

#[test]
fn a_store_that_keeps_nothing_or_throws_keys_away_is_refused() {
    let (folder, site) = (Folder::new(), tree(3, Duration::ZERO));
    spider(&folder, &site);
    let Some(redis) = Redis::start(&[]) else {
        return;
    };
    let done = worker(&folder, &redis, "a").run().code(2);
    done.says("appendonly yes");
    let options = ["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"];
    let Some(redis) = Redis::start(&options) else {
        return;
    };
    let done = worker(&folder, &redis, "a").run().code(2);
    done.says("noeviction");
    assert_eq!(site.count(), 0);
}

#[test]
fn another_scope_another_number_of_partitions_and_what_stays_on_one_machine_are_refused() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (folder, site) = (Folder::new(), tree(200, Duration::from_millis(20)));
    spider(&folder, &site);
    let a = worker(&folder, &redis, "a").start();
    site.wait_for(10);
    let parts = worker(&folder, &redis, "b").args(["--parts", "17"]);
    parts.run().code(2);
    let scope = worker(&folder, &redis, "b").args(["--depth", "1"]);
    scope
        .run()
        .code(2)
        .says("other start URLs or another scope");
    worker(&folder, &redis, "b").arg("--delta").run().code(2);
    // The same name on the same machine, while that one runs.
    worker(&folder, &redis, "a").run().code(75);
    a.signal(Signal::Kill);
}

#[test]
fn the_password_of_a_store_is_said_nowhere() {
    let options = ["--appendonly", "yes", "--requirepass", "s3cret-word"];
    let Some(redis) = Redis::start(&options) else {
        return;
    };
    let (folder, site) = (Folder::new(), tree(20, Duration::ZERO));
    spider(&folder, &site);
    worker(&folder, &redis, "a")
        .run()
        .code(2)
        .never_says("s3cret");
    let wrong = worker(&folder, &redis, "a").env("CRAWL_STORE_PASSWORD", "wr0ng-word");
    wrong.run().code(2).never_says("wr0ng");
    let right = worker(&folder, &redis, "a").env("CRAWL_STORE_PASSWORD", "s3cret-word");
    right.run().code(0).never_says("s3cret");
    for file in folder.files() {
        let text = fs::read(folder.join(&file)).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("s3cret"), "{}", file.display());
    }
}

/// False also for a process that only waits for its parent to look.
fn is_there(pid: u32) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline"));
    words.is_ok_and(|words| !words.is_empty())
}

#[test]
fn a_worker_without_its_crawl_run_ends_also_while_the_store_is_away() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (folder, site) = (Folder::new(), tree(2000, Duration::from_millis(20)));
    spider(&folder, &site);
    let a = worker(&folder, &redis, "a").start();
    site.wait_for(100);
    let children = a.children();
    assert_eq!(children.len(), 2);
    // What is under way at this moment is committed at the end.
    a.signal(Signal::Kill);
    drop(redis);
    let begun = Instant::now();
    while children.iter().any(|pid| is_there(*pid)) {
        assert!(begun.elapsed() < DEADLINE, "it is still there");
        sleep(Duration::from_millis(50));
    }
}

/// Options, what is said of them, and the way out.
const NOT_OVER_A_STORE: &[(&str, &str, &str)] = &[
    ("-o all.jsonl", "-o", "crawl-ckpt collect"),
    ("--delta", "--delta", "without --store"),
    ("--reset-deltafetch", "--delta", "without --store"),
    ("--fresh", "--fresh", "rm default/tree"),
    ("--retry-failed", "--retry-failed", "crawl-ckpt collect"),
    (
        "--on-spider-change resume",
        "--on-spider-change",
        "--crawl-id",
    ),
    ("--on-proxy-change keep", "--on-proxy-change", "without it"),
    ("--warc", "--warc", "without --store"),
    ("--max-cost 5", "--max-cost", "without --store"),
    ("--report page.html", "--report", "crawl-ckpt report"),
    ("--json", "--json", "show default/tree --json"),
];

#[test]
fn what_does_not_work_over_a_store_is_refused_with_the_reason_and_the_way_out() {
    let (folder, site) = (Folder::new(), tree(3, Duration::ZERO));
    spider(&folder, &site);
    // Nobody is there: what is refused is refused before anybody is asked.
    let store = "redis://:s3cret@127.0.0.1:1/";
    let run = |spider: &str, options: &str| {
        let tool = Tool::new("crawl-run").dir(&folder).arg(spider);
        let tool = tool.args(["--store", store]).env("A_PROXY_PRICE", "1/GB");
        tool.args(options.split_whitespace()).run()
    };
    for (options, what, way) in NOT_OVER_A_STORE {
        let done = run("tree.json", options).code(2).never_says("s3cret");
        let message = format!("crawl-run: cannot use --store with {what}");
        let words = done.words();
        let [why, hint] = words.lines().collect::<Vec<_>>()[..] else {
            panic!("{options}: a reason and a way out: {done}");
        };
        assert!(why.starts_with(&message) && why.contains(": "), "{why}");
        assert!(hint.starts_with("hint: ") && hint.contains(way), "{hint}");
    }
    let text = folder.read("tree.json");
    for (key, what) in [
        (
            r#""settings": {"DELTAFETCH_ENABLED": true, "#,
            "DELTAFETCH_ENABLED",
        ),
        (r#""parse": ["cat"], "settings": {"#, "a parser"),
    ] {
        folder.write("other.json", text.replace(r#""settings": {"#, key));
        run("other.json", "").code(2).says(what);
    }
    assert_eq!(site.count(), 0);
    // What is of this machine alone does not ask the store.
    run("tree.json", "--limit 1").code(0).never_says("s3cret");
    run("tree.json", "--check").code(0);
    run("tree.json", "--explain http://127.1.1.1/").code(0);
}

#[test]
fn cookies_that_a_site_sets_are_written_back_by_the_worker_that_got_them() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (folder, site) = (Folder::new(), Site::at("0.0.0.0"));
    site.otherwise(|_| Answer::html("").header("Set-Cookie", "lang=de; Max-Age=9999"));
    spider(&folder, &site);
    folder.write("cookies.txt", "# Netscape HTTP Cookie File\n");
    let tool = worker(&folder, &redis, "a").args(["--cookies", "cookies.txt"]);
    tool.run().code(0);
    let cookies = folder.read("cookies.txt");
    assert!(cookies.contains("lang\tde"), "{cookies}");
}

#[test]
fn hosts_that_wait_for_a_costlier_proxy_end_with_3_and_go_on_where_it_is_approved() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (folder, open) = (Folder::new(), Site::new());
    open.otherwise(|_| Answer::html(""));
    // The first pages are there for everybody, all else for none but the costly proxy.
    let closed = Site::at("0.0.0.0");
    let port = closed.port();
    closed.otherwise(move |asked| match &*asked.path {
        "/page-0" => {
            let link = |n| format!("<a href='http://127.1.1.2:{port}/page-{n}'>{n}</a>");
            Answer::html((1..9).map(link).collect::<String>())
        }
        _ => Answer::html("no").with_status(403),
    });
    spider(&folder, &closed);
    let (cheap, costly) = (Forward::new(), Forward::leading_to(&open.host()));
    let run = |words: &str| {
        let tool = worker(&folder, &redis, "a").args(words.split_whitespace());
        let tool = tool.env("DATACENTER_PROXY_URL", cheap.url(""));
        tool.env("RESIDENTIAL_PROXY_URL", costly.url("")).run()
    };
    let parked = run("").code(3);
    parked
        .says("127.1.1.2")
        .says("--proxy-type residential")
        .never_says("--on-proxy-change");
    assert!(costly.log().is_empty(), "not without a decision");
    let listed = Tool::new("crawl-ckpt").args(["--store", &redis.url(), "show", "tree"]);
    listed.run().code(0).prints("parked").prints("127.1.1.2");
    run("--proxy-type residential").code(0);
    assert!(!costly.log().is_empty());
}
