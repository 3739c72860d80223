//! One crawl on many machines, over a Redis Cluster: the same records as on one machine without a store.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::{Answer, Cluster, Folder, Site, Tool, skipped};

/// Hosts of a crawl of many, each an address of this machine and so a domain of its own.
const HOSTS: usize = 100;
/// Pages of each.
const PAGES: usize = 5;

/// What is known of each page, in the order of their URLs. Where a page was found first, and so how deep it
/// lies, is a matter of who is faster.
fn records(data: &Path, spider: &str) -> Vec<Value> {
    let crawls = data.join("default").join(spider).join("crawls");
    let paths = fs::read_dir(crawls)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let outputs = paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
    let texts: Vec<String> = outputs
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut records: Vec<Value> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let fields = record.as_object_mut().unwrap();
            for of_this_run in ["depth", "elapsed_ms", "fetched_at", "referer"] {
                fields.remove(of_this_run);
            }
            record
        })
        .collect();
    records.sort_by_key(|record| record["url"].to_string());
    records
}

/// Crawls this spider without a store, and with two workers over a cluster; compares what they have.
fn the_same_with_and_without_a_store(folder: &Folder, spider: &str, options: &[&str]) -> usize {
    let Some(cluster) = Cluster::start() else {
        return 0;
    };
    let crawl = |data: &str| {
        Tool::new("crawl-run")
            .dir(folder)
            .arg(format!("{spider}.json"))
            .args(options)
            .args(["--data-dir", data])
    };
    crawl("alone").run().code(0);
    let shared = |worker: &str| {
        let tool = crawl(worker).args(["--store", &cluster.url()]);
        tool.args(["--worker", worker]).start()
    };
    let (a, b) = (shared("a"), shared("b"));
    a.wait().code(0);
    b.wait().code(0);
    let alone = records(&folder.join("alone"), spider);
    let mut both = records(&folder.join("a"), spider);
    both.extend(records(&folder.join("b"), spider));
    both.sort_by_key(|record| record["url"].to_string());
    let urls = |records: &[Value]| -> BTreeSet<String> {
        let urls = records.iter().map(|record| record["url"].to_string());
        urls.collect()
    };
    assert_eq!(urls(&both), urls(&alone));
    for (shared, alone) in both.iter().zip(&alone) {
        assert_eq!(shared, alone);
    }
    assert_eq!(both.len(), alone.len());
    alone.len()
}

#[test]
fn two_workers_have_the_records_of_one_crawl_without_a_store_on_a_hundred_hosts_that_link_to_each_other()
 {
    let site = Site::at("0.0.0.0");
    let port = site.port();
    let url = move |host: usize, page: usize| {
        format!("http://127.1.2.{}:{port}/page-{page}", host % HOSTS + 1)
    };
    site.otherwise(move |asked| {
        let page = asked.path.strip_prefix("/page-").map(str::parse::<usize>);
        let Some(Ok(page)) = page else {
            return Answer::status(404);
        };
        // Who was asked is not known: a page links to hosts all over, some links lead nowhere.
        let links = (0..HOSTS).map(|host| url(host, (page + host) % (PAGES + 1)));
        let links = links.map(|url| format!("<a href='{url}'>there</a>"));
        if page == PAGES {
            Answer::status(404)
        } else {
            Answer::html(format!(
                "<title>{page}</title>{}",
                links.collect::<String>()
            ))
        }
    });
    let folder = Folder::new();
    let hosts: Vec<String> = (1..=HOSTS).map(|n| format!("127.1.2.{n}")).collect();
    let spider = json!({"name": "many", "start_urls": [url(0, 0)], "allowed_domains": hosts});
    folder.write("many.json", spider.to_string());
    let count = the_same_with_and_without_a_store(&folder, "many", &[]);
    assert!(count == 0 || count >= HOSTS * PAGES, "{count}");
}

/// The folder of the toolchain's documentation, where that is installed.
fn rust_docs() -> Option<PathBuf> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = String::from_utf8(sysroot.ok()?.stdout).ok()?;
    let docs = Path::new(sysroot.trim()).join("share/doc/rust/html");
    docs.join("alloc").is_dir().then_some(docs)
}

#[test]
fn two_workers_have_the_records_of_one_crawl_without_a_store_on_documentation_of_rust() {
    let Some(docs) = rust_docs() else {
        skipped("no documentation of Rust is installed");
        return;
    };
    let (site, folder) = (Site::folder(docs), Folder::new());
    let spider = json!({"name": "alloc", "start_urls": [site.url("/alloc/index.html")]});
    folder.write("alloc.json", spider.to_string());
    let count = the_same_with_and_without_a_store(&folder, "alloc", &["--no-parent"]);
    assert!(count == 0 || count > 100, "{count}");
}
