//! crawl-frontier from outside: the test plays the fetcher.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Done, Folder, Running, Signal, Tool};

const START: &str = "http://site.example/";

fn frontier(folder: &Folder) -> Tool {
    Tool::new("crawl-frontier").dir(folder)
}

fn serve(folder: &Folder, options: &[&str]) -> Running {
    let basics = [
        "serve",
        "--job",
        "job",
        "--start",
        START,
        "--output",
        "out.jsonl",
    ];
    frontier(folder).args(basics).args(options).start()
}

/// The `count` requests that were sent so far.
fn requests(running: &Running, count: usize) -> Vec<Value> {
    let lines = running.wait_lines(count);
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A page as the answer to a request.
fn page(request: &Value, links: &[&str]) -> Value {
    json!({
        "url": request["url"], "id": request["id"], "depth": request["depth"], "status": 200,
        "elapsed_ms": 1, "links": links,
    })
}

fn error(request: &Value, kind: &str) -> Value {
    json!({
        "url": request["url"], "id": request["id"], "error": {"kind": kind, "message": "told"},
    })
}

fn send(running: &mut Running, answer: &Value) {
    running.send(&answer.to_string());
}

/// Answers whatever is asked for until the frontier ends.
fn answer_all(mut run: Running, answer: impl Fn(&Value) -> Value) -> Done {
    let mut answered = 0;
    while run.status().is_none() {
        let stdout = run.stdout();
        let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
        for line in whole.lines().skip(answered) {
            send(&mut run, &answer(&serde_json::from_str(line).unwrap()));
            answered += 1;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    run.wait()
}

/// The output records by URL; a URL with two records fails.
fn records(folder: &Folder) -> BTreeMap<String, Value> {
    let mut records = BTreeMap::new();
    for line in folder.read("out.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        assert!(
            records.insert(url, record).is_none(),
            "a second record: {line}"
        );
    }
    records
}

fn stat(folder: &Folder) -> Value {
    let done = frontier(folder)
        .args(["stat", "--job", "job", "--json"])
        .run()
        .code(0);
    serde_json::from_str(&done.text()).unwrap()
}

fn urls(requests: &[Value]) -> Vec<&str> {
    requests
        .iter()
        .map(|request| request["url"].as_str().unwrap())
        .collect()
}

mod serving {
    use super::*;

    #[test]
    fn a_crawl_follows_links_writes_records_and_ends() {
        let folder = Folder::new();
        let mut run = serve(&folder, &[]);
        let first = requests(&run, 1);
        assert_eq!(first[0]["url"], START);
        assert_eq!(first[0]["depth"], 0);
        let links = [
            "http://site.example/a#x",
            "http://site.example/b",
            "http://other.example/",
            START,
        ];
        send(&mut run, &page(&first[0], &links));
        let all = requests(&run, 3);
        assert_eq!(
            urls(&all[1..]),
            ["http://site.example/a", "http://site.example/b"]
        );
        assert_eq!(all[1]["referer"], START);
        assert_eq!(all[1]["depth"], 1);
        // In any order.
        send(&mut run, &page(&all[2], &["http://site.example/a"]));
        send(&mut run, &error(&all[1], "too_large"));
        run.wait().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 3);
        assert_eq!(records[START]["status"], 200);
        assert_eq!(records[START].get("id"), None);
        assert_eq!(records[START].get("links"), None);
        assert_eq!(
            records["http://site.example/a"]["error"]["kind"],
            "too_large"
        );
        let stat = stat(&folder);
        assert_eq!(
            (&stat["done"], &stat["failed"], &stat["seen"]),
            (&json!(2), &json!(1), &json!(3))
        );
    }

    #[test]
    fn a_complete_job_is_complete_at_once_when_served_again() {
        let folder = Folder::new();
        let mut run = serve(&folder, &[]);
        let first = requests(&run, 1);
        send(&mut run, &page(&first[0], &[]));
        run.wait().code(0);
        serve(&folder, &[]).wait().code(0).prints("");
        assert_eq!(records(&folder).len(), 1);
    }

    #[test]
    fn a_burst_of_results_loses_none() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--in-flight", "2000", "--per-host", "2000"]);
        let first = requests(&run, 1);
        let links: Vec<String> = (0..2000).map(|n| format!("{START}{n}")).collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        send(&mut run, &page(&first[0], &links));
        let all = requests(&run, 2001);
        // Large results, so that they come in many pieces.
        let padding = "x".repeat(4_000);
        let answers: Vec<String> = all[1..]
            .iter()
            .map(|request| {
                let mut answer = page(request, &[]);
                answer["title"] = json!(padding);
                answer.to_string()
            })
            .collect();
        run.feed((answers.join("\n") + "\n").into_bytes());
        run.wait().code(0);
        assert_eq!(records(&folder).len(), 2001);
    }

    #[test]
    fn a_line_that_is_no_result_is_told_and_the_crawl_goes_on() {
        let folder = Folder::new();
        let mut run = serve(&folder, &[]);
        let first = requests(&run, 1);
        run.send("nonsense");
        run.send(r#"{"url":"http://site.example/","id":77777}"#);
        send(&mut run, &page(&first[0], &[]));
        run.wait().code(0).says("a result line is left out");
        assert_eq!(records(&folder).len(), 1);
    }

    #[test]
    fn a_failure_that_may_pass_is_tried_again_and_the_record_counts_the_attempts() {
        let folder = Folder::new();
        let mut run = serve(&folder, &[]);
        let first = requests(&run, 1);
        let mut busy = page(&first[0], &[]);
        busy["status"] = json!(503);
        send(&mut run, &busy);
        let again = requests(&run, 2);
        assert_eq!(again[1]["id"], first[0]["id"]);
        send(&mut run, &page(&again[1], &[]));
        run.wait().code(0);
        assert_eq!(records(&folder)[START]["attempts"], 2);
    }

    #[test]
    fn a_host_that_asks_for_a_pause_gets_it_over_a_resume_and_others_go_on() {
        let folder = Folder::new();
        let other = ["--start", "http://b.example/"];
        let mut run = serve(&folder, &other);
        let first = requests(&run, 2);
        let mut busy = page(&first[0], &[]);
        busy["status"] = json!(429);
        busy["retry_after_s"] = json!(3);
        send(&mut run, &busy);
        let asked = std::time::Instant::now();
        let links = ["http://site.example/x", "http://b.example/y"];
        send(&mut run, &page(&first[1], &links));
        let all = requests(&run, 3);
        assert_eq!(all[2]["url"], "http://b.example/y");
        run.signal(Signal::Int);
        run.wait_says("pausing");
        send(&mut run, &page(&all[2], &[]));
        run.wait().code(130);
        let done = answer_all(serve(&folder, &other), |request| page(request, &[]));
        assert!(asked.elapsed().as_secs_f32() >= 2.9);
        assert_eq!(done.code(0).lines().len(), 2);
    }

    #[test]
    fn a_redirect_goes_through_the_queue_and_keeps_the_depth() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--allow", "/wanted"]);
        let first = requests(&run, 1);
        let mut moved = page(&first[0], &[]);
        moved["status"] = json!(301);
        moved["location"] = json!("http://www.site.example/new");
        send(&mut run, &moved);
        let all = requests(&run, 2);
        assert_eq!(all[1]["url"], "http://www.site.example/new");
        assert_eq!(all[1]["depth"], 0);
        // The host that the start URL redirects to belongs to the crawl; the rules hold for links.
        let links = [
            "http://www.site.example/wanted",
            "http://www.site.example/not",
        ];
        send(&mut run, &page(&all[1], &links));
        let all = requests(&run, 3);
        assert_eq!(all[2]["url"], "http://www.site.example/wanted");
        let mut loops = page(&all[2], &[]);
        loops["status"] = json!(302);
        loops["location"] = all[2]["url"].clone();
        send(&mut run, &loops);
        run.wait().code(0);
        let records = records(&folder);
        assert_eq!(records[START]["location"], "http://www.site.example/new");
        assert_eq!(
            records["http://www.site.example/wanted"]["error"]["kind"],
            "redirect"
        );
    }

    #[test]
    fn a_page_limit_ends_the_run_with_4_and_a_resume_goes_on() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--max-pages", "2", "--per-host", "1"]);
        let first = requests(&run, 1);
        send(
            &mut run,
            &page(
                &first[0],
                &["http://site.example/a", "http://site.example/b"],
            ),
        );
        let second = requests(&run, 2);
        send(&mut run, &page(&second[1], &[]));
        run.wait().code(4);
        assert_eq!(records(&folder).len(), 2);
        let mut run = serve(&folder, &[]);
        let rest = requests(&run, 1);
        assert_eq!(rest[0]["url"], "http://site.example/b");
        send(&mut run, &page(&rest[0], &[]));
        run.wait().code(0);
        assert_eq!(records(&folder).len(), 3);
    }

    /// A host whose answers take so long is sent so many requests at once, in the end.
    #[track_caller]
    fn under_way(elapsed_ms: u64, expected: usize) {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--in-flight", "8", "--per-host", "8"]);
        let links: Vec<String> = (0..200)
            .map(|n| format!("http://site.example/{n}"))
            .collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let answer = |request: &Value, links: &[&str]| {
            let mut answer = page(request, links);
            answer["elapsed_ms"] = elapsed_ms.into();
            answer
        };
        let first = requests(&run, 1);
        send(&mut run, &answer(&first[0], &links));
        for answered in 1..40 {
            let sent = run.wait_lines(answered + 1);
            let request = serde_json::from_str(&sent[answered]).unwrap();
            send(&mut run, &answer(&request, &[]));
        }
        assert_eq!(run.wait_lines(40 + expected).len(), 40 + expected);
        // It says itself that it sent no more meanwhile; nobody answers, so it is told twice.
        run.signal(Signal::Term);
        run.wait_says(&format!("pausing: {expected} requests are under way"));
        run.signal(Signal::Term);
        assert!(run.ends_within(support::DEADLINE), "{}", run.so_far());
        run.wait().code(143);
    }

    #[test]
    fn a_quick_host_is_sent_requests_ahead_even_when_it_may_have_all_of_them() {
        under_way(3, 64);
    }

    #[test]
    fn a_slow_host_is_sent_none_ahead() {
        under_way(2000, 8);
    }

    #[test]
    fn one_host_may_not_hold_up_another() {
        let folder = Folder::new();
        let other = [
            "--start",
            "http://b.example/",
            "--delay",
            "1h",
            "--per-host",
            "1",
        ];
        let run = serve(&folder, &other);
        let all = requests(&run, 2);
        assert_eq!(urls(&all), [START, "http://b.example/"]);
        run.signal(Signal::Kill);
        run.wait();
    }
}

