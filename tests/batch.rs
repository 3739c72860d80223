//! `crawl-run batch` from outside.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use support::{Folder, Random, Running, Signal, Site, Tool};

const PAGES: usize = 30;

fn sites(count: usize) -> Vec<Site> {
    let site = |_| {
        let site = Site::tree(PAGES, 5);
        site.latency(Duration::from_millis(20));
        site
    };
    (0..count).map(site).collect()
}

/// A list of sites, one a line, with spider files that leave robots.txt alone.
fn list(folder: &Folder, sites: &[Site]) {
    let mut list = String::from("spider,priority\n");
    for (n, site) in sites.iter().enumerate() {
        let url = site.url("/");
        let settings = r#"{"ROBOTSTXT_OBEY": false, "RETRY_TIMES": 0}"#;
        let text =
            format!(r#"{{"name": "s{n}", "start_urls": ["{url}"], "settings": {settings}}}"#);
        folder.write(&format!("s{n}.json"), text);
        list.push_str(&format!("s{n}.json,{n}\n"));
    }
    folder.write("list.csv", list);
}

fn batch(folder: &Folder) -> Tool {
    let tool = Tool::new("crawl-run").dir(folder);
    tool.args(["batch", "list.csv", "--retries", "1"])
}

/// The output files of a spider.
fn outputs(folder: &Folder, n: usize) -> Vec<PathBuf> {
    let crawls = PathBuf::from(format!("data/default/s{n}/crawls"));
    let files = folder.files().into_iter();
    files.filter(|file| file.starts_with(&crawls)).collect()
}

/// Each spider was crawled exactly once, with one record a page, and no checkpoint is left.
#[track_caller]
fn is_whole(folder: &Folder, sites: usize) {
    for n in 0..sites {
        let [output] = &outputs(folder, n)[..] else {
            panic!("s{n} has not one output: {:?}", outputs(folder, n));
        };
        let text = folder.read(output.to_str().expect("UTF-8"));
        let url = |line: &str| {
            let record: Value = serde_json::from_str(line).expect("a record");
            record["url"].to_string()
        };
        let mut urls: Vec<String> = text.lines().map(url).collect();
        urls.sort();
        urls.dedup();
        assert_eq!((urls.len(), text.lines().count()), (PAGES, PAGES), "s{n}");
        assert!(
            !folder
                .join(format!("data/default/s{n}/checkpoint"))
                .exists()
        );
    }
}

/// `--status --json`: site and state.
fn states(folder: &Folder) -> Vec<(String, String)> {
    let done = batch(folder).args(["--status", "--json"]).run().code(0);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let lines = done.lines();
    let values = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    values
        .map(|v| (text(&v["site"]), text(&v["state"])))
        .collect()
}

fn wait_done(run: &Running, what: &str) {
    run.wait_says(&format!("{what}: complete after"));
}

#[test]
fn a_batch_crawls_each_site_and_a_finished_one_begins_anew() {
    let (folder, sites) = (Folder::new(), sites(3));
    list(&folder, &sites);
    let done = batch(&folder).arg("--json").run().code(0);
    is_whole(&folder, 3);
    let done = done
        .says("new batch: 0 of 3 done")
        .says("batch: 3 of 3 done")
        .prints_lines(3);
    assert!(done.lines()[0].contains(r#""records":30"#), "{done}");
    assert!(states(&folder).iter().all(|(_, state)| state == "done"));
    batch(&folder)
        .run()
        .code(0)
        .says("new batch: 0 of 3 done, 3 left");
    assert_eq!(outputs(&folder, 0).len(), 2);
}

#[test]
fn higher_priority_goes_first() {
    let (folder, sites) = (Folder::new(), sites(3));
    list(&folder, &sites);
    let done = batch(&folder).args(["--jobs", "1", "--json"]).run().code(0);
    let site = |line: &String| serde_json::from_str::<Value>(line).expect("JSON")["site"].clone();
    let order: Vec<Value> = done.lines().iter().map(site).collect();
    assert_eq!(order, ["s2.json", "s1.json", "s0.json"]);
}

#[test]
fn failed_entries_stop_nobody_and_are_retried_so_often() {
    let (folder, sites) = (Folder::new(), sites(3));
    list(&folder, &sites);
    let text = folder.read("list.csv") + "dead.json,9\nmissing.json,9\ntwin.json,-1\n";
    folder.write("list.csv", text);
    let start = r#""start_urls": ["http://127.0.0.1:1/"]"#;
    let settings = r#""settings": {"RETRY_TIMES": 0}"#;
    folder.write(
        "dead.json",
        format!(r#"{{"name": "dead", {start}, {settings}}}"#),
    );
    folder.write("twin.json", folder.read("s0.json"));
    let done = batch(&folder).run().code(1);
    is_whole(&folder, 3);
    let done = done.says("; no start URL ever answered");
    let done = done.says("batch: 3 of 6 done, 3 failed");
    assert_eq!(
        done.words().matches("dead.json: failed after").count(),
        2,
        "{done}"
    );
    let states = states(&folder);
    for name in ["dead.json", "missing.json", "twin.json"] {
        assert!(
            states.contains(&(name.into(), "failed".into())),
            "{states:?}"
        );
    }
}

#[test]
fn a_paused_batch_goes_on_with_the_same_command() {
    let (folder, sites) = (Folder::new(), sites(4));
    list(&folder, &sites);
    sites[1].latency(Duration::from_millis(500));
    let run = batch(&folder).args(["--jobs", "1"]).start();
    wait_done(&run, "s3.json");
    sites[1].wait_for(3);
    // Beside it: another batch, and a look.
    batch(&folder)
        .run()
        .code(75)
        .says(&format!("pid {} ", run.pid()));
    assert!(states(&folder).contains(&("s1.json".into(), "running".into())));
    run.signal_group(Signal::Term);
    run.wait().code(143);
    assert!(states(&folder).contains(&("s0.json".into(), "waiting".into())));
    batch(&folder).run().code(0).says("resuming the batch: ");
    is_whole(&folder, 4);
}

#[test]
fn a_time_limit_stops_a_batch_in_good_order() {
    let (folder, sites) = (Folder::new(), sites(4));
    list(&folder, &sites);
    sites.iter().for_each(|site| {
        site.latency(Duration::from_millis(200));
    });
    batch(&folder)
        .args(["--jobs", "1", "--max-time", "1s"])
        .run()
        .code(4);
    sites.iter().for_each(|site| {
        site.latency(Duration::ZERO);
    });
    batch(&folder).run().code(0);
    is_whole(&folder, 4);
}

#[test]
fn a_batch_that_is_killed_again_and_again_crawls_each_site_once() {
    let (folder, sites) = (Folder::new(), sites(6));
    list(&folder, &sites);
    let mut random = Random(Random::any_seed());
    for _ in 0..8 {
        let run = batch(&folder).args(["--jobs", "3"]).start();
        let before: usize = sites.iter().map(Site::count).sum();
        let more = before + random.below(40) as usize;
        // At a moment that depends on what the sites were asked, or when it ends before.
        while sites.iter().map(Site::count).sum::<usize>() < more && run.status().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        run.signal(Signal::Kill);
        if run.wait().signal().is_none() {
            break;
        }
    }
    batch(&folder).run().code(0);
    is_whole(&folder, 6);
}
