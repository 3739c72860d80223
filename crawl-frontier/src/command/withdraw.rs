//! `drop`: takes pending URLs out of the queue. They stay seen, so that no link brings them back.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

use crawl_ckpt::control::{Parked, Progress};
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::journal::{Batch, Commit};
use crawl_ckpt::lines::{Line, Lines, TOO_LONG, Unmarked};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::Failure;

use super::inspect::form_of;
use crate::clock::now_ms;
use crate::crawl::routes::Routes;
use crate::keys::OfHost;
use crate::store::memory::Memory;
use crate::store::request::read_request;
use crate::store::restore::restore;
use crate::store::seen::SeenRoom;
use crate::store::unsound::Unsound;
use crate::url::{Fingerprinter, Form, authority, canonicalize_link, origin};

/// A batch is closed at this size.
const BATCH_BYTES: usize = 4 << 20;

/// Which of the pending URLs are to go.
#[derive(Debug)]
pub enum Chosen<R> {
    /// Those in a list, one a line.
    Listed(R),
    /// Those of a host, or that a pattern is found in.
    Matching {
        /// Names of hosts, with a port where it is not the usual one.
        hosts: Vec<String>,
        /// Searched in the URL.
        patterns: Vec<Pattern>,
    },
}

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Pending no more.
    pub dropped: u64,
    /// Listed, and not pending: finished, or never seen.
    pub not_pending: u64,
    /// Lines that are no URL.
    pub invalid: u64,
}

/// Which URLs are meant.
struct Choice {
    listed: HashSet<u128>,
    /// Of these, those that were met.
    met: HashSet<u128>,
    hosts: Vec<String>,
    patterns: Vec<Pattern>,
    fingerprinter: Fingerprinter,
}

