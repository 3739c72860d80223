//! crawl-ckpt over the store of crawls that machines share: what lies there, whether it is sound, and what is
//! done to it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "store/rewritten.rs"]
mod rewritten;
mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Answer, Cluster, DEADLINE, Folder, Redis, Running, Signal, Site, Tool, send_signal};

/// So many hosts, each an address of this machine and so a domain of its own.
const HOSTS: usize = 40;
const PAGES: usize = 90;
const HUB_PAGES: usize = 700;
/// Nobody is there.
const DEAD: &str = "http://127.1.2.1:1/dead";

/// A store, a site whose pages are a tree over many hosts, and a spider for it.
struct Scene {
    url: String,
    /// What the store is, when it is no cluster.
    redis: Option<Redis>,
    site: Site,
    folder: Folder,
    /// So many pages were asked for.
    asked: Arc<AtomicUsize>,
    /// So many are given; who asks for more waits.
    most: Arc<AtomicUsize>,
    /// Partitions of its crawl.
    parts: usize,
}

/// Which pages a page leads to, and how long their URLs are.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// Three more.
    Tree,
    /// The first one to all, by long URLs, and to one that there is not: the journal of its partition grows by
    /// letters, most of it.
    Hub,
}

impl Scene {
    fn new() -> Option<Scene> {
        Scene::over(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    fn over(options: &[&str]) -> Option<Scene> {
        let redis = Redis::start(options)?;
        Some(Scene::in_store(redis.url(), Some(redis), Shape::Tree))
    }

    fn in_store(store: String, redis: Option<Redis>, shape: Shape) -> Scene {
        let (folder, site) = (Folder::new(), Site::at("0.0.0.0"));
        let port = site.port();
        let asked_for = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(usize::MAX));
        let (count, limit) = (asked_for.clone(), most.clone());
        let filler = match shape {
            Shape::Tree => String::new(),
            Shape::Hub => format!("/{}", "long".repeat(450)),
        };
        let fill = filler.clone();
        let url = move |n: usize| format!("http://127.1.2.{}:{port}/page-{n}{fill}", n % HOSTS + 1);
        let start = url(0);
        site.otherwise(move |asked| {
            let number = asked.path.strip_prefix("/page-");
            let number = number.and_then(|path| path.strip_suffix(&*filler));
            let number = number.map(str::parse::<usize>);
            let Some(Ok(n)) = number else {
                return Answer::status(404);
            };
            let mine = count.fetch_add(1, Ordering::SeqCst);
            while mine >= limit.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(5));
            }
            let children = match (shape, n) {
                (Shape::Tree, _) => n * 3 + 1..PAGES.min(n * 3 + 4),
                (Shape::Hub, 0) => 0..HUB_PAGES,
                (Shape::Hub, _) => 0..0,
            };
            let links = children.map(|child| format!("<a href='{}'>{child}</a>", url(child)));
            let mut links: String = links.collect();
            if shape == Shape::Hub {
                links += &format!("<a href='{DEAD}'>gone</a>");
            }
            Answer::html(links)
        });
        let hosts: Vec<String> = (1..=HOSTS).map(|n| format!("\"127.1.2.{n}\"")).collect();
        let spider = format!(
            r#"{{"name": "tree", "start_urls": ["{}"], "allowed_domains": [{}], "settings": {{"CONCURRENT_REQUESTS": 4, "RETRY_TIMES": 0}}}}"#,
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
            parts: if shape == Shape::Hub { 4 } else { 16 },
        }
    }

    /// The one server.
    fn redis(&self) -> &Redis {
        self.redis.as_ref().unwrap()
    }

    /// From so many pages on the site gives none until [`Scene::release`].
    fn hold_after(&self, pages: usize) {
        self.most.store(pages, Ordering::SeqCst);
    }

    /// Waits until somebody waits for a page.
    fn wait_held(&self) {
        self.wait_until("a page is held", || {
            self.asked.load(Ordering::SeqCst) > self.most.load(Ordering::SeqCst)
        });
    }

    fn release(&self) {
        self.hold_after(usize::MAX);
    }

    fn wait_until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < DEADLINE, "{what}");
            sleep(Duration::from_millis(20));
        }
    }

    /// Starts two workers, and lets them go when each has its share; after so many pages they wait.
    fn two_workers(&self, pages: usize) -> (Running, Running) {
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

    fn worker(&self, name: &str) -> Tool {
        Tool::new("crawl-run")
            .dir(&self.folder)
            .args(["tree.json", "--store", &self.url, "--worker", name])
            .args(["--data-dir", name, "--crawl-id", "one"])
            .args(["--parts", &self.parts.to_string()])
    }

    /// Has one worker crawl so many pages, and end.
    fn begun(&self, pages: usize) {
        let some = self.worker("a").args(["--max-pages", &pages.to_string()]);
        some.run().code(4);
    }

    fn ckpt<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Tool {
        Tool::new("crawl-ckpt")
            .dir(&self.folder)
            .args(["--store", &self.url])
            .args(words)
    }

    /// The JSON lines that a command prints.
    fn told<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Vec<Value> {
        let done = self.ckpt(words).arg("--json").run().code(0);
        let lines = done.lines().into_iter();
        lines
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect()
    }

    fn records(&self, workers: &[&str]) -> BTreeMap<String, usize> {
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

fn jsonl(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|ext| ext == "jsonl"))
        .collect()
}

