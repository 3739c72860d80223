//! A crawl as its journal tells it.

use crawl_ckpt::control::{Counts, Started};
use crawl_ckpt::error::StoreError;
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Commit, Mark};
use crawl_ckpt::tool::Failure;

use super::image;
use super::known::Delta;
use super::lanes::Lanes;
use super::memory::Memory;
use super::replay::{ReplayResult, replay_into};
use super::seen::{Seen, SeenRoom};
use super::unsound::{INSTEAD, Unsound};
use super::{Embedded, HeldJob, Log, Remembered, Ticket};
use crate::clock::{LONGEST_PAUSE_MS, due_by};
use crate::schedule::{HostId, Schedule};

/// What a journal came to.
#[derive(Debug)]
pub struct Restored {
    /// Where a writer goes on.
    pub end: Mark,
    /// How much of the journal an image spared; `None`: all was replayed.
    pub image: Option<Mark>,
    /// Failed requests that are pending again, for whoever commits that.
    pub reopened: Vec<Ticket>,
    /// What to tell.
    pub started: Started,
    /// What people should read.
    pub notes: Vec<String>,
    memory: Memory,
}

/// Reads a job's journal; `window` is how many requests a host may have in flight. With `reopen`, what has failed is pending again.
/// An image, and the parts that it names, only save time: without them the whole journal is read.
///
/// # Errors
/// Errors of the disk, and damage of the journal.
pub fn restore(
    job: &Job,
    window: u32,
    now_ms: u64,
    reopen: bool,
    room: SeenRoom,
) -> Result<Restored, Failure> {
    let mut notes = Vec::new();
    // An image does not tell what has failed.
    if !reopen && let Some((memory, mark)) = imaged(job, window, room.clone(), &mut notes) {
        match go_on(job, memory, Some(mark), now_ms, reopen) {
            Ok(restored) => return Ok(Restored { notes, ..restored }),
            Err(Unsound::Part(why)) => notes.push(format!("{why}; {INSTEAD}")),
            Err(Unsound::Other(failure)) => return Err(failure),
        }
    }
    let is_writer = room.is_writer;
    match go_on(job, nothing(window, room), None, now_ms, reopen) {
        Ok(restored) => Ok(Restored { notes, ..restored }),
        Err(unsound) if is_writer => Err(unsound.ends_run(&**job.disk(), &job.place().dir)),
        Err(unsound) => Err(unsound.ends_reading()),
    }
}

/// What the image holds, and the mark that it stands for; nothing when there is none that is of use.
fn imaged(
    job: &Job,
    window: u32,
    room: SeenRoom,
    notes: &mut Vec<String>,
) -> Option<(Memory, Mark)> {
    match image::load(job, window, room) {
        Ok(None) if job.manifest().image => {
            let path = job.image_path();
            notes.push(format!("{} is missing; {INSTEAD}", path.display()));
            None
        }
        Ok(imaged) => imaged,
        Err(why) => {
            notes.push(format!("{why}; {INSTEAD}"));
            None
        }
    }
}

/// What a replay begins with that has no image.
fn nothing(window: u32, room: SeenRoom) -> Memory {
    room.sweep_waiting(None);
    let (lanes, rules) = (Lanes::within(room.waiting()), room.rules());
    let memory = Memory::new(window, Seen::empty(room));
    Memory {
        lanes,
        rules,
        ..memory
    }
}

