//! crawl-run: the conductor. One command that a human or cron runs: it starts
//! crawl-frontier and crawl-fetch, passes signals on, shows progress, and keeps the
//! checkpoint or removes it.
//!
//! It is not in the data path: the children speak with each other over two pipes, and
//! with crawl-run over a socket. See [`stage`] for who is connected with whom,
//! [`checkpoint`] for what becomes of one that is there, [`outcome`] for the exit codes.

pub mod acquire;
pub mod batch;
pub mod change;
pub mod check;
pub mod checkpoint;
mod clear;
pub mod cli;
pub mod command_line;
pub mod conduct;
pub mod crawl;
pub mod ended;
pub mod extraction;
mod init;
pub mod meter;
pub mod metrics;
pub mod outcome;
pub mod place;
pub mod plan;
pub mod proxies;
pub mod screen;
pub mod signals;
pub mod spider;
pub mod stage;
pub mod summary;
pub mod tools;
pub mod view;

use std::ffi::OsString;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use crawl_ckpt::tool::{Exit, Failure, need_stdout};

use cli::{Cli, Command, CrawlArgs};
use command_line::CommandLine;
use crawl::Crawl;
use ended::Ended;
use outcome::Outcome;
use stage::Event;
use view::View;

/// Runs the tool. `words` is the command line, for the commands that it prints.
///
/// # Errors
/// What to print, and the exit code.
pub fn run(cli: Cli, words: impl Iterator<Item = OsString>) -> Result<Exit, Failure> {
    let command_line = CommandLine::new(words);
    if let Some(Command::Init(args)) = &cli.command {
        return init::run(args);
    }
    if let Some(Command::Batch(args)) = &cli.command {
        return batch::run(args, &command_line);
    }
    if cli.print_schema {
        need_stdout()?;
        return print(&format!("{:#}\n", spider::schema()));
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
        // Whoever listened has ended; so has this process, nearly.
        let _ = signals.send(Event::Signal(signal));
    })
    .map_err(|e| Failure::new(format_args!("cannot watch for signals: {e}")))?;

    let args = &cli.crawl;
    if cli.check || cli.explain.is_some() {
        need_stdout()?;
    }
    let mut view = View::new(args.verbosity);
    let crawl = Crawl::prepare(&cli.spider, args, command_line.clone(), &view)?;
    if cli.check {
        return print(&crawl.check()?);
    }
    if let Some(url) = &cli.explain {
        return crawl.explain(url);
    }
    begun.store(true, Ordering::SeqCst);
    let events = (&sender, &events);
    let ended = match args.limits.limit {
        Some(limit) => crawl.test(limit, events, &mut view)?,
        None => {
            let metrics = args.metrics.open(&view);
            crawl.production(&mut |_| Ok(()), metrics.as_ref(), events, &mut view)?
        }
    };
    exit(ended, args, &command_line)
}

fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(Failure::from_stdout)?;
    Ok(Exit::Complete)
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