fn kill(running: &Running) {
    send_signal(Signal::Kill, -i64::from(running.pid()));
}

#[test]
fn crawls_are_listed_with_how_they_are() {
    let Some(scene) = Scene::new() else { return };
    scene.ckpt(["ls"]).run().code(0).prints_just("").is_quiet();
    scene.begun(30);
    let listed = scene.ckpt(["ls"]).run().code(0).prints_lines(2);
    for word in ["default", "tree", "one", "idle"] {
        listed.clone().prints(word);
    }
    let [crawl] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(crawl["state"], "idle");
    assert_eq!(crawl["crawl_id"], "one");
    let of = |name: &str| crawl[name].as_u64().unwrap();
    assert_eq!(of("done") as usize, scene.records(&["a"]).len());
    assert_eq!(of("done") + of("pending"), of("seen"));
    assert!(of("pending") > 0 && of("bytes") > 0);
    scene.ckpt(["ls", "other"]).run().code(0).prints_just("");

    scene.hold_after(45);
    let running = scene.worker("a").start();
    scene.wait_held();
    let [crawl] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(
        (&crawl["state"], &crawl["workers"]),
        (&"running".into(), &1.into())
    );
    scene.release();
    running.wait().code(0);
    let [crawl] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(
        (&crawl["state"], &crawl["done"]),
        (&"complete".into(), &PAGES.into())
    );
}

#[test]
fn what_stands_still_is_shown_with_the_reason_and_the_command_that_goes_on() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(30);
    let shown = scene.ckpt(["show", "tree"]).run().code(0);
    shown
        .prints("no worker lives")
        .prints(&format!("crawl-run tree.json --store {}", scene.url))
        .prints("PARTITION");
    // One that is killed owns what it had.
    scene.hold_after(45);
    let killed = scene.worker("a").start();
    scene.wait_held();
    kill(&killed);
    scene.release();
    let [crawl] = &scene.told(["show", "default/tree/one"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(crawl["state"], "idle");
    assert_eq!(crawl["crew"][0]["worker"], "a");
    assert_eq!(crawl["crew"][0]["lives"], false);
    let parts = crawl["partitions"].as_array().unwrap();
    assert_eq!(parts.len(), 16);
    assert!(parts.iter().any(|part| part["owner"] == "a"));
    let sum = |name: &str| -> u64 { parts.iter().map(|part| part[name].as_u64().unwrap()).sum() };
    assert_eq!(sum("done"), crawl["done"].as_u64().unwrap());
    let sizes = scene.told(["size", "tree"]);
    assert!(sizes[0]["parts"]["journal"].as_u64().unwrap() > 0);
    scene
        .ckpt(["size"])
        .run()
        .code(0)
        .says("append-only file")
        .prints("A URL");
}

#[test]
fn a_sound_store_is_verified_and_a_damaged_partition_is_named() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(40);
    let sound = scene.ckpt(["verify"]).run().code(0);
    sound
        .prints("default/tree/one: sound: ")
        .prints("of 16 partitions")
        .is_quiet();
    let log = |part: usize| format!("{{default/tree/one:{part}}}:log");
    let full = (0..16).find(|part| {
        let batches: usize = scene.redis().ask(&["XLEN", &log(*part)]).parse().unwrap();
        batches >= 3
    });
    let part = full.unwrap();
    let state = format!("{{default/tree/one:{part}}}:l");
    // One letter of a batch is another.
    let flip = "local all = redis.call('XRANGE', KEYS[1], '-', '+') redis.call('DEL', KEYS[1]) \
        for n, e in ipairs(all) do local b = e[2][2] \
        if n == 2 then local at = #b - 20 \
        b = b:sub(1, at - 1) .. string.char((b:byte(at) + 1) % 256) .. b:sub(at + 1) end \
        redis.call('XADD', KEYS[1], e[1], 'b', b, 'o', e[2][4]) end return #all";
    scene.redis().ask(&["SAVE"]);
    scene
        .redis()
        .ask(&["COPY", &log(part), &format!("{}:kept", log(part))]);
    let restore = || {
        scene.redis().ask(&[
            "COPY",
            &format!("{}:kept", log(part)),
            &log(part),
            "REPLACE",
        ]);
        scene.ckpt(["verify", "tree"]).run().code(0);
    };
    let named = format!("default/tree/one: partition {part:03} is damaged: ");
    scene.redis().ask(&["EVAL", flip, "1", &log(part)]);
    scene.ckpt(["verify", "tree"]).run().code(65).says(&named);
    restore();
    // A batch in the middle is gone.
    let first = scene.redis().ask(&["XRANGE", &log(part), "2", "2"]);
    let id = first.lines().next().unwrap().to_owned();
    scene.redis().ask(&["XDEL", &log(part), &id]);
    let gone = scene.ckpt(["verify", "tree"]).run().code(65).says(&named);
    gone.says("batch 2 of");
    restore();
    // The engine forgot the last ones, and says that there were more.
    scene.redis().ask(&["HINCRBY", &state, "seq", "1"]);
    scene
        .ckpt(["verify", "tree"])
        .run()
        .code(65)
        .says("is missing");
    let [checked] = &scene_json(&scene.ckpt(["verify", "--json"]).run().code(65).text())[..] else {
        panic!("one crawl")
    };
    assert_eq!(checked["sound"], false);
    assert_eq!(checked["problems"][0]["partition"], part);
    // A worker finds it as well, and says what to do.
    let refused = scene.worker("b").run().code(65);
    refused
        .says("the store lost committed batches")
        .says(&format!("hint: crawl-ckpt --store {} verify", scene.url));
}

