//! Spider files of ScrapAI's form, run unchanged against pages on loopback.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use support::{Answer, Done, Folder, Site, Tool};

/// The items of a test crawl with this spider file, by path; pages without one are `null`.
#[track_caller]
fn crawl(folder: &Folder, site: &Site, spider: Value) -> (BTreeMap<String, Value>, Done) {
    folder.write("spider.json", spider.to_string());
    let done = Tool::new("crawl-run")
        .dir(folder)
        .args(["--limit", "100", "spider.json"])
        .run()
        .code(0);
    let mut items = BTreeMap::new();
    for line in done.text().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap();
        let path = url.strip_prefix(&site.url("")).unwrap().to_owned();
        items.insert(path, record["item"].clone());
    }
    (items, done)
}

/// The items of crawl-fetch alone.
#[track_caller]
fn fetch(folder: &Folder, spider: &Value, url: &str) -> Value {
    let file = folder.write("alone.json", spider.to_string());
    let done = Tool::new("crawl-fetch")
        .arg("--extract")
        .arg(file)
        .stdin(url)
        .run()
        .code(0);
    serde_json::from_str(&done.text()).unwrap()
}

mod deciding {
    use super::*;

    fn site() -> Site {
        let site = Site::new();
        site.on("/", |_| {
            Answer::html("<h1>Home</h1><a href=/a/1></a><a href=/b></a>")
        });
        site.otherwise(|asked| Answer::html(format!("<h1>{}</h1><a href=/c></a>", asked.path)));
        site
    }

    #[test]
    fn generated_pages_are_read_by_their_callback_and_followed_only_where_that_is_said() {
        let (folder, site) = (Folder::new(), Site::new());
        site.on("/old/2", |_| Answer::redirect("/moved"));
        site.otherwise(|asked| {
            let next = format!("{}/next", asked.path);
            Answer::html(format!("<h1>{}</h1><a href={next}>n</a>", asked.path))
        });
        let numbers = json!({"n": {"type": "range", "from": 1, "to": 2}});
        let (items, _) = crawl(
            &folder,
            &site,
            json!({
                "name": "made", "start_urls": [],
                "rules": [{"allow": "/next$", "callback": "link", "follow": false}],
                "callbacks": {
                    "page": {"extract": {"page": {"css": "h1::text"}}},
                    "link": {"extract": {"link": {"css": "h1::text"}}},
                },
                "settings": {"GENERATED_URLS": [
                    {"template": site.url("/old/{n}"), "vars": numbers, "callback": "page"},
                    {"template": site.url("/list/{n}"), "vars": numbers, "follow": true},
                ]},
            }),
        );
        let want = json!({
            "/old/1": {"page": "/old/1"},
            "/old/2": null,
            "/moved": null,
            "/list/1": null,
            "/list/2": null,
            "/list/1/next": {"link": "/list/1/next"},
            "/list/2/next": {"link": "/list/2/next"},
        });
        assert_eq!(json!(items), want);
    }

    #[test]
    fn a_single_page_that_denies_all_links_gives_its_item() {
        let (folder, site) = (Folder::new(), site());
        let (items, done) = crawl(
            &folder,
            &site,
            json!({
                "name": "one", "start_urls": [site.url("/a/1")],
                "sections": [{"match": [".*"], "extract": {"h": {"css": "h1::text"}}, "follow": false, "deny": [".*"], "priority": "100"}],
                "settings": {"CONCURRENT_REQUESTS": "4", "DOWNLOAD_DELAY": "0"},
            }),
        );
        assert_eq!(
            items,
            BTreeMap::from([("/a/1".into(), json!({"h": "/a/1"}))])
        );
        done.never_says("as the last section");
    }

    #[test]
    fn the_higher_priority_decides_what_is_read_and_what_is_followed() {
        let (folder, site) = (Folder::new(), site());
        let section = |name: &str, pattern: &str, follow, priority| json!({"match": pattern, "extract": {name: {"css": "h1::text"}}, "follow": follow, "priority": priority});
        let (items, _) = crawl(
            &folder,
            &site,
            json!({
                "name": "two", "start_urls": [site.url("/")],
                "sections": [section("low", ".*", true, 0), section("high", "/a/|/b", false, 5)],
            }),
        );
        let want = [
            ("/", json!({"low": "Home"})),
            ("/a/1", json!({"high": "/a/1"})),
            ("/b", json!({"high": "/b"})),
        ];
        let want = want.map(|(path, item)| (path.to_owned(), item));
        assert_eq!(items, BTreeMap::from(want));
    }

