//! `drop`: pending URLs go out of the queue, and the crawl's end stays honest.

use super::*;
use crate::support::{Answer, Site};

const JOB: &str = "data/default/docs/checkpoint";

/// A crawl of a site of 30 pages that was stopped after three; a calendar hangs below every page.
fn stopped(folder: &Folder) -> Site {
    let site = Site::new();
    let links: String = (0..30)
        .map(|n| format!("<a href=/page/{n}>x</a><a href=/calendar/{n}>x</a>"))
        .collect();
    site.otherwise(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        _ => Answer::html(links.clone()),
    });
    let spider = format!(r#"{{"name": "docs", "start_urls": ["{}"]}}"#, site.url("/"));
    folder.write("docs.json", spider);
    crawl(folder, &["--max-pages", "1"]).code(4);
    site
}

fn crawl(folder: &Folder, args: &[&str]) -> Done {
    let tool = Tool::new("crawl-run").dir(folder).arg("docs.json");
    tool.args(args).run()
}

fn dropping(folder: &Folder, args: &[&str]) -> Tool {
    frontier(folder).args(["drop", "--job", JOB]).args(args)
}

#[test]
fn what_is_dropped_is_never_asked_for_and_the_end_says_so() {
    let folder = Folder::new();
    let site = stopped(&folder);
    let listed = format!(
        "{}\n{}\n{}\nnonsense\n",
        site.url("/page/3"),
        site.url("/page/4#x"),
        site.url("/none")
    );
    let list = dropping(&folder, &[]).stdin(listed).run().code(0);
    list.says("dropped 2, not pending 1, invalid 1");
    let pattern = dropping(&folder, &["--pattern", "/calendar/"])
        .run()
        .code(0);
    pattern.says("dropped 30, not pending 0, invalid 0");
    let again = dropping(&folder, &["--pattern", "/calendar/"])
        .run()
        .code(0);
    again.says("dropped 0,");
    let verify = Tool::new("crawl-ckpt")
        .dir(&folder)
        .args(["verify", "docs"]);
    verify.run().code(0).prints("sound");
    let show = Tool::new("crawl-ckpt").dir(&folder).args(["show", "docs"]);
    show.run().code(0).prints("dropped").prints("32");
    let explain = crawl(&folder, &["--explain", &site.url("/calendar/7")]).code(0);
    explain.prints("finished without a record: dropped from the queue");
    let explain = crawl(&folder, &["--explain", &site.url("/")]).code(0);
    assert!(!explain.text().contains("dropped"), "{explain}");

    // Every page links to all of them.
    crawl(&folder, &[])
        .code(0)
        .says("dropped    32 URLs, by crawl-frontier drop");
    let mut paths = site.paths();
    paths.retain(|path| path != "/robots.txt");
    assert_eq!(paths.len(), 29, "{paths:?}");
    assert!(
        !paths
            .iter()
            .any(|path| path.starts_with("/calendar") || path == "/page/3")
    );
}

#[test]
fn a_host_goes_as_a_whole_and_a_crawl_without_anything_left_is_complete() {
    let folder = Folder::new();
    let site = stopped(&folder);
    let none = dropping(&folder, &["--host", "other.example"])
        .run()
        .code(0);
    none.says("dropped 0,");
    let all = dropping(&folder, &["--host", &site.host()]).run().code(0);
    all.says("dropped 60,");
    let stat = frontier(&folder)
        .args(["stat", "--job", JOB, "--json"])
        .run();
    let stat: Value = serde_json::from_slice(&stat.code(0).stdout).unwrap();
    assert_eq!(
        (&stat["pending"], &stat["dropped"]),
        (&0.into(), &60.into())
    );
    crawl(&folder, &["-q"]).code(0);
    assert!(!folder.join(JOB).exists());
}

#[test]
fn a_job_that_runs_or_is_not_there_is_left_alone() {
    let folder = Folder::new();
    dropping(&folder, &["--pattern", "x"])
        .run()
        .code(1)
        .says("there is no job");
    assert!(!folder.join(JOB).exists());
    let site = stopped(&folder);
    site.latency(std::time::Duration::from_secs(30));
    site.clear_log();
    let run = Tool::new("crawl-run").dir(&folder).arg("docs.json").start();
    site.wait_for(1);
    dropping(&folder, &["--pattern", "x"]).run().code(75);
    drop(run);
    dropping(&folder, &["--pattern", "("]).run().code(2);
}
