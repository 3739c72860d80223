//! crawl-fetch from outside: requests in, results out.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::hostile::{self, CASES, Ends};
use support::{Answer, DEADLINE, Folder, Forward, Signal, Site, Tool};

fn fetch() -> Tool {
    Tool::new("crawl-fetch")
}

/// The results of these request lines, by URL.
#[track_caller]
fn results(tool: Tool, lines: &[String]) -> HashMap<String, Value> {
    let done = tool.stdin(lines.join("\n")).run().code(0);
    let results: HashMap<String, Value> = done
        .lines()
        .iter()
        .map(|line| {
            let result: Value = serde_json::from_str(line).unwrap();
            (result["url"].as_str().unwrap().to_owned(), result)
        })
        .collect();
    assert_eq!(results.len(), lines.len(), "a result a request:\n{done}");
    results
}

/// The result of one request.
#[track_caller]
fn result(tool: Tool, request: &Value) -> Value {
    let done = tool.stdin(request.to_string()).run();
    let lines = done.lines();
    assert_eq!(lines.len(), 1, "{done}");
    serde_json::from_str(&lines[0]).unwrap()
}

fn kind(result: &Value) -> &str {
    result["error"]["kind"].as_str().unwrap_or("none")
}

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
fn hosts_and_ports_that_are_not_there_are_told_apart() {
    let lines = [
        "http://no-such-name.invalid/",
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
    ];
    let results = results(fetch(), &lines.map(str::to_owned));
    let kinds = lines.map(|line| kind(&results[line]).to_owned());
    assert_eq!(kinds, ["dns", "connect", "connect"]);
}

/// A server that never reads what it is asked, so that its end is a reset.
fn resetting(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The request must be there unread when the connection is dropped.
            let _ = stream.peek(&mut [0]);
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn a_reset_is_an_error_wherever_it_comes() {
    for (answer, error) in [
        (&b""[..], "connect"),
        (b"HTTP/1.1 200", "protocol"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
            "protocol",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=half>",
            "protocol",
        ),
    ] {
        let result = result(fetch(), &json!({"url": resetting(answer)}));
        // The reset may overtake what was sent before it.
        let kind = kind(&result);
        assert!(kind == error || kind == "connect", "{answer:?}: {result}");
    }
}

/// A server that does this with each connection.
fn serving(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    url
}

#[test]
fn a_kept_alive_connection_that_the_server_closed_is_no_error() {
    // Each connection answers once, promises more, and closes at the next request.
    let url = serving(|mut stream| {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = stream.read(&mut buffer);
    });
    let lines: Vec<String> = (0..40).map(|n| format!("{url}{n}")).collect();
    let results = results(fetch().args(["-c", "4"]), &lines);
    assert!(
        results.values().all(|result| result["status"] == 200),
        "{results:?}"
    );
}

#[test]
fn a_server_that_keeps_connections_and_closes_one_without_an_answer_is_asked_once() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let url = serving(|mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
            if buffer[..bytes].starts_with(b"GET /mute") {
                ASKED.fetch_add(1, Ordering::SeqCst);
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    // One after the other, so that each goes over the connection of the one before it.
    let lines = ["1", "2", "mute1", "3", "4", "mute2"].map(|path| format!("{url}{path}"));
    let results = results(fetch().args(["--per-host", "1"]), &lines);
    assert_eq!(kind(&results[&lines[2]]), "connect");
    assert_eq!(kind(&results[&lines[5]]), "connect");
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_that_nobody_asked_for_answers_nothing() {
    let url = serving(|mut stream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
            let asked = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            let _ = stream.write_all(format!("{asked}{forged}").as_bytes());
        }
    });
    let lines: Vec<String> = (0..40).map(|n| format!("{url}{n}")).collect();
    let results = results(fetch().args(["-c", "2"]), &lines);
    assert!(
        results.values().all(|result| result["bytes"] == 2),
        "{results:?}"
    );
}

#[test]
fn redirects_are_followed_or_reported() {
    let site = hostile::site();
    let one = |tool: Tool, path: &str| result(tool, &json!({"url": site.url(path)}));
    let followed = one(fetch(), "/redirect/relative");
    assert_eq!(followed["status"], 200);
    assert_eq!(followed["final_url"], site.url("/ok"));
    assert_eq!(followed["location"], Value::Null);
    let reported = one(fetch().args(["--max-redirects", "0"]), "/redirect/relative");
    assert_eq!(reported["status"], 302);
    assert_eq!(reported["location"], site.url("/ok"));
    assert_eq!(reported["final_url"], Value::Null);
    for path in [
        "/redirect/loop-a",
        "/redirect/self",
        "/redirect/chain?n=0",
        "/redirect/grows",
    ] {
        assert_eq!(kind(&one(fetch(), path)), "redirect", "{path}");
    }
    assert_eq!(
        one(
            fetch().args(["--max-redirects", "20"]),
            "/redirect/chain?n=0"
        )["status"],
        200
    );
    assert_eq!(kind(&one(fetch(), "/redirect/private")), "refused");
}

#[test]
fn a_redirect_changes_the_method_as_it_should() {
    let site = Site::new();
    for status in [301, 302, 303, 307, 308] {
        site.on(&format!("/{status}"), move |_| {
            Answer::redirect("/end").with_status(status)
        });
    }
    site.on("/end", |_| Answer::status(200));
    for (status, method) in [
        (301, "GET"),
        (302, "GET"),
        (303, "GET"),
        (307, "POST"),
        (308, "POST"),
    ] {
        let request =
            json!({"url": site.url(&format!("/{status}")), "method": "POST", "body": "b"});
        assert_eq!(result(fetch(), &request)["status"], 200);
        let asked = site.log().pop().unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.body.len()),
            (method, usize::from(method == "POST"))
        );
    }
}