    #[test]
    fn sections_alone_say_that_they_narrow_the_crawl_and_may_ask_where_links_stand() {
        let (folder, site) = (Folder::new(), site());
        let (items, done) = crawl(
            &folder,
            &site,
            json!({
                "name": "narrow", "start_urls": [site.url("/")],
                "sections": [{"match": "/a/", "extract": {"h": {"css": "h1::text"}}, "restrict_css": "body"}],
            }),
        );
        assert_eq!(items.keys().collect::<Vec<_>>(), ["/", "/a/1"]);
        done.says("only links that a section matches are followed");
    }
}

mod settings {
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
        let iterate =
            json!({"list": {"iterate": {"selector": "tr"}, "extract": {"x": {"css": "a"}}}});
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
}

mod shop {
    use super::*;

    const PRODUCT: &str = r#"<!DOCTYPE html><html><head><title>Widget - Shop</title></head><body>
<h1 class="product-name">
   Widget &amp; Co
</h1>
<p>was <span class="original-price">$1,499.00</span>
<p>now <span class="price"> $1,299.99 </span>
<span class=rating data-rating=4.5></span> <span class="reviews">(42 reviews)</span>
<span class="stock"> IN Stock </span>
<ul><li class=feature>WiFi<li class=feature>Bluetooth<li class=feature>GPS</ul>
<img class=product-image src="/1.jpg"><img class=product-image src=/2.jpg?a=1&amp;b=2>
<time datetime="2024-02-24">today</time>
<div class=review><span class=author>Ann</span><span class=stars data-rating=5></span><p class=text>Good.</div>
<div class=review><span class=author>Bob</span><p class=text>Bad.</div>
</body></html>"#;

    fn spider(site: &Site) -> Value {
        json!({
            "name": "example_shop",
            "source_url": site.url("/"),
            "allowed_domains": ["127.0.0.1"],
            "start_urls": [site.url("/products")],
            "sections": [
                {
                    "match": ["/product/[^/]+$"],
                    "follow": false,
                    "extract": {
                        "name": {"css": "h1.product-name::text", "processors": [{"type": "strip"}]},
                        "price": {"css": "span.price::text", "processors": [
                            {"type": "strip"},
                            {"type": "regex", "pattern": "\\$([\\d,.]+)"},
                            {"type": "replace", "old": ",", "new": ""},
                            {"type": "cast", "to": "float"}]},
                        "sale_price": {"css": "span.sale-price::text", "processors": [
                            {"type": "cast", "to": "float"},
                            {"type": "default", "default": null}]},
                        "rating": {"css": "span.rating::attr(data-rating)",
                            "processors": [{"type": "cast", "to": "float"}]},
                        "review_count": {"css": "span.reviews::text", "processors": [
                            {"type": "regex", "pattern": "(\\d+)"},
                            {"type": "cast", "to": "int"},
                            {"type": "default", "default": 0}]},
                        "availability": {"css": "span.stock::text",
                            "processors": [{"type": "strip"}, {"type": "lowercase"}]},
                        "available": {"css": "span.stock::text", "processors": [
                            {"type": "regex", "pattern": "(?i)(in) stock"},
                            {"type": "replace", "old": "IN", "new": "yes"},
                            {"type": "cast", "to": "bool"}]},
                        "features": {"css": "li.feature::text", "get_all": true},
                        "feature_line": {"css": "li.feature::text", "get_all": true,
                            "processors": [{"type": "join", "separator": ", "}]},
                        "images": {"css": "img.product-image::attr(src)", "get_all": true},
                        "listed": {"css": "time::attr(datetime)",
                            "processors": [{"type": "parse_datetime"}]},
                        "reviews": {"type": "nested_list", "selector": "div.review", "extract": {
                            "author": {"css": "span.author::text"},
                            "rating": {"css": "span.stars::attr(data-rating)",
                                "processors": [{"type": "cast", "to": "int"}]},
                            "comment": {"css": "p.text::text"}}},
                    }
                },
                {"match": ["/products", "/category/"], "follow": true}
            ]
        })
    }

