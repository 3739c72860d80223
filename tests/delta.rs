//! Incremental crawls with the real tools against a site that changes in between.
//!
//! The site answers conditional requests as web servers do, and counts the bytes that it
//! sends. What the second crawl makes of it is compared with what is known to have changed.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Answer, Asked, Done, Folder, Random, Signal, Site, Tool};

/// Pages by path: a version, and the links on it. A page that is not there is 404.
type Pages = BTreeMap<String, (u32, Vec<String>)>;

/// How the site lets itself be asked on a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Validator {
    ETag,
    LastModified,
    None,
}

struct Ground {
    folder: Folder,
    site: Site,
    pages: Arc<Mutex<Pages>>,
    sent_bytes: Arc<AtomicU64>,
}

impl Ground {
    fn new(validator: Validator, pages: Pages) -> Ground {
        let ground = Ground {
            folder: Folder::new(),
            site: Site::new(),
            pages: Arc::new(Mutex::new(pages)),
            sent_bytes: Arc::default(),
        };
        let (pages, sent) = (ground.pages.clone(), ground.sent_bytes.clone());
        ground.site.otherwise(move |asked| {
            let answer = answer(&pages.lock().unwrap(), validator, asked);
            sent.fetch_add(bytes_of(&answer), Ordering::Relaxed);
            answer
        });
        ground.spider(json!({}));
        ground
    }

    /// Writes the spider, with these keys over the usual ones.
    fn spider(&self, more: Value) {
        let mut spider = json!({
            "name": "shop",
            "start_urls": [self.site.url("/")],
            "settings": {"ROBOTSTXT_OBEY": false, "DELTAFETCH_ENABLED": true},
        });
        for (key, value) in more.as_object().unwrap() {
            spider[key] = value.clone();
        }
        self.folder.write("shop.json", spider.to_string());
    }

    fn crawl(&self) -> Tool {
        Tool::new("crawl-run").dir(&self.folder).arg("shop.json")
    }

    fn spider_dir(&self) -> PathBuf {
        self.folder.join("data/default/shop")
    }

    fn known(&self) -> PathBuf {
        self.spider_dir().join("delta/pages")
    }

    fn change(&self, change: impl FnOnce(&mut Pages)) {
        change(&mut self.pages.lock().unwrap());
    }

    /// Crawls to the end; gives what is said of it, and the new records by path.
    #[track_caller]
    fn complete(&self) -> (Done, BTreeMap<String, Value>) {
        let before = self.outputs().len();
        let done = self.crawl().run().code(0);
        (done, self.records(before))
    }

    fn outputs(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.spider_dir().join("crawls"));
        let files = files.into_iter().flatten().map(|file| file.unwrap().path());
        let whole = files.filter(|path| path.extension() == Some("jsonl".as_ref()));
        let mut files: Vec<PathBuf> = whole.collect();
        // `crawl_D.jsonl`, `crawl_D-2.jsonl` …: shorter names are older ones.
        files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
        files
    }

    /// The records of one output by path; each path must be there once.
    #[track_caller]
    fn records(&self, output: usize) -> BTreeMap<String, Value> {
        let outputs = self.outputs();
        self.records_in(&outputs[output])
    }

    #[track_caller]
    fn records_in(&self, file: &Path) -> BTreeMap<String, Value> {
        let mut records = BTreeMap::new();
        for line in fs::read_to_string(file).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let url = record["url"].as_str().unwrap();
            let path = url.strip_prefix(&self.site.url("")).unwrap().to_owned();
            let before = records.insert(path, record);
            assert_eq!(before, None, "two records");
        }
        records
    }
}

fn answer(pages: &Pages, validator: Validator, asked: &Asked) -> Answer {
    let Some((version, links)) = pages.get(&asked.path) else {
        return Answer::status(404).body(format!("nothing at {}", asked.path));
    };
    let (name, value, condition) = match validator {
        Validator::ETag => ("ETag", format!("\"{version}\""), "if-none-match"),
        Validator::LastModified => {
            let date = format!("Sun, 22 Nov 2026 08:00:{version:02} GMT");
            ("Last-Modified", date, "if-modified-since")
        }
        Validator::None => ("X-Version", version.to_string(), "x-version"),
    };
    if asked.header(condition) == Some(&value) {
        return Answer::status(304).header(name, &value);
    }
    let links: String = links
        .iter()
        .map(|link| format!("<a href='{link}'>{link}</a>\n"))
        .collect();
    let filling = "So much text as a page has. ".repeat(300);
    let html = format!("<title>{}</title>{version}\n{links}{filling}", asked.path);
    Answer::html(html).header(name, &value)
}

