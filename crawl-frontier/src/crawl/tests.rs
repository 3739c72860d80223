//! Whole crawls over the plainest of stores, with a web of a few lines.

use std::collections::BTreeMap;

use crawl_ckpt::control::Cause;
use crawl_ckpt::plan::{Plan, Scope};
use crawl_ckpt::record::Request;
use serde_json::{Value, json};

use super::*;
use crate::store::plain::Plain;
use crate::unnamed::AsideRoom;

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
    // The file is asked for again before long, and what it says by then counts.
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

#[test]
fn a_request_that_waits_in_a_fetcher_that_answers_others_is_not_lost() {
    let at = |path: &str| format!("http://site.example{path}");
    let mut crawl = crawl(plan(&at("/")));
    crawl.expect_answers(Some(1000));
    assert_eq!(crawl.silence_due_ms(), None);
    let first = asked(&mut crawl, 1);
    assert_eq!(crawl.silence_due_ms(), Some(1001));
    let links = json!([at("/a"), at("/b"), at("/c"), at("/d")]);
    let answer = json!({"status": 200, "links": links});
    reply(&mut crawl, &first[0], answer, 900);
    let mut sent = asked(&mut crawl, 900);
    let waits = sent.remove(0);
    for now_ms in [1800, 2700, 3600] {
        assert_eq!(crawl.hear_silence(now_ms).unwrap(), None);
        reply(&mut crawl, &sent.remove(0), json!({"status": 200}), now_ms);
        sent.extend(asked(&mut crawl, now_ms));
    }
    // Now it says nothing at all.
    assert_eq!(crawl.silence_due_ms(), Some(4600));
    let silence = crawl.hear_silence(4600).unwrap().unwrap();
    assert_eq!((silence.requests, silence.since_ms), (1, 1000));
    reply(&mut crawl, &waits, json!({"status": 200}), 4601);
    assert_eq!(asked(&mut crawl, 4601), Vec::<Value>::new());
    assert_eq!(records(&crawl).len(), 5);
}

#[test]
fn a_request_that_a_fetcher_dropped_is_found_while_it_answers_others() {
    let at = |path: &str| format!("http://site.example{path}");
    let mut crawl = crawl(plan(&at("/")));
    crawl.expect_answers(Some(1000));
    let first = asked(&mut crawl, 1);
    let links = json!([at("/dropped"), at("/1")]);
    reply(
        &mut crawl,
        &first[0],
        json!({"status": 200, "links": links}),
        2,
    );
    let mut sent = asked(&mut crawl, 2);
    assert_eq!(sent.remove(0)["url"], at("/dropped"));
    for n in 2..100 {
        let now_ms = n * 500;
        if let Some(silence) = crawl.hear_silence(now_ms).unwrap() {
            assert_eq!(silence.requests, 1);
            assert!((5000..10_000).contains(&now_ms), "{now_ms}");
            assert_eq!(crawl.lost.values().count(), 1);
            return;
        }
        let answer = json!({"status": 200, "links": [at(&format!("/{n}"))]});
        reply(&mut crawl, &sent.remove(0), answer, now_ms);
        sent = asked(&mut crawl, now_ms);
    }
    panic!("it was not found");
}

#[test]
fn a_test_crawl_whose_fetcher_says_nothing_fails_and_no_page_is_to_blame() {
    let mut crawl = crawl(plan("http://site.example/"));
    crawl.run_once();
    crawl.expect_answers(Some(1000));
    asked(&mut crawl, 1);
    let silence = crawl.hear_silence(1001).unwrap().unwrap();
    assert_eq!(silence.requests, 1);
    assert!(records(&crawl).is_empty());
}

