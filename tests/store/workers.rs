//! What workers leave and tell, by crawl-run and by hand.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::scene::{HOSTS, PAGES, Scene, jsonl};
use crate::support::{Tool, bin};

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
    let bin = |name: &str| bin(name).display().to_string();
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
