//! `crawl-ckpt rm`: removes checkpoints.

use std::fs::Metadata;
use std::io::{BufRead, IsTerminal, stdin};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, TOOL};
use crate::catalog::Found;
use crate::durable::{RealDisk, parent, remove_if_there};
use crate::human::{bytes, counted};
use crate::job::{self, Job};
use crate::lock::JobLock;
use crate::look::{Look, bytes_in};
use crate::stderr;
use crate::summary::summary_of;
use crate::tool::{Exit, Failure, printable, say};

/// Which checkpoints are to go.
pub enum Which {
    Named(Vec<Found>),
    OlderThan(Duration),
    All,
}

pub fn run(context: &mut Context<'_>, which: Which, yes: bool) -> Result<Exit, Failure> {
    let least_age = match which {
        Which::OlderThan(age) => age,
        _ => Duration::ZERO,
    };
    let jobs = match which {
        Which::Named(jobs) => jobs,
        Which::OlderThan(age) => old_ones(context, age)?,
        Which::All => context.catalog.all(None)?,
    };
    if jobs.is_empty() {
        context.say("there is nothing to remove");
        return Ok(Exit::Complete);
    }
    if !yes {
        list(&jobs);
        let size: u64 = jobs.iter().map(|job| bytes_in(&job.place.dir)).sum();
        let what = match &jobs[..] {
            [job] => format!("the checkpoint of {job}"),
            jobs => counted(jobs.len() as u64, "checkpoint"),
        };
        agree(&format!("remove {what} ({})", bytes(size)))?;
    }
    let mut exit = Exit::Complete;
    for job in jobs {
        match remove(context, &job, least_age) {
            Ok(()) => {}
            // The others are removed all the same; the exit code tells of this one.
            Err(failure) => {
                say(TOOL, format_args!("{job}: {}", failure.message));
                exit = match (exit, failure.exit) {
                    (Exit::Held, _) => Exit::Held,
                    (_, failed) => failed,
                };
            }
        }
    }
    Ok(exit)
}

fn remove(context: &Context<'_>, job: &Found, least_age: Duration) -> Result<(), Failure> {
    let lock = JobLock::acquire(&job.place)?;
    let look = Look::at(&job.place);
    // The job may have been run since it was found; now the lock is held, and nobody can run it.
    if least_age > Duration::ZERO && look.as_ref().is_some_and(|look| look.age < least_age) {
        return Ok(());
    }
    // A run that ended meanwhile removed it itself.
    if !job.is_there() {
        return Err(Failure::new("it is not there any more"));
    }
    let size = bytes_in(&job.place.dir) + bytes_in(&job.place.removing());
    make_warc_whole(context, job);
    job::remove(&RealDisk, &job.place, &lock)?;
    context.say(format_args!("removed {job}, {}", bytes(size)));
    let data_dir = context.catalog.data_dir();
    let manifest = look.and_then(|look| look.manifest);
    let manifest = manifest.as_ref();
    let output = manifest.and_then(|manifest| manifest.output_file(data_dir));
    if let Some(output) = &output {
        remove_if_empty(job, output);
    }
    let warc = manifest.and_then(|manifest| manifest.warc_dir(data_dir));
    for (what, path) in [("output stays", output), ("WARC files stay", warc)] {
        if let Some(path) = path.filter(|path| path.exists()) {
            let path = path.display();
            context.say(format_args!("{job}: its unfinished {what}: {path}"));
        }
    }
    Ok(())
}

/// A crawl that came to nothing, as one of a mistyped host, leaves no empty output behind. One of `-o` is the user's.
fn remove_if_empty(job: &Found, output: &Path) {
    let is_dated = job.names.is_some() && parent(output) == job.place.crawls_dir();
    let is_empty = |metadata: Metadata| metadata.is_file() && metadata.len() == 0;
    if is_dated && output.symlink_metadata().is_ok_and(is_empty) {
        // What cannot be removed is named as what stays.
        let _ = remove_if_there(&RealDisk, output);
        let _ = remove_if_there(&RealDisk, &summary_of(output));
    }
}

/// Leaves no torn file behind: without its checkpoint nobody knows any more where one was
/// committed. What cannot be made whole stays as it is, with `.open` behind its name.
fn make_warc_whole(context: &Context<'_>, job: &Found) {
    let data_dir = context.catalog.data_dir();
    let Ok(Some(job)) = Job::open(Arc::new(RealDisk), &job.place) else {
        return;
    };
    // A job that came from elsewhere may name any directory.
    let is_ours = |warc: &job::OutputPlace| warc.is_within(data_dir, data_dir);
    if job.manifest().warc.as_ref().is_some_and(is_ours)
        && let Ok(commit) = job.last_commit()
    {
        let commit = commit.unwrap_or_default();
        let whole = job
            .check_warc(&commit, data_dir)
            .and_then(|()| Ok(job.settle_warc(&commit, data_dir)?));
        if let Err(failure) = whole {
            context.say(failure.message);
        }
    }
}

/// Jobs that nobody has touched for so long, and what is left of removals that were cut short.
fn old_ones(context: &Context<'_>, age: Duration) -> Result<Vec<Found>, Failure> {
    let mut jobs = context.catalog.all(None)?;
    jobs.retain(|job| match Look::at(&job.place) {
        Some(look) => look.age >= age && look.holder.is_none(),
        None => true,
    });
    Ok(jobs)
}

/// Names what is to go before anything does; not even -q hides it.
fn list(jobs: &[Found]) {
    for job in jobs {
        let size = bytes_in(&job.place.dir) + bytes_in(&job.place.removing());
        let pending = Look::at(&job.place).and_then(|look| {
            let counts = look.counts()?;
            let pending = counted(counts.unfinished(), "URL");
            Some(format!(", {pending} pending{}", counts.parked_of_them()))
        });
        let pending = pending.unwrap_or_default();
        say(
            TOOL,
            format_args!("to remove: {job}, {}{pending}", bytes(size)),
        );
    }
}

/// Asks whether something is to be done.
///
/// # Errors
/// It is not: [`Exit::Usage`] where nobody can be asked.
pub(super) fn agree(what: &str) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        let message = "nothing was removed: there is no terminal to ask on";
        return Err(Failure::with(Exit::Usage, message).hint("the same command with --yes"));
    }
    stderr::write(&printable(&format!("{TOOL}: {what}? [y/N] ")));
    let mut answer = String::new();
    let read = stdin().lock().read_line(&mut answer);
    read.map_err(|e| Failure::new(format_args!("cannot read the answer: {e}")))?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new("nothing was removed")),
    }
}