mod stopping {
    use super::*;

    const LINKS: [&str; 3] = [
        "http://site.example/a",
        "http://site.example/b",
        "http://site.example/c",
    ];

    fn three_in_flight(folder: &Folder) -> (Running, Vec<Value>) {
        let mut run = serve(folder, &[]);
        let first = requests(&run, 1);
        let links = [
            "http://site.example/a",
            "http://site.example/b",
            "http://site.example/c",
        ];
        send(&mut run, &page(&first[0], &links));
        let all = requests(&run, 4);
        (run, all)
    }

    fn finish(folder: &Folder, expected: usize) {
        let mut run = serve(folder, &[]);
        let rest = requests(&run, expected);
        for request in &rest {
            send(&mut run, &page(request, &[]));
        }
        run.wait().code(0);
        assert_eq!(records(folder).len(), 4);
    }

    #[test]
    fn a_signal_waits_for_what_is_under_way() {
        for (signal, code) in [(Signal::Int, 130), (Signal::Term, 143), (Signal::Hup, 129)] {
            let folder = Folder::new();
            let (mut run, all) = three_in_flight(&folder);
            run.signal(signal);
            run.wait_says("pausing");
            send(&mut run, &page(&all[1], &["http://site.example/d"]));
            send(&mut run, &page(&all[2], &[]));
            send(&mut run, &page(&all[3], &[]));
            run.wait().code(code);
            assert_eq!(records(&folder).len(), 4);
            let mut run = serve(&folder, &[]);
            let rest = requests(&run, 1);
            assert_eq!(rest[0]["url"], "http://site.example/d");
            send(&mut run, &page(&rest[0], &[]));
            run.wait().code(0);
        }
    }