    fn site() -> Site {
        let site = Site::new();
        site.page("/products", "<a href=/product/1>1</a><a href=/about>no</a>");
        site.page("/product/1", PRODUCT);
        site
    }

    fn item() -> Value {
        json!({
            "name": "Widget & Co",
            "price": 1299.99,
            "sale_price": null,
            "rating": 4.5,
            "review_count": 42,
            "availability": "in stock",
            "available": true,
            "features": ["WiFi", "Bluetooth", "GPS"],
            "feature_line": "WiFi, Bluetooth, GPS",
            "images": ["/1.jpg", "/2.jpg?a=1&b=2"],
            "listed": "2024-02-24T00:00:00",
            "reviews": [
                {"author": "Ann", "rating": 5, "comment": "Good."},
                {"author": "Bob", "rating": null, "comment": "Bad."},
            ],
        })
    }

    #[test]
    fn a_shop_gives_its_fields_with_their_types() {
        let (folder, site) = (Folder::new(), site());
        let (items, done) = crawl(&folder, &site, spider(&site));
        let want = BTreeMap::from([
            ("/products".into(), Value::Null),
            ("/product/1".into(), item()),
        ]);
        assert_eq!(items, want);
        done.says("`sale_price` empty on 1 of 1 page")
            .never_says("`price`")
            .never_says("ignored");
    }

    #[test]
    fn xpath_finds_what_css_does() {
        let (folder, site) = (Folder::new(), site());
        let mut spider = spider(&site);
        let fields = &mut spider["sections"][0]["extract"];
        for (name, path) in [
            ("name", "//h1[@class='product-name']/text()"),
            ("price", "string(//p[2]/span[contains(@class, 'price')])"),
            ("rating", "//@data-rating"),
            (
                "available",
                "//span[starts-with(normalize-space(), 'IN')]/text()",
            ),
            ("features", "//ul/li/text()"),
            ("images", "(//img | //nothing)/@src"),
            ("listed", "//time/@datetime"),
        ] {
            let field = fields[name].as_object_mut().unwrap();
            field.remove("css");
            field.insert("xpath".to_owned(), json!(path));
        }
        let review = &mut fields["reviews"]["extract"];
        review["author"] = json!({"xpath": "./span[1]/text()"});
        review["comment"] = json!({"xpath": "p", "to_text": true});
        fields["all"] = json!({"xpath": "//p", "to_text": true});
        fields["count"] = json!({"xpath": "count(//li)"});
        fields["markup"] = json!({"xpath": "//li", "get_all": true});
        fields["after"] = json!({"type": "nested_list", "selector": "li:first-child", "extract": {
            "next": {"xpath": "following-sibling::li[1]/text()"}}});
        let mut want = item();
        want["all"] = json!("was $1,499.00 now $1,299.99 (42 reviews) IN Stock Good. Bad.");
        want["count"] = json!("3.0");
        let markup =
            ["WiFi", "Bluetooth", "GPS"].map(|name| format!("<li class=\"feature\">{name}</li>"));
        want["markup"] = json!(markup);
        want["after"] = json!([{"next": "Bluetooth"}]);
        let record = fetch(&folder, &spider, &site.url("/product/1"));
        assert_eq!(record["item"], want);
    }

    #[test]
    fn crawl_fetch_alone_reads_the_same_file() {
        let (folder, site) = (Folder::new(), site());
        let record = fetch(&folder, &spider(&site), &site.url("/product/1"));
        assert_eq!(record["item"], item());
        let record = fetch(&folder, &spider(&site), &site.url("/products"));
        assert_eq!(record.get("item"), None);
        // An error page is no page of its kind.
        site.on("/product/2", |_| Answer::html(PRODUCT).with_status(404));
        let record = fetch(&folder, &spider(&site), &site.url("/product/2"));
        assert_eq!(record.get("item"), None);
    }
}

