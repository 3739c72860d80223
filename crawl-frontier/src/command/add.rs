//! Bulk loading: requests in, those not seen before kept.
//!
//! Three stages on their own threads: lines are read, brought into canonical
//! form and hashed; the fingerprints are held against the set and new requests are
//! encoded; batches are checksummed and written, several to a sync.

use std::io::{Read, Write, stdin};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::journal::{Batch, ClosedBatch, Commit, Mark, Referer, Stored, Writer};
use crawl_ckpt::lines::{Line, Lines, TOO_LONG, Unmarked};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::record::{Request, parse_request};
use crawl_ckpt::tool::{Failure, say};

use super::inspect::form_of;
use crate::clock::now_ms;
use crate::store::memory::{Fingerprints, Memory};
use crate::store::request::Extra;
use crate::store::restore::restore;
use crate::store::seen::SeenRoom;
use crate::store::{HeldJob, Watch, new_manifest};
use crate::url::{Fingerprinter, Form, canonicalize_link, origin};

const PIECE_BYTES: usize = 1 << 20;
const BATCH_BYTES: usize = 4 << 20;
/// Pieces of input, and batches, that wait for the next stage.
const AHEAD: usize = 4;
/// Batches to a sync: 128 MiB.
const SYNC_EVERY: usize = 32;
/// So many invalid lines are told one by one.
const EXAMPLES: usize = 5;

/// What became of the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// Taken on.
    pub added: u64,
    /// Seen before.
    pub duplicate: u64,
    /// No requests.
    pub invalid: u64,
    /// The first few of these: line number, from 1, and reason.
    pub examples: Vec<(u64, String)>,
}

/// Lines that were read: canonical, with their fingerprints.
#[derive(Debug, Default)]
struct ReadLines {
    text: String,
    requests: Vec<Prepared>,
    invalid: u64,
    examples: Vec<(u64, String)>,
    error: Option<std::io::Error>,
}

#[derive(Debug)]
struct Prepared {
    /// Where in the text its URL ends …
    end: u32,
    /// … and how long the origin is with which that begins.
    origin: u32,
    fingerprints: Fingerprints,
    rare: Option<Box<Rare>>,
}

/// What a request has beyond its URL.
#[derive(Debug)]
struct Rare {
    depth: u32,
    priority: i64,
    referer: Option<String>,
    extra: Option<String>,
    line: String,
}

/// Adds the requests on stdin to a job, which is made when there is none.
///
/// # Errors
/// A job that another run holds (75) or that is damaged (65); those of input, output and disk.
pub fn run(
    place: &JobPlace,
    print_new: Option<&mut impl Write>,
    memory_bytes: u64,
) -> Result<Added, Failure> {
    let lock = JobLock::acquire(place)?;
    let disk = Arc::new(RealDisk);
    let mut job = match Job::open(disk.clone(), place)? {
        Some(job) if job.manifest().clearing.is_some() => {
            let message = format_args!("{}: the job is being thrown away", place.dir.display());
            return Err(Failure::new(message)
                .hint("the crawl-run command that does it goes on when it is given again"));
        }
        Some(job) => job,
        None => Job::create(disk, place, &lock, new_manifest()?)?,
    };
    let plan = job.manifest().plan.clone();
    let form = form_of(plan.as_ref());
    let fingerprinter = Fingerprinter::new(job.manifest().key);
    let room = SeenRoom::within(memory_bytes, &mut job)?;
    let window = plan.unwrap_or_default().pace.per_host;
    let restored = restore(&job, window, now_ms(), false, room)?;
    for note in &restored.notes {
        say("crawl-frontier", note);
    }
    let (end, image) = (restored.end, restored.image);
    let writer = job.writer(&lock, &end)?;
    let mut memory = restored.into_memory();
    let print_new = print_new.map(|out| out as &mut dyn Write);
    let reading = Reading {
        fingerprinter,
        origins: memory.schedule.origins(),
        form,
    };
    let (added, end) = add(
        &mut memory,
        reading,
        writer,
        Unmarked::new(stdin()),
        print_new,
        now_ms(),
    )?;
    let mut held = HeldJob::new(job, lock, image.as_ref(), memory_bytes);
    memory.seen.come_to_rest(&mut Unattended);
    held.close(&end, memory.view(), &mut Unattended)?;
    Ok(added)
}

/// A signal ends `add` itself.
struct Unattended;

impl Watch for Unattended {
    fn tell(&mut self, note: String) {
        say("crawl-frontier", note);
    }