#[test]
fn a_name_that_leads_to_a_private_address_is_refused() {
    let site = Site::at("0.0.0.0");
    site.page("/", "x");
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let named = format!("http://{}:{}/", name.trim(), site.port());
    let found = result(fetch(), &json!({"url": named}));
    if kind(&found) == "dns" {
        return support::skipped("the host's own name does not resolve");
    }
    assert_eq!(kind(&found), "refused", "{found}");
    let allowed = result(fetch().arg("--allow-private"), &json!({"url": named}));
    assert_eq!(allowed["status"], 200, "{allowed}");
    let literal = json!({"url": format!("http://localhost:{}/", site.port())});
    assert_eq!(result(fetch(), &literal)["status"], 200);
}

#[test]
fn every_encoding_is_read() {
    let site = hostile::site();
    let paths: Vec<&str> = CASES.iter().map(|case| case.path).collect();
    let paths = paths
        .into_iter()
        .filter(|path| path.starts_with("/charset/"));
    for path in paths {
        let result = result(fetch(), &json!({"url": site.url(path)}));
        let title = match path {
            "/charset/koi8-r" => "Привет",
            "/charset/shift_jis" | "/charset/gbk" | "/charset/euc-jp" | "/charset/iso-2022-jp" => {
                "日本"
            }
            "/charset/broken" => "\u{fffd}\u{fffd}\u{fffd}",
            "/charset/unknown" => "Grüße",
            _ => "Grüße",
        };
        assert_eq!(result["title"], title, "{path}");
        assert_eq!(result["links"], json!([site.url("/ok")]), "{path}");
    }
}

#[test]
fn only_html_has_links() {
    let site = hostile::site();
    for (path, links) in [
        ("/type/none", 1),
        ("/type/none-binary", 0),
        ("/type/image", 0),
        ("/type/plain", 0),
        ("/gzip/twice", 1),
        ("/zstd/good", 1),
        ("/zstd/in-gzip", 1),
        ("/page/nul", 2),
        ("/404", 0),
        ("/page/strange-links", 7),
    ] {
        let result = result(fetch(), &json!({"url": site.url(path)}));
        let found = result["links"].as_array().map_or(0, Vec::len);
        assert_eq!(found, links, "{path}: {result}");
    }
    let none = result(fetch().arg("--no-links"), &json!({"url": site.url("/ok")}));
    assert_eq!(
        (&none["links"], none["title"].as_str()),
        (&Value::Null, Some("A page"))
    );
}

