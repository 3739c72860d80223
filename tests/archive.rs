//! Crawls that keep the pages themselves: what lies in the WARC files after pauses, kills and `--fresh`,
//! and whether the tools of archivists take it.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)]
#[path = "../scripts/archive.rs"]
mod archive;
mod support;
#[allow(dead_code)]
#[path = "support/warc.rs"]
mod warc;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Folder, Signal, Site, Tool, has};

const PAGES: usize = 40;

struct Ground {
    folder: Folder,
    site: Site,
}

impl Ground {
    /// A site with a robots.txt, redirects and errors beside its pages.
    fn new() -> Ground {
        let site = Site::new();
        let links: String = (1..PAGES).map(|n| format!("<a href=/{n}>")).collect();
        let more = "<a href=/moved><a href=/none><a href=/private/x>";
        site.page("/", &format!("<title>Start</title>{links}{more}"));
        site.otherwise(|asked| match asked.path.as_str() {
            "/robots.txt" => Answer::text("User-agent: *\nDisallow: /private/\n"),
            "/moved" => Answer::redirect("/1"),
            "/none" => Answer::status(404),
            path => Answer::html(format!("<title>{path}</title>{}", "words ".repeat(200))),
        });
        Ground {
            folder: Folder::new(),
            site,
        }
    }

    fn crawl(&self) -> Tool {
        let tool = Tool::new("crawl-run").dir(&self.folder);
        tool.args([&self.site.url("/"), "--warc", "-o", "data/docs.jsonl"])
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn name(&self) -> String {
        format!("default/127.0.0.1-{}", self.site.port())
    }

    fn verify(&self) -> support::Done {
        let tool = Tool::new("crawl-ckpt").args(["verify", &self.name()]);
        tool.dir(&self.folder).run()
    }

    /// Crawls some pages; the file is open then, as after a kill behind the last commit.
    fn as_if_killed(&self) -> PathBuf {
        self.crawl().args(["--max-pages", "20"]).run().code(4);
        let file = self.data().join("docs-warc").join(&self.files()[0]);
        let open = PathBuf::from(format!("{}.open", file.display()));
        fs::rename(file, &open).unwrap();
        open
    }

    /// Names in the WARC directory, in order.
    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.data().join("docs-warc")).unwrap();
        let mut names: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Every record that had an answer points at it; gives how many answers there are.
    #[track_caller]
    fn is_whole(&self) -> u64 {
        let judged = self.folder.join("judged");
        fs::create_dir(&judged).unwrap();
        copy(&self.data().join("docs-warc"), &judged.join("docs-warc"));
        let output = fs::read_to_string(self.data().join("docs.jsonl")).unwrap();
        let (answered, alone): (Vec<&str>, Vec<&str>) = output.lines().partition(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["status"].is_u64()
        });
        assert!(
            alone.iter().all(|line| !line.contains("\"warc\"")),
            "{alone:?}"
        );
        fs::write(judged.join("docs.jsonl"), answered.join("\n")).unwrap();
        let archive = archive::judge(&judged);
        assert!(archive.is_right(), "{archive:?}");
        assert_eq!(answered.len(), PAGES + 2);
        archive.responses
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Tool::program("cp").arg("-a").arg(from).arg(to).run();
    copied.code(0);
}

#[test]
fn each_run_writes_a_file_of_its_own_and_all_are_final() {
    let ground = Ground::new();
    ground.crawl().args(["--max-pages", "10"]).run().code(4);
    assert_eq!(ground.files().len(), 1);
    let done = ground.verify().code(0);
    assert!(done.text().contains("WARC records in 1 file"), "{done}");
    // What a run without the option goes on with, too.
    let plain = Tool::new("crawl-run").dir(&ground.folder);
    let url = ground.site.url("/");
    let done = plain.args([&url, "-o", "data/docs.jsonl"]).run().code(0);
    done.says("the crawl began with --warc, and goes on so");
    assert_eq!(ground.files().len(), 2, "{:?}", ground.files());
    // robots.txt was asked for as well.
    assert!(ground.is_whole() > PAGES as u64 + 2);
}

