//! `serve`: its options, and what they make of a crawl.

use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crawl_ckpt::address::{masked, take_userinfo};
use crawl_ckpt::control::{Begin, Secrets};
use crawl_ckpt::job::{JobPlace, data_dir};
use crawl_ckpt::limits::{self, count, spelled_time, time};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::plan::{Pace, Plan, Retry, Rule, Scope, Warc};
use crawl_ckpt::tool::{Exit, Failure, parse_duration, parse_size};

use super::memory_bytes;
use super::store::StoreArgs;
use crate::open::Places;
use crate::scope::is_private_url;
use crate::serve::{Conductor, serve};
use crate::store::OutputTo;
use crate::url::{Form, authority, canonicalize_link};

/// What `serve` is told.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// The job directory; made when it is missing.
    #[arg(long, value_name = "DIR", required_unless_present = "control")]
    job: Option<PathBuf>,
    /// A URL to start from; may be given again.
    #[arg(long, value_name = "URL")]
    start: Vec<String>,
    /// Write output records to this file; without it none are written.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = limits::CONCURRENCY.default, value_parser = count(limits::CONCURRENCY.within))]
    in_flight: u32,
    /// Requests under way at once to one host.
    #[arg(long, value_name = "N", default_value_t = limits::PER_HOST.default, value_parser = count(limits::PER_HOST.within))]
    per_host: u32,
    /// Least time between two requests to one host.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::DELAY.default), value_parser = time(limits::DELAY.within))]
    delay: Duration,
    /// Follow only links that this regular expression matches; may be given again.
    #[arg(long, value_name = "REGEX")]
    allow: Vec<String>,
    /// Follow no links that this regular expression matches; may be given again.
    #[arg(long, value_name = "REGEX")]
    deny: Vec<String>,
    /// Follow links to this domain and those below it; may be given again.
    ///
    /// Without it the crawl stays on the hosts of its start URLs.
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
    /// Follow links so deep; a start URL has depth 0.
    #[arg(long, value_name = "N")]
    depth: Option<u32>,
    /// Obey robots.txt (RFC 9309): it is asked for as a request of kind `robots`.
    #[arg(long)]
    robots: bool,
    /// Product token for robots.txt, up to the first `/` or blank.
    #[arg(short = 'A', long, value_name = "UA")]
    user_agent: Option<String>,
    /// Take on links to private addresses, too.
    #[arg(long)]
    allow_private: bool,
    /// Further attempts after a failure that may pass.
    #[arg(long, value_name = "N", default_value_t = limits::RETRIES.default, value_parser = count(limits::RETRIES.within))]
    retries: u32,
    /// Through which proxy: `auto`, `none`, or one of --proxies.
    ///
    /// `auto` begins direct and moves a host that blocks to `datacenter`, if that is there; it
    /// never uses another one unasked.
    #[arg(long, value_name = "T", default_value = "auto")]
    proxy_type: String,
    /// Names of the proxies that the fetcher knows, cheapest first.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    proxies: Vec<String>,
    /// Make what ended with a block or a failure pending again first.
    #[arg(long, conflicts_with = "store")]
    retry_blocked: bool,
    /// Keep the links in output records.
    #[arg(long)]
    keep_links: bool,
    /// Keep the body in output records.
    #[arg(long)]
    keep_body: bool,
    /// End after so many output records.
    #[arg(long, value_name = "N")]
    max_pages: Option<u64>,
    /// End after this time.
    #[arg(long, value_name = "DUR", value_parser = parse_duration)]
    max_time: Option<Duration>,
    /// How long a pause waits for pages under way.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::GRACE.default), value_parser = time(limits::GRACE.within))]
    grace: Duration,
    /// How long the fetcher may say nothing while it has requests. Longer, and serve ends
    /// with 1 and keeps all; under crawl-run the fetcher is started again.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::ANSWER_WITHIN.default), value_parser = time(limits::ANSWER_WITHIN.within))]
    answer_within: Duration,
    /// How long to wait for a network that is gone.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::OUTAGE.default), value_parser = time(limits::OUTAGE.within))]
    outage: Duration,
    /// About how much memory the crawl may take, such as 500M or 4G [default: a quarter of the machine's]
    ///
    /// When the fingerprints of all URLs seen would take more than half of it, they are kept on the disk, in
    /// the job, but for 1.5 bytes each. Pending requests may take an eighth of it, 16 bytes each; those that go
    /// last then lie in a file without a name, and so do rules of robots.txt beyond another eighth. Cookies may take
    /// an eighth too, and 64 MiB at most: those of the sites asked longest ago go first. Hosts stay in memory.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<usize>,
    /// Take it for complete when no start URL gives a page.
    ///
    /// Without it such a crawl ends with exit code 1 and names the cause; its start URLs stay pending.
    #[arg(long)]
    accept_empty: bool,
    /// What the output's path is kept relative to when under it [default: $CRAWL_DATA_DIR, else ./data]
    ///
    /// An output elsewhere is kept with its absolute path, and must be named again on a resume.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where WARC files go, which keep the pages themselves; the fetcher leaves their records in JOB/spool.
    #[arg(long, value_name = "DIR", hide = true)]
    warc_dir: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// A socket on which crawl-run says what to crawl.
    #[arg(long, value_name = "FD", hide = true)]
    control: Option<RawFd>,
    /// Wait for another crawl when one is complete, if crawl-run says which.
    #[arg(long, hide = true, requires = "control")]
    stay: bool,
    /// A descriptor that holds the job's lock.
    #[arg(long, value_name = "FD", hide = true)]
    lock_fd: Option<RawFd>,
    /// A stream for output records, in place of a file.
    #[arg(long, value_name = "FD", hide = true, conflicts_with = "output")]
    output_fd: Option<RawFd>,
}