#[test]
fn a_resumed_crawl_goes_on_counting_and_another_extract_is_no_other_spider() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/1>1</a><a href=/2>2</a><a href=/3>3</a>");
    for n in 1..=3 {
        site.page(&format!("/{n}"), &format!("<h1>{n}</h1><b class=x></b>"));
    }
    let spider = |css: &str| {
        let spider = json!({"name": "s", "start_urls": [site.url("/")], "sections": [
            {"match": "/[0-9]$", "extract": {"n": {"css": css}, "no": {"css": "i::text"}}}]});
        folder.write("s.json", spider.to_string());
    };
    let run = |words: &[&str]| {
        let tool = Tool::new("crawl-run").dir(&folder).arg("s.json");
        tool.args(words).run()
    };
    spider("h1::text");
    run(&["--max-pages", "2"]).code(4);
    spider("h1");
    run(&[])
        .code(0)
        .says("`no` empty on 3 of 3 pages")
        .never_says("`n` empty");
}

/// An article with what pages say of themselves.
fn article(title: &str, by: &str, date: &str, head: &str) -> String {
    let paragraph = "The harbour was quiet in the morning, and the boats lay in a row along the \
        old stone wall, while the fishermen mended their nets and told each other, at length, \
        what the weather would be.";
    format!(
        r#"<!DOCTYPE html><html><head><title>{title} | The Daily</title>{head}</head><body>
        <nav><a href="/">Home</a> <a href="/news/1">News</a> <a href="/sport/1">Sport</a></nav>
        <article><h1>{title}</h1><p class="byline">By <a rel="author" href="/by">{by}</a></p>
        <time datetime="{date}">{date}</time>
        <p>First: {paragraph}</p><p>Second: {paragraph}</p><p>Third: {paragraph}</p></article>
        <footer>Imprint and so on</footer></body></html>"#
    )
}

mod news {
    use super::*;

