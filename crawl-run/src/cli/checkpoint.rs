//! What becomes of an earlier checkpoint, and of what changed since.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// What becomes of a checkpoint that is there.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Checkpoint")]
pub struct CheckpointArgs {
    /// Throw the checkpoint away first
    ///
    /// The unfinished output is renamed to `….partial`.
    #[arg(long)]
    pub fresh: bool,

    /// Forget what --delta knows, and the checkpoint with it
    ///
    /// All pages are new then: for a changed `extract`, or when what is known is damaged.
    #[arg(long)]
    pub reset_deltafetch: bool,

    /// Ask again for the URLs that failed in a finished crawl: FILE, else the newest output
    ///
    /// What failed has an error, a block, or a status of 403, 408, 429 or 500 to 599; what robots.txt forbids has not
    /// failed. Only that is asked for, and what its pages lead to that was never seen is followed as in the
    /// first crawl. The result is a new file, all other records as they were; the old one stays. It
    /// gets its name (crawl_DATE-2.jsonl, or that of -o) when all is done, in one step. This is a crawl of its
    /// own, SPIDER.retry in crawl-ckpt: it may be stopped and killed as any other, and the same
    /// command goes on. Where nothing failed nothing is done, exit 0. FILE may be packed (.gz). Not with
    /// WARC files, and not with --delta, which asks for failed pages the next time by itself.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "",
          conflicts_with_all = ["limit", "reset_deltafetch"], value_parser = clap::value_parser!(OsString))]
    pub retry_failed: Option<OsString>,

    /// What to do when something changed.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// What to do when something changed since the checkpoint, or since the last crawl.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Checkpoint")]
pub struct ChangeArgs {
    /// What to do when start URLs, domains or rules changed since the checkpoint
    ///
    /// `refuse` (exit 2) names what changed; `resume` goes on with the new spider:
    /// what is done stays done, new start URLs are added.
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    pub on_spider_change: OnSpiderChange,

    /// What to do when --proxy-type changed since the checkpoint
    ///
    /// `clear` begins anew, every URL is retried; `retry-blocked` keeps what is done and
    /// retries what was blocked or failed; `keep` retries nothing.
    #[arg(long, value_name = "WHAT", default_value = "clear")]
    pub on_proxy_change: OnProxyChange,

    /// Skip pages that did not change since the last crawl
    ///
    /// As the setting DELTAFETCH_ENABLED. A page that did not change makes no record, its links
    /// are followed all the same; records say `delta`: `new`, `changed` or `gone` (404, 410).
    /// What is known of pages lies in DATA_DIR/PROJECT/SPIDER/delta and changes only when
    /// a crawl is complete. A resumed crawl goes on as it began. A test crawl ignores it.
    #[arg(long)]
    pub delta: bool,
}

/// `--on-spider-change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnSpiderChange {
    /// Exit 2 and name what changed.
    Refuse,
    /// Go on with the new spider.
    Resume,
}

/// `--on-proxy-change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnProxyChange {
    /// Begin anew: every URL is retried.
    Clear,
    /// Retry what was blocked or failed.
    RetryBlocked,
    /// Retry nothing.
    Keep,
}
