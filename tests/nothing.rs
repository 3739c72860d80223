//! Crawls that come to nothing, and how they say so: the exit code, the cause, and records that
//! wait for a run that succeeds.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use support::{Answer, Folder, Site, Tool};

/// crawl-run on `shop.json`, with its output in `out.jsonl`.
fn shop(folder: &Folder) -> Tool {
    Tool::new("crawl-run")
        .dir(folder)
        .args(["shop.json", "-o", "out.jsonl"])
}

/// Writes `shop.json`, which starts there and does not try again.
fn spider(folder: &Folder, starts: &[String], more: Value) {
    let mut spider = json!({"name": "shop", "start_urls": starts, "settings": {"RETRY_TIMES": 0}});
    if let Value::Object(more) = more {
        spider.as_object_mut().unwrap().extend(more);
    }
    folder.write("shop.json", spider.to_string());
}

/// The status of each record, or the kind of its error; no URL has two records.
#[track_caller]
fn records(folder: &Folder) -> HashMap<String, Value> {
    let mut records = HashMap::new();
    for line in folder.read("out.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let end = match &record["error"]["kind"] {
            Value::Null => record["status"].clone(),
            kind => kind.clone(),
        };
        let url = record["url"].as_str().unwrap().to_owned();
        assert!(records.insert(url, end).is_none(), "two records: {line}");
    }
    records
}

fn pending(folder: &Folder) -> u64 {
    let job = "data/default/shop/checkpoint";
    let stat = Tool::new("crawl-frontier").dir(folder);
    let stat = stat.args(["stat", "--json", "--job", job]).run().code(0);
    let stat: Value = serde_json::from_str(&stat.text()).unwrap();
    stat["pending"].as_u64().unwrap()
}

/// A site whose front page answers with a status that the test may change.
fn moody(status: u16) -> (Site, Arc<AtomicU16>) {
    let site = Site::new();
    let mood = Arc::new(AtomicU16::new(status));
    let now = Arc::clone(&mood);
    site.on("/", move |_| {
        Answer::html("<a href='/a'>a</a>").with_status(now.load(Ordering::SeqCst))
    });
    site.page("/a", "a");
    (site, mood)
}

#[test]
fn a_start_url_without_a_page_fails_the_run_even_quietly_and_waits_for_a_better_day() {
    for status in [403, 404, 410, 500, 503] {
        let (site, mood) = moody(status);
        let folder = Folder::new();
        spider(&folder, &[site.url("/")], json!({}));
        for _ in 0..2 {
            let run = shop(&folder).arg("-q").run().code(1);
            run.says("nothing useful").says(&format!("status {status}"));
            assert!(records(&folder).is_empty(), "{status}");
            assert_eq!(pending(&folder), 1);
        }
        assert_eq!(site.hits("/"), 2);
        mood.store(200, Ordering::SeqCst);
        shop(&folder).arg("-q").run().code(0).is_quiet();
        let want = [(site.url("/"), json!(200)), (site.url("/a"), json!(200))];
        assert_eq!(records(&folder), want.into(), "{status}");
    }
}

#[test]
fn accept_empty_takes_it_for_the_result() {
    let (site, _) = moody(404);
    let folder = Folder::new();
    spider(&folder, &[site.url("/")], json!({}));
    shop(&folder).run().code(1).says("--accept-empty");
    shop(&folder).arg("--accept-empty").run().code(0);
    assert_eq!(records(&folder), [(site.url("/"), json!(404))].into());
    assert!(!folder.join("data/default/shop/checkpoint").exists());
}

