//! Where a crawl goes by the options of its command line, without a spider file.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Answer, Folder, Site, Tool};

/// A site whose pages all link to all of these.
const PAGES: [&str; 6] = [
    "/",
    "/docs/",
    "/docs/a/one.html",
    "/docs/two.html",
    "/docsx",
    "/other.html",
];

struct Ground {
    folder: Folder,
    site: Site,
}

impl Ground {
    fn new() -> Ground {
        let ground = Ground {
            folder: Folder::new(),
            site: Site::new(),
        };
        ground.site.otherwise(|asked| {
            let path = asked.path.split('?').next().unwrap_or_default();
            if !PAGES.contains(&path) {
                return Answer::status(404);
            }
            let links = PAGES.map(|page| format!("<a href={page}></a>"));
            Answer::html(links.concat())
        });
        ground
    }

    fn crawl(&self, words: &[&str]) -> Tool {
        Tool::new("crawl-run").dir(&self.folder).args(words)
    }

    /// The pages that a complete crawl asks for, in the order of their names.
    #[track_caller]
    fn asked(&self, words: &[&str]) -> Vec<String> {
        self.site.clear_log();
        let mut all = vec!["--limit", "1000", "-q"];
        all.extend(words);
        self.crawl(&all).run().code(0);
        let mut paths = self.site.paths();
        paths.retain(|path| path != "/robots.txt");
        paths.sort();
        paths
    }
}

#[test]
fn a_crawl_stays_below_the_directory_of_its_start_url() {
    let ground = Ground::new();
    let docs = ["/docs/", "/docs/a/one.html", "/docs/two.html"];
    for start in ["/docs/", "/docs/two.html", "/docs/?x=/y"] {
        let url = ground.site.url(start);
        let asked = ground.asked(&[&url, "--no-parent"]);
        let of_docs = asked.iter().filter(|path| docs.contains(&path.as_str()));
        assert_eq!(of_docs.count(), 3, "{start}: {asked:?}");
        assert!(
            asked.iter().all(|path| path.starts_with("/docs/")),
            "{asked:?}"
        );
    }
    let told = ground
        .crawl(&[&ground.site.url("/docsx"), "--no-parent", "--check"])
        .run();
    told.code(0).says("/docsx/ would be narrower");
    let many = ["/a", "/b", "/c", "/d", "/e"].map(|path| ground.site.url(path));
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let told = ground
        .crawl(&[&many[..], &["--no-parent", "--check"]].concat())
        .run()
        .code(0);
    let words = told.words();
    assert_eq!(words.matches("would be narrower").count(), 3, "{words}");
    assert!(words.contains("so it is with 2 more start URLs"), "{words}");
    let explained = ground
        .crawl(&[
            &ground.site.url("/docs/"),
            "--no-parent",
            "--explain",
            &ground.site.url("/docsx"),
        ])
        .run();
    assert!(explained.code(0).text().contains("not below"));
}

#[test]
fn a_start_url_that_redirects_takes_the_crawl_below_its_target_and_a_resume_knows() {
    let ground = Ground::new();
    let site = &ground.site;
    site.on("/docs/", |_| {
        Answer::status(302).header("Location", "/en/docs/")
    });
    let links = "<a href=/en/docs/a></a><a href=/en/b></a><a href=/docs/two.html></a>";
    for path in ["/en/docs/", "/en/docs/a", "/en/docs/b"] {
        site.on(path, move |_| {
            Answer::html(format!("{links}<a href=/en/docs/b></a>"))
        });
    }
    let url = site.url("/docs/");
    ground
        .crawl(&[&url, "--no-parent", "--max-pages", "2"])
        .run()
        .code(4);
    let inner = site.url("/en/docs/c");
    let told = ground
        .crawl(&[&url, "--no-parent", "--explain", &inner])
        .run()
        .code(0);
    assert!(
        told.text().contains("belongs to the crawl"),
        "{}",
        told.text()
    );
    ground.crawl(&[&url, "--no-parent"]).run().code(0);
    let mut paths = site.paths();
    paths.retain(|path| path != "/robots.txt");
    paths.sort();
    let want = [
        "/docs/",
        "/docs/a/one.html",
        "/docs/two.html",
        "/en/docs/",
        "/en/docs/a",
        "/en/docs/b",
    ];
    assert_eq!(paths, want);
}