#[test]
fn a_killed_crawl_leaves_an_open_file_that_the_next_run_makes_final() {
    let ground = Ground::new();
    ground.site.latency(Duration::from_millis(30));
    let run = ground.crawl().start();
    ground.site.wait_for(25);
    run.signal_group(Signal::Kill);
    run.wait();
    ground.crawl().run().code(0);
    assert!(ground.files().iter().all(|name| name.ends_with(".warc.gz")));
    ground.is_whole();
}

#[test]
fn a_wrong_byte_is_found_with_its_file_and_place() {
    let ground = Ground::new();
    ground.crawl().args(["--max-pages", "20"]).run().code(4);
    let file = ground.data().join("docs-warc").join(&ground.files()[0]);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let done = ground.verify().code(65);
    done.says(&ground.files()[0]).says("damaged at byte");
    let repair = Tool::new("crawl-ckpt").args(["verify", "--repair", &ground.name()]);
    let done = repair.dir(&ground.folder).run().code(65);
    done.prints("nothing to save");
}

#[test]
fn what_a_cut_file_still_proves_is_saved_and_gone_on_with() {
    for (is_open, proves) in [(true, true), (false, true), (false, false)] {
        let ground = Ground::new();
        let file = if is_open {
            ground.as_if_killed()
        } else {
            ground.crawl().args(["--max-pages", "20"]).run().code(4);
            ground.data().join("docs-warc").join(&ground.files()[0])
        };
        let len = if proves {
            fs::metadata(&file).unwrap().len() / 2
        } else {
            9
        };
        let cut = fs::File::options().write(true).open(&file).unwrap();
        cut.set_len(len).unwrap();
        ground.verify().code(65).says("bytes were committed");
        ground.crawl().run().code(65).says("WARC");
        let repair = Tool::new("crawl-ckpt").args(["verify", "--repair", &ground.name()]);
        repair.dir(&ground.folder).run().code(65).prints("saved");
        let place = ground.data().join(ground.name());
        let (damaged, copy) = (place.join("checkpoint"), place.join("checkpoint.repaired"));
        fs::rename(&damaged, place.join("checkpoint.damaged")).unwrap();
        fs::rename(copy, damaged).unwrap();
        ground.crawl().run().code(0);
        // What is left of the cut file is whole, and all that came later is there.
        assert_eq!(ground.files().len(), 1 + usize::from(proves));
        for name in ground.files() {
            let path = ground.data().join("docs-warc").join(&name);
            assert!(name.ends_with(".warc.gz"), "{name}");
            Tool::program("gzip").arg("-t").arg(path).run().code(0);
        }
    }
}

#[test]
fn a_checkpoint_that_is_removed_leaves_whole_files_and_says_where() {
    let ground = Ground::new();
    let open = ground.as_if_killed();
    let mut torn = fs::read(&open).unwrap();
    torn.extend_from_slice(b"torn");
    fs::write(&open, torn).unwrap();
    let ckpt = |words: &[&str]| {
        Tool::new("crawl-ckpt")
            .dir(&ground.folder)
            .args(words)
            .run()
    };
    let size = ckpt(&["size", &ground.name(), "--json"]).code(0);
    let size: Value = serde_json::from_str(&size.text()).unwrap();
    assert!(size["parts"]["warc"].as_u64() > Some(500), "{size}");
    ckpt(&["size"]).code(0).prints("WARC");
    let done = ckpt(&["rm", "--yes", &ground.name()]).code(0);
    done.says("its unfinished WARC files stay: ")
        .says("docs-warc");
    let [file] = &ground.files()[..] else {
        panic!("{:?}", ground.files());
    };
    assert!(file.ends_with(".warc.gz"), "{file}");
    let path = ground.data().join("docs-warc").join(file);
    Tool::program("gzip").arg("-t").arg(path).run().code(0);
}

#[test]
fn fresh_renames_what_was_kept_with_the_output() {
    let ground = Ground::new();
    ground.crawl().args(["--max-pages", "10"]).run().code(4);
    let before = ground.files();
    let done = ground.crawl().arg("--fresh").run().code(0);
    done.says("docs-warc.partial");
    let aside = fs::read_dir(ground.data().join("docs-warc.partial")).unwrap();
    let aside = aside.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(aside.collect::<Vec<_>>(), before);
    ground.is_whole();
}

