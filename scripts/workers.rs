//! The workers of a crawl: started, disturbed, started again, and judged by how they end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::pause::Pause;
use super::support::{Cluster, Folder, Random, Running, Signal, Tool};
use super::{Total, say};

/// So many share a crawl.
pub const WORKERS: usize = 3;
/// A worker that finds the store in trouble when it begins says so within this time.
const BEGINS: Duration = Duration::from_secs(30);

/// Said by a worker that takes part from now on.
const BEGUN: &str = "each commit is on";

/// The faults of workers.
const WAYS: [Way; 9] = [
    Way::All,
    Way::Run,
    Way::Frontier,
    Way::Fetch,
    Way::Stop,
    Way::Long,
    Way::Term,
    Way::Cut,
    Way::Pause,
];
/// Those that a crawl has once at least, if it has faults enough.
const OWED: [Way; 2] = [Way::Pause, Way::Cut];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// SIGKILL to all of its processes.
    All,
    /// SIGKILL to crawl-run alone.
    Run,
    /// SIGKILL to crawl-frontier alone.
    Frontier,
    /// SIGKILL to crawl-fetch alone.
    Fetch,
    /// SIGSTOP to all, then SIGCONT before a lease is over …
    Stop,
    /// … and after.
    Long,
    /// SIGTERM: it is to leave in good order.
    Term,
    /// Nothing that it sends reaches the store before its leases are over, and then all of it does.
    Cut,
    /// `crawl-ckpt pause`: all of them are to end, until `crawl-ckpt resume`.
    Pause,
}

struct Worker {
    name: String,
    running: Option<Running>,
    started: Instant,
    /// When it is to be started again.
    due: Instant,
    /// What ends its run.
    last: Option<Way>,
    stopped_until: Option<Instant>,
    /// Its frontier is cut off from the store until then.
    cut: Option<(u32, Instant)>,
    was_cut: bool,
    /// It ran while a pause may have been in force.
    may_be_paused: bool,
    fetchers_killed: u32,
    is_done: bool,
}

/// All workers of a crawl.
pub struct Workers<'a> {
    folder: &'a Path,
    /// The store, where it is ours.
    cluster: Option<&'a Cluster>,
    url: String,
    crawl_id: String,
    copies: Option<u64>,
    all: Vec<Worker>,
    pause: Pause,
    owed: Vec<Way>,
}

impl<'a> Workers<'a> {
    pub fn new(
        folder: &'a Folder,
        (url, cluster, copies): (&str, Option<&'a Cluster>, Option<u64>),
        crawl_id: &str,
    ) -> Workers<'a> {
        let now = Instant::now();
        let worker = |n| Worker {
            name: format!("w{n}"),
            running: None,
            started: now,
            // The last one joins later.
            due: now + Duration::from_secs(if n == WORKERS { 5 } else { 0 }),
            last: None,
            stopped_until: None,
            cut: None,
            was_cut: false,
            may_be_paused: false,
            fetchers_killed: 0,
            is_done: false,
        };
        Workers {
            folder,
            cluster,
            url: url.to_owned(),
            crawl_id: crawl_id.to_owned(),
            copies,
            all: (1..=WORKERS).map(worker).collect(),
            pause: Pause::new(),
            owed: OWED.to_vec(),
        }
    }

    /// True when all have ended well.
    pub fn are_done(&self) -> bool {
        self.all.iter().all(|worker| worker.is_done)
    }

    /// Starts those whose time has come, and looks after those that ended. `is_whole`: every page was asked
    /// for. `in_trouble`: the store is.
    pub fn go_on(&mut self, is_whole: bool, in_trouble: bool, total: &mut Total) {
        let now = Instant::now();
        self.go_on_with_pause(total);
        for at in 0..self.all.len() {
            let worker = &mut self.all[at];
            if let Some((pid, _)) = worker.cut.take_if(|(_, until)| now >= *until) {
                let held = self.cluster.map_or(0, |store| store.let_through(pid));
                if held == 0 {
                    total.wrong += 1;
                    say(&format!("{} was not cut off", worker.name));
                }
            }
            if worker.stopped_until.is_some_and(|until| now >= until) {
                worker.stopped_until = None;
                if let Some(run) = &worker.running {
                    run.signal_group(Signal::Cont);
                }
            }
            let ended = worker.running.take_if(|run| run.status().is_some());
            if let Some(run) = ended {
                worker.judge_end(run, is_whole, in_trouble, total);
            }
            let is_due = now >= worker.due && !self.pause.is_over_soon();
            if !worker.is_done && worker.running.is_none() && is_due {
                let tool = self.tool(at);
                let worker = &mut self.all[at];
                worker.running = Some(tool.start());
                worker.started = now;
                worker.last = None;
                worker.was_cut = false;
                worker.may_be_paused = self.pause.is_on();
                worker.fetchers_killed = 0;
            }
        }
    }