#[test]
fn several_start_urls_are_one_crawl_each_below_its_own_directory() {
    let (ground, other) = (Ground::new(), Site::new());
    other.otherwise(|_| {
        Answer::html("<a href=/docs/x.html></a><a href=/docs/two.html></a><a href=/in/y></a>")
    });
    let (first, second) = (ground.site.url("/docs/"), other.url("/in/"));
    let asked = ground.asked(&[&first, &second, "--no-parent"]);
    assert_eq!(asked, ["/docs/", "/docs/a/one.html", "/docs/two.html"]);
    let mut there = other.paths();
    there.retain(|path| path != "/robots.txt");
    there.sort();
    assert_eq!(there, ["/in/", "/in/y"]);
    // The same from stdin, with comments.
    let text = format!("# both\n{first}\n\n{second}\n");
    ground.site.clear_log();
    ground
        .crawl(&["-", "--check"])
        .stdin(text)
        .run()
        .code(0)
        .prints(&second);
    ground
        .crawl(&["-", "--check"])
        .stdin("# none\n")
        .run()
        .code(2)
        .says("there is none on stdin");
    let done = ground.crawl(&[&first, "spider.json"]).run();
    done.code(2).says("cannot use start URL spider.json");
    let done = ground.crawl(&["--fresh", "batch", "sites.csv"]).run();
    done.code(2)
        .says("hint: a command comes first: crawl-run batch");
}

#[test]
fn patterns_of_the_command_line_hold_beside_the_rules_of_a_spider() {
    let ground = Ground::new();
    let start = ground.site.url("/");
    let asked = ground.asked(&[
        &start, "--allow", "/docs/", "--allow", "other", "--deny", "two",
    ]);
    assert_eq!(asked, ["/", "/docs/", "/docs/a/one.html", "/other.html"]);
    let spider = json!({"name": "s", "start_urls": [start], "rules": [{"allow": "/docs"}]});
    ground.folder.write("s.json", spider.to_string());
    let asked = ground.asked(&["s.json", "--deny", "/a/", "--allow", "html$"]);
    assert_eq!(asked, ["/", "/docs/two.html"]);
    let other = ground.site.url("/docs/a/one.html");
    let why = |words: &[&str]| ground.crawl(words).run().code(0).text();
    assert!(why(&["s.json", "--deny", "/a/", "--explain", &other]).contains("--deny"));
    assert!(why(&["s.json", "--allow", "two", "--explain", &other]).contains("--allow"));
    assert!(why(&["s.json", "--explain", &other]).contains("by rule 1"));
    let bad = ground.crawl(&["s.json", "--allow", "("]).run();
    bad.code(2).says("no regular expression");
}

#[test]
fn depth_counts_from_the_start_url() {
    let ground = Ground::new();
    let start = ground.site.url("/");
    assert_eq!(ground.asked(&[&start, "--depth", "0"]), ["/"]);
    assert_eq!(ground.asked(&[&start, "--depth", "1"]).len(), PAGES.len());
}

#[test]
fn a_batch_has_the_same_options() {
    let ground = Ground::new();
    ground
        .folder
        .write("list", format!("{}\n", ground.site.url("/docs/")));
    let batch = ["batch", "list", "--no-parent", "--deny", "two", "-q"];
    ground.crawl(&batch).run().code(0);
    let mut paths = ground.site.paths();
    paths.retain(|path| path != "/robots.txt");
    paths.sort();
    assert_eq!(paths, ["/docs/", "/docs/a/one.html"]);
}

#[test]
fn domains_take_the_place_of_the_hosts_of_the_start_urls() {
    let ground = Ground::new();
    let stays = |words: &[&str]| {
        let mut all = vec!["https://www.h.example:8443/a", "--check"];
        all.extend(words);
        let told = ground.crawl(&all).run().code(0).text();
        let line = told.lines().find(|line| line.starts_with("stays on"));
        line.unwrap().to_owned()
    };
    assert_eq!(stays(&[]), "stays on   www.h.example:8443");
    assert_eq!(
        stays(&["--domain", "H.example", "--domain", "cdn.example"]),
        "stays on   h.example and below, cdn.example and below"
    );
    assert_eq!(
        stays(&["--include-sub-domains"]),
        "stays on   h.example and below"
    );
    let bad = ground.crawl(&["https://h.example/", "--domain", "*"]).run();
    bad.code(2).says("a host name such as example.com");
}

