//! `--retry-failed`: what failed in a finished crawl is asked for again, and nothing else.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use support::{Answer, Folder, Signal, Site, Tool};

/// A site of 40 pages of which every fourth fails for as long as it is broken; one of these leads to a
/// page that nothing else leads to.
struct Ground {
    folder: Folder,
    site: Site,
    broken: Arc<AtomicBool>,
}

const SPIDER: &str = "docs";

impl Ground {
    fn new() -> Ground {
        let site = Site::new();
        let links: String = (0..40).map(|n| format!("<a href=/{n}>x</a>")).collect();
        site.page(
            "/",
            &format!("<title>start</title>{links}<a href=/gone>x</a>"),
        );
        site.page("/behind", "<title>behind</title>");
        let broken = Arc::new(AtomicBool::new(true));
        for n in 0..40 {
            let broken = Arc::clone(&broken);
            site.on(&format!("/{n}"), move |_| {
                if n % 4 == 0 && broken.load(Ordering::SeqCst) {
                    return Answer::status(500);
                }
                Answer::html(format!("<title>page {n}</title><a href=/behind>x</a>"))
            });
        }
        // Only pages that fail lead there.
        for n in (0..40).filter(|n| n % 4 != 0) {
            site.page(&format!("/{n}"), &format!("<title>page {n}</title>"));
        }
        let folder = Folder::new();
        let spider = format!(
            r#"{{"name": "{SPIDER}", "start_urls": ["{}"], "settings": {{"RETRY_TIMES": 0}}}}"#,
            site.url("/")
        );
        folder.write("docs.json", spider);
        Ground {
            folder,
            site,
            broken,
        }
    }

    /// With a finished crawl in which ten pages failed; they are mended now.
    fn crawled() -> Ground {
        let ground = Ground::new();
        ground.tool(&["-q"]).run().code(0);
        ground.broken.store(false, Ordering::SeqCst);
        ground.site.clear_log();
        ground
    }

    fn tool(&self, args: &[&str]) -> Tool {
        let tool = Tool::new("crawl-run").dir(&self.folder);
        tool.arg("docs.json").args(args)
    }

    /// The outputs, in order, and what is there by another name.
    fn outputs(&self) -> (Vec<PathBuf>, Vec<PathBuf>) {
        let files = fs::read_dir(self.folder.join("data/default/docs/crawls")).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort_by_key(|file| (file.as_os_str().len(), file.clone()));
        files.retain(|file| !file.to_string_lossy().contains("summary"));
        files
            .into_iter()
            .partition(|file| file.extension() == Some("jsonl".as_ref()))
    }

    /// The second output stands beside the first, whole, and nothing else does.
    #[track_caller]
    fn is_over(&self) {
        let (outputs, others) = self.outputs();
        assert_eq!(
            (outputs.len(), others.len()),
            (2, 0),
            "{outputs:?} {others:?}"
        );
        is_mended(&outputs[0], &outputs[1]);
        self.no_checkpoint();
    }

    fn no_checkpoint(&self) {
        let ls = Tool::new("crawl-ckpt").dir(&self.folder).arg("ls");
        ls.run().code(0).prints_just("");
    }
}

/// Records by path; each is there once.
fn records(file: &PathBuf) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(file).unwrap();
    let records: BTreeMap<String, Value> = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let url = record["url"].as_str().unwrap();
            let path = url.splitn(4, '/').nth(3).unwrap().to_owned();
            (path, record)
        })
        .collect();
    assert_eq!(text.lines().count(), records.len(), "{text}");
    records
}

/// The new output has all that the old one had, with what failed in the place of its failure.
#[track_caller]
fn is_mended(old: &PathBuf, new: &PathBuf) {
    let (old, new) = (records(old), records(new));
    for (path, before) in &old {
        if before["status"] == 500 {
            assert_eq!(new[path]["status"], 200, "{path}");
        } else {
            assert_eq!(new[path], *before);
        }
    }
    assert_eq!(old.len(), 42);
    assert_eq!(new.len(), 43, "the page behind a mended one is new");
    assert_eq!(new["behind"]["depth"], 2);
}

