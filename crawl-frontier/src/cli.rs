//! The command line.

use std::fs::File;
use std::io::{BufWriter, stdin, stdout};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args as _, FromArgMatches, Parser, Subcommand};
use crawl_ckpt::address::{masked, take_userinfo};
use crawl_ckpt::control::{Begin, Secrets};
use crawl_ckpt::job::{JobPlace, data_dir};
use crawl_ckpt::limits::{self, count, spelled_time, time};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::plan::{Pace, Plan, Retry, Rule, Scope, Warc};
use crawl_ckpt::tool::{Exit, Failure, need_stdin, need_stdout, parse_duration, parse_size, say};

use crate::command::add;
use crate::command::explain::{Question, explain};
use crate::command::inspect;
use crate::command::withdraw::{self, Chosen, Withdrawn};
use crate::memory_size;
use crate::open::Places;
use crate::scope::is_private_url;
use crate::serve::{Conductor, serve};
use crate::store::OutputTo;
use crate::url::{Form, authority, canonicalize_link};

/// What the tool is called.
pub const TOOL: &str = "crawl-frontier";

const EXAMPLES: &str = "\
Examples:
  Which URLs of a list are new since last time? Fetch those:
    crawl-frontier add --job news --print-new <urls.txt | crawl-fetch >pages.jsonl

  A crawl by hand, with one FIFO:
    mkfifo loop
    crawl-frontier serve --job site --start https://site.example/ <loop |
      crawl-fetch --max-redirects 0 --robots | tee pages.jsonl >loop

  A calendar without an end fills the queue: pause the crawl, drop what is of it, go on:
    crawl-frontier drop --job data/default/site.example/checkpoint --pattern '/calendar/'

  What is still to be fetched, host by host:
    crawl-frontier export --job site | jq -r .url | cut -d/ -f3 | sort | uniq -c";

