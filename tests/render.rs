//! Pages whose links are made by scripts, rendered by a real browser that has no network: what it
//! finds, what it may ask for, what becomes of it when something dies.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

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

/// The processes of the browser whose directory lies in the folder, by number and words. Only its first
/// one has the directory among its words; the others are of its group.
fn browser_processes(folder: &Path) -> Vec<(i64, String)> {
    let ps = Tool::program("ps")
        .args(["-eo", "pgid,pid,args"])
        .run()
        .text();
    let lines = ps.lines().filter_map(|line| {
        let (group, rest) = line.trim_start().split_once(' ')?;
        let (pid, words) = rest.trim_start().split_once(' ')?;
        Some((group, pid, words))
    });
    let place = folder.to_string_lossy();
    let is_first =
        |words: &str| words.contains(&*place) && words.contains("--remote-debugging-pipe");
    let first = lines.clone().filter(|(_, _, words)| is_first(words));
    let groups: Vec<&str> = first.map(|(group, _, _)| group).collect();
    let of_group = lines.filter(|(group, _, _)| groups.contains(group));
    of_group
        .map(|(_, pid, words)| (pid.parse().unwrap(), words.to_owned()))
        .collect()
}

/// Waits until none of these processes is there any more.
fn wait_until_gone(processes: &[(i64, String)]) {
    let until = std::time::Instant::now() + support::DEADLINE;
    let lives = |pid: &i64| {
        // One that nobody reaped yet has no words.
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
    };
    for (pid, words) in processes {
        while lives(pid) {
            assert!(std::time::Instant::now() < until, "{words}");
            thread::yield_now();
        }
    }
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
    let processes = browser_processes(&folder);
    let shows_pages = |words: &str| words.contains("--type=renderer");
    assert!(
        processes.iter().any(|(_, words)| shows_pages(words)),
        "{processes:?}"
    );
    running.signal(Signal::Kill);
    running.wait();
    wait_until_gone(&processes);
    let until = std::time::Instant::now() + support::DEADLINE;
    while !is_empty(&folder) {
        assert!(std::time::Instant::now() < until);
        thread::yield_now();
    }
}

#[test]
fn what_a_killed_reaper_left_goes_with_the_next_browser() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<script>fetch('/wait')</script>");
    site.page("/wait", "x");
    let mut running = renderer(&folder).start();
    running.send(&site.url("/"));
    site.wait_for(2);
    let processes = browser_processes(&folder);
    let ps = Tool::program("ps").args(["-eo", "pid,args"]).run().text();
    let place = folder.to_string_lossy();
    let mut lines = ps.lines().filter(|line| line.contains(&*place));
    let reaper = lines.find(|line| line.contains("read -r group")).unwrap();
    let pid = reaper.split_whitespace().next().unwrap();
    support::send_signal(Signal::Kill, pid.parse().unwrap());
    running.signal(Signal::Kill);
    running.wait();
    wait_until_gone(&processes);
    // Nobody was there to take it away; one that was made just now may be about to be used.
    render(&folder, &site, &["/"]);
    assert!(!is_empty(&folder));
    let left = std::fs::read_dir(&*folder).unwrap().flatten();
    let lock = left.map(|it| it.path().join("lock")).find(|it| it.exists());
    let touch = Tool::program("touch").args(["-d", "2 minutes ago"]);
    touch.arg(lock.unwrap()).run().code(0);
    render(&folder, &site, &["/"]);
    assert!(is_empty(&folder));
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
    let folder = Folder::new();
    let tool = Tool::new("crawl-run")
        .args(["http://127.0.0.1:9/", "--render"])
        .dir(&folder);
    tool.run().code(2).says("--no-sandbox");
    assert!(folder.files().is_empty());
}

