//! The command line.

mod batch;
mod checkpoint;
mod messages;
mod output;
mod reach;
mod requests;
mod store;

use std::fmt::Display;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use batch::BATCH_EXAMPLES;
pub use batch::BatchArgs;
pub use checkpoint::{ChangeArgs, CheckpointArgs, OnProxyChange, OnSpiderChange};
pub use messages::{LogFormat, MetricsArgs, VerbosityArgs};
pub use output::{AfterArgs, OutputArgs, PlaceArgs};
pub use reach::{LimitArgs, ReachArgs};
pub use requests::{FetchArgs, PaceArgs};
pub use store::StoreArgs;

const EXAMPLES: &str = "\
Examples:
  Crawl a site; Ctrl+C pauses, and the same command goes on:
    crawl-run https://site.example/

  One part of a site, three links deep; several sites in one crawl:
    crawl-run https://site.example/docs/ --no-parent --depth 3
    crawl-run https://a.example/ https://b.example/

  Try a spider on ten pages first, without a checkpoint:
    crawl-run shop.json --limit 10 | jq -c '[.status, .url]'

  Every night for at most six hours, from cron; mails only errors:
    17 2 * * *  cd /srv/crawl && crawl-run shop.json --max-time 6h -q

  What failed, and why:
    jq -r 'select(.error) | [.error.kind, .url] | @tsv' data/default/shop/crawls/*.jsonl";

const INIT_EXAMPLES: &str = "\
Examples:
  Write one, try it, crawl:
    crawl-run init https://docs.example/guide/ guide.json
    crawl-run guide.json --limit 10
    crawl-run guide.json";

/// Crawls a site: a new crawl, or the rest of one that was paused.
///
/// Without --limit a crawl has a checkpoint. Ctrl+C pauses it and the same
/// command goes on; a complete crawl removes its checkpoint.
///
/// Exit codes: 0 complete; 1 failed, or no start URL gave a page; 2 usage, or the spider changed; 3 hosts
/// wait for a costlier proxy to be approved; 4 stopped at --max-time,
/// --max-pages or --max-cost, or the crawl in a store is paused; 65 the checkpoint or the store's part of it is damaged;
/// 75 another run holds it, or is this worker; 130, 143, 129 paused by SIGINT, SIGTERM, SIGHUP.
#[derive(Debug, Parser)]
#[command(name = "crawl-run", version, max_term_width = 100, after_long_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// Something else than one crawl.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// A spider file (.json), or start URLs; - reads start URLs from stdin
    ///
    /// A start URL means a spider that is named after the host (and the port when it
    /// is not the default) and stays on that host. Several are one crawl, named after the first, which
    /// stays on all of their hosts. From stdin they come one a line; blank lines and those that begin
    /// with # say nothing.
    #[arg(value_name = "SPIDER", required_unless_present = "print_schema", value_hint = ValueHint::AnyPath)]
    pub spider: Vec<String>,

    /// Check the spider and print what would be done
    ///
    /// Nothing is fetched or written. Exit 2 names what is wrong by its JSON path.
    #[arg(long)]
    pub check: bool,

    /// Say whether URL belongs to the crawl, and if not, why
    ///
    /// Where there is a checkpoint also where the URL was found and what became of it. Nothing
    /// is fetched or written; exit 0 whatever the answer is.
    #[arg(long, value_name = "URL", conflicts_with = "check")]
    pub explain: Option<String>,

    /// Print the JSON Schema of spider files
    #[arg(long, exclusive = true)]
    pub print_schema: bool,

    /// What is made of the run at its end.
    #[command(flatten)]
    pub after: AfterArgs,

    /// Where machines meet that crawl it together.
    #[command(flatten)]
    pub store: StoreArgs,

    /// How it is crawled.
    #[command(flatten)]
    pub crawl: CrawlArgs,
}

/// Something else than one crawl.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Crawl the sites of a list, each with a checkpoint of its own
    ///
    /// The same command again goes on: what is finished is skipped, what was paused resumes,
    /// what failed is retried. A batch with nothing left to do is over, and the same command
    /// then begins a new one.
    ///
    /// Exit codes: 0 all complete; 1 some failed for good; 3 hosts wait for a costlier proxy
    /// to be approved; 4 stopped at --max-time; 75 another run holds the batch, or a crawl of
    /// it; 130, 143, 129 paused.
    #[command(after_long_help = BATCH_EXAMPLES)]
    Batch(Box<BatchArgs>),

    /// Write a spider file to begin with, with comments
    ///
    /// It crawls what the start URL alone would; keys that are set most often stand in it as comments. Its
    /// schema is written beside it, spider.schema.json, so that editors know its keys and check its values. No
    /// file is replaced: exit 2 then.
    #[command(after_long_help = INIT_EXAMPLES)]
    Init(InitArgs),
}

/// A spider file to begin with.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Where the crawl begins
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub url: String,

    /// The file to write; - is stdout [default: NAME.json, after the host]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// How a spider is crawled.
#[derive(Debug, Clone, Args)]
pub struct CrawlArgs {
    /// Where the crawl lies.
    #[command(flatten)]
    pub place: PlaceArgs,

    /// Where its records go.
    #[command(flatten)]
    pub output: OutputArgs,

    /// When this run ends.
    #[command(flatten)]
    pub limits: LimitArgs,

    /// How far the crawl goes.
    #[command(flatten)]
    pub reach: ReachArgs,

    /// What becomes of an earlier checkpoint.
    #[command(flatten)]
    pub checkpoint: CheckpointArgs,

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

fn at_least_one() -> impl Fn(&str) -> Result<u64, String> + Clone {
    |text| {
        let number = text.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| "expected a whole number of at least 1".to_owned())
    }
}

/// Help for what a spider file may say as well, so that the option itself has no default.
fn or_default(help: &str, default: impl Display) -> String {
    format!("{help} [default: {default}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_batch_is_told_from_a_spider() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        let cli = parse("crawl-run --limit 3 x.json").unwrap();
        assert_eq!(cli.spider, ["x.json"]);
        assert_eq!(cli.crawl.limits.limit, Some(3));
        let cli = parse("crawl-run batch sites.csv --jobs 2").unwrap();
        assert!(matches!(cli.command, Some(Command::Batch(batch)) if batch.jobs == 2));
        for bad in ["crawl-run", "crawl-run --fresh", "crawl-run batch"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