#[test]
fn a_million_links_come_whole_and_no_more_than_that() {
    let site = Site::new();
    let page: String = (0..1_000_050).map(|n| format!("<a href={n}>\n")).collect();
    site.on("/", move |_| Answer::html(page.as_str()));
    let result = result(fetch(), &json!({"url": site.url("/")}));
    assert_eq!(result["links"].as_array().unwrap().len(), 1_000_000);
    assert_eq!(result["links_dropped"], 50);
}

#[test]
fn waits_are_told_in_seconds() {
    let site = hostile::site();
    for (path, least, most) in [
        ("/429/seconds", 1, 1),
        ("/429/date", 0, 2),
        ("/429/hours", 7200, 7200),
        ("/503/date", 0, 2),
    ] {
        let result = result(fetch(), &json!({"url": site.url(path)}));
        let wait = result["retry_after_s"].as_u64().unwrap();
        assert!((least..=most).contains(&wait), "{path}: {wait}");
    }
    let result = result(fetch(), &json!({"url": site.url("/503/nonsense")}));
    assert_eq!(result["retry_after_s"], Value::Null);
}

#[test]
fn a_page_that_did_not_change_is_a_304() {
    let site = hostile::site();
    let url = site.url("/conditional/etag");
    let known = json!({"url": url, "etag": "\"v1\""});
    let result_of = |request: &Value| result(fetch(), request);
    assert_eq!(result_of(&known)["status"], 304);
    assert_eq!(
        result_of(&json!({"url": url, "etag": "\"v0\""}))["status"],
        200
    );
    let since = json!({"url": url, "last_modified": "Thu, 01 Jan 2026 00:00:00 GMT"});
    assert_eq!(result_of(&since)["status"], 304);
}

#[test]
fn robots_and_sitemaps_are_read_as_such() {
    let site = hostile::site();
    let one = |path: &str, kind: &str| {
        let request = json!({"url": site.url(path), "kind": kind});
        result(fetch().args(["--max-size", "1M"]), &request)
    };
    let robots = one("/robots/plain", "robots");
    assert_eq!(robots["robots"], "User-agent: *\nDisallow: /private\n");
    let html = one("/robots/html", "robots");
    assert_eq!(
        (&html["links"], html["robots"].is_string()),
        (&Value::Null, true)
    );
    let huge = one("/robots/huge", "robots");
    // It is cut where a line ends.
    let huge = huge["robots"].as_str().unwrap();
    assert!(
        (499 << 10..=500 << 10).contains(&huge.len()),
        "{}",
        huge.len()
    );
    let ok = site.url("/ok");
    let pages = json!([{"url": ok, "lastmod": "2026-01-02"}]);
    assert_eq!(one("/sitemap/pages.xml", "sitemap")["sitemap"], pages);
    let index = json!([{"url": site.url("/sitemap/pages.xml"), "kind": "sitemap"}]);
    assert_eq!(one("/sitemap/index.xml", "sitemap")["sitemap"], index);
    assert_eq!(
        one("/sitemap/pages.xml.gz", "sitemap")["sitemap"],
        json!([{"url": ok}])
    );
    assert_eq!(
        one("/sitemap/broken.xml", "sitemap")["sitemap"],
        json!([{"url": ok}])
    );
    let lines = &one("/sitemap/lines.txt", "sitemap")["sitemap"];
    assert_eq!(lines.as_array().unwrap().len(), 2);
    let bomb = one("/sitemap/bomb.xml.gz", "sitemap");
    assert_eq!(
        (&bomb["status"], &bomb["sitemap"]),
        (&json!(200), &Value::Null)
    );
}