/// The bytes of an answer, its head included.
fn bytes_of(answer: &Answer) -> u64 {
    let headers = answer.headers.iter();
    let headers: usize = headers
        .map(|(name, value)| name.len() + value.len() + 4)
        .sum();
    (headers + answer.body.len() + 40) as u64
}

fn path(number: usize) -> String {
    match number {
        0 => "/".to_owned(),
        n => format!("/section-{}/page-{n}.html", n % 20),
    }
}

/// So many pages, each reachable from the first: a tree with links across.
fn tree(count: usize) -> Pages {
    let page = |n: usize| {
        let children = (1..=10).map(|child| n * 10 + child);
        let across = [n / 2, (n * 7 + 3) % count];
        let links = children.chain(across).filter(|n| *n < count);
        (path(n), (1, links.map(path).collect()))
    };
    (0..count).map(page).collect()
}

/// How many records say this.
fn count(records: &BTreeMap<String, Value>, delta: &str) -> usize {
    records
        .values()
        .filter(|record| record["delta"] == delta)
        .count()
}

const PAGES: usize = 2000;

/// A site of 2,000 pages that was crawled; two links on it lead nowhere.
fn crawled_once(validator: Validator) -> Ground {
    let mut pages = tree(PAGES);
    for n in [3, 4] {
        let (_, links) = pages.get_mut(&path(100 + n)).unwrap();
        links.push(format!("/new/{n}.html"));
    }
    let ground = Ground::new(validator, pages);
    let (done, records) = ground.complete();
    done.says("new 2,000, changed 0, unchanged 0, gone 0");
    assert_eq!((records.len(), count(&records, "new")), (PAGES + 2, PAGES));
    assert_eq!(records["/new/3.html"].get("delta"), None);
    ground
}

/// 20 pages change. 5 are new: two behind pages that do not change at all, three behind changed
/// ones that only unchanged ones lead to. 3 are gone.
fn one_night(pages: &mut Pages) {
    for n in 0..20 {
        pages.get_mut(&path(17 + n * 60)).unwrap().0 += 1;
    }
    for n in 0..5 {
        pages.insert(format!("/new/{n}.html"), (1, Vec::new()));
    }
    for n in 0..3 {
        let (_, links) = pages.get_mut(&path(1157 - n * 60)).unwrap();
        links.push(format!("/new/{n}.html"));
    }
    for n in [1500, 1600, 1700] {
        pages.remove(&path(n)).unwrap();
    }
}

/// The 28 records that the night comes to.
#[track_caller]
fn is_that_night(records: &BTreeMap<String, Value>) {
    let of = |delta: &str| -> Vec<String> {
        let records = records
            .iter()
            .filter(|(_, record)| record["delta"] == delta);
        records.map(|(path, _)| path.clone()).collect()
    };
    let sorted = |paths: &mut dyn Iterator<Item = String>| {
        let mut paths: Vec<String> = paths.collect();
        paths.sort();
        paths
    };
    assert_eq!(
        of("changed"),
        sorted(&mut (0..20).map(|n| path(17 + n * 60)))
    );
    assert_eq!(
        of("new"),
        sorted(&mut (0..5).map(|n| format!("/new/{n}.html")))
    );
    assert_eq!(
        of("gone"),
        sorted(&mut [1500, 1600, 1700].map(path).into_iter())
    );
    assert_eq!(records.len(), 28);
    for (path, record) in records {
        let want = if record["delta"] == "gone" { 404 } else { 200 };
        assert_eq!(record["status"], want, "{path}");
    }
}

const THAT_NIGHT: &str = "new 5, changed 20, unchanged 1,977, gone 3";

#[test]
fn the_second_crawl_fetches_what_changed_and_tells_of_nothing_else() {
    for validator in [Validator::ETag, Validator::LastModified] {
        let ground = crawled_once(validator);
        let first = ground.sent_bytes.swap(0, Ordering::Relaxed);
        ground.change(one_night);
        let (done, records) = ground.complete();
        done.says(THAT_NIGHT);
        is_that_night(&records);
        let second = ground.sent_bytes.swap(0, Ordering::Relaxed);
        eprintln!("{validator:?}: {first} bytes, then {second}");
        assert!(second * 20 < first, "{second} of {first} bytes");

        // And a third crawl tells of nothing at all.
        let (done, records) = ground.complete();
        done.says("new 0, changed 0, unchanged 2,005, gone 0");
        assert_eq!(records, BTreeMap::new());
        assert!(!ground.spider_dir().join("checkpoint").exists());
    }
}

