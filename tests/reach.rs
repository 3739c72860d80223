//! Where a crawl goes and where it does not: sitemaps on other hosts, and limits that a site
//! just fills.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use support::{Answer, Folder, Site, Tool};

/// crawl-run on this target, with its output in `out.jsonl`.
fn crawl(folder: &Folder, target: &str) -> Tool {
    Tool::new("crawl-run")
        .dir(folder)
        .args([target, "-o", "out.jsonl"])
}

/// The URLs that have records, each just one.
#[track_caller]
fn recorded(folder: &Folder) -> BTreeSet<String> {
    let text = fs::read_to_string(folder.join("out.jsonl")).unwrap();
    let mut urls = BTreeSet::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        assert!(urls.insert(url), "two records: {line}");
    }
    urls
}

fn urls<'a>(urls: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    urls.into_iter().map(str::to_owned).collect()
}

/// A sitemap with these pages.
fn sitemap(pages: &[String]) -> Answer {
    let urls: String = pages
        .iter()
        .map(|url| format!("<url><loc>{url}</loc></url>"))
        .collect();
    let xml =
        format!("<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{urls}</urlset>");
    Answer::typed("application/xml", xml)
}

/// A sitemap index with these sitemaps.
fn index(sitemaps: &[String]) -> Answer {
    let maps: String = sitemaps
        .iter()
        .map(|url| format!("<sitemap><loc>{url}</loc></sitemap>"))
        .collect();
    let xml = format!(
        "<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">{maps}</sitemapindex>"
    );
    Answer::typed("application/xml", xml)
}

fn sitemap_spider(folder: &Folder, start: &str) {
    let spider = json!({
        "name": "shop", "start_urls": [start], "settings": {"USE_SITEMAP": true, "RETRY_TIMES": 0}
    });
    folder.write("shop.json", spider.to_string());
}

#[test]
fn sitemaps_of_a_site_are_read_on_any_host_and_open_none() {
    let (site, cdn, third) = (Arc::new(Site::new()), Arc::new(Site::new()), Site::new());
    let robots = format!(
        "Sitemap: {}\nSitemap: {}\nSitemap: {}\n",
        cdn.url("/direct.xml"),
        site.url("/moved.xml"),
        cdn.url("/index.xml")
    );
    site.on("/robots.txt", move |_| Answer::text(robots.as_str()))
        .page("/", "home");
    for name in ["direct", "moved", "index"] {
        site.page(
            &format!("/{name}"),
            &format!("<a href='{}'>c</a>", cdn.url("/linked")),
        );
    }
    let to = cdn.url("/moved.xml");
    site.on("/moved.xml", move |_| Answer::redirect(&to));
    let pages = [site.url("/direct"), cdn.url("/foreign")];
    cdn.on("/direct.xml", move |_| sitemap(&pages));
    let pages = [site.url("/moved"), cdn.url("/foreign")];
    cdn.on("/moved.xml", move |_| sitemap(&pages));
    let parts = [cdn.url("/part.xml"), third.url("/part.xml")];
    cdn.on("/index.xml", move |_| index(&parts));
    let pages = [site.url("/index")];
    cdn.on("/part.xml", move |_| sitemap(&pages));
    let folder = Folder::new();
    sitemap_spider(&folder, &site.url("/"));
    crawl(&folder, "shop.json").run().code(0);
    let of_site = ["/", "/direct", "/moved", "/index", "/moved.xml"].map(|path| site.url(path));
    let of_cdn = ["/direct.xml", "/moved.xml", "/index.xml", "/part.xml"].map(|path| cdn.url(path));
    let want = of_site.iter().chain(&of_cdn).map(String::as_str);
    assert_eq!(recorded(&folder), urls(want));
    // An index speaks for its own host alone.
    assert_eq!(third.count(), 0);
}

#[test]
fn a_start_url_that_is_a_sitemap_takes_the_crawl_to_the_host_that_it_moved_to() {
    let (old, site) = (Site::new(), Site::new());
    let to = site.url("/sitemap.xml");
    old.on("/sitemap.xml", move |_| Answer::redirect(&to));
    let pages = [site.url("/a")];
    site.on("/sitemap.xml", move |_| sitemap(&pages));
    site.page("/a", "a");
    let folder = Folder::new();
    sitemap_spider(&folder, &old.url("/sitemap.xml"));
    crawl(&folder, "shop.json").run().code(0);
    assert_eq!(site.hits("/a"), 1);
}

#[test]
fn a_site_that_has_just_the_pages_of_the_limit_is_complete() {
    let site = Site::tree(12, 4);
    for (limits, codes) in [
        (&["12"][..], &[0][..]),
        (&["11", "1"], &[4, 0]),
        (&["5", "6", "9"], &[4, 4, 0]),
    ] {
        let folder = Folder::new();
        for (limit, code) in limits.iter().zip(codes) {
            let run = crawl(&folder, &site.url("/")).args(["--max-pages", limit]);
            run.run().code(*code);
        }
        assert_eq!(recorded(&folder).len(), 12);
    }
}

