//! Whole crawls over the plainest of stores, with a web of a few lines.

use std::collections::BTreeMap;

use crawl_ckpt::plan::{Plan, Scope};
use crawl_ckpt::record::Request;
use serde_json::{Value, json};

use super::*;
use crate::store::plain::Plain;

/// What a URL answers.
type Web = fn(&str) -> Value;

fn crawl(plan: Plan) -> Crawl<Plain> {
    let mut crawl = Crawl::new(plan, [7; 16], Plain::default()).unwrap();
    crawl.start().unwrap();
    crawl
}

fn plan(start: &str) -> Plan {
    Plan {
        start_urls: vec![start.to_owned()],
        scope: Scope {
            allowed_hosts: vec!["site.example".to_owned()],
            ..Scope::default()
        },
        robots: false,
        ..Plan::default()
    }
}

/// Answers all that a crawl asks for, at once, until there is nothing more; the clock jumps to
/// whatever is waited for.
fn serve(crawl: &mut Crawl<Plain>, web: Web) -> Done {
    let mut now_ms = 1;
    for _ in 0..10_000 {
        let mut lines = Vec::new();
        let step = loop {
            match crawl.next_request(now_ms, &mut lines).unwrap() {
                Step::Sent => {}
                step => break step,
            }
        };
        for line in std::str::from_utf8(&lines).unwrap().lines() {
            let request: Request<'_> = serde_json::from_str(line).unwrap();
            let mut answer = web(&request.url);
            answer["id"] = json!(request.id);
            answer["url"] = json!(request.url);
            answer["depth"] = json!(request.depth);
            let answer = answer.to_string();
            crawl.answer(answer.as_bytes(), now_ms).unwrap();
        }
        crawl.commit_if_due(now_ms).unwrap();
        match step {
            Step::Done(done) => return done,
            Step::Wait {
                until_ms: Some(until_ms),
            } => now_ms = now_ms.max(until_ms),
            _ => {}
        }
    }
    panic!("the crawl does not end: {:?}", crawl.progress());
}

/// The status of each record, by URL.
fn records(crawl: &Crawl<Plain>) -> BTreeMap<String, u64> {
    let finished = crawl.store.finished.iter();
    let records: Vec<Value> = finished
        .map(|(_, _, record)| serde_json::from_str(record.as_ref().unwrap()).unwrap())
        .collect();
    let told = records.len();
    let by_url: BTreeMap<String, u64> = records
        .iter()
        .map(|record| {
            let url = record["url"].as_str().unwrap().to_owned();
            (url, record["status"].as_u64().unwrap_or(0))
        })
        .collect();
    assert_eq!(by_url.len(), told, "no URL has two records");
    by_url
}

#[test]
fn a_whole_crawl_goes_through_the_door_of_a_store_of_plain_maps() {
    let mut crawl = crawl(plan("http://site.example/0"));
    let done = serve(&mut crawl, |url| {
        let n: u64 = url.rsplit('/').next().unwrap().parse().unwrap();
        let to = |n: u64| format!("http://site.example/{n}");
        let links = match n {
            0..50 => vec![to(n * 2 + 1), to(n * 2 + 2), "http://other.example/".into()],
            _ => vec![to(0)],
        };
        json!({ "status": if n == 13 { 404 } else { 200 }, "links": links })
    });
    assert_eq!(done, Done::Complete);
    let records = records(&crawl);
    let expected = (0..=100).map(|n| {
        let url = format!("http://site.example/{n}");
        (url, if n == 13 { 404 } else { 200 })
    });
    assert_eq!(records, expected.collect());
    let counts = crawl.progress().counts;
    assert_eq!(counts.done + counts.failed, records.len() as u64);
    assert_eq!(crawl.store.committed.as_ref().unwrap().counts, counts);
}

/// Sends what can go now; gives the requests.
fn asked(crawl: &mut Crawl<Plain>, now_ms: u64) -> Vec<Value> {
    let mut lines = Vec::new();
    while crawl.next_request(now_ms, &mut lines).unwrap() == Step::Sent {}
    let lines = std::str::from_utf8(&lines).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn reply(crawl: &mut Crawl<Plain>, request: &Value, mut answer: Value, now_ms: u64) {
    answer["id"] = request["id"].clone();
    answer["url"] = request["url"].clone();
    crawl.answer(answer.to_string().as_bytes(), now_ms).unwrap();
}

fn urls(requests: &[Value]) -> Vec<&str> {
    let urls = requests.iter().map(|request| request["url"].as_str());
    urls.map(|url| url.unwrap()).collect()
}

#[test]
fn robots_txt_is_asked_for_again_after_a_day_and_the_old_one_holds_meanwhile() {
    const HOUR_MS: u64 = 3_600_000;
    let at = |path: &str| format!("http://site.example{path}");
    let mut crawl = crawl(Plan {
        robots: true,
        retry: crawl_ckpt::plan::Retry {
            times: 0,
            ..Default::default()
        },
        ..plan(&at("/"))
    });
    let robots = asked(&mut crawl, 1);
    assert_eq!(urls(&robots), [at("/robots.txt")]);
    let rules = json!({"status": 200, "robots": "User-agent: *\nDisallow: /no\n"});
    reply(&mut crawl, &robots[0], rules, 1);
    let page = asked(&mut crawl, 1);
    // Within the day nothing is asked again.
    let links = json!([at("/a"), at("/b"), at("/no1")]);
    let late = 24 * HOUR_MS;
    reply(
        &mut crawl,
        &page[0],
        json!({"status": 200, "links": links}),
        late,
    );
    assert_eq!(urls(&asked(&mut crawl, late)), [at("/a"), at("/b")]);
    // After it the file goes first; one that cannot be had changes nothing.
    let flights: Vec<u64> = crawl.flights.keys().copied().collect();
    let links = json!([at("/c"), at("/no2")]);
    let next = late + 2 * HOUR_MS;
    for (n, id) in flights.iter().enumerate() {
        let links = if n == 0 { links.clone() } else { json!([]) };
        let answer = json!({"id": id, "url": "", "status": 200, "links": links});
        crawl.answer(answer.to_string().as_bytes(), next).unwrap();
    }
    let robots = asked(&mut crawl, next);
    assert_eq!(urls(&robots), [at("/robots.txt")]);
    reply(&mut crawl, &robots[0], json!({"status": 503}), next);
    let page = asked(&mut crawl, next);
    assert_eq!(urls(&page), [at("/c")]);
    // It is tried again before long, and what it says by then counts.
    let soon = next + 2 * HOUR_MS;
    let links = json!([at("/d"), at("/no3"), at("/e")]);
    reply(
        &mut crawl,
        &page[0],
        json!({"status": 200, "links": links}),
        soon,
    );
    let robots = asked(&mut crawl, soon);
    assert_eq!(urls(&robots), [at("/robots.txt")]);
    let rules = json!({"status": 200, "robots": "User-agent: *\nDisallow: /d\n"});
    reply(&mut crawl, &robots[0], rules, soon);
    let pages = asked(&mut crawl, soon);
    assert_eq!(urls(&pages), [at("/no3"), at("/e")]);
    let records = records(&crawl);
    for forbidden in ["/no1", "/no2", "/d"] {
        assert_eq!(records[&at(forbidden)], 0, "{forbidden}");
    }
}
