//! What is read of a body.

use super::*;

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