#[test]
fn without_validators_the_digest_tells() {
    let ground = crawled_once(Validator::None);
    ground.change(one_night);
    let (done, records) = ground.complete();
    done.says(THAT_NIGHT);
    is_that_night(&records);
}

#[test]
fn killed_at_random_the_second_crawl_comes_to_the_same() {
    let seed = Random::any_seed();
    eprintln!("seed {seed}");
    let mut random = Random(seed);
    let ground = crawled_once(Validator::ETag);
    ground.change(one_night);
    ground.site.latency(Duration::from_millis(2));
    let mut kills = 0;
    let said = loop {
        let asked = ground.site.count();
        let run = ground.crawl().start();
        if kills < 24 {
            ground.site.wait_for(asked + random.below(110) as usize);
        }
        // Near the end, and beyond the last request, at any moment.
        let most_ms = if kills < 24 { 20 } else { 400 };
        let ends = run.ends_within(Duration::from_millis(random.below(most_ms)));
        if ends || kills == 40 {
            break Some(run.wait().code(0));
        }
        match random.below(2) {
            0 => run.signal_group(Signal::Kill),
            _ => run.signal(Signal::Kill),
        }
        // The children of a crawl-run that died alone commit and end by themselves.
        let mut run = run;
        run.wait_all_gone(Duration::from_secs(20));
        kills += 1;
        let checkpoint = ground.spider_dir().join("checkpoint");
        if ground.outputs().len() == 2 && !checkpoint.exists() {
            // Killed when all was done: nobody could say so any more.
            break None;
        }
    };
    eprintln!("killed {kills} times");
    assert!(kills >= 20, "{kills} kills");
    if let Some(done) = said {
        done.says(THAT_NIGHT);
    }
    is_that_night(&ground.records(1));
    let (_, third) = ground.complete();
    assert_eq!(third, BTreeMap::new());
}

/// A small site, crawled once.
fn small(validator: Validator) -> Ground {
    let ground = Ground::new(validator, tree(60));
    ground
        .complete()
        .0
        .says("new 60, changed 0, unchanged 0, gone 0");
    ground
}

/// Pauses a crawl in good order after some pages; what it found is changed or new.
#[track_caller]
fn pause(ground: &Ground) {
    ground.change(|pages| pages.values_mut().for_each(|page| page.0 += 1));
    ground.crawl().args(["--max-pages", "20"]).run().code(4);
}

#[test]
fn a_crawl_that_is_thrown_away_taught_nothing() {
    let ground = small(Validator::ETag);
    let known = fs::read(ground.known()).unwrap();
    pause(&ground);
    assert_eq!(fs::read(ground.known()).unwrap(), known);
    let done = ground.crawl().arg("--fresh").run().code(0);
    done.says("new 0, changed 60, unchanged 0, gone 0");
    assert_eq!(ground.complete().1, BTreeMap::new());
}

#[test]
fn a_test_crawl_neither_reads_nor_writes_what_is_known() {
    let ground = small(Validator::ETag);
    let known = fs::read(ground.known()).unwrap();
    let done = ground.crawl().args(["--limit", "10"]).run().code(0);
    let done = done.prints_lines(10).never_says("unchanged");
    assert!(!done.text().contains("delta"), "{done}");
    fs::remove_dir_all(ground.spider_dir()).unwrap();
    ground.crawl().args(["--limit", "10"]).run().code(0);
    assert!(!ground.spider_dir().exists());
    assert!(!known.is_empty());
}

#[test]
fn what_is_known_can_be_forgotten_or_lost_and_is_learned_anew() {
    let ground = small(Validator::ETag);
    pause(&ground);
    let done = ground.crawl().arg("--reset-deltafetch").run().code(0);
    done.says("forgotten")
        .says("new 60, changed 0, unchanged 0, gone 0");
    fs::remove_dir_all(ground.known().parent().unwrap()).unwrap();
    let (done, records) = ground.complete();
    done.says("new 60, changed 0, unchanged 0, gone 0");
    assert_eq!(records.len(), 60);

    // Lost in the middle of a crawl: the rest is new, and nothing is taken for unchanged.
    pause(&ground);
    fs::remove_file(ground.known()).unwrap();
    let done = ground.crawl().run().code(0);
    done.says("fetched in full").says("unchanged 0, gone 0");
    assert_eq!(ground.records(3).len(), 60);
    assert_eq!(ground.complete().1, BTreeMap::new());
}