#[test]
fn only_what_failed_is_asked_for_and_the_old_output_stays() {
    let ground = Ground::crawled();
    let before = fs::read(&ground.outputs().0[0]).unwrap();
    ground
        .tool(&["--retry-failed"])
        .run()
        .code(0)
        .says("asking again for 10 failed URLs of 42 records in data/default/docs/crawls/crawl_")
        .says("complete after")
        .says("-2.jsonl");
    let mut asked = ground.site.paths();
    asked.retain(|path| path != "/robots.txt");
    asked.sort();
    let mut wanted: Vec<String> = (0..10).map(|n| format!("/{}", n * 4)).collect();
    wanted.push("/behind".into());
    wanted.sort();
    assert_eq!(asked, wanted);
    let (outputs, others) = ground.outputs();
    assert_eq!(
        (outputs.len(), others.len()),
        (2, 0),
        "{outputs:?} {others:?}"
    );
    is_mended(&outputs[0], &outputs[1]);
    assert_eq!(fs::read(&outputs[0]).unwrap(), before);
    ground.no_checkpoint();
    let summary = outputs[1]
        .to_string_lossy()
        .replace(".jsonl", ".summary.json");
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    assert_eq!(
        (&summary["state"], &summary["records"]),
        (&"complete".into(), &43.into())
    );
    assert_eq!(summary["by_status"]["2xx"], 42);
    // Now nothing has failed.
    ground.site.clear_log();
    let done = ground.tool(&["--retry-failed"]).run().code(0);
    done.says("has failed: nothing to ask again for");
    assert!(ground.site.paths().is_empty());
    assert_eq!(ground.outputs().0.len(), 2);
}

#[test]
fn it_is_a_crawl_of_its_own_that_pauses_and_goes_on() {
    let ground = Ground::crawled();
    let stopped = ground.tool(&["--retry-failed", "--max-pages", "3"]).run();
    stopped.code(4).says("checkpoint kept, ");
    let (outputs, others) = ground.outputs();
    assert_eq!((outputs.len(), others.len()), (1, 1), "no reader meets it");
    let ls = Tool::new("crawl-ckpt").dir(&ground.folder).arg("ls");
    ls.run().prints("docs.retry");
    // Neither the spider's own crawl nor another file has to do with it.
    ground
        .folder
        .write("other.jsonl", fs::read(&outputs[0]).unwrap());
    let other = ground.tool(&["--retry-failed=other.jsonl"]).run();
    other
        .code(2)
        .says("asks again for what failed in data/default/docs/crawls/crawl_")
        .says("--fresh");
    ground.tool(&["-q", "--max-pages", "1"]).run().code(4);
    ground
        .tool(&["--retry-failed"])
        .run()
        .code(0)
        .says("resuming default/docs.retry");
    let (outputs, _) = ground.outputs();
    is_mended(
        &outputs[0],
        outputs
            .iter()
            .find(|file| file.to_string_lossy().ends_with("-2.jsonl"))
            .unwrap(),
    );
}

#[test]
fn killed_at_any_moment_the_same_command_completes_it() {
    let ground = Ground::crawled();
    let dying = Arc::new(AtomicUsize::new(0));
    for kill_at in 1..=8 {
        let asked = Arc::clone(&dying);
        asked.store(0, Ordering::SeqCst);
        let before = ground.site.count();
        let run = ground
            .tool(&[
                "--retry-failed",
                "-q",
                "--per-host",
                "1",
                "--delay",
                "0.05s",
            ])
            .start();
        ground.site.wait_until("a few are asked for", |log| {
            log.len() > before + kill_at % 4
        });
        run.signal_group(Signal::Kill);
        run.wait();
        if ground.outputs().0.len() > 1 {
            break;
        }
    }
    ground.tool(&["--retry-failed", "-q"]).run().code(0);
    ground.is_over();
}

