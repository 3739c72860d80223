//! Hosts and networks that do not answer.

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
    answer_all(serve(&folder, &most), |request| {
        if is_robots(request) {
            // One that was refused is asked for again by the next run.
            refused(request)
        } else {
            page(request, &["http://site.example/a"])
        }
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
