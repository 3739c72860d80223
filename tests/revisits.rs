//! Crawls that keep the pages themselves night after night (`--delta --warc`): a page that did not change is
//! kept as a *revisit* record that refers to the night in which its bytes were kept.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;
#[allow(dead_code)]
#[path = "support/warc.rs"]
mod warc;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use support::hostile::gzip;
use support::{Answer, Asked, Done, Folder, Signal, Site, Tool};
use warc::{Record, judged_by_others, records};

const NOT_MODIFIED: &str = "http://netpreserve.org/warc/1.1/revisit/server-not-modified";
const SAME_PAYLOAD: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";

/// Pages that can be asked for on a condition.
const TAGGED: &[&str] = &["/", "/tagged", "/zipped"];

/// What never changes; the last two cannot be asked for on a condition.
const STEADY: &[&str] = &["/", "/tagged", "/zipped", "/plain", "/plain-zipped"];

struct Ground {
    folder: Folder,
    site: Site,
    /// What `/changing` says.
    version: Arc<AtomicU32>,
}

fn answer(asked: &Asked, version: u32) -> Answer {
    let body = match asked.path.as_str() {
        "/" => {
            let paths = STEADY.iter().chain(&["/changing", "/moved", "/none"]);
            paths.map(|path| format!("<a href='{path}'>")).collect()
        }
        "/changing" => format!("<title>version {version}</title>"),
        "/moved" => return Answer::redirect("/tagged"),
        "/none" => return Answer::status(404).body("nothing"),
        path => format!("<title>{path}</title>{}", "words ".repeat(500)),
    };
    let tag = match asked.path.as_str() {
        "/changing" => Some(version),
        path => TAGGED.contains(&path).then_some(0),
    };
    let tag = tag.map(|tag| format!("\"{tag}\""));
    if tag.is_some() && asked.header("if-none-match") == tag.as_deref() {
        return Answer::status(304).header("ETag", tag.as_deref().unwrap_or_default());
    }
    let answer = if asked.path.ends_with("zipped") {
        Answer::html(gzip(body.as_bytes())).header("Content-Encoding", "gzip")
    } else {
        Answer::html(body)
    };
    match tag {
        Some(tag) => answer.header("ETag", &tag),
        None => answer,
    }
}

/// The captures of one night, by path: what the archive shows of a page.
type Captures = BTreeMap<String, Record>;

impl Ground {
    fn new() -> Ground {
        let ground = Ground {
            folder: Folder::new(),
            site: Site::new(),
            version: Arc::default(),
        };
        let version = ground.version.clone();
        ground
            .site
            .otherwise(move |asked| answer(asked, version.load(Ordering::SeqCst)));
        ground
    }

    fn change(&self) {
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn tool(&self, night: u32) -> Tool {
        let output = format!("data/night{night}.jsonl");
        let tool = Tool::new("crawl-run").dir(&self.folder);
        tool.args([&self.site.url("/"), "--delta", "-o", &output])
    }

    fn with_warc(&self, night: u32) -> Tool {
        self.tool(night).arg("--warc")
    }

    fn warc_files(&self, night: u32) -> Vec<PathBuf> {
        let dir = self.folder.join(format!("data/night{night}-warc"));
        let files = fs::read_dir(dir).unwrap();
        let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Crawls one night with `--warc`; gives its captures.
    #[track_caller]
    fn night(&self, night: u32) -> (Done, Captures) {
        let done = self.with_warc(night).run().code(0);
        (done, self.captures(night))
    }

    /// The captures of pages in the files of a night: each page has one.
    #[track_caller]
    fn captures(&self, night: u32) -> Captures {
        let mut captures = Captures::new();
        for file in self.warc_files(night) {
            for record in records(&file) {
                if !record.is("response") && !record.is("revisit") {
                    continue;
                }
                let path = record.field("WARC-Target-URI").to_owned();
                let path = path.strip_prefix(&self.site.url("")).unwrap();
                if path != "/robots.txt" {
                    let before = captures.insert(path.to_owned(), record);
                    assert!(before.is_none(), "{path} twice");
                }
            }
            judged_by_others(&file);
        }
        captures
    }

    /// The paths of the records of a night.
    fn told(&self, night: u32) -> Vec<String> {
        let output = self.folder.read(&format!("data/night{night}.jsonl"));
        let lines = output.lines().map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            let url = record["url"].as_str().unwrap();
            url.strip_prefix(&self.site.url("")).unwrap().to_owned()
        });
        let mut told: Vec<String> = lines.collect();
        told.sort();
        told
    }
}

