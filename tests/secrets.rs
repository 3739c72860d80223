//! Who gets what identifies somebody: the headers of `-H`, those of a spider, and user names and
//! passwords in URLs.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeSet;

use serde_json::json;
use support::{Answer, Folder, Site, Tool};

const SECRET: &str = "s3cret";

/// The paths for which a site was sent a header with this text, and those without it.
fn told(site: &Site, text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let log = site.log().into_iter();
    let (told, others): (Vec<_>, Vec<_>) =
        log.partition(|asked| asked.headers.iter().any(|(_, value)| value.contains(text)));
    let paths = |list: Vec<support::Asked>| list.into_iter().map(|asked| asked.path).collect();
    (paths(told), paths(others))
}

fn paths<const N: usize>(paths: [&str; N]) -> BTreeSet<String> {
    paths.map(str::to_owned).into()
}

fn crawl(folder: &Folder, target: &str) -> Tool {
    let tool = Tool::new("crawl-run").dir(folder);
    tool.args([target, "-o", "out.jsonl", "-q"])
}

#[test]
fn headers_of_the_options_reach_the_start_origin_alone_over_a_resume_too() {
    for header in [
        "Authorization: Bearer s3cret",
        "Cookie: sid=s3cret",
        "X-Key: s3cret",
    ] {
        let (site, other) = (Site::new(), Site::at("127.0.0.2"));
        let away = other.url("/moved");
        site.page(
            "/",
            &format!("<a href='/a'>a</a><a href='{}'>o</a>", other.url("/linked")),
        );
        site.page("/a", "<a href='/b'>b</a>").page("/b", "b");
        site.on("/away", move |_| Answer::redirect(&away));
        other.page("/linked", "l").page("/moved", "m");
        let folder = Folder::new();
        let starts = [site.url("/"), site.url("/away")];
        let domains = ["127.0.0.1", "127.0.0.2"];
        let spider = json!({"name": "s", "start_urls": starts, "allowed_domains": domains});
        folder.write("s.json", spider.to_string());
        for code in [4, 4, 0] {
            let run = crawl(&folder, "s.json").args(["-H", header, "--max-pages", "2"]);
            run.run().code(code);
        }
        let of_site = paths(["/robots.txt", "/", "/away", "/a", "/b"]);
        assert_eq!(told(&site, SECRET), (of_site, paths([])), "{header}");
        let of_other = paths(["/robots.txt", "/linked", "/moved"]);
        assert_eq!(
            told(&other, SECRET),
            (paths([]), of_other.clone()),
            "{header}"
        );
        // Unless everybody is to have it.
        other.clear_log();
        let folder = Folder::new();
        folder.write("s.json", spider.to_string());
        let run = crawl(&folder, "s.json").args(["-H", header, "--header-everywhere"]);
        run.run().code(0);
        assert_eq!(told(&other, SECRET), (of_other, paths([])), "{header}");
        for file in folder.files() {
            assert!(
                !folder.read(file.to_str().unwrap()).contains(SECRET),
                "{file:?}"
            );
        }
    }
}

#[test]
fn a_start_url_takes_its_headers_along_to_another_port_of_its_host() {
    let (site, moved) = (Site::new(), Site::new());
    let to = moved.url("/");
    site.on("/", move |_| Answer::redirect(&to));
    moved.page("/", "<a href='/a'>a</a>").page("/a", "a");
    let folder = Folder::new();
    for code in [4, 0] {
        let run = crawl(&folder, &site.url("/")).args(["-H", "X-Key: s3cret"]);
        run.args(["--max-pages", "2"]).run().code(code);
    }
    let (with, without) = told(&moved, SECRET);
    assert!(with.is_superset(&paths(["/", "/a"])) && !without.contains("/a"));
}

#[test]
fn headers_of_a_spider_go_to_all_but_those_that_identify_somebody() {
    let (site, other) = (Site::new(), Site::at("127.0.0.2"));
    site.page("/", &format!("<a href='{}'>o</a>", other.url("/o")));
    other.page("/o", "o");
    let folder = Folder::new();
    let headers = json!({"Accept-Language": "de-x-ours", "Authorization": SECRET, "X-None": null});
    let spider = json!({
        "name": "s", "start_urls": [site.url("/")], "allowed_domains": ["127.0.0.1", "127.0.0.2"],
        "settings": {"DEFAULT_REQUEST_HEADERS": headers}
    });
    folder.write("s.json", spider.to_string());
    crawl(&folder, "s.json").run().code(0).is_quiet();
    let (of_site, of_other) = (paths(["/robots.txt", "/"]), paths(["/robots.txt", "/o"]));
    assert_eq!(told(&site, "de-x-ours").0, of_site);
    assert_eq!(told(&other, "de-x-ours").0, of_other);
    assert_eq!(told(&site, SECRET).0, of_site);
    assert_eq!(told(&other, SECRET), (paths([]), of_other));
}

