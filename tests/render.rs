//! Pages whose links are made by scripts, rendered by a real browser that has no network: what it
//! finds, what it may ask for, what becomes of it when something dies.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use support::{Answer, Done, Folder, Signal, Site, Tool, has};

/// True when there is a browser; the test is skipped without one.
fn has_browser() -> bool {
    has("chromium-headless-shell")
}

fn is_root() -> bool {
    let uid = Tool::program("id").arg("-u").run().text();
    uid.trim() == "0"
}

/// crawl-fetch with a browser, whose directory lies in the folder. Root has no sandbox.
fn renderer(folder: &Folder) -> Tool {
    let tool = Tool::new("crawl-fetch").arg("--render");
    let tool = tool.env("TMPDIR", folder.as_os_str());
    if is_root() {
        tool.arg("--no-sandbox")
    } else {
        tool
    }
}

/// Results by path.
fn by_path(done: &Done) -> BTreeMap<String, Value> {
    let results = done.lines().into_iter().map(|line| {
        let result: Value = serde_json::from_str(&line).unwrap();
        let url = result["url"].as_str().unwrap();
        let path = url.splitn(4, '/').last().unwrap_or_default();
        (format!("/{path}"), result)
    });
    results.collect()
}

fn render(folder: &Folder, site: &Site, paths: &[&str]) -> BTreeMap<String, Value> {
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    let done = renderer(folder).stdin(urls.join("\n")).run().code(0);
    let results = by_path(&done);
    assert_eq!(results.len(), paths.len(), "{done}");
    results
}

/// Paths of a result's links.
fn links(result: &Value) -> Vec<String> {
    let links = result["links"].as_array().cloned().unwrap_or_default();
    let paths = links.iter().map(|link| {
        let path = link.as_str().unwrap().splitn(4, '/').last().unwrap();
        format!("/{path}")
    });
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    paths
}

fn script(text: &str) -> Answer {
    Answer::typed("text/javascript", text)
}

/// Nothing that a browser wrote lies in the folder.
fn is_empty(folder: &Path) -> bool {
    let mut entries = std::fs::read_dir(folder).unwrap();
    !entries.any(|entry| {
        entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("crawl-browser")
    })
}

const ADD: &str = "const add = (path, to) => {
  const a = document.createElement('a');
  a.href = path;
  (to || document.body).append(a);
};";

#[test]
fn links_that_scripts_make_are_links() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page(
        "/",
        "<!DOCTYPE html><title>first</title><body><script src=/app.js></script><a href=static>x</a>\
         <in-shadow></in-shadow><iframe src=/d/frame></iframe><img src=/picture.png>",
    );
    let app = "addEventListener('load', () => {
      fetch('/data').then(answer => answer.json()).then(all => all.forEach(n => add('/data' + n)));
      setTimeout(() => { document.title = 'late'; add('/late'); }, 2500);
      setInterval(() => fetch('/poll'), 1000);
      new Worker('/worker.js').onmessage = event => add('/from-worker' + event.data);
    });
    customElements.define('in-shadow', class extends HTMLElement {
      connectedCallback() { add('/in-shadow', this.attachShadow({mode: 'open'})); }
    });
    history.pushState({}, '', '/route/');";
    site.on("/app.js", move |_| script(&format!("{ADD}{app}")));
    site.on("/worker.js", |_| {
        script(
            "fetch('/data').then(answer => answer.text()).then(text => postMessage(text.length))",
        )
    });
    site.on("/data", |_| Answer::typed("application/json", "[1,2]"));
    site.on("/poll", |_| Answer::text("x"));
    site.page("/d/frame", "<a href=in-frame>x</a>");
    let results = render(&folder, &site, &["/"]);
    let result = &results["/"];
    assert_eq!(
        links(result),
        [
            "/d/in-frame",
            "/data1",
            "/data2",
            "/from-worker5",
            "/in-shadow",
            "/late",
            "/route/static",
        ],
        "{result}"
    );
    assert_eq!(result["title"], "late");
    let told = &result["render"];
    assert_eq!(told["url"], site.url("/route/"));
    assert_eq!(told["blocked"], 1);
    assert_eq!(told.get("refused").or(told.get("failed")), None, "{told}");
    assert_ne!(told["digest"], result["digest"]);
    assert_eq!(site.hits("/picture.png"), 0);
    // Without the option nothing of it is there.
    let done = Tool::new("crawl-fetch").stdin(site.url("/")).run().code(0);
    let plain = &by_path(&done)["/"];
    assert_eq!(plain["digest"], result["digest"]);
    assert_eq!(plain["bytes"], result["bytes"]);
    assert_eq!(plain.get("render"), None);
    assert_eq!(links(plain), ["/static"]);
}

