//! Rules that ask where on a page a link stands: `restrict_css`, `restrict_xpaths` and `tags`.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use support::{Answer, Folder, Site, Tool};

struct Ground {
    folder: Folder,
    site: Site,
}

/// A page with links in its navigation, in its middle and in its foot.
fn page(nav: &str, main: &str, footer: &str) -> String {
    format!(
        "<!DOCTYPE html><title>t</title><link rel=next href=/next>
        <nav>{nav}</nav><main><div class=list>{main}</div></main><footer>{footer}</footer>"
    )
}

fn pages() -> BTreeMap<&'static str, String> {
    let leaf = || page("<a href=/nav></a>", "text", "<a href=/foot/x></a>");
    BTreeMap::from([
        (
            "/",
            page(
                "<a href=/nav></a><a href=/both></a>",
                "<a href=/main/1></a><a href='main/2#x'></a><a href=/both></a><img src=/shown>",
                "<a href=/foot/1></a><a href=/both></a><img src=/hidden>",
            ),
        ),
        // The foot's rule does not follow, so nothing is found by this one.
        ("/foot/1", page("", "<a href=/main/of-foot></a>", "")),
        (
            "/main/1",
            page("<a href=/main/3></a>", "<a href=/foot/2></a>", ""),
        ),
        ("/main/2", leaf()),
        ("/both", page("", "<a href=/moved></a>", "")),
        ("/shown", leaf()),
        ("/arrived", page("", "<a href=/main/4></a>", "")),
        ("/main/4", leaf()),
        ("/foot/2", leaf()),
    ])
}

impl Ground {
    fn new() -> Ground {
        let ground = Ground {
            folder: Folder::new(),
            site: Site::new(),
        };
        ground.site.otherwise(|asked| match &*asked.path {
            "/moved" => Answer::status(302).header("Location", "/arrived"),
            path => match pages().get(path) {
                _ if asked.header("if-none-match") == Some("\"1\"") => {
                    Answer::status(304).header("ETag", "\"1\"")
                }
                Some(page) => Answer::html(page.clone()).header("ETag", "\"1\""),
                None => Answer::status(404),
            },
        });
        ground
    }

    fn spider(&self, rules: Value) {
        self.spider_of(json!({"rules": rules}));
    }

    fn spider_of(&self, rules: Value) {
        let mut spider = json!({
            "name": "rules",
            "start_urls": [self.site.url("/")],
            "settings": {
                "ROBOTSTXT_OBEY": false,
                "DELTAFETCH_ENABLED": true,
                "CONCURRENT_REQUESTS": 1
            },
        });
        for (key, rules) in rules.as_object().unwrap() {
            spider[key] = rules.clone();
        }
        self.folder.write("rules.json", spider.to_string());
    }

    fn crawl(&self) -> Tool {
        Tool::new("crawl-run").dir(&self.folder).arg("rules.json")
    }

    fn explain(&self, path: &str) -> String {
        let url = self.site.url(path);
        self.crawl().args(["--explain", &url]).run().code(0).text()
    }

    /// The paths asked for since the last time, in order.
    fn asked(&self) -> Vec<String> {
        let paths = self.site.paths();
        self.site.clear_log();
        paths
    }

