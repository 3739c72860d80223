//! What of a crawl is not in its records and would go with its checkpoint: a file beside the
//! output, replaced at the end of each run.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::control::{Counts, Progress};
use crate::durable::{Disk, Links, RealDisk, beside, open_file, parent, publish, remove_if_there};
use crate::fleet::add_progress;

/// The version that this library writes.
pub const VERSION: u32 = 1;

/// So many runs are kept one by one, the last ones.
const MOST_RUNS: usize = 1000;

/// Every summary begins so; nothing else is ever replaced.
const SIGN: &[u8] = b"{\"summary\":";

/// A longer file is none of ours.
const MOST_BYTES: u64 = 64 << 20;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Nothing is pending.
    Complete,
    /// Paused by a signal.
    Paused,
    /// Stopped at a limit of the run.
    Stopped,
    /// Hosts wait for a decision.
    Parked,
    /// Ended without success.
    Failed,
    /// In a way that a later version knows.
    #[default]
    #[serde(other)]
    Other,
}

impl RunState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            RunState::Complete => "complete",
            RunState::Paused => "paused",
            RunState::Stopped => "stopped",
            RunState::Parked => "parked",
            RunState::Failed => "failed",
            RunState::Other => "other",
        }
    }
}

/// One run of a crawl.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrawlRun {
    /// RFC 3339, UTC.
    pub began_at: String,
    /// RFC 3339, UTC.
    pub ended_at: String,
    /// How it ended.
    pub state: RunState,
    /// The exit code.
    pub exit: u8,
    /// Why, of one that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Output records that it made.
    pub records: u64,
}

/// What is told of a crawl beside its records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CrawlSummary {
    /// The version of this file: [`VERSION`].
    pub summary: u32,
    /// Name and version of the tool that wrote it.
    pub tool: String,
    /// `project/spider`.
    pub crawl: String,
    /// How its last run ended.
    pub state: RunState,
    /// When the crawl began: RFC 3339, UTC. Another value is another crawl.
    pub began_at: String,
    /// When its last run ended: RFC 3339, UTC.
    pub ended_at: String,
    /// Time of all runs that are told of here, in milliseconds.
    pub elapsed_ms: u64,
    /// The output's name; the file lies in the same directory. Absent when records went to stdout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The name of the directory of its WARC files, in the same place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warc: Option<String>,
    /// Of a crawl that many machines share: `PROJECT/SPIDER/ID`, and what tells it from another of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// The figures of all workers together, once such a crawl is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<Box<Progress>>,
    /// The figures of the whole crawl; of one that many machines share, those of one worker's runs.
    #[serde(flatten)]
    pub progress: Progress,
    /// How many runs are told of: those that were killed could not tell.
    pub runs_total: u64,
    /// The last 1,000 of them, in order.
    pub runs: Vec<CrawlRun>,
}

impl CrawlSummary {
    /// Adds the runs that an earlier summary of the same crawl tells of, before its own.
    pub fn follow(&mut self, earlier: CrawlSummary) {
        if earlier.began_at != self.began_at || earlier.output != self.output {
            return;
        }
        self.elapsed_ms = self.elapsed_ms.saturating_add(earlier.elapsed_ms);
        self.runs_total += earlier.runs_total;
        let own = std::mem::replace(&mut self.runs, earlier.runs);
        self.runs.extend(own);
        let excess = self.runs.len().saturating_sub(MOST_RUNS);
        self.runs.drain(..excess);
    }

    /// The same of a worker, whose figures are those of its runs: they add up.
    pub fn follow_worker(&mut self, earlier: CrawlSummary) {
        if earlier.shared != self.shared || earlier.output != self.output {
            return;
        }
        let mut before = earlier.progress.clone();
        let counts = &mut before.counts;
        // What was left then is left or finished now.
        *counts = Counts {
            seen: counts.done + counts.failed,
            done: counts.done,
            failed: counts.failed,
            ..Counts::default()
        };
        (before.records_run, before.hosts) = (0, 0);
        before.forget_parked();
        add_progress(&mut self.progress, before);
        self.began_at.clone_from(&earlier.began_at);
        self.follow(earlier);
    }

