//! The command line.

mod serve;
mod store;

use std::io::{BufWriter, stdin, stdout};
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use crawl_ckpt::job::{JobPlace, data_dir};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure, need_stdin, need_stdout, parse_size, say};

use self::serve::ServeArgs;

use crate::command::add;
use crate::command::explain::{Question, explain};
use crate::command::inspect;
use crate::command::withdraw::{self, Chosen, Withdrawn};
use crate::memory_size;
use crate::url::Form;

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
    crawl-frontier export --job site | jq -r .url | cut -d/ -f3 | sort | uniq -c

  A crawl by hand that machines share; each with its own --worker:
    mkfifo loop
    crawl-frontier serve --job site --start https://site.example/ --output site.jsonl \
        --store redis://store.example/ --crawl default/site/1 --worker one <loop |
      crawl-fetch --max-redirects 0 >loop";

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
    /// Exit 0: complete. 1: failed. 3: hosts are parked. 4: stopped at --max-pages or --max-time,
    /// or all workers of a store were paused. 65: the job is damaged. 75: another run holds it. 130, 143, 129: paused by a signal.
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
        /// About how much memory it may take, as for `serve`; what was seen since the last image was made takes 25 bytes a
        /// URL beside it.
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        memory: Option<usize>,
    },
    /// Print the pending requests of a job in the order in which they would be sent.
    Export {
        /// The job directory.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
        /// About how much memory it may take, as for `serve`; what was seen since the last image was made takes 25 bytes a
        /// URL beside it.
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        memory: Option<usize>,
    },
    /// Read URLs and print those that a job has seen.
    Seen {
        /// The job directory.
        #[arg(long, value_name = "DIR")]
        job: PathBuf,
        /// Print those that it has not seen.
        #[arg(short = 'v', long)]
        invert: bool,
        /// About how much memory it may take, as for `serve`; what was seen since the last image was made takes 25 bytes a
        /// URL beside it.
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        memory: Option<usize>,
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
            serve.run(args.quiet)
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
        Command::Drop {
            job,
            host,
            pattern,
            memory,
        } => {
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
            } = withdraw::run(&JobPlace::at(&job), chosen, memory_bytes(memory))?;
            if !args.quiet {
                say(
                    TOOL,
                    format_args!("dropped {dropped}, not pending {not_pending}, invalid {invalid}"),
                );
            }
            Ok(Exit::Complete)
        }
        Command::Export { job, memory } => {
            inspect::export(&JobPlace::at(&job), memory_bytes(memory), &mut out)
        }
        Command::Seen {
            job,
            invert,
            memory,
        } => {
            let place = JobPlace::at(&job);
            let memory_bytes = memory_bytes(memory);
            inspect::seen(&place, invert, memory_bytes, stdin().lock(), &mut out)
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
