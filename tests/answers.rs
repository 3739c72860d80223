//! Answers in forms that servers send and curl reads: each is a page to crawl-fetch, too.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::Value;
use support::{Answer, Site, Tool};

const PAGE: &str = "<!doctype html><title>Grüße</title><a href=/next>next</a>";

/// A head for a page of a length that is not said.
const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n";

fn sized(head: &str) -> Vec<u8> {
    let length = PAGE.len();
    format!("{head}Content-Length: {length}\r\n\r\n{PAGE}").into_bytes()
}

/// Chunks of a few bytes each, whose size lines end in `size_end`, with `last` behind the last size.
fn chunks(data: &[u8], size_end: &str, end: &str, last: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in data.chunks(20) {
        write!(out, "{:x}{size_end}", chunk.len()).unwrap();
        out.extend_from_slice(chunk);
        out.extend_from_slice(end.as_bytes());
    }
    out.extend_from_slice(format!("0{size_end}{last}{end}").as_bytes());
    out
}

fn chunked(coding: &str, body: Vec<u8>) -> Vec<u8> {
    let head = format!("{HEAD}Transfer-Encoding: {coding}\r\n\r\n");
    [head.into_bytes(), body].concat()
}

fn coded(coding: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("{HEAD}Content-Encoding: {coding}\r\nContent-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Fetches all of these answers, which are no requests of their own to a site.
fn fetched(answers: &[(&str, Vec<u8>)]) -> HashMap<String, Value> {
    let site = Site::new();
    let mut urls = Vec::new();
    for (place, (_, bytes)) in answers.iter().enumerate() {
        let path = format!("/{place}");
        let bytes = bytes.clone();
        site.on(&path, move |_| Answer::raw(bytes.clone()));
        urls.push(site.url(&path));
    }
    let done = Tool::new("crawl-fetch")
        .stdin(urls.join("\n"))
        .run()
        .code(0);
    let lines = done.lines();
    assert_eq!(lines.len(), answers.len(), "{done}");
    let results = lines.iter().map(|line| {
        let result: Value = serde_json::from_str(line).unwrap();
        let place = urls.iter().position(|url| result["url"] == **url).unwrap();
        (answers[place].0.to_owned(), result)
    });
    results.collect()
}

#[track_caller]
fn all_are_the_page(answers: &[(&str, Vec<u8>)]) {
    let results = fetched(answers);
    for (name, _) in answers {
        let result = &results[*name];
        assert_eq!(result["status"], 200, "{name}: {result}");
        assert_eq!(result["title"], "Grüße", "{name}: {result}");
        assert_eq!(result["links"].as_array().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn heads_are_read_as_curl_reads_them() {
    let many: String = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
    all_are_the_page(&[
        ("plain", sized(HEAD)),
        (
            "folded",
            sized(&format!("{HEAD}X: one\r\n two\r\n\tthree\r\n")),
        ),
        (
            "a folded type",
            sized("HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n charset=utf-8\r\n"),
        ),
        (
            "a blank before the colon",
            sized("HTTP/1.1 200 OK\r\nContent-Type : text/html; charset=utf-8\r\n"),
        ),
        (
            "a line that is no field",
            sized(&format!("{HEAD}nonsense\r\n")),
        ),
        ("a blank in a name", sized(&format!("{HEAD}X Y: z\r\n"))),
        (
            "a control character",
            sized(&format!("{HEAD}X: y\x01z\r\n")),
        ),
        ("a return in a line", sized(&format!("{HEAD}X: y\rz\r\n"))),
        (
            "300 fields",
            sized(&HEAD.replace("Content", &format!("{many}Content"))),
        ),
        (
            "two lengths",
            sized(&format!("{HEAD}Content-Length: 1000\r\n")),
        ),
        (
            "a length beyond all bounds",
            format!("{HEAD}Content-Length: 36893488147419103232\r\n\r\n{PAGE}").into_bytes(),
        ),
        (
            "two blanks before the status",
            sized(&HEAD.replace(" 200", "  200")),
        ),
        (
            "another version",
            sized(&HEAD.replace("HTTP/1.1", "HTTP/2")),
        ),
        ("small letters", sized(&HEAD.replace("HTTP", "http"))),
        ("newlines alone", sized(&HEAD.replace('\r', ""))),
        ("no length", format!("{HEAD}\r\n{PAGE}").into_bytes()),
        (
            "interim answers",
            sized(&format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{HEAD}"
            )),
        ),
    ]);
}

#[test]
fn chunks_are_read_as_curl_reads_them() {
    let page = PAGE.as_bytes();
    let long = format!(";x={}\r\n", "y".repeat(8000));
    all_are_the_page(&[
        (
            "plain",
            chunked("chunked", chunks(page, "\r\n", "\r\n", "")),
        ),
        (
            "extensions",
            chunked("Chunked", chunks(page, " ; a=\"b c\"\r\n", "\r\n", "")),
        ),
        (
            "long extensions",
            chunked("chunked", chunks(page, &long, "\r\n", "")),
        ),
        (
            "newlines alone",
            chunked("chunked", chunks(page, "\n", "\n", "")),
        ),
        (
            "newlines behind sizes",
            chunked("chunked", chunks(page, "\n", "\r\n", "")),
        ),
        (
            "trailers",
            chunked("chunked", chunks(page, "\r\n", "\r\n", "A: b\r\nC: d\r\n")),
        ),
        (
            "gzip within",
            chunked("gzip, chunked", chunks(&gzip(page), "\r\n", "\r\n", "")),
        ),
        (
            "a length beside them",
            chunked(
                "chunked\r\nContent-Length: 3",
                chunks(page, "\r\n", "\r\n", ""),
            ),
        ),
    ]);
}

#[test]
fn codings_are_undone_in_turn_and_in_all_their_forms() {
    let page = PAGE.as_bytes();
    let members = [gzip(&page[..9]), gzip(&page[9..])].concat();
    all_are_the_page(&[
        ("gzip", coded("gzip", &gzip(page))),
        ("by its old name", coded("X-Gzip", &gzip(page))),
        ("two members", coded("gzip", &members)),
        ("deflate", coded("deflate", &zlib(page))),
        ("bare deflate", coded("deflate", &deflate(page))),
        ("one in another", coded("deflate, gzip", &gzip(&zlib(page)))),
        ("none at all", coded("identity", page)),
    ]);
}

#[test]
fn what_ends_early_or_makes_no_sense_is_no_page() {
    let page = PAGE.as_bytes();
    let whole = chunked("chunked", chunks(page, "\r\n", "\r\n", ""));
    let answers = [
        ("no last chunk", whole[..whole.len() - 5].to_vec()),
        (
            "no size",
            chunked("chunked", b"zz\r\nabc\r\n0\r\n\r\n".to_vec()),
        ),
        (
            "a long length",
            sized(HEAD)[..sized(HEAD).len() - 1].to_vec(),
        ),
        ("half of gzip", coded("gzip", &gzip(page)[..30])),
        ("no HTTP", page.to_vec()),
        ("a NUL", sized(&format!("{HEAD}X: a\0b\r\n"))),
    ];
    for (name, result) in fetched(&answers) {
        assert_eq!(result["error"]["kind"], "protocol", "{name}: {result}");
        assert_eq!(result["title"], Value::Null, "{name}");
    }
}
