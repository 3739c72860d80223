//! `crawl-run batch`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use crawl_ckpt::limits::{self, count};
use crawl_ckpt::tool::parse_duration;

use super::reach::parse_amount;
use super::{ChangeArgs, FetchArgs, MetricsArgs, PaceArgs, PlaceArgs, ReachArgs, VerbosityArgs};

pub(super) const BATCH_EXAMPLES: &str = "\
Examples:
  A list of sites, four at once:
    printf '%s\\n' url https://a.example/ https://b.example/ >sites.csv
    crawl-run batch sites.csv --jobs 4

  How far is it?
    crawl-run batch sites.csv --status

  For Prometheus, and for programs:
    crawl-run batch sites.csv --metrics /var/lib/node_exporter/sites.prom --json >>sites.jsonl";

/// A list of crawls.
#[derive(Debug, Clone, Args)]
pub struct BatchArgs {
    /// Start URLs and spider files: one a line, CSV, JSON or JSON lines; - is stdin
    ///
    /// In a plain list blank lines and those that begin with # say nothing; a spider file ends in
    /// .json. CSV has a header with `url` or `spider`, and may have `priority` and `project`. JSON
    /// is an array, JSON lines one item a line, of the same fields or of plain strings. A spider
    /// file's path is relative to the list. Higher priority goes first. A list from stdin is the
    /// same batch when it says the same.
    #[arg(value_name = "LIST")]
    pub list: PathBuf,

    /// Crawls at once
    #[arg(short, long, value_name = "N", default_value_t = limits::BATCH_JOBS.default, value_parser = count(limits::BATCH_JOBS.within))]
    pub jobs: u32,

    /// How often a crawl that failed is tried again
    #[arg(long, value_name = "N", default_value_t = limits::BATCH_RETRIES.default, value_parser = count(limits::BATCH_RETRIES.within))]
    pub retries: u32,

    /// Pause everything after DUR; exit 4
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub max_time: Option<Duration>,

    /// Stop in good order before proxies have cost all crawls together more than this; exit 4
    ///
    /// Counts the batch, over all of its runs; the next batch begins with nothing spent. Crawls at once share
    /// what is left, and one that stopped for that goes on when others did not need theirs. Sites that need
    /// no such proxy are crawled in any case. The same command with a higher amount goes on.
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount)]
    pub max_cost: Option<u64>,

    /// Begin the batch anew; checkpoints of its crawls stay
    #[arg(long)]
    pub restart: bool,

    /// Say how far the batch is, and do nothing
    #[arg(long, conflicts_with = "restart")]
    pub status: bool,

    /// A JSON line a site on stdout, at its end or with --status
    #[arg(long)]
    pub json: bool,

    /// Where the batch lies.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// How far each crawl goes.
    #[command(flatten)]
    pub reach: ReachArgs,

    /// What to do when something changed.
    #[command(flatten)]
    pub change: ChangeArgs,

    /// Pace and manners.
    #[command(flatten)]
    pub pace: PaceArgs,

    /// What is asked of crawl-fetch.
    #[command(flatten)]
    pub fetch: FetchArgs,

    /// What is told to a monitoring system.
    #[command(flatten)]
    pub metrics: MetricsArgs,

    /// How much is said.
    #[command(flatten)]
    pub verbosity: VerbosityArgs,
}
