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
    site.page(
        "/there",
        "<title>there</title><script>location = 'http://else.example/'</script>",
    );
    let start = site.url("/");
    crawl(&folder)
        .args([&*start, "--render", "-o", "out.jsonl", "-q"])
        .run()
        .code(0);
    let records = records(&folder, "out.jsonl");
    let told: Vec<_> = records.iter().map(|record| &record["location"]).collect();
    assert_eq!(told, [&*site.url("/there"), "http://else.example/"]);
}

#[test]
fn a_list_that_grows_as_it_is_seen_is_scrolled_to_its_end() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", &format!("<!DOCTYPE html><div id=list></div><div id=end>end</div><script>{ADD}
      let n = 0;
      const more = () => {{
        for (let i = 0; i < 10 && n < 45; i++) {{
          add('/' + ++n, list);
          list.lastChild.style = 'display: block; height: 300px';
        }}
      }};
      more();
      new IntersectionObserver(seen => seen[0].isIntersecting && setTimeout(more, 100)).observe(end);
    </script>"));
    let of = |wish: &str| {
        let request = format!("{{\"url\":\"{}\",\"render\":{wish}}}", site.url("/"));
        let done = renderer(&folder).stdin(request).run().code(0);
        by_path(&done).remove("/").unwrap()
    };
    assert_eq!(links(&of("{\"scroll\":true}")).len(), 45);
    assert_eq!(links(&of("true")).len(), 10);
    assert_eq!(of("false").get("render"), None);
    let wrong = of("{\"wait_for\":\"][\"}");
    let why = wrong["render"]["failed"].as_str().unwrap();
    assert!(why.contains("not a valid selector"), "{why}");
    // Nobody has it rendered.
    let request = format!("{{\"url\":\"{}\",\"render\":true}}", site.url("/"));
    let done = Tool::new("crawl-fetch").stdin(request).run().code(0);
    assert!(
        by_path(&done)["/"]["render"]["failed"].is_string(),
        "{done}"
    );
}