    fn site() -> Site {
        let site = Site::new();
        let links =
            "<a href=/news/1>1</a><a href=/news/2>2</a><a href=/sport/1>3</a><a href=/x>4</a>";
        site.page("/", links).page("/x", "x").page("/by", "by");
        let ld = r#"<script type="application/ld+json">{"@context": "https://schema.org",
            "@type": "NewsArticle", "headline": "Harbour wakes", "datePublished":
            "2026-03-15T08:00:00+01:00", "author": {"@type": "Person", "name": "Ann Lee"}}</script>"#;
        site.page(
            "/news/1",
            &article("Harbour wakes", "A. Lee", "2020-01-01", ld),
        );
        let og = r#"<meta property="og:title" content="Boats at rest">
            <meta name="author" content="Bob Ray">
            <meta property="article:published_time" content="2026-03-16T09:30:00Z">"#;
        site.page(
            "/news/2",
            &article("Boats at rest", "Bob Ray", "2020-01-01", og),
        );
        site.page("/sport/1", &article("Rowing", "Cy Dee", "2026-03-17", ""));
        site
    }

    #[track_caller]
    fn check(item: &Value, title: &str, author: &str, date: &str) {
        assert_eq!(item["title"], title, "{item}");
        assert_eq!(item["author"], author, "{item}");
        assert_eq!(item["published_date"], date, "{item}");
        let content = item["content"].as_str().unwrap();
        assert!(
            content.contains("First: The harbour was quiet"),
            "{content}"
        );
        assert!(content.contains("Third: "), "{content}");
        assert!(
            !content.contains("Imprint") && !content.contains("<p>"),
            "{content}"
        );
    }

    #[test]
    fn auto_reads_articles_and_what_they_say_of_themselves() {
        let (folder, site) = (Folder::new(), site());
        let spider = json!({
            "name": "news", "source_url": site.url("/"), "allowed_domains": ["127.0.0.1"],
            "start_urls": [site.url("/")],
            "sections": [
                {"match": ["/news/"], "extract": "auto"},
                {"match": ["/sport/"], "extract": {
                    "title": "auto", "content": "auto", "published_date": "auto",
                    "author": {"css": ".byline a::text", "processors": [{"type": "strip"}]},
                    "kicker": {"css": ".kicker::text"}}},
                {"match": [".*"], "follow": true}
            ]
        });
        let (items, done) = crawl(&folder, &site, spider);
        check(
            &items["/news/1"],
            "Harbour wakes",
            "Ann Lee",
            "2026-03-15T08:00:00+01:00",
        );
        check(
            &items["/news/2"],
            "Boats at rest",
            "Bob Ray",
            "2026-03-16T09:30:00+00:00",
        );
        check(
            &items["/sport/1"],
            "Rowing",
            "Cy Dee",
            "2026-03-17T00:00:00",
        );
        assert_eq!(items["/"], Value::Null);
        assert_eq!(items["/x"], Value::Null);
        done.says("`kicker` empty on 1 of 1 page");
    }

    #[test]
    fn what_pages_say_of_themselves_is_understood_in_all_forms() {
        let ld = |json: Value| format!("<script type=\"application/ld+json\">{json}</script>");
        let date = "2026-03-15T08:00:00+00:00";
        let told = |kind: &str, author: Value| {
            json!({"@type": kind, "headline": "Told",
            "datePublished": date, "author": author})
        };
        let ann = || json!({"@type": "Person", "name": "Ann Lee"});
        let in_graph = json!({"@context": "https://schema.org", "@graph": [
            {"@type": "WebSite", "name": "The Daily", "author": "no"},
            {"@type": "WebPage", "name": "Told | The Daily", "datePublished": "2020-01-01"},
            {"@type": ["Thing", "http://schema.org/NewsArticle"], "headline": "Told &amp; done",
             "datePublished": date, "author": [{"@id": "#ann"}, {"@id": "#bob"}]},
            {"@type": "Person", "@id": "#ann", "name": "Ann Lee"},
            {"@type": "Person", "@id": "#bob", "givenName": "Bob", "familyName": "Ray"}]});
        let broken =
            "<script type=application/ld+json>{\"@type\": \"Article\", \"headline\": </script>";
        let seen = "2020-01-01T00:00:00";
        let mut forms = vec![
            (ld(in_graph), "Told & done", "Ann Lee, Bob Ray", date),
            (ld(json!({"@type": "Product", "name": "Told", "releaseDate": date})), "Told", "Cy Dee", date),
            (ld(told("Article", ann())).replace("Told", "To\tld\n"), "To ld", "Ann Lee", date),
            (ld(json!({"@type": "Article", "name": "Seen", "headline": "The Daily's"})), "Seen", "Cy Dee", seen),
            (ld(told("Article", json!(["Ann Lee", ann(), "By Bob Ray"]))), "Told", "Ann Lee, Bob Ray", date),
            ("<meta property=og:title content=Told><meta property=article:author content=https://h/ann>\
              <meta name=DC.creator content='by Ann Lee'><meta name=DC.date.issued content=2026-03-15>".to_owned(),
             "Told", "Ann Lee", "2026-03-15T00:00:00"),
            ("<meta name=citation_author content='Ann Lee'><meta name=citation_author content='Bob Ray'>".to_owned(),
             "Seen", "Ann Lee, Bob Ray", seen),
            (String::new(), "Seen", "Cy Dee", seen),
        ];
        let mut alike = vec![
            ld(told("Report", json!("Ann Lee"))),
            ld(told(
                "https://schema.org/BlogPosting",
                json!({"name": ["Ann Lee"]}),
            )),
            ld(told("WebPage", ann())),
            ld(json!([[told("Article", ann())]])),
            ld(json!({"@type": "WebPage", "name": "no", "mainEntity": told("Article", ann())})),
            broken.to_owned() + &ld(told("Article", ann())),
            ld(json!({"@type": "BreadcrumbList", "name": "no"})) + &ld(told("Article", ann())),
            ld(json!({"@type": "WebPage", "headline": "no"})) + &ld(told("Article", ann())),
        ];
        for context in [
            json!("http://schema.org/"),
            json!(["https://schema.org", {"@language": "en"}]),
            json!({"@vocab": "https://schema.org/"}),
            json!({"name": "http://schema.org/name"}),
        ] {
            let mut one = told("Article", ann());
            one["@context"] = context;
            alike.push(ld(one));
        }
        forms.extend(
            alike
                .into_iter()
                .map(|head| (head, "Told", "Ann Lee", date)),
        );
        let (folder, site) = (Folder::new(), Site::new());
        let mut links = String::new();
        for (n, (head, ..)) in forms.iter().enumerate() {
            site.page(
                &format!("/a/{n}"),
                &article("Seen", "Cy Dee", "2020-01-01", head),
            );
            links += &format!("<a href=/a/{n}>{n}</a>");
        }
        site.page("/", &links);
        let spider = json!({"name": "forms", "start_urls": [site.url("/")], "sections": [
            {"match": "/a/", "extract": "auto"}]});
        let (items, _) = crawl(&folder, &site, spider);
        for (n, (head, title, author, date)) in forms.iter().enumerate() {
            let item = &items[&format!("/a/{n}")];
            let found = [&item["title"], &item["author"], &item["published_date"]];
            assert_eq!(found, [title, author, date], "{head}");
            assert!(item["content"].as_str().unwrap().contains("Third: "));
        }
    }

    #[test]
    fn rules_alone_read_articles_by_parse_article_and_fields_by_callbacks() {
        let (folder, site) = (Folder::new(), site());
        let spider = json!({
            "name": "rules_only", "source_url": site.url("/"), "allowed_domains": ["127.0.0.1"],
            "start_urls": [site.url("/")],
            "rules": [
                {"allow": ["/news/.*"], "deny": ["/news/.*#comments"], "callback": "parse_article"},
                {"allow": ["/sport/"], "callback": "parse_sport", "follow": false},
                {"allow": ["/x"], "callback": null}
            ],
            "callbacks": {"parse_sport": {"extract": {
                "headline": {"css": "article h1::text"},
                "paragraphs": {"css": "article > p:not(.byline)", "get_all": true,
                    "processors": [{"type": "count"}]},
                "text": {"css": "article .byline", "to_text": true},
                "as_markdown": {"css": "article .byline", "to_markdown": true}}}},
            "settings": {"EXTRACTOR_ORDER": ["trafilatura", "newspaper"], "ROBOTSTXT_OBEY": true}
        });
        let (items, done) = crawl(&folder, &site, spider);
        check(
            &items["/news/1"],
            "Harbour wakes",
            "Ann Lee",
            "2026-03-15T08:00:00+01:00",
        );
        let sport = json!({"headline": "Rowing", "paragraphs": 3, "text": "By Cy Dee",
            "as_markdown": "By [Cy Dee](/by)"});
        assert_eq!(items["/sport/1"], sport);
        assert_eq!(items["/x"], Value::Null);
        done.never_says("ignored").never_says("empty on");
    }

    #[test]
    fn a_sitemap_spider_reads_every_page_that_it_names() {
        let (folder, site) = (Folder::new(), site());
        let map = format!(
            "<urlset><url><loc>{}</loc></url><url><loc>{}</loc></url></urlset>",
            site.url("/news/2"),
            site.url("/sport/1")
        );
        site.on("/sitemap.xml", move |_| {
            Answer::typed("application/xml", map.clone())
        });
        let spider = json!({
            "name": "maps", "source_url": site.url("/"), "allowed_domains": ["127.0.0.1"],
            "start_urls": [site.url("/sitemap.xml")],
            "settings": {"USE_SITEMAP": true, "EXTRACTOR_ORDER": ["custom"], "FIELDS": {
                "title": {"css": "h1", "to_text": true},
                "published_date": {"css": ".no-such-date::text"}}}
        });
        let (items, _) = crawl(&folder, &site, spider);
        let item = json!({"title": "Boats at rest", "published_date": "2026-03-16T09:30:00+00:00"});
        assert_eq!(items["/news/2"], item);
        assert_eq!(items["/sport/1"]["title"], "Rowing");
    }
}

