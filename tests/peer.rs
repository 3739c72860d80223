//! Real documentation, crawled by us and by wget2: the same pages, or it is known why not.
//! Needs wget2 and the Debian packages `cmake-doc` (Sphinx) and `git-doc` (AsciiDoc).
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use support::{Folder, Site, Tool, has, skipped};

/// What both ask of a site of these files.
struct Asked {
    ours: BTreeSet<String>,
    theirs: BTreeSet<String>,
}

/// Crawls a folder of HTML twice; `None` when it is not there, or wget2 is not.
fn crawled(root: &str) -> Option<Asked> {
    if !has("wget2") {
        return None;
    }
    if !Path::new(root).join("index.html").is_file() {
        skipped(&format!("{root} is not there"));
        return None;
    }
    let (folder, site) = (Folder::new(), Site::folder(root));
    let start = site.url("/index.html");
    let ours = Tool::new("crawl-run").dir(&folder).args([&start, "-q"]);
    ours.run().code(0);
    let asked = |site: &Site| site.paths().into_iter().collect();
    let ours = asked(&site);
    site.clear_log();
    // Scripts, style sheets and images are no pages.
    let pages = ["-q", "-r", "-l", "inf", "--ignore-tags=img,script,link"];
    let theirs = Tool::program("wget2").dir(&folder).args(pages);
    // 8: something was not found.
    theirs.args(["-O", "/dev/null", &start]).run().code(8);
    let theirs = asked(&site);
    Some(Asked { ours, theirs })
}

#[test]
fn of_the_docs_of_cmake_both_find_the_same() {
    if let Some(asked) = crawled("/usr/share/doc/cmake-data/html") {
        assert!(asked.ours.len() > 3000, "{}", asked.ours.len());
        assert_eq!(asked.ours, asked.theirs);
    }
}

#[test]
fn of_the_docs_of_git_wget2_misses_what_stands_behind_a_character_reference() {
    let root = "/usr/share/doc/git/html";
    let Some(asked) = crawled(root) else { return };
    assert!(asked.ours.len() > 200, "{}", asked.ours.len());
    let files: Vec<String> = fs::read_dir(root)
        .unwrap()
        .filter_map(|file| fs::read_to_string(file.unwrap().path()).ok())
        .collect();
    // `git-web&#45;&#45;browse.html` is git-web--browse.html to a browser, and to us.
    for path in asked.ours.difference(&asked.theirs) {
        let written = format!("href=\"{}\"", path[1..].replace("--", "&#45;&#45;"));
        assert!(
            path.contains("--") && files.iter().any(|file| file.contains(&written)),
            "{path}"
        );
    }
    // wget2 takes the part before it, and `&` behind that, for a name.
    for path in asked.theirs.difference(&asked.ours) {
        let name = path[1..].strip_suffix("%26").unwrap_or("no");
        let meant = asked
            .ours
            .iter()
            .any(|ours| ours[1..].starts_with(&format!("{name}--")));
        assert!(meant, "{path}");
    }
}