#[test]
fn a_site_that_robots_txt_closes_fails_and_is_asked_again_when_it_opens() {
    let site = Site::new();
    let closed = Arc::new(AtomicU16::new(1));
    let is_closed = Arc::clone(&closed);
    site.on("/robots.txt", move |_| {
        match is_closed.load(Ordering::SeqCst) {
            1 => Answer::text("User-agent: *\nDisallow: /\n"),
            2 => Answer::status(503),
            _ => Answer::status(404),
        }
    });
    site.page("/", "<a href='/a'>a</a>").page("/a", "a");
    let folder = Folder::new();
    spider(&folder, &[site.url("/")], json!({}));
    shop(&folder).run().code(1).says("line 2 of robots.txt");
    closed.store(2, Ordering::SeqCst);
    shop(&folder)
        .run()
        .code(1)
        .says("no robots.txt: status 503");
    assert!(records(&folder).is_empty());
    closed.store(3, Ordering::SeqCst);
    shop(&folder).run().code(0);
    assert_eq!(records(&folder).len(), 2);
}

#[test]
fn one_page_is_enough_for_the_records_of_the_other_start_urls() {
    let site = Site::new();
    site.page("/good", "<a href='/none'>n</a>");
    site.on("/moved", |_| Answer::redirect("/gone"));
    let folder = Folder::new();
    let starts = ["/bad", "/moved", "/good", "/worse"].map(|path| site.url(path));
    spider(&folder, &starts, json!({}));
    let run = shop(&folder).args(["--max-pages", "1", "--per-host", "1"]);
    run.run().code(4);
    // The page alone: for what waited for it there is no room in this run.
    let early = [(site.url("/good"), json!(200))];
    assert_eq!(records(&folder), early.into());
    shop(&folder).run().code(0);
    let ends = [("/bad", 404), ("/moved", 302), ("/gone", 404)];
    let ends = ends
        .into_iter()
        .chain([("/good", 200), ("/worse", 404), ("/none", 404)]);
    let want = ends.map(|(path, status)| (site.url(path), json!(status)));
    assert_eq!(records(&folder), want.collect());
    for (path, hits) in [("/bad", 2), ("/good", 1), ("/worse", 1), ("/none", 1)] {
        assert_eq!(site.hits(path), hits, "{path}");
    }
}

#[test]
fn a_start_url_that_moved_to_nothing_is_asked_where_it_leads_each_time() {
    let (site, foreign) = (Site::new(), Site::at("127.0.0.2"));
    let to = Arc::new(std::sync::Mutex::new("/down".to_owned()));
    let now = Arc::clone(&to);
    site.on("/", move |_| Answer::redirect(&now.lock().unwrap()));
    site.page("/up", "u");
    let folder = Folder::new();
    spider(
        &folder,
        &[site.url("/")],
        json!({"allowed_domains": ["127.0.0.1"]}),
    );
    shop(&folder).run().code(1).says("/down: status 404");
    *to.lock().unwrap() = foreign.url("/");
    let away = shop(&folder).run().code(1);
    away.says("left out: 127.0.0.2").says("not of this crawl");
    assert!(records(&folder).is_empty());
    *to.lock().unwrap() = "/up".to_owned();
    shop(&folder).run().code(0);
    let ends = [
        ("/", json!(302)),
        ("/down", json!(404)),
        ("/up", json!(200)),
    ];
    let want = ends.map(|(path, end)| (site.url(path), end));
    assert_eq!(records(&folder), want.into());
}

#[test]
fn redirects_in_a_circle_are_nothing_useful() {
    let site = Site::new();
    site.on("/", |_| Answer::redirect("/b"));
    site.on("/b", |_| Answer::redirect("/"));
    let folder = Folder::new();
    spider(&folder, &[site.url("/")], json!({}));
    shop(&folder).run().code(1).says("circle");
    assert_eq!(pending(&folder), 2);
}

