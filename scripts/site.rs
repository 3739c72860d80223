//! A web site on loopback to try things on: serves a folder or generated pages.
//!
//!     site folder DIR [--log FILE] [--latency MS] [--listen IP] [--port N]
//!     site tree PAGES LINKS [the same]      each page links to some others
//!     site star PAGES [the same]            the first page links to all others
//!
//! Prints its URL, then serves until it is killed. The log has one line a
//! request, `METHOD /path`, in the order in which they arrived.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use support::{Answer, Asked, Site, Tree};

fn main() {
    let mut words = Vec::new();
    let (mut log, mut latency, mut listen, mut port) = (None, 0, "127.0.0.1".to_owned(), None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("the option needs a value");
        match arg.as_str() {
            "--log" => log = Some(Mutex::new(File::create(value()).unwrap())),
            "--latency" => latency = value().parse().unwrap(),
            "--listen" => listen = value(),
            "--port" => port = Some(value().parse().unwrap()),
            _ => words.push(arg),
        }
    }
    let site = match port {
        Some(port) => Site::at_port(&listen, port),
        None => Site::at(&listen),
    };
    site.latency(Duration::from_millis(latency));
    let answer = answers(&words);
    site.otherwise(move |asked| {
        if let Some(log) = &log {
            let line = format!("{} {}\n", asked.method, asked.path);
            log.lock().unwrap().write_all(line.as_bytes()).unwrap();
        }
        answer(asked)
    });
    println!("{}", site.url(""));
    loop {
        std::thread::park();
    }
}

fn answers(words: &[String]) -> Box<dyn Fn(&Asked) -> Answer + Send + Sync> {
    match words {
        [kind, folder] if kind == "folder" => {
            let root = PathBuf::from(folder);
            Box::new(move |asked| Answer::file(&root, &asked.path))
        }
        [kind, pages, links] if kind == "tree" => {
            let tree = Tree {
                pages: pages.parse().unwrap(),
                links_per_page: links.parse().unwrap(),
            };
            Box::new(move |asked| {
                tree.answer(&asked.path)
                    .unwrap_or_else(|| Answer::status(404))
            })
        }
        [kind, pages] if kind == "star" => {
            let pages: usize = pages.parse().unwrap();
            let link = |n| format!("<a href=\"/page-{n}.html\">{n}</a>\n");
            let hub: String = (1..pages).map(link).collect();
            Box::new(move |asked| match asked.path.as_str() {
                "/" => Answer::html(hub.as_str()),
                "/robots.txt" => Answer::status(404),
                _ => Answer::html("<title>A leaf</title><p>No links.\n"),
            })
        }
        _ => panic!("site folder DIR | site tree PAGES LINKS | site star PAGES"),
    }
}