impl ServeArgs {
    /// Serves.
    ///
    /// # Errors
    /// What to print, and the exit code.
    pub fn run(self, quiet: bool) -> Result<Exit, Failure> {
        let conductor = match self.control {
            Some(fd) => Conductor::Socket {
                socket: UnixStream::from(adopt(fd, "--control")?),
                stays: self.stay,
            },
            None => Conductor::Nobody {
                begin: Box::new(begin_of(&self)?),
                quiet,
            },
        };
        let output = match (&self.output, self.output_fd) {
            (_, Some(fd)) => OutputTo::Stream(adopt(fd, "--output-fd")?),
            (Some(path), None) if path == Path::new("-") => {
                return Err(Failure::with(
                    Exit::Usage,
                    "--output -: stdout has the requests; name a file",
                ));
            }
            (Some(path), None) => OutputTo::File(path.clone()),
            (None, None) => OutputTo::Nowhere,
        };
        let places = Places {
            job: self.job.as_deref().map(JobPlace::at),
            lock: self.lock_fd.map(|fd| adopt(fd, "--lock-fd")).transpose()?,
            data_dir: data_dir(self.data_dir.as_deref()),
            output,
            warc: self.warc_dir,
            memory_bytes: memory_bytes(self.memory),
        };
        let own = |fd: std::io::Result<OwnedFd>| fd.map(File::from).map_err(Failure::new);
        let results = own(rustix::io::dup(rustix::stdio::stdin()).map_err(Into::into))?;
        let requests = own(rustix::io::dup(rustix::stdio::stdout()).map_err(Into::into))?;
        serve(places, conductor, results, requests)
    }
}

/// Takes over a descriptor that the parent process meant for this one.
#[allow(unsafe_code)]
fn adopt(fd: RawFd, option: &str) -> Result<OwnedFd, Failure> {
    if fd <= 2 || !Path::new("/dev/fd").join(fd.to_string()).exists() {
        let message = format!("{option} {fd}: no such descriptor was handed over");
        return Err(Failure::with(Exit::Usage, message));
    }
    // SAFETY: the descriptor is open, was handed over for this option alone, and is
    // adopted once, before any other file is opened.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn begin_of(args: &ServeArgs) -> Result<Begin, Failure> {
    let mut start_urls = Vec::new();
    let mut secrets = Secrets::default();
    for url in &args.start {
        let wrong = |e: &dyn std::fmt::Display| {
            Failure::with(Exit::Usage, format_args!("--start '{}': {e}", masked(url)))
        };
        let mut canonical = String::new();
        canonicalize_link(url, Form::Standard, &mut canonical).map_err(|e| wrong(&e))?;
        start_urls.push(canonical);
        let mut parsed = ::url::Url::parse(url).map_err(|e| wrong(&e))?;
        secrets.userinfo.extend(take_userinfo(&mut parsed));
    }
    for (option, patterns) in [("--allow", &args.allow), ("--deny", &args.deny)] {
        for pattern in patterns {
            Pattern::compile(pattern).map_err(|why| {
                let message = format!("{option} '{pattern}' is no regular expression: {why}");
                Failure::with(Exit::Usage, message)
            })?;
        }
    }
    let has_rule = !args.allow.is_empty() || !args.deny.is_empty();
    let rule = Rule {
        allow: args.allow.clone(),
        deny: args.deny.clone(),
        ..Rule::default()
    };
    let stays = args.domain.is_empty();
    let hosts = start_urls.iter().map(|url| authority(url).to_owned());
    let plan = Plan {
        scope: Scope {
            allowed_domains: args.domain.clone(),
            allowed_hosts: if stays { hosts.collect() } else { Vec::new() },
            rules: if has_rule { vec![rule] } else { Vec::new() },
            depth_limit: args.depth,
            ..Scope::default()
        },
        pace: Pace {
            concurrency: args.in_flight,
            per_host: args.per_host,
            delay_ms: args.delay.as_millis() as u64,
            ..Pace::default()
        },
        retry: Retry {
            times: args.retries,
            outage_s: args.outage.as_secs(),
            ..Retry::default()
        },
        user_agent: args.user_agent.clone(),
        robots: args.robots,
        allow_private: args.allow_private || start_urls.iter().any(|url| is_private_url(url)),
        proxy_type: args.proxy_type.clone(),
        proxies: args.proxies.clone(),
        keep_links: args.keep_links,
        keep_body: args.keep_body,
        warc: args.warc_dir.as_ref().map(|_| Warc::default()),
        start_urls,
        ..Plan::default()
    };
    Ok(Begin {
        plan,
        max_records: args.max_pages,
        max_time_ms: args.max_time.map(|time| time.as_millis() as u64),
        grace_ms: args.grace.as_millis() as u64,
        retry_blocked: args.retry_blocked,
        answer_within_ms: Some(args.answer_within.as_millis() as u64),
        accept_empty: args.accept_empty,
        secrets,
        shared: args.store.shared(args.output.clone())?,
        ..Begin::default()
    })
}
