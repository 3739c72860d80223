//! The command line.

mod batch;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use crawl_ckpt::domain::host_name;
use crawl_ckpt::limits::{self, count, size, spelled_size, spelled_time, time};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::price::amount;
use crawl_ckpt::tool::{parse_duration, parse_size};

use batch::BATCH_EXAMPLES;
pub use batch::BatchArgs;

use crate::headers::{header, is_user_agent};

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

const BODY_MEMORY_HELP: &str = "\
Memory for pages under way

For their bodies, what is made of them, and their results. Large pages wait for one another; one \
that needs more than this alone goes through, one at a time. Takes K, M and G, powers of 1024.";

/// Crawls a site: a new crawl, or the rest of one that was paused.
///
/// Without --limit a crawl has a checkpoint. Ctrl+C pauses it and the same
/// command goes on; a complete crawl removes its checkpoint.
///
/// Exit codes: 0 complete; 1 failed, or no start URL gave a page; 2 usage, or the spider changed; 3 hosts
/// wait for a costlier proxy to be approved; 4 stopped at --max-time,
/// --max-pages or --max-cost; 65 the checkpoint is damaged; 75 another run holds it; 130, 143,
/// 129 paused by SIGINT, SIGTERM, SIGHUP.
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

    /// How it is crawled.
    #[command(flatten)]
    pub crawl: CrawlArgs,
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

/// When a run ends before its crawl does.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits of this run")]
pub struct LimitArgs {
    /// Test crawl: end after N records; no checkpoint, records to stdout
    ///
    /// Takes no lock and reads none of production's state, so it may run beside a
    /// production crawl of the same spider. Exits 0 at the limit.
    #[arg(long, value_name = "N", value_parser = at_least_one(),
          conflicts_with_all = ["fresh", "reset_deltafetch", "metrics"])]
    pub limit: Option<u64>,

    /// Stop this run in good order after DUR (90s, 20m, 8h); exit 4
    ///
    /// What is pending stays for the next run. Counts this run, not the whole crawl.
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    pub max_time: Option<Duration>,

    /// Stop this run in good order after N records; exit 4
    ///
    /// What is pending stays for the next run. Counts this run, not the whole crawl, and also the
    /// pages that an incremental crawl found unchanged.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub max_pages: Option<u64>,

    /// Stop in good order before proxies have cost more than this; exit 4
    ///
    /// Counts the whole crawl, over all of its runs, in whatever the prices are in: those of
    /// NAME_PROXY_PRICE or of PROXY_PRICES in the spider file. A page that is more than twice as large
    /// as any before it may cost more than what is left.
    #[arg(long, value_name = "AMOUNT", value_parser = parse_amount)]
    pub max_cost: Option<u64>,
}

fn parse_amount(text: &str) -> Result<u64, String> {
    amount(text).ok_or_else(|| format!("'{text}' is no amount (such as 5 or 0.25)"))
}

/// How far a crawl goes, and how long it waits.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Reach and patience")]
pub struct ReachArgs {
    /// Take on what lies below the directory of a start URL, and nothing beside or above
    ///
    /// The directory is the start URL up to its last `/`: `https://h.example/docs/` and
    /// `https://h.example/docs/index.html` stay below /docs/. So it is with where a start URL redirects to.
    #[arg(long)]
    pub no_parent: bool,

    /// Follow links so deep; a start URL has depth 0
    ///
    /// In place of the setting DEPTH_LIMIT. 0 takes the start URLs alone, and where they redirect to.
    #[arg(long, value_name = "N", value_parser = count(limits::DEPTH.within))]
    pub depth: Option<u32>,

    /// Take on only URLs that this regular expression is found in; may be repeated
    ///
    /// One of several is enough. The spider's own rules hold as well.
    #[arg(long, value_name = "REGEX", value_parser = pattern)]
    pub allow: Vec<String>,

    /// Take on no URL that this regular expression is found in; may be repeated
    #[arg(long, value_name = "REGEX", value_parser = pattern)]
    pub deny: Vec<String>,