#[test]
fn alone_it_obeys_robots_txt_when_told() {
    let site = Site::new();
    site.page("/", "x").page("/private/x", "x");
    site.on("/robots.txt", |_| {
        Answer::text("User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /private\n")
    });
    let none = Site::new();
    none.page("/private/x", "x");
    let broken = Site::new();
    broken.page("/", "x");
    broken.on("/robots.txt", |_| Answer::status(503));
    let lines = [
        site.url("/"),
        site.url("/private/x"),
        none.url("/private/x"),
        broken.url("/"),
    ];
    let found = results(fetch().arg("--robots"), &lines);
    let kinds = lines.each_ref().map(|line| kind(&found[line]).to_owned());
    assert_eq!(kinds, ["none", "robots", "none", "robots"], "{found:?}");
    assert_eq!(
        site.log()
            .iter()
            .filter(|asked| asked.path == "/robots.txt")
            .count(),
        1
    );
    let tool = fetch().args(["--robots", "-A", "other/2.0 (+http://x)"]);
    assert_eq!(kind(&results(tool, &lines[..1])[&lines[0]]), "robots");
    assert_eq!(kind(&results(fetch(), &lines[1..2])[&lines[1]]), "none");
}

#[test]
fn cookies_of_a_file_are_sent_unless_the_request_has_its_own() {
    let site = hostile::site();
    let folder = Folder::new();
    let file = folder.write(
        "cookies.txt",
        "127.0.0.1\tFALSE\t/\tFALSE\t0\tfrom\tfile\nnonsense\n",
    );
    let request = json!({"url": site.url("/cookie/wanted")});
    let tool = || fetch().arg("--cookies").arg(&file);
    assert_eq!(result(tool(), &request)["title"], "from=file");
    let own = json!({"url": site.url("/cookie/wanted"), "cookie": "my=own"});
    assert_eq!(result(tool(), &own)["title"], "my=own");
    tool().run().code(0).says("line 2 is no cookie");
}

#[test]
fn pages_that_ask_for_a_human_are_blocks() {
    let site = hostile::site();
    for (path, why) in [
        ("/challenge/cloudflare", "Cloudflare challenge"),
        ("/challenge/header", "Cloudflare challenge"),
        ("/challenge/captcha", "captcha"),
    ] {
        let result = result(fetch(), &json!({"url": site.url(path)}));
        assert_eq!(
            (&result["status"], result["blocked"].as_str()),
            (&json!(200), Some(why))
        );
    }
    let page = result(fetch(), &json!({"url": site.url("/ok")}));
    assert_eq!(page["blocked"], Value::Null);
}

#[test]
fn bodies_come_as_text_or_as_base64() {
    let site = hostile::site();
    let one = |path: &str| result(fetch().arg("--body"), &json!({"url": site.url(path)}));
    assert!(
        one("/charset/koi8-r")["body"]
            .as_str()
            .unwrap()
            .contains("Привет")
    );
    let binary = one("/type/none-binary");
    assert_eq!(
        (&binary["body"], binary["body_base64"].as_str().unwrap()),
        (&Value::Null, "iVBORw0KGgoAADxhIGhyZWY9eD4=")
    );
    let big = Site::new();
    big.on("/", |_| Answer::typed("image/x", vec![7; 50 << 20]));
    let tool = fetch().args(["--body", "--max-size", "64M"]);
    assert_eq!(
        kind(&result(tool, &json!({"url": big.url("/")}))),
        "too_large"
    );
}

#[test]
fn proxies_are_asked_to_connect_and_a_wrong_name_goes_nowhere() {
    let site = Site::new();
    site.page("/", "x");
    let proxy = Forward::leading_to(&site.host());
    let locked = Forward::with_password("dXNlcjpwYTpzcw==");
    let tool = || {
        fetch()
            .env("DATACENTER_PROXY_URL", proxy.url(""))
            .env("LOCKED_PROXY_URL", locked.url("user:pa%3Ass@"))
            .env("WRONG_PROXY_URL", locked.url("user:secret@"))
    };
    let through = |name: &str, url: &str| result(tool(), &json!({"url": url, "proxy": name}));
    let far = through("datacenter", "http://far.invalid/");
    assert_eq!(
        (far["status"].as_u64(), far["proxy"].as_str()),
        (Some(200), Some("datacenter"))
    );
    assert_eq!(proxy.log(), ["far.invalid:80 200"]);
    assert_eq!(through("locked", &site.url("/"))["status"], 200);
    let wrong = through("wrong", &site.url("/"));
    assert_eq!(kind(&wrong), "proxy");
    assert!(!wrong.to_string().contains("secret"));
    let asked = site.log().len();
    for name in ["residential", "", "Direct"] {
        assert_eq!(kind(&through(name, &site.url("/"))), "proxy", "{name}");
    }
    assert_eq!(site.log().len(), asked, "nothing went direct");
    assert_eq!(through("direct", &site.url("/"))["proxy"], "direct");
}