#[test]
fn a_test_crawl_leaves_whole_files_and_no_spool() {
    let ground = Ground::new();
    ground.crawl().args(["--limit", "5"]).run().code(0);
    let left = fs::read_dir(ground.data()).unwrap();
    let mut left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["docs-warc", "docs.jsonl"]);
    let [file] = &ground.files()[..] else {
        panic!("{:?}", ground.files());
    };
    assert!(file.ends_with("-00001.warc.gz"), "{file}");
    // The directory is nobody's to write into now.
    let other = ground.crawl().args(["--limit", "5"]).run();
    other.code(2);
}

#[test]
fn the_spider_says_how_pages_are_kept() {
    let ground = Ground::new();
    let spider = json!({
        "name": "shop",
        "start_urls": [ground.site.url("/")],
        "warc": {"prefix": "mine", "operator": "Ann", "requests": false, "metadata": false},
    });
    ground.folder.write("shop.json", spider.to_string());
    let tool = Tool::new("crawl-run").dir(&ground.folder);
    tool.args(["shop.json", "-o", "data/docs.jsonl"])
        .run()
        .code(0);
    let [file] = &ground.files()[..] else {
        panic!("{:?}", ground.files());
    };
    assert!(file.starts_with("mine-"), "{file}");
    let path = ground.data().join("docs-warc").join(file);
    let text = Tool::program("gunzip").arg("-c").arg(path).run().code(0);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("\r\noperator: Ann\r\n"));
    assert!(
        !text.contains("WARC-Type: request"),
        "requests are left out"
    );
    assert!(
        !text.contains("WARC-Type: metadata"),
        "metadata is left out"
    );
    ground.is_whole();
}

/// The lines of the README that show a crawl, each in turn: two nights, of which the second has a revisit.
#[test]
fn the_tools_of_the_readme_take_it_and_show_it() {
    let programs = ["warcio", "wacz", "wb-manager", "wayback", "jq", "curl"];
    if !programs.into_iter().all(has) {
        return;
    }
    let readme = include_str!("../README.md");
    let (_, rest) = readme.split_once("```warc\n").unwrap();
    let (lines, _) = rest.split_once("```").unwrap();
    let pages = readme
        .lines()
        .find(|line| line.starts_with("$ jq -cn '{format"));
    let ground = Ground::new();
    let url = ground.site.url("/");
    let night = |output: &str| {
        let tool = Tool::new("crawl-run").dir(&ground.folder);
        tool.args([&url, "--warc", "--delta", "-o", output])
            .run()
            .code(0)
    };
    night("docs.jsonl").says("new 41");
    night("again.jsonl").says("unchanged 42");
    for file in fs::read_dir(ground.folder.join("again-warc")).unwrap() {
        let file = file.unwrap();
        let to = ground.folder.join("docs-warc").join(file.file_name());
        fs::rename(file.path(), to).unwrap();
    }
    let (wayback, lines): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| line.starts_with("wayback"));
    for line in pages.map(|line| &line[2..]).into_iter().chain(lines) {
        let done = Tool::program("bash").args(["-c", line]).dir(&ground.folder);
        done.run().code(0);
    }
    assert!(ground.folder.join("docs.wacz").is_file());

    // It takes a port that is free now.
    let port = Site::new().port();
    let line = wayback[0].replace("8080", &port.to_string());
    let wayback = Tool::program("bash").args(["-c", &format!("exec {line}")]);
    let wayback = wayback.dir(&ground.folder).start();
    wayback.wait_says("Starting Gevent Server");
    let show = |time: &str, page: &str| {
        let shown = format!("http://127.0.0.1:{port}/docs/{time}mp_/{url}{page}");
        let curl = [
            "-sL",
            "--retry",
            "20",
            "--retry-all-errors",
            "--retry-delay",
            "1",
            &shown,
        ];
        Tool::program("curl").args(curl).run().code(0).text()
    };
    for time in ["2000", "2999"] {
        let shown = show(time, "7");
        assert!(shown.contains("<title>/7</title>"), "{time}: {shown}");
    }
    wayback.signal_group(Signal::Kill);
    wayback.wait();
}

