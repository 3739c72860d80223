//! Crawls of sites whose links are all made by scripts.

use super::*;

/// A site whose links are all made by scripts, from data: `/`, `/list/N` and `/page/N`.
fn app(pages: usize) -> Site {
    let site = Site::new();
    site.otherwise(move |asked| {
        let path = asked.path.split('?').next().unwrap();
        if let Some(n) = path.strip_prefix("/data/") {
            let n: usize = n.parse().unwrap();
            let links: Vec<String> = (1..=3)
                .map(|k| format!("\"/page/{}\"", (n * 3 + k) % pages))
                .collect();
            return Answer::typed("application/json", format!("[{}]", links.join(",")));
        }
        if path == "/" || path.starts_with("/page/") {
            return Answer::html("<!DOCTYPE html><div id=root></div><script src=/app.js></script>");
        }
        Answer::status(404)
    });
    site.on("/app.js", |_| {
        let app = "const n = location.pathname.split('/')[2] || 0;
          fetch('/data/' + n).then(answer => answer.json()).then(links => {
            document.title = 'Page ' + n;
            root.innerHTML = '<h1>Page ' + n + '</h1>';
            links.forEach(link => add(link, root));
          });";
        script(&format!("{ADD}{app}"))
    });
    site
}

fn crawl(folder: &Folder) -> Tool {
    let tool = Tool::new("crawl-run")
        .dir(&**folder)
        .env("TMPDIR", folder.as_os_str());
    if is_root() {
        tool.arg("--no-sandbox")
    } else {
        tool
    }
}

/// The records of an output.
fn records(folder: &Folder, name: &str) -> Vec<Value> {
    let text = folder.read(name);
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    records.collect()
}

#[test]
fn a_crawl_of_an_app_finds_all_its_pages_and_items() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), app(30));
    let spider = serde_json::json!({
        "name": "app",
        "start_urls": [site.url("/")],
        "sections": [
            {"match": "/page/", "extract": {"name": {"css": "h1::text"}}, "render": {"wait_for": "h1"}},
            {"match": "/$", "render": true},
        ],
    });
    folder.write("app.json", spider.to_string());
    let check = crawl(&folder).args(["app.json", "--check"]).run().code(0);
    check
        .prints("waits for `h1`")
        .prints("render     `/$`: in a browser");
    crawl(&folder)
        .args(["app.json", "-o", "out.jsonl", "-q"])
        .run()
        .code(0);
    let records = records(&folder, "out.jsonl");
    assert_eq!(records.len(), 31);
    for record in &records {
        let url = record["url"].as_str().unwrap();
        let n = url.rsplit('/').next().unwrap();
        let n = if n.is_empty() { "0" } else { n };
        assert_eq!(record["title"], format!("Page {n}"), "{record}");
        if url.contains("/page/") {
            assert_eq!(record["item"]["name"], format!("Page {n}"), "{record}");
        }
    }
    // The script is the same for all pages.
    assert!(site.hits("/app.js") <= 4);
    assert!(is_empty(&folder));
    // The option does it without a spider file.
    let start = site.url("/");
    crawl(&folder)
        .args([&*start, "--render", "-o", "all.jsonl", "-q"])
        .run()
        .code(0);
    assert_eq!(self::records(&folder, "all.jsonl").len(), 31);
    crawl(&folder)
        .args([&*start, "-o", "none.jsonl", "-q"])
        .run()
        .code(0);
    assert_eq!(self::records(&folder, "none.jsonl").len(), 1);
}

#[test]
fn a_redirect_by_script_is_one_to_the_crawl() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<script>location.replace('/there')</script>");
    site.page("/there", "<title>there</title>");
    let start = site.url("/");
    crawl(&folder)
        .args([&*start, "--render", "-o", "out.jsonl", "-q"])
        .run()
        .code(0);
    let records = records(&folder, "out.jsonl");
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["location"], site.url("/there"));
    assert_eq!(records[1]["title"], "there");
}

#[test]
fn a_browser_that_is_killed_again_and_again_loses_no_page() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), app(60));
    let urls: Vec<String> = (0..60).map(|n| site.url(&format!("/page/{n}"))).collect();
    let running = renderer(&folder).stdin(urls.join("\n")).start();
    let mut random = support::Random(support::Random::any_seed());
    for kill in 1..5 {
        site.wait_for(kill * 25);
        let mut browsers = browser_processes(&folder);
        // A page that brings its tab down twice is given up, so it is the browser's turn in between.
        browsers
            .retain(|(_, words)| words.contains("--type=renderer") || !words.contains("--type="));
        browsers.retain(|(_, words)| words.contains("--type=renderer") == (kill % 2 == 0));
        if browsers.is_empty() || running.status().is_some() {
            break;
        }
        let (pid, _) = browsers[random.below(browsers.len() as u64) as usize];
        support::send_signal(Signal::Kill, pid);
    }
    let done = running.wait().code(0);
    let results = by_path(&done);
    assert_eq!((results.len(), done.lines().len()), (60, 60), "{done}");
    for (path, result) in &results {
        let is_whole = links(result).len() == 3 && result["render"].get("failed").is_none();
        assert!(is_whole, "{path}: {result}");
    }
    assert!(is_empty(&folder));
}

#[test]
fn an_app_has_changed_when_its_data_has() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.on("/", |asked| {
        if asked.header("if-none-match").is_some() {
            return Answer::status(304);
        }
        let page = "<script>fetch('/data').then(it => it.text()).then(it => { document.title = it; })</script>";
        Answer::html(page).header("ETag", "\"1\"")
    });
    let start = site.url("/");
    for (data, told) in [
        ("one", "new 1, changed 0, unchanged 0"),
        ("one", "new 0, changed 0, unchanged 1"),
        ("two", "new 0, changed 1, unchanged 0"),
    ] {
        site.on("/data", move |_| Answer::text(data));
        crawl(&folder)
            .args([&*start, "--render", "--delta"])
            .run()
            .code(0)
            .says(told);
    }
}
