//! What a run leaves beside its records: `….summary.json`, and what is made of it.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Folder, Site, Tool};

/// A site of 12 pages that also links to another host.
struct Ground {
    folder: Folder,
    site: Site,
}

impl Ground {
    fn new() -> Ground {
        let site = Site::tree(12, 3);
        site.page(
            "/",
            "<a href=/1/page-1.html>1</a> <a href=http://elsewhere.example/>x</a>",
        );
        Ground {
            folder: Folder::new(),
            site,
        }
    }

    fn crawl(&self, args: &[&str]) -> Tool {
        let tool = Tool::new("crawl-run").dir(&self.folder).arg("--delay=0s");
        tool.arg(self.site.url("/")).args(args)
    }

    fn spider(&self) -> String {
        self.site.host().replace(':', "-")
    }

    /// The only summary that is there.
    fn summary(&self) -> (PathBuf, Value) {
        let dir = PathBuf::from("data/default").join(self.spider());
        let mut found = self.folder.files();
        found.retain(|file| file.starts_with(dir.join("crawls")));
        found.retain(|file| file.to_string_lossy().contains(".summary.json"));
        assert_eq!(found.len(), 1, "{found:?}");
        let file = found.remove(0);
        let text = self.folder.read(file.to_str().unwrap());
        assert_eq!(text.lines().count(), 1, "{text}");
        (file, serde_json::from_str(&text).unwrap())
    }

    fn report(&self, args: &[&str]) -> Value {
        let tool = Tool::new("crawl-ckpt").dir(&self.folder).arg("report");
        let done = tool.arg(self.spider()).args(args).arg("--json").run();
        serde_json::from_slice(&done.code(0).stdout).unwrap()
    }
}

#[test]
fn a_complete_crawl_leaves_what_its_checkpoint_knew() {
    let ground = Ground::new();
    ground.crawl(&["-q"]).run().code(0);
    let (file, summary) = ground.summary();
    let records = ground
        .folder
        .read(&file.to_string_lossy().replace(".summary.json", ".jsonl"));
    assert_eq!(summary["summary"], 1);
    assert_eq!(summary["state"], "complete");
    assert_eq!(summary["records"], records.lines().count());
    assert_eq!(summary["dropped"]["domain"], 1);
    assert_eq!(summary["counts"]["pending"], 0);
    assert_eq!(summary["crawl"], format!("default/{}", ground.spider()));
    assert_eq!(summary["runs"][0]["exit"], 0);
    assert_eq!(summary["runs_total"], 1);
    let report = ground.report(&[]);
    assert!(report["checkpoint"].is_null());
    assert_eq!(report["summary"]["dropped"]["domain"], 1);
    let page = Tool::new("crawl-ckpt").dir(&ground.folder).arg("report");
    let page = page.arg(ground.spider()).args(["-o", "-"]).run();
    page.prints(">complete</span>").prints("Links not taken on");
}