#[test]
fn killed_before_its_output_has_its_name_the_next_run_gives_it() {
    let ground = Ground::crawled();
    let frontier = support::bin("crawl-frontier");
    let killer = format!("#!/bin/sh\n{} \"$@\"\nkill -9 $PPID\n", frontier.display());
    let killer = ground.folder.write("killer", killer);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&killer, mode).unwrap();
    let run = ground
        .tool(&["--retry-failed", "-q"])
        .env("CRAWL_FRONTIER", &killer)
        .run();
    assert_eq!(run.exit(), 128 + 9, "{run}");
    assert_eq!(ground.outputs().1.len(), 1);
    ground
        .tool(&["--retry-failed"])
        .run()
        .code(0)
        .says("was complete (43 records)");
    ground.is_over();
}

#[test]
fn what_cannot_be_asked_again_for_is_refused_before_anything_is_done() {
    let ground = Ground::crawled();
    let old = ground.outputs().0.remove(0);
    let text = fs::read_to_string(&old).unwrap();
    ground.folder.write("cut.jsonl", &text[..text.len() - 5]);
    ground.folder.write("words.jsonl", "words\n");
    ground.folder.write("torn.jsonl.gz", b"\x1f\x8b\x08\0");
    for (args, why) in [
        (&["--retry-failed=none.jsonl"][..], "cannot read none.jsonl"),
        (&["--retry-failed=cut.jsonl"], "ends within a line"),
        (&["--retry-failed=words.jsonl"], "line 1: it is no record"),
        (&["--retry-failed=torn.jsonl.gz"], "it is damaged"),
        (&["--retry-failed", "-o", "-"], "stdout"),
        (&["--retry-failed", "-o", "cut.jsonl"], "it exists"),
        (&["--retry-failed", "--delta"], "the next time by itself"),
        (&["--retry-failed", "--warc"], "of another output"),
        (&["--retry-failed", "--limit", "3"], "--limit"),
    ] {
        ground.tool(args).run().code(2).says(why);
    }
    assert!(ground.site.paths().is_empty());
    ground.no_checkpoint();
    // Of a file that is named, the result goes where it is to.
    fs::rename(&old, ground.folder.join("old.jsonl")).unwrap();
    let none = ground.tool(&["--retry-failed"]).run().code(2);
    none.says("default/docs")
        .says("has no finished output")
        .says("--retry-failed=FILE");
    ground
        .tool(&["-q", "--retry-failed=old.jsonl", "-o", "new.jsonl"])
        .run()
        .code(0);
    is_mended(
        &ground.folder.join("old.jsonl"),
        &ground.folder.join("new.jsonl"),
    );
}

#[test]
fn a_packed_output_is_read_as_it_lies_there() {
    let ground = Ground::crawled();
    let old = ground.outputs().0.remove(0);
    let gzip = |words: [&str; 2]| Tool::program("gzip").args(words).run().code(0);
    gzip(["-q", old.to_str().unwrap()]);
    ground
        .tool(&["--retry-failed"])
        .run()
        .code(0)
        .says("10 failed URLs");
    let new = ground.outputs().0.remove(0);
    gzip(["-dq", &format!("{}.gz", old.display())]);
    is_mended(&old, &new);
}

#[test]
fn a_spider_that_keeps_pages_or_crawls_incrementally_is_told_what_to_do_instead() {
    let ground = Ground::crawled();
    for (key, value, hint) in [
        ("warc", "true", "jq 'del(.warc)'"),
        ("settings", r#"{"DELTAFETCH_ENABLED": true}"#, "docs.json\n"),
    ] {
        let spider = ground.folder.read("docs.json");
        let mut spider: Value = serde_json::from_str(&spider).unwrap();
        spider[key] = serde_json::from_str(value).unwrap();
        ground.folder.write("docs.json", spider.to_string());
        let refused = ground.tool(&["--retry-failed"]).run().code(2);
        refused.says("cannot --retry-failed: ").says(hint);
        spider.as_object_mut().unwrap().remove(key);
        ground.folder.write("docs.json", spider.to_string());
    }
    assert!(ground.site.paths().is_empty());
}
