//! What is said of single URLs, and logs for programs.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Answer, Folder, Site, Tool};

/// A start page that leads to a page that is missing, one that fails once, and one that always does.
fn site() -> Site {
    let site = Site::new();
    site.page(
        "/",
        "<a href=/missing>1</a> <a href=/once>2</a> <a href=/down?token=x>3</a>",
    );
    let asked = std::sync::atomic::AtomicU32::new(0);
    site.on("/once", move |_| {
        match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Answer::status(503).header("Retry-After", "1"),
            _ => Answer::html("<p>here"),
        }
    });
    site.on("/down?token=x", |_| Answer::status(500));
    site
}

fn crawl(folder: &Folder, site: &Site, args: &[&str]) -> Tool {
    let spider = format!(
        r#"{{"name": "s", "start_urls": ["{}"], "settings": {{"RETRY_TIMES": 1}}}}"#,
        site.url("/").replace("http://", "http://user:secret@")
    );
    folder.write("s.json", spider);
    let tool = Tool::new("crawl-run").dir(folder);
    tool.arg("s.json").args(args)
}

#[test]
fn each_url_that_fails_or_is_tried_again_is_named_with_the_time() {
    let (folder, site) = (Folder::new(), site());
    let done = crawl(&folder, &site, &["-v"]).run().code(0);
    let start = format!("found on {}", site.url("/"));
    let url = |path: &str| site.url(path);
    for (begin, end) in [
        (
            "again in ",
            format!(" (Retry-After): {}: 503, attempt 1", url("/once")),
        ),
        (
            "again in ",
            format!("s: {}: 500, attempt 1", url("/down?token=x")),
        ),
        (
            "failed: ",
            format!("{}: 500, attempt 2, {start}", url("/down?token=x")),
        ),
        ("failed: ", format!("{}: 404, {start}", url("/missing"))),
    ] {
        let words = done.words();
        let mut lines = words.lines();
        let found = lines.find(|line| line.ends_with(&end) && line.contains(begin));
        let found = found.unwrap_or_else(|| panic!("no {begin}{end} in {done}"));
        let (stamp, _) = found.split_once(' ').unwrap();
        assert!(stamp.parse::<jiff::Timestamp>().is_ok(), "{found}");
    }
    let done = done.never_says("secret");
    assert_eq!(done.words().matches("failed: ").count(), 2, "{done}");
    let folder = Folder::new();
    let done = crawl(&folder, &site, &[]).run().code(0);
    done.never_says("again in").never_says("failed: ");
}

#[test]
fn a_log_for_programs_is_an_object_a_line_whatever_is_said() {
    let (folder, site) = (Folder::new(), site());
    let json = ["--log-format", "json"];
    let lines = |done: &support::Done| -> Vec<Value> {
        let words = done.words();
        let lines = words
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    };
    let done = crawl(&folder, &site, &["-v"]).args(json).run().code(0);
    let told = lines(&done);
    for line in &told {
        assert!(
            line["at"]
                .as_str()
                .unwrap()
                .parse::<jiff::Timestamp>()
                .is_ok()
        );
        assert!(
            line["message"].is_string() && line["level"].is_string(),
            "{line}"
        );
        assert_eq!(line["tool"], "crawl-run");
    }
    let done = done.never_says("secret");
    let of = |path: &str| -> Vec<&Value> {
        let url = site.url(path);
        told.iter().filter(|line| line["url"] == *url).collect()
    };
    let down = of("/down?token=x");
    assert_eq!(down.len(), 2, "{done}");
    assert!(down[0]["wait_ms"].as_u64().unwrap() > 0);
    assert_eq!(
        (&down[0]["level"], &down[0]["status"]),
        (&"detail".into(), &500.into())
    );
    assert_eq!(
        (&down[1]["wait_ms"], &down[1]["attempts"]),
        (&Value::Null, &2.into())
    );
    assert_eq!(of("/once")[0]["retry_after"], true);

    let done = crawl(&folder, &site, &["-o", "s.json"])
        .args(json)
        .run()
        .code(2);
    let told = lines(&done);
    let [error] = &told[..] else { panic!("{done}") };
    assert_eq!(
        (&error["level"], &error["tool"]),
        (&"error".into(), &"crawl-run".into())
    );
    assert!(error["hint"].is_string(), "{error}");
    // What another tool says is that tool's.
    let broken = crawl(&folder, &site, &["--limit", "1", "-q"]).args(json);
    let done = broken.env("CRAWL_FETCH", "/bin/sh").run();
    let told = lines(&done);
    assert!(!told.is_empty() && done.exit() != 0, "{done}");
}
