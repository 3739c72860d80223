//! What became of a crawl that was killed many times: what is lost, doubled, and
//! fetched again, by the output file and the site's own log.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Way;
use super::support::Asked;

/// A result is in a commit after this time at the latest, on a busy machine too: a
/// page that was asked for earlier before a kill must not be asked for again.
const COMMITTED_WITHIN: Duration = Duration::from_secs(2);

/// What a process that was just killed sent may be read by the site only after this time.
const ON_THE_WAY: Duration = Duration::from_millis(500);

/// A kill: its way, and from when to when it had an effect.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    pub way: Way,
    from: Instant,
    to: Instant,
}

impl Kill {
    /// A kill that begins now.
    pub fn new(way: Way) -> Kill {
        let now = Instant::now();
        Kill {
            way,
            from: now,
            to: now,
        }
    }

    /// Its effects last until now: it was delivered, or all that it ended is gone.
    pub fn lasts_until_now(&mut self) {
        self.to = Instant::now();
    }

    /// True when pages that are under way are waited for, so that none is fetched again.
    fn waits(&self) -> bool {
        matches!(self.way, Way::Int | Way::Term)
    }
}

/// The judgement on a crawl, or the sum over all.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Pages without a record, or with another status than 200.
    pub lost: u64,
    /// Records too many.
    pub doubled: u64,
    /// Requests for a page that had been asked for already.
    pub refetched: u64,
    /// The most of them that one kill caused.
    pub worst_refetched: u64,
    /// Those that no kill explains.
    pub needless: u64,
    /// What is to be said of each of those.
    pub notes: Vec<String>,
}

impl Verdict {
    pub fn is_right(&self) -> bool {
        self.lost + self.doubled + self.needless == 0
    }

    pub fn add(&mut self, other: &Verdict) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.refetched += other.refetched;
        self.worst_refetched = self.worst_refetched.max(other.worst_refetched);
        self.needless += other.needless;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "lost {}, doubled {}, refetched {} (needlessly {})",
            self.lost, self.doubled, self.refetched, self.needless
        )
    }
}

/// URL and status of every record in the crawl's output files.
pub fn records(folder: &Path) -> Vec<(String, u64)> {
    let Ok(crawls) = fs::read_dir(folder.join("data/default/torture/crawls")) else {
        return Vec::new();
    };
    let mut records = Vec::new();
    let is_output = |path: &PathBuf| path.extension().is_some_and(|end| end == "jsonl");
    for path in crawls.flatten().map(|entry| entry.path()).filter(is_output) {
        for line in fs::read_to_string(path).unwrap().lines() {
            let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else {
                // The tail of a run that was just killed; a line like this in a complete
                // crawl takes the place of a record, which is then missed.
                continue;
            };
            let url = record["url"].as_str().unwrap_or_default();
            records.push((url.to_owned(), record["status"].as_u64().unwrap_or(0)));
        }
    }
    records
}

/// Judges a complete crawl of these pages.
pub fn verdict(folder: &Path, urls: &[String], log: &[Asked], kills: &[Kill]) -> Verdict {
    let mut verdict = Verdict::default();
    let records = records(folder);
    let right = records.iter().filter(|(_, status)| *status == 200);
    let found: HashSet<&str> = right.map(|(url, _)| url.as_str()).collect();
    verdict.lost = urls
        .iter()
        .filter(|url| !found.contains(url.as_str()))
        .count() as u64;
    let distinct: HashSet<&str> = records.iter().map(|(url, _)| url.as_str()).collect();
    verdict.doubled = (records.len() - distinct.len()) as u64;

    let mut last: HashMap<&str, Instant> = HashMap::new();
    let mut by_kill = vec![0; kills.len()];
    for asked in log.iter().filter(|asked| asked.path != "/robots.txt") {
        let Some(before) = last.insert(&asked.path, asked.at) else {
            continue;
        };
        verdict.refetched += 1;
        match cause(kills, before, asked.at) {
            Some(kill) => by_kill[kill] += 1,
            None => {
                verdict.needless += 1;
                verdict
                    .notes
                    .push(note(kills, &asked.path, before, asked.at));
            }
        }
    }
    verdict.worst_refetched = by_kill.into_iter().max().unwrap_or(0);
    verdict
}

/// Where a needless request lies between the kills.
fn note(kills: &[Kill], path: &str, before: Instant, again: Instant) -> String {
    let kills = kills
        .iter()
        .filter(|kill| kill.to > before && kill.from < again);
    let kills = kills.map(|kill| format!("{:?} after {:?}", kill.way, kill.from - before));
    let kills: Vec<_> = kills.collect();
    format!(
        "{path} again after {:?}; kills: {}",
        again - before,
        kills.join(", ")
    )
}

/// The kill that explains why a page that was asked for at `before` was asked for again
/// at `again`: one between the two, that waits for nothing, and soon after the first.
fn cause(kills: &[Kill], before: Instant, again: Instant) -> Option<usize> {
    kills.iter().position(|kill| {
        let stopped: Duration = kills
            .iter()
            .filter(|stop| stop.way == Way::Stop && stop.from < kill.to && stop.to > before)
            .map(|stop| stop.to - stop.from)
            .sum();
        !kill.waits()
            && kill.way != Way::Stop
            && before < kill.to + ON_THE_WAY
            && again > kill.from
            && kill.from.saturating_duration_since(before) < COMMITTED_WITHIN + stopped
    })
}