#[test]
fn the_sitemap_option_reads_sitemaps() {
    let ground = Ground::new();
    let xml = "<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\"><url><loc>{}</loc></url></urlset>";
    let xml = xml.replace("{}", &ground.site.url("/docsx"));
    ground.site.on("/sitemap.xml", move |_| {
        Answer::typed("application/xml", xml.clone())
    });
    let start = ground.site.url("/docs/");
    let asked = ground.asked(&[&start, "--sitemap", "--depth", "0"]);
    assert!(asked.contains(&"/sitemap.xml".to_owned()), "{asked:?}");
    assert!(!ground.asked(&[&start]).contains(&"/sitemap.xml".to_owned()));
}

#[test]
fn another_scope_is_another_spider() {
    let ground = Ground::new();
    let start = ground.site.url("/docs/");
    let begun = ["--max-pages", "1", "--deny", "zzz"];
    let mut first = vec![start.as_str()];
    first.extend(begun);
    ground.crawl(&first).run().code(4);
    for (options, says) in [
        (&["--deny", "zz"][..], "--deny `zzz` -> `zz`"),
        (&["--deny", "zzz", "--allow", "x"], "--allow nothing -> `x`"),
        (
            &["--deny", "zzz", "--no-parent"],
            "--no-parent: below nothing -> ",
        ),
        (&["--deny", "zzz", "--depth", "3"], "depth limit none -> 3"),
        (
            &["--deny", "zzz", "--domain", "h.example"],
            "domain added h.example",
        ),
        (
            &["--deny", "zzz", "--sitemap"],
            "sitemaps read false -> true",
        ),
        (
            &["--deny", "zzz", "https://h.example/"],
            "start URL added https://h.example/",
        ),
    ] {
        let mut words = vec![start.as_str()];
        words.extend(options);
        ground.crawl(&words).run().code(2).says(says);
    }
    ground.crawl(&[&start, "--deny", "zzz", "-q"]).run().code(0);
}

#[test]
fn a_spider_file_to_begin_with_is_read_and_replaces_none() {
    let ground = Ground::new();
    let url = ground.site.url("/docs/");
    ground
        .crawl(&["init", &url, "s.json"])
        .run()
        .code(0)
        .says("crawl-run s.json --limit 10");
    let schema: Value = serde_json::from_str(&ground.folder.read("spider.schema.json")).unwrap();
    assert_eq!(schema["title"], "Spider");
    let text = ground.folder.read("s.json");
    let checked = ground.crawl(&["s.json", "--check"]).run().code(0);
    checked.never_says("ignored").prints(&url);
    // Each comment is a key that counts when its mark goes.
    let all = text.replace("\"//", "\"");
    ground.folder.write("all.json", all);
    let checked = ground.crawl(&["all.json", "--check"]).run().code(0);
    checked
        .prints("depth      at most 3")
        .prints("rule       1:")
        .prints("title");
    let again = ground.crawl(&["init", &url, "s.json"]).run().code(2);
    again.says("cannot write s.json").says("hint:");
    assert_eq!(ground.folder.read("s.json"), text);
    let shown = ground
        .crawl(&["init", &url.replace("://", "://me:pw@"), "-"])
        .run()
        .code(0);
    assert!(!shown.text().contains("pw"), "no secret goes into a file");
    ground
        .crawl(&["init", "h.example"])
        .run()
        .code(2)
        .says("crawl-run init https://h.example");
    ground
        .crawl(&["init", "me:pw@h.example"])
        .run()
        .code(2)
        .says("crawl-run init https://***@h.example")
        .never_says("pw");
    let several = ["https://h.example/", "me:pw@h.example"];
    let told = ground.crawl(&several).run().code(2).never_says("pw");
    told.says("cannot use start URL ***@h.example: ");
    let two = ["init", &url, "https://me:pw@b.example/"];
    let told = ground.crawl(&two).run().code(2).never_says("pw");
    told.says("cannot write https://***@b.example/: it is a URL");
    assert_eq!(fs::read_dir(ground.folder.join(".")).unwrap().count(), 3);
}

#[test]
fn yaml_is_told_so() {
    let ground = Ground::new();
    ground.folder.write(
        "my shop.yaml",
        "name: shop\nstart_urls: [https://h.example/]\n",
    );
    let done = ground.crawl(&["my shop.yaml"]).run().code(2);
    done.says("it is YAML, and a spider file is JSON")
        .says("yq -o json 'my shop.yaml' >'my shop.json' && crawl-run 'my shop.json'");
    ground.folder.write("json.yaml", "{\"name\": \"shop\"}");
    ground
        .crawl(&["json.yaml"])
        .run()
        .code(2)
        .says("$.start_urls: missing");
}
