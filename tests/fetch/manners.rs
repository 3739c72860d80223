//! Redirects, waits, cookies, robots.txt: what an answer asks of the client.

use super::*;

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
