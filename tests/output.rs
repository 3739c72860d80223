//! The output file through the life of a crawl: what others do to it, what is retried in it,
//! and what becomes of it when the checkpoint is thrown away.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{Clearing, Job, JobPlace, OutputPlace};
use crawl_ckpt::lock::JobLock;
use serde_json::Value;
use support::{Answer, Folder, Site, Tool};

const PAGES: usize = 12;

/// A start page that leads to all others; the first of them is blocked as long as that is wanted.
struct Star {
    site: Site,
    blocks: Arc<AtomicBool>,
    folder: Folder,
}

impl Star {
    fn new() -> Star {
        let (site, blocks) = (Site::new(), Arc::new(AtomicBool::new(false)));
        let links: String = (1..PAGES).map(|n| format!("<a href=/{n}>")).collect();
        site.page("/", &links);
        let is_blocked = Arc::clone(&blocks);
        site.on("/1", move |_| {
            if is_blocked.load(Ordering::SeqCst) {
                Answer::status(403)
            } else {
                Answer::html("one")
            }
        });
        site.otherwise(|asked| match asked.path.as_str() {
            "/robots.txt" => Answer::status(404),
            _ => Answer::html("a page"),
        });
        Star {
            site,
            blocks,
            folder: Folder::new(),
        }
    }

    fn run(&self, words: &[&str]) -> Tool {
        Tool::new("crawl-run")
            .dir(&self.folder)
            .args([&self.site.url("/"), "--per-host", "1", "-o", "out.jsonl"])
            .args(words)
    }

    /// A run that leaves something to do.
    fn begin(&self) {
        self.run(&["--max-pages", "4"]).run().code(4);
    }

    fn output(&self) -> PathBuf {
        self.folder.join("out.jsonl")
    }

    fn checkpoint(&self) -> PathBuf {
        let name = format!("127.0.0.1-{}", self.site.port());
        self.folder
            .join("data/default")
            .join(name)
            .join("checkpoint")
    }

    /// Status by path; each URL has one record.
    #[track_caller]
    fn records(&self) -> Vec<(String, u64)> {
        let text = fs::read_to_string(self.output()).unwrap();
        let mut records: Vec<_> = text
            .lines()
            .map(|line| {
                let record: Value = serde_json::from_str(line).unwrap();
                let url = record["url"].as_str().unwrap();
                let path = url.strip_prefix(&self.site.url("")).unwrap();
                (path.to_owned(), record["status"].as_u64().unwrap_or(0))
            })
            .collect();
        records.sort();
        assert!(records.windows(2).all(|two| two[0].0 != two[1].0), "{text}");
        records
    }

    /// All pages are there, and the checkpoint is not.
    #[track_caller]
    fn is_complete(&self) {
        let records = self.records();
        assert_eq!(records.len(), PAGES, "{records:?}");
        assert!(
            records.iter().all(|(_, status)| *status == 200),
            "{records:?}"
        );
        assert!(!self.checkpoint().exists());
    }
}

/// What others do to a file.
type Harm = fn(&PathBuf);

fn swapped(path: &PathBuf, text: &[u8]) {
    let other = path.with_extension("other");
    fs::write(&other, text).unwrap();
    fs::rename(other, path).unwrap();
}

const HARMS: [(&str, Harm); 6] = [
    ("removed", |path| fs::remove_file(path).unwrap()),
    ("emptied", |path| fs::write(path, "").unwrap()),
    ("short", |path| swapped(path, b"mine\n")),
    ("long", |path| swapped(path, &b"mine\n".repeat(9000))),
    ("as long", |path| {
        let len = fs::metadata(path).unwrap().len() as usize;
        swapped(path, &vec![b'x'; len]);
    }),
    ("overwritten", |path| {
        fs::write(path, b"mine\n".repeat(9000)).unwrap();
    }),
];

#[test]
fn an_output_that_became_another_file_between_runs_is_told_and_left_as_it_is() {
    for (name, harm) in HARMS {
        let star = Star::new();
        star.begin();
        harm(&star.output());
        let theirs = fs::read(star.output()).ok();
        let done = star.run(&[]).run().code(65).says("out.jsonl: ");
        done.says("hint: put the file back");
        assert_eq!(fs::read(star.output()).ok(), theirs, "{name}");
        assert!(star.checkpoint().exists(), "{name}");
    }
}

#[test]
fn an_output_that_was_moved_away_and_back_or_copied_is_completed() {
    let star = Star::new();
    star.begin();
    let text = fs::read(star.output()).unwrap();
    swapped(&star.output(), &text);
    star.run(&[]).run().code(0);
    star.is_complete();
}