#[test]
fn start_urls_without_a_page_get_no_more_records_than_the_run_may_have() {
    let at = |n: u64| format!("http://site.example/{n}");
    let start_urls: Vec<String> = (0..10).map(at).collect();
    let mut first = crawl(Plan {
        start_urls: start_urls.clone(),
        ..plan("")
    });
    first.limit_records(Some(3));
    let web: Web = |url| json!({"status": if url.ends_with('9') { 200 } else { 404 }});
    assert_eq!(serve(&mut first, web), Done::Limit);
    // Those under way came as well; what waited has had no room.
    assert_eq!(records(&first).len(), 3);
    first.release_held(1);
    assert_eq!(first.progress().counts.pending, 7);

    let mut empty = crawl(Plan {
        start_urls,
        ..plan("")
    });
    empty.accept_empty();
    empty.limit_records(Some(3));
    assert_eq!(serve(&mut empty, |_| json!({"status": 404})), Done::Limit);
    assert_eq!(records(&empty).len(), 3);
}

#[test]
fn a_fetcher_that_was_started_again_and_says_nothing_at_all_is_no_fault_of_a_request() {
    let mut crawl = crawl(plan("http://site.example/"));
    crawl.expect_answers(Some(1000));
    crawl.be_careful();
    let robots = ["http://site.example/robots.txt"];
    let probe = asked(&mut crawl, 1);
    assert_eq!(urls(&probe), robots);
    for restart in 1..=5 {
        let silence = crawl.hear_silence(1000 * restart + 1).unwrap();
        assert_eq!(silence.map(|silence| silence.requests), Some(1));
    }
    assert_eq!(crawl.lost.values().count(), 0);
    reply(&mut crawl, &probe[0], json!({"status": 404}), 6000);
    let page = asked(&mut crawl, 6000);
    assert_eq!(urls(&page), ["http://site.example/"]);
    reply(&mut crawl, &page[0], json!({"status": 200}), 6000);
    // The host that answered is the first that the next one is asked of.
    crawl.lost.is_heard = false;
    assert_eq!(urls(&asked(&mut crawl, 7000)), robots);
    assert!(crawl.hear_silence(8000).unwrap().is_some());
}

/// The fetcher dies, and the crawl is gone on with by another: what was sent goes first. Tells how many requests were
/// set aside.
fn die(crawl: &mut Crawl<Plain>) -> u64 {
    let aside = crawl.fetcher_died().unwrap();
    crawl.release_held(1);
    let mut sent: Vec<_> = std::mem::take(&mut crawl.flights).into_iter().collect();
    sent.sort_by_key(|(id, _)| *id);
    for (place, (_, flight)) in (0..).zip(sent) {
        crawl.landed(&flight);
        crawl.schedule.answered(flight.host);
        crawl.put(flight.host, flight.ticket, i64::MAX - place);
    }
    for due in std::mem::take(&mut crawl.lost.alone) {
        crawl.put(due.host, due.ticket, 0);
    }
    let mut files = crawl.errands.files();
    files.sort_unstable();
    crawl.errands = Errands::default();
    for host in files {
        crawl.robots.want_again(host);
    }
    crawl.lost.is_alone = false;
    crawl.be_careful();
    aside
}

#[test]
fn a_request_is_not_set_aside_when_one_fetcher_is_killed_while_it_goes_alone() {
    let bad = "http://site.example/bad";
    let mut crawl = crawl(plan(bad));
    crawl.lost.is_heard = true;
    // The last time it is alone, and so it is the time after.
    for now_ms in 1..=3 {
        assert_eq!(urls(&asked(&mut crawl, now_ms)), [bad]);
        assert_eq!(die(&mut crawl), 0);
    }
    let again = asked(&mut crawl, 4);
    reply(&mut crawl, &again[0], json!({"status": 200}), 4);
    assert_eq!(records(&crawl)[bad], 200);
    assert_eq!(crawl.lost.values().count(), 0);
}

#[test]
fn before_a_request_goes_alone_a_fetcher_shows_that_it_works_whoever_started_it() {
    let (bad, good) = ("http://site.example/bad", "http://site.example/");
    let mut crawl = crawl(plan(good));
    let first = asked(&mut crawl, 1);
    reply(
        &mut crawl,
        &first[0],
        json!({"status": 200, "links": [bad]}),
        1,
    );
    for now_ms in 2..=3 {
        assert_eq!(urls(&asked(&mut crawl, now_ms)), [bad]);
        assert_eq!(die(&mut crawl), 0);
    }
    // A person starts the next two, who knows nothing of the last.
    for (now_ms, aside) in [(4, 0), (5, 1)] {
        (crawl.lost.is_careful, crawl.lost.is_heard) = (false, false);
        let probe = asked(&mut crawl, now_ms);
        assert_eq!(urls(&probe), ["http://site.example/robots.txt"]);
        reply(&mut crawl, &probe[0], json!({"status": 404}), now_ms);
        assert_eq!(urls(&asked(&mut crawl, now_ms)), [bad]);
        assert_eq!(die(&mut crawl), aside);
    }
    assert_eq!(records(&crawl)[bad], 0);
}