    fn go_on_with_pause(&mut self, total: &mut Total) {
        let ckpt = self.ckpt();
        let somebody_works = self.all.iter().any(|worker| worker.running.is_some());
        if let Err(wrong) = self.pause.go_on(somebody_works, ckpt) {
            total.wrong += 1;
            say(&format!("{wrong}\n{}", self.so_far()));
        }
    }

    /// Commands of crawl-ckpt about the crawl.
    fn ckpt(&self) -> impl Fn(&str) -> Tool + use<> {
        let (folder, url) = (self.folder.to_owned(), self.url.clone());
        let name = format!("default/tree/{}", self.crawl_id);
        move |verb| {
            let ckpt = Tool::new("crawl-ckpt").dir(&folder);
            ckpt.args(["--store", &url, verb, &name])
        }
    }

    fn tool(&self, at: usize) -> Tool {
        let name = &self.all[at].name;
        let copies = self.copies.map(|copies| format!("--copies={copies}"));
        Tool::new("crawl-run")
            .dir(self.folder)
            .args(["tree.json", "--store", &self.url, "--worker", name])
            .args(["--crawl-id", &self.crawl_id, "--data-dir", name, "-v"])
            .args(copies)
    }

    /// Does something to a worker; says what. `None` when there was nobody to do it to.
    pub fn disturb(&mut self, random: &mut Random) -> Option<String> {
        let way = if !self.owed.is_empty() && random.below(2) == 0 {
            *random.pick(&self.owed)
        } else {
            *random.pick(&WAYS)
        };
        let name = match way {
            Way::Pause => self.disturb_all(random),
            way => self.disturb_one(way, random),
        };
        if name.is_some() {
            self.owed.retain(|owed| *owed != way);
        }
        name
    }

    /// Has all of them end.
    fn disturb_all(&mut self, random: &mut Random) -> Option<String> {
        if self.pause.is_on() || self.all.iter().any(|worker| worker.is_done) {
            return None;
        }
        for worker in &mut self.all {
            worker.may_be_paused = true;
        }
        let lasts = Duration::from_millis(500 + random.below(2500));
        self.pause.begin(lasts, self.ckpt());
        say(&format!("pause of all for {lasts:.1?}"));
        Some("worker Pause".to_owned())
    }

    fn disturb_one(&mut self, way: Way, random: &mut Random) -> Option<String> {
        let at = random.below(WORKERS as u64) as usize;
        let worker = &mut self.all[at];
        let run = worker.running.as_ref()?;
        let is_busy =
            worker.stopped_until.is_some() || worker.cut.is_some() || worker.last.is_some();
        // A fourth restart of the fetcher in a minute ends a run, which is right but no test.
        if is_busy || way == Way::Fetch && worker.fetchers_killed == 3 {
            return None;
        }
        match way {
            Way::All => run.signal_group(Signal::Kill),
            Way::Run => run.signal(Signal::Kill),
            Way::Frontier => run.kill_child("crawl-frontier"),
            Way::Fetch => {
                worker.fetchers_killed += 1;
                run.kill_child("crawl-fetch");
            }
            Way::Stop | Way::Long => {
                run.signal_group(Signal::Stop);
                let least = if way == Way::Long { 6500 } else { 200 };
                let time = Duration::from_millis(least + random.below(4000));
                worker.stopped_until = Some(Instant::now() + time);
            }
            Way::Term => run.signal_group(Signal::Term),
            Way::Cut => {
                let store = self.cluster.filter(|_| run.stderr().contains(BEGUN))?;
                let pid = *run.children_named("crawl-frontier").first()?;
                store.cut_off_client(pid);
                let time = Duration::from_millis(6500 + random.below(4000));
                worker.cut = Some((pid, Instant::now() + time));
                worker.was_cut = true;
            }
            // It is of all.
            Way::Pause => return None,
        }
        if !matches!(way, Way::Fetch | Way::Stop | Way::Long | Way::Cut) {
            worker.last = Some(way);
            // Now and then long enough that others take over.
            let least = *random.pick(&[0, 0, 8000]);
            worker.due = Instant::now() + Duration::from_millis(least + random.below(1000));
        }
        say(&format!("{way:?} of {}", worker.name));
        Some(format!("worker {way:?}"))
    }

