//! How far a crawl goes, and when a run ends.

use std::time::Duration;

use clap::Args;
use crawl_ckpt::domain::host_name;
use crawl_ckpt::limits::{self, count, spelled_time, time};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::price::amount;
use crawl_ckpt::tool::{parse_duration, parse_size};

use super::{at_least_one, or_default};

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

    /// What this run may cost at most, of what a batch may.
    #[arg(skip)]
    pub cost_share: Option<u64>,
}

impl LimitArgs {
    /// Whether proxies may cost only so much.
    pub fn is_capped(&self) -> bool {
        self.max_cost.is_some() || self.cost_share.is_some()
    }
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
    /// checkpoint on the disk, but for 1.5 bytes each. Pending URLs may take an eighth of it, 16 bytes each; those
    /// that go last then lie in a file without a name. Cookies may take an eighth, 64 MiB at most: beyond it
    /// those of the sites asked longest ago are forgotten. Hosts stay in memory.
    /// A cgroup's limit counts as the machine's. Pages under way come on top: --body-memory.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<usize>,

    /// A pause waits so long for pages under way
    ///
    /// With --store also for the last commits, where a node of the store does not answer; their pages are fetched again.
    #[arg(long, value_name = "DUR", value_parser = time(limits::GRACE.within), default_value = spelled_time(limits::GRACE.default))]
    pub grace: Duration,
}

pub(super) fn parse_amount(text: &str) -> Result<u64, String> {
    amount(text).ok_or_else(|| format!("'{text}' is no amount (such as 5 or 0.25)"))
}

fn pattern(text: &str) -> Result<String, String> {
    let compiled = Pattern::compile(text);
    compiled.map_err(|why| format!("no regular expression: {why}"))?;
    Ok(text.to_owned())
}
