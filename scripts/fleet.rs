//! Disturbs crawls that many workers share over a Redis Cluster, and judges them by the output of all and
//! the site's own log. See `scripts/torture --fleet`.
//!
//! A crawl has a number of faults. The site is slow when the crawl is ahead of them, so that it lasts until all
//! have been; then it must end by itself. Of the nodes one is disturbed at a time, as the promise says, and the
//! next one once every shard has its replica again; workers are at any time.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[path = "pause.rs"]
mod pause;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "trouble.rs"]
mod trouble;
#[path = "workers.rs"]
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Answer, Cluster, Folder, Random, Site};
use trouble::Trouble;
use workers::{WORKERS, Workers};

/// Each an address of this machine, and so a domain of its own.
const HOSTS: usize = 40;
/// Faults of one crawl.
const FAULTS: u64 = 20;
/// Pages of a crawl, for each of its faults.
const PAGES: usize = 80;
/// So long a crawl may take once it is left in peace.
const END: Duration = Duration::from_secs(180);

/// What is said at the end.
#[derive(Default)]
pub struct Total {
    faults: BTreeMap<String, u64>,
    crawls: u64,
    pages: usize,
    lost: usize,
    doubled: usize,
    refetched: usize,
    wrong: u64,
    /// Workers that found no store, or their own name in use, when they were started in the middle of a fault.
    refused_starts: u64,
    worst_end: Duration,
}

fn main() {
    let (mut rounds, mut seed, mut copies) = (100, Random::any_seed(), None);
    let mut store = None;
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().unwrap_or_default();
        match (name.as_str(), value.parse().ok()) {
            ("--store", _) => store = Some(value),
            ("--rounds", Some(n)) => rounds = n,
            ("--seed", Some(n)) => seed = n,
            ("--copies", Some(n)) => copies = Some(n),
            _ => panic!("--rounds N, --seed N, --copies N, --store URL; not {name}"),
        }
    }
    say(&format!("seed {seed}"));
    let cluster = match store {
        Some(_) => None,
        None => Some(Cluster::start().unwrap_or_else(|| std::process::exit(1))),
    };
    let url = store.or(cluster.as_ref().map(Cluster::url)).unwrap();
    let mut random = Random(seed);
    let mut total = Total::default();
    let mut left = rounds;
    while left > 0 {
        let faults = left.min(FAULTS);
        left -= faults;
        let store = (&*url, cluster.as_ref(), copies);
        crawl(store, faults, &mut random, &mut total);
    }
    report(seed, rounds, &total);
    let broken = total.lost > 0 || total.doubled > 0 || total.wrong > 0;
    std::process::exit(i32::from(broken));
}

/// A tree over all hosts, one link to each page: a link that is lost is a page that is.
struct Tree {
    site: Site,
    pages: usize,
    /// Faults so far.
    faults: Arc<AtomicU64>,
}

impl Tree {
    fn new(pages: usize, all: u64) -> Tree {
        let (site, faults) = (Site::at("0.0.0.0"), Arc::new(AtomicU64::new(0)));
        let (port, asked) = (site.port(), AtomicU64::new(0));
        let delivered = faults.clone();
        site.otherwise(move |request| {
            let number = request.path.strip_prefix("/page-").map(str::parse::<usize>);
            let Some(Ok(n)) = number.filter(|n| n.as_ref().is_ok_and(|n| *n < pages)) else {
                return Answer::status(404);
            };
            let links = (n * 3 + 1..n * 3 + 4).filter(|child| *child < pages);
            let links = links.map(|child| format!("<a href='{}'>{child}</a>", page(port, child)));
            let due = pages as u64 * (delivered.load(Ordering::SeqCst) + 1) / (all + 1);
            let is_ahead = asked.fetch_add(1, Ordering::SeqCst) >= due;
            let latency = if is_ahead { 1500 } else { 40 };
            Answer::html(links.collect::<String>()).after(Duration::from_millis(latency))
        });
        Tree {
            site,
            pages,
            faults,
        }
    }

    fn urls(&self) -> Vec<String> {
        (0..self.pages).map(|n| page(self.site.port(), n)).collect()
    }

    /// Requests for pages, and pages that were asked for.
    fn asked(&self) -> (usize, usize) {
        let tally = self.site.tally();
        let pages = tally.iter().filter(|(path, _)| path.starts_with("/page-"));
        pages.fold((0, 0), |(all, pages), (_, count)| (all + count, pages + 1))
    }
}

fn page(port: u16, n: usize) -> String {
    format!("http://127.1.1.{}:{port}/page-{n}", n % HOSTS + 1)
}

