//! `crawl-run batch` from outside.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;
use support::{
    Answer, Folder, Forward, Random, Running, Signal, Site, Tool, Tree, has, send_signal,
};

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
    let is_output = |file: &PathBuf| file.extension() == Some("jsonl".as_ref());
    let files = files.filter(|file| file.starts_with(&crawls));
    files.filter(is_output).collect()
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
    let text = folder.read("list.csv") + "dead.json,9\nmissing.json,9\n";
    folder.write("list.csv", text);
    let start = r#""start_urls": ["http://127.0.0.1:1/"]"#;
    let settings = r#""settings": {"RETRY_TIMES": 0}"#;
    folder.write(
        "dead.json",
        format!(r#"{{"name": "dead", {start}, {settings}}}"#),
    );
    let done = batch(&folder).arg("--json").run().code(1);
    is_whole(&folder, 3);
    // One record a run: that of an entry which is tried again says so.
    let ends = |site: &str| {
        let lines = done.lines();
        let records = lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let records = records.filter(|record| record["site"] == site);
        let ends = records
            .map(|record| format!("{} {}", record["state"].as_str().unwrap(), record["exit"]));
        ends.collect::<Vec<_>>()
    };
    assert_eq!(ends("s0.json"), ["done 0"]);
    assert_eq!(ends("dead.json"), ["retry 1", "failed 1"]);
    assert_eq!(ends("missing.json"), ["failed 2"]);
    let done = done.says("; no start URL ever answered");
    let done = done.says("batch: 3 of 5 done, 2 failed");
    assert_eq!(
        done.words().matches("dead.json: failed after").count(),
        2,
        "{done}"
    );
    let states = states(&folder);
    for name in ["dead.json", "missing.json"] {
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
fn a_terminal_shows_a_table_of_crawls_and_the_total_and_a_log_does_not() {
    let (folder, sites) = (Folder::new(), sites(2));
    list(&folder, &sites);
    if has("script") {
        let line = format!("{} batch list.csv", support::bin("crawl-run").display());
        let shown = Tool::program("script")
            .args(["-qec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .dir(&folder)
            .run()
            .code(0);
        for text in ["s0.json: new crawl", "2 running, ", "PENDING"] {
            shown.clone().prints(text);
        }
    }
    let log = batch(&folder).run().code(0).never_says("running");
    assert!(!log.words().contains(['\r', '\u{1b}']), "{log}");
}

#[test]
fn escapes_in_a_list_reach_no_terminal() {
    let folder = Folder::new();
    folder.write("list.jsonl", "\"\\u001b[31mred.json\"\n\"a\\nb.json\"\n");
    let tool = || {
        Tool::new("crawl-run")
            .dir(&folder)
            .args(["batch", "list.jsonl"])
    };
    let runs = [tool().run().code(1), tool().arg("--status").run().code(0)];
    for done in runs {
        let shown = done.text() + &done.words();
        assert!(!shown.contains('\u{1b}'), "{done}");
        assert!(shown.contains(r"\u{1b}[31mred.json"), "{done}");
        assert!(shown.contains(r"a\nb.json"), "{done}");
    }
}

/// A program in the place of crawl-frontier: the frontier itself, and then a command when
/// the crawl of `spider` is complete, which crawl-run does not know yet.
fn when_complete(folder: &Folder, spider: &str, command: &str) -> PathBuf {
    let frontier = support::bin("crawl-frontier");
    let script = format!(
        "#!/bin/sh\n{} \"$@\"; code=$?\n\
         case \"$*\" in */{spider}/*) [ $code = 0 ] && {{ {command}; }} ;; esac\nexit $code\n",
        frontier.display()
    );
    let path = folder.write("frontier", script);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

const CHECKPOINT: &str = "data/default/s1/checkpoint";

#[test]
fn a_batch_that_is_killed_before_an_entry_is_marked_done_does_not_crawl_it_again() {
    let (folder, sites) = (Folder::new(), sites(3));
    list(&folder, &sites);
    let frontier = when_complete(&folder, "s1", "kill -9 $PPID");
    let killed = batch(&folder).env("CRAWL_FRONTIER", frontier).run();
    assert_eq!(killed.signal(), Some(9), "{killed}");
    assert!(folder.join(CHECKPOINT).exists());
    assert!(states(&folder).contains(&("s1.json".into(), "interrupted".into())));
    let asked = sites[1].count();
    batch(&folder).run().code(0);
    assert_eq!(sites[1].count(), asked);
    is_whole(&folder, 3);
}

#[test]
fn a_batch_that_is_killed_between_the_mark_and_the_removal_does_not_crawl_the_site_again() {
    let (folder, sites) = (Folder::new(), sites(3));
    list(&folder, &sites);
    let keep = format!("cp -r {CHECKPOINT} kept");
    let frontier = when_complete(&folder, "s1", &keep);
    let run = batch(&folder).env("CRAWL_FRONTIER", frontier);
    let run = run.args(["--jobs", "1"]).start();
    // Here the mark is durable, and the checkpoint removed.
    wait_done(&run, "s1.json");
    run.signal(Signal::Kill);
    run.wait();
    let put_back = || fs::rename(folder.join("kept"), folder.join(CHECKPOINT)).unwrap();
    put_back();
    let asked = sites[1].count();
    batch(&folder).run().code(0);
    assert_eq!(sites[1].count(), asked);
    is_whole(&folder, 3);
}

#[test]
fn a_batch_that_is_killed_after_its_last_entry_is_ended_and_not_begun_anew() {
    let (folder, sites) = (Folder::new(), sites(2));
    list(&folder, &sites);
    fs::remove_file(folder.join("s0.json")).unwrap();
    batch(&folder).run().code(1);
    // What the file is before the last line, which says that the batch is over.
    let file = folder.files().into_iter().find(|file| {
        file.starts_with("data/default/.batch") && file.extension().is_some_and(|e| e == "jsonl")
    });
    let file = file.unwrap().to_str().unwrap().to_owned();
    let text = folder.read(&file);
    let (entries, over) = text.trim_end().rsplit_once('\n').unwrap();
    assert!(over.starts_with(r#"{"over_at":"#), "{over}");
    folder.write(&file, format!("{entries}\n"));
    let status = batch(&folder).arg("--status").run().code(0);
    status.says("batch: 1 of 2 done, 1 failed; not over");
    batch(&folder).run().code(1).says("resuming the batch: ");
    let status = batch(&folder).arg("--status").run().code(0);
    status.says("batch: 1 of 2 done, 1 failed; over");
    assert_eq!(outputs(&folder, 1).len(), 1);
    batch(&folder).run().code(1).says("new batch: ");
    assert_eq!(outputs(&folder, 1).len(), 2);
}

/// Entries that cannot end well, each for another reason: the end that each is to have.
fn doomed(folder: &Folder, blocking: &Site, silent: &Site) -> [(&'static str, &'static str); 5] {
    let links = (0..8).map(|n| format!("<a href=/{n}>n</a>"));
    blocking.page("/", &links.collect::<String>());
    blocking.otherwise(|_| Answer::status(403));
    silent.latency(Duration::from_secs(20));
    let hurried = r#"{"ROBOTSTXT_OBEY": false, "RETRY_TIMES": 0, "DOWNLOAD_TIMEOUT": 1}"#;
    for (name, url) in [
        ("dns", "http://nowhere.invalid/".to_owned()),
        ("refused", "http://127.0.0.1:1/".to_owned()),
        ("silent", silent.url("/")),
        ("blocked", blocking.url("/")),
    ] {
        let text = format!(r#"{{"name":"{name}","start_urls":["{url}"],"settings":{hurried}}}"#);
        folder.write(&format!("{name}.json"), text);
    }
    folder.write("wrong.json", r#"{"name": "wrong", "start_urls": 7}"#);
    [
        ("dns.json", "failed"),
        ("refused.json", "failed"),
        ("silent.json", "failed"),
        ("blocked.json", "parked"),
        ("wrong.json", "failed"),
    ]
}

#[test]
fn a_night_of_thirty_sites_that_is_killed_ten_times_crawls_each_site_once() {
    const GOOD: usize = 25;
    let (folder, sites) = (Folder::new(), sites(GOOD));
    let (blocking, silent, proxy) = (Site::new(), Site::new(), Forward::new());
    list(&folder, &sites);
    let doomed = doomed(&folder, &blocking, &silent);
    let mut text = folder.read("list.csv");
    for (n, (name, _)) in doomed.iter().enumerate() {
        text.push_str(&format!("{name},{}\n", n * 5));
    }
    folder.write("list.csv", text);
    let batch = || {
        let batch = batch(&folder).env("DATACENTER_PROXY_URL", proxy.url(""));
        batch.env("RESIDENTIAL_PROXY_URL", proxy.url(""))
    };
    let asked = || sites.iter().map(Site::count).sum::<usize>();
    let answer_after = |ms| {
        let latency = Duration::from_millis(ms);
        sites.iter().for_each(|site| _ = site.latency(latency));
    };
    // Of sites that are done: what they were asked until then.
    let mut done: HashMap<usize, usize> = HashMap::new();
    let mut random = Random(Random::any_seed());
    for kill in 1..=10 {
        let due = kill * GOOD * PAGES / 12 + random.below(30) as usize;
        let run = batch().args(["--jobs", "4"]).start();
        while asked() < due {
            assert!(run.status().is_none(), "{}", run.wait());
            std::thread::sleep(Duration::from_millis(1));
        }
        // Whatever the machine is busy with, the batch is not at its end when the signal comes.
        answer_after(2000);
        run.signal(Signal::Kill);
        assert_eq!(run.wait().signal(), Some(9));
        answer_after(20);
        for (site, state) in states(&folder) {
            let number = site.trim_start_matches('s').trim_end_matches(".json");
            if let (Ok(n), "done") = (number.parse::<usize>(), state.as_str()) {
                done.entry(n).or_insert_with(|| sites[n].count());
            }
        }
    }
    assert!(done.len() > 10, "{done:?}");
    let end = batch().args(["--jobs", "4"]).run().code(1);
    end.says("batch: 25 of 30 done, 4 failed, 1 parked");
    is_whole(&folder, GOOD);
    for (n, asked) in done {
        assert_eq!(sites[n].count(), asked, "s{n} was asked again");
    }
    let states: HashMap<String, String> = states(&folder).into_iter().collect();
    for (name, want) in doomed {
        assert_eq!(states[name], want, "{name}");
    }
    assert_eq!(states.values().filter(|state| *state == "done").count(), 25);
}

#[test]
fn a_plain_list_is_read_from_stdin_and_told_again_it_goes_on() {
    let (folder, sites) = (Folder::new(), sites(2));
    let [a, b] = [sites[0].url("/"), sites[1].url("/")];
    let list = format!("\u{feff}# mine\r\n\r\n{a}\r\n{a}#top\r\n  {b}  \r\n");
    let run = |words: &[&str]| {
        let tool = Tool::new("crawl-run").dir(&folder).stdin(&list);
        tool.args(["batch", "-"]).args(words).run()
    };
    run(&["--max-time", "0s"]).code(4);
    run(&["--status"]).code(0).prints("waiting");
    run(&[])
        .code(0)
        .says("resuming the batch")
        .says("batch: 2 of 2 done");
    run(&["--status"]).code(0).prints(&a).prints(&b);
}

#[test]
fn a_word_that_is_no_url_is_refused_with_its_line_before_anything_begins() {
    let (folder, site) = (Folder::new(), Site::tree(2, 1));
    let url = site.url("/");
    for (name, text) in [
        ("l.csv", format!("url\n{url}\nword\n")),
        ("l.txt", format!("# mine\n{url}\nword\n")),
        ("l.jsonl", format!("\"{url}\"\n\n\"word\"\n")),
    ] {
        folder.write(name, text);
        let tool = Tool::new("crawl-run").dir(&folder);
        let done = tool.args(["batch", name]).run().code(2);
        done.says("line 3: expected a URL").says("found `word`");
    }
    assert_eq!(site.count(), 0);
}

#[test]
fn two_entries_of_one_crawl_are_refused_with_both_places_before_anything_begins() {
    let (folder, sites) = (Folder::new(), sites(1));
    list(&folder, &sites);
    folder.write("twin.json", folder.read("s0.json"));
    let [one, other] = ["/a", "/b"].map(|path| sites[0].url(path));
    for entries in [
        "s0.json\n\ntwin.json\n",
        &format!("{one}\n# mine\n{other}\n"),
    ] {
        folder.write("l", entries);
        let tool = Tool::new("crawl-run").dir(&folder);
        let done = tool.args(["batch", "l"]).run().code(2);
        done.says("line 1 and line 3 are the same crawl, default/")
            .says("hint: ");
    }
    assert_eq!(sites[0].count(), 0);
}

#[test]
fn the_end_names_what_failed_and_why() {
    let (folder, sites) = (Folder::new(), sites(1));
    let url = sites[0].url("/");
    folder.write("l", format!("missing.json\nbroken.json\n{url}\n"));
    folder.write("broken.json", "{");
    let tool = Tool::new("crawl-run").dir(&folder);
    let done = tool.args(["batch", "l"]).run().code(1);
    let words = done.words();
    let end: Vec<&str> = words.lines().rev().take(3).collect();
    assert!(end[2].starts_with("failed: missing.json: "), "{done}");
    assert!(end[2].contains("No such file"), "{done}");
    assert!(end[1].starts_with("failed: broken.json: "), "{done}");
    assert_eq!(end[0], "batch: 1 of 3 done, 2 failed");
}

/// The processes of this name that a process has started and not waited for.
fn children(pid: u32, name: &str) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter();
    let lists = tasks
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let lists: String = lists.collect();
    let pids = lists.split_whitespace().map(|pid| pid.parse().unwrap());
    let has_name = |pid: &u32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.trim() == name)
    };
    pids.filter(has_name).collect()
}

/// A batch of four sites, one by one, in which the program that serves the third one is killed once, with
/// a request under way: the number of each site whose start page was asked for, and who served it.
fn served_until_killed(name: &'static str) -> (Vec<usize>, Vec<u32>) {
    let (folder, sites) = (Folder::new(), sites(4));
    let (batch_pid, seen) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
    for (n, site) in sites.iter().enumerate() {
        let (batch_pid, seen) = (Arc::clone(&batch_pid), Arc::clone(&seen));
        site.on("/", move |_| {
            let found = children(*batch_pid.wait(), name);
            assert_eq!(found.len(), 1, "{name}");
            let mut seen = seen.lock().unwrap();
            let is_first = seen.iter().all(|(of, _)| *of != n);
            seen.push((n, found[0]));
            if n == 1 && is_first {
                send_signal(Signal::Kill, i64::from(found[0]));
            }
            let tree = Tree {
                pages: PAGES,
                links_per_page: 5,
            };
            tree.answer("/").unwrap()
        });
    }
    list(&folder, &sites);
    let run = batch(&folder).args(["--jobs", "1"]).start();
    batch_pid.set(run.pid()).unwrap();
    run.wait().code(0);
    is_whole(&folder, 4);
    let seen = seen.lock().unwrap();
    seen.iter().copied().unzip()
}

#[test]
fn one_fetcher_serves_site_after_site_until_it_dies() {
    let (order, pids) = served_until_killed("crawl-fetch");
    assert_eq!(order, [3, 2, 1, 1, 0]);
    assert!(pids[0] == pids[1] && pids[1] == pids[2], "{pids:?}");
    assert!(pids[2] != pids[3] && pids[3] == pids[4], "{pids:?}");
}

#[test]
fn one_frontier_serves_site_after_site_and_when_it_dies_its_site_alone_is_tried_again() {
    let (order, pids) = served_until_killed("crawl-frontier");
    assert_eq!(order, [3, 2, 1, 0, 1]);
    assert!(pids[0] == pids[1] && pids[1] == pids[2], "{pids:?}");
    assert!(pids[2] != pids[3] && pids[3] == pids[4], "{pids:?}");
}