    /// It is the last thing that `add` does, and nothing that it has to say.
    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

/// Adds requests to a job; they are durable when this returns. New ones go to
/// `print_new` before they are committed, so that none is missed after a crash.
///
/// # Errors
/// Errors of input, output and disk.
fn add(
    memory: &mut Memory,
    reading: Reading,
    writer: Writer,
    input: impl Read + Send,
    print_new: Option<&mut dyn Write>,
    at_ms: u64,
) -> Result<(Added, Mark), Failure> {
    thread::scope(|scope| {
        let (pieces, prepared) = sync_channel(AHEAD);
        let (batches, closed) = sync_channel(AHEAD);
        scope.spawn(move || prepare(input, &reading, &pieces));
        let batch = Batch::new(&writer.end());
        let commits = scope.spawn(move || commit(writer, &closed));
        let added = Added::default();
        let mut loader = Loader {
            memory,
            batch,
            at_ms,
            added,
        };
        let loaded = loader.load(&prepared, &batches, print_new);
        // The other threads end when their neighbours are gone.
        drop((prepared, batches));
        let end = commits.join();
        let end = end.unwrap_or_else(|_| Err(Failure::new("the writing thread is gone")));
        match (loaded, end) {
            (Ok(()), Ok(mark)) => {
                loader.memory.settle(|_, _, _| true);
                loader.memory.lanes.check()?;
                Ok((loader.added, mark))
            }
            // A writer that is gone is the cause of a loader that cannot go on.
            (_, Err(failure)) | (Err(failure), Ok(_)) => Err(failure),
        }
    })
}

/// How lines are read.
struct Reading {
    fingerprinter: Fingerprinter,
    origins: Fingerprinter,
    form: Form,
}

/// First stage: lines to fingerprints.
fn prepare(mut input: impl Read, reading: &Reading, pieces: &SyncSender<ReadLines>) {
    let (mut lines, mut canonical) = (Lines::default(), String::new());
    let mut number = 0;
    let mut piece = ReadLines::default();
    loop {
        number += 1;
        let goes_on = match lines.read_line(&mut input) {
            Ok(Some(Line::Whole(line))) => {
                piece.take(line, number, reading, &mut canonical);
                true
            }
            Ok(Some(Line::TooLong(_))) => {
                let why = format!("line {number}: {TOO_LONG}");
                piece.error = Some(std::io::Error::other(why));
                false
            }
            Ok(None) => false,
            Err(e) => {
                piece.error = Some(e);
                false
            }
        };
        // No line waits here for those that are not there yet.
        let is_due = !goes_on || piece.text.len() >= PIECE_BYTES || !lines.has_next();
        if is_due && pieces.send(std::mem::take(&mut piece)).is_err() || !goes_on {
            return;
        }
    }
}

impl ReadLines {
    fn take(&mut self, line: &[u8], number: u64, reading: &Reading, canonical: &mut String) {
        match prepare_line(line, reading, canonical) {
            Ok(Some((request, rare))) => {
                self.text.push_str(canonical);
                let origin = origin(canonical);
                let host = reading.origins.get(origin);
                let fingerprints = Fingerprints { request, host };
                self.requests.push(Prepared {
                    // A piece is little longer than its longest line, of 64 MiB.
                    end: self.text.len() as u32,
                    origin: origin.len() as u32,
                    fingerprints,
                    rare,
                });
            }
            Ok(None) => {}
            Err(why) => {
                self.invalid += 1;
                if self.examples.len() < EXAMPLES {
                    self.examples.push((number, why));
                }
            }
        }
    }
}

type Marked = (u128, Option<Box<Rare>>);

/// The fingerprint of a line, and what is rare about it; `None` for an empty line.
fn prepare_line(
    line: &[u8],
    reading: &Reading,
    canonical: &mut String,
) -> Result<Option<Marked>, String> {
    let (fingerprinter, form) = (reading.fingerprinter, reading.form);
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let line = line.trim_matches([' ', '\t', '\r', '\n']);
    if line.is_empty() {
        return Ok(None);
    }
    if !line.starts_with('{') {
        canonicalize_link(line, form, canonical).map_err(|e| e.to_string())?;
        return Ok(Some((fingerprinter.get(canonical), None)));
    }
    let request: Request<'_> = parse_request(line)?;
    canonicalize_link(&request.url, form, canonical).map_err(|e| e.to_string())?;
    let method = request.method.as_deref().unwrap_or("GET");
    let fingerprint =
        fingerprinter.request(method, canonical, request.body.as_deref().unwrap_or(""));
    let rare = Rare {
        depth: request.depth.unwrap_or(0),
        priority: request.priority.unwrap_or(0),
        extra: Extra::of(&request),
        referer: request.referer.map(|referer| referer.into_string()),
        line: line.to_owned(),
    };
    Ok(Some((fingerprint, Some(Box::new(rare)))))
}

/// Second stage: fingerprints to new requests.
struct Loader<'a> {
    memory: &'a mut Memory,
    batch: Batch,
    at_ms: u64,
    added: Added,
}