#[test]
fn a_socks5h_proxy_resolves_the_names() {
    let site = Site::new();
    site.page("/", "x");
    let proxy = Forward::leading_to(&site.host());
    let tool = || fetch().args(["--proxy", &proxy.socks_url()]);
    let far = result(tool(), &json!({"url": "http://far.invalid:81/"}));
    assert_eq!(far["status"], 200, "{far}");
    assert_eq!(proxy.log(), ["far.invalid:81 socks 0"]);
    let here = fetch().args(["--proxy", &proxy.socks_url().replace("socks5h", "socks5")]);
    assert_eq!(
        kind(&result(here, &json!({"url": "http://far.invalid:81/"}))),
        "dns"
    );
    let dead = fetch().args(["--proxy", "socks5://127.0.0.1:1"]);
    assert_eq!(kind(&result(dead, &json!({"url": site.url("/")}))), "proxy");
}

#[test]
fn a_proxy_that_answers_without_end_is_left_in_time() {
    let proxy = Site::new();
    proxy.on("far.invalid:80", |_| {
        Answer::by_hand(|mut stream: &TcpStream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
            loop {
                thread::sleep(Duration::from_millis(20));
                stream.write_all(b"x")?;
            }
        })
    });
    let tool = fetch().args(["--proxy", &proxy.url(""), "--connect-timeout", "1s"]);
    let late = result(tool, &json!({"url": "http://far.invalid/"}));
    assert_eq!(kind(&late), "timeout", "{late}");
}

#[test]
fn the_environment_names_a_proxy_as_for_curl() {
    let site = Site::new();
    site.page("/", "x");
    let proxy = Forward::leading_to(&site.host());
    let one = |tool: Tool, url: &str| result(tool, &json!({"url": url}));
    let far = "http://far.invalid/";
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        assert_eq!(
            one(fetch().env(name, proxy.url("u:p@")), far)["status"],
            200,
            "{name}"
        );
    }
    let shown = one(fetch().args(["--proxy", &proxy.url("u:p@")]), far);
    assert!(!shown["proxy"].as_str().unwrap().contains("u:p"), "{shown}");
    let except = fetch()
        .env("HTTP_PROXY", proxy.url(""))
        .env("NO_PROXY", "invalid");
    assert_eq!(kind(&one(except, far)), "dns");
    let named = fetch().env("HTTP_PROXY", proxy.url(""));
    let direct = json!({"url": site.url("/"), "proxy": "direct"});
    assert_eq!(result(named, &direct)["proxy"], "direct");
    fetch().args(["--proxy", "gopher://x"]).run().code(2);
}

/// An address that takes no connection and refuses none: its queue of them is full.
fn silent() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Listening again changes the length of the queue.
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let wait = Duration::from_millis(300);
    let taken = std::iter::from_fn(|| TcpStream::connect_timeout(&address, wait).ok());
    let taken = taken.collect();
    (listener, taken)
}

#[test]
fn hosts_that_take_no_connection_leave_their_places_to_live_ones() {
    let site = Site::new();
    site.page("/", "<title>live</title>");
    let dead: Vec<_> = (0..6).map(|_| silent()).collect();
    let mut running = fetch()
        .args(["-c", "2", "--connect-timeout", "1h", "--timeout", "1h"])
        .start();
    for (listener, _) in &dead {
        running.send(&format!("http://{}/", listener.local_addr().unwrap()));
    }
    running.send(&site.url("/"));
    assert!(running.wait_lines(1)[0].contains("live"));
    running.signal(Signal::Kill);
}