mod check {
    use super::*;

    #[test]
    fn a_check_tells_what_would_be_extracted_and_what_is_wrong_with_it() {
        let folder = Folder::new();
        let spider = |field: Value| {
            json!({"name": "s", "start_urls": ["http://127.0.0.1:1/"],
                "sections": [{"match": "/p/", "extract": {"name": "x", "price": field}}]})
        };
        let check = |spider: Value| {
            let mut spider = spider;
            spider["sections"][0]["extract"]["name"] = json!({"css": "h1::text"});
            folder.write("s.json", spider.to_string());
            Tool::new("crawl-run")
                .dir(&folder)
                .args(["--check", "s.json"])
                .run()
        };
        check(spider(json!({"css": "b::text", "hue": 1})))
            .code(0)
            .prints("extract    `/p/`: name, price\n")
            .says("not supported and ignored: $.sections[0].extract.price.hue");
        for (field, why) in [
            (
                json!({"css": "b["}),
                "price.css: expected a CSS selector, found \"b[\": ",
            ),
            (
                json!({"xpath": "//b[ends-with(., 'x')]"}),
                "price.xpath: expected an XPath expression, found \"//b[ends-with(., 'x')]\": \
                 there is no ends-with() here",
            ),
            (
                json!({"css": "b", "processors": [{"type": "regex", "pattern": "(?<=a)(*b)"}]}),
                "price.processors[0].pattern: expected a regular expression: nothing to repeat",
            ),
            (
                json!({"css": "b", "processors": [{"type": "strip"}, {"type": "cast", "to": "x"}]}),
                "price.processors[1].to: expected int, float, bool or str, found \"x\"",
            ),
        ] {
            check(spider(field))
                .code(2)
                .says("cannot use spider s.json: $.sections[0].extract.")
                .says(why);
        }
        folder.write("bad.json", "{\"sections\": [{\"extract\": 1}]}");
        Tool::new("crawl-fetch")
            .dir(&folder)
            .args(["--extract", "bad.json"])
            .run()
            .code(2)
            .says("cannot use bad.json: $.sections[0].extract: expected \"auto\" or an object of fields");
    }
}