#[test]
fn the_hosts_that_start_urls_moved_to_are_known_over_a_resume() {
    let (old, new) = (Site::at("0.0.0.0"), Site::at("0.0.0.0"));
    let port = new.port();
    let at = move |host: usize, port: u16| format!("http://127.0.1.{host}:{port}/");
    old.otherwise(move |asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        path => Answer::redirect(&at(path[1..].parse().unwrap(), port)),
    });
    new.page("/", "<a href='/a'>a</a>").page("/a", "a");
    let folder = Folder::new();
    let starts = (1..=40).map(|n| format!("{}{n}", at(1, old.port())));
    let starts: Vec<String> = starts.collect();
    let serve = |spider: &str| crawl(&folder, spider);
    let spider = json!({"name": "many", "start_urls": starts, "settings": {"RETRY_TIMES": 0}});
    folder.write("many.json", spider.to_string());
    serve("many.json").args(["--max-pages", "60"]).run().code(4);
    // The hosts are known over a resume.
    serve("many.json").run().code(0);
    assert_eq!(recorded(&folder).len(), 40 * 3);
}

/// A crawl of a site whose robots.txt is answered so, and which has `/open` and `/private`.
fn with_robots(site: &Site, folder: &Folder) -> i32 {
    site.page("/", "<a href='/open'>o</a><a href='/private'>p</a>");
    site.page("/open", "o").page("/private", "p");
    crawl(folder, &site.url("/")).arg("-q").run().exit()
}

#[test]
fn of_a_robots_txt_that_is_too_long_the_first_whole_lines_hold_and_a_note_says_so() {
    let site = Site::new();
    let head = "\u{feff}User-agent: *\nDisallow: /private\n";
    // Cut behind the slash, it would forbid everything.
    let filler = "#".repeat((500 << 10) - head.len() - "\nDisallow: /".len());
    let text = format!("{head}{filler}\nDisallow: /open\n");
    site.on("/robots.txt", move |_| Answer::text(text.clone()));
    let folder = Folder::new();
    assert_eq!(with_robots(&site, &folder), 0);
    assert_eq!((site.hits("/private"), site.hits("/open")), (0, 1));
    let says = "/robots.txt is too long: what is behind its first 500 KiB is not read";
    let other = Folder::new();
    let again = crawl(&other, &site.url("/")).run().code(0).says(says);
    assert_eq!(again.words().matches(says).count(), 1, "{again}");
    let mut alone = Tool::new("crawl-fetch").arg("--robots");
    alone = alone.stdin(site.url("/open"));
    alone.run().code(0).prints("\"status\":200");
}

#[test]
fn robots_txt_is_followed_over_five_redirects_to_other_hosts_too() {
    let rules = |_: &support::Asked| Answer::text("User-agent: *\nDisallow: /private\n");
    for hops in 1..=5 {
        let (site, far) = (Site::new(), Site::at("127.0.0.2"));
        for hop in 1..=hops {
            let from = if hop == 1 {
                "/robots.txt".into()
            } else {
                format!("/r{hop}")
            };
            let (here, there) = if hop % 2 == 1 {
                (&site, &far)
            } else {
                (&far, &site)
            };
            let to = there.url(&format!("/r{}", hop + 1));
            here.on(&from, move |_| Answer::redirect(&to));
        }
        let last = if hops % 2 == 1 { &far } else { &site };
        last.on(&format!("/r{}", hops + 1), rules);
        let folder = Folder::new();
        assert_eq!(with_robots(&site, &folder), 0, "{hops} redirects");
        assert_eq!(site.hits("/private"), 0, "{hops} redirects");
        assert_eq!(site.hits("/open"), 1, "{hops} redirects");
        // No page of the other host, and no robots.txt for its robots.txt.
        assert!(
            far.paths()
                .iter()
                .all(|path| path.starts_with("/r") && path != "/robots.txt")
        );
        assert_eq!(recorded(&folder).len(), 3);
    }
}

#[test]
fn a_robots_txt_that_redirects_nowhere_is_none() {
    type Set = fn(&Site);
    let cases: [Set; 4] = [
        |site| {
            site.on("/robots.txt", |_| Answer::redirect("/robots.txt"));
        },
        |site| {
            site.on("/robots.txt", |_| Answer::status(302));
        },
        |site| {
            site.on("/robots.txt", |_| Answer::redirect("ftp://127.0.0.1/r"));
        },
        |site| {
            site.on("/robots.txt", |_| Answer::redirect("/r0"));
            for hop in 0..20 {
                let to = format!("/r{}", hop + 1);
                site.on(&format!("/r{hop}"), move |_| Answer::redirect(&to));
            }
        },
    ];
    for (case, set) in cases.iter().enumerate() {
        let (site, folder) = (Site::new(), Folder::new());
        set(&site);
        assert_eq!(with_robots(&site, &folder), 0, "case {case}");
        assert_eq!(recorded(&folder).len(), 3, "case {case}");
    }
}