    /// The summary of a complete crawl made of those of its workers, for the one file `output` of so many
    /// records. `None` when they are of several crawls, or do not tell of all these records.
    pub fn of_all(workers: &[CrawlSummary], output: &Path, records: u64) -> Option<CrawlSummary> {
        let last = workers
            .iter()
            .filter(|of| of.whole.is_some())
            .max_by_key(|of| &of.ended_at)?;
        let whole = last.whole.as_deref().filter(|of| of.records == records)?;
        if last.shared.is_none() || workers.iter().any(|of| of.shared != last.shared) {
            return None;
        }
        let mut all = CrawlSummary {
            progress: whole.clone(),
            whole: None,
            output: Some(output.file_name()?.to_string_lossy().into_owned()),
            began_at: workers.iter().map(|of| &of.began_at).min()?.clone(),
            elapsed_ms: workers.iter().map(|of| of.elapsed_ms).sum(),
            runs_total: workers.iter().map(|of| of.runs_total).sum(),
            runs: workers.iter().flat_map(|of| of.runs.clone()).collect(),
            ..last.clone()
        };
        all.runs.sort_by(|a, b| a.began_at.cmp(&b.began_at));
        let excess = all.runs.len().saturating_sub(MOST_RUNS);
        all.runs.drain(..excess);
        Some(all)
    }

    /// True when it is of the crawl that wrote this output, whatever became of that name since.
    pub fn is_of(&self, output: &Path) -> bool {
        self.output.as_deref().map(OsString::from) == Some(plain_name(output).0)
    }

    /// One line of JSON.
    ///
    /// # Errors
    /// None that a summary of ours has.
    pub fn to_line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }

    /// Puts it into its file, durably, in the place of an earlier one.
    ///
    /// # Errors
    /// Those of the file system; something else has the name.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        if !is_ours_or_free(path)? {
            return Err(io::Error::other("it is there already and is no summary"));
        }
        if let Err(error) = publish(&RealDisk, path, &self.to_line()?) {
            // What is left of it is of no use, and what failed is told.
            let _ = remove_if_there(&RealDisk, &beside(path, ".tmp"));
            return Err(error);
        }
        RealDisk.sync_dir(parent(path))
    }

    /// Reads one; `None` when there is none.
    ///
    /// # Errors
    /// Those of the file system; a file that is no summary, or one of a later version.
    pub fn read(path: &Path) -> io::Result<Option<CrawlSummary>> {
        let file = match open_file(path, false, Links::Refused) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut text)?;
        let read: CrawlSummary = serde_json::from_slice(&text)?;
        match read.summary {
            1..=VERSION => Ok(Some(read)),
            version => Err(io::Error::other(format!("version {version} is not known"))),
        }
    }
}

fn is_ours_or_free(path: &Path) -> io::Result<bool> {
    let mut begin = Vec::new();
    match open_file(path, false, Links::Refused) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(true),
        file => file?.take(SIGN.len() as u64).read_to_end(&mut begin)?,
    };
    Ok(begin.is_empty() || begin == SIGN)
}

/// Where the summary of the crawl lies that wrote this output: `crawls/X.summary.json` for
/// `crawls/X.jsonl`, also when that was compressed since. An unfinished output's `….partial` has
/// one with the same end.
pub fn summary_of(output: &Path) -> PathBuf {
    let (name, aside) = plain_name(output);
    let mut stem = Path::new(&name).file_stem().unwrap_or_default().to_owned();
    stem.push(".summary.json");
    stem.push(aside);
    output.with_file_name(stem)
}