#[test]
fn an_ordinary_user_has_the_sandbox() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/x>x</a><script>fetch('/wait')</script>");
    site.page("/wait", "x");
    let bin = support::bin("crawl-fetch");
    let mut tool = Tool::program(&bin);
    if is_root() {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let ordinary = || Tool::program("setpriv").args(nobody);
        Tool::program("chmod")
            .arg("777")
            .arg(&*folder)
            .run()
            .code(0);
        let can = has("setpriv") && {
            let sees = ordinary().args(["sh", "-c", "test -x \"$1\" && test -w \"$2\"", "sh"]);
            sees.arg(&bin).arg(&*folder).run().exit() == 0
        };
        if !can {
            return support::skipped("nobody cannot run what was built here");
        }
        tool = ordinary().arg(&bin);
    }
    let tool = tool
        .arg("--render")
        .env("TMPDIR", folder.as_os_str())
        .env("HOME", folder.as_os_str());
    let mut running = tool.start();
    running.send(&site.url("/"));
    site.wait_for(2);
    let pages = browser_processes(&folder);
    let mut pages = pages
        .iter()
        .filter(|(_, words)| words.contains("--type=renderer"));
    assert!(pages.clone().count() > 0);
    // Gone meanwhile is none without.
    assert!(pages.all(|(pid, _)| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains("Seccomp:\t2"))
    }));
    let done = running.wait().code(0);
    let result = &by_path(&done)["/"];
    assert_eq!(links(result), ["/x"], "{result}");
    assert_eq!(result["render"].get("failed"), None, "{result}");
    assert!(is_empty(&folder));
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
fn a_request_says_how_its_page_is_rendered() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let more =
        "<script>fetch('/x').then(() => document.querySelector('a').href = '/shown')</script>";
    site.page("/", &format!("<a href=/sent>x</a>{more}"));
    let of = |wish: &str| {
        let request = format!("{{\"url\":\"{}\",\"render\":{wish}}}", site.url("/"));
        let done = renderer(&folder).stdin(request).run().code(0);
        by_path(&done).remove("/").unwrap()
    };
    assert_eq!(links(&of("true")), ["/shown"]);
    let none = of("false");
    assert_eq!(
        (links(&none), none.get("render")),
        (vec!["/sent".into()], None)
    );
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
/// Lists of 45 links that come as they are seen, each made in another way.
const LISTS: [(&str, &str); 5] = [
    // An end that is seen again each time.
    ("/end", "<div id=list></div><div id=end>end</div><script>
      more();
      new IntersectionObserver(seen => seen[0].isIntersecting && setTimeout(more, 100)).observe(end);
    </script>"),
    // Less than a window comes each time, from the server.
    ("/data", "<div style='height: 3000px'></div><div id=list></div><div id=end>end</div><script>
      const size = 20;
      new IntersectionObserver(seen => seen[0].isIntersecting && fetch('/x').then(more)).observe(end);
    </script>"),
    ("/event", "<div id=list></div><script>
      more();
      addEventListener('scroll', () => scrollY + innerHeight > document.body.scrollHeight - 50 && more());
    </script>"),
    ("/box", "<div style='height: 400px; overflow-y: scroll' id=box><div id=list></div><div id=end>end</div></div><script>
      more();
      new IntersectionObserver(seen => seen[0].isIntersecting && more(), {root: box}).observe(end);
    </script>"),
    // Places that are filled one by one, where they are.
    ("/places", "<div id=list></div><script>
      const seen = new IntersectionObserver(all => all.forEach(one => one.isIntersecting && one.target.fill()));
      for (let n = 1; n <= 45; n++) {
        const place = document.createElement('p');
        place.style.height = '300px';
        place.fill = () => { place.fill = () => 0; add('/' + n, place); };
        list.append(place);
        seen.observe(place);
      }
    </script>"),
];

#[test]
fn a_list_that_comes_as_it_is_seen_comes_whole_each_time() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    for (path, list) in LISTS {
        let more = "let n = 0;
          const more = () => {
            for (let i = 0; i < 10 && n < 45; i++) {
              add('/' + ++n, list);
              list.lastChild.style.cssText = 'display: block; height: ' + (globalThis.size || 300) + 'px';
            }
          };";
        site.page(
            path,
            &format!("<!DOCTYPE html><script>{ADD}{more}</script>{list}"),
        );
    }
    let mut all: Vec<String> = (1..=45).map(|n| format!("/{n}")).collect();
    all.sort();
    let again = (0..4).flat_map(|_| LISTS.iter());
    let requests = again.map(|(path, _)| {
        format!(
            "{{\"url\":\"{}\",\"render\":{{\"scroll\":true}}}}\n",
            site.url(path)
        )
    });
    let done = renderer(&folder)
        .stdin(requests.collect::<String>())
        .run()
        .code(0);
    assert_eq!(done.lines().len(), 20);
    for line in done.lines() {
        let result: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(links(&result), all, "{result}");
    }
}

#[test]
fn a_page_that_waits_for_pictures_of_itself_gets_them() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let ways = [
        (
            "frame",
            "requestAnimationFrame(() => requestAnimationFrame(told))",
        ),
        ("idle", "requestIdleCallback(told)"),
        (
            "seen",
            "new IntersectionObserver(seen => seen[0].isIntersecting && told()).observe(document.body)",
        ),
        (
            "size",
            "new (class extends ResizeObserver {})(told).observe(document.body)",
        ),
        (
            "animation",
            "document.body.animate({opacity: [0, 1]}, 100).finished.then(told)",
        ),
        (
            "inside",
            "const frame = document.createElement('iframe'); document.body.append(frame); \
            frame.contentWindow.requestAnimationFrame(told)",
        ),
        (
            "late",
            "setTimeout(() => requestAnimationFrame(told), 2000)",
        ),
        (
            "hidden",
            "if (IntersectionObserver.toString().includes('native code') \
            && requestAnimationFrame.name === 'requestAnimationFrame') told()",
        ),
    ];
    for (path, way) in ways {
        let page = format!("<body><script>{ADD} const told = () => add('/told'); {way}</script>");
        site.page(&format!("/{path}"), &page);
    }
    let paths: Vec<String> = ways.iter().map(|(path, _)| format!("/{path}")).collect();
    let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
    for (path, result) in render(&folder, &site, &paths) {
        assert_eq!(links(&result), ["/told"], "{path}: {result}");
    }
}

/// Counts what arrives at a port, over TCP and UDP.
struct Ear {
    port: u16,
    heard: Arc<AtomicUsize>,
}

impl Ear {
    fn new() -> Ear {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
        let heard = Arc::new(AtomicUsize::new(0));
        let (by_tcp, by_udp) = (Arc::clone(&heard), Arc::clone(&heard));
        thread::spawn(move || {
            for stream in tcp.incoming() {
                by_tcp.fetch_add(1, Ordering::SeqCst);
                let answer = b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx";
                // What becomes of it does not matter.
                let _ = stream.unwrap().write_all(answer);
            }
        });
        thread::spawn(move || {
            while udp.recv_from(&mut [0; 100]).is_ok() {
                by_udp.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ear { port, heard }
    }

    fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

/// All the ways that a page has to reach somebody, PORT in place of the port.
const WAYS_OUT: &str = "<!DOCTYPE html><body>
<link rel=prefetch href=http://127.0.0.1:PORT/prefetch>
<link rel=preload as=script href=http://127.0.0.1:PORT/preload>
<link rel=preconnect href=http://127.0.0.1:PORT>
<link rel=dns-prefetch href=http://localhost:PORT>
<link rel=modulepreload href=http://127.0.0.1:PORT/module>
<link rel=manifest href=http://127.0.0.1:PORT/manifest>
<link rel=icon href=http://127.0.0.1:PORT/icon>
<link rel=stylesheet href=http://127.0.0.1:PORT/style>
<style>@import 'http://127.0.0.1:PORT/import'; @font-face { font-family: x; src: url(http://127.0.0.1:PORT/font); }
  p { font-family: x; background: url(http://localhost:PORT/background); }</style><p>text
<img src=http://127.0.0.1:PORT/image><img src=http://[::ffff:127.0.0.1]:PORT/image6>
<script src=http://localhost:PORT/script></script>
<iframe src=http://127.0.0.1:PORT/frame></iframe>
<iframe srcdoc=\"<meta http-equiv=refresh content='0;url=http://127.0.0.1:PORT/refresh'>\"></iframe>
<object data=http://127.0.0.1:PORT/object></object><embed src=http://127.0.0.1:PORT/embed>
<video src=http://127.0.0.1:PORT/video autoplay></video><audio src=http://127.0.0.1:PORT/audio></audio>
<svg><image href=http://127.0.0.1:PORT/svg /><use href=http://127.0.0.1:PORT/use#x /></svg>
<a id=ping href=#x ping=http://127.0.0.1:PORT/ping>x</a>
<form id=form method=post action=http://127.0.0.1:PORT/form target=into></form><iframe name=into></iframe>
<script type=speculationrules>{\"prerender\":[{\"urls\":[\"http://127.0.0.1:PORT/prerender\"],\"eagerness\":\"immediate\"}]}</script>
<script>
  const to = 'http://127.0.0.1:PORT/', tries = [
    () => fetch(to + 'fetch').catch(() => 0),
    () => fetch(to + 'post', {method: 'POST', mode: 'no-cors', body: 'x', keepalive: true}).catch(() => 0),
    () => fetch('/redirect').catch(() => 0),
    () => fetch('http://2130706433:PORT/number').catch(() => 0),
    () => { const x = new XMLHttpRequest(); x.open('GET', to + 'xhr'); x.send(); },
    () => { const x = new XMLHttpRequest(); x.open('GET', to + 'sync', false); x.send(); },
    () => navigator.sendBeacon(to + 'beacon', 'x'),
    () => ping.click(),
    () => new WebSocket('ws://127.0.0.1:PORT/socket'),
    () => new WebSocket('wss://localhost:PORT/socket'),
    () => new WebTransport('https://127.0.0.1:PORT/transport').ready.catch(() => 0),
    () => new EventSource(to + 'events'),
    () => new Worker(URL.createObjectURL(new Blob(['importScripts(\"' + to + 'worker\")']))),
    () => new Worker(URL.createObjectURL(new Blob(['fetch(\"' + to + 'inside\").catch(() => 0); new WebSocket(\"ws://127.0.0.1:PORT\")']))),
    () => new SharedWorker('/shared.js'),
    () => navigator.serviceWorker.register('/service.js').catch(() => 0),
    () => import(to + 'imported').catch(() => 0),
    () => new Worker(to + 'module', {type: 'module'}),
    () => new Worker(URL.createObjectURL(new Blob(['import \"' + to + 'deep\"'])), {type: 'module'}),
    () => new AudioContext().audioWorklet.addModule(to + 'worklet').catch(() => 0),
    () => new WebSocketStream('ws://127.0.0.1:PORT/stream').opened.catch(() => 0),
    () => fetchLater(to + 'later', {activateAfter: 0}),
    () => document.body.insertAdjacentHTML('beforeend', '<video><track default src=' + to + 'track></video>'),
    () => open(to + 'popup'),
    () => form.submit(),
    () => { const f = document.createElement('iframe'); f.src = 'javascript:fetch(\"' + to + 'script-frame\")'; document.body.append(f); },
    () => addEventListener('pagehide', () => navigator.sendBeacon(to + 'hide', 'x')),
    () => {
      const peer = new RTCPeerConnection({iceServers: [
        {urls: 'stun:127.0.0.1:PORT'},
        {urls: ['turn:127.0.0.1:PORT?transport=udp', 'turn:127.0.0.1:PORT?transport=tcp'], username: 'x', credential: 'x'},
      ]});
      peer.createDataChannel('x');
      peer.createOffer().then(offer => peer.setLocalDescription(offer));
    },
  ];
  let done = 0;
  for (const way of tries) try { way(); done++; } catch { done++; }
  const a = document.createElement('a');
  a.href = '/tried/' + done;
  document.body.append(a);
</script>";

#[test]
fn a_page_reaches_nobody_but_its_own_server() {
    if !has_browser() {
        return;
    }
    let (folder, site, ear) = (Folder::new(), Site::new(), Ear::new());
    let port = ear.port.to_string();
    let page = WAYS_OUT.replace("PORT", &port);
    let reports = format!("img-src 'none'; report-uri http://127.0.0.1:{port}/report");
    site.on("/", move |_| {
        let report = "Content-Security-Policy-Report-Only";
        Answer::html(&*page).header(report, &reports)
    });
    let out = format!("http://127.0.0.1:{port}/redirected");
    site.on("/redirect", move |_| Answer::redirect(&out));
    let last = format!(
        "<script>const last = () => {{
          navigator.sendBeacon('http://127.0.0.1:{port}/last', 'x');
          fetch('http://127.0.0.1:{port}/kept', {{keepalive: true}}).catch(() => 0);
        }};
        for (const end of ['pagehide', 'unload', 'visibilitychange', 'beforeunload']) addEventListener(end, last);
        location = '/away';</script>"
    );
    site.page("/last", &last);
    let inner = format!("fetch('http://127.0.0.1:{port}/worker')");
    site.on("/shared.js", move |_| script(&inner));
    site.on("/service.js", |_| script("fetch('/x')"));
    let mut results = render(&folder, &site, &["/", "/last"]);
    assert_eq!(results["/last"]["location"], site.url("/away"));
    let result = results.remove("/").unwrap();
    assert_eq!(links(&result), ["/", "/tried/28"], "{result}");
    let told = &result["render"];
    assert_eq!(told.get("failed"), None, "{told}");
    let count = |name: &str| told[name].as_u64().unwrap_or_default();
    assert!(count("refused") + count("blocked") > 15, "{told}");
    assert_eq!(ear.heard(), 0, "{told}");
    // The ear hears what is allowed.
    let done = renderer(&folder)
        .arg("--render-private")
        .stdin(site.url("/"))
        .run();
    assert!(ear.heard() > 0, "{done}");
}

#[test]
fn a_hostile_page_ends_and_its_neighbours_do_not_notice() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let add = |text: &str| format!("<a href=/x>x</a><script>{text}</script>");
    let hostile = [
        ("/loop", "while (true);"),
        (
            "/promises",
            "const f = () => Promise.resolve().then(f); f();",
        ),
        (
            "/dialogs",
            "for (let n = 0; n < 150; n++) alert(n), confirm(n), prompt(n);",
        ),
        (
            "/leave",
            "onbeforeunload = event => event.preventDefault();",
        ),
        (
            "/popups",
            "for (let n = 0; n < 30; n++) open('/popup' + n);",
        ),
        (
            "/heap",
            "const all = []; while (true) all.push(new Array(1e6).fill(all.length));",
        ),
        (
            "/buffers",
            "const all = []; setInterval(() => all.push(new Uint8Array(5e7).fill(1)));",
        ),
        (
            "/picture",
            "requestAnimationFrame(() => { while (true); });",
        ),
        (
            "/pictures",
            "const f = () => { document.body.append('x'); requestAnimationFrame(f); }; f();",
        ),
        ("/write", "while (true) document.write('<p>x');"),
        (
            "/requests",
            "for (let n = 0; n < 10000; n++) fetch('/data' + n).catch(() => 0);",
        ),
        ("/around", "location = '/around?' + Math.random();"),
        (
            "/frames",
            "if (top === self || location.hash.length < 40) { \
            const f = document.createElement('iframe'); f.src = location + '#x'; document.body.append(f); }",
        ),
        (
            "/worker",
            "new Worker(URL.createObjectURL(new Blob(['while (true);'])));",
        ),
        (
            "/download",
            "const a = document.createElement('a'); a.href = '/file'; a.download = 'x'; \
            document.body.append(a); a.click();",
        ),
        (
            "/clobber",
            "document.write('<img name=documentElement><form><input name=nodeType></form>'); \
            Element.prototype.querySelectorAll = null; Object.getOwnPropertyDescriptor = null;",
        ),
    ];
    for (path, text) in hostile {
        let page = format!("<body>{}", add(text));
        site.page(path, &page);
    }
    site.on("/file", |_| {
        let answer = Answer::typed("application/octet-stream", "x");
        answer.header("Content-Disposition", "attachment; filename=x")
    });
    let around = site.url("/around");
    assert!(!around.is_empty());
    let neighbour = add("setTimeout(() => { document.title = 'neighbour'; }, 1000)");
    for n in 0..20 {
        site.page(&format!("/neighbour{n}"), &neighbour);
    }
    let neighbours: Vec<String> = (0..20).map(|n| format!("/neighbour{n}")).collect();
    let mut paths: Vec<&str> = hostile.iter().map(|(path, _)| *path).collect();
    paths.extend(neighbours.iter().map(|path| &**path));
    let urls: Vec<String> = paths.iter().map(|path| site.url(path)).collect();
    let done = renderer(&folder)
        .args(["--render-timeout", "5s", "--render-memory", "1G"])
        .stdin(urls.join("\n"))
        .run()
        .code(0);
    let results = by_path(&done);
    assert_eq!(results.len(), paths.len(), "{done}");
    // On a busy machine a loop next door may take the time of some.
    let (cut, whole): (Vec<&Value>, Vec<&Value>) = neighbours
        .iter()
        .map(|path| &results[path.as_str()])
        .partition(|result| result["render"]["cut"] == "time");
    assert!(!whole.is_empty(), "{cut:?}");
    for result in whole {
        assert_eq!(result["title"], "neighbour", "{result}");
    }
    for (path, _) in hostile {
        let result = &results[path];
        assert!(result["render"].is_object(), "{path}: {result}");
        if path != "/around" {
            assert!(links(result).contains(&"/x".to_owned()), "{path}: {result}");
        }
    }
    assert_eq!(results["/requests"]["render"]["cut"], "requests");
    assert_eq!(results["/loop"]["render"]["cut"], "time");
    for n in 0..30 {
        assert_eq!(site.hits(&format!("/popup{n}")), 0);
    }
    let files = folder.files();
    assert!(is_empty(&folder) && files.is_empty(), "{files:?}");
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
fn cookies_go_both_ways() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.on("/", |_| {
        let page = "<script>document.cookie = 'script=1; Max-Age=1000';
          fetch('/data').then(() => { document.title = document.cookie; });</script>";
        Answer::html(page).header("Set-Cookie", "server=2; HttpOnly")
    });
    site.on("/data", |_| {
        Answer::text("x").header("Set-Cookie", "data=3; Path=/")
    });
    let request = format!("{{\"url\":\"{}\",\"cookie\":\"sent=0\"}}", site.url("/"));
    let done = renderer(&folder).stdin(request).run().code(0);
    let result = &by_path(&done)["/"];
    let set: Vec<&str> = result["set_cookie"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_str().unwrap())
        .collect();
    let mut names: Vec<&str> = set.iter().map(|it| it.split(';').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["data=3", "script=1", "server=2"]);
    assert!(
        set.iter()
            .any(|it| it.starts_with("script=1; Path=/; Expires=")),
        "{set:?}"
    );
    let asked = site
        .log()
        .into_iter()
        .find(|asked| asked.path == "/data")
        .unwrap();
    let cookie = asked.header("cookie").unwrap();
    for part in ["sent=0", "script=1", "server=2"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(result["title"], "sent=0; script=1; data=3");
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