#[test]
fn damage_is_refused_with_its_place_and_what_mends_it() {
    let ground = small(Validator::ETag);
    let flip = |file: &Path, at: usize| {
        let mut bytes = fs::read(file).unwrap();
        bytes[at] ^= 1;
        fs::write(file, bytes).unwrap();
    };
    let ckpt = |words: &[&str]| Tool::new("crawl-ckpt").dir(&ground.folder).args(words);
    let sound = "default/shop: sound: no checkpoint, and what is known of 60 pages";
    ckpt(&["verify"]).run().code(0).prints(sound);
    flip(&ground.known(), 1000);
    let damaged = "delta/pages: damaged at byte 64";
    ckpt(&["verify", "shop"]).run().code(65).says(damaged);
    let done = ground.crawl().run().code(65);
    done.says("delta/pages: damaged at byte 64")
        .says("--reset-deltafetch");
    assert!(!ground.spider_dir().join("checkpoint").exists());
    assert_eq!(ground.outputs().len(), 1);
    flip(&ground.known(), 1000);

    pause(&ground);
    ckpt(&["verify"])
        .run()
        .code(0)
        .prints("what is known of 60 pages");
    let learned = ground.spider_dir().join("checkpoint/pages");
    for file in [&learned, &ground.known()] {
        flip(file, 200);
        ckpt(&["verify"])
            .run()
            .code(65)
            .says("pages: damaged at byte 64");
        flip(file, 200);
    }
    let whole = fs::read(&learned).unwrap();
    fs::write(&learned, &whole[..whole.len() - 1]).unwrap();
    let done = ground.crawl().run().code(65);
    done.says(&format!("damaged at byte {}", whole.len() - 1))
        .says("checkpoint kept as it is")
        .never_says("0 records");
    ckpt(&["verify"]).run().code(65);
    fs::write(&learned, whole).unwrap();
    ground.crawl().run().code(0).says("changed 60");
}

#[test]
fn a_resumed_crawl_goes_on_as_it_began() {
    let ground = small(Validator::ETag);
    pause(&ground);
    ground.spider(json!({"settings": {"ROBOTSTXT_OBEY": false}}));
    let done = ground.crawl().run().code(0);
    done.says("began with --delta, and goes on so")
        .says("changed 60");

    ground.crawl().args(["--max-pages", "20"]).run().code(4);
    let done = ground.crawl().arg("--delta").run().code(0);
    let done = done.says("began without --delta, and goes on so");
    done.never_says("unchanged");
    let done = ground.crawl().arg("--delta").run().code(0);
    done.says("new 0, changed 0, unchanged 60, gone 0");
}

#[test]
fn links_are_not_trusted_when_the_scope_changed() {
    let ground = small(Validator::ETag);
    ground.change(|pages| {
        pages.insert("/files/deep.html".into(), (1, Vec::new()));
        let (_, links) = pages.get_mut(&path(7)).unwrap();
        links.push("/files/deep.html".into());
    });
    // The page's validator did not change, but now nobody asks on a condition.
    ground.spider(json!({"rules": [{"allow": ["html$"]}]}));
    ground.site.clear_log();
    let (done, _) = ground.complete();
    done.says("new 1, changed 1, unchanged 59, gone 0");
    let asked = ground.site.log();
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("if-none-match").is_none())
    );
    ground.site.clear_log();
    ground.complete().0.says("unchanged 61");
    let asked = ground.site.log();
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("if-none-match").is_some())
    );
}

#[test]
fn smaller_batches_count_pages_that_did_not_change_too() {
    let ground = small(Validator::ETag);
    let batch = || ground.crawl().args(["--max-pages", "25"]).run();
    batch().code(4);
    batch().code(4);
    batch().code(0).says("unchanged 60");
}

#[test]
fn a_start_url_that_is_asked_again_is_counted_once() {
    let ground = small(Validator::None);
    ground.change(Pages::clear);
    for _ in 0..2 {
        ground.crawl().run().code(1).says("nothing useful");
    }
    let done = ground.crawl().arg("--accept-empty").run().code(0);
    done.says("new 0, changed 0, unchanged 0, gone 60");
}

