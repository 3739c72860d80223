//! Where things lie, where records go, and what is made of them at the end.

use std::path::PathBuf;

use clap::Args;

/// Where things lie.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Places")]
pub struct PlaceArgs {
    /// The project that the spider belongs to [default: default]
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,

    /// Where checkpoints and output lie [default: $CRAWL_DATA_DIR, else ./data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Where records go, and what is in them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Write records to FILE instead of the dated file; - is stdout
    ///
    /// The dated file is DATA_DIR/PROJECT/SPIDER/crawls/crawl_YYYY-MM-DD.jsonl. An
    /// existing FILE is refused unless it is that of the crawl being resumed. What went to
    /// stdout cannot be cut back: after a crash the last batch may be printed again.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Keep the links of each page in its record
    #[arg(long)]
    pub keep_links: bool,

    /// Keep the body of each page in its record
    #[arg(long)]
    pub keep_body: bool,
}

/// What is made of a run at its end.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct AfterArgs {
    /// At the end of the run make a page to look at of what came out of the crawl
    ///
    /// The page of `crawl-ckpt report`, of all records so far, after a pause too. FILE is a new file, or an
    /// earlier page, which is replaced; any other is refused (2) before anything is done. A report that
    /// fails is told on stderr, also with -q, and changes neither the crawl nor the exit code. A signal
    /// while it is made leaves it. The records must go to a file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["check", "explain"])]
    pub report: Option<PathBuf>,

    /// At the end of the run print its summary on stdout, as one JSON object
    ///
    /// What X.summary.json beside the output has, of all runs of the crawl; of a test crawl too. A run that
    /// cannot begin (exit code 2 or 75) prints nothing. Not together with records on stdout.
    #[arg(long, conflicts_with_all = ["check", "explain"])]
    pub json: bool,
}