#[test]
fn a_start_url_that_fetchers_die_of_is_to_blame_though_nothing_else_was_ever_answered() {
    let bad = "http://site.example/bad";
    let mut crawl = crawl(plan(bad));
    assert_eq!(urls(&asked(&mut crawl, 1)), [bad]);
    // This one may have died of anything.
    assert_eq!(die(&mut crawl), 0);
    for (now_ms, aside) in [(2, 0), (3, 0), (4, 0), (5, 1)] {
        crawl.lost.is_heard = false;
        let probe = asked(&mut crawl, now_ms);
        assert_eq!(urls(&probe), ["http://site.example/robots.txt"]);
        reply(&mut crawl, &probe[0], json!({"status": 404}), now_ms);
        assert_eq!(urls(&asked(&mut crawl, now_ms)), [bad]);
        assert_eq!(die(&mut crawl), aside);
    }
}

#[test]
fn a_robots_txt_is_not_to_blame_when_one_fetcher_is_killed_while_it_goes_alone() {
    let (good, file) = ("http://good.example/", "http://site.example/robots.txt");
    let mut plan = plan("http://site.example/");
    plan.start_urls.push(good.to_owned());
    plan.scope.allowed_hosts.push("good.example".to_owned());
    plan.robots = true;
    let mut crawl = crawl(plan);
    let other = format!("{good}robots.txt");
    for now_ms in 1..=2 {
        let files = asked(&mut crawl, now_ms);
        assert_eq!(urls(&files), [file, &other]);
        crawl.lost.is_heard = true;
        assert_eq!(die(&mut crawl), 0);
    }
    // Each alone.
    let files = asked(&mut crawl, 3);
    assert_eq!(urls(&files), [file]);
    assert_eq!(die(&mut crawl), 0);
    let files = asked(&mut crawl, 4);
    assert_eq!(urls(&files), [&other]);
    reply(&mut crawl, &files[0], json!({"status": 404}), 4);
    let files = asked(&mut crawl, 4);
    assert_eq!(urls(&files), [file]);
    reply(&mut crawl, &files[0], json!({"status": 404}), 4);
    assert_eq!(crawl.lost.values().count(), 0);
    assert_eq!(asked(&mut crawl, 5).len(), 2);
}

#[test]
fn a_start_url_that_fetchers_die_of_is_not_in_the_way_of_another() {
    let bad = "http://site.example/bad";
    let mut crawl = crawl(Plan {
        start_urls: vec![bad.to_owned(), "http://site.example/good".to_owned()],
        ..plan(bad)
    });
    crawl.lost.is_heard = true;
    assert_eq!(asked(&mut crawl, 1).len(), 2);
    assert_eq!(die(&mut crawl), 0);
    assert_eq!(asked(&mut crawl, 2).len(), 2);
    assert_eq!(die(&mut crawl), 0);
    assert_eq!(urls(&asked(&mut crawl, 3)), [bad]);
    assert_eq!(die(&mut crawl), 0);
    assert_eq!(urls(&asked(&mut crawl, 4)), [bad]);
    assert_eq!(die(&mut crawl), 1);
    let good = asked(&mut crawl, 5);
    assert_eq!(urls(&good), ["http://site.example/good"]);
    reply(&mut crawl, &good[0], json!({"status": 200}), 5);
    assert_eq!(
        serve(&mut crawl, |_| panic!("nothing is left")),
        Done::Complete
    );
    assert_eq!(records(&crawl)[bad], 0);
}