mod bounds {
    use super::*;

    const DEEP: usize = 100_000;

    #[track_caller]
    fn item_of(html: String, extract: Value) -> Value {
        let (folder, site) = (Folder::new(), Site::new());
        site.page("/", &html);
        let spider = json!({"sections": [{"extract": extract}]});
        fetch(&folder, &spider, &site.url("/"))
    }

    #[test]
    fn a_page_of_a_hundred_thousand_nested_elements_is_read() {
        let html = format!("<p id=top>{}deep<b>er</b>", "<div>".repeat(DEEP));
        let record = item_of(
            html,
            json!({
                "divs": {"css": "div", "get_all": true, "processors": [{"type": "count"}]},
                "deep": {"css": "div div div::text"},
                "all": {"css": "body", "to_text": true},
                "markup": {"css": "body"},
                "holds": {"css": "div:has(b)", "get_all": true, "processors": [{"type": "count"}]},
            }),
        );
        let item = &record["item"];
        assert_eq!(item["divs"], DEEP);
        assert_eq!(item["deep"], "deep");
        assert_eq!(item["all"], "deep er");
        // What is nested deeper than 512 elements stands side by side, as in Chrome.
        assert_eq!(item["holds"], 509);
        assert!(item["markup"].as_str().unwrap().ends_with("</div></body>"));
    }

    #[test]
    fn a_deep_page_that_overlaps_takes_no_longer() {
        let overlapping = "<b id=1><p>x</b>y<table>z".to_owned();
        for open in ["<div>", "<b>", "<table><td>", "<svg><g>", "<p><i>"] {
            let html = overlapping.clone() + &open.repeat(50_000) + "<h1>end";
            let record = item_of(html, json!({"end": {"css": "h1", "to_text": true}}));
            assert_eq!(record["item"]["end"], "end", "{open}");
        }
    }

    #[test]
    fn a_page_of_five_megabytes_gives_its_whole_item_by_css_and_xpath() {
        const COUNT: usize = 25_000;
        let products = (1..=COUNT).map(|n| {
            format!(
                "<div class=\"product row\" id=\"p{n}\"><span class=\"name\">Product {n} of the \
                 catalogue</span><a href=\"/products/{n}.html\" title=\"More of it\">more</a>\
                 <span class=\"price\" data-cents=\"{n}99\">$ {n}.99</span><p>Some <b>words</b></p></div>\n"
            )
        });
        let products: String = products.collect();
        assert!(products.len() > 5_000_000);
        let html = format!("<h1>All</h1>{products}<a rel=next href=/page/2>next</a>");
        let count = json!([{"type": "count"}]);
        let record = item_of(
            html,
            json!({
                "title": {"css": "h1::text"},
                "first": {"css": "div.product > .name::text"},
                "last": {"xpath": "//div[has-class('product')][last()]/span[@class='name']/text()"},
                "products": {"xpath": "count(//div[contains(@class, 'product')])"},
                "prices": {"css": ".product .price::attr(data-cents)", "get_all": true, "processors": count},
                "links": {"xpath": "//a[@title]/@href", "get_all": true, "processors": count},
                "dearest": {"css": "div.product:nth-last-of-type(1) > .price::text"},
                "one": {"xpath": "//div[span[contains(., 'Product 24000 ')]]/a/@href"},
                "behind": {"xpath": "//div[@id='p12000']/following-sibling::div[1]/@id"},
                "next": {"css": "a[rel=next]::attr(href)"},
            }),
        );
        assert_eq!(record["item_cut"], Value::Null, "{record}");
        let last = format!("Product {COUNT} of the catalogue");
        assert_eq!(
            record["item"],
            json!({
                "title": "All", "first": "Product 1 of the catalogue", "last": last,
                "products": "25000.0", "prices": COUNT, "links": COUNT,
                "dearest": format!("$ {COUNT}.99"), "one": "/products/24000.html",
                "behind": "p12001", "next": "/page/2",
            })
        );
    }