#[test]
fn each_run_that_can_tell_is_told_of() {
    let ground = Ground::new();
    ground.crawl(&["-q", "--max-pages", "3"]).run().code(4);
    let (_, first) = ground.summary();
    assert_eq!(first["state"], "stopped");
    assert_eq!(first["records"], 3);
    ground.crawl(&["-q"]).run().code(0);
    let (_, last) = ground.summary();
    assert_eq!(last["began_at"], first["began_at"]);
    assert_eq!(last["runs_total"], 2);
    let runs = last["runs"].as_array().unwrap();
    let column = |name: &str| runs.iter().map(|run| run[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("state"), ["stopped", "complete"]);
    assert_eq!(column("exit"), [4, 0]);
    let sum: u64 = column("records").iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(last["records"], sum);
    // The next crawl is another one.
    fs::remove_dir_all(ground.folder.join("data")).unwrap();
    ground.crawl(&["-q"]).run().code(0);
    assert_eq!(ground.summary().1["runs_total"], 1);
}

#[test]
fn a_test_crawl_and_one_to_stdout_leave_none() {
    let ground = Ground::new();
    let test = ["-q", "--limit", "3", "-o", "some.jsonl"];
    ground.crawl(&test).run().code(0);
    ground.crawl(&["-q", "-o", "-"]).run().code(0);
    let files = ground.folder.files();
    let is_summary = |file: &PathBuf| file.to_string_lossy().contains("summary");
    assert!(!files.iter().any(is_summary), "{files:?}");
}

#[test]
fn a_crawl_that_is_thrown_away_takes_its_summary_along() {
    let ground = Ground::new();
    ground.crawl(&["-q", "--max-pages", "3"]).run().code(4);
    let (before, _) = ground.summary();
    ground
        .crawl(&["-q", "--fresh", "--max-pages", "5"])
        .run()
        .code(4);
    let aside = ground.folder.read(&format!("{}.partial", before.display()));
    let aside: Value = serde_json::from_str(&aside).unwrap();
    assert_eq!(aside["records"], 3);
    let now: Value = serde_json::from_str(&ground.folder.read(before.to_str().unwrap())).unwrap();
    assert_eq!(
        (&now["records"], &now["runs_total"]),
        (&5.into(), &1.into())
    );
    let partial = before
        .to_string_lossy()
        .replace(".summary.json", ".jsonl.partial");
    let report = ground.report(&["--from", &partial]);
    assert_eq!(report["summary"]["records"], 3);
}

#[test]
fn what_is_in_the_way_of_the_summary_changes_nothing_of_the_crawl() {
    let ground = Ground::new();
    let mine = "{\"mine\": true}\n";
    ground.folder.write("out.summary.json", mine);
    ground
        .crawl(&["-q", "-o", "out.jsonl"])
        .run()
        .code(0)
        .says("crawl-run: cannot write out.summary.json: it is there already and is no summary");
    assert_eq!(ground.folder.read("out.summary.json"), mine);
    Tool::new("crawl-ckpt")
        .dir(&ground.folder)
        .arg("ls")
        .run()
        .code(0)
        .prints_just("");
}

#[test]
fn a_report_is_made_at_the_end_of_each_run() {
    let ground = Ground::new();
    let made = |pages: &str| {
        ground
            .crawl(&["--max-pages", pages, "--report", "r.html"])
            .run()
    };
    made("3").code(4).says("report r.html: ");
    let page = ground.folder.read("r.html");
    assert!(page.contains(">paused</span>"), "{page}");
    made("300").code(0).says("of 12 records in data/default/");
    let page = ground.folder.read("r.html");
    assert!(page.contains(">complete</span>"), "{page}");
}

#[test]
fn a_report_that_cannot_be_made_changes_nothing_of_the_crawl() {
    let ground = Ground::new();
    ground.folder.write("mine.html", "<p>mine");
    let refused = ground.crawl(&["--report", "mine.html"]).run().code(2);
    refused.says("mine.html is there already and is no page");
    assert!(ground.site.paths().is_empty());
    for (args, code) in [(&["--max-pages", "3"][..], 4), (&[], 0)] {
        let done = ground
            .crawl(args)
            .args(["-q", "--report", "none/r.html"])
            .run();
        done.code(code)
            .says("crawl-run: no report: cannot write none/r.html: ");
    }
}

#[test]
fn programs_get_the_summary_of_a_run_on_stdout() {
    let ground = Ground::new();
    let json = |args: &[&str], code| -> Value {
        let done = ground.crawl(args).args(["-q", "--json"]).run().code(code);
        serde_json::from_slice(&done.prints_lines(1).stdout).unwrap()
    };
    let test = json(&["--limit", "2", "-o", "some.jsonl"], 0);
    assert_eq!(
        (&test["state"], &test["records"]),
        (&"complete".into(), &2.into())
    );
    let stopped = json(&["--max-pages", "3"], 4);
    assert_eq!(stopped["state"], "stopped");
    let complete = json(&[], 0);
    assert_eq!(complete, ground.summary().1);
    assert_eq!(complete["runs_total"], 2);
}

#[test]
fn neither_a_report_nor_a_summary_goes_with_records_on_stdout() {
    let ground = Ground::new();
    for args in [
        &["--json", "-o", "-"][..],
        &["--json", "--limit", "3"],
        &["--report", "r.html", "-o", "-"],
        &["--report", "r.html", "--limit", "3"],
    ] {
        let done = ground.crawl(args).run().code(2);
        done.says("the records go to stdout").says("hint: -o FILE");
    }
    assert!(ground.site.paths().is_empty());
}
