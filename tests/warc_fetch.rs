//! Pages kept as WARC by crawl-fetch: every byte of its files is looked at.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crawl_ckpt::warc::sha1;
use flate2::bufread::GzDecoder;
use serde_json::{Value, json};
use support::hostile::{self, CASES};
use support::{Answer, Done, Folder, Site, Tool, skipped};

/// A record, with the place of its member.
#[derive(Debug, Clone)]
struct Record {
    offset: u64,
    length: u64,
    fields: HashMap<String, String>,
    block: Vec<u8>,
}

impl Record {
    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    #[track_caller]
    fn field(&self, name: &str) -> &str {
        self.get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.fields))
    }

    fn is(&self, kind: &str) -> bool {
        self.get("WARC-Type") == Some(kind)
    }

    /// Of a block that is HTTP: the head with its blank line, and what follows.
    fn http(&self) -> (&[u8], &[u8]) {
        let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\n\r\n"].map(|end| {
            let at = self.block.windows(end.len()).position(|w| w == end);
            at.map(|at| at + end.len())
        });
        let end = ends.into_iter().flatten().min().unwrap_or(0);
        self.block.split_at(end)
    }

    fn head(&self) -> String {
        self.http().0.iter().map(|byte| char::from(*byte)).collect()
    }
}

/// All records of a file; nothing else is in it, and every digest is right.
#[track_caller]
fn records(path: impl AsRef<Path>) -> Vec<Record> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let offset = (file.len() - rest.len()) as u64;
        let mut member = GzDecoder::new(rest);
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        let after = member.into_inner();
        records.push(record(&bytes, offset, (rest.len() - after.len()) as u64));
        rest = after;
    }
    records
}

#[track_caller]
fn record(bytes: &[u8], offset: u64, length: u64) -> Record {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("WARC/1.1"));
    let fields: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let record = Record {
        offset,
        length,
        block: bytes[end + 4..].strip_suffix(b"\r\n\r\n").unwrap().to_vec(),
        fields: (fields.iter())
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    };
    assert_eq!(
        record.fields.len(),
        fields.len(),
        "a field stands twice: {head}"
    );
    assert_eq!(
        record.field("Content-Length"),
        record.block.len().to_string()
    );
    assert_eq!(record.field("WARC-Block-Digest"), sha1(&[&record.block]));
    let id = record.field("WARC-Record-ID");
    assert!(id.starts_with("<urn:uuid:") && id.ends_with('>'), "{id}");
    let date = record.field("WARC-Date");
    assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
    if record.is("response") {
        assert_eq!(
            record.field("WARC-Payload-Digest"),
            sha1(&[record.http().1])
        );
        assert_eq!(
            record.field("Content-Type"),
            "application/http;msgtype=response"
        );
        assert!(
            !record
                .head()
                .to_lowercase()
                .contains("\ntransfer-encoding:")
        );
    }
    record
}

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

/// What other people's tools say; `None` and a word when they are not there.
#[track_caller]
fn judged_by_others(path: &Path) {
    let python = "import warcio, fastwarc";
    let found = Command::new("python3").args(["-c", python]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        skipped("python3 has no warcio and fastwarc");
        return;
    }
    for words in [
        &["python3", "-m", "warcio.cli", "check", "-v"][..],
        &["fastwarc", "check", "-q"],
        &["gzip", "-t"],
    ] {
        let mut command = Command::new(words[0]);
        let done = command.args(&words[1..]).arg(path).output().unwrap();
        let said = [&done.stdout[..], &done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(done.status.success(), "{words:?}: {said}");
        assert!(
            !said.contains("fail: ") && !said.contains("digest failed"),
            "{words:?}: {said}"
        );
    }
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
            "/close/in-body" | "/close/in-chunk" | "/close/between-chunks" => Some("disconnect"),
            "/drip/body" | "/drip/chunks" => Some("time"),
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