/// A page is kept as the bytes of an earlier capture.
#[track_caller]
fn refers(record: &Record, to: &Record, profile: &str) {
    assert!(record.is("revisit"), "{:?}", record.fields);
    assert!(to.is("response"), "{:?}", to.fields);
    for (name, value) in [
        ("WARC-Profile", profile),
        ("WARC-Refers-To-Target-URI", to.field("WARC-Target-URI")),
        ("WARC-Refers-To-Date", to.field("WARC-Date")),
        ("WARC-Payload-Digest", to.field("WARC-Payload-Digest")),
    ] {
        assert_eq!(record.field(name), value, "{name}");
    }
    assert!(record.field("WARC-Date") > to.field("WARC-Date"));
    assert_eq!(record.block.is_empty(), profile == NOT_MODIFIED);
}

/// All that never changes refers to the captures of that night.
#[track_caller]
fn steady_refer(night: &Captures, to: &Captures) {
    for path in STEADY {
        let profile = if TAGGED.contains(path) {
            NOT_MODIFIED
        } else {
            SAME_PAYLOAD
        };
        refers(&night[*path], &to[*path], profile);
    }
}

#[track_caller]
fn are_whole(night: &Captures, paths: &[&str]) {
    for path in paths {
        let record = &night[*path];
        let is_whole = record.is("response") && !record.http().1.is_empty();
        assert!(is_whole, "{path}: {:?}", record.fields);
    }
}

#[test]
fn what_did_not_change_refers_to_the_night_that_kept_its_bytes() {
    let ground = Ground::new();
    let (done, first) = ground.night(1);
    done.says("new 7,");
    are_whole(&first, STEADY);
    ground.change();
    let asked = ground.site.log().len();
    let (done, second) = ground.night(2);
    done.says("new 0, changed 1, unchanged 7, gone 0");
    assert_eq!(ground.told(2), ["/changing"]);
    steady_refer(&second, &first);
    are_whole(&second, &["/changing"]);
    // A redirect has no payload to speak of, and an error none that anybody refers to.
    assert!(second["/moved"].is("response") && second["/none"].is("response"));
    let requests = ground.site.log();
    let on_condition = requests[asked..]
        .iter()
        .filter(|asked| asked.header("if-none-match").is_some());
    assert_eq!(on_condition.count(), TAGGED.len() + 1);

    // A revisit refers to what has the bytes, not to another revisit.
    let (done, third) = ground.night(3);
    done.says("new 0, changed 0, unchanged 8, gone 0");
    steady_refer(&third, &first);
    refers(&third["/changing"], &second["/changing"], NOT_MODIFIED);
}

#[test]
fn a_night_that_keeps_pages_after_one_that_did_not_keeps_them_whole_once() {
    let ground = Ground::new();
    ground.tool(1).run().code(0);
    let (done, second) = ground.night(2);
    done.says("changed 0, unchanged 8");
    are_whole(&second, STEADY);
    are_whole(&second, &["/changing"]);
    let (_, third) = ground.night(3);
    steady_refer(&third, &second);

    // What the archive has is remembered over a night without it, and what changed in that one is not
    // taken for it.
    ground.change();
    let done = ground.tool(4).run().code(0);
    done.says("changed 1, unchanged 7");
    let (done, fifth) = ground.night(5);
    done.says("changed 0, unchanged 8");
    steady_refer(&fifth, &second);
    are_whole(&fifth, &["/changing"]);
}

#[test]
fn files_of_earlier_nights_may_be_elsewhere_and_all_is_kept_anew_when_asked() {
    let ground = Ground::new();
    let (_, first) = ground.night(1);
    let files = ground.warc_files(1);
    fs::remove_dir_all(files[0].parent().unwrap()).unwrap();
    let (done, second) = ground.night(2);
    done.says("changed 0, unchanged 8");
    steady_refer(&second, &first);
    // With the first night lost for good, this makes an archive that stands alone.
    let reset = ground.with_warc(3).arg("--reset-deltafetch").run().code(0);
    reset.says("new 7,");
    are_whole(&ground.captures(3), STEADY);
}

#[test]
fn a_killed_night_goes_on_and_keeps_each_page_that_a_record_speaks_of_once() {
    let ground = Ground::new();
    let (_, first) = ground.night(1);
    ground.site.latency(Duration::from_millis(50));
    ground.change();
    let asked = ground.site.log().len();
    let running = ground.with_warc(2).start();
    ground.site.wait_for(asked + 4);
    running.signal_group(Signal::Kill);
    running.wait();
    let done = ground.with_warc(2).run().code(0);
    done.says("new 0, changed 1, unchanged 7, gone 0");
    let second = ground.captures(2);
    steady_refer(&second, &first);
    are_whole(&second, &["/changing"]);
    assert_eq!(ground.told(2), ["/changing"]);
    Tool::new("crawl-ckpt")
        .arg("verify")
        .dir(&ground.folder)
        .run()
        .code(0);
}