    /// Stay on this domain and those below it; may be repeated
    ///
    /// In place of the hosts of the start URLs, or of the spider's allowed_domains.
    #[arg(long, value_name = "DOMAIN", value_parser = host_name)]
    pub domain: Vec<String>,

    /// Stay on the hosts of the start URLs and those below them
    ///
    /// A `www.` before them counts for nothing: from `https://www.example.com/` the crawl goes to all of
    /// example.com.
    #[arg(long, conflicts_with = "domain")]
    pub include_sub_domains: bool,

    /// Read the sitemaps of the start hosts
    ///
    /// As the setting USE_SITEMAP: those that robots.txt names, else /sitemap.xml.
    #[arg(long)]
    pub sitemap: bool,

    /// Take on at most N URLs a host
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub max_pages_per_host: Option<u64>,

    /// Treat URLs that differ in parameter order or tracking parameters as one
    #[arg(long)]
    pub aggressive: bool,

    /// How long a network that is gone is waited for.
    #[arg(long, value_name = "DUR", value_parser = time(limits::OUTAGE.within),
          help = or_default("Wait so long for a network that is gone, then exit 1", spelled_time(limits::OUTAGE.default)))]
    pub outage: Option<Duration>,

    /// Take a crawl for complete though no start URL gives a page
    ///
    /// Without it such a crawl (403, 404, 5xx, robots.txt forbids) ends with exit code 1 and
    /// names the cause; the start URLs stay pending and are asked again by the same command.
    #[arg(long)]
    pub accept_empty: bool,

    /// Memory for what the crawl remembers, such as 500M or 4G [default: a quarter of the machine's]
    ///
    /// About. When the fingerprints of all URLs seen would take more than half of it, they are kept in the
    /// checkpoint on the disk, but for 1.5 bytes each. Pending URLs (16 bytes each) and hosts stay in memory.
    /// A cgroup's limit counts as the machine's. Pages under way come on top: --body-memory.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<usize>,

    /// A pause waits so long for pages under way
    #[arg(long, value_name = "DUR", value_parser = time(limits::GRACE.within), default_value = spelled_time(limits::GRACE.default))]
    pub grace: Duration,
}

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
    /// command goes on. Where nothing failed nothing is done, exit 0. Not with WARC files, and not with
    /// --delta, which asks for failed pages the next time by itself.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "",
          conflicts_with_all = ["limit", "warc", "delta", "reset_deltafetch"], value_parser = clap::value_parser!(OsString))]
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

/// Pace and manners, over the spider's settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pace and manners")]
pub struct PaceArgs {
    /// Requests at once, over all hosts.
    #[arg(short, long, value_name = "N", value_parser = count(limits::CONCURRENCY.within),
          help = or_default("Requests at once, over all hosts", limits::CONCURRENCY.default))]
    pub concurrency: Option<u32>,

    /// Requests at once to one host.
    #[arg(long, value_name = "N", value_parser = count(limits::PER_HOST.within),
          help = or_default("Requests at once to one host", limits::PER_HOST.default))]
    pub per_host: Option<u32>,

    /// Least time between two requests to a host.
    #[arg(long, value_name = "DUR", value_parser = time(limits::DELAY.within),
          help = or_default("Least time between two requests to a host", spelled_time(limits::DELAY.default)))]
    pub delay: Option<Duration>,

    /// auto, none, or the name of a proxy [default: auto]
    ///
    /// Proxies are the environment's NAME_PROXY_URL (DATACENTER_PROXY_URL,
    /// RESIDENTIAL_PROXY_URL, …). `auto` goes direct first and uses `datacenter` for hosts
    /// that block; a costlier one is used only when it is named here.
    #[arg(long, value_name = "T")]
    pub proxy_type: Option<String>,

    /// Take on private addresses, and names that resolve to one
    ///
    /// On by itself when a start URL is private or localhost.
    #[arg(long)]
    pub allow_private: bool,
}

/// Handed on to crawl-fetch.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Requests")]
pub struct FetchArgs {
    /// The User-Agent to send
    #[arg(short = 'A', long, value_name = "UA", value_parser = user_agent)]
    pub user_agent: Option<String>,

