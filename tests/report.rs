//! `crawl-ckpt report`: what it finds in output records, and what the page is.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use support::{Folder, Tool};

const OUTPUT: &str = "default/site/crawls/crawl_2026-11-26.jsonl";

/// A crawl's records, written by hand.
#[derive(Default)]
struct Records(String);

impl Records {
    fn add(&mut self, record: Value) -> &mut Records {
        writeln!(self.0, "{record}").unwrap();
        self
    }

    /// A page with a content and title of its own.
    fn page(&mut self, path: &str, more: Value) -> &mut Records {
        let mut record = json!({
            "url": format!("https://h.example{path}"), "depth": 1, "status": 200, "bytes": 1000, "elapsed_ms": 20,
            "content_type": "text/html; charset=utf-8", "fetched_at": "2026-11-26T10:00:00.000Z",
            "digest": format!("blake3:{path}"), "title": format!("Page {path}"),
        });
        let fields = record.as_object_mut().unwrap();
        for (name, value) in more.as_object().unwrap() {
            fields.insert(name.clone(), value.clone());
        }
        self.add(record)
    }

    fn redirect(&mut self, from: &str, to: &str) -> &mut Records {
        self.add(json!({
            "url": format!("https://h.example{from}"), "status": 301, "elapsed_ms": 5,
            "location": format!("https://h.example{to}"), "referer": "https://h.example/menu",
        }))
    }
}

struct Made {
    folder: Folder,
}

impl Made {
    fn of(records: &Records) -> Made {
        let folder = Folder::new();
        folder.write(OUTPUT, &records.0);
        Made { folder }
    }

    fn tool(&self, args: &[&str]) -> Tool {
        let tool = Tool::new("crawl-ckpt").args(["report", "site"]).args(args);
        tool.arg("--data-dir").arg(&self.folder)
    }

    fn json(&self, args: &[&str]) -> Value {
        let done = self.tool(args).arg("--json").run();
        serde_json::from_slice(&done.stdout).unwrap()
    }

    fn page(&self, args: &[&str]) -> String {
        self.tool(args).run().text()
    }
}

/// 40 broken links, 5 chains of redirects, 12 copies, 3 slow pages, and some more of each kind.
fn faulty_site() -> Records {
    let mut records = Records::default();
    for n in 0..200 {
        records.page(
            &format!("/good/{n}"),
            json!({"item": {"name": "x", "price": null}}),
        );
    }
    for n in 0..38 {
        records.add(json!({
            "url": format!("https://h.example/broken/{n}"), "status": if n < 30 { 404 } else { 500 },
            "depth": 2, "elapsed_ms": 3, "referer": format!("https://h.example/good/{}", n / 10),
        }));
    }
    for n in 0..2 {
        records.add(json!({
            "url": format!("https://gone{n}.example/"), "depth": 3, "referer": "https://h.example/good/0",
            "error": {"kind": "dns", "message": "no such host"},
        }));
    }
    for n in 0..5 {
        // The records of a chain come in any order.
        records.redirect(&format!("/chain/{n}/b"), &format!("/good/{n}"));
        records.redirect(&format!("/chain/{n}/a"), &format!("/chain/{n}/b#part"));
    }
    records.redirect("/moved", "/good/7");
    records.redirect("/dead", "/broken/0");
    records
        .redirect("/round/a", "/round/b")
        .redirect("/round/b", "/round/a");
    for n in 0..12 {
        let copy = json!({"digest": "blake3:/good/0", "title": "Page /good/0"});
        records.page(&format!("/copy/{n}"), copy);
    }
    records.page("/nearly-slow", json!({"elapsed_ms": 999}));
    for n in 0..3 {
        records.page(&format!("/slow/{n}"), json!({"elapsed_ms": 1500 + n}));
    }
    records
        .page("/twin/a", json!({"title": "Twin"}))
        .page("/twin/b", json!({"title": "Twin"}));
    records.page("/wall", json!({"blocked": "a challenge page"}));
    records.add(json!({
        "url": "https://h.example/private", "referer": "https://h.example/good/1",
        "error": {"kind": "robots", "message": "disallowed by line 2 of robots.txt"},
    }));
    records
}