#[test]
fn a_request_that_goes_alone_costs_its_host_a_turn_when_it_goes_and_not_before() {
    let (bad, next) = ("http://site.example/bad", "http://site.example/next");
    let other = |n: u64| format!("http://other.example/{n}");
    let mut plan = plan(bad);
    plan.start_urls.extend([next.to_owned(), other(1)]);
    plan.scope.allowed_hosts.push("other.example".to_owned());
    plan.pace.delay_ms = 1000;
    let mut crawl = crawl(plan);
    // Two fetchers die of it.
    let mut lost = Vec::new();
    for n in 1..=2 {
        for Flight { host, ticket, .. } in lost.drain(..) {
            crawl.put(host, ticket, i64::MAX);
        }
        let now_ms = (n - 1) * 1000 + 1;
        let mut sent = asked(&mut crawl, now_ms);
        sent.sort_by_key(|request| request["url"] != bad);
        assert_eq!(urls(&sent), [bad, &other(n)]);
        let answer = json!({"status": 200, "links": [other(n + 1)]});
        reply(&mut crawl, &sent[1], answer, now_ms);
        assert_eq!(crawl.fetcher_died().unwrap(), 0);
        lost.extend(std::mem::take(&mut crawl.flights).into_values());
        crawl.landed(&lost[0]);
        crawl.schedule.answered(lost[0].host);
    }
    let slow = asked(&mut crawl, 2001);
    assert_eq!(slow.len(), 2, "{slow:?}");
    crawl.put(lost[0].host, lost[0].ticket, i64::MAX);
    assert!(
        asked(&mut crawl, 3001).is_empty(),
        "it waits for the others"
    );
    for request in &slow {
        let more = format!("{}/more", request["url"].as_str().unwrap());
        reply(
            &mut crawl,
            request,
            json!({"status": 200, "links": [more]}),
            5000,
        );
    }
    let alone = asked(&mut crawl, 5000);
    assert_eq!(urls(&alone), [bad]);
    reply(&mut crawl, &alone[0], json!({"status": 200}), 5001);
    assert_eq!(urls(&asked(&mut crawl, 5999)), [other(3) + "/more"]);
    assert_eq!(urls(&asked(&mut crawl, 6000)), [format!("{next}/more")]);
}

#[test]
fn a_robots_txt_that_the_fetcher_did_not_ask_for_ends_no_page_by_itself() {
    let mut crawl = crawl(Plan {
        robots: true,
        ..plan("http://site.example/")
    });
    let done = serve(
        &mut crawl,
        |_| json!({"error": {"kind": "io", "message": "too many open files"}}),
    );
    assert_eq!(done, Done::NoAnswer);
    assert_eq!(crawl.last_unanswered(), "io: too many open files");
    assert!(records(&crawl).is_empty());
    assert_eq!(crawl.progress().counts.pending, 1);
}

#[test]
fn hosts_that_never_answer_take_no_room_of_one_that_does() {
    let dead = (0..500).map(|n| format!("http://dead{n}.example/"));
    let mut plan = plan("http://site.example/");
    plan.start_urls.extend(dead);
    plan.pace.concurrency = 4;
    let mut crawl = crawl(plan);
    let (mut asked, mut silent) = (0, 0);
    for now_ms in 1..200 {
        let mut lines = Vec::new();
        while let Step::Sent = crawl.next_request(now_ms, &mut lines).unwrap() {}
        for line in std::str::from_utf8(&lines).unwrap().lines() {
            let request: Request<'_> = serde_json::from_str(line).unwrap();
            if request.url.contains("dead") {
                silent += 1;
                continue;
            }
            asked += 1;
            let links: Vec<String> = (0..50)
                .map(|n| format!("http://site.example/{n}"))
                .collect();
            let answer = json!({"id": request.id, "url": request.url, "depth": request.depth,
                "status": 200, "links": links});
            let answer = answer.to_string();
            crawl.answer(answer.as_bytes(), now_ms).unwrap();
        }
    }
    assert_eq!((asked, silent), (51, 4));
}