#[test]
fn with_too_few_descriptors_requests_wait_for_one_another() {
    let sites: Vec<Site> = (0..24).map(|_| Site::new()).collect();
    for site in &sites {
        site.otherwise(|_| Answer::html("x").after(Duration::from_millis(20)));
    }
    let few = |args: &[&str]| {
        let script = format!(
            "ulimit -n 16; exec {} \"$@\"",
            support::bin("crawl-fetch").display()
        );
        Tool::program("sh").args(["-c", &script, "sh"]).args(args)
    };
    let urls: Vec<String> = sites.iter().map(|site| site.url("/")).collect();
    let done = few(&["--robots"]).stdin(urls.join("\n")).run().code(0);
    let done = done.prints_lines(24).says("requests wait");
    let good = |line: &String| line.contains(r#""status":200"#);
    assert!(done.lines().iter().all(good), "{done}");
    few(&["-q"]).stdin(urls.join("\n")).run().code(0).is_quiet();
}

#[test]
fn without_a_thread_to_extract_with_a_page_waits_and_nothing_of_its_item_is_left_out() {
    if !support::has("prlimit") {
        return;
    }
    let site = Site::new();
    let words = "<p>Some words of an article, and more of them, so that it is one.</p>".repeat(30);
    site.page("/plain", "x");
    site.page(
        "/article",
        &format!("<title>t</title><article><h1>Head</h1>{words}"),
    );
    let folder = Folder::new();
    let spider = json!({"sections": [{"match": ["/article"], "extract": "auto"}]});
    let file = folder.write("spider.json", spider.to_string());
    let fetch = Tool::new("crawl-fetch").arg("--extract").arg(file);
    let mut fetch = fetch.args(["-c", "1"]).start();
    fetch.send(&site.url("/plain"));
    fetch.wait_lines(1);
    // As much memory as it has, and a little more: too little for the stack of a thread.
    let status = std::fs::read_to_string(format!("/proc/{}/status", fetch.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib: u64 = size
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    let pid = fetch.pid().to_string();
    let limit = |bytes: String| {
        let limit = format!("--as={bytes}:unlimited");
        let args = [&limit, "--pid", &pid];
        Tool::program("prlimit").args(args).run().code(0);
    };
    limit(((kib + (16 << 10)) << 10).to_string());
    fetch.send(&site.url("/article"));
    fetch.wait_says("no thread to extract with: requests wait");
    limit("unlimited".to_owned());
    fetch.close_stdin();
    let done = fetch.wait().code(0).prints_lines(2);
    let result: Value = serde_json::from_str(&done.lines()[1]).unwrap();
    assert_eq!(result["item_cut"], json!(null), "{done}");
    assert!(
        result["item"]["content"]
            .as_str()
            .unwrap()
            .contains("Some words"),
        "{done}"
    );
}

#[test]
fn a_file_that_outgrows_its_limit_ends_with_the_reason() {
    let site = Site::new();
    site.otherwise(|_| Answer::html(format!("<title>{}</title>", "t".repeat(900))));
    let folder = Folder::new();
    let out = folder.write("out", "");
    let tool = support::bin("crawl-fetch");
    let script = format!("ulimit -f 1; exec {} >{}", tool.display(), out.display());
    let urls: Vec<String> = (0..9).map(|n| site.url(&format!("/{n}"))).collect();
    let done = Tool::program("sh")
        .args(["-c", &script])
        .stdin(urls.join("\n"))
        .run();
    done.code(1).says("File too large");
}

/// The most memory that a process ever had, in MiB.
fn most_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    let kib: u64 = line
        .split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib >> 10
}

#[test]
fn large_pages_share_one_budget_and_all_come() {
    let site = Site::new();
    let page = format!("<title>large</title>{}", "a".repeat(8 << 20)).into_bytes();
    site.otherwise(move |_| Answer::html(page.clone()));
    // Less than one page needs, of which 16 are 128 MiB as they come.
    let mut running = fetch()
        .args([
            "--per-host",
            "16",
            "--timeout",
            "300s",
            "--body-memory",
            "2M",
        ])
        .start();
    for n in 0..16 {
        running.send(&site.url(&format!("/{n}")));
    }
    for line in running.wait_lines(16) {
        assert!(line.contains(r#""title":"large""#), "{line}");
    }
    let most = most_mib(running.pid());
    assert!(most < 80, "{most} MiB");
    running.close_stdin();
    running.wait().code(0).prints_lines(16);
}

#[test]
fn a_request_with_more_than_8_kib_of_cookies_goes_out() {
    let site = Site::new();
    let seen = |asked: &support::Asked| asked.header("cookie").map_or(0, str::len);
    site.otherwise(move |asked| Answer::html(format!("<title>{}</title>", seen(asked))));
    let ask = |bytes: usize| json!({"url": site.url("/"), "cookie": "c".repeat(bytes)});
    let mut running = fetch().start();
    // Over the same connection, before and after.
    for (at, bytes) in [(1, 10), (2, 9_000), (3, 60_000), (4, 10)] {
        running.send(&ask(bytes).to_string());
        let lines = running.wait_lines(at);
        let title = format!("<title>{bytes}</title>").len();
        assert!(
            lines[at - 1].contains(&format!(r#""bytes":{title}"#)),
            "{lines:?}"
        );
    }
    running.close_stdin();
    running.wait().code(0);
    assert_eq!(kind(&result(fetch(), &ask(80_000))), "refused");
}

#[test]
fn a_limit_and_a_delay_hold_for_each_host() {
    let site = Site::new();
    site.otherwise(|_| Answer::html("x").after(Duration::from_millis(50)));
    let lines: Vec<String> = (0..6).map(|n| site.url(&format!("/{n}"))).collect();
    let started = Instant::now();
    results(fetch().args(["--per-host", "2"]), &lines);
    assert!(started.elapsed() >= Duration::from_millis(150));
    let from = site.log().len();
    results(fetch().args(["--delay", "100ms"]), &lines[..4]);
    let times: Vec<Instant> = site.log()[from..].iter().map(|asked| asked.at).collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(80), "{times:?}");
    }
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

#[test]
fn the_first_signal_lets_requests_end_and_the_second_does_not() {
    let site = Site::new();
    site.otherwise(|_| Answer::html("x").after(Duration::from_secs(2)));
    let mut running = fetch().args(["-c", "1"]).start();
    running.send(&site.url("/1"));
    running.send(&site.url("/2"));
    site.wait_for(1);
    running.signal(Signal::Int);
    assert!(running.ends_within(DEADLINE));
    running.wait().code(130).prints_lines(1).is_quiet();

    let mut running = fetch().args(["-c", "1"]).start();
    site.on("/long", |_| {
        Answer::html("x").after(Duration::from_secs(30))
    });
    let asked = site.log().len();
    running.send(&site.url("/long"));
    site.wait_for(asked + 1);
    running.signal(Signal::Term);
    running.signal(Signal::Term);
    // The second may be merged with the first while that is on its way.
    while !running.ends_within(Duration::from_millis(200)) {
        running.signal(Signal::Term);
    }
    running.wait().code(143).prints_lines(0);
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let site = Site::new();
    site.on("/", |_| Answer::html("x").after(Duration::from_secs(1)));
    let script = "trap '' INT TERM HUP; exec crawl-fetch";
    let mut running = Tool::program("sh").args(["-c", script]).start();
    running.send(&site.url("/"));
    site.wait_for(1);
    for signal in [Signal::Int, Signal::Int, Signal::Term, Signal::Hup] {
        running.signal(signal);
    }
    running.wait().code(0).prints_lines(1);
}

#[test]
fn a_reader_that_goes_away_ends_it_at_once() {
    let site = Site::new();
    site.on("/", |_| Answer::html("x").after(Duration::from_secs(30)));
    let script = format!(
        "{{ echo {}; sleep 20; }} | {{ crawl-fetch; echo $? >&2; }} | sleep 1",
        site.url("/")
    );
    let running = Tool::program("sh").args(["-c", &script]).start();
    running.wait_says("141");
}