    #[test]
    fn a_hangup_that_was_ignored_at_the_start_does_not_pause() {
        let folder = Folder::new();
        let serve = "serve --job job --start http://site.example/ --output out.jsonl";
        let script = format!(
            "trap '' HUP; exec '{}' {serve}",
            support::bin("crawl-frontier").display()
        );
        let mut run = Tool::program("sh")
            .dir(&folder)
            .args(["-c", &script])
            .start();
        let start = requests(&run, 1);
        run.signal(Signal::Hup);
        send(&mut run, &page(&start[0], &["http://site.example/d"]));
        // Paused, it would ask for nothing more.
        let all = requests(&run, 2);
        send(&mut run, &page(&all[1], &[]));
        run.wait().code(0).never_says("pausing");
    }

    #[test]
    fn a_second_signal_does_not_wait_and_loses_nothing() {
        let folder = Folder::new();
        let (run, _) = three_in_flight(&folder);
        run.signal(Signal::Int);
        run.wait_says("pausing");
        run.signal(Signal::Int);
        run.wait().code(130);
        finish(&folder, 3);
    }

    #[test]
    fn a_kill_loses_nothing_and_doubles_nothing() {
        let folder = Folder::new();
        let (mut run, all) = three_in_flight(&folder);
        send(&mut run, &page(&all[1], &[]));
        // Its commit is durable when the record can be read.
        while folder.read("out.jsonl").lines().count() < 2 {
            std::thread::yield_now();
        }
        run.signal(Signal::Kill);
        assert_eq!(run.wait().signal(), Some(9));
        let run = serve(&folder, &[]);
        // What the kill left uncommitted is asked for again, perhaps all of it.
        answer_all(run, |request| {
            if request["url"] == START {
                page(request, &LINKS)
            } else {
                page(request, &[])
            }
        })
        .code(0);
        assert_eq!(records(&folder).len(), 4);
    }

    #[test]
    fn a_fetcher_that_is_gone_is_not_the_end_of_the_crawl() {
        let folder = Folder::new();
        let (mut run, _) = three_in_flight(&folder);
        run.close_stdin();
        run.wait().code(1).says("with 3 requests in flight");
        finish(&folder, 3);
    }

    #[test]
    fn a_torn_result_at_the_end_counts_for_nothing() {
        let folder = Folder::new();
        let (mut run, all) = three_in_flight(&folder);
        let answer = page(&all[1], &[]).to_string();
        run.feed(answer.as_bytes()[..answer.len() / 2].to_vec());
        run.wait().code(1);
        finish(&folder, 3);
    }

    #[test]
    fn no_answer_at_all_keeps_everything_pending() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--retries", "0"]);
        let first = requests(&run, 1);
        send(&mut run, &error(&first[0], "dns"));
        run.wait().code(1).says("no start URL ever answered");
        assert_eq!(stat(&folder)["pending"], 1);
        assert!(records(&folder).is_empty());
    }

    #[test]
    fn a_network_that_is_gone_costs_no_url() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--retries", "0", "--outage", "1s"]);
        let first = requests(&run, 1);
        send(&mut run, &page(&first[0], &["http://site.example/a"]));
        let all = requests(&run, 2);
        send(&mut run, &error(&all[1], "connect"));
        // Only a probe can tell now, for a page that was answered; nobody answers it.
        let probe = requests(&run, 3);
        assert_eq!(probe[2]["url"], START);
        assert_eq!(probe[2].get("kind"), None);
        send(&mut run, &error(&probe[2], "connect"));
        run.wait_says("the network is gone");
        run.wait().code(1);
        assert_eq!(records(&folder).len(), 1);
        assert_eq!(stat(&folder)["pending"], 1);
    }

    #[test]
    fn a_dead_host_fails_for_good_when_others_answer() {
        let folder = Folder::new();
        let mut run = serve(
            &folder,
            &["--retries", "0", "--start", "http://dead.example/"],
        );
        let first = requests(&run, 2);
        send(&mut run, &page(&first[0], &[]));
        send(&mut run, &error(&first[1], "dns"));
        // The other answered a moment ago, so nobody needs to be asked whether there is a network.
        run.wait().code(0);
        assert_eq!(
            records(&folder)["http://dead.example/"]["error"]["kind"],
            "dns"
        );
    }
}