/// What a store does that loses the last seconds of one of its nodes.
#[test]
fn a_partition_that_went_back_in_time_is_found_by_the_letters_that_others_have_of_it() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(20);
    let copy = |part: usize, from: &str, to: &str| {
        for what in ["l", "log", "out"] {
            let key = |end: &str| format!("{{default/tree/one:{part}}}:{what}{end}");
            scene
                .redis()
                .ask(&["COPY", &key(from), &key(to), "REPLACE"]);
        }
    };
    (0..16).for_each(|part| copy(part, "", ":then"));
    // Now all letters are taken.
    scene.worker("a").run().code(0);
    (0..16).for_each(|part| copy(part, "", ":now"));
    scene.ckpt(["verify", "tree"]).run().code(0);
    let mut found = 0;
    for part in 0..16 {
        copy(part, ":then", "");
        let done = scene.ckpt(["verify", "tree"]).run();
        // Some sent nothing meanwhile: what they did is done again, and nobody is the wiser.
        if done.exit() != 0 {
            let named = format!("partition {part:03} is damaged: partition ");
            done.code(65).says(&named).says("the last batches are lost");
            found += 1;
        }
        copy(part, ":now", "");
    }
    // Pages lead to pages of other partitions, nearly all of them.
    assert!(found >= 2, "{found} of 16");
}