#[test]
fn what_slows_a_crawl_down_is_named() {
    let cause = |crawl: &Crawl<Plain>, now_ms| {
        let slow = crawl.slowed_by(now_ms)?;
        Some((slow.cause, slow.wait_ms))
    };
    let two =
        || json!({ "status": 200, "links": ["http://site.example/1", "http://site.example/2"] });
    let start = || plan("http://site.example/");

    let mut polite = crawl(Plan {
        robots: true,
        ..start()
    });
    let robots = asked(&mut polite, 1);
    assert_eq!(cause(&polite, 1), Some((Cause::Robots, 0)));
    let rules = json!({ "status": 200, "robots": "User-agent: *\nCrawl-delay: 7\n" });
    reply(&mut polite, &robots[0], rules, 1);
    let page = asked(&mut polite, 1);
    reply(&mut polite, &page[0], two(), 2);
    assert!(asked(&mut polite, 3).is_empty());
    assert_eq!(cause(&polite, 3), Some((Cause::CrawlDelay, 7000)));

    let mut slow = start();
    slow.pace.delay_ms = 2000;
    let mut slow = crawl(slow);
    let page = asked(&mut slow, 1);
    reply(&mut slow, &page[0], two(), 2);
    assert!(asked(&mut slow, 3).is_empty());
    assert_eq!(cause(&slow, 3), Some((Cause::Delay, 2000)));

    let mut busy = crawl(start());
    let page = asked(&mut busy, 1);
    assert_eq!(cause(&busy, 1), None);
    reply(&mut busy, &page[0], two(), 2);
    let pages = asked(&mut busy, 3);
    reply(&mut busy, &pages[0], json!({ "status": 200 }), 3);
    let wait = json!({ "status": 503, "retry_after_s": 30 });
    reply(&mut busy, &pages[1], wait, 4);
    assert!(asked(&mut busy, 5).is_empty());
    assert_eq!(cause(&busy, 4), Some((Cause::Retry, 30_000)));

    // A pause that began when the host's delay was longer is none that the host asked for.
    let mut sorry = crawl(start());
    let page = asked(&mut sorry, 1);
    let links: Vec<String> = (0..40)
        .map(|n| format!("http://site.example/{n}"))
        .collect();
    reply(
        &mut sorry,
        &page[0],
        json!({ "status": 200, "links": links }),
        2,
    );
    let mut now_ms = 3;
    for page in asked(&mut sorry, now_ms) {
        now_ms += 60_000;
        reply(&mut sorry, &page, json!({ "status": 503 }), now_ms);
    }
    now_ms += 60_000;
    let pages = asked(&mut sorry, now_ms);
    reply(&mut sorry, &pages[0], json!({ "status": 200 }), now_ms + 1);
    assert!(asked(&mut sorry, now_ms + 1).is_empty());
    assert_eq!(
        cause(&sorry, now_ms + 1).map(|(cause, _)| cause),
        Some(Cause::BackingOff)
    );
}

#[test]
fn cookies_take_no_more_than_their_share_of_the_memory() {
    let with_cookies = |bytes: usize| {
        let dir = std::env::temp_dir();
        let mut store = Plain::default();
        store.share = Some(AsideRoom { dir, bytes });
        let plan = Plan {
            cookies: true,
            scope: Scope::default(),
            ..plan("http://site.example/")
        };
        let mut crawl = Crawl::new(plan, [7; 16], store).unwrap();
        crawl.start().unwrap();
        let site = |n: u32| format!("http://h{n}.example/");
        let done = serve(&mut crawl, |url| match url {
            "http://site.example/" => {
                let links: Vec<String> =
                    (0..100).map(|n| format!("http://h{n}.example/")).collect();
                json!({"status": 200, "links": links})
            }
            _ => json!({"status": 200, "set_cookie": [format!("k={}", "x".repeat(4000))]}),
        });
        assert_eq!(done, Done::Complete);
        let kept = (0..100).filter(|n| crawl.cookies.header(&site(*n)).is_some());
        kept.count()
    };
    assert_eq!(with_cookies(1 << 20), 100);
    let few = with_cookies(1 << 17);
    assert!((1..=32).contains(&few), "{few} hosts have a cookie");
}
