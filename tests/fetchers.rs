//! crawl-run with fetchers of another make: shell scripts that die of a page, or say nothing.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Done, Folder, Tool};

const START: &str = "http://site.example/";

/// A fetcher that answers every page with the same links, but does this for `/bad…`.
fn fetcher(folder: &Folder, bad: &str) -> PathBuf {
    let links: Vec<String> = ["a", "b", "c", "bad", "d", "e"]
        .map(|name| format!("\\\"{START}{name}\\\""))
        .to_vec();
    let links = links.join(",");
    let text = format!(
        r#"#!/bin/sh
echo start >>starts
while read -r line; do
  id=${{line#*\"id\":}}; id=${{id%%[,\}}]*}}
  url=${{line#*\"url\":\"}}; url=${{url%%\"*}}
  echo "$url" >>asked
  case $url in
  */robots.txt) echo "{{\"url\":\"$url\",\"id\":$id,\"status\":404}}" ;;
  */bad*) {bad} ;;
  *) echo "{{\"url\":\"$url\",\"id\":$id,\"status\":200,\"links\":[{links}]}}" ;;
  esac
done
"#
    );
    let script = folder.write("fetcher", text);
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("chmod");
    script
}

fn crawl(folder: &Folder, bad: &str) -> Tool {
    Tool::new("crawl-run")
        .dir(folder)
        .env("CRAWL_FETCH", fetcher(folder, bad))
        .args(["-o", "out.jsonl", START])
}

fn records(folder: &Folder) -> BTreeMap<String, Value> {
    let text = folder.read("out.jsonl");
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    let url = |record: &Value| record["url"].as_str().expect("a URL").to_owned();
    let by_url: BTreeMap<_, _> = records
        .iter()
        .map(|record| (url(record), record.clone()))
        .collect();
    assert_eq!(by_url.len(), records.len(), "no URL has two records");
    by_url
}

fn count(folder: &Folder, file: &str, line: &str) -> usize {
    folder.read(file).lines().filter(|l| *l == line).count()
}

/// All are pages but one, which has a record of its own kind.
fn all_but_bad(folder: &Folder, done: &Done) {
    let records = records(folder);
    assert_eq!(records.len(), 7, "{done}");
    for (url, record) in &records {
        if url.ends_with("/bad") {
            assert_eq!(record["error"]["kind"], "io", "{done}");
            let message = record["error"]["message"].as_str().expect("a message");
            assert!(message.contains("it is set aside"), "{message}");
        } else {
            assert_eq!(record["status"], 200, "{done}");
        }
    }
}

#[test]
fn a_page_that_the_fetcher_dies_of_four_times_is_set_aside() {
    for bad in ["exit 7", "kill -SEGV $$"] {
        let folder = Folder::new();
        let done = crawl(&folder, bad).run().code(0);
        all_but_bad(&folder, &done);
        assert_eq!(
            count(&folder, "asked", "http://site.example/bad"),
            4,
            "{done}"
        );
        assert_eq!(count(&folder, "starts", "start"), 5, "{done}");
    }
}

#[test]
fn a_start_url_that_the_fetcher_dies_of_is_set_aside_though_nothing_else_was_answered() {
    // Of the first death nobody can tell the reason, unless robots.txt was answered before.
    for (obey, deaths) in [(true, 4), (false, 5)] {
        let (folder, bad) = (Folder::new(), format!("{START}bad"));
        let settings = json!({"ROBOTSTXT_OBEY": obey});
        let spider = json!({"name": "one", "start_urls": [&bad], "settings": settings});
        let spider = folder.write("one.json", spider.to_string());
        let run = |fetcher: PathBuf| {
            let run = Tool::new("crawl-run").dir(&folder);
            let run = run.env("CRAWL_FETCH", fetcher).args(["-o", "out.jsonl"]);
            run.arg(&spider).run()
        };
        for deaths in [deaths, deaths + 1] {
            run(fetcher(&folder, "kill -SEGV $$")).code(1).says(
                "the start URL gave no page: http://site.example/bad: io: crawl-fetch died of it",
            );
            assert_eq!(count(&folder, "asked", &bad), deaths);
        }
        let sound = r#"echo "{\"url\":\"$url\",\"id\":$id,\"status\":200}""#;
        run(fetcher(&folder, sound)).code(0);
        assert_eq!(records(&folder)[&bad]["status"], 200);
    }
}

#[test]
fn pages_of_several_hosts_that_the_fetcher_dies_of_are_set_aside_in_one_run() {
    let folder = Folder::new();
    let hosts = ["one.example", "two.example", "three.example"];
    let bad = hosts
        .iter()
        .flat_map(|host| ["bad", "bad2"].map(|page| format!("http://{host}/{page}")));
    let starts: Vec<String> = [START.to_owned()].into_iter().chain(bad).collect();
    let spider = json!({"name": "many", "start_urls": starts, "allowed_domains": ["example"]});
    let done = Tool::new("crawl-run")
        .dir(&folder)
        .env("CRAWL_FETCH", fetcher(&folder, "kill -SEGV $$"))
        .args(["-o", "out.jsonl"])
        .arg(folder.write("many.json", spider.to_string()))
        .run()
        .code(0);
    let records = records(&folder);
    assert_eq!(records.len(), 13, "{done}");
    for (url, record) in &records {
        assert_eq!(
            record["error"]["kind"] == "io",
            url.contains("/bad"),
            "{record}"
        );
    }
}

#[test]
fn a_robots_txt_that_the_fetcher_dies_of_is_one_that_cannot_be_had_and_the_crawl_goes_on() {
    let (folder, file) = (Folder::new(), "http://bad.example/robots.txt");
    let sound = r#"echo "{\"url\":\"$url\",\"id\":$id,\"status\":200}""#;
    let script = fetcher(&folder, sound);
    let deadly = format!("case $url in\n  {file}) kill -SEGV $$ ;;");
    let text = folder.read("fetcher").replace("case $url in", &deadly);
    folder.write("fetcher", text);
    let starts = [START, "http://bad.example/x", "http://bad.example/y"];
    let spider = json!({"name": "two", "start_urls": starts, "allowed_domains": ["example"]});
    let done = Tool::new("crawl-run")
        .dir(&folder)
        .env("CRAWL_FETCH", script)
        .args(["-o", "out.jsonl"])
        .arg(folder.write("two.json", spider.to_string()))
        .run()
        .code(0);
    let records = records(&folder);
    assert_eq!(records.len(), 9, "{done}");
    for (url, record) in &records {
        if url.contains("bad.example") {
            assert_eq!(record["error"]["kind"], "robots", "{record}");
            let message = record["error"]["message"].as_str().unwrap();
            assert!(message.contains("crawl-fetch died of it"), "{message}");
        } else {
            assert_eq!(record["status"], 200, "{record}");
        }
    }
    assert!((4..=5).contains(&count(&folder, "asked", file)), "{done}");
}

#[test]
fn a_fetcher_that_never_says_a_word_is_blamed_itself() {
    let folder = Folder::new();
    crawl(&folder, "exit 7")
        .args(["--max-pages", "1"])
        .run()
        .code(4);
    // From now on it dies of all.
    folder.write(
        "fetcher",
        "#!/bin/sh\necho start >>dead\nread -r line\nexit 7\n",
    );
    Tool::new("crawl-run")
        .dir(&folder)
        .env("CRAWL_FETCH", folder.join("fetcher"))
        .args(["-o", "out.jsonl", START])
        .run()
        .code(1)
        .says("crawl-fetch ended with exit code 7")
        .says("to go on: ");
    assert_eq!(count(&folder, "dead", "start"), 5);
    assert!(
        records(&folder)
            .values()
            .all(|record| record["status"] == 200)
    );
    let done = crawl(&folder, "exit 7").run().code(0);
    all_but_bad(&folder, &done);
}

#[test]
fn lines_that_are_no_results_do_not_hang_a_crawl() {
    for bad in [
        r#"echo "{\"id\":$id}""#,
        r#"echo "{\"url\":\"$url\",\"id\":$id,\"error\":{\"kind\":\"browser\"}}""#,
        r#"echo "{\"id\":$id, no json""#,
    ] {
        let folder = Folder::new();
        let done = crawl(&folder, bad).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 7, "{done}");
        let bad = &records["http://site.example/bad"];
        assert_eq!(bad["error"]["kind"], "io", "{done}");
    }
}
