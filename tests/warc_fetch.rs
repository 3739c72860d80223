//! Pages kept as WARC by crawl-fetch: every byte of its files is looked at.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;
#[path = "support/warc.rs"]
mod warc;

use std::collections::HashMap;
use std::fs;

use serde_json::{Value, json};
use support::hostile::{self, CASES, gzip};
use support::{Answer, Asked, Done, Folder, Forward, Random, Site, Tool, peak_kib};
use warc::{Record, judged_by_others, records};

fn fetch() -> Tool {
    Tool::new("crawl-fetch")
}

fn results(done: &Done) -> Vec<Value> {
    let lines = done.lines();
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The response or revisit that a result points at, with the records beside it.
#[track_caller]
fn exchange<'r>(result: &Value, records: &'r [Record]) -> (&'r Record, &'r [Record]) {
    let at = |record: &Record| Some(record.offset) == result["warc"]["offset"].as_u64();
    let first = records
        .iter()
        .position(at)
        .unwrap_or_else(|| panic!("{result}"));
    let response = &records[first];
    assert!(response.is("response") || response.is("revisit"));
    assert_eq!(result["warc"]["length"], response.length);
    let beside = |record: &&Record| {
        record.get("WARC-Concurrent-To") == Some(response.field("WARC-Record-ID"))
    };
    let count = records[first + 1..].iter().take_while(beside).count();
    for record in &records[first + 1..=first + count] {
        assert_eq!(record.field("WARC-Date"), response.field("WARC-Date"));
        assert_eq!(
            record.field("WARC-Target-URI"),
            response.field("WARC-Target-URI")
        );
    }
    (response, &records[first + 1..=first + count])
}