#[test]
fn a_rule_keeps_what_a_browser_shows_a_page_with() {
    let readme = include_str!("../README.md");
    let line = readme
        .lines()
        .find(|line| line.starts_with("`\"rules\": "))
        .unwrap();
    let keys: Vec<&str> = line.split('`').skip(1).step_by(2).collect();
    let site = Site::new();
    site.page(
        "/",
        "<link rel=stylesheet href=/s.css><script src=/x.js></script><img src=/i.png><a href=/1>",
    );
    let folder = Folder::new();
    let start = format!("\"start_urls\": [\"{}\"]", site.url("/"));
    let spider = format!(
        "{{\"name\": \"docs\", \"warc\": true, {start}, {}}}",
        keys.join(", ")
    );
    folder.write("docs.json", spider);
    let tool = Tool::new("crawl-run")
        .dir(&folder)
        .args(["docs.json", "-q"]);
    tool.run().code(0);
    for path in ["/", "/s.css", "/x.js", "/i.png", "/1"] {
        assert_eq!(site.hits(path), 1, "{path}");
    }
}

/// What scripts ask for goes with their page: once in the archive for a page that has a record.
#[test]
fn what_rendered_pages_ask_for_is_kept_once_over_a_pause_and_a_kill() {
    if !has("chromium-headless-shell") {
        return;
    }
    let site = Site::new();
    site.otherwise(|asked| match asked.path.strip_prefix("/data/") {
        Some(n) => Answer::typed("application/json", format!("[\"the data of {n}\"]")),
        None if asked.path == "/robots.txt" => Answer::status(404),
        None => Answer::html("<!DOCTYPE html><div id=root></div><script src=/app.js></script>"),
    });
    site.on("/app.js", |_| {
        let app = format!(
            "const n = location.pathname.split('/')[2] || 0;
             fetch('/data/' + n).then(answer => answer.json()).then(data => {{
               root.textContent = data[0];
               for (let to = 1; to < {PAGES}; to++) {{
                 const link = document.createElement('a');
                 link.href = '/page/' + to;
                 root.append(link);
               }}
             }});"
        );
        Answer::typed("text/javascript", app)
    });
    let folder = Folder::new();
    let uid = Tool::program("id").arg("-u").run().text();
    // Root has no sandbox.
    let more = ["--no-sandbox"].into_iter().filter(|_| uid.trim() == "0");
    let crawl = || {
        let tool = Tool::new("crawl-run").dir(&folder).args(more.clone());
        tool.env("TMPDIR", folder.as_os_str())
            .args([&site.url("/"), "--render", "--warc"])
    };
    crawl().args(["--max-pages", "5"]).run().code(4);
    let asked = site.count();
    let mut killed = crawl().start();
    site.wait_for(asked + 30);
    killed.signal_group(Signal::Kill);
    killed.wait_all_gone(Duration::from_secs(60));
    killed.wait();
    crawl().run().code(0);

    let crawls = folder.join(format!("data/default/127.0.0.1-{}/crawls", site.port()));
    let verdict = archive::judge(&crawls);
    assert!(verdict.is_right(), "{verdict:?}");
    let files = folder.files().into_iter();
    let (kept, rest): (Vec<_>, Vec<_>) =
        files.partition(|file| file.to_string_lossy().ends_with(".warc.gz"));
    let output = rest
        .iter()
        .find(|file| file.extension() == Some("jsonl".as_ref()));
    let output = fs::read_to_string(folder.join(output.unwrap())).unwrap();
    assert_eq!(output.lines().count(), PAGES);
    let mut urls: Vec<String> = (kept
        .iter()
        .flat_map(|file| warc::records(folder.join(file))))
    .filter(|record| record.is("response"))
    .map(|record| record.field("WARC-Target-URI").to_owned())
    .collect();
    urls.sort_unstable();
    assert!(urls.contains(&site.url("/app.js")), "{urls:?}");
    for n in 0..PAGES {
        let data = site.url(&format!("/data/{n}"));
        let of_it = urls.iter().filter(|url| **url == data).count();
        assert_eq!(of_it, 1, "{data} in {urls:?}");
    }
}