#[test]
fn a_header_with_cookies_goes_on_when_the_site_sets_others() {
    let site = Site::new();
    site.on("/", |_| {
        Answer::html("<a href='/a'>a</a>").header("Set-Cookie", "lang=de; Path=/")
    });
    site.page("/a", "a");
    let folder = Folder::new();
    let run = crawl(&folder, &site.url("/")).args(["-H", "Cookie: sid=s3cret; lang=en"]);
    run.run().code(0);
    let log = site.log();
    let asked = log.iter().find(|asked| asked.path == "/a").unwrap();
    assert_eq!(asked.header("cookie"), Some("sid=s3cret; lang=de"));
}

#[test]
fn credentials_of_a_start_url_work_for_its_origin_and_are_kept_nowhere() {
    let basic = "Basic dTpzM2NyZXQ=";
    let (site, other) = (Site::new(), Site::at("127.0.0.2"));
    let host = site.host();
    let link = format!("<a href='/a'>a</a><a href='http://x:y@{host}/b'>b</a>");
    site.page("/", &format!("{link}<a href='{}'>o</a>", other.url("/o")));
    site.page("/a", "a").page("/b", "b");
    let folder = Folder::new();
    let start = site.url("/").replace("://", "://u:s3cret@");
    for code in [4, 0] {
        let run = crawl(&folder, &start).args(["--max-pages", "2"]);
        run.run().code(code);
        for file in folder.files() {
            let text =
                String::from_utf8_lossy(&std::fs::read(folder.join(&file)).unwrap()).into_owned();
            assert!(!text.contains(SECRET), "{file:?}");
        }
    }
    let all = paths(["/robots.txt", "/", "/a", "/b"]);
    assert_eq!(told(&site, basic), (all, paths([])));
    assert_eq!(other.count(), 0);
}

#[test]
fn user_names_in_links_make_no_host_of_their_own() {
    let site = Site::new();
    let host = site.host();
    let links: String = (0..40)
        .map(|n| format!("<a href='http://u{n}:p@{host}/{}'>x</a>", n % 3))
        .collect();
    site.page("/", &links);
    for n in 0..3 {
        site.page(&format!("/{n}"), "x");
    }
    let folder = Folder::new();
    crawl(&folder, &site.url("/")).run().code(0);
    assert_eq!(folder.read("out.jsonl").lines().count(), 4);
    assert_eq!(site.hits("/robots.txt"), 1);
    assert!(
        site.log()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[test]
fn user_names_in_urls_that_are_added_make_one_host_and_are_kept_nowhere() {
    let folder = Folder::new();
    let frontier = |command: &str| {
        let tool = Tool::new("crawl-frontier").dir(&folder);
        tool.args([command, "--job", "job"])
    };
    let urls = "http://u1:s3cret@h.example/a\nhttp://u2:s3cret@h.example/b\nhttp://h.example/a\n";
    let object = json!({"url": "http://u3:s3cret@h.example/b"});
    let added = frontier("add").stdin(format!("{urls}{object}\n")).run();
    added.code(0).says("added 2, duplicate 2, invalid 0");
    let pending = frontier("export").run().code(0);
    let pending = pending.lines().join(" ");
    assert!(!pending.contains('@'), "{pending}");
    frontier("stat").run().code(0).prints("hosts      1\n");
    let seen = frontier("seen").stdin("http://u9:x@h.example/a\n").run();
    seen.code(0).prints("h.example/a");
    for file in folder.files() {
        let bytes = std::fs::read(folder.join(&file)).unwrap();
        assert!(
            !String::from_utf8_lossy(&bytes).contains(SECRET),
            "{file:?}"
        );
    }
}

#[test]
fn links_of_a_page_have_no_user_names() {
    let site = Site::new();
    let host = site.host();
    site.page(
        "/",
        &format!("<a href='/a'>a</a><a href='?b'>b</a><a href='http://x:y@{host}/c'>c</a>"),
    );
    site.page("/base", &format!("<base href='//x:y@{host}/d/'><a href=e>"));
    for (path, want) in [("/", vec!["/a", "/?b", "/c"]), ("/base", vec!["/d/e"])] {
        let start = site.url(path).replace("://", "://u:s3cret@");
        let fetched = Tool::new("crawl-fetch").stdin(start).run().code(0);
        let result: serde_json::Value = serde_json::from_str(&fetched.lines()[0]).unwrap();
        let want: Vec<String> = want.into_iter().map(|path| site.url(path)).collect();
        assert_eq!(result["links"], json!(want));
    }
    assert!(told(&site, "Basic").1.is_empty());
}

#[test]
fn a_header_that_is_none_does_not_show_what_it_holds() {
    for tool in ["crawl-fetch", "crawl-run"] {
        for header in [
            "Bad Name: s3cret",
            "s3cret",
            ": s3cret",
            "Cookie: s3cret\u{1}",
        ] {
            for form in [vec!["-H", header], vec![&format!("--header={header}")]] {
                let said = Tool::new(tool).args(form).run().code(2).words();
                assert!(
                    said.contains("--header") && !said.contains(SECRET),
                    "{said}"
                );
            }
        }
    }
}
