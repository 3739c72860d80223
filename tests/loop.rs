//! The crawl by hand, `scripts/loop.sh`, and the tools alone in pipelines.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::{Done, Folder, Signal, Site, Tool, has};

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../scripts")
        .join(name)
}

fn by_hand(folder: &Folder, site: &Site) -> Tool {
    Tool::program(script("loop.sh"))
        .args(["job", &site.url("/")])
        .dir(folder)
}

/// A command line in a shell.
fn shell(folder: &Folder, line: &str) -> Done {
    Tool::program("bash")
        .args(["-o", "pipefail", "-c", line])
        .dir(folder)
        .run()
}

/// The URLs of records, sorted; each must be there once.
fn urls(text: &str) -> BTreeSet<String> {
    let mut urls = BTreeSet::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        if !url.ends_with("/robots.txt") {
            assert!(urls.insert(url.clone()), "{url} is there twice");
        }
    }
    urls
}

#[test]
fn the_loop_by_hand_crawls_the_same_set_as_crawl_run() {
    let folder = Folder::new();
    let site = Site::tree(200, 8);
    by_hand(&folder, &site).run().code(0);
    let by_hand = urls(&folder.read("pages.jsonl"));
    assert_eq!(by_hand.len(), 200);
    Tool::new("crawl-run")
        .args(["-o", "run.jsonl", &site.url("/")])
        .dir(&folder)
        .run()
        .code(0);
    assert_eq!(urls(&folder.read("run.jsonl")), by_hand);
}

#[test]
fn ctrl_c_pauses_the_loop_and_the_same_command_goes_on() {
    let folder = Folder::new();
    let site = Site::tree(200, 8);
    site.latency(Duration::from_millis(30));
    let loop_sh = by_hand(&folder, &site).start();
    site.wait_for(60);
    loop_sh.signal_group(Signal::Int);
    loop_sh.wait().code(130);
    let first = urls(&folder.read("pages.jsonl")).len();
    assert!((1..200).contains(&first), "{first}");
    by_hand(&folder, &site).run().code(0);
    // No page twice: what was under way at Ctrl+C was waited for.
    assert_eq!(urls(&folder.read("pages.jsonl")).len(), 200);
    assert!(
        site.tally()
            .iter()
            .all(|(path, n)| path == "/robots.txt" || *n == 1)
    );
}

#[test]
fn a_fetcher_that_dies_in_the_loop_is_never_taken_for_done() {
    let folder = Folder::new();
    let site = Site::tree(200, 8);
    // A fetcher that ends after 20 requests, as a crash would.
    let fetch = support::bin("crawl-fetch");
    let script = format!(
        "#!/bin/sh\nn=0\nwhile [ $n -lt 20 ] && read -r line; do\n\
         echo \"$line\"; n=$((n + 1)); done | {} \"$@\"\n",
        fetch.display()
    );
    folder.write("bin/crawl-fetch", script);
    let bin = folder.join("bin");
    shell(&folder, "chmod +x bin/crawl-fetch").code(0);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let path = format!("{path}:{}", support::target_dir().display());
    by_hand(&folder, &site).env("PATH", path).run().code(1);
    by_hand(&folder, &site).run().code(0);
    let asked: BTreeSet<_> = site.paths().into_iter().collect();
    assert_eq!(asked.len(), 201);
}

#[test]
fn ten_thousand_urls_go_through_a_pipeline_once() {
    if !has("jq") {
        return;
    }
    let folder = Folder::new();
    let site = Site::tree(10_000, 2);
    let list: Vec<_> = (0..10_000)
        .map(|n| site.url(&support::Tree::path(n)))
        .collect();
    folder.write("urls.txt", list.join("\n") + "\n");
    let line = "crawl-frontier add --job job --print-new <urls.txt \
                | crawl-fetch --no-links --per-host 32 \
                | jq -r 'select(.status == 200) | .url' | sort >fetched.txt; sort urls.txt | cmp - fetched.txt";
    shell(&folder, line)
        .code(0)
        .says("added 10000, duplicate 0, invalid 0");
    shell(
        &folder,
        "crawl-frontier add --job job --print-new <urls.txt",
    )
    .code(0)
    .prints_just("")
    .says("added 0, duplicate 10000, invalid 0");
}
