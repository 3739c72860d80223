//! Measures how fast items are taken from the pages of a folder, on one core:
//! `cargo run --release --example extract -- FOLDER [SPIDER]`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Instant;

use crawl_fetch::page::extract::{Extractor, Workspace};
use crawl_fetch::page::{PageReader, Want};
use url::Url;

/// The three fields of the benchmark.
const FIELDS: &str = r#"{"sections": [{"extract": {
    "title": {"css": "title::text"},
    "first": {"css": "p"},
    "code": {"css": "pre", "get_all": true, "processors": [{"type": "count"}]}
}}]}"#;

fn main() {
    let mut args = std::env::args().skip(1);
    let root = args.next().expect("a folder");
    let spider = args
        .next()
        .map(|path| std::fs::read_to_string(path).unwrap());
    let extractor = Extractor::from_json(spider.as_deref().unwrap_or(FIELDS)).unwrap();
    let files = walkdir::WalkDir::new(root).into_iter().flatten();
    let html = files.filter(|file| file.path().extension().is_some_and(|ext| ext == "html"));
    let pages: Vec<Vec<u8>> = html
        .map(|file| std::fs::read(file.path()).unwrap())
        .collect();
    let bytes: usize = pages.iter().map(Vec::len).sum();
    let url = Url::parse("http://h.example/").unwrap();
    let mut workspace = Workspace::default();
    let mut reader = PageReader::default();
    let mut sum = 0;
    let start = Instant::now();
    for page in &pages {
        let known = (encoding_rs::UTF_8, &url);
        let want = Want {
            links: true,
            marks: true,
            ..Want::default()
        };
        let read = reader.read(page, encoding_rs::UTF_8, &url, want);
        let fields = extractor.fields(&url, false);
        let item = fields.and_then(|fields| fields.item(page, read.marks, known, &mut workspace));
        sum += item.map_or(0, |item| item.json.get().len());
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} pages, {:.0} MB in {seconds:.2} s: {:.3} GB/s ({sum} bytes of items)",
        pages.len(),
        bytes as f64 / 1e6,
        bytes as f64 / 1e9 / seconds
    );
}