#[test]
fn a_site_with_known_faults_is_told_with_exactly_these() {
    let made = Made::of(&faulty_site());
    let told = made.json(&[]);
    let total = |list: &str| told[list]["total"].as_u64().unwrap();
    assert_eq!(told["records"], 274);
    assert_eq!(total("broken"), 40);
    let broken = told["broken"]["rows"].as_array().unwrap();
    assert_eq!(broken.len(), 40);
    assert_eq!(broken[0]["url"], "https://h.example/broken/0");
    assert_eq!(broken[0]["referer"], "https://h.example/good/0");
    assert_eq!(broken[39]["outcome"], "dns");
    let linking = told["linking"]["rows"].as_array().unwrap();
    let linking: Vec<u64> = linking
        .iter()
        .map(|row| row["count"].as_u64().unwrap())
        .collect();
    assert_eq!(linking, [12, 10, 10, 8]);
    let paths = &told["redirects"];
    for (name, want) in [
        ("redirects", 14),
        ("chains", 5),
        ("loops", 1),
        ("to_broken", 1),
        ("total", 8),
    ] {
        assert_eq!(paths[name], want, "{name}: {paths}");
    }
    let chain = paths["rows"]
        .as_array()
        .unwrap()
        .iter()
        .find(|path| path["hops"][0]["url"] == "https://h.example/chain/3/a");
    assert_eq!(
        chain.unwrap()["hops"][1]["location"],
        "https://h.example/good/3"
    );
    assert_eq!(
        (total("copies"), &told["copies"]["copies"]),
        (1, &json!(12))
    );
    assert_eq!(told["copies"]["wasted_bytes"], 12_000);
    assert_eq!(total("titles"), 1, "{}", told["titles"]);
    assert_eq!(told["titles"]["rows"][0]["pages"][0]["title"], "Twin");
    assert_eq!(told["slow"], 3);
    assert_eq!(
        told["slowest"]["rows"][0]["url"],
        "https://h.example/slow/2"
    );
    assert_eq!(
        (total("blocking"), &told["blocking"]["rows"][0]["blocks"]),
        (1, &json!(1))
    );
    assert_eq!(told["fields"]["items"], 200);
    assert_eq!(
        told["fields"]["filled"][0],
        json!({"name": "price", "count": 0})
    );
    assert_eq!(total("left_out"), 1);
    assert_eq!(total("hosts"), 3);

    let page = made.page(&[]);
    for text in [
        "<b>40</b>broken pages",
        "<b>5</b>redirect chains",
        "<b>12</b>copies of other pages",
        "<b>3</b>answers took 1 s or longer",
        "<b>1</b>title on several pages",
        "<b>1</b>field mostly empty",
        "href=\"https://h.example/broken/37\"",
        "no such host",
        "disallowed by line 2 of robots.txt",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
}

#[test]
fn nothing_that_a_page_says_gets_out_of_its_place() {
    let mut records = Records::default();
    let title =
        "</title><script>alert(1)</script>\u{202e}\u{1b}[2J\"'>&<img src=x onerror=alert(2)>";
    for n in 0..2 {
        records.page(
            &format!("/{n}"),
            json!({"title": title, "content_type": "<script>a</script>"}),
        );
    }
    for url in [
        "javascript:alert(3)",
        "data:text/html,<script>alert(4)</script>",
        "https://me:s3cret@h.example/\"><script>alert(5)</script>",
        "https://<script>alert(6)</script>/<script>/x",
    ] {
        records.add(json!({
            "url": url, "status": 404, "referer": url,
            "blocked": null, "item": {"<script>alert(7)</script>": ""},
        }));
        records.add(json!({"url": url, "status": 302, "location": url, "referer": url}));
        let message = format!("{title} https://me:s3cret@h.example/");
        records.add(json!({"url": url, "error": {"kind": "<script>", "message": message}}));
        records.add(json!({"url": url, "status": 200, "title": title, "digest": "same", "item": {"<script>alert(8)</script>": ""}}));
    }
    let made = Made::of(&records);
    let page = made.page(&[]);
    // The policy lets one script run, and this is it.
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
    for bad in [
        "s3cret",
        "<img",
        "href=\"javascript",
        "href=\"data",
        "\u{202e}",
        "\u{1b}",
        " style=",
        " onerror=alert(2)>",
    ] {
        assert!(!page.contains(bad), "{bad:?}");
    }
    assert!(page.contains("&lt;script&gt;alert(8)"));
    assert!(!made.json(&[]).to_string().contains("s3cret"));
}

#[test]
fn the_page_asks_nobody_for_anything() {
    let page = Made::of(&faulty_site()).page(&[]);
    assert!(page.starts_with("<!doctype html>"));
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
    let outside = page.replace("href=\"https://", "");
    for bad in [
        "src=",
        "url(",
        "@import",
        "<link",
        "<iframe",
        "fetch(",
        "unsafe-inline",
    ] {
        assert!(!outside.contains(bad), "{bad}");
    }
}

#[test]
fn lists_say_how_many_rows_they_leave_out() {
    let mut records = Records::default();
    for n in 0..700 {
        let url = format!("https://h.example/{n}");
        records.add(
            json!({"url": url, "status": 404, "elapsed_ms": n, "referer": format!("{url}/from")}),
        );
    }
    let made = Made::of(&records);
    let told = made.json(&[]);
    for (list, shown) in [("broken", 500), ("slowest", 100), ("linking", 100)] {
        assert_eq!(told[list]["total"], 700, "{list}");
        assert_eq!(
            told[list]["rows"].as_array().unwrap().len(),
            shown,
            "{list}"
        );
    }
    let page = made.page(&[]);
    assert!(page.contains("200 more are not shown here"));
    assert_eq!(page.matches("600 more are not shown here").count(), 2);
}

#[test]
fn an_old_output_works_and_lines_that_are_no_records_are_counted() {
    let old = "{\"url\":\"http://h.example/\",\"status\":200}\n";
    let records = Records(format!(
        "{old}no record\n[1]\n{{\"status\":200}}\n\n{old}{{\"url\":\"http://h.example/x\",\"status\":404,\"future\":{{}}}}\n{{\"url\":\"http://h"
    ));
    let made = Made::of(&records);
    let done = made.tool(&["--json"]).run();
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["records"], 3);
    assert_eq!(
        (&told["bad_lines"], &told["first_bad_line"]),
        (&json!(4), &json!(2))
    );
    assert_eq!(told["unfinished_line"], true);
    assert!(
        done.words().contains("4 lines passed over"),
        "{}",
        done.words()
    );
    let page = made.page(&[]);
    assert!(page.contains("4 lines that are no records were passed over, first line 2"));
    assert!(page.contains("No record says when it was fetched"));
}

