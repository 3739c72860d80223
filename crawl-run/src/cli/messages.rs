//! What is said to people and to a monitoring system.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

/// What is told to a monitoring system.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Messages")]
pub struct MetricsArgs {
    /// Keep figures for Prometheus in FILE, rewritten every 15s and at the end
    ///
    /// The text format of node_exporter's textfile collector, for which FILE ends with `.prom`.
    /// Replaced as a whole; what earlier runs left is kept until there is something newer.
    /// Each command needs a FILE of its own; a batch has one for all its crawls. A FILE that
    /// cannot be written, or that holds something else than such figures, is a warning.
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(metrics_file))]
    pub metrics: Option<PathBuf>,
}

fn metrics_file(path: PathBuf) -> Result<PathBuf, &'static str> {
    if path.as_os_str() == "-" {
        Err("a FILE is replaced as a whole, which stdout cannot be")
    } else {
        Ok(path)
    }
}

/// How much is said.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Messages")]
pub struct VerbosityArgs {
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Tell more, such as each URL that failed or is tried again
    ///
    /// Tells more: each URL that fails, is broken (404 …) or is tried again, why and when; what was left out
    /// for any reason, each URL that a cap (depth, traps, pages a host) kept out and why. These lines
    /// and those of the progress begin with the time (UTC) when stderr is no terminal.
    #[arg(short, long)]
    pub verbose: bool,

    /// How lines on stderr are written: for people, or a JSON object each
    ///
    /// `json`: every line of all the tools has `at` (RFC 3339, UTC), `level` (error, warning, info, detail), `tool`
    /// and `message`; `crawl` in a batch; errors may have `hint`. With -v a URL that fails or is tried again
    /// has `url`, `attempts`, `status`, `error`, `why`, `wait_ms`, `referer`. There is no progress bar then. A command line that makes no sense is told in plain words.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}
