//! Kills crawls at random moments in every way there is, and judges by the site's
//! own log. See `scripts/torture`.
//!
//! One round is one kill. A crawl is run, killed, run again, killed again … until
//! it is complete; then it is judged and the next one starts anew. A run outlives
//! a kill of its fetcher and a stop, and is killed once more then.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "archive.rs"]
mod archive;
#[path = "browsers.rs"]
mod browsers;
#[path = "judge.rs"]
mod judge;
#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use archive::Archive;
use browsers::Browsers;
use judge::{Kill, Verdict};
use serde_json::json;
use support::{Answer, Folder, Random, Running, Signal, Site, Tool, Tree};

/// Requests at once.
const CONCURRENCY: u64 = 16;

/// A way to end or disturb a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// SIGKILL to all of its processes.
    All,
    /// SIGKILL to crawl-run alone.
    Run,
    /// SIGKILL to crawl-frontier alone.
    Frontier,
    /// SIGKILL to crawl-fetch alone.
    Fetch,
    /// SIGSTOP to all, for 3 s, then SIGCONT.
    Stop,
    /// SIGINT to all, as Ctrl+C does.
    Int,
    /// The same twice.
    IntTwice,
    /// SIGTERM to all.
    Term,
    /// SIGKILL to the browser, with --render.
    Browser,
    /// SIGKILL to a process of it that shows pages.
    Tab,
}

/// The last two are for crawls with a browser.
const WAYS: [Way; 10] = [
    Way::All,
    Way::Run,
    Way::Frontier,
    Way::Fetch,
    Way::Stop,
    Way::Int,
    Way::IntTwice,
    Way::Term,
    Way::Browser,
    Way::Tab,
];

/// After these the run goes on.
const GOES_ON: [Way; 4] = [Way::Fetch, Way::Stop, Way::Browser, Way::Tab];

/// What is said at the end.
#[derive(Default)]
struct Total {
    kills: BTreeMap<String, u64>,
    crawls: u64,
    pages: u64,
    verdict: Verdict,
    archive: Archive,
    wrong: u64,
    worst_resume: Duration,
    worst_orphan: Duration,
}

fn main() {
    let (mut rounds, mut pages, mut latency) = (200, 2200, 15);
    let mut seed = Random::any_seed();
    let mut args = std::env::args().skip(1);
    let (mut with_warc, mut with_render) = (false, false);
    while let Some(name) = args.next() {
        if name == "--warc" {
            with_warc = true;
            continue;
        }
        if name == "--render" {
            (with_render, rounds, pages) = (true, 50, 60);
            continue;
        }
        let value = args.next().and_then(|text| text.parse().ok());
        match (name.as_str(), value) {
            ("--rounds", Some(n)) => rounds = n,
            ("--pages", Some(n)) => pages = n,
            ("--latency", Some(n)) => latency = n,
            ("--seed", Some(n)) => seed = n,
            _ => panic!(
                "--warc, --render, --rounds N, --pages N, --latency MS, --seed N; not {name}"
            ),
        }
    }
    say(&format!("seed {seed}"));
    let mut random = Random(seed);
    let tree = Tree {
        pages: pages as usize,
        links_per_page: 8,
    };
    let site = Site::new();
    site.otherwise(move |asked| {
        // Each page has its own latency, so that results come out of order.
        let more = asked.path.len() as u64 * 7919 % (latency + 1);
        let path = asked.path.strip_prefix("/links");
        match tree.answer(path.unwrap_or(&asked.path)) {
            Some(_) if with_render && path.is_none() => Answer::html(browsers::SHELL),
            Some(answer) => answer.after(Duration::from_millis(latency + more)),
            None => Answer::status(404),
        }
    });

    let mut total = Total::default();
    let mut round = 0;
    while round < rounds {
        let mut crawl = Crawl::new(&site, tree, &mut random, (with_warc, with_render));
        while !crawl.is_complete() {
            round += crawl.run(rounds - round, &mut total);
        }
        crawl.judge(&mut total);
    }
    report(seed, rounds, &total);
    let broken = total.wrong
        + total.verdict.lost
        + total.verdict.doubled
        + total.verdict.needless
        + total.archive.astray
        + total.archive.torn;
    std::process::exit(i32::from(broken > 0));
}

/// One crawl, over all its runs.
struct Crawl<'a> {
    site: &'a Site,
    tree: Tree,
    random: &'a mut Random,
    folder: Folder,
    kills: Vec<Kill>,
    complete: bool,
    /// It keeps the pages themselves.
    with_warc: bool,
    /// Its pages are made by scripts.
    with_render: bool,
    browsers: Browsers,
    /// A failure that was said; the folder is kept then.
    wrong: u64,
}