    fn records(&self) -> Vec<Value> {
        let crawls = self.folder.join("data/default/rules/crawls");
        let files = fs::read_dir(crawls).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.retain(|path| path.extension() == Some("jsonl".as_ref()));
        let text: String = files
            .iter()
            .map(|file| fs::read_to_string(file).unwrap())
            .collect();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The foot goes last and leads nowhere; the same URLs in the middle go first.
fn regions() -> Value {
    json!([
        {"restrict_css": ["main .list"], "priority": 5},
        {"restrict_css": "footer", "allow": "/foot/", "follow": false, "priority": -5},
        {"restrict_css": "main", "tags": ["img"]}
    ])
}

/// What that comes to. Pages under /foot/ do not lead anywhere, and /nav and /next stand in no
/// region.
const CRAWLED: [&str; 11] = [
    "/", "/arrived", "/both", "/foot/1", "/foot/2", "/foot/x", "/main/1", "/main/2", "/main/4",
    "/moved", "/shown",
];

fn sorted<T: AsRef<str>>(list: &[T]) -> Vec<&str> {
    let mut list: Vec<&str> = list.iter().map(AsRef::as_ref).collect();
    list.sort_unstable();
    list
}

#[test]
fn links_are_taken_on_where_they_stand() {
    let ground = Ground::new();
    ground.spider(regions());
    let done = ground.crawl().arg("--keep-links").run().code(0);
    done.never_says("ignored");
    let asked = ground.asked();
    assert_eq!(sorted(&asked), CRAWLED);
    assert_eq!(asked[..4], ["/", "/both", "/main/1", "/main/2"]);
    assert_eq!(sorted(&asked[9..]), ["/foot/1", "/foot/x"]);
    for record in ground.records() {
        assert_eq!(record["link_regions"], Value::Null);
        let links = record["links"].as_array().cloned().unwrap_or_default();
        assert!(
            !links.contains(&json!(ground.site.url("/shown"))),
            "{record}"
        );
    }
}

#[test]
fn xpath_and_sections_say_where_links_stand_as_well() {
    let rules = json!([
        {"restrict_xpaths": "//main//*[contains(@class, 'list')]", "priority": 5},
        {"restrict_xpaths": ["//aside", "//footer"], "allow": "/foot/", "follow": false, "priority": -5},
        {"restrict_xpaths": "//main", "tags": ["img"]}
    ]);
    let ground = Ground::new();
    ground.spider(rules.clone());
    ground.crawl().run().code(0).never_says("ignored");
    assert_eq!(sorted(&ground.asked()), CRAWLED);
    let mut sections = rules;
    sections[1]["match"] = sections[1]["allow"].take();
    sections[1].as_object_mut().unwrap().remove("allow");
    ground.spider_of(json!({"sections": sections, "rules": []}));
    let told = ground.explain("/foot/1");
    assert!(
        told.contains("by rule 3 for links in `//aside` or `//footer`"),
        "{told}"
    );
    let crawl = ground.crawl().args(["--fresh", "--reset-deltafetch"]);
    crawl.run().code(0).never_says("ignored");
    assert_eq!(sorted(&ground.asked()), CRAWLED);
}

#[test]
fn a_resumed_crawl_decides_as_one_that_was_never_paused() {
    for records in ["1", "3", "7"] {
        let ground = Ground::new();
        ground.spider(regions());
        ground.crawl().args(["--max-pages", records]).run().code(4);
        ground.crawl().run().code(0).says("resum");
        assert_eq!(sorted(&ground.asked()), CRAWLED);
        assert_eq!(ground.records().len(), CRAWLED.len());
    }
}

#[test]
fn links_of_pages_that_did_not_change_are_taken_on_by_the_rules_that_they_were() {
    let ground = Ground::new();
    ground.spider(regions());
    ground.crawl().run().code(0);
    let first = ground.asked();
    for _ in 0..2 {
        ground.site.clear_log();
        ground.crawl().run().code(0).says("unchanged 11");
        let log = ground.site.log();
        assert!(
            log.iter().all(|a| a.header("if-none-match").is_some()
                || ["/moved", "/foot/x"].contains(&&*a.path))
        );
        assert_eq!(ground.asked(), first);
    }
}

#[test]
fn what_a_page_links_to_elsewhere_is_not_known_as_its_own() {
    // /both stands in the middle of the start page alone; that others link to it in their
    // navigation makes it no page of theirs.
    let ground = Ground::new();
    ground.spider(json!([{"restrict_css": "main", "allow": "/(main|both)"}]));
    ground
        .site
        .on("/main/1", |asked| match asked.header("if-none-match") {
            Some("\"1\"") => Answer::status(304).header("ETag", "\"1\""),
            _ => Answer::html(page("<a href=/both></a>", "", "")).header("ETag", "\"1\""),
        });
    ground.crawl().run().code(0);
    assert_eq!(ground.site.hits("/both"), 1);
    ground
        .site
        .on("/", |_| Answer::html(page("", "<a href=/main/1></a>", "")));
    ground.site.on("/both", |_| Answer::status(404));
    ground.asked();
    // It is asked for once more, since it was known, and then never again.
    ground.crawl().run().code(0).says("gone 1");
    assert_eq!(ground.site.hits("/both"), 1);
    ground.asked();
    ground.crawl().run().code(0);
    assert_eq!(ground.asked(), ["/", "/main/1"]);
}

#[test]
fn other_regions_are_another_spider() {
    let ground = Ground::new();
    ground.spider(regions());
    ground.crawl().args(["--max-pages", "2"]).run().code(4);
    let mut other = regions();
    other[0]["restrict_css"] = json!("nav");
    other[2]["tags"] = json!(["a"]);
    ground.spider(other);
    let done = ground.crawl().run().code(2);
    done.says("rule 1: restrict_css `main .list` -> `nav`")
        .says("rule 2: tags `img` -> `a`");
}

#[test]
fn what_is_wrong_has_its_place() {
    let ground = Ground::new();
    for (rule, path) in [
        (json!({"restrict_css": "main["}), "$.rules[1].restrict_css"),
        (
            json!({"restrict_css": ["a", "a::text"]}),
            "$.rules[1].restrict_css[1]",
        ),
        (json!({"restrict_css": 5}), "$.rules[1].restrict_css"),
        (
            json!({"restrict_xpaths": ["//a", "//a/@href"]}),
            "$.rules[1].restrict_xpaths[1]: expected an XPath expression of elements",
        ),
        (
            json!({"restrict_xpaths": "//a["}),
            "$.rules[1].restrict_xpaths: expected an XPath expression, found \"//a[\": ",
        ),
        (json!({"tags": ["a", 5]}), "$.rules[1].tags[1]"),
    ] {
        ground.spider(json!([{}, rule]));
        ground.crawl().run().code(2).says(path);
    }
}

#[test]
fn where_links_must_stand_is_told() {
    let ground = Ground::new();
    ground.spider(regions());
    let done = ground.crawl().arg("--check").run().code(0);
    let told = done.text();
    assert!(
        told.contains("every URL in `main .list`, priority 5"),
        "{told}"
    );
    assert!(told.contains("every URL in `main` of `img`"), "{told}");
    let told = ground.explain("/foot/1");
    let either = "belongs to the crawl by rule 1 for links in `main .list`, by rule 2 for links \
                  of `img` in `main`, by rule 3 for links in `footer`, else not";
    assert!(told.contains(either), "{told}");
    ground.spider(json!([{"priority": -3}, {"tags": ["img"]}]));
    let told = ground.explain("/x");
    assert!(
        told.contains("by rule 1 for links of `img`, else by rule 2"),
        "{told}"
    );
}