/// One crawl, from its beginning to the judgement.
fn crawl(
    (url, cluster, copies): (&str, Option<&Cluster>, Option<u64>),
    faults: u64,
    random: &mut Random,
    total: &mut Total,
) {
    let tree = Tree::new(PAGES * faults as usize, faults);
    let folder = Folder::new();
    let hosts: Vec<String> = (1..=HOSTS).map(|n| format!("127.1.1.{n}")).collect();
    let spider = json!({
        "name": "tree",
        "start_urls": [page(tree.site.port(), 0)],
        "allowed_domains": hosts,
        "settings": {
            "CONCURRENT_REQUESTS": 8,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
            "AUTOTHROTTLE_ENABLED": false,
        },
    });
    folder.write("tree.json", spider.to_string());
    // Another one than those that a store may have of earlier runs.
    let crawl_id = format!("c{}-{}", total.crawls + 1, Random::any_seed());
    let mut workers = Workers::new(&folder, (url, cluster, copies), &crawl_id);
    let mut trouble = cluster.map(Trouble::new);
    let mut done = 0;
    let mut in_peace: Option<Instant> = None;
    let mut next = Instant::now() + Duration::from_millis(random.below(3000));
    loop {
        sleep(Duration::from_millis(20));
        trouble.iter_mut().for_each(Trouble::go_on);
        let in_trouble = trouble.as_ref().is_some_and(Trouble::is_on);
        let is_whole = tree.asked().1 == tree.pages;
        workers.go_on(is_whole, in_trouble, total);
        if workers.are_done() {
            break;
        }
        if done == faults {
            let since = *in_peace.get_or_insert_with(Instant::now);
            if since.elapsed() > END {
                total.wrong += 1;
                say(&format!("it does not end:\n{}", workers.so_far()));
                break;
            }
            continue;
        }
        // The last one is for when all pages were asked for.
        let is_last = done + 1 == faults;
        if Instant::now() < next || (is_last && !is_whole && next.elapsed() < END) {
            continue;
        }
        let name = match &mut trouble {
            Some(trouble) if !in_trouble && random.below(2) == 0 => trouble.disturb(random),
            _ => workers.disturb(random),
        };
        // None of the workers was in a state to be disturbed.
        let Some(name) = name else { continue };
        say(&format!("{done}: {name}"));
        tree.faults.fetch_add(1, Ordering::SeqCst);
        *total.faults.entry(name).or_default() += 1;
        done += 1;
        next = Instant::now() + Duration::from_millis(500 + random.below(4000));
    }
    trouble.iter_mut().for_each(Trouble::end);
    if let Some(since) = in_peace {
        total.worst_end = total.worst_end.max(since.elapsed());
    }
    total.crawls += 1;
    if !judge(&tree, &workers, done, total) {
        say(&format!("kept: {}", folder.display()));
        std::mem::forget(folder);
    }
}

/// True when each page has one record in the files of all workers, and nothing else has any.
fn judge(tree: &Tree, workers: &Workers, faults: u64, total: &mut Total) -> bool {
    let mut records: BTreeMap<String, usize> = BTreeMap::new();
    for (url, status) in workers.records() {
        // A page that failed is a page that is not there.
        let url = if status == 200 {
            url
        } else {
            format!("{url} {status}")
        };
        *records.entry(url).or_default() += 1;
    }
    let urls = tree.urls();
    let lost: Vec<&String> = urls
        .iter()
        .filter(|url| !records.contains_key(*url))
        .collect();
    let all: usize = records.values().sum();
    let (doubled, strange) = (all - records.len(), records.len() + lost.len() - urls.len());
    let (requests, pages) = tree.asked();
    let left: Vec<_> = workers.left_behind();
    total.pages += urls.len();
    total.lost += lost.len();
    total.doubled += doubled;
    total.refetched += requests - pages;
    total.wrong += (strange + left.len()) as u64;
    say(&format!(
        "crawl {}: {} pages, {} faults, lost {}, doubled {doubled}, not of the site {strange}, refetched {}, left behind {left:?}",
        total.crawls,
        urls.len(),
        faults,
        lost.len(),
        requests - pages
    ));
    for url in lost.iter().take(10) {
        say(&format!("lost: {url}"));
    }
    lost.is_empty() && doubled + strange + left.len() == 0
}

fn report(seed: u64, rounds: u64, total: &Total) {
    let line = json!({
        "seed": seed,
        "rounds": rounds,
        "workers": WORKERS,
        "faults": total.faults,
        "crawls": total.crawls,
        "pages": total.pages,
        "lost": total.lost,
        "doubled": total.doubled,
        "refetched": total.refetched,
        "wrong_ends": total.wrong,
        "refused_starts": total.refused_starts,
        "worst_end_ms": total.worst_end.as_millis() as u64,
    });
    println!("{line}");
}

/// Says a line on stderr.
pub fn say(text: &str) {
    eprintln!("torture: {text}");
}