#[test]
fn an_output_that_is_tampered_with_while_it_is_written_keeps_the_checkpoint() {
    for (name, harm) in HARMS {
        let star = Star::new();
        let output = star.output();
        // The last page does the harm before it is answered: all others are written or on their way.
        star.site.on("/11", move |_| {
            let written = || fs::metadata(&output).is_ok_and(|meta| meta.len() > 0);
            while !written() {
                std::thread::yield_now();
            }
            harm(&output);
            Answer::html("last")
        });
        let done = star.run(&[]).run().code(65).says("out.jsonl: ");
        assert!(star.checkpoint().exists(), "{name}: {done}");
    }
}

const RETRY: [&str; 4] = ["--proxy-type", "none", "--on-proxy-change", "retry-blocked"];

#[test]
fn what_is_retried_leaves_the_outputs_mode_and_what_lies_beside_it_alone() {
    let star = Star::new();
    star.blocks.store(true, Ordering::SeqCst);
    star.begin();
    let beside = star.folder.join("out.jsonl.retry");
    star.folder.write("victim", "mine");
    symlink("victim", &beside).unwrap();
    fs::set_permissions(star.output(), fs::Permissions::from_mode(0o640)).unwrap();
    star.blocks.store(false, Ordering::SeqCst);
    star.run(&RETRY).run().code(0);
    star.is_complete();
    let mode = fs::metadata(star.output()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(fs::read(&beside).unwrap(), b"mine");
    let hidden = fs::read_dir(&star.folder).unwrap().flatten();
    assert!(hidden.into_iter().all(|entry| {
        let name = entry.file_name().into_string().unwrap();
        !name.starts_with(".crawl")
    }));
}

#[test]
fn an_output_that_is_a_link_stays_one_when_something_is_retried() {
    let star = Star::new();
    star.blocks.store(true, Ordering::SeqCst);
    star.begin();
    let real = star.folder.join("real");
    fs::rename(star.output(), &real).unwrap();
    symlink("real", star.output()).unwrap();
    star.blocks.store(false, Ordering::SeqCst);
    star.run(&RETRY).run().code(0);
    assert!(star.output().is_symlink());
    star.is_complete();
}

#[test]
fn only_the_records_of_what_failed_are_taken_out_where_requests_share_a_url() {
    let star = Star::new();
    // Each method once; a POST is blocked.
    star.blocks.store(true, Ordering::SeqCst);
    let is_blocked = Arc::clone(&star.blocks);
    star.site.on("/api", move |asked| {
        if is_blocked.load(Ordering::SeqCst) && asked.method == "POST" {
            Answer::status(403)
        } else {
            Answer::html("fine")
        }
    });
    let url = star.site.url("/api");
    let requests = ["GET", "POST", "PUT"]
        .map(|method| format!(r#"{{"url":"{url}","method":"{method}","priority":9}}"#) + "\n");
    Tool::new("crawl-frontier")
        .dir(&star.folder)
        .args(["add", "--job"])
        .arg(star.checkpoint())
        .stdin(requests.concat())
        .run()
        .code(0);
    star.run(&["--max-pages", "4"]).run().code(4);
    star.blocks.store(false, Ordering::SeqCst);
    star.site.clear_log();
    star.run(&RETRY).run().code(0);
    let asked = star.site.log();
    let asked: Vec<_> = asked.iter().filter(|asked| asked.path == "/api").collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].method, "POST");
    let text = fs::read_to_string(star.output()).unwrap();
    assert_eq!(text.matches(&url).count(), 3, "{text}");
    assert!(!text.contains("403"), "{text}");
}

#[test]
fn what_was_printed_cannot_be_taken_back_so_it_is_not_retried() {
    let star = Star::new();
    star.blocks.store(true, Ordering::SeqCst);
    let run = |words: &[&str]| {
        Tool::new("crawl-run")
            .dir(&star.folder)
            .args([&star.site.url("/"), "--per-host", "1", "-o", "-"])
            .args(words)
    };
    run(&["--max-pages", "4"]).run().code(4);
    run(&RETRY).run().code(2).says("went to stdout");
    run(&["--proxy-type", "none", "--on-proxy-change", "keep"])
        .run()
        .code(0);
}

#[test]
fn a_command_that_is_refused_has_thrown_nothing_away() {
    let star = Star::new();
    star.begin();
    star.folder.write("taken.jsonl", "mine");
    let before = fs::read(star.output()).unwrap();
    let url = star.site.url("/");
    for words in [
        &["--fresh", "-o", "taken.jsonl"][..],
        &["--reset-deltafetch", "-o", "taken.jsonl"],
        &["--proxy-type", "none", "-o", "taken.jsonl"],
        &["--fresh", "-o", "out.jsonl", "-A", "a\nb"],
        &["--proxy-type", "none", "-o", "out.jsonl", "-A", "a\nb"],
    ] {
        let run = Tool::new("crawl-run").dir(&star.folder).arg(&url);
        run.args(words).run().code(2);
        assert!(star.checkpoint().exists(), "{words:?}");
        assert_eq!(fs::read(star.output()).unwrap(), before, "{words:?}");
    }
    let run = star.run(&["--fresh"]).env("HTTP_PROXY", "ftp://proxy");
    run.run().code(2).says("no http, https or socks5 URL");
    star.run(&[]).run().code(0).says("resuming");
    star.is_complete();
}

#[test]
fn throwing_away_that_was_cut_short_is_finished_by_the_plain_command() {
    for renamed in [false, true] {
        let star = Star::new();
        star.begin();
        let place = JobPlace::at(&star.checkpoint());
        let data = star.folder.join("data");
        let aside = star.folder.join("out.jsonl.partial");
        {
            let lock = JobLock::acquire(&place).unwrap();
            let mut job = Job::open(Arc::new(RealDisk), &place).unwrap().unwrap();
            let clearing = Clearing {
                aside: Some(OutputPlace::file(&aside, &data)),
                warc_aside: None,
            };
            job.update(&lock, |manifest| manifest.clearing = Some(clearing))
                .unwrap();
        }
        if renamed {
            fs::rename(star.output(), &aside).unwrap();
        }
        let verify = Tool::new("crawl-ckpt").args(["verify", "--data-dir"]);
        let verify = verify.arg(&data).run().code(0);
        verify.prints("a run was throwing it away, which the next one finishes");
        star.run(&[]).run().code(0).never_says("damaged");
        star.is_complete();
        assert_eq!(fs::read_to_string(aside).unwrap().lines().count(), 4);
    }
}

#[test]
fn the_unfinished_output_of_a_job_that_cannot_be_read_gets_another_name_as_well() {
    let later = |text: String| {
        let json = text
            .lines()
            .next()
            .unwrap()
            .replace("\"format\":1", "\"format\":7");
        format!("{json}\nblake3:{}\n", blake3::hash(json.as_bytes()))
    };
    let spoilt: [(&str, &dyn Fn(String) -> String); 3] = [
        ("one wrong byte", &|text| text.replace("blake3", "blake4")),
        ("a later version", &later),
        ("cut short", &|_| String::new()),
    ];
    for (what, spoil) in spoilt {
        let star = Star::new();
        // In its own folder, where it is found even when nothing names it.
        let url = star.site.url("/");
        let run = |words: &[&str]| {
            let tool = Tool::new("crawl-run").dir(&star.folder);
            tool.args([&url, "--per-host", "1"]).args(words)
        };
        run(&["--max-pages", "4"]).run().code(4);
        let manifest = star.checkpoint().join("job.json");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, spoil(text)).unwrap();
        run(&[]).run().code(65);
        let done = run(&["--fresh"]).run().code(0);
        let crawls = star.checkpoint().with_file_name("crawls");
        let mut lines: Vec<_> = fs::read_dir(crawls)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.to_string_lossy().contains("summary"))
            .map(|path| {
                let lines = fs::read_to_string(&path).unwrap().lines().count();
                (path.extension().unwrap().to_owned(), lines)
            })
            .collect();
        lines.sort();
        let want = [("jsonl".into(), PAGES), ("partial".into(), 4)];
        assert_eq!(lines, want, "{what}: {done}");
    }
}

