//! crawl-run: the conductor. One command that a human or cron runs: it starts
//! crawl-frontier and crawl-fetch, passes signals on, shows progress, and keeps the
//! checkpoint or removes it.
//!
//! It is not in the data path: the children speak with each other over two pipes, and
//! with crawl-run over a socket.
//!
//! # Layout
//! From the ground up; a line uses only what stands above it.
//!
//! | where | what lies there |
//! |---|---|
//! | `signals` `spawn` `hearing` `child` `leavings` `tools` `proxies` `headers` `command_line` `acquire` `today` `habits` | what is heard from the system, how programs are started and heard, one of them while it runs, checkpoints whose files go later, where the other tools are, what the environment and the user set, the command that was typed, the lock of a job, the date here, what users of other crawlers type |
//! | `browser` `extraction` `spider/` | whether there is a browser, spider files: [`spider`] |
//! | `change` | what changed in a spider, in words |
//! | `cli` | the command line |
//! | `screen/` `figures` `meter` `view` | progress lines, how a crawl goes and how fast it moves, and all that is said |
//! | `place` `named` `plan` `known_hosts` | where a crawl lies, which files options name beside it, what its children are told, and what earlier crawls of the project learned of hosts |
//! | `stage` | the children of one start: who is connected with whom, and where they wait for the next crawl |
//! | `patience` `conduct` | how many bad ends of a fetcher are borne, and the children of a run, restarted when one dies |
//! | `outcome` `ended` | how it ended: the exit code |
//! | `clear` `checkpoint` | what becomes of a checkpoint that is there |
//! | `retry` `summary` `check` `metrics/` | what failed of an output; what is told of a crawl: at its end, before it, and meanwhile to Prometheus |
//! | `crawl` | one crawl from its spider to its end |
//! | `afterwards` | what is made of it when it is over |
//! | `batch/` `init` | many of them, and a spider file to begin with |

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod acquire;
mod afterwards;
mod batch;
mod browser;
mod change;
mod check;
mod checkpoint;
mod child;
mod clear;
pub mod cli;
mod command_line;
mod conduct;
mod crawl;
mod ended;
mod extraction;
mod figures;
pub mod habits;
mod headers;
mod hearing;
mod init;
mod known_hosts;
mod leavings;
mod meter;
mod metrics;
mod named;
mod outcome;
mod patience;
mod place;
mod plan;
mod proxies;
mod retry;
mod screen;
mod signals;
mod spawn;
pub mod spider;
mod stage;
mod summary;
mod today;
mod tools;
mod view;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use crawl_ckpt::tool::{Exit, Failure, need_stdout, speak_json};

use afterwards::Afterwards;
use cli::{Cli, Command, CrawlArgs, LogFormat};
use command_line::CommandLine;
use crawl::Crawl;
use ended::Ended;
use named::Named;
use outcome::Outcome;
use stage::Event;
use view::View;

/// Runs the tool. `words` is the command line, for the commands that it prints.
///
/// # Errors
/// What to print, and the exit code.
pub fn run(cli: Cli, words: impl Iterator<Item = OsString>) -> Result<Exit, Failure> {
    let command_line = CommandLine::new(words);
    let verbosity = match &cli.command {
        Some(Command::Batch(args)) => args.verbosity,
        _ => cli.crawl.verbosity,
    };
    if verbosity.log_format == LogFormat::Json {
        speak_json();
    }
    if let Some(Command::Init(args)) = &cli.command {
        return init::run(args);
    }
    if let Some(Command::Batch(args)) = &cli.command {
        return batch::run(args, &command_line);
    }
    if cli.print_schema {
        need_stdout()?;
        print(format!("{:#}\n", spider::schema()).as_bytes())?;
        return Ok(Exit::Complete);
    }
    let (sender, events) = mpsc::channel();
    let (signals, begun) = (sender.clone(), Arc::new(AtomicBool::new(false)));
    let has_begun = Arc::clone(&begun);
    signals::watch(move |signal| {
        // Until then there is nothing to pause, and nobody listens: a spider or cookies may come
        // from a pipe that nobody writes to.
        if !has_begun.load(Ordering::SeqCst) {
            std::process::exit(Exit::from_signal(signal) as i32);
        }
        // Whoever listened has ended, and this process will end in a moment.
        let _ = signals.send(Event::Signal(signal));
    })
    .map_err(|e| Failure::new(format_args!("cannot watch for signals: {e}")))?;

    let args = &cli.crawl;
    if cli.check || cli.explain.is_some() {
        need_stdout()?;
    }
    let is_test = args.limits.limit.is_some();
    let afterwards = Afterwards::new(&cli.after, args.output.output.as_deref(), is_test)?;
    let mut view = View::new(args.verbosity);
    let crawl = Crawl::prepare(&cli.spider, args, command_line.clone(), &view)?;
    let named = Named {
        output: args.output.output.as_deref(),
        report: cli.after.report.as_deref(),
        metrics: args.metrics.metrics.as_deref(),
        cookies: args.fetch.cookies.as_deref(),
    };
    named.refuse_clashes(crawl.place())?;
    if cli.check {
        print(crawl.check()?.as_bytes())?;
        return Ok(Exit::Complete);
    }
    if let Some(url) = &cli.explain {
        return crawl.explain(url);
    }
    begun.store(true, Ordering::SeqCst);
    let channel = (&sender, &events);
    let ended = match args.limits.limit {
        Some(limit) => crawl.test(limit, channel, &mut view)?,
        None => {
            let metrics = args.metrics.open(&view);
            let metrics = metrics.as_ref();
            match cli.store.store {
                Some(_) => crawl.shared((&cli.store, &cli.after), metrics, channel, &mut view)?,
                None => crawl.production(&mut |_| Ok(()), metrics, channel, &mut view)?,
            }
        }
    };
    if ended.outcome.exit() != Exit::PipeClosed {
        afterwards.make(&ended, crawl.place(), &events, &view)?;
    }
    exit(ended, args, &command_line)
}

fn print(text: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(Failure::from_stdout)
}

fn exit(ended: Ended, args: &CrawlArgs, command_line: &CommandLine) -> Result<Exit, Failure> {
    let Outcome::Failed { exit, why, hint } = ended.outcome else {
        return Ok(ended.outcome.exit());
    };
    // Where a checkpoint is, the same command goes on once the cause is mended.
    let resumes = exit == Exit::Failed && args.limits.limit.is_none();
    let hint = hint.or_else(|| resumes.then(|| format!("to go on: {command_line}")));
    let failure = Failure::with(exit, why);
    Err(match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    })
}
