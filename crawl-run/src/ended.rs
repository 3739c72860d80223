//! How a run of a crawl ended, for whoever tells of it.

use std::path::PathBuf;
use std::time::Duration;

use crawl_ckpt::control::Progress;
use crawl_ckpt::summary::CrawlSummary;

use crate::outcome::Outcome;
use crate::place::Output;

/// How a run of a crawl ended.
#[derive(Debug)]
pub struct Ended {
    /// What that means.
    pub outcome: Outcome,
    /// Proxies cost all that they may.
    pub is_costly: bool,
    /// The last figures of the whole crawl.
    pub progress: Progress,
    /// Records of this run.
    pub records_run: u64,
    /// Time of this run.
    pub elapsed: Duration,
    /// Where the records are.
    pub output: Output,
    /// Where the WARC files are, if there are any.
    pub warc: Option<PathBuf>,
    /// The same for programs, of all runs of the crawl.
    pub summary: CrawlSummary,
}
