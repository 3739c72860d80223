//! A crawl from its start to its end: links, records, results, retries, pauses, redirects, limits.

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