fn scene_json(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_partition_that_is_pulled_is_a_job_directory() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(40);
    scene
        .ckpt(["pull", "tree", "-o", "copy"])
        .run()
        .code(0)
        .says("partitions");
    let mut jobs: Vec<_> = fs::read_dir(scene.folder.join("copy"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    jobs.retain(|path| path.is_dir());
    assert!(jobs.len() > 3, "{jobs:?}");
    let [listed] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    let (mut pending, mut seen, mut urls) = (0, 0, BTreeSet::new());
    for job in &jobs {
        let of = |tool: &str, command: &str| Tool::new(tool).arg(command).arg("--job").arg(job);
        of("crawl-ckpt", "verify")
            .run()
            .code(0)
            .prints("sound")
            .is_quiet();
        of("crawl-ckpt", "show").run().code(0).prints("paused");
        let stat = of("crawl-frontier", "stat")
            .arg("--json")
            .run()
            .code(0)
            .text();
        let stat: Value = serde_json::from_str(&stat).unwrap();
        pending += stat["pending"].as_u64().unwrap();
        seen += stat["seen"].as_u64().unwrap();
        let exported = of("crawl-frontier", "export").run().code(0);
        for request in scene_json(&exported.text()) {
            let url = request["url"].as_str().unwrap().to_owned();
            of("crawl-frontier", "seen")
                .stdin(&url)
                .run()
                .code(0)
                .prints(&url);
            assert!(urls.insert(url), "once among all partitions");
        }
    }
    assert_eq!(pending, listed["pending"].as_u64().unwrap());
    assert_eq!(seen, listed["seen"].as_u64().unwrap());
    assert_eq!(urls.len() as u64, pending);
    for url in scene.records(&["a"]).keys() {
        assert!(!urls.contains(url), "{url} has a record and is pending");
    }
    // A job that is there stays.
    scene
        .ckpt(["pull", "tree", "-o", "copy"])
        .run()
        .code(1)
        .says("a job is there already");
    scene
        .ckpt(["pull", "tree", "-o", "more", "--part", "99"])
        .run()
        .code(2)
        .says("no partition 99");
}

#[test]
fn a_crawl_that_is_paused_stops_its_workers_and_goes_on_when_it_is_resumed() {
    let Some(scene) = Scene::new() else { return };
    let (a, b) = scene.two_workers(40);
    scene.wait_held();
    scene
        .ckpt(["pause", "tree"])
        .run()
        .code(0)
        .says("exit code 4");
    let resume = format!("crawl-ckpt --store {} resume default/tree/one", scene.url);
    a.wait_says("the crawl was paused");
    b.wait_says("the crawl was paused");
    scene.release();
    for worker in [a, b] {
        let ended = worker.wait().code(4).never_says("limit");
        let words = ended.words();
        let headline = words.lines().find(|line| line.contains(" records"));
        let headline = headline.unwrap_or_default();
        assert!(headline.starts_with("paused for all workers by crawl-ckpt pause"));
        ended
            .says(&format!("resume with: {resume}\nand then: "))
            .says("crawl-run tree.json --store");
    }
    let asked = scene.site.count();
    assert!(scene.records(&["a", "b"]).len() < PAGES);
    let refused = scene.worker("c").run().code(4);
    refused
        .says("default/tree/one")
        .says(&format!("hint: {resume}"));
    assert_eq!(
        scene.site.count(),
        asked,
        "nothing was asked for in a pause"
    );
    assert_eq!(scene.told(["ls"])[0]["state"], "paused");
    scene
        .ckpt(["show", "tree"])
        .run()
        .code(0)
        .prints("is paused")
        .prints(&resume);
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("a").run().code(0);
    scene.worker("b").run().code(0);
    let records = scene.records(&["a", "b"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    assert_eq!(scene.told(["ls"])[0]["state"], "complete");
    // What is over stays so.
    scene
        .ckpt(["pause", "tree"])
        .run()
        .code(0)
        .says("nothing to pause");
    assert_eq!(scene.told(["ls"])[0]["state"], "complete");
}

#[test]
fn each_worker_keeps_a_summary_and_collect_makes_one_of_the_crawl() {
    let Some(scene) = Scene::new() else { return };
    let summary = |file: &str| -> Value { serde_json::from_str(&scene.folder.read(file)).unwrap() };
    let of_a = "a/default/tree/crawls/crawl_one.a.summary.json";
    scene.begun(30);
    let begun = summary(of_a);
    let records = scene.records(&["a"]).len();
    assert_eq!(begun["state"], "stopped");
    assert_eq!(begun["records"], records);
    assert!(begun["whole"].is_null());
    scene.hold_after(0);
    let b = scene.worker("b").start();
    scene.wait_held();
    let a = scene.worker("a").start();
    scene.release();
    a.wait().code(0);
    b.wait().code(0);
    let lines = |worker: &str| scene.records(&[worker]).len();
    for worker in ["a", "b"] {
        let file = format!("{worker}/default/tree/crawls/crawl_one.{worker}.summary.json");
        let told = summary(&file);
        assert_eq!(told["state"], "complete");
        assert_eq!(told["records"], lines(worker), "{worker}: {told}");
        assert_eq!(told["output"], format!("crawl_one.{worker}.jsonl"));
        assert_eq!(told["whole"]["records"], PAGES);
    }
    assert_eq!(summary(of_a)["runs_total"], 2);
    let collect = |words: &str| {
        let tool = Tool::new("crawl-ckpt").dir(&scene.folder);
        tool.arg("collect").args(words.split(' ')).run().code(0)
    };
    collect("a/default/tree/crawls b/default/tree/crawls -o all.jsonl");
    let all = summary("all.summary.json");
    assert_eq!(all["records"], PAGES);
    assert_eq!(all["by_status"]["2xx"], PAGES);
    assert_eq!(all["output"], "all.jsonl");
    assert_eq!(all["runs"].as_array().unwrap().len(), 3);
    // A part of the records is not that crawl.
    collect("b/default/tree/crawls -o some.jsonl");
    assert!(!scene.folder.join("some.summary.json").exists());
    let report = Tool::new("crawl-ckpt").dir(&scene.folder);
    report
        .args("report default/tree --from all.jsonl -o page.html".split(' '))
        .run()
        .code(0);
}

/// The samples of a metrics file that are of the crawl.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let labels = "{project=\"default\",spider=\"tree\"} ";
    let samples = text.lines().filter_map(|line| line.split_once(labels));
    samples
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

#[test]
fn metrics_and_the_log_of_a_worker_have_its_own_figures_and_those_of_all() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(30);
    let of_a = scene.records(&["a"]).len();
    let metrics = ["--metrics", "b.prom", "-v"];
    let done = scene.worker("b").args(metrics).run().code(0);
    done.says("workers that live by now: b")
        .says(&format!("of 1 worker: {PAGES} done, 0 pending"));
    let page = samples(&scene.folder.read("b.prom"));
    let of_b = (PAGES - of_a) as f64;
    for (name, want) in [
        ("crawl_pages_total", of_b),
        ("crawl_records_total", of_b),
        ("crawl_pending_urls", 0.0),
        ("crawl_fleet_workers", 1.0),
        ("crawl_fleet_pages_total", PAGES as f64),
        ("crawl_fleet_pending_urls", 0.0),
        ("crawl_last_exit_code", 0.0),
    ] {
        assert_eq!(page.get(name), Some(&want), "{name}: {page:?}");
    }
    // A crawl of one machine has no such figures.
    let alone = Tool::new("crawl-run").dir(&scene.folder);
    alone
        .args(["tree.json", "--metrics", "alone.prom"])
        .run()
        .code(0)
        .never_says("worker");
    let alone = scene.folder.read("alone.prom");
    assert!(!alone.contains("fleet"), "{alone}");
}

#[test]
fn a_loop_that_is_built_by_hand_shares_a_crawl() {
    let Some(scene) = Scene::new() else { return };
    let bin = |name: &str| support::bin(name).display().to_string();
    let start = format!("http://127.1.2.1:{}/page-0", scene.site.port());
    let by_hand = |worker: &str, more: &str| {
        let [frontier, fetch] = ["crawl-frontier", "crawl-fetch"].map(bin);
        let domains = (1..=HOSTS).map(|n| format!("--domain 127.1.2.{n}"));
        let domain = domains.collect::<Vec<_>>().join(" ");
        let line = format!(
            "mkfifo {worker}.fifo && {frontier} serve --job {worker}.job --start {start} {domain} \
             --store {} --crawl default/hand/1 --worker {worker} --parts 8 {more} <{worker}.fifo | \
             {fetch} --max-redirects 0 >{worker}.fifo; exit ${{PIPESTATUS[0]}}",
            scene.url
        );
        Tool::program("bash").args(["-c", &line]).dir(&scene.folder)
    };
    let first = by_hand("a", "--output a.jsonl --max-pages 20")
        .run()
        .code(4);
    first.says("worker a, 8 partitions; each commit is on 1 node,");
    assert!(scene.folder.join("a.jsonl.d").is_dir());
    let second = by_hand("b", "--output b.jsonl").run().code(0);
    second.never_says("crawl-frontier: error");
    let lines = |file: &str| scene.folder.read(file).lines().count();
    let parts = jsonl(&scene.folder.join("a.jsonl.d")).into_iter();
    let parts = parts.map(|part| fs::read_to_string(part).unwrap());
    let of_a: usize = parts.map(|part| part.lines().count()).sum();
    assert!(of_a >= 20, "{of_a}");
    assert_eq!(of_a + lines("b.jsonl"), PAGES);
    let shown = scene.ckpt(["show", "default/hand/1"]).run().code(0);
    shown.prints("complete");
    // Whoever comes late joins his records and crawls nothing.
    let asked = scene.site.count();
    fs::remove_file(scene.folder.join("a.fifo")).unwrap();
    by_hand("a", "--output a.jsonl").run().code(0);
    assert_eq!(scene.site.count(), asked);
    assert_eq!((lines("a.jsonl"), lines("b.jsonl")), (of_a, PAGES - of_a));
    assert!(!scene.folder.join("a.jsonl.d").exists());

    let serve = Tool::new("crawl-frontier").dir(&scene.folder);
    let serve = serve.args([
        "serve", "--job", "x", "--store", &scene.url, "--worker", "x",
    ]);
    serve.stdin("").run().code(2).says("--crawl");
}

#[test]
fn what_a_worker_finished_is_fetched_again_when_its_disk_is_lost() {
    let Some(scene) = Scene::new() else { return };
    let (a, b) = scene.two_workers(60);
    scene.wait_held();
    let requeue = ["requeue", "tree", "--worker", "b"];
    scene
        .ckpt(requeue)
        .run()
        .code(75)
        .says("pause default/tree/one");
    scene.ckpt(["pause", "tree"]).run().code(0);
    a.wait_says("the crawl was paused");
    b.wait_says("the crawl was paused");
    scene.release();
    a.wait().code(4);
    b.wait().code(4);
    let of_b = scene.records(&["b"]);
    assert!(!of_b.is_empty(), "both had a share");
    let printed = scene.ckpt(requeue).arg("--print").run().code(0).text();
    let printed = scene_json(&printed).into_iter();
    let printed: BTreeSet<String> = printed
        .map(|r| r["url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(printed, of_b.keys().cloned().collect());
    fs::remove_dir_all(scene.folder.join("b")).unwrap();
    scene
        .ckpt(requeue)
        .run()
        .code(0)
        .says(&format!("{} URL", of_b.len()));
    scene.ckpt(["verify", "tree"]).run().code(0);
    let listed = &scene.told(["ls"])[0];
    assert_eq!(
        listed["done"].as_u64().unwrap() as usize,
        scene.records(&["a"]).len()
    );
    // Once more does nothing more.
    scene.ckpt(requeue).run().code(1).says("no records of b");
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("a").run().code(0);
    let records = scene.records(&["a"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    scene.ckpt(["verify", "tree"]).run().code(0);
}

#[test]
fn a_complete_crawl_goes_on_when_the_disk_of_one_of_its_workers_is_lost() {
    let Some(scene) = Scene::new() else { return };
    let (a, b) = scene.two_workers(usize::MAX);
    a.wait().code(0);
    b.wait().code(0);
    let of_b = scene.records(&["b"]);
    assert!(!of_b.is_empty(), "both had a share");
    let requeue = |worker| scene.ckpt(["requeue", "tree", "--worker", worker]).run();
    requeue("x").code(1).says("no records of x");
    assert_eq!(scene.told(["ls"])[0]["state"], "complete");
    fs::remove_dir_all(scene.folder.join("b")).unwrap();
    let requeued = requeue("b").code(0);
    requeued
        .says("was complete and is paused now")
        .says("--worker");
    assert_eq!(scene.told(["ls"])[0]["state"], "paused");
    scene.ckpt(["resume", "tree"]).run().code(0);
    // The file of a worker that ended stays as it is.
    let refused = scene.worker("a").run().code(2);
    refused.says("hint: take part under another --worker");
    scene.worker("c").run().code(0);
    let records = scene.records(&["a", "c"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    assert_eq!(scene.records(&["c"]).len(), of_b.len());
    let all = "a/default/tree/crawls c/default/tree/crawls -o all.jsonl";
    let collect = Tool::new("crawl-ckpt").dir(&scene.folder).arg("collect");
    let collected = collect.args(all.split(' ')).run().code(0);
    collected.says(&format!("{PAGES} records"));
}

#[test]
fn a_crawl_is_removed_when_nobody_works_on_it_and_nothing_of_it_stays() {
    let Some(scene) = Scene::new() else { return };
    scene.hold_after(20);
    let a = scene.worker("a").args(["--grace", "1s"]).start();
    scene.wait_held();
    let refused = scene.ckpt(["rm", "tree", "--yes"]).run().code(75);
    refused
        .says("worker a lives")
        .says("pause default/tree/one");
    a.signal(Signal::Term);
    a.wait().code(143);
    let asked = scene.ckpt(["rm", "tree"]).run().code(2);
    asked.says("to remove: default/tree/one").says("--yes");
    scene.redis().ask(&["SET", "somebody:else", "1"]);
    let old = scene.ckpt(["rm", "--older-than", "7d", "--yes"]);
    old.run().code(0).says("nothing to remove");
    scene
        .ckpt(["rm", "tree", "--yes"])
        .run()
        .code(0)
        .says("removed default/tree/one");
    assert_eq!(scene.redis().ask(&["KEYS", "*"]), "somebody:else");
    scene
        .ckpt(["rm", "--all"])
        .run()
        .code(0)
        .says("nothing to remove");
    scene
        .ckpt(["show", "tree"])
        .run()
        .code(1)
        .says("no crawl tree");
}

#[test]
fn names_and_options_that_a_store_does_not_have_are_refused_with_the_way_out() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(5);
    for (words, code, says) in [
        ("show other", 1, "it has: default/tree/one"),
        ("show default/tree/two", 1, "it has: default/tree/one"),
        ("show a/b/c/d", 2, "PROJECT/SPIDER/ID"),
        ("show ../x", 2, "no name"),
        ("show --job x", 2, "PROJECT/SPIDER/ID"),
        ("verify --repair tree", 2, "pull"),
        ("report tree", 2, "collect"),
    ] {
        let done = scene.ckpt(words.split(' ')).run().code(code);
        assert!(done.words().contains(says), "{words}: {done}");
    }
    for words in ["pull tree -o x", "pause tree", "resume tree"] {
        let local = Tool::new("crawl-ckpt")
            .dir(&scene.folder)
            .args(words.split(' '));
        local.run().code(2).says("--store URL");
    }
    let nowhere = Tool::new("crawl-ckpt").args(["--store", "redis://127.0.0.1:1/", "ls"]);
    nowhere.run().code(1).says("cannot be reached");
}

#[test]
fn a_crawl_of_an_earlier_format_is_refused_with_the_way_out_and_left_alone() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(5);
    let key = "{default/tree/one:m}:job";
    let job = scene.redis().ask(&["GET", key]);
    let old = job.replace("\"format\":2", "\"format\":1");
    assert_ne!(job, old);
    scene.redis().ask(&["SET", key, &old]);
    let asked = scene.site.count();
    let refused = scene.worker("a").run().code(2);
    refused
        .says("another version of the tools, which keeps it in format 1")
        .says("hint: that version finishes it");
    assert_eq!(scene.site.count(), asked);
    for command in ["show", "verify"] {
        let refused = scene.ckpt([command, "tree"]).run().code(2);
        refused
            .says("default/tree/one: ")
            .says("keeps it in format 1");
    }
    scene.ckpt(["ls"]).run().code(0).says("in format 1");
    assert_eq!(scene.redis().ask(&["GET", key]), old);
}

#[test]
fn all_of_it_works_over_a_cluster() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let scene = Scene::in_store(cluster.url(), None, Shape::Tree);
    scene.begun(30);
    assert_eq!(scene.told(["ls"])[0]["state"], "idle");
    assert!(
        scene.told(["size"])[0]["parts"]["journal"]
            .as_u64()
            .unwrap()
            > 0
    );
    scene
        .ckpt(["show", "tree"])
        .run()
        .code(0)
        .prints("no worker lives");
    scene.ckpt(["verify"]).run().code(0).prints("sound");
    scene.ckpt(["pull", "tree", "-o", "copy"]).run().code(0);
    scene.ckpt(["pause", "tree"]).run().code(0);
    scene.worker("a").run().code(4);
    let of_a = scene.records(&["a"]).len();
    fs::remove_dir_all(scene.folder.join("a")).unwrap();
    let requeued = scene
        .ckpt(["requeue", "tree", "--worker", "a"])
        .run()
        .code(0);
    requeued.says(&format!("{of_a} URLs"));
    scene.ckpt(["verify"]).run().code(0).prints("sound");
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("b").run().code(0);
    let records = scene.records(&["b"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    scene.ckpt(["rm", "tree", "--yes"]).run().code(0);
    for node in cluster.primaries() {
        assert_eq!(cluster.ask(node, &["DBSIZE"]).unwrap(), "0", "{node}");
    }
}

#[test]
fn a_password_is_taken_from_the_environment_and_shown_nowhere() {
    let options = ["--appendonly", "yes", "--requirepass", "s3cret-word"];
    let Some(scene) = Scene::over(&options) else {
        return;
    };
    let a = scene.worker("a").env("CRAWL_STORE_PASSWORD", "s3cret-word");
    a.args(["--max-pages", "20"]).run().code(4);
    scene.ckpt(["ls"]).run().code(1).never_says("s3cret");
    for words in [
        "ls",
        "show tree",
        "size",
        "verify",
        "pull tree -o copy",
        "pause tree",
        "rm tree --yes",
    ] {
        let tool = scene
            .ckpt(words.split(' '))
            .env("CRAWL_STORE_PASSWORD", "s3cret-word");
        let done = tool.run().code(0).never_says("s3cret");
        assert!(!done.text().contains("s3cret"), "{done}");
    }
}

#[test]
fn over_tls_a_store_is_trusted_by_an_authority_of_its_own_and_takes_a_user_with_a_password() {
    let Some(redis) = Redis::secure() else { return };
    let user = [
        "ACL",
        "SETUSER",
        "crawler",
        "on",
        ">s3cret-word",
        "~*",
        "+@all",
    ];
    assert_eq!(redis.ask(&user), "OK");
    assert_eq!(redis.ask(&["ACL", "SETUSER", "default", "off"]), "OK");
    let (authority, url) = (
        redis.authority(),
        redis.url_as("rediss://crawler@localhost"),
    );
    let scene = Scene::in_store(url.clone(), Some(redis), Shape::Tree);
    let trusting = |tool: Tool| {
        let tool = tool.env("CRAWL_STORE_CA_CERT", &authority);
        tool.env("CRAWL_STORE_PASSWORD", "s3cret-word")
    };
    let some = scene.worker("a").args(["--max-pages", "20"]);
    trusting(some).run().code(4).never_says("s3cret");
    for (words, prints) in [
        ("ls", "tree"),
        ("show tree", &*format!("crawl-run tree.json --store {url}")),
        ("verify", "sound"),
        ("pull tree -o copy", ""),
        ("pause tree", ""),
        ("resume tree", ""),
    ] {
        let done = trusting(scene.ckpt(words.split(' '))).run().code(0);
        let done = done.never_says("s3cret").prints(prints);
        assert!(!done.text().contains("s3cret"), "{done}");
    }
    trusting(scene.worker("b")).run().code(0);
    trusting(scene.worker("a")).run().code(0);
    let records = scene.records(&["a", "b"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    let wrong = trusting(scene.ckpt(["ls"])).env("CRAWL_STORE_PASSWORD", "wr0ng-word");
    wrong
        .run()
        .code(1)
        .says("authentication")
        .never_says("wr0ng");
}

#[test]
fn what_is_wrong_with_tls_to_a_store_is_told_with_the_way_out() {
    let Some(redis) = Redis::secure() else { return };
    let (authority, plain) = (redis.authority(), redis.url_as("redis://localhost"));
    let other_name = redis.url_as("rediss://127.0.0.1");
    let scene = Scene::in_store(redis.url_as("rediss://localhost"), Some(redis), Shape::Tree);
    let unknown =
        "no authority that is trusted here: name yours, as a PEM file, in $CRAWL_STORE_CA_CERT";
    scene.ckpt(["ls"]).run().code(1).says(unknown);
    scene.worker("a").run().code(2).says(unknown);
    let trusting = |tool: Tool| tool.env("CRAWL_STORE_CA_CERT", &authority);
    trusting(scene.ckpt(["ls"])).run().code(0);
    let systems = scene.ckpt(["ls"]).env("SSL_CERT_FILE", &authority);
    systems.run().code(0);
    for (file, says) in [
        (
            "no-such-file",
            "$CRAWL_STORE_CA_CERT: no-such-file: No such file",
        ),
        (
            "tree.json",
            "$CRAWL_STORE_CA_CERT: tree.json: no certificate (PEM) in it",
        ),
    ] {
        let ckpt = scene.ckpt(["ls"]).env("CRAWL_STORE_CA_CERT", file);
        ckpt.run().code(1).says(says);
        let worker = scene.worker("a").env("CRAWL_STORE_CA_CERT", file);
        worker.run().code(2).says(says);
    }
    let at = |url: &str| trusting(Tool::new("crawl-ckpt").args(["--store", url, "ls"])).run();
    at(&other_name)
        .code(1)
        .says("its certificate is for another host")
        .says("localhost");
    at(&plain)
        .code(1)
        .says("a store that speaks TLS is named rediss://");
    let without = Redis::durable().unwrap();
    at(&without.url_as("rediss://localhost"))
        .code(1)
        .says("a store that does not speak TLS is named redis://");
    let wants = ["CONFIG", "SET", "tls-auth-clients", "yes"];
    assert_eq!(scene.redis().ask(&wants), "OK");
    trusting(scene.ckpt(["ls"]))
        .run()
        .code(1)
        .says("set tls-auth-clients no");
    trusting(scene.worker("a"))
        .run()
        .code(2)
        .says("set tls-auth-clients no");
    assert_eq!(scene.site.count(), 0);
}
