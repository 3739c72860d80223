//! Sites without an end, and what keeps out of them.

use super::*;

#[test]
fn a_host_has_its_share_of_pages_and_the_rest_is_counted_by_reason() {
    let (folder, site) = (Folder::new(), Site::tree(200, 5));
    spider(&folder, &site, json!({}), json!({}));
    let tool = shop(&folder).args(["--max-pages-per-host", "30"]);
    tool.run().code(0).says("host_pages ");
    assert_eq!(records(&folder).len(), 30);
}

#[test]
fn each_url_that_a_cap_kept_out_is_listed_once_on_request() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page(
        "/",
        "<a href=/1><a href=/a/a/a/a/a/a><a href=http://other.example/>",
    );
    let links = "<a href=/2><a href=/a/a/a/a/a/a><a href=/deep><a href=/x.zip>";
    for path in ["/1", "/2"] {
        site.page(path, links);
    }
    spider(&folder, &site, json!({"DEPTH_LIMIT": 1}), json!({}));
    let run = |flag: &str| shop(&folder).args([flag, "--limit", "9"]).run().code(0);
    let done = run("-v");
    let words = done.words();
    let mut told: Vec<&str> = words
        .lines()
        .filter_map(|line| Some(line.split_once(" left out: ")?.1))
        .collect();
    told.sort_unstable();
    let trap = "a trap: a stands in its path 6 times, at most 3";
    let deep = "at depth 2 it is too deep, at most 1";
    let want = [
        format!("{}: {deep}", site.url("/2")),
        format!("{}: {trap}", site.url("/a/a/a/a/a/a")),
        format!("{}: {deep}", site.url("/deep")),
        format!("{}: {deep}", site.url("/x.zip")),
    ];
    assert_eq!(told, want, "{done}");
    run("-q").is_quiet();
}

#[test]
fn the_share_of_a_host_outlives_a_resume() {
    let (folder, site) = (Folder::new(), Site::tree(200, 5));
    spider(&folder, &site, json!({}), json!({}));
    let run = || shop(&folder).args(["--max-pages-per-host", "30"]);
    run().args(["--max-pages", "10"]).run().code(4);
    run().run().code(0);
    assert_eq!(records(&folder).len(), 30);
}