    /// URL and status of every record in all files.
    pub fn records(&self) -> Vec<(String, u64)> {
        let mut records = Vec::new();
        for path in self.outputs() {
            for line in fs::read_to_string(path).unwrap().lines() {
                // A line that is none stands for a record, which is then missed.
                let record: Value = serde_json::from_str(line).unwrap_or_default();
                let url = record["url"].as_str().unwrap_or(line);
                records.push((url.to_owned(), record["status"].as_u64().unwrap_or(0)));
            }
        }
        records
    }

    /// Files that no complete crawl leaves.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        let outputs = self.outputs();
        let mut left = Vec::new();
        for worker in &self.all {
            let place = self.folder.join(&worker.name).join("default/tree");
            for dir in ["crawls", "fleet"] {
                let entries = fs::read_dir(place.join(dir)).into_iter().flatten();
                let paths = entries.map(|entry| entry.unwrap().path());
                let is_kept = |path: &PathBuf| {
                    let end = path.extension().and_then(|end| end.to_str());
                    outputs.contains(path) || matches!(end, Some("lock" | "json"))
                };
                left.extend(paths.filter(|path| !is_kept(path)));
            }
        }
        left
    }

    fn outputs(&self) -> Vec<PathBuf> {
        let output = |worker: &Worker| {
            let name = format!("crawl_{}.{}.jsonl", self.crawl_id, worker.name);
            let crawls = self.folder.join(&worker.name).join("default/tree/crawls");
            crawls.join(name)
        };
        let outputs = self.all.iter().map(output);
        outputs.filter(|path| path.exists()).collect()
    }

    /// What those that run have said.
    pub fn so_far(&self) -> String {
        let running = self.all.iter().filter_map(|worker| worker.running.as_ref());
        let said: Vec<String> = running.map(Running::so_far).collect();
        said.join("\n")
    }
}

impl Worker {
    fn judge_end(&mut self, mut run: Running, is_whole: bool, in_trouble: bool, total: &mut Total) {
        let left = run.wait_all_gone(Duration::from_secs(60));
        let done = run.wait();
        let last = self.last;
        // All requests had been answered when it left, or it was ended on the way.
        let mut right = match last {
            None => vec![0],
            Some(Way::Frontier) => vec![0, 1],
            Some(Way::Term) => vec![0, 143],
            Some(_) => vec![0, 137],
        };
        if self.may_be_paused {
            right.push(4);
        }
        let exit = done.exit();
        let mut wrong = Vec::new();
        // Whoever begins needs all of the store, and his name: the next try has them.
        let is_early = self.started.elapsed() < BEGINS && [1, 75].contains(&exit);
        if last.is_none() && is_early && (in_trouble || self.was_cut || exit == 75) {
            total.refused_starts += 1;
            self.due = Instant::now() + Duration::from_secs(1);
            say(&format!("{} was refused: {}", self.name, done.words()));
        } else if last.is_none() && exit == 4 && self.may_be_paused {
            self.due = Instant::now() + Duration::from_secs(1);
        } else if !right.contains(&exit) {
            wrong.push(format!("exit {exit}, not one of {right:?}"));
        }
        if exit == 0 && !is_whole {
            wrong.push("exit 0 before all pages were asked for".into());
        }
        if left > Duration::from_secs(10) {
            wrong.push(format!("a process was left behind for {left:?}"));
        }
        for why in &wrong {
            say(&format!("{}: {why} (last: {last:?})\n{done}", self.name));
        }
        total.wrong += wrong.len() as u64;
        self.is_done = exit == 0;
        self.stopped_until = None;
        if total.wrong > 20 {
            say("giving up on this crawl");
            self.is_done = true;
        }
    }
}
