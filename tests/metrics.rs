//! `crawl-run --metrics` from outside: the page is what Prometheus reads, and says what
//! happened.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::{Folder, Signal, Site, Tool};

const PAGES: usize = 30;
const FILE: &str = "crawl.prom";

/// A page as Prometheus' text format demands it: HELP and TYPE once a metric and before its
/// samples, samples of one metric together, names by convention, no sample twice.
fn parse(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "{text:?}");
    let mut samples = BTreeMap::new();
    let (mut seen, mut helped, mut current) = (BTreeSet::new(), String::new(), String::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(help.ends_with('.') && !help.contains('\\'), "{line}");
            assert!(seen.insert(name.to_owned()), "twice: {line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert_eq!(name, helped, "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(kind == "counter" || kind == "gauge", "{line}");
            name.clone_into(&mut current);
        } else {
            let (name, rest) = line.split_once('{').expect(line);
            assert_eq!(name, current, "{line}");
            let (labels, value) = rest.rsplit_once("} ").expect(line);
            labels_are_sound(labels);
            let value: f64 = value.parse().expect(line);
            let key = format!("{name}{{{labels}}}");
            assert!(samples.insert(key, value).is_none(), "twice: {line}");
        }
    }
    samples
}

/// `name="value",…`: backslash, quote and line feed escaped, no name twice.
#[track_caller]
fn labels_are_sound(labels: &str) {
    let mut rest = labels;
    let mut names = BTreeSet::new();
    loop {
        let (name, value) = rest.split_once("=\"").expect(labels);
        assert!(names.insert(name), "{labels}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase()), "{labels}");
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next().expect(labels) {
                (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n')))),
                (at, '"') => break at,
                _ => {}
            }
        };
        match value[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None => break assert_eq!(&value[end + 1..], "", "{labels}"),
        }
    }
}

/// The value of a metric of the spider `shop`, with further labels in the text that is given.
#[track_caller]
fn value(page: &BTreeMap<String, f64>, name: &str, more: &str) -> f64 {
    let key = format!("{name}{{project=\"default\",spider=\"shop\"{more}}}");
    *page
        .get(&key)
        .unwrap_or_else(|| panic!("no {key}: {page:#?}"))
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}

fn shop(folder: &Folder, site: &Site) -> Tool {
    let url = site.url("/");
    let settings = r#"{"ROBOTSTXT_OBEY": false, "RETRY_TIMES": 0}"#;
    let text = format!(r#"{{"name": "shop", "start_urls": ["{url}"], "settings": {settings}}}"#);
    folder.write("shop.json", text);
    let tool = Tool::new("crawl-run").dir(folder);
    tool.args(["shop.json", "--metrics", FILE, "--per-host", "2"])
}

#[test]
fn the_page_says_what_became_of_a_crawl_and_a_failed_run_keeps_the_last_success() {
    let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
    let begun = now().floor();
    shop(&folder, &site).run().code(0);
    let text = folder.read(FILE);
    let page = parse(&text);
    for (name, more, want) in [
        ("crawl_pages_total", "", 30.0),
        ("crawl_records_total", "", 30.0),
        ("crawl_responses_total", ",class=\"2xx\"", 30.0),
        ("crawl_pending_urls", "", 0.0),
        ("crawl_checkpoint_bytes", "", 0.0),
        ("crawl_running", "", 0.0),
        ("crawl_last_exit_code", "", 0.0),
    ] {
        assert_eq!(value(&page, name, more), want, "{name}");
    }
    let success = value(&page, "crawl_last_success_timestamp_seconds", "");
    assert!((begun..=now()).contains(&success), "{success}");
    // Others may read it, and nothing else lies beside it.
    let mode = fs::metadata(folder.join(FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o600, 0o600);
    assert!(!folder.join("crawl.prom.tmp").exists());

    // The last success is as it was, also in a file that says it was long ago.
    let old = format!("{success}\n");
    folder.write(FILE, text.replace(&old, "1000000000\n"));
    shop(&folder, &site)
        .args(["--max-pages", "5"])
        .run()
        .code(4);
    let page = parse(&folder.read(FILE));
    for (name, want) in [
        ("crawl_last_success_timestamp_seconds", 1e9),
        ("crawl_last_exit_code", 4.0),
        ("crawl_records_total", 5.0),
    ] {
        assert_eq!(value(&page, name, ""), want, "{name}");
    }
    assert!(value(&page, "crawl_pending_urls", "") > 0.0);
    assert!(value(&page, "crawl_checkpoint_bytes", "") > 0.0);

    site.stop();
    let gone = shop(&folder, &site).args(["--outage", "1s"]);
    gone.args(["--max-time", "5s"]).run();
    let page = parse(&folder.read(FILE));
    assert!(value(&page, "crawl_last_exit_code", "") > 0.0);
    let key = "crawl_last_success_timestamp_seconds";
    assert_eq!(value(&page, key, ""), 1e9);
}

#[test]
fn unchanged_pages_are_counted_and_what_is_known_of_them_is_measured() {
    let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
    for _ in 0..2 {
        shop(&folder, &site).arg("--delta").run().code(0);
    }
    let page = parse(&folder.read(FILE));
    for (change, want) in [("new", 0.0), ("changed", 0.0), ("unchanged", 30.0)] {
        let label = format!(",change=\"{change}\"");
        assert_eq!(value(&page, "crawl_delta_pages_total", &label), want);
    }
    assert_eq!(value(&page, "crawl_records_total", ""), 0.0);
    assert!(value(&page, "crawl_delta_bytes", "") > 0.0);
    let ls = Tool::new("crawl-ckpt").arg("ls").dir(&folder).run();
    ls.code(0)
        .prints_just("")
        .says("known of earlier crawls of 1 spider");
}

#[test]
fn errors_are_counted_by_kind() {
    let folder = Folder::new();
    let site = Site::new();
    site.page("/", "<a href=http://127.0.0.1:1/>gone</a>");
    shop(&folder, &site).run();
    let text = folder
        .read("shop.json")
        .replace("settings", "allowed_domains\": [\"127.0.0.1\"], \"settings");
    folder.write("shop.json", text);
    let tool = Tool::new("crawl-run").dir(&folder);
    tool.args(["shop.json", "--metrics", FILE, "--fresh"])
        .run()
        .code(0);
    let page = parse(&folder.read(FILE));
    assert_eq!(value(&page, "crawl_errors_total", ",kind=\"connect\""), 1.0);
    assert_eq!(value(&page, "crawl_pages_total", ""), 2.0);
}

#[test]
fn a_run_shows_while_it_lasts_and_one_that_was_killed_ends_with_the_next() {
    let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
    site.latency(Duration::from_millis(300));
    let run = shop(&folder, &site).start();
    site.wait_for(4);
    // The first page is written when the crawl begins.
    let page = parse(&folder.read(FILE));
    assert_eq!(value(&page, "crawl_running", ""), 1.0);
    // Another run of the same spider does not touch what this one tells.
    shop(&folder, &site).run().code(75);
    assert_eq!(value(&parse(&folder.read(FILE)), "crawl_running", ""), 1.0);
    run.signal(Signal::Kill);
    run.wait();
    site.latency(Duration::ZERO);
    shop(&folder, &site).run().code(0);
    let page = parse(&folder.read(FILE));
    assert_eq!(value(&page, "crawl_running", ""), 0.0);
    assert_eq!(value(&page, "crawl_records_total", ""), 30.0);
}

#[test]
fn a_file_that_cannot_be_written_is_a_warning_and_ends_nothing() {
    let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
    let tool = shop(&folder, &site).args(["--metrics", "none/crawl.prom"]);
    let done = tool.run();
    assert_eq!(done.exit(), 2, "given twice");
    let tool = Tool::new("crawl-run").dir(&folder).arg("shop.json");
    let done = tool.args(["--metrics", "none/crawl.prom"]).run().code(0);
    let warned = done.words().matches("cannot write none/crawl.prom").count();
    assert_eq!(warned, 1, "{done}");
    shop(&folder, &site).args(["--limit", "3"]).run().code(2);
    let dash = Tool::new("crawl-run")
        .dir(&folder)
        .args([&site.url("/"), "--metrics", "-"]);
    dash.run().code(2).says("replaced as a whole");
}

#[test]
fn a_batch_has_one_page_for_all_its_crawls() {
    let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
    drop(shop(&folder, &site));
    folder.write("sites \"a\".csv", "spider\nshop.json\nmissing.json\n");
    let batch = || {
        let tool = Tool::new("crawl-run").dir(&folder);
        tool.args(["batch", "sites \"a\".csv", "--metrics", FILE])
    };
    batch().run().code(1);
    let page = parse(&folder.read(FILE));
    let list = r#"{project="default",list="sites \"a\".csv""#;
    for (name, want) in [
        (format!("crawl_batch_sites{list},state=\"done\"}}"), 1.0),
        (format!("crawl_batch_sites{list},state=\"failed\"}}"), 1.0),
        (format!("crawl_batch_sites{list},state=\"left\"}}"), 0.0),
        (format!("crawl_batch_running{list}}}"), 0.0),
        (format!("crawl_batch_last_exit_code{list}}}"), 1.0),
    ] {
        assert_eq!(page.get(&name), Some(&want), "{name}: {page:#?}");
    }
    assert_eq!(value(&page, "crawl_records_total", ""), 30.0);
    assert_eq!(value(&page, "crawl_last_exit_code", ""), 0.0);
    // What it says of crawls that another run is not about stays.
    folder.write("sites \"a\".csv", "spider\nmissing.json\n");
    batch().run().code(1);
    let page = parse(&folder.read(FILE));
    assert_eq!(value(&page, "crawl_records_total", ""), 30.0);
}

#[test]
fn a_file_of_something_else_is_not_replaced() {
    let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
    folder.write(FILE, "dear diary\n");
    let warned = shop(&folder, &site).run().code(0);
    warned.says("it holds something else than metrics of crawls");
    assert_eq!(folder.read(FILE), "dear diary\n");
}