#[test]
fn heads_and_bodies_are_kept_as_they_were_sent() {
    let head = "HTTP/1.1 200 Quite  fine\r\nX-One: a\r\nx-ONE:b\r\nEmpty:\r\n\
                Latin: \u{e4}\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n";
    let bytes: Vec<u8> = head.chars().map(|c| c as u8).collect();
    let site = Site::new();
    let answer = [&bytes[..], b"<title>a</ti"].concat();
    let early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".to_vec();
    site.on("/p?q=1", move |_| {
        Answer::raw([&early[..], &answer].concat())
    });
    let folder = Folder::new();
    let request =
        json!({"url": site.url("/p?q=1#part"), "depth": 2, "referer": "http://u:p@r.example/x"});
    let done = fetch()
        .args(["--warc", "pages.warc.gz"])
        .dir(&folder)
        .stdin(request.to_string())
        .run()
        .code(0)
        .is_quiet();
    let result = &results(&done)[0];
    assert_eq!(result["warc"]["file"], "pages.warc.gz");
    let records = records(folder.join("pages.warc.gz"));
    assert_eq!(records.len(), 4);
    let info = &records[0];
    assert!(info.is("warcinfo"));
    assert_eq!(info.field("WARC-Filename"), "pages.warc.gz");
    assert_eq!(info.field("Content-Type"), "application/warc-fields");
    let info = String::from_utf8(info.block.clone()).unwrap();
    for line in [
        "software: crawl-fetch/",
        "format: WARC File Format 1.1\r\n",
        "robots: ignore\r\n",
    ] {
        assert!(info.contains(line), "{info}");
    }
    let (response, beside) = exchange(result, &records);
    assert_eq!(response.http().0, bytes);
    assert_eq!(response.http().1, b"<title>a</ti");
    assert_eq!(response.field("WARC-Target-URI"), site.url("/p?q=1"));
    assert_eq!(response.field("WARC-Date"), result["fetched_at"]);
    assert_eq!(response.field("WARC-IP-Address"), "127.0.0.1");
    assert_eq!(response.get("WARC-Truncated"), None);
    let [request, metadata] = beside else {
        panic!("{beside:?}");
    };
    assert!(request.is("request") && metadata.is("metadata"));
    assert_eq!(
        request.field("Content-Type"),
        "application/http;msgtype=request"
    );
    let head = request.head();
    assert!(head.starts_with("GET /p?q=1 HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("\r\nhost: {}\r\n", site.host())),
        "{head}"
    );
    let metadata = String::from_utf8(metadata.block.clone()).unwrap();
    assert!(
        metadata.starts_with("via: http://r.example/x\r\nhopsFromSeed: LL\r\nfetchTimeMs: "),
        "{metadata}"
    );
}

#[test]
fn whatever_the_server_does_each_answer_is_one_whole_response() {
    let site = hostile::site();
    let urls: Vec<String> = CASES.iter().map(|case| site.url(case.path)).collect();
    let folder = Folder::new();
    let path = folder.join("hostile.warc.gz");
    let done = fetch()
        .args([
            "--max-redirects",
            "0",
            "--max-size",
            "1M",
            "--timeout",
            "6s",
        ])
        .args(["-c", "16", "--per-host", "16", "--warc"])
        .arg(&path)
        .stdin(urls.join("\n"))
        .run()
        .code(0);
    let records = records(&path);
    let mut responses = 0;
    for result in results(&done) {
        if result["status"].is_null() {
            assert!(result["warc"].is_null(), "{result}");
            continue;
        }
        responses += 1;
        let (response, beside) = exchange(&result, &records);
        assert_eq!(response.field("WARC-Target-URI"), result["url"]);
        assert_eq!(beside.len(), 2);
        let status = response.head().split(' ').nth(1).unwrap().trim().to_owned();
        assert_eq!(status, result["status"].to_string());
        let url = result["url"].as_str().unwrap();
        let truncated = match &url[site.url("").len()..] {
            _ if result["error"]["kind"] == "timeout" => Some("time"),
            "/close/in-body" | "/close/in-chunk" | "/close/between-chunks" => Some("disconnect"),
            "/endless" | "/chunks/endless" | "/length/huge" | "/page/over-the-cap" => {
                Some("length")
            }
            path if path.starts_with("/chunks/") && path != "/chunks/good" => Some("unspecified"),
            _ => None,
        };
        assert_eq!(response.get("WARC-Truncated"), truncated, "{url}");
    }
    assert!(responses > 60, "{responses}");
    let kept = records
        .iter()
        .filter(|record| record.is("response"))
        .count();
    assert_eq!(kept, responses, "as many as results, and no other");
    judged_by_others(&path);
}

/// Runs the tool on these request lines with `--warc`; the results, by URL, and all records.
#[track_caller]
fn kept(tool: Tool, lines: &[Value]) -> (HashMap<String, Value>, Vec<Record>) {
    let folder = Folder::new();
    let path = folder.join("kept.warc.gz");
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let done = tool.arg("--warc").arg(&path).stdin(lines.join("\n")).run();
    let results: HashMap<String, Value> = results(&done.code(0))
        .into_iter()
        .map(|result| (result["url"].as_str().unwrap().to_owned(), result))
        .collect();
    judged_by_others(&path);
    (results, records(&path))
}

/// All that is in these records.
fn all_text(records: &[Record]) -> String {
    let text = |record: &Record| {
        let block = String::from_utf8_lossy(&record.block).into_owned();
        format!("{:?}\n{block}", record.fields)
    };
    records.iter().map(text).collect()
}

#[test]
fn chunks_are_put_together_and_compressed_bodies_stay_compressed() {
    let site = Site::new();
    let body = gzip(b"<title>packed</title>");
    let chunk = [
        format!("{:x};x=y\r\n", body.len()).as_bytes(),
        &body,
        b"\r\n0\r\nEnd: 1\r\n\r\n",
    ]
    .concat();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Encoding: gzip\r\n\r\n";
    let answer = [head.as_bytes(), &chunk].concat();
    site.on("/", move |_| Answer::raw(answer.clone()));
    let (results, records) = kept(fetch(), &[json!({"url": site.url("/")})]);
    let result = &results[&site.url("/")];
    assert_eq!(result["title"], "packed");
    assert_eq!(result["capture"]["content_encoding"], "gzip");
    let (response, _) = exchange(result, &records);
    assert_eq!(response.http().1, body);
    assert_eq!(
        response.head(),
        head.replace("Transfer-Encoding", "x-orig-Transfer-Encoding")
    );
    assert_eq!(
        result["capture"]["digest"],
        response.field("WARC-Payload-Digest")
    );
    assert_eq!(result["capture"]["date"], response.field("WARC-Date"));
}

#[test]
fn requests_keep_their_secrets() {
    let site = Site::new();
    site.otherwise(|_| Answer::html("x"));
    let proxy = Forward::leading_with_password(&site.host(), "dTpwcm94eS1zM2NyZXQ=");
    let host = site.host();
    let lines = [
        json!({"url": format!("http://user:url-s3cret@{host}/a"), "proxy": "direct",
            "referer": format!("http://me:ref-s3cret@{host}/from")}),
        json!({"url": "http://far.invalid/b", "cookie": "id=cookie-s3cret",
            "headers": {"X-Token": "request-s3cret", "Accept-Language": "fr"}}),
        json!({"url": "http://far.invalid/c", "method": "POST", "body": "what was asked"}),
    ];
    let tool = fetch()
        .args([
            "-H",
            "Authorization: Bearer option-s3cret",
            "-H",
            "X-Key: s3cret",
        ])
        .args(["--proxy", &proxy.url("u:proxy-s3cret@")]);
    let (results, records) = kept(tool, &lines);
    assert_eq!(proxy.log().len(), 2);
    let text = all_text(&records);
    let basic = "dXNlcjp1cmwtczNjcmV0";
    for secret in ["s3cret", basic, "dTpwcm94eS1zM2NyZXQ=", "x-key", "CONNECT"] {
        assert!(
            !text.to_lowercase().contains(&secret.to_lowercase()),
            "{secret}: {text}"
        );
    }
    let target = format!("http://{host}/a");
    let direct = records
        .iter()
        .find(|record| record.get("WARC-Target-URI") == Some(&target));
    assert_eq!(direct.unwrap().field("WARC-IP-Address"), "127.0.0.1");
    let (through, beside) = exchange(&results["http://far.invalid/b"], &records);
    assert_eq!(
        through.get("WARC-IP-Address"),
        None,
        "only the proxy knows it"
    );
    assert!(through.head().starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(beside[0].head().contains("\r\naccept-language: fr\r\n"));
    let (_, beside) = exchange(&results["http://far.invalid/c"], &records);
    assert!(beside[0].head().starts_with("POST /c HTTP/1.1\r\n"));
    assert_eq!(beside[0].http().1, b"what was asked");
}

#[test]
fn redirects_and_robots_on_the_way_are_kept_too() {
    let site = Site::new();
    let body = "<p>moved</p>".repeat(10_000);
    site.on("/a", move |_| Answer::redirect("/b").body(body.as_str()))
        .on("/b", |_| Answer::redirect("/c"))
        .page("/c", "<title>end</title>")
        .on("/private", |_| {
            Answer::redirect("http://169.254.169.254/").body("no")
        })
        .on("/nowhere", |_| Answer::status(302).body("lost"))
        .on("/robots.txt", |_| Answer::html("none").with_status(404));
    let ask = |path: &str| json!({"url": site.url(path), "depth": 1});
    let tool = fetch().arg("--robots");
    let (results, records) = kept(tool, &[ask("/a"), ask("/private"), ask("/nowhere")]);
    let of = |path: &str| {
        let url = site.url(path);
        let is_one =
            |record: &&Record| record.is("response") && record.get("WARC-Target-URI") == Some(&url);
        let found: Vec<&Record> = records.iter().filter(is_one).collect();
        assert_eq!(found.len(), 1, "{path}");
        found[0]
    };
    for (path, status, payload, truncated) in [
        ("/a", "302", 64 << 10, Some("length")),
        ("/b", "302", 0, None),
        ("/c", "200", 18, None),
        ("/private", "302", 2, None),
        ("/nowhere", "302", 4, None),
        ("/robots.txt", "404", 4, None),
    ] {
        let response = of(path);
        assert_eq!(response.head().split(' ').nth(1), Some(status), "{path}");
        assert_eq!(response.http().1.len(), payload, "{path}");
        assert_eq!(response.get("WARC-Truncated"), truncated, "{path}");
    }
    let end = &results[&site.url("/a")];
    assert_eq!(end["title"], "end");
    assert!(
        end["capture"].is_null(),
        "no later /a has these bytes: {end}"
    );
    let (response, beside) = exchange(end, &records);
    assert_eq!(response.field("WARC-Target-URI"), site.url("/c"));
    let found = String::from_utf8(beside[1].block.clone()).unwrap();
    assert!(
        found.starts_with(&format!("via: {}\r\nhopsFromSeed: LRR\r\n", site.url("/b"))),
        "{found}"
    );
    assert_eq!(results[&site.url("/private")]["error"]["kind"], "refused");
    assert_eq!(results[&site.url("/nowhere")]["error"]["kind"], "redirect");
}

#[test]
fn pages_that_did_not_change_are_revisits() {
    let site = Site::new();
    let etag = |asked: &Asked, answer: Answer| match asked.header("if-none-match") {
        Some(_) => Answer::status(304).header("ETag", "\"v\""),
        None => answer.header("ETag", "\"v\""),
    };
    site.on("/tagged", move |asked| etag(asked, Answer::html("tagged")))
        .page("/same", "same")
        .on("/coded", |_| {
            Answer::html(gzip(b"coded")).header("Content-Encoding", "gzip")
        })
        .page("/changed", "before");
    let paths = ["/tagged", "/same", "/coded", "/changed"];
    let ask = |path: &str| json!({"url": site.url(path)});
    let (first, _) = kept(fetch(), &paths.map(ask));
    site.page("/changed", "after").on("/coded", |_| {
        Answer::html(gzip(b"coded")).header("Content-Encoding", "x-gzip")
    });
    let again = |path: &str| {
        let earlier = &first[&site.url(path)];
        json!({"url": site.url(path), "etag": earlier["etag"], "capture": earlier["capture"]})
    };
    let (second, records) = kept(fetch(), &paths.map(again));
    for (path, profile) in [
        ("/tagged", "server-not-modified"),
        ("/same", "identical-payload-digest"),
    ] {
        let (earlier, result) = (&first[&site.url(path)], &second[&site.url(path)]);
        let (revisit, beside) = exchange(result, &records);
        assert!(revisit.is("revisit") && beside.len() == 2, "{path}");
        let is_same = profile == "identical-payload-digest";
        let url = format!("http://netpreserve.org/warc/1.1/revisit/{profile}");
        assert_eq!(revisit.field("WARC-Profile"), url);
        assert_eq!(revisit.field("WARC-Refers-To-Target-URI"), site.url(path));
        assert_eq!(
            revisit.field("WARC-Refers-To-Date"),
            earlier["capture"]["date"]
        );
        assert_eq!(
            revisit.field("WARC-Payload-Digest"),
            earlier["capture"]["digest"]
        );
        assert_ne!(revisit.field("WARC-Date"), earlier["capture"]["date"]);
        assert_eq!(
            revisit.head().starts_with("HTTP/1.1 200 OK\r\n"),
            is_same,
            "{path}"
        );
        assert!(revisit.http().1.is_empty());
        assert_eq!(
            result["capture"], earlier["capture"],
            "no revisit of a revisit"
        );
    }
    for path in ["/coded", "/changed"] {
        let result = &second[&site.url(path)];
        let (response, _) = exchange(result, &records);
        assert!(response.is("response"), "{path}");
        assert_eq!(result["capture"]["date"], response.field("WARC-Date"));
    }
}

#[test]
fn answers_without_bodies_have_empty_payloads() {
    let site = Site::new();
    site.on("/head", |_| Answer::html("not sent"))
        .on("/none", |_| Answer::status(204))
        .page("/empty", "");
    let lines = [
        json!({"url": site.url("/head"), "method": "HEAD"}),
        json!({"url": site.url("/none")}),
        json!({"url": site.url("/empty")}),
    ];
    let (results, records) = kept(fetch(), &lines);
    for (url, result) in results {
        let (response, _) = exchange(&result, &records);
        assert!(response.http().1.is_empty(), "{url}");
        assert_eq!(response.get("WARC-Truncated"), None);
        assert!(result["capture"].is_null(), "{result}");
    }
}

#[test]
fn less_is_kept_on_request_and_an_existing_file_is_not_touched() {
    let site = Site::new();
    site.page("/", "x");
    let tool = fetch().args(["--warc-without", "requests", "--warc-without", "metadata"]);
    let (_, records) = kept(tool, &[json!({"url": site.url("/")})]);
    let kinds: Vec<&str> = records
        .iter()
        .map(|record| record.field("WARC-Type"))
        .collect();
    assert_eq!(kinds, ["warcinfo", "response"]);
    let folder = Folder::new();
    let path = folder.write("taken.warc.gz", "precious");
    let done = fetch().arg("--warc").arg(&path).stdin(site.url("/")).run();
    done.code(2)
        .says("cannot keep pages in")
        .says("File exists");
    assert_eq!(folder.read("taken.warc.gz"), "precious");
    fetch().args(["--warc", "-"]).run().code(2);
    fetch().args(["--warc-spool", "."]).run().code(2);
}

#[test]
fn a_spool_has_the_records_of_each_result_and_nothing_else() {
    let site = Site::tree(40, 5);
    let folder = Folder::new();
    let urls: Vec<String> = std::iter::once("/".to_owned())
        .chain((1..40).map(|n| format!("/{n}/page-{n}.html")))
        .map(|path| site.url(&path))
        .collect();
    let done = fetch()
        .args(["--max-redirects", "0", "--warc-spool"])
        .arg(&folder)
        .stdin(urls.join("\n"))
        .run()
        .code(0);
    let files = folder.files();
    assert_eq!(files.len(), 1, "{files:?}");
    let path = folder.join(&files[0]);
    let records = records(&path);
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut ranges = Vec::new();
    for result in results(&done) {
        let number = |field: &str| result["spool"][field].as_u64().unwrap();
        assert_eq!(result["spool"]["file"], name);
        let first = records
            .iter()
            .position(|r| r.offset == number("offset"))
            .unwrap();
        assert!(records[first].is("response"));
        assert_eq!(records[first].field("WARC-Target-URI"), result["url"]);
        assert_eq!(records[first].length, number("response_length"));
        let length: u64 = records[first..first + 3].iter().map(|r| r.length).sum();
        assert_eq!(length, number("length"));
        ranges.push((number("offset"), length));
    }
    ranges.sort_unstable();
    let mut end = 0;
    for (offset, length) in ranges {
        assert_eq!(offset, end, "no byte belongs to nobody");
        end += length;
    }
    assert_eq!(end, fs::metadata(&path).unwrap().len());
}

#[test]
fn a_full_disk_ends_the_run_and_leaves_whole_records() {
    let mut random = Random(7);
    let noise: Vec<u8> = (0..20_000).map(|_| random.below(256) as u8).collect();
    let large: Vec<u8> = (0..3_000_000).map(|_| random.below(256) as u8).collect();
    let site = Site::new();
    site.on("/large", move |_| Answer::typed("image/png", large.clone()))
        .otherwise(move |_| Answer::typed("image/png", noise.clone()));
    for last in ["/last", "/large"] {
        let folder = Folder::new();
        let path = folder.join("full.warc.gz");
        // In units of 512 bytes or 1 KiB, as the shell has it.
        let script = "ulimit -f 200; exec crawl-fetch -c 4 --warc \"$0\"";
        let mut running = Tool::program("sh").args(["-c", script]).arg(&path).start();
        running.send(&site.url("/first"));
        running.wait_lines(1);
        let before = fs::read(&path).unwrap();
        running.send(&site.url(last));
        if last == "/last" {
            (0..20).for_each(|n| running.send(&site.url(&format!("/{n}"))));
        }
        let done = running
            .wait()
            .code(1)
            .says("cannot write")
            .says("File too large");
        let records = records(&path);
        assert!(fs::read(&path).unwrap().starts_with(&before));
        let results = results(&done);
        for result in &results {
            exchange(result, &records);
        }
        let kept = records
            .iter()
            .filter(|record| record.is("response"))
            .count();
        assert_eq!(
            kept,
            results.len(),
            "what is kept is told, and nothing else"
        );
        assert!(last == "/last" || results.len() == 1);
    }
}

#[test]
fn large_pages_are_kept_within_the_memory_for_bodies() {
    let site = Site::new();
    let mut random = Random(7);
    let noise: Vec<u8> = (0..8 << 20).map(|_| random.below(256) as u8).collect();
    site.otherwise(move |_| Answer::typed("image/png", noise.clone()));
    let folder = Folder::new();
    let path = folder.join("large.warc.gz");
    let mut running = fetch()
        .args([
            "--per-host",
            "16",
            "--timeout",
            "300s",
            "--body-memory",
            "2M",
            "--warc",
        ])
        .arg(&path)
        .start();
    for n in 0..8 {
        running.send(&site.url(&format!("/{n}")));
    }
    running.wait_lines(8);
    let most = peak_kib(running.pid()) >> 10;
    assert!((1..110).contains(&most), "{most} MiB");
    running.close_stdin();
    running.wait().code(0).prints_lines(8);
    let records = records(&path);
    assert_eq!(
        records
            .iter()
            .filter(|record| record.is("response"))
            .count(),
        8
    );
}

#[test]
fn pages_for_a_parser_are_kept_as_all_are() {
    let site = Site::new();
    site.page("/", "<title>t</title>");
    let folder = Folder::new();
    let parser = folder.write("parser.sh", "tee seen");
    let argv = json!(["sh", parser]).to_string();
    let done = fetch()
        .args(["--max-redirects", "0", "--warc-spool", "spool", "--parse"])
        .arg(argv)
        .args(["--parse-dir", "."])
        .dir(&folder)
        .stdin(site.url("/"));
    fs::create_dir(folder.join("spool")).unwrap();
    let done = done.run().code(0);
    let result = &results(&done)[0];
    let name = result["spool"]["file"].as_str().unwrap();
    let records = records(folder.join("spool").join(name));
    assert_eq!(records[0].field("WARC-Target-URI"), site.url("/"));
    assert_eq!(records[0].field("WARC-Date"), result["capture"]["date"]);
    let seen: Value = serde_json::from_str(&folder.read("seen")).unwrap();
    assert_eq!(seen["title"], "t");
    assert!(
        seen["spool"].is_null() && seen["capture"].is_null(),
        "{seen}"
    );
}
