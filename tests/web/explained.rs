//! `--explain`: why a URL belongs to a crawl, and what became of it.

use super::*;

#[track_caller]
fn explain(folder: &Folder, url: &str) -> Done {
    shop(folder).args(["--explain", url]).run().code(0)
}

#[test]
fn a_url_is_judged_as_the_crawl_would_and_nothing_is_fetched() {
    let (folder, site) = (Folder::new(), Site::new());
    let rules = json!([{"allow": "/shop/", "deny": "draft"}, {"allow": "/list", "follow": false}]);
    spider(
        &folder,
        &site,
        json!({"DEPTH_LIMIT": 3}),
        json!({"rules": rules}),
    );
    for (path, verdict) in [
        ("/", "belongs to the crawl: it is a start URL"),
        ("/shop/%7e1#x", "belongs to the crawl by rule 1"),
        (
            "/list",
            "belongs to the crawl by rule 2, its links are not followed",
        ),
        ("/shop/draft", "left out: rule 1 denies it"),
        ("/other", "left out: no rule allows it"),
        (
            "/shop/x.pdf",
            "left out: its name says that it is no page: x.pdf",
        ),
        (
            "/shop/a/a/a/a",
            "left out: a trap: a stands in its path 4 times, at most 3",
        ),
    ] {
        let done = explain(&folder, &site.url(path));
        done.prints(&format!("verdict    {verdict}\n")).is_quiet();
    }
    explain(&folder, &site.url("/shop/%7e1#x")).prints(&site.url("/shop/%7E1\n"));
    explain(&folder, "http://elsewhere.example/").prints("elsewhere.example is not of this crawl");
    let wrong = shop(&folder).args(["--explain", "nonsense"]).run();
    wrong.code(2).says("'nonsense': ");
    assert_eq!((site.count(), folder.files().len()), (0, 1));
}

#[test]
fn a_checkpoint_tells_where_a_url_was_found_and_what_became_of_it() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/gone><a href=/private><a href=/later>");
    site.on("/robots.txt", |_| {
        Answer::text("User-agent: *\nDisallow: /private\n")
    });
    spider(&folder, &site, json!({}), json!({}));
    shop(&folder)
        .args(["-c", "1", "--max-pages", "3"])
        .run()
        .code(4);
    let found = format!("seen       at depth 1, found on {}\n", site.url("/"));
    explain(&folder, &site.url("/"))
        .prints("seen       at depth 0, as a start URL\n")
        .prints("state      finished: status 200\n");
    explain(&folder, &site.url("/gone"))
        .prints(&found)
        .prints("state      finished: status 404\n");
    explain(&folder, &site.url("/private"))
        .prints("robots     disallowed by line 2 of robots.txt\n")
        .prints("state      finished: robots: ");
    explain(&folder, &site.url("/later"))
        .prints(&found)
        .prints("robots     allowed\n")
        .prints("state      pending\n");
    explain(&folder, &site.url("/never")).prints("seen       no\n");
}