/// The name that a crawl gave its output, and what it got behind it when it was put aside.
fn plain_name(output: &Path) -> (OsString, String) {
    let name = output.file_name().unwrap_or_default();
    let Some(text) = name.to_str() else {
        return (name.to_owned(), String::new());
    };
    let is_aside = |end: &str| {
        let number = end.strip_prefix('-').unwrap_or("0");
        end.is_empty() || !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    };
    let packed = ["gz", "zst", "xz", "bz2", "lz4", "lzma"];
    let text = match text.rsplit_once('.') {
        Some((rest, end)) if packed.contains(&end) => rest,
        _ => text,
    };
    match text.rsplit_once(".partial") {
        Some((rest, end)) if is_aside(end) => (rest.into(), format!(".partial{end}")),
        _ => (text.into(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_lies_beside_its_output_whatever_that_was_made_of() {
        for (output, summary) in [
            (
                "c/crawl_2026-11-26.jsonl",
                "c/crawl_2026-11-26.summary.json",
            ),
            ("c/x-2.jsonl.gz", "c/x-2.summary.json"),
            ("c/x.jsonl.partial", "c/x.summary.json.partial"),
            ("c/x.jsonl.partial-2", "c/x.summary.json.partial-2"),
            ("c/x.jsonl.partial.zst", "c/x.summary.json.partial"),
            ("out", "out.summary.json"),
        ] {
            assert_eq!(summary_of(Path::new(output)), Path::new(summary));
        }
        let of = CrawlSummary {
            output: Some("x.jsonl".into()),
            ..CrawlSummary::default()
        };
        assert!(of.is_of(Path::new("d/x.jsonl.partial-3.gz")));
        assert!(!of.is_of(Path::new("d/x.json")));
    }

    #[test]
    fn runs_follow_those_of_the_same_crawl_and_of_no_other() {
        let one = |began_at: &str| CrawlSummary {
            summary: VERSION,
            began_at: began_at.into(),
            elapsed_ms: 5,
            runs_total: 1,
            runs: vec![CrawlRun::default()],
            ..CrawlSummary::default()
        };
        let mut last = one("a");
        last.follow(one("b"));
        assert_eq!((last.runs_total, last.runs.len()), (1, 1));
        last.follow(CrawlSummary {
            runs_total: 2000,
            runs: vec![CrawlRun::default(); MOST_RUNS],
            ..one("a")
        });
        assert_eq!((last.runs_total, last.elapsed_ms), (2001, 10));
        assert_eq!(last.runs.len(), MOST_RUNS);
    }

    #[test]
    fn workers_add_up_and_the_figures_of_all_are_those_of_the_store() {
        let worker = |name: &str, records: u64| CrawlSummary {
            summary: VERSION,
            shared: Some("p/s/1 a".into()),
            began_at: name.into(),
            output: Some(format!("crawl_1.{name}.jsonl")),
            progress: Progress {
                records,
                counts: Counts {
                    done: records,
                    pending: 9,
                    ..Counts::default()
                },
                ..Progress::default()
            },
            runs_total: 1,
            runs: vec![CrawlRun::default()],
            ..CrawlSummary::default()
        };
        let mut again = worker("a", 5);
        again.follow_worker(worker("a", 7));
        assert_eq!((again.progress.records, again.runs_total), (12, 2));
        assert_eq!(again.progress.counts.pending, 9);
        let whole = Progress {
            records: 20,
            ..Progress::default()
        };
        again.whole = Some(Box::new(whole.clone()));
        let output = Path::new("d/all.jsonl");
        let two = [again, worker("b", 8)];
        let all = CrawlSummary::of_all(&two, output, 20).unwrap();
        assert_eq!((&all.progress, all.runs.len()), (&whole, 3));
        assert!(all.is_of(output) && all.whole.is_none());
        // A file that lacks a worker's records is not that crawl.
        assert_eq!(CrawlSummary::of_all(&two, output, 12), None);
        let mut other = worker("b", 8);
        other.shared = Some("p/s/1 b".into());
        let mixed = [two[0].clone(), other];
        assert_eq!(CrawlSummary::of_all(&mixed, output, 20), None);
    }

    #[test]
    fn nothing_but_a_summary_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.summary.json");
        let mut summary = CrawlSummary {
            summary: VERSION,
            ..CrawlSummary::default()
        };
        assert_eq!(CrawlSummary::read(&path).unwrap(), None);
        for records in [1, 2] {
            summary.progress.records = records;
            summary.write(&path).unwrap();
            assert_eq!(CrawlSummary::read(&path).unwrap().unwrap(), summary);
        }
        std::fs::write(&path, "{\"mine\": 1}").unwrap();
        assert!(summary.write(&path).is_err());
        assert!(CrawlSummary::read(&path).is_err());
    }
}