/// Reads what came to the journal behind the image's mark, or all of it.
fn go_on(
    job: &Job,
    mut memory: Memory,
    from: Option<Mark>,
    now_ms: u64,
    reopen: bool,
) -> Result<Restored, Unsound> {
    let told = replay_into(job, from.as_ref(), reopen, &mut memory);
    // Behind damage in a part everything looks as if it were seen before.
    memory.seen.find_out()?;
    let ReplayResult {
        replayed,
        mut finished,
        failed,
    } = told.map_err(Unsound::Other)?;
    memory.rules.check().map_err(Unsound::Other)?;
    for id in failed.iter() {
        finished.remove(id);
    }
    let mut reopened = Vec::new();
    let told_ms = replayed.commit.as_ref().map_or(memory.at_ms, |c| c.at_ms);
    for (_, due_ms) in memory.tries.values_mut() {
        *due_ms = due_by(*due_ms, told_ms, now_ms, LONGEST_PAUSE_MS);
    }
    let tries = std::mem::take(&mut memory.tries);
    let mut stays = |schedule: &mut Schedule<Ticket>, host: HostId, ticket: Ticket| {
        if finished.contains(ticket.id) {
            return false;
        }
        if failed.contains(ticket.id) {
            reopened.push(ticket);
            return true;
        }
        match tries.get(&ticket.id) {
            Some(&(_, due_ms)) if due_ms > now_ms => {
                schedule.defer(host, ticket, due_ms);
                false
            }
            _ => true,
        }
    };
    // What an image held may be done by now, or must wait; so may what was put aside.
    let is_unswept = from.is_some() || memory.lanes.has_aside();
    if is_unswept && !(finished.is_empty() && tries.is_empty()) {
        if from.as_ref() == Some(&replayed.mark) {
            // What must wait was kept back at the pause, and an image has that at hand.
            memory.sweep_at_hand(&mut stays);
        } else {
            memory.sweep(&mut stays);
        }
    }
    memory.settle(&mut stays);
    memory.lanes.find_out()?;
    memory.pass_on_answered();
    memory.tries = tries;
    memory.tries.retain(|_, (attempts, _)| *attempts > 0);

    let commit = replayed.commit.unwrap_or_else(|| Commit {
        at_ms: memory.at_ms,
        progress: memory.progress.clone(),
        files: memory.files.clone(),
        tails: memory.tails.clone(),
    });
    let counts = commit.progress.counts;
    let checked = check_counts(&counts, &memory, reopened.len() as u64);
    checked.map_err(|why| match &from {
        Some(_) => Unsound::Part(StoreError::damaged(&job.image_path(), 0, why)),
        None => {
            let path = job.journal_path();
            Unsound::Other(StoreError::damaged(&path, replayed.mark.bytes, why).into())
        }
    })?;
    memory.files = commit.files;
    memory.tails = commit.tails;
    memory.at_ms = commit.at_ms;
    memory.progress = commit.progress;
    memory.progress.records_run = 0;
    Ok(Restored {
        end: replayed.mark,
        image: from,
        reopened,
        notes: Vec::new(),
        started: Started {
            resumed: true,
            counts,
            age_s: now_ms.saturating_sub(commit.at_ms) / 1000,
            cookies_expired: 0,
            requeued: counts.in_flight,
            ..Started::default()
        },
        memory,
    })
}

/// Holds the counts of the last commit against what the entries came to.
fn check_counts(counts: &Counts, memory: &Memory, reopened: u64) -> Result<(), String> {
    let to_do = counts.pending + counts.in_flight + counts.parked;
    let (seen, pending) = (memory.seen.len() as u64, memory.schedule.pending());
    if counts.seen == seen && pending == to_do + reopened {
        return Ok(());
    }
    Err(format!(
        "the last commit counts {} URLs with {to_do} to do, the entries {seen} with {pending}",
        counts.seen
    ))
}

impl Restored {
    /// A value that is kept beside the queue.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.memory.values.get(key).map(Vec::as_slice)
    }

    /// The last commit, to make the next one of it.
    pub fn commit(&self) -> Commit {
        Commit {
            at_ms: self.memory.at_ms,
            progress: self.memory.progress.clone(),
            files: self.memory.files.clone(),
            tails: self.memory.tails.clone(),
        }
    }

    /// Goes on from a commit that was made beside the crawl.
    pub fn go_on_from(&mut self, commit: Commit, end: Mark) {
        self.memory.progress = commit.progress;
        self.memory.files = commit.files;
        self.memory.tails = commit.tails;
        self.end = end;
    }

    /// The committed length of a file.
    pub fn committed(&self, name: &str) -> Option<u64> {
        self.memory.files.get(name).copied()
    }

    /// The hosts that it has requests for, and others.
    pub fn schedule(&self) -> &Schedule<Ticket> {
        &self.memory.schedule
    }

    /// The pending requests and all else, without a store around them.
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    /// The store, which writes to `log` from now on, and what else the crawl goes on with.
    pub fn into_store(
        self,
        log: Log,
        job: Option<HeldJob>,
        delta: Option<Delta>,
    ) -> (Embedded, Remembered) {
        let memory = self.memory;
        let store = Embedded::with(memory.seen, memory.lanes, log, job, delta);
        let rest = Remembered {
            schedule: memory.schedule,
            tries: memory.tries,
            rules: memory.rules,
            values: memory.values,
            progress: memory.progress,
            at_ms: memory.at_ms,
        };
        (store, rest)
    }
}