mod hosts {
    use super::*;

    fn robots(request: &Value, text: &str) -> Value {
        json!({"url": request["url"], "id": request["id"], "status": 200, "robots": text})
    }

    #[test]
    fn robots_txt_comes_first_and_decides() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--robots", "-A", "ours/1.0"]);
        let first = requests(&run, 1);
        assert_eq!(first[0]["url"], "http://site.example/robots.txt");
        assert_eq!(first[0]["kind"], "robots");
        send(
            &mut run,
            &robots(&first[0], "User-agent: ours\nDisallow: /secret\n"),
        );
        let all = requests(&run, 2);
        assert_eq!(all[1]["url"], START);
        send(
            &mut run,
            &page(
                &all[1],
                &["http://site.example/secret/x", "http://site.example/open"],
            ),
        );
        let all = requests(&run, 3);
        assert_eq!(all[2]["url"], "http://site.example/open");
        run.signal(Signal::Kill);
        run.wait();
        // What was learned before the kill may or may not be committed; a resume asks again then.
        let run = serve(&folder, &["--robots", "-A", "ours/1.0"]);
        answer_all(run, |request| {
            assert_ne!(request["url"], "http://site.example/secret/x");
            if request["kind"] == "robots" {
                robots(request, "User-agent: ours\nDisallow: /secret\n")
            } else {
                page(request, &["http://site.example/secret/x"])
            }
        })
        .code(0);
        let record = &records(&folder)["http://site.example/secret/x"];
        assert_eq!(record["error"]["kind"], "robots");
        assert_eq!(
            record["error"]["message"],
            "disallowed by line 2 of robots.txt"
        );
    }

    #[test]
    fn what_robots_txt_disallows_costs_no_turn_of_the_delay() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--robots", "--delay", "1s"]);
        let first = requests(&run, 1);
        send(
            &mut run,
            &robots(&first[0], "User-agent: *\nDisallow: /no\n"),
        );
        let all = requests(&run, 2);
        let mut links: Vec<String> = (0..500).map(|n| format!("{START}no/{n}")).collect();
        links.push(format!("{START}yes"));
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let begun = std::time::Instant::now();
        send(&mut run, &page(&all[1], &links));
        let all = requests(&run, 3);
        // One delay, and not 501 of them.
        assert!(begun.elapsed().as_secs() < 100);
        send(&mut run, &page(&all[2], &[]));
        run.wait().code(0);
        assert_eq!(records(&folder).len(), 502);
    }

    #[test]
    fn a_missing_robots_txt_allows_and_a_broken_one_forbids() {
        let folder = Folder::new();
        let options = [
            "--robots",
            "--retries",
            "0",
            "--start",
            "http://down.example/",
        ];
        let mut run = serve(&folder, &options);
        let first = requests(&run, 2);
        let status = |request: &Value, status: u16| json!({"url": request["url"], "id": request["id"], "status": status});
        send(&mut run, &status(&first[0], 404));
        send(&mut run, &status(&first[1], 500));
        let all = requests(&run, 3);
        assert_eq!(all[2]["url"], START);
        send(&mut run, &page(&all[2], &[]));
        run.wait().code(0);
        let record = &records(&folder)["http://down.example/"];
        assert_eq!(record["error"]["kind"], "robots");
        assert_eq!(record["error"]["message"], "no robots.txt: status 500");
    }
}

/// Hosts and networks that do not answer.
mod silence {
    use super::*;

    const OTHER: &str = "http://other.example/";

    fn robots(request: &Value) -> Value {
        json!({"url": request["url"], "id": request["id"], "status": 404})
    }

    fn is_robots(request: &Value) -> bool {
        request["url"].as_str().unwrap().ends_with("/robots.txt")
    }

    fn is_of(request: &Value, host: &str) -> bool {
        request["url"].as_str().unwrap().starts_with(host)
    }

    #[test]
    fn a_dead_host_whose_robots_txt_never_comes_ends_with_a_record() {
        let folder = Folder::new();
        let options = ["--robots", "--retries", "1", "--start", OTHER];
        answer_all(serve(&folder, &options), |request| {
            match (is_of(request, OTHER), is_robots(request)) {
                (true, _) => error(request, "connect"),
                (_, true) => robots(request),
                _ => page(request, &[]),
            }
        })
        .code(0);
        let record = &records(&folder)[OTHER];
        assert_eq!(record["error"]["kind"], "connect");
        assert_eq!(record["error"]["message"], "no robots.txt: told");
    }