    /// A further header for the site ('Name: value'); may be repeated
    ///
    /// It goes to the origins (scheme, host and port) of the start URLs, and to one that a start URL
    /// redirects to when that has the same registrable domain and is no step from https to http.
    /// Robots.txt is asked for by the same rule.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    pub headers: Vec<String>,

    /// Send the headers of -H to every host that the crawl meets
    #[arg(long)]
    pub header_everywhere: bool,

    /// Begin with the cookies in FILE (cookies.txt), and write them back at the end
    ///
    /// FILE is as curl and wget write it. Each cookie goes only where it belongs. A resume takes
    /// FILE in again only if it changed, since what the sites set meanwhile is newer. At the end of
    /// a run what sites set is written back, atomically, with mode 0600; lines of other sites
    /// and comments stay. A test crawl (--limit) writes nothing back.
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,

    /// Bytes of memory for pages under way.
    #[arg(long, value_name = "SIZE", value_parser = size(limits::BODY_MEMORY.within),
          help = or_default("Memory for pages under way", spelled_size(limits::BODY_MEMORY.default)),
          long_help = or_default(BODY_MEMORY_HELP, spelled_size(limits::BODY_MEMORY.default)))]
    pub body_memory: Option<usize>,

    /// Keep the pages themselves as WARC files, beside the output
    ///
    /// In OUTPUT-warc (without the output's .jsonl), files of at most 1 GB, WARC 1.1 in gzip: each exchange that had
    /// an answer, robots.txt and retries included, as it was sent. Records say in `warc` where
    /// theirs lies. They are as safe as the records: a file has `.open` behind its name while it is written, and
    /// whatever has not is whole. With --delta a page that did not change becomes a *revisit* record that refers to
    /// the night which kept its bytes. As the spider's `warc`, which can say more. A resumed crawl goes on as it
    /// began. When records go to stdout, also in a test crawl, the files lie beside the dated file's place.
    #[arg(long, help_heading = "Output")]
    pub warc: bool,

    /// Have pages rendered in a browser: links that scripts make are links
    ///
    /// Pages are fetched as ever; those of status 200 and type HTML are then shown to a browser, and
    /// what they say is what is there once their scripts have run. The browser has no network: what pages
    /// ask for is asked for by crawl-fetch, by its rules. It is $CRAWL_BROWSER, chromium-headless-shell
    /// or chromium. As the spider's `render`, which can say more: rules may have theirs rendered, or not.
    #[arg(long)]
    pub render: bool,

    /// Pages in the browser at once [default: 4]
    #[arg(long, value_name = "N", value_parser = count(limits::RENDER_TABS.within))]
    pub render_tabs: Option<u32>,

    /// Run the browser without its sandbox
    ///
    /// As root there is no other way. A page that breaks out of the browser then has all that the
    /// user of these tools has.
    #[arg(long)]
    pub no_sandbox: bool,

    /// Trust these certificates alone
    ///
    /// A PEM file with the certificates to trust, instead of the system's or those of
    /// SSL_CERT_FILE, as curl does.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,

    /// Do not verify TLS certificates
    #[arg(long)]
    pub insecure: bool,
}

/// What is told to a monitoring system.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Messages")]
pub struct MetricsArgs {
    /// Keep figures for Prometheus in FILE, rewritten every 15s and at the end
    ///
    /// The text format of node_exporter's textfile collector, for which FILE ends with `.prom`.
    /// Replaced as a whole; what earlier runs left is kept until there is something newer.
    /// Each command needs a FILE of its own; a batch has one for all its crawls. A FILE that
    /// cannot be written is a warning.
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

fn pattern(text: &str) -> Result<String, String> {
    let compiled = Pattern::compile(text);
    compiled.map_err(|why| format!("no regular expression: {why}"))?;
    Ok(text.to_owned())
}

fn user_agent(text: &str) -> Result<String, String> {
    if is_user_agent(text) {
        Ok(text.to_owned())
    } else {
        Err("expected printable ASCII".into())
    }
}

fn at_least_one() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
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
