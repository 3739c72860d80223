//! Which section, rule or callback reads a page.

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