    #[test]
    fn a_host_that_answers_for_robots_txt_alone_is_dead() {
        let folder = Folder::new();
        let options = ["--robots", "--retries", "1", "--start", OTHER];
        answer_all(serve(&folder, &options), |request| {
            match (is_robots(request), is_of(request, OTHER)) {
                (true, _) => robots(request),
                (_, true) => error(request, "timeout"),
                _ => page(request, &[]),
            }
        })
        .code(0);
        let records = records(&folder);
        assert_eq!(records[OTHER]["error"]["kind"], "timeout");
        assert_eq!(records[OTHER]["attempts"], 2);
        assert_eq!(records[START]["status"], 200);
    }

    #[test]
    fn a_crawl_that_is_answered_for_robots_txt_alone_fails_and_keeps_all() {
        let folder = Folder::new();
        answer_all(serve(&folder, &["--robots", "--retries", "1"]), |request| {
            if is_robots(request) {
                robots(request)
            } else {
                error(request, "timeout")
            }
        })
        .code(1)
        .says("no start URL ever answered: timeout: told");
        assert!(records(&folder).is_empty());
        assert_eq!(stat(&folder)["pending"], 1);
    }

    #[test]
    fn pages_that_stop_coming_while_robots_txt_is_answered_are_waited_for_and_kept() {
        let folder = Folder::new();
        let links: Vec<String> = (0..30).map(|n| format!("{START}{n}")).collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        let options = ["--robots", "--retries", "0", "--outage", "2s"];
        let hang = std::cell::Cell::new(false);
        let site = |request: &Value| match is_robots(request) {
            true => robots(request),
            false if hang.replace(true) => error(request, "timeout"),
            false => page(request, &links),
        };
        answer_all(serve(&folder, &options), site)
            .code(1)
            .says("no request gets an answer any more")
            .says("the network is gone");
        assert_eq!(records(&folder).len(), 1);
        assert_eq!(stat(&folder)["pending"], 30);
        // So in a resumed run, which knows that the host did answer once.
        answer_all(serve(&folder, &options), site).code(1);
        assert_eq!(records(&folder).len(), 1);
        let well = |request: &Value| page(request, &[]);
        answer_all(serve(&folder, &options), well).code(0);
        assert_eq!(records(&folder).len(), 31);
        assert!(
            records(&folder)
                .values()
                .all(|record| record["status"] == 200)
        );
    }

    #[test]
    fn single_pages_that_never_come_end_with_records() {
        let folder = Folder::new();
        let links = ["http://site.example/a", "http://site.example/b"];
        let run = serve(&folder, &["--retries", "1"]);
        answer_all(run, |request| {
            if request["url"] == links[0] {
                error(request, "timeout")
            } else {
                page(request, &links)
            }
        })
        .code(0);
        assert_eq!(records(&folder)[links[0]]["error"]["kind"], "timeout");
        assert_eq!(records(&folder).len(), 3);
    }

    #[test]
    fn a_host_that_did_answer_and_falls_silent_is_waited_for_though_others_did_answer() {
        let folder = Folder::new();
        let late = format!("{OTHER}late");
        let options = ["--retries", "0", "--outage", "1s", "--start", OTHER];
        let mut run = serve(&folder, &options);
        let first = requests(&run, 2);
        send(&mut run, &page(&first[1], &[&late]));
        let all = requests(&run, 3);
        send(&mut run, &page(&first[0], &[]));
        send(&mut run, &error(&all[2], "timeout"));
        let probe = requests(&run, 4);
        assert_eq!(probe[3]["url"], OTHER);
        send(&mut run, &error(&probe[3], "timeout"));
        run.wait_says("the network is gone");
        run.wait().code(1);
        assert_eq!(stat(&folder)["pending"], 1);
        assert_eq!(records(&folder).len(), 2);
    }

    #[test]
    fn a_resume_while_the_site_is_down_waits_and_keeps_all() {
        let folder = Folder::new();
        let options = ["--robots", "--retries", "1", "--outage", "1s"];
        let refused = |request: &Value| {
            let mut answer = robots(request);
            answer["status"] = json!(403);
            answer
        };
        let most = [&options[..], &["--max-pages", "1"]].concat();
        answer_all(serve(&folder, &most), |request| match is_robots(request) {
            // One that was refused is asked for again by the next run.
            true => refused(request),
            false => page(request, &["http://site.example/a"]),
        })
        .code(4);
        answer_all(serve(&folder, &options), |request| error(request, "dns"))
            .code(1)
            .says("the network is gone");
        assert_eq!(stat(&folder)["pending"], 1);
        assert_eq!(stat(&folder)["failed"], 0);
        answer_all(serve(&folder, &options), |request| {
            if is_robots(request) {
                robots(request)
            } else {
                page(request, &[])
            }
        })
        .code(0);
        assert_eq!(records(&folder).len(), 2);
    }

    #[test]
    fn a_site_whose_robots_txt_alone_never_comes_again_ends_with_records() {
        let folder = Folder::new();
        let options = ["--robots", "--retries", "0", "--outage", "1h"];
        let most = [&options[..], &["--max-pages", "1"]].concat();
        answer_all(serve(&folder, &most), |request| {
            if is_robots(request) {
                let mut answer = robots(request);
                answer["status"] = json!(403);
                answer
            } else {
                page(request, &["http://site.example/a"])
            }
        })
        .code(4);
        answer_all(serve(&folder, &options), |request| {
            if is_robots(request) {
                error(request, "timeout")
            } else {
                page(request, &[])
            }
        })
        .code(0);
        let record = &records(&folder)["http://site.example/a"];
        assert_eq!(record["error"]["message"], "no robots.txt: told");
    }
}