#[test]
fn pages_of_a_sitemap_are_useful_without_the_start_page() {
    let site = Site::new();
    let entry = format!("<urlset><url><loc>{}</loc></url></urlset>", site.url("/a"));
    site.on("/sitemap.xml", move |_| {
        Answer::typed("application/xml", entry.as_str())
    });
    site.page("/a", "a");
    let folder = Folder::new();
    let settings = json!({"settings": {"USE_SITEMAP": true, "RETRY_TIMES": 0}});
    spider(&folder, &[site.url("/")], settings.clone());
    shop(&folder).run().code(0);
    assert_eq!(records(&folder).len(), 3);
    // A sitemap alone is not.
    let (site, folder) = (Site::new(), Folder::new());
    site.on("/sitemap.xml", |_| {
        Answer::typed("application/xml", "<urlset/>")
    });
    spider(&folder, &[site.url("/")], settings);
    shop(&folder).run().code(1).says("status 404");
}

#[test]
fn a_test_crawl_of_nothing_shows_the_record_and_fails() {
    let (site, _) = moody(404);
    let folder = Folder::new();
    spider(&folder, &[site.url("/")], json!({}));
    for limit in ["1", "9"] {
        let tool = Tool::new("crawl-run").dir(&folder);
        let run = tool
            .args(["shop.json", "-q", "--limit", limit])
            .run()
            .code(1);
        run.says("status 404")
            .prints("\"status\":404")
            .prints_lines(1);
    }
    let tool = Tool::new("crawl-run").dir(&folder);
    let run = tool.args(["shop.json", "-q", "--limit", "1", "--accept-empty"]);
    run.run().code(0).is_quiet();
}

#[test]
fn a_batch_tells_why_a_site_came_to_nothing() {
    let (down, _) = moody(404);
    let (alone, foreign) = (Site::new(), Site::at("127.0.0.2"));
    alone.page("/", &format!("<a href='{}'>f</a>", foreign.url("/")));
    let folder = Folder::new();
    folder.write(
        "list",
        format!("url\n{}\n{}\n", down.url("/"), alone.url("/")),
    );
    let batch = |more: &[&str]| {
        let tool = Tool::new("crawl-run").dir(&folder);
        tool.args(["batch", "list", "--retries", "0"]).args(more)
    };
    let run = batch(&["--json"]).run().code(1);
    let run = run.says("status 404").says("all links left out: domain 1");
    let line = run
        .lines()
        .into_iter()
        .find(|line| line.contains("\"why\""));
    let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
    let why = record["why"].as_str().unwrap();
    assert!(
        why.contains("nothing useful") && why.contains("status 404"),
        "{why}"
    );
    batch(&["--accept-empty"]).run().code(0);
}

#[test]
fn a_crawl_whose_pages_lead_nowhere_is_complete_and_says_why() {
    let foreign = Site::at("127.0.0.2");
    for (page, more, why) in [
        (
            format!("<a href='{}'>f</a>", foreign.url("/")),
            json!({}),
            "left out   domain 1",
        ),
        (
            "<a href='/a.pdf'>p</a>".into(),
            json!({}),
            "left out   extension 1",
        ),
        (
            "<a href='/a'>a</a>".into(),
            json!({"rules": [{"allow": ["/x"]}]}),
            "left out   rule 1",
        ),
        (
            "<script src=x></script>".into(),
            json!({}),
            "links      none",
        ),
    ] {
        let (site, folder) = (Site::new(), Folder::new());
        site.page("/", &page).on("/other", |_| Answer::status(200));
        spider(&folder, &[site.url("/")], more);
        shop(&folder).run().code(0).says(why);
    }
    // Links that robots.txt forbids have records of their own.
    let (site, folder) = (Site::new(), Folder::new());
    site.page("/", "<a href='/a'>a</a>");
    site.on("/robots.txt", |_| {
        Answer::text("User-agent: *\nDisallow: /a\n")
    });
    spider(&folder, &[site.url("/")], json!({}));
    shop(&folder).run().code(0).says("errors     robots 1");
}

#[test]
fn a_crawl_that_leads_somewhere_says_nothing_of_links() {
    let (site, _) = moody(200);
    let folder = Folder::new();
    spider(&folder, &[site.url("/")], json!({}));
    let run = shop(&folder).run().code(0);
    run.never_says("links").never_says("left out");
}