#[test]
fn records_of_trouble_say_where_their_url_was_found_first_and_codes_are_counted() {
    let (site, folder) = (Site::new(), Folder::new());
    site.page("/", "<a href=/a><a href=/gone><a href=/gone2>");
    site.page(
        "/a",
        "<a href=/gone><a href=/moved><a href=/shut/1><a href=/b>",
    );
    site.page("/b", "<a href=/>");
    site.on("/moved", |_| Answer::redirect("/b"));
    site.on("/robots.txt", |_| {
        Answer::text("User-agent: *\nDisallow: /shut/\n")
    });
    site.otherwise(|_| Answer::status(404));
    let run = |words: &[&str]| {
        let tool = Tool::new("crawl-run").dir(&folder).args([site.url("/")]);
        let tool = tool.args(["-o", "out.jsonl", "--concurrency", "1"]);
        tool.args(words).run()
    };
    run(&["--max-pages", "2"]).code(4);
    run(&[]).code(0).says("status     2xx 3, 404 2, 3xx 1");
    let mut found = Vec::new();
    for line in folder.read("out.jsonl").lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let path = |field: &str| {
            record[field]
                .as_str()
                .map(|url| url.replace(&site.url(""), ""))
        };
        found.push((path("url").unwrap(), path("referer")));
    }
    found.sort();
    let want = [
        ("/", None),
        ("/a", None),
        ("/b", None),
        ("/gone", Some("/")),
        ("/gone2", Some("/")),
        ("/moved", Some("/a")),
        ("/shut/1", Some("/a")),
    ];
    let want = want.map(|(url, page)| (url.to_owned(), page.map(str::to_owned)));
    assert_eq!(found, want);
}