/// The queue, the memory of what was seen, and the output of a crawl.
///
/// Requests go out on stdout and results come in on stdin, one JSON object a line; the job
/// directory keeps what is pending and what was seen. It is the only writer of a job directory.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, max_term_width = 100, after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// Print errors only.
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a crawl: requests out, results in, until nothing is pending.
    ///
    /// Exit 0: complete. 1: failed. 3: hosts are parked. 4: stopped at --max-pages or --max-time.
    /// 65: the job is damaged. 75: another run holds it. 130, 143, 129: paused by a signal.
    Serve(Box<ServeArgs>),
    /// Add requests from stdin to a job; those not seen before are kept.
    ///
    /// Prints `added N, duplicate N, invalid N` on stderr. All is durable when it exits 0.
    /// User names and passwords in URLs are dropped, as those in links are.
    Add {
        /// The job directory; made when it is missing.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
        /// Print the new requests on stdout.
        #[arg(long)]
        print_new: bool,
        /// About how much memory it may take, as for `serve`.
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        memory: Option<usize>,
    },
    /// Take pending URLs out of the queue of a job that nobody runs.
    ///
    /// Those that are read from stdin, one a line; or those of --host, or in which --pattern is found. They are asked
    /// for no more and have no record; they stay seen, so that no link brings them back. The crawl's end, `stat`
    /// and `crawl-ckpt show` say how many were dropped, and `explain` says it of each. Prints `dropped N, not pending N,
    /// invalid N` on stderr. All is durable when it exits 0; what is finished stays as it is.
    Drop {
        /// The job directory, such as DATA_DIR/PROJECT/SPIDER/checkpoint.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
        /// All of this host, with its port where that is not the usual one; may be given again.
        #[arg(long, value_name = "HOST")]
        host: Vec<String>,
        /// All in which this regular expression is found; may be given again.
        #[arg(long, value_name = "REGEX", value_parser = pattern)]
        pattern: Vec<String>,
    },
    /// Print the pending requests of a job in the order in which they would be sent.
    Export {
        /// The job directory.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
    },
    /// Read URLs and print those that a job has seen.
    Seen {
        /// The job directory.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
        /// Print those that it has not seen.
        #[arg(short = 'v', long)]
        invert: bool,
    },
    /// Print the figures of a job: pending, in_flight, done, failed, seen, hosts, bytes.
    Stat {
        /// The job directory.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Say whether a URL belongs to a crawl, and if not, why.
    ///
    /// With a job also where it was found and what became of it. Takes no lock and changes
    /// nothing. Exit 0 whatever the answer is.
    Explain {
        /// The URL.
        url: String,
        /// The job directory.
        #[arg(long, value_name = "DIR", required_unless_present = "plan")]
        job: Option<PathBuf>,
        /// Read the plan of the crawl from stdin as JSON, in place of the job's.
        #[arg(long)]
        plan: bool,
        /// How deep it would be found; where the job knows, that counts.
        #[arg(long, value_name = "N", default_value_t = 1)]
        depth: u32,
        /// What a relative output path is relative to [default: $CRAWL_DATA_DIR, else ./data]
        #[arg(long, value_name = "DIR")]
        data_dir: Option<PathBuf>,
    },
    /// Read URLs and print `canonical-URL TAB fingerprint` for each.
    ///
    /// An invalid URL is named on stderr, and the exit code is 1 at the end.
    Canon {
        /// Also sort query parameters and drop empty ones and tracking parameters.
        #[arg(long)]
        aggressive: bool,
    },
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
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
    #[arg(long)]
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
    /// last then lie in a file without a name. Hosts, and requests with a priority, stay in memory.
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

/// Runs the tool.
///
/// # Errors
/// What to print, and the exit code.
pub fn run(args: Args) -> Result<Exit, Failure> {
    args.command.needs()?;
    let mut out = BufWriter::with_capacity(64 << 10, stdout().lock());
    match args.command {
        Command::Serve(serve) => {
            drop(out);
            run_serve(*serve, args.quiet)
        }
        Command::Add {
            job,
            print_new,
            memory,
        } => {
            let place = JobPlace::at(&job);
            let added = add::run(&place, print_new.then_some(&mut out), memory_bytes(memory))?;
            if !args.quiet {
                for (line, why) in &added.examples {
                    say(TOOL, format_args!("line {line} is left out: {why}"));
                }
                let add::Added {
                    added,
                    duplicate,
                    invalid,
                    ..
                } = added;
                say(
                    TOOL,
                    format_args!("added {added}, duplicate {duplicate}, invalid {invalid}"),
                );
            }
            Ok(Exit::Complete)
        }
        Command::Drop { job, host, pattern } => {
            let chosen = if host.is_empty() && pattern.is_empty() {
                Chosen::Listed(stdin().lock())
            } else {
                let patterns = pattern.iter().map(|pattern| Pattern::compile(pattern));
                let patterns = patterns.collect::<Result<_, _>>().map_err(Failure::new)?;
                let hosts = host.iter().map(|host| host.to_ascii_lowercase()).collect();
                Chosen::Matching { hosts, patterns }
            };
            let Withdrawn {
                dropped,
                not_pending,
                invalid,
            } = withdraw::run(&JobPlace::at(&job), chosen)?;
            if !args.quiet {
                say(
                    TOOL,
                    format_args!("dropped {dropped}, not pending {not_pending}, invalid {invalid}"),
                );
            }
            Ok(Exit::Complete)
        }
        Command::Export { job } => inspect::export(&JobPlace::at(&job), &mut out),
        Command::Seen { job, invert } => {
            inspect::seen(&JobPlace::at(&job), invert, stdin().lock(), &mut out)
        }
        Command::Stat { job, json } => inspect::stat(&JobPlace::at(&job), json, &mut out),
        Command::Explain {
            url,
            job,
            plan,
            depth,
            data_dir: data_path,
        } => {
            let place = job.as_deref().map(JobPlace::at);
            let plan = plan.then(plan_on_stdin).transpose()?;
            let question = Question {
                url: &url,
                depth,
                plan,
                place: place.as_ref(),
                data_dir: &data_dir(data_path.as_deref()),
            };
            explain(question, &mut out)
        }
        Command::Canon { aggressive } => {
            let form = if aggressive {
                Form::Aggressive
            } else {
                Form::Standard
            };
            inspect::canon(form, stdin().lock(), &mut out)
        }
    }
}

impl Command {
    /// Sees to it that what it reads and prints is there.
    fn needs(&self) -> Result<(), Failure> {
        let (reads, prints) = match self {
            Command::Add { print_new, .. } => (true, *print_new),
            Command::Serve(_) | Command::Seen { .. } | Command::Canon { .. } => (true, true),
            Command::Drop { host, pattern, .. } => (host.is_empty() && pattern.is_empty(), false),
            Command::Explain { plan, .. } => (*plan, true),
            Command::Export { .. } | Command::Stat { .. } => (false, true),
        };
        if reads {
            need_stdin()?;
        }
        if prints {
            need_stdout()?;
        }
        Ok(())
    }
}

fn memory_bytes(given: Option<usize>) -> u64 {
    given.map_or_else(memory_size::default_bytes, |bytes| bytes as u64)
}

fn pattern(text: &str) -> Result<String, String> {
    let compiled = Pattern::compile(text);
    compiled.map_err(|why| format!("no regular expression: {why}"))?;
    Ok(text.to_owned())
}

fn plan_on_stdin() -> Result<Plan, Failure> {
    serde_json::from_reader(stdin().lock())
        .map_err(|e| Failure::with(Exit::Usage, format_args!("cannot read the plan: {e}")))
}

fn run_serve(args: ServeArgs, quiet: bool) -> Result<Exit, Failure> {
    let conductor = match args.control {
        Some(fd) => Conductor::Socket {
            socket: UnixStream::from(adopt(fd, "--control")?),
            next: args.stay.then_some(next_places),
        },
        None => Conductor::Nobody {
            begin: Box::new(begin_of(&args)?),
            quiet,
        },
    };
    let lock = args.lock_fd.map(|fd| adopt(fd, "--lock-fd")).transpose()?;
    let places = places_of(args, lock)?;
    let own = |fd: std::io::Result<OwnedFd>| fd.map(File::from).map_err(Failure::new);
    let results = own(rustix::io::dup(rustix::stdio::stdin()).map_err(Into::into))?;
    let requests = own(rustix::io::dup(rustix::stdio::stdout()).map_err(Into::into))?;
    serve(places, conductor, results, requests)
}

/// Where the next crawl of a frontier lies that stays.
fn next_places(words: Vec<String>, lock: OwnedFd) -> Result<Places, Failure> {
    let command = ServeArgs::augment_args(clap::Command::new("serve"));
    let args = command
        .try_get_matches_from(words)
        .and_then(|matches| ServeArgs::from_arg_matches(&matches))
        .map_err(|e| Failure::with(Exit::Usage, e))?;
    places_of(args, Some(lock))
}

fn places_of(args: ServeArgs, lock: Option<OwnedFd>) -> Result<Places, Failure> {
    let output = match (&args.output, args.output_fd) {
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
    Ok(Places {
        job: args.job.as_deref().map(JobPlace::at),
        lock,
        data_dir: data_dir(args.data_dir.as_deref()),
        output,
        warc: args.warc_dir,
        memory_bytes: memory_bytes(args.memory),
    })
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
        ..Begin::default()
    })
}