#[test]
fn a_redirect_by_script_is_told_and_what_is_no_page_is_not_rendered() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/go", "<script>location.href = '/there'</script>");
    site.page(
        "/reload",
        "<a href=/x>x</a><script>location.reload()</script>",
    );
    site.on("/none", |_| {
        Answer::html("<script>document.title = 1</script>").with_status(404)
    });
    site.on("/text", |_| {
        Answer::text("<script>document.title = 1</script>")
    });
    let results = render(&folder, &site, &["/go", "/reload", "/none", "/text"]);
    assert_eq!(results["/go"]["location"], site.url("/there"));
    assert_eq!(site.hits("/there"), 0);
    assert_eq!(links(&results["/reload"]), ["/x"]);
    assert_eq!(results["/reload"].get("location"), None);
    for path in ["/none", "/text"] {
        assert_eq!(results[path].get("render"), None, "{}", results[path]);
    }
    assert!(is_empty(&folder));
}

#[test]
fn nothing_of_the_browser_outlives_a_kill() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<script>fetch('/wait')</script>");
    site.page("/wait", "x");
    let mut running = renderer(&folder).start();
    running.send(&site.url("/"));
    site.wait_for(2);
    assert!(!is_empty(&folder));
    running.signal(Signal::Kill);
    running.wait();
    let until = std::time::Instant::now() + support::DEADLINE;
    let lives = || {
        let ps = Tool::program("ps").args(["-eo", "args"]).run().text();
        ps.contains(&*folder.to_string_lossy())
    };
    while !is_empty(&folder) || lives() {
        assert!(std::time::Instant::now() < until);
        std::thread::yield_now();
    }
}

#[test]
fn without_a_browser_the_line_that_installs_one_is_told() {
    let folder = Folder::new();
    let tool = || {
        let tool = Tool::new("crawl-fetch").args(["--render", "--no-sandbox"]);
        tool.env("PATH", &*folder).stdin("")
    };
    tool()
        .run()
        .code(2)
        .says("apt install chromium-headless-shell");
    tool()
        .env("CRAWL_BROWSER", "/no/such")
        .run()
        .code(2)
        .says("$CRAWL_BROWSER");
    let broken = folder.write("browser", "#!/bin/sh\necho broken here >&2\nexit 1\n");
    Tool::program("chmod").arg("+x").arg(&broken).run().code(0);
    let tool = Tool::new("crawl-fetch").args(["--render", "--no-sandbox"]);
    let tool = tool.env("TMPDIR", &*folder).env("CRAWL_BROWSER", &broken);
    tool.stdin("")
        .run()
        .code(2)
        .says("does not work: broken here");
    assert!(is_empty(&folder));
}

#[test]
fn root_is_told_how_to_do_without_a_sandbox() {
    if !is_root() {
        return support::skipped("it is not run as root");
    }
    let tool = Tool::new("crawl-fetch").arg("--render").stdin("");
    tool.run().code(2).says("--no-sandbox");
}

#[test]
fn what_a_page_asks_for_is_kept_with_it() {
    if !has_browser() {
        return;
    }
    let site = Site::new();
    site.page("/", "<title>x</title><script src=/app.js></script>");
    site.on("/app.js", |_| script("fetch('/list').then(r => r.text())"));
    site.on("/list", |_| Answer::text("a list"));
    let folder = Folder::new();
    std::fs::create_dir(folder.join("spool")).unwrap();
    let tool = renderer(&folder).args(["--max-redirects", "0", "--warc-spool", "spool"]);
    let done = tool.dir(&folder).stdin(site.url("/")).run().code(0);
    let spooled = &by_path(&done)["/"]["spool"];
    let others = spooled["others"].as_array().unwrap();
    let told = others.iter().map(|other| other["length"].as_u64().unwrap());
    let told: u64 = told.sum::<u64>() + spooled["length"].as_u64().unwrap();
    assert_eq!(others.len(), 2, "{done}");
    let file = folder.join("spool").join(spooled["file"].as_str().unwrap());
    assert_eq!(std::fs::metadata(file).unwrap().len(), told);
}