impl Choice {
    /// Whether a URL is one of them.
    fn takes(&mut self, url: &str) -> Result<bool, Failure> {
        let fingerprint = self.fingerprinter.get(url);
        if self.listed.contains(&fingerprint) {
            self.met.insert(fingerprint);
            return Ok(true);
        }
        if self.hosts.iter().any(|host| host == authority(url)) {
            return Ok(true);
        }
        for pattern in &self.patterns {
            let matches = pattern.is_match(url);
            if matches
                .map_err(|_| Failure::new(format_args!("--pattern takes too long on {url}")))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Takes URLs out of the queue of a job; durable when this returns.
///
/// # Errors
/// A job that another run holds (75), that is damaged (65) or not there; those of input and disk.
pub fn run(
    place: &JobPlace,
    chosen: Chosen<impl Read>,
    memory_bytes: u64,
) -> Result<Withdrawn, Failure> {
    let lock = JobLock::acquire(place)?;
    let mut job = Job::open(Arc::new(RealDisk), place)?
        .ok_or_else(|| Failure::new(format_args!("{}: there is no job", place.dir.display())))?;
    if job.manifest().clearing.is_some() {
        let message = format_args!("{}: the job is being thrown away", place.dir.display());
        return Err(Failure::new(message));
    }
    let form = form_of(job.manifest().plan.as_ref());
    let mut choice = Choice {
        listed: HashSet::new(),
        met: HashSet::new(),
        hosts: Vec::new(),
        patterns: Vec::new(),
        fingerprinter: Fingerprinter::new(job.manifest().key),
    };
    let mut withdrawn = Withdrawn::default();
    match chosen {
        Chosen::Listed(input) => withdrawn.invalid = read(input, form, &mut choice)?,
        Chosen::Matching { hosts, patterns } => (choice.hosts, choice.patterns) = (hosts, patterns),
    }

    // As a plain list: nothing holds anything back.
    let room = SeenRoom::looking(memory_bytes, &job);
    let restored = restore(&job, u32::MAX, u64::MAX, false, room)?;
    let mut commit = restored.commit();
    let mut writer = job.writer(&lock, &restored.end)?;
    let mut batch = Batch::new(&writer.end());
    let mut memory = restored.into_memory();
    let reader = job.reader()?;
    let plan = job.manifest().plan.clone().unwrap_or_default();
    tell_parked(&mut commit.progress, &plan, &memory);
    commit.at_ms = now_ms();
    let mut buffer = Vec::new();
    while let Some((host, ticket)) = memory.next(u64::MAX) {
        memory.schedule.skipped(host);
        let stored = read_request(&reader, ticket, &mut buffer)?;
        if !choice.takes(stored.url)? {
            continue;
        }
        batch.done(ticket.id(), false);
        withdrawn.dropped += 1;
        count(&mut commit, stored.url);
        if batch.bytes() >= BATCH_BYTES {
            writer.append(&batch.close(&told(&commit)))?;
            batch = Batch::new(&writer.end());
        }
    }
    memory.lanes.find_out().map_err(Unsound::ends_reading)?;
    if !batch.is_empty() {
        writer.append(&batch.close(&told(&commit)))?;
    }
    job.seal(&lock, &writer.end())?;
    withdrawn.not_pending = (choice.listed.len() - choice.met.len()) as u64;
    Ok(withdrawn)
}

/// Counts what waits, and names all hosts of which that waits for a decision. Nothing is under way now.
fn tell_parked(progress: &mut Progress, plan: &Plan, memory: &Memory) {
    progress.forget_parked();
    let mut routes = Routes::<()>::new(plan);
    for (key, saved) in &memory.values {
        let Some((OfHost::Route, origin)) = OfHost::of(key) else {
            continue;
        };
        let Some(id) = memory.schedule.find_host(origin) else {
            continue;
        };
        routes.restore(id, saved);
        let urls = u64::from(memory.schedule.host(id).pending);
        if let Some(why) = routes.parked(id).filter(|_| urls > 0) {
            let why = why.to_owned();
            progress.counts.parked += urls;
            progress
                .parked
                .insert(origin.to_owned(), Parked { urls, why });
        }
    }
    let counts = &mut progress.counts;
    counts.pending = memory.pending() - counts.parked;
    counts.in_flight = 0;
}

/// What a commit tells of it.
fn told(commit: &Commit) -> Commit {
    let mut told = commit.clone();
    told.progress.name_few();
    told
}

/// One that waited, perhaps for a decision on its host, is finished.
fn count(commit: &mut Commit, url: &str) {
    let progress = &mut commit.progress;
    let parked = progress.parked.get_mut(origin(url));
    if let Some(host) = parked.filter(|host| host.urls > 0) {
        host.urls -= 1;
        progress.counts.parked = progress.counts.parked.saturating_sub(1);
    } else {
        progress.counts.pending = progress.counts.pending.saturating_sub(1);
    }
    progress.parked.retain(|_, host| host.urls > 0);
    progress.counts.done += 1;
    progress.withdrawn += 1;
}

/// Reads the list. Gives how many of its lines are no URL.
fn read(input: impl Read, form: Form, choice: &mut Choice) -> Result<u64, Failure> {
    let (mut lines, mut input) = (Lines::default(), Unmarked::new(input));
    let (mut canonical, mut invalid) = (String::new(), 0);
    loop {
        let line = lines.read_line(&mut input);
        let line =
            match line.map_err(|e| Failure::new(format_args!("cannot read the URLs: {e}")))? {
                None => return Ok(invalid),
                Some(Line::Whole(line)) => std::str::from_utf8(line).unwrap_or("?").trim(),
                Some(Line::TooLong(_)) => {
                    return Err(Failure::new(format_args!(
                        "cannot read the URLs: {TOO_LONG}"
                    )));
                }
            };
        if line.is_empty() {
            continue;
        }
        match canonicalize_link(line, form, &mut canonical) {
            Ok(()) => drop(choice.listed.insert(choice.fingerprinter.get(&canonical))),
            Err(_) => invalid += 1,
        }
    }
}