/// A fetcher of another make or version, or a broken one.
mod strangers {
    use super::*;

    #[test]
    fn an_error_of_an_unknown_kind_ends_its_url_as_io() {
        let folder = Folder::new();
        let run = serve(&folder, &["--retries", "1"]);
        answer_all(run, |request| match request["url"] == START {
            true => page(request, &["http://site.example/a", "http://site.example/b"]),
            false if request["url"] == "http://site.example/a" => error(request, "browser"),
            // Not even a message.
            false => json!({"url": request["url"], "id": request["id"], "error": {"kind": "x"}}),
        })
        .code(0);
        let records = records(&folder);
        let record = &records["http://site.example/a"];
        assert_eq!(record["error"]["kind"], "io");
        assert_eq!(record["error"]["message"], "browser: told");
        assert_eq!(record["attempts"], 2);
        assert_eq!(records["http://site.example/b"]["error"]["kind"], "io");
    }

    #[test]
    fn a_line_that_is_no_result_is_a_failed_attempt_of_the_request_that_it_names() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--retries", "3", "--in-flight", "1"]);
        for number in 0..3 {
            let sent = requests(&run, number + 1);
            let id = &sent[number]["id"];
            run.send(&match number {
                0 => format!(r#"{{"url":"{START}","id":{id},"status":"200"}}"#),
                1 => format!(r#"{{"id":{id},"set_cookie":"sid=secret","url":"{START}"}}"#),
                _ => format!(r#"{{"url":"{START}","id":{id},"status":200,"links":["htt"#),
            });
        }
        let sent = requests(&run, 4);
        send(&mut run, &page(&sent[3], &[]));
        let done = run.wait().code(0).says("a result line is left out");
        assert!(!done.words().contains("secret"), "{done}");
        let record = &records(&folder)[START];
        assert_eq!(record["status"], 200);
        assert_eq!(record["attempts"], 4);
    }

    #[test]
    fn one_that_answers_nonsense_for_ever_gets_its_record() {
        let folder = Folder::new();
        let run = serve(&folder, &["--retries", "1"]);
        answer_all(run, |request| {
            if request["url"] == START {
                page(request, &["http://site.example/a"])
            } else {
                json!({"id": request["id"]})
            }
        })
        .code(0);
        let record = &records(&folder)["http://site.example/a"];
        assert_eq!(record["error"]["kind"], "io");
        let message = record["error"]["message"].as_str().unwrap();
        assert!(
            message.starts_with("the fetcher's answer is no result"),
            "{message}"
        );
    }

    #[test]
    fn wrong_and_repeated_ids_are_told_and_do_no_harm() {
        let folder = Folder::new();
        let mut run = serve(&folder, &["--robots"]);
        let robots = requests(&run, 1);
        let rules = json!({"url": "u", "id": robots[0]["id"], "status": 404});
        send(&mut run, &rules);
        send(&mut run, &rules);
        let first = requests(&run, 2);
        for id in [
            json!(1 << 20),
            json!(-1),
            json!(1_u64 << 51),
            json!(1_u64 << 52),
            json!((1_u64 << 52) + 1),
            json!((1_u64 << 52) + (1 << 32)),
            json!((1_u64 << 52) + (1 << 40)),
            json!(u64::MAX),
        ] {
            send(&mut run, &json!({"url": START, "id": id, "status": 200}));
        }
        send(&mut run, &page(&first[1], &["http://site.example/a"]));
        send(&mut run, &page(&first[1], &["http://site.example/b"]));
        let all = requests(&run, 3);
        assert_eq!(all[2]["url"], "http://site.example/a");
        send(&mut run, &page(&all[2], &[]));
        run.wait()
            .code(0)
            .says("a result line is left out: no request with id 4503599627370496 is under way");
        assert_eq!(records(&folder).len(), 2);
    }

    #[test]
    fn one_that_is_silent_about_a_request_ends_the_run_and_then_the_request() {
        let folder = Folder::new();
        let mute = "http://site.example/mute";
        for ends in 0..4 {
            let mut run = serve(&folder, &["--answer-within", "700ms"]);
            let mut answered = 0;
            while run.status().is_none() {
                let stdout = run.stdout();
                let whole = stdout.rfind('\n').map_or("", |end| &stdout[..end]);
                for line in whole.lines().skip(answered) {
                    answered += 1;
                    let request: Value = serde_json::from_str(line).unwrap();
                    if request["url"] != mute {
                        send(&mut run, &page(&request, &[mute, "http://site.example/a"]));
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            if ends < 3 {
                run.wait()
                    .code(1)
                    .says("the fetcher says nothing of 1 request for 0.7s");
                assert_eq!(stat(&folder)["in_flight"], 1);
            } else {
                run.wait().code(0);
            }
        }
        let records = records(&folder);
        assert_eq!(records.len(), 3);
        assert_eq!(records[mute]["error"]["kind"], "io");
    }

    #[test]
    fn one_that_is_silent_about_robots_txt_has_not_answered_for_it() {
        let folder = Folder::new();
        let mute = "http://mute.example/";
        let options = [
            "--robots",
            "--retries",
            "0",
            "--answer-within",
            "700ms",
            "--start",
            mute,
        ];
        let mut run = serve(&folder, &options);
        let first = requests(&run, 2);
        send(
            &mut run,
            &json!({"url": "u", "id": first[0]["id"], "status": 404}),
        );
        let all = requests(&run, 3);
        send(&mut run, &page(&all[2], &[]));
        // It is the host's fault, since another answered a moment ago.
        assert!(run.ends_within(support::DEADLINE), "{}", run.so_far());
        run.wait().code(0);
        let message = &records(&folder)[mute]["error"]["message"];
        assert_eq!(message, "no robots.txt: the fetcher was silent about it");
    }

    #[test]
    fn a_record_has_the_url_of_its_request_whatever_the_fetcher_says() {
        let folder = Folder::new();
        let mut run = serve(&folder, &[]);
        let first = requests(&run, 1);
        let mut answer = page(&first[0], &["http://site.example/a"]);
        answer["url"] = json!("http://elsewhere.example/");
        answer["depth"] = json!(77);
        answer["bytes"] = json!(u64::MAX);
        answer["elapsed_ms"] = json!(u64::MAX);
        answer["links_dropped"] = json!(u64::MAX);
        send(&mut run, &answer);
        let all = requests(&run, 2);
        let mut answer = page(&all[1], &[]);
        answer["bytes"] = json!(u64::MAX);
        answer["links_dropped"] = json!(u64::MAX);
        send(&mut run, &answer);
        run.wait().code(0);
        let records = records(&folder);
        assert_eq!(records[START]["depth"], 0);
        assert!(records.contains_key("http://site.example/a"), "{records:?}");
    }
}

mod proxies {
    use super::*;

    fn blocked(request: &Value) -> Value {
        let mut answer = page(request, &[]);
        answer["status"] = json!(403);
        answer
    }

    fn is_proxied(request: &Value) -> bool {
        request
            .get("proxy")
            .is_some_and(|proxy| proxy == "datacenter")
    }

    #[test]
    fn a_host_that_blocks_is_fetched_through_the_datacenter_from_then_on() {
        let folder = Folder::new();
        let run = serve(&folder, &["--proxies", "datacenter"]);
        let done = answer_all(run, |request| {
            if is_proxied(request) {
                page(request, &["http://site.example/a", "http://site.example/b"])
            } else {
                blocked(request)
            }
        });
        let lines = done.code(0).lines();
        let requests: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(urls(&requests[..2]), [START, START]);
        assert!(requests[1..].iter().all(is_proxied));
        assert!(
            records(&folder)
                .values()
                .all(|record| record["status"] == 200)
        );
        assert_eq!(records(&folder).len(), 3);
    }

    #[test]
    fn without_a_proxy_a_block_is_a_failed_record() {
        let folder = Folder::new();
        let nothing = answer_all(serve(&folder, &[]), blocked).code(1);
        nothing.says("nothing useful").says("--accept-empty");
        assert_eq!(stat(&folder)["pending"], 1);
        answer_all(serve(&folder, &["--accept-empty"]), blocked).code(0);
        assert_eq!(records(&folder)[START]["status"], 403);
        assert_eq!(stat(&folder)["failed"], 1);
    }

    #[test]
    fn a_host_that_blocks_everything_is_parked_and_only_an_approval_goes_on() {
        let folder = Folder::new();
        let proxies = ["--proxies", "datacenter,residential"];
        answer_all(serve(&folder, &proxies), blocked).code(3);
        assert!(records(&folder).is_empty());
        assert_eq!(stat(&folder)["pending"], 1);
        // Without an approval nothing more is sent.
        answer_all(serve(&folder, &proxies), blocked)
            .code(3)
            .prints("");
        // What is added to a parked host waits with the rest of it.
        let added = frontier(&folder).args(["add", "--job", "job"]);
        added.stdin("http://site.example/more\n").run().code(0);
        assert_eq!(stat(&folder)["pending"], 2);
        answer_all(serve(&folder, &proxies), blocked).code(3);
        let approved = [&proxies[..], &["--proxy-type", "residential"]].concat();
        let done = answer_all(serve(&folder, &approved), |request| {
            assert_eq!(request["proxy"], "residential");
            page(request, &[])
        });
        done.code(0);
        assert_eq!(records(&folder)[START]["status"], 200);
    }

    #[test]
    fn retry_blocked_takes_failed_records_back_and_keeps_the_others() {
        let folder = Folder::new();
        let links = ["http://site.example/a", "http://site.example/b"];
        let first = |request: &Value| match request["url"].as_str().unwrap() {
            START => page(request, &links),
            url if url.ends_with("/a") => blocked(request),
            _ => page(request, &[]),
        };
        answer_all(serve(&folder, &[]), first).code(0);
        assert_eq!(records(&folder)["http://site.example/a"]["status"], 403);
        let done = answer_all(serve(&folder, &["--retry-blocked"]), |request| {
            assert_eq!(request["url"], "http://site.example/a");
            page(request, &[])
        });
        done.code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 3);
        assert!(records.values().all(|record| record["status"] == 200));
        Tool::new("crawl-frontier")
            .dir(&folder)
            .args(["stat", "--job", "job"])
            .run()
            .code(0);
        assert_eq!(
            (&stat(&folder)["done"], &stat(&folder)["failed"]),
            (&json!(3), &json!(0))
        );
        // Nothing of it is left over for the next resume.
        serve(&folder, &[]).wait().code(0).prints("");
    }
}

mod bulk {
    use super::*;

    fn add(folder: &Folder, lines: &str) -> Done {
        frontier(folder)
            .args(["add", "--job", "job", "--print-new"])
            .stdin(lines)
            .run()
            .code(0)
    }

    #[test]
    fn only_new_requests_are_kept_and_printed() {
        let folder = Folder::new();
        let lines = "http://a.example/\nHTTP://A.example:80/#x\nnonsense\n\n\
                     {\"url\":\"http://a.example/\",\"method\":\"POST\",\"priority\":5}\n";
        let done = add(&folder, lines);
        assert_eq!(done.lines().len(), 2);
        done.says("added 2, duplicate 1, invalid 1")
            .says("line 3 is left out");
        add(&folder, lines)
            .prints("")
            .says("added 0, duplicate 3, invalid 1");
        let pending = frontier(&folder)
            .args(["export", "--job", "job"])
            .run()
            .code(0)
            .lines();
        let pending: Vec<Value> = pending
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        // The higher priority goes first.
        assert_eq!(pending[0]["method"], "POST");
        assert_eq!(pending[1]["url"], "http://a.example/");
    }

    #[test]
    fn what_was_added_is_seen_in_its_canonical_form() {
        let folder = Folder::new();
        add(&folder, "http://a.example/%7ex\n");
        let urls = "http://A.example/%7Ex\nhttp://a.example/y\n";
        let seen = frontier(&folder)
            .args(["seen", "--job", "job"])
            .stdin(urls)
            .run()
            .code(0);
        assert_eq!(seen.lines(), ["http://A.example/%7Ex"]);
        let rest = frontier(&folder)
            .args(["seen", "-v", "--job", "job"])
            .stdin(urls)
            .run()
            .code(0);
        assert_eq!(rest.lines(), ["http://a.example/y"]);
    }

    #[test]
    fn a_job_that_was_added_to_is_served_and_stays_on_its_hosts() {
        let folder = Folder::new();
        add(&folder, "http://a.example/1\nhttp://b.example/2\n");
        let mut run = frontier(&folder).args(["serve", "--job", "job"]).start();
        let first = requests(&run, 2);
        send(
            &mut run,
            &page(&first[0], &["http://c.example/", "http://b.example/3"]),
        );
        let all = requests(&run, 3);
        assert_eq!(all[2]["url"], "http://b.example/3");
        send(&mut run, &page(&all[1], &[]));
        send(&mut run, &page(&all[2], &[]));
        run.wait().code(0);
    }

    #[test]
    fn ten_thousand_lines_go_in_once() {
        let folder = Folder::new();
        let lines: String = (0..10_000)
            .map(|n| format!("http://h{}.example/{n}\n", n % 100))
            .collect();
        assert_eq!(add(&folder, &lines).lines().len(), 10_000);
        add(&folder, &lines)
            .prints("")
            .says("added 0, duplicate 10000, invalid 0");
        let stat = stat(&folder);
        assert_eq!(
            (&stat["pending"], &stat["hosts"]),
            (&json!(10_000), &json!(100))
        );
    }

    #[test]
    fn a_job_that_is_held_is_left_alone() {
        let folder = Folder::new();
        let run = serve(&folder, &[]);
        requests(&run, 1);
        let add = frontier(&folder)
            .args(["add", "--job", "job"])
            .stdin("http://a.example/\n");
        add.run().code(75).says(&format!("pid {}", run.pid()));
        run.signal(Signal::Int);
        run.wait_says("pausing");
        run.signal(Signal::Int);
        run.wait().code(130);
    }

    #[test]
    fn canon_prints_the_form_and_the_fingerprint() {
        let folder = Folder::new();
        let urls = "http://A.example\nno url\n";
        let done = frontier(&folder)
            .arg("canon")
            .stdin(urls)
            .run()
            .code(1)
            .says("no url");
        let fields: Vec<String> = done.text().trim().split('\t').map(str::to_owned).collect();
        assert_eq!(fields[0], "http://a.example/");
        assert_eq!(fields[1].len(), 32);
    }
}

mod output {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_nobodys_to_write_into() {
        let folder = Folder::new();
        folder.write("out.jsonl", "mine\n");
        serve(&folder, &[])
            .wait()
            .code(2)
            .says("the file exists already");
        assert_eq!(folder.read("out.jsonl"), "mine\n");
    }

    #[test]
    fn a_password_in_a_url_goes_to_the_fetcher_and_not_into_the_output() {
        let folder = Folder::new();
        let args = [
            "serve",
            "--job",
            "job",
            "--start",
            "http://me:secret@a.example/",
        ];
        let run = frontier(&folder)
            .args(args)
            .args(["--output", "out.jsonl"])
            .start();
        let done = answer_all(run, |request| page(request, &[]));
        assert!(done.text().contains("secret"));
        done.code(0);
        let output = folder.read("out.jsonl");
        assert!(
            output.contains("a.example") && !output.contains("secret"),
            "{output}"
        );
    }

    #[test]
    fn a_resume_keeps_its_output() {
        let folder = Folder::new();
        let run = serve(&folder, &[]);
        requests(&run, 1);
        run.signal(Signal::Int);
        run.wait_says("pausing");
        run.signal(Signal::Int);
        run.wait().code(130);
        let other = [
            "serve",
            "--job",
            "job",
            "--start",
            START,
            "--output",
            "other.jsonl",
        ];
        frontier(&folder)
            .args(other)
            .run()
            .code(2)
            .says("began with the output");
        assert!(
            !folder
                .files()
                .iter()
                .any(|file| file.ends_with("other.jsonl"))
        );
    }
}
