//! Request lines in, result lines out.

use crate::support::hostile::Ends;

use super::*;

#[test]
fn every_request_line_gives_one_result_whatever_the_server_does() {
    assert!(CASES.len() >= 60);
    let site = hostile::site();
    let urls: Vec<String> = CASES.iter().map(|case| site.url(case.path)).collect();
    let tool = fetch()
        .args(["--max-redirects", "0", "--max-size", "1M"])
        .args(["--timeout", "6s", "-c", "16", "--per-host", "16"]);
    let results = results(tool, &urls);
    let mut wrong = Vec::new();
    for case in CASES {
        let result = &results[&site.url(case.path)];
        let right = match case.ends {
            Ends::Status(status) => result["status"] == status && kind(result) == "none",
            Ends::Error(error) => kind(result) == error,
        };
        if !right {
            let short = &result.to_string()[..result.to_string().len().min(400)];
            wrong.push(format!("{} {:?}: {short}", case.path, case.ends));
        }
        if kind(result) != "none" {
            for field in ["links", "digest", "title", "bytes"] {
                assert_eq!(
                    result[field],
                    Value::Null,
                    "{}: nothing half is a page",
                    case.path
                );
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_result_says_all_that_the_contract_promises_and_nothing_else() {
    let site = Site::new();
    site.on("/p", |_| {
        Answer::html("<title> A\n page</title><a href='/x#y'><a href=/x>")
            .header("ETag", "\"e\"")
            .header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            .header("Set-Cookie", "a=b")
            .header("Retry-After", "7")
    });
    let request =
        json!({"url": site.url("/p"), "id": 5, "depth": 2, "meta": {"k": [1.50]}, "unknown": 1});
    let mut result = result(fetch(), &request);
    let fields = result.as_object_mut().unwrap();
    assert!(fields.remove("elapsed_ms").unwrap().as_u64().unwrap() < 5000);
    let at = fields.remove("fetched_at").unwrap();
    let at = at.as_str().unwrap();
    assert!(at.ends_with('Z') && at.contains('T'), "{at}");
    let digest = fields.remove("digest").unwrap();
    assert_eq!(digest.as_str().unwrap().len(), "blake3:".len() + 64);
    assert_eq!(
        result,
        json!({
            "url": site.url("/p"), "id": 5, "depth": 2, "meta": {"k": [1.50]}, "status": 200,
            "content_type": "text/html; charset=utf-8", "bytes": 49, "etag": "\"e\"",
            "last_modified": "Thu, 01 Jan 2026 00:00:00 GMT", "retry_after_s": 7,
            "set_cookie": ["a=b"], "proxy": "direct", "title": "A page",
            "links": [site.url("/x")],
        })
    );
}

#[test]
fn a_request_says_how_it_is_to_be_sent() {
    let site = Site::new();
    site.on("/p", |_| Answer::status(204));
    let request = json!({
        "url": site.url("/p"), "method": "POST", "headers": {"X-One": "1", "User-Agent": "mine"},
        "body": "a=ä", "referer": "http://u:p@r.example/#f", "cookie": "c=d",
        "etag": "\"e\"", "last_modified": "then",
    });
    let tool = fetch().args(["-H", "X-One: 0", "-H", "X-Two: 2", "-A", "agent/1"]);
    assert_eq!(result(tool, &request)["status"], 204);
    let asked = &site.log()[0];
    assert_eq!(
        (asked.method.as_str(), asked.body.as_slice()),
        ("POST", "a=ä".as_bytes())
    );
    for (name, value) in [
        ("x-one", "1"),
        ("x-two", "2"),
        ("user-agent", "mine"),
        ("referer", "http://r.example/"),
        ("cookie", "c=d"),
        ("if-none-match", "\"e\""),
        ("if-modified-since", "then"),
        ("accept-encoding", "gzip, deflate, br"),
    ] {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    assert_eq!(asked.header("expect"), None);
}

#[test]
fn methods_that_all_know_are_sent_in_upper_case_and_others_as_they_are() {
    let site = Site::new();
    site.on("/p", |_| Answer::status(204));
    for (said, sent) in [
        ("get", "GET"),
        ("Post", "POST"),
        ("delete", "DELETE"),
        ("patch", "patch"),
    ] {
        result(fetch(), &json!({"url": site.url("/p"), "method": said}));
        assert_eq!(site.log().last().unwrap().method, sent);
    }
}

#[test]
fn lines_that_are_no_requests_are_told_and_the_rest_is_fetched() {
    let site = Site::new();
    site.page("/", "x");
    let long = format!(
        "{{\"url\":\"http://a/\",\"x\":\"{}\"}}",
        "x".repeat(64 << 20)
    );
    let mut input = b"nonsense\n\n\xff\xfe\n{\"url\":\"ftp://a/\",\"id\":4}\n".to_vec();
    input.extend(long.as_bytes());
    let request = json!({"url": site.url("/"), "headers": {"bad name": "x"}});
    input.extend(format!("\n{}\n{request}\n{{\"url\":", site.url("/")).as_bytes());
    let done = fetch()
        .stdin(input)
        .run()
        .code(1)
        .says("6 lines were no requests");
    let mut lines: Vec<Value> = done
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    lines.sort_by_key(|result| result["line"].as_u64());
    assert_eq!(lines.len(), 7, "{done}");
    assert_eq!(lines[0]["status"], 200);
    let numbers: Vec<u64> = lines[1..]
        .iter()
        .map(|r| r["line"].as_u64().unwrap())
        .collect();
    // The blank line asks for nothing.
    assert_eq!(numbers, [1, 3, 4, 5, 7, 8]);
    assert!(
        lines[1..].iter().all(|result| kind(result) == "invalid"),
        "{done}"
    );
    assert_eq!(lines[3]["id"], 4);
}

#[test]
fn it_says_on_request_what_became_of_all() {
    let site = hostile::site();
    let urls = ["/ok", "/404", "/page/empty"]
        .map(|path| site.url(path))
        .join("\n");
    let done = fetch().arg("-v").stdin(urls).run().code(0);
    done.says("crawl-fetch: 3 results: 2 2xx, 1 4xx");
    fetch().run().code(0).is_quiet().prints_just("");
}

#[test]
fn results_come_as_soon_as_there_is_nothing_else_to_do() {
    let site = Site::new();
    site.page("/quick", "x");
    site.on("/slow", |_| {
        Answer::html("x").after(Duration::from_secs(30))
    });
    let mut running = fetch().start();
    running.send(&site.url("/slow"));
    running.send(&site.url("/quick"));
    assert!(running.wait_lines(1)[0].contains("/quick"));
    running.signal(Signal::Kill);
}