impl<'a> Crawl<'a> {
    fn new(
        site: &'a Site,
        tree: Tree,
        random: &'a mut Random,
        (with_warc, with_render): (bool, bool),
    ) -> Crawl<'a> {
        let folder = Folder::new();
        // The least that there is: files are rolled over now and then.
        let warc = if with_warc {
            json!({"max_size": 1 << 20})
        } else {
            json!(false)
        };
        let spider = json!({
            "name": "torture",
            "warc": warc,
            "render": with_render,
            "start_urls": [site.url("/")],
            "allowed_domains": ["127.0.0.1"],
            "settings": {
                "CONCURRENT_REQUESTS": CONCURRENCY,
                "CONCURRENT_REQUESTS_PER_DOMAIN": CONCURRENCY,
                "AUTOTHROTTLE_ENABLED": false,
            },
        });
        folder.write("torture.json", spider.to_string());
        site.clear_log();
        Crawl {
            site,
            tree,
            random,
            folder,
            kills: Vec::new(),
            complete: false,
            with_warc,
            with_render,
            browsers: Browsers::default(),
            wrong: 0,
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    /// One run with at most so many kills; gives how many there were.
    fn run(&mut self, rounds: u64, total: &mut Total) -> u64 {
        let started = Instant::now();
        let asked_before = self.site.count();
        let kills_before = self.kills.len();
        let resumes = self.has_checkpoint();
        // With little memory journals are settled all the time.
        let memory = *self.random.pick(&["64K", "1G"]);
        let mut run = Tool::new("crawl-run")
            .args(["torture.json", "-v", "--memory", memory])
            .dir(&self.folder);
        if self.with_render {
            run = run.env("TMPDIR", &*self.folder);
            // Root has no sandbox.
            if fs::metadata("/proc/self").unwrap().uid() == 0 {
                run = run.arg("--no-sandbox");
            }
        }
        let run = run.start();
        let mut killed = 0;
        let mut fetchers = 0;
        let mut last = None;
        while killed < rounds && !self.ends_before_the_moment(&run) {
            let known = if self.with_render { 10 } else { 8 };
            let way = *self.random.pick(&WAYS[..known]);
            // A page that brings its tab down twice is given up, which is right but no test.
            let is_of_browser = |way: Way| matches!(way, Way::Browser | Way::Tab);
            let before = self.kills.last().map(|kill| kill.way);
            if is_of_browser(way) && before.is_some_and(is_of_browser) {
                continue;
            }
            // A fourth restart in a minute ends a run, which is right but no test.
            if way == Way::Fetch && fetchers == 3 {
                continue;
            }
            fetchers += u32::from(way == Way::Fetch);
            self.browsers.note(&self.folder);
            let mut kill = Kill::new(way);
            deliver(way, &run, &self.browsers, self.random);
            kill.lasts_until_now();
            self.kills.push(kill);
            *total.kills.entry(format!("{way:?}")).or_default() += 1;
            killed += 1;
            if !GOES_ON.contains(&way) {
                last = Some(way);
                break;
            }
        }
        self.end(run, resumes, last, total);
        // A run that was stopped for 3 s meanwhile tells nothing about resuming.
        let kills = &self.kills[kills_before..];
        let stopped = kills.iter().any(|kill| kill.way == Way::Stop);
        if resumes
            && !stopped
            && let Some(first) = self.site.log().get(asked_before)
        {
            let resume = first.at.duration_since(started);
            total.worst_resume = total.worst_resume.max(resume);
        }
        killed
    }

    /// Waits for the next moment to kill: any, one while a run starts, or one while the
    /// last pages are done and the checkpoint is removed. True when the run ended before.
    fn ends_before_the_moment(&mut self, run: &Running) -> bool {
        let within = match self.random.below(10) {
            0 | 1 => 60,
            2 => {
                while self.site.tally().len() < self.tree.pages {
                    if run.ends_within(Duration::from_millis(2)) {
                        return true;
                    }
                }
                100
            }
            _ => 1500,
        };
        run.ends_within(Duration::from_millis(self.random.below(within)))
    }

    /// Reaps a run and checks its exit code, that nothing is left behind, and that the
    /// checkpoint is there or gone as it should be.
    fn end(&mut self, mut run: Running, resumes: bool, last: Option<Way>, total: &mut Total) {
        let left = run.wait_all_gone(Duration::from_secs(60));
        total.worst_orphan = total.worst_orphan.max(left);
        if let (Some(_), Some(kill)) = (last, self.kills.last_mut()) {
            kill.lasts_until_now();
        }
        let done = run.wait();
        let right: &[i32] = match last {
            None | Some(Way::Fetch | Way::Stop | Way::Browser | Way::Tab) => &[0],
            Some(Way::Frontier) => &[0, 1],
            Some(Way::All | Way::Run) => &[0, 137],
            Some(Way::Int | Way::IntTwice) => &[0, 130],
            Some(Way::Term) => &[0, 143],
        };
        let exit = done.exit();
        let kept = self.has_checkpoint();
        let mut wrong = Vec::new();
        if !right.contains(&exit) {
            wrong.push(format!("exit {exit}, not one of {right:?}"));
        }
        if left > Duration::from_secs(5) {
            wrong.push(format!("a process was left behind for {left:?}"));
        }
        if self.with_render {
            let left = self.browsers.left(&self.folder, Duration::from_secs(5));
            wrong.extend(left.iter().map(|left| format!("left behind: {left}")));
        }
        if exit == 0 && kept {
            wrong.push("exit 0, and the checkpoint is still there".into());
        }
        let records = judge::records(&self.folder);
        // A run that was killed before it made a checkpoint has taken on nothing.
        let had_begun = resumes || !records.is_empty();
        if exit != 0 && exit != 137 && had_begun && !kept {
            wrong.push("not complete, and the checkpoint is gone".into());
        }
        if self.with_warc && kept {
            let verify = Tool::new("crawl-ckpt").args(["verify", "default/torture"]);
            let verified = verify.dir(&self.folder).run();
            if verified.exit() != 0 {
                wrong.push(format!("what was committed is not sound: {verified}"));
            }
        }
        for why in &wrong {
            say(&format!("{why} (last kill: {last:?})\n{done}"));
        }
        self.wrong += wrong.len() as u64;
        // Killed after the checkpoint was removed, it was complete all the same.
        self.complete = exit == 0 || (!kept && !records.is_empty());
        if self.wrong > 20 {
            say("giving up on this crawl");
            self.complete = true;
        }
    }

    fn has_checkpoint(&self) -> bool {
        self.folder.join("data/default/torture/checkpoint").is_dir()
    }

    fn judge(self, total: &mut Total) {
        let urls = self.tree.paths();
        let urls: Vec<String> = urls.iter().map(|path| self.site.url(path)).collect();
        let mut log = self.site.log();
        if self.with_render {
            // Pages wait for the browser, each for another time: how often they are fetched says nothing.
            log.clear();
        }
        let verdict = judge::verdict(&self.folder, &urls, &log, &self.kills);
        total.crawls += 1;
        total.pages += urls.len() as u64;
        let ways: Vec<_> = self.kills.iter().map(|kill| kill.way).collect();
        say(&format!(
            "crawl {}: {} pages, kills {ways:?}, {verdict}",
            total.crawls,
            urls.len()
        ));
        for note in &verdict.notes {
            say(&format!("fetched again needlessly: {note}"));
        }
        let mut archive = Archive::default();
        if self.with_warc {
            archive = archive::judge(&self.folder.join("data/default/torture/crawls"));
            say(&format!(
                "{} answers in {} WARC files, astray {}, torn {}",
                archive.responses, archive.files, archive.astray, archive.torn
            ));
        }
        for note in archive.notes.iter().take(20) {
            say(note);
        }
        total.wrong += self.wrong;
        total.archive.add(&archive);
        if self.wrong > 0 || !verdict.is_right() || !archive.is_right() {
            // Kept: the files, and what the site was asked.
            let log: Vec<_> = self.site.paths();
            self.folder.write("site.log", log.join("\n"));
            say(&format!("kept: {}", self.folder.display()));
            std::mem::forget(self.folder);
        }
        total.verdict.add(&verdict);
    }
}

/// Does it, now.
fn deliver(way: Way, run: &Running, browsers: &Browsers, random: &mut Random) {
    match way {
        Way::All => run.signal_group(Signal::Kill),
        Way::Run => run.signal(Signal::Kill),
        Way::Frontier => run.kill_child("crawl-frontier"),
        Way::Fetch => run.kill_child("crawl-fetch"),
        Way::Stop => {
            run.signal_group(Signal::Stop);
            run.ends_within(Duration::from_secs(3));
            run.signal_group(Signal::Cont);
        }
        Way::Int => run.signal_group(Signal::Int),
        Way::IntTwice => {
            run.signal_group(Signal::Int);
            run.ends_within(Duration::from_millis(random.below(30)));
            run.signal_group(Signal::Int);
        }
        Way::Term => run.signal_group(Signal::Term),
        Way::Browser => browsers.kill(false, random),
        Way::Tab => browsers.kill(true, random),
    }
}

fn report(seed: u64, rounds: u64, total: &Total) {
    let line = json!({
        "seed": seed,
        "rounds": rounds,
        "kills": total.kills,
        "crawls": total.crawls,
        "pages": total.pages,
        "lost": total.verdict.lost,
        "doubled": total.verdict.doubled,
        "refetched": total.verdict.refetched,
        "worst_refetched_per_kill": total.verdict.worst_refetched,
        "refetched_needlessly": total.verdict.needless,
        "wrong_ends": total.wrong,
        "warc_files": total.archive.files,
        "warc_responses": total.archive.responses,
        "warc_astray": total.archive.astray,
        "warc_torn": total.archive.torn,
        "worst_resume_ms": total.worst_resume.as_millis() as u64,
        "worst_orphan_ms": total.worst_orphan.as_millis() as u64,
    });
    println!("{line}");
}

/// Says a line on stderr.
fn say(text: &str) {
    eprintln!("torture: {text}");
}