#[test]
fn a_packed_output_tells_the_same_and_a_torn_one_says_so() {
    let records = faulty_site();
    let made = Made::of(&records);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(records.0.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let whole = made.folder.write("whole.jsonl.gz", &packed);
    let torn = made
        .folder
        .write("torn.jsonl.gz", &packed[..packed.len() / 2]);
    let differ = |mut told: Value| {
        for name in ["file", "file_bytes"] {
            told.as_object_mut().unwrap().remove(name);
        }
        told
    };
    let from_packed = made.json(&["--from", whole.to_str().unwrap()]);
    assert_eq!(differ(from_packed), differ(made.json(&[])));
    let told = made.json(&["--from", torn.to_str().unwrap()]);
    assert!(
        told["torn"].is_string() && told["records"].as_u64().unwrap() > 0,
        "{told}"
    );
}

#[test]
fn the_crawl_before_is_compared_url_by_url() {
    let mut before = Records::default();
    before
        .page("/stays", json!({}))
        .page("/breaks", json!({}))
        .page("/goes", json!({}));
    before.add(json!({"url": "https://h.example/mended", "status": 404}));
    let mut now = Records::default();
    now.page("/stays", json!({}))
        .page("/mended", json!({}))
        .page("/new", json!({}));
    now.add(json!({"url": "https://h.example/breaks", "status": 500}));
    let made = Made::of(&now);
    let file = made.folder.write("before.jsonl", &before.0);
    let against = ["--against", file.to_str().unwrap()];
    let told = made.json(&against);
    for (list, url) in [
        ("broke", "/breaks"),
        ("mended", "/mended"),
        ("new", "/new"),
        ("gone", "/goes"),
    ] {
        let list = &told["against"][list];
        assert_eq!(list["total"], 1, "{told}");
        assert_eq!(list["rows"][0]["url"], format!("https://h.example{url}"));
    }
    let page = made.page(&against);
    assert!(page.contains("<b>1</b>page broke"));

    // Pages that did not change have no record in an incremental crawl, and are not gone.
    now.page("/changed", json!({"delta": "changed"}));
    made.folder.write(OUTPUT, &now.0);
    let told = made.json(&against);
    assert!(told["against"].get("gone").is_none());
    assert!(
        made.page(&against)
            .contains("Cannot be said: an incremental crawl")
    );
}

#[test]
fn only_a_page_is_written_over() {
    let made = Made::of(&faulty_site());
    let page = made.folder.join("report.html");
    for _ in 0..2 {
        let done = made.tool(&["-o", page.to_str().unwrap()]).run();
        assert!(done.words().contains("of 274 records"), "{}", done.words());
    }
    assert!(
        made.folder
            .read("report.html")
            .starts_with("<!doctype html>")
    );
    let before = made.folder.read(OUTPUT);
    let output = made.folder.join(OUTPUT);
    made.tool(&["-o", output.to_str().unwrap()]).run().code(2);
    assert_eq!(made.folder.read(OUTPUT), before);
}

#[test]
fn a_spider_without_output_is_told_how_to_name_one() {
    let folder = Folder::new();
    let done = Tool::new("crawl-ckpt")
        .args(["report", "site", "--json", "--data-dir"])
        .arg(&folder)
        .run();
    let done = done.code(1);
    assert!(
        done.words().contains("has no output") && done.words().contains("--from"),
        "{}",
        done.words()
    );
}