    #[test]
    fn an_item_is_cut_before_it_is_too_large_and_says_so() {
        let html = format!("<h1>t</h1><p>{}</p>", "word ".repeat(1_200_000));
        let extract = json!({"a": {"css": "h1::text"}, "b": {"css": "p::text"}});
        let record = item_of(html, extract);
        assert_eq!(record["item"], json!({"a": "t", "b": null}));
        assert_eq!(record["item_cut"], true);
    }
    #[test]
    fn selectors_that_would_take_minutes_are_ended_and_say_so() {
        let html = format!(
            "<h1>t</h1>{}{}",
            "<div>".repeat(500),
            "word ".repeat(1_000_000)
        );
        let record = item_of(
            html,
            json!({"first": {"css": "h1::text"}, "slow": {"css": "div:contains('none')"}}),
        );
        assert_eq!(record["item"], json!({"first": "t", "slow": null}));
        assert_eq!(record["item_cut"], true);
    }
}

#[test]
fn what_the_schema_says_of_fields_is_read() {
    let printed = Tool::new("crawl-run").arg("--print-schema").run().code(0);
    let schema: Value = serde_json::from_str(&printed.text()).unwrap();
    let properties = |pointer: &str| {
        let found = schema.pointer(pointer).and_then(Value::as_object);
        found.unwrap().clone()
    };
    let mut fields = Vec::new();
    for (key, described) in properties("/$defs/field/properties") {
        let value = match (&*key, described["type"].as_str()) {
            ("xpath", _) => json!("//p"),
            ("css", _) => json!("p"),
            (_, Some("boolean")) => json!(true),
            _ => json!([]),
        };
        let beside = if key == "xpath" { "get_all" } else { "css" };
        let other = if key == "xpath" {
            json!(false)
        } else {
            json!("p")
        };
        fields.push(json!({beside: other, key: value}));
    }
    let mut list = json!({"type": "nested_list"});
    for key in properties("/$defs/list/properties").keys() {
        match &**key {
            "selector" => list[key] = json!("li"),
            "extract" => list[key] = json!({"x": {"css": "a"}}),
            "processors" => list[key] = json!([]),
            key => assert_eq!(key, "type"),
        }
    }
    fields.push(list);
    let kinds = schema["$defs"]["processors"]["items"]["oneOf"].as_array();
    for kind in kinds.unwrap() {
        let properties = kind["properties"].as_object().unwrap();
        let named = &properties["type"];
        let names = named["enum"].as_array().cloned();
        for name in names.unwrap_or_else(|| vec![named["const"].clone()]) {
            let mut processor = json!({"type": name});
            for (key, described) in properties.iter().filter(|(key, _)| *key != "type") {
                processor[key] = match described["type"].as_str() {
                    _ if !described["default"].is_null() => described["default"].clone(),
                    Some("array") => json!(["en"]),
                    _ if key == "to" => described["enum"][0].clone(),
                    _ => json!("(%Y)"),
                };
            }
            fields.push(json!({"css": "p", "processors": [processor]}));
        }
    }
    assert!(fields.len() > 14, "{fields:?}");
    let names = (0..).map(|number| format!("f{number}"));
    let fields: serde_json::Map<String, Value> = names.zip(fields).collect();
    let folder = Folder::new();
    folder.write(
        "s.json",
        json!({"sections": [{"extract": fields}]}).to_string(),
    );
    let done = Tool::new("crawl-fetch").args(["--extract", "s.json", "--check"]);
    let answer: Value = serde_json::from_str(&done.dir(&folder).run().code(0).text()).unwrap();
    assert_eq!(answer["wrong"], Value::Null);
    assert_eq!(answer["ignored"], json!([]));
}
