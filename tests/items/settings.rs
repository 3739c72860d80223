//! ScrapAI's settings beside `extract`.

use super::*;

fn spider(site: &Site, settings: Value) -> Value {
    json!({
        "name": "set", "start_urls": [site.url("/")], "settings": settings,
        "sections": [{"extract": {"h": {"css": "h1::text"}}}],
    })
}

#[test]
fn error_pages_that_are_allowed_are_read_and_followed() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<h1>home</h1><a href=/gone></a>");
    site.on("/gone", |_| {
        let mut answer = Answer::html("<h1>gone</h1><a href=/behind></a>");
        answer.status = 410;
        answer
    });
    site.page("/behind", "<h1>behind</h1>");
    let (items, _) = crawl(&folder, &site, spider(&site, json!({})));
    assert_eq!(items["/gone"], Value::Null);
    assert!(!items.contains_key("/behind"));
    let allowed = [
        json!({"HTTPERROR_ALLOWED_CODES": ["410"]}),
        json!({"HTTPERROR_ALLOW_ALL": true}),
    ];
    for allowed in allowed {
        let (items, _) = crawl(&folder, &site, spider(&site, allowed));
        assert_eq!(items["/gone"], json!({"h": "gone"}));
        assert_eq!(items["/behind"], json!({"h": "behind"}));
    }
}

#[test]
fn headers_of_the_spider_are_sent_and_no_referer_when_it_says_so() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/a></a>");
    site.page("/a", "");
    let headers = json!({"Accept-Language": "de", "User-Agent": "me/1", "X-None": null});
    let settings = json!({"DEFAULT_REQUEST_HEADERS": headers, "REFERER_ENABLED": "False"});
    crawl(&folder, &site, spider(&site, settings));
    let log = site.log();
    let asked = log.iter().find(|asked| asked.path == "/a").unwrap();
    assert_eq!(asked.header("Accept-Language"), Some("de"));
    assert_eq!(asked.header("User-Agent"), Some("me/1"));
    assert_eq!(
        (asked.header("X-None"), asked.header("Referer")),
        (None, None)
    );
}

#[test]
fn what_is_tried_again_how_long_urls_are_and_what_goes_first_can_be_said() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page(
        "/",
        "<a href=/1></a><a href=/long-long-long-long-long></a><a href=/2></a>",
    );
    site.page("/1", "<a href=/1/deep></a>");
    site.page("/2", "");
    site.page("/1/deep", "");
    let settings = json!({
        "RETRY_HTTP_CODES": [], "URLLENGTH_LIMIT": site.url("/1/deep").len(), "DEPTH_PRIORITY": -1,
        "CONCURRENT_REQUESTS": 1, "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
    });
    site.on("/2", |_| Answer::status(500));
    crawl(&folder, &site, spider(&site, settings));
    let paths = site.paths();
    let paths: Vec<&str> = paths
        .iter()
        .map(String::as_str)
        .filter(|path| *path != "/robots.txt")
        .collect();
    assert_eq!(paths, ["/", "/1", "/1/deep", "/2"]);
}

#[test]
fn a_run_stops_where_the_spider_says_and_goes_on_the_next_time() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/1></a><a href=/2></a>");
    site.page("/1", "");
    site.page("/2", "");
    folder.write(
        "s.json",
        spider(&site, json!({"CLOSESPIDER_PAGECOUNT": 2})).to_string(),
    );
    let run = || Tool::new("crawl-run").dir(&folder).arg("s.json").run();
    run().code(4);
    run().code(0);
    assert_eq!(
        [site.hits("/"), site.hits("/1"), site.hits("/2")],
        [1, 1, 1]
    );
}

#[test]
fn what_needs_a_browser_or_two_pages_is_refused_with_its_place() {
    let (folder, site) = (Folder::new(), Site::new());
    let iterate = json!({"list": {"iterate": {"selector": "tr"}, "extract": {"x": {"css": "a"}}}});
    for (key, value, path) in [
        (
            "settings",
            json!({"PAGINATED_LISTINGS": [{"url": "x"}]}),
            "$.settings.PAGINATED_LISTINGS: ",
        ),
        (
            "settings",
            json!({"GENERATED_URLS": [{"template": "x", "method": "POST"}]}),
            "$.settings.GENERATED_URLS[0].method: ",
        ),
        ("callbacks", iterate, "$.callbacks.list.iterate: "),
    ] {
        let mut spider = spider(&site, json!({}));
        spider[key] = value;
        folder.write("s.json", spider.to_string());
        for words in [&["s.json"][..], &["--check", "s.json"]] {
            Tool::new("crawl-run")
                .dir(&folder)
                .args(words)
                .run()
                .code(2)
                .says(path)
                .says("not supported");
        }
    }
    assert_eq!(site.count(), 0);
}