#[test]
fn pages_that_went_together_with_all_links_to_them_are_gone() {
    let ground = small(Validator::ETag);
    // Page 2 and all below it go, but for page 25, which nobody leads to any more.
    let gone: Vec<String> = [2]
        .into_iter()
        .chain(21..25)
        .chain(26..31)
        .map(path)
        .collect();
    ground.change(|pages| {
        pages.retain(|path, _| !gone.contains(path));
        for (version, links) in pages.values_mut() {
            let before = links.len();
            links.retain(|link| !gone.contains(link) && *link != path(25));
            *version += u32::from(links.len() < before);
        }
    });
    let (done, records) = ground.complete();
    done.says(&format!("gone {}", gone.len()));
    for (path, record) in &records {
        match record["delta"].as_str() {
            Some("gone") => assert!(gone.contains(path) && record["status"] == 404, "{path}"),
            change => assert_eq!(change, Some("changed"), "{path}"),
        }
    }
    assert!(!records.contains_key(&path(25)), "it is as it was");
    assert_eq!(ground.complete().1, BTreeMap::new());
}

#[test]
fn redirects_errors_and_pages_that_come_back_are_told_once() {
    let ground = small(Validator::ETag);
    let target = Arc::new(Mutex::new(path(8)));
    let to = target.clone();
    ground
        .site
        .on(&path(9), move |_| Answer::redirect(&to.lock().unwrap()));
    ground.site.on(&path(8), |_| Answer::status(403));
    let (done, records) = ground.complete();
    done.says("new 0, changed 1, unchanged 58, gone 0");
    assert_eq!(records[&path(9)]["delta"], "changed");
    assert_eq!(records[&path(8)]["status"], 403);
    assert_eq!(records[&path(8)].get("delta"), None);
    assert_eq!(records.len(), 2);

    // The redirect leads to where it led; the page that was refused is the one that is known.
    let pages = ground.pages.clone();
    ground.site.on(&path(8), move |asked| {
        answer(&pages.lock().unwrap(), Validator::ETag, asked)
    });
    assert_eq!(ground.complete().1, BTreeMap::new());
    *target.lock().unwrap() = path(7);
    let (_, records) = ground.complete();
    assert_eq!(records[&path(9)]["delta"], "changed");

    ground.site.on(&path(9), |_| Answer::status(410));
    assert_eq!(ground.complete().1[&path(9)]["delta"], "gone");
    assert_eq!(ground.complete().1, BTreeMap::new());
    ground.site.on(&path(9), |_| Answer::html("again"));
    assert_eq!(ground.complete().1[&path(9)]["delta"], "new");
}

#[test]
fn a_crawl_stopped_between_its_last_page_and_its_end_is_ended_by_the_next_run() {
    let ground = small(Validator::ETag);
    ground.change(|pages| pages.get_mut(&path(5)).unwrap().0 += 1);
    // What is known cannot be written: the crawl is complete, its end is not.
    let in_the_way = ground.spider_dir().join("delta/pages.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let done = ground.crawl().run().code(1);
    done.says("cannot remove").says("pages.tmp");
    let checkpoint = ground.spider_dir().join("checkpoint");
    let copy = ground.folder.join("copy");
    copy_files(&checkpoint, &copy);
    fs::remove_dir(&in_the_way).unwrap();
    let known = fs::read(ground.known()).unwrap();
    let done = ground.crawl().run().code(0);
    done.says("new 0, changed 1, unchanged 59, gone 0");
    assert_eq!(ground.records(1).len(), 1);
    assert_eq!(ground.outputs().len(), 2);

    // Stopped after what it learned was known: only the checkpoint is left to go.
    let after = fs::read(ground.known()).unwrap();
    assert_ne!(after, known);
    copy_files(&copy, &checkpoint);
    ground.site.clear_log();
    let done = ground.crawl().run().code(0);
    done.says("was complete (1 record; new 0, changed 1, unchanged 59, gone 0)");
    assert!(!checkpoint.exists());
    assert_eq!(fs::read(ground.known()).unwrap(), after);
    assert_eq!((ground.site.count(), ground.outputs().len()), (0, 2));
    assert_eq!(ground.complete().1, BTreeMap::new());
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
