//! `crawl-run batch`: many sites, each a crawl of its own with its own checkpoint.
//!
//! All crawls run in this process, so that one lock says whether the batch is under way and
//! dies with it; the frontiers notice its end as that of any crawl-run.
//!
//! Each step is durable before the next one, so that a kill between any two crawls nothing twice:
//!
//! 1. The entry is marked as running. After a kill it resumes from its checkpoint.
//! 2. Its crawl is complete, which its checkpoint says. After a kill that is found, and marked.
//! 3. The entry is marked as done. After a kill the next run removes the checkpoint, no more.
//! 4. The checkpoint is removed.
//! 5. Nothing is left to do, and the batch is marked as over. Only now does the same command
//!    begin a new one; after a kill before this it only tells the end.

mod budget;
mod list;
mod record;
mod relay;
mod report;
mod state;
mod tally;
mod total;
mod workers;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crawl_ckpt::job::{self, JobPlace, Name, data_dir};
use crawl_ckpt::tool::{Exit, Failure, need_stdout};

use crate::checkpoint::remove_if_complete;
use crate::cli::BatchArgs;
use crate::command_line::CommandLine;
use crate::crawl::check_certificates;
use crate::screen::Screen;
use crate::signals;
use crate::view::View;
use budget::Budget;
use list::List;
use record::{Record, Stage};
use relay::Relay;
use state::{Look, StatePlace, Store};
use tally::Tally;
use total::Total;
use workers::Workers;

/// Runs a batch, or tells how far it is. `again` is the command that goes on.
///
/// # Errors
/// A list that cannot be used, a batch that another run holds, a state that cannot be kept.
pub fn run(args: &BatchArgs, command_line: &CommandLine) -> Result<Exit, Failure> {
    let project = args.place.project.as_deref().unwrap_or("default");
    let project = Name::parse(project)
        .map_err(|e| Failure::with(Exit::Usage, format_args!("cannot use --project: {e}")))?;
    let data_dir = data_dir(args.place.data_dir.as_deref());
    if args.status || args.json {
        need_stdout()?;
    }
    if let Some(path) = &args.fetch.ca_cert {
        check_certificates(path)?;
    }
    let List { entries, text } = list::read(&args.list, &project)?;
    let place = StatePlace::of(&args.list, text.as_deref(), &data_dir, &project);
    if args.status {
        return status(args, &place, &data_dir);
    }

    let begun = Instant::now();
    let relay = Arc::new(Relay::default());
    let screen = Screen::new(args.verbosity);
    watch_signals(&relay, args, screen.clone())?;
    let sweep = |records: &[Record]| sweep(records, &data_dir);
    let (retries, restart) = (args.retries, args.restart);
    let store = Store::open(place, &entries, &project, retries, restart, sweep)?;
    let budget = budget(&store, args.max_cost, &data_dir)?;

    let view = View::plain(args.verbosity, screen.clone());
    let what = if store.resumed {
        "resuming the batch"
    } else {
        "new batch"
    };
    view.say(format_args!("{what}: {}", store.tally()));
    let deadline = args.max_time.and_then(|time| begun.checked_add(time));
    let workers = Workers {
        args,
        entries: &entries,
        store: &store,
        budget: &budget,
        relay: &relay,
        total: Total::new(view.beside(), screen.as_ref(), deadline),
        metrics: args.metrics.open(&view),
        program: &command_line.program(),
        data_dir: &data_dir,
        screen,
        deadline,
    };
    let change = |running| {
        let tally = store.tally();
        workers.total.change(tally, running);
        if let Some(metrics) = &workers.metrics {
            metrics.batch(&args.list, project.as_str(), tally.states());
        }
    };
    change(0);
    let worked = workers.work(&change);
    workers.total.end();
    let exit = match &worked {
        Ok(()) => report::exit(&store.records(), retries, relay.first()),
        Err(failure) => failure.exit,
    };
    if let Some(metrics) = &workers.metrics {
        metrics.end_batch(&args.list, project.as_str(), exit);
    }
    worked?;
    for line in report::failures(&store.records(), retries) {
        view.say(format_args!("{line}"));
    }
    let cost = budget.in_words();
    let cost = cost.map_or(String::new(), |cost| format!("; cost {cost}"));
    view.say(format_args!("batch: {}{cost}", store.tally()));
    if store.tally().is_settled() {
        store.end()?;
    } else {
        view.say(format_args!(
            "resume with: {}",
            command_line.without_flag("--restart")
        ));
    }
    Ok(exit)
}

/// What is left of `--max-cost`. Runs that were killed did not come to say what they spent; their
/// checkpoints do.
fn budget(store: &Store, most: Option<u64>, data_dir: &Path) -> Result<Budget, Failure> {
    let mut spent = 0_u64;
    for (at, record) in store.records().iter().enumerate() {
        let record = match record.stage {
            Stage::Running => &store.change(at, |record| report::refresh(record, data_dir))?,
            _ => record,
        };
        spent = spent.saturating_add(record.spent);
    }
    Ok(Budget::new(most, spent))
}

/// Has every crawl hear of a signal, and says so once.
fn watch_signals(
    relay: &Arc<Relay>,
    args: &BatchArgs,
    screen: Option<Screen>,
) -> Result<(), Failure> {
    let relay = Arc::clone(relay);
    let view = View::plain(args.verbosity, screen);
    let grace = args.reach.grace;
    signals::watch(move |signal| {
        if relay.first().is_none() {
            view.say(signals::pausing(signal, grace));
        }
        relay.send(signal);
    })
    .map_err(|e| Failure::new(format_args!("cannot watch for signals: {e}")))
}

/// Where the batch is: a line an entry on stdout, and a line about all of it on stderr.
fn status(args: &BatchArgs, place: &StatePlace, data_dir: &Path) -> Result<Exit, Failure> {
    let Look { records, is_over } = place.look()?;
    let holder = place.holder();
    let mut now = records;
    for record in &mut now {
        report::refresh(record, data_dir);
    }
    report::status(&now, holder.is_some(), args.retries, args.json)?;
    // As Store::open has it: another --retries may find something left to do.
    let is_over = is_over && now.iter().all(|record| record.is_settled(args.retries));
    let whole = match (now.is_empty(), holder) {
        (_, Some(holder)) => format!("running: {holder}"),
        (true, None) => "not begun".into(),
        (false, None) if is_over => "over".into(),
        (false, None) => "not over; the same command without --status goes on".into(),
    };
    let tally = Tally::of(&now, args.retries);
    let view = View::plain(args.verbosity, None);
    if now.is_empty() {
        view.say(format_args!("batch: {whole}"));
    } else {
        view.say(format_args!("batch: {tally}; {whole}"));
    }
    Ok(Exit::Complete)
}

/// Removes checkpoints of crawls that were noted as complete by a run that died before it
/// could: they would be taken for last night's later.
fn sweep(records: &[Record], data_dir: &Path) {
    let done = records.iter().filter(|r| r.stage == Stage::Done);
    for job in done.filter_map(|record| record.job.as_ref()) {
        let place = JobPlace::at(&data_dir.join(job));
        if job::is_there(&place) {
            // Whoever holds it removes it itself; what cannot be read is for its own run to say.
            let _ = remove_if_complete(&place, data_dir);
        }
    }
}