impl Loader<'_> {
    fn load(
        &mut self,
        pieces: &Receiver<ReadLines>,
        batches: &SyncSender<ClosedBatch>,
        mut print_new: Option<&mut dyn Write>,
    ) -> Result<(), Failure> {
        for piece in pieces {
            if let Some(error) = piece.error {
                return Err(Failure::new(format_args!(
                    "cannot read the requests: {error}"
                )));
            }
            self.added.invalid += piece.invalid;
            let room = EXAMPLES - self.added.examples.len();
            self.added
                .examples
                .extend(piece.examples.iter().take(room).cloned());
            self.load_piece(&piece, &mut print_new)?;
            if self.batch.bytes() >= BATCH_BYTES {
                self.close(batches, &mut print_new)?;
            }
        }
        if !self.batch.is_empty() {
            self.close(batches, &mut print_new)?;
        }
        Ok(())
    }

    fn load_piece(
        &mut self,
        piece: &ReadLines,
        print_new: &mut Option<&mut dyn Write>,
    ) -> Result<(), Failure> {
        let mut start = 0;
        for (number, request) in piece.requests.iter().enumerate() {
            self.memory
                .touch(&piece.requests, number, |one| one.fingerprints);
            let url = &piece.text[start..request.end as usize];
            start = request.end as usize;
            if self.take_on(url, request)
                && let Some(out) = print_new
            {
                let line = request.rare.as_ref().map_or(url, |rare| &rare.line);
                writeln!(out, "{line}").map_err(Failure::from_stdout)?;
            }
        }
        Ok(())
    }

    fn take_on(&mut self, url: &str, request: &Prepared) -> bool {
        let Some(host) = self
            .memory
            .meet(request.fingerprints, &url[..request.origin as usize])
        else {
            self.added.duplicate += 1;
            return false;
        };
        self.added.added += 1;
        let mut stored = Stored {
            url,
            ..Stored::default()
        };
        if let Some(rare) = &request.rare {
            stored.depth = rare.depth;
            stored.priority = rare.priority;
            stored.referer = rare
                .referer
                .as_deref()
                .map(|referer| Referer::of(url, referer));
            stored.extra = rare.extra.as_deref();
        }
        let kept = self.batch.request(&stored);
        self.memory.arrive(host, kept, stored.priority);
        true
    }

    fn close(
        &mut self,
        batches: &SyncSender<ClosedBatch>,
        print_new: &mut Option<&mut dyn Write>,
    ) -> Result<(), Failure> {
        self.memory.seen.tend();
        if self.memory.lanes.is_full() {
            self.memory.settle(|_, _, _| true);
        }
        self.memory.seen.check()?;
        self.memory.lanes.check()?;
        if let Some(out) = print_new {
            out.flush().map_err(Failure::from_stdout)?;
        }
        self.memory.at_ms = self.at_ms;
        let pending = self.memory.pending();
        let progress = &mut self.memory.progress;
        progress.counts.seen = self.memory.seen.len() as u64;
        // What is parked waits in the lanes too, and is counted apart.
        progress.counts.pending = pending.saturating_sub(progress.counts.parked);
        progress.counts.in_flight = 0;
        progress.hosts = self.memory.schedule.count() as u64;
        let commit = Commit {
            at_ms: self.at_ms,
            progress: progress.clone(),
            files: self.memory.files.clone(),
            tails: self.memory.tails.clone(),
        };
        let nothing = Batch::new(&Mark {
            bytes: 0,
            seq: 0,
            next_id: 0,
            sum: [0; 16],
        });
        let closed = std::mem::replace(&mut self.batch, nothing).close(&commit);
        self.batch = Batch::after(&closed, Vec::with_capacity(BATCH_BYTES + PIECE_BYTES));
        batches
            .send(closed)
            .map_err(|_| Failure::new("the writing thread is gone"))
    }
}

/// Third stage: batches to the disk.
fn commit(mut writer: Writer, batches: &Receiver<ClosedBatch>) -> Result<Mark, Failure> {
    for (number, batch) in batches.iter().enumerate() {
        writer.append_unsynced(&batch)?;
        if (number + 1) % SYNC_EVERY == 0 {
            writer.sync()?;
        }
    }
    writer.sync()?;
    Ok(writer.end())
}
