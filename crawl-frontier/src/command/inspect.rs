//! Looking at a job from outside: what is pending, what was seen, how much of it.
//! Takes no lock and changes nothing.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::hex;
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::journal::Reader;
use crawl_ckpt::lines::{Line, Lines, TOO_LONG, Unmarked};
use crawl_ckpt::look::steadily;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure, say};
use serde_json::json;

use crate::store::memory::Memory;
use crate::store::request::{read_request, request_of};
use crate::store::restore::restore;
use crate::store::seen::SeenRoom;
use crate::store::unsound::Unsound;
use crate::url::{Fingerprinter, Form, UrlError, canonicalize, canonicalize_link, fingerprint};

fn open(place: &JobPlace) -> Result<Job, Failure> {
    Job::open(Arc::new(RealDisk), place)?
        .ok_or_else(|| Failure::new(format_args!("{}: there is no job", place.dir.display())))
}

/// A job, its pending requests and what reads them, as they were at one moment: a crawl that runs removes journals.
fn read(place: &JobPlace, memory_bytes: u64) -> Result<(Job, Memory, Reader), Failure> {
    steadily(place, || {
        let job = open(place)?;
        let reader = job.reader()?;
        // Read as a plain list: no limit holds anything back.
        let room = SeenRoom::looking(memory_bytes, &job);
        let memory = restore(&job, u32::MAX, u64::MAX, false, room)?.into_memory();
        Ok((job, memory, reader))
    })
}

/// Writes the pending requests in the order in which they would be sent.
///
/// # Errors
/// Errors of the disk and of `out`.
pub fn export(place: &JobPlace, memory_bytes: u64, out: &mut impl Write) -> Result<Exit, Failure> {
    let (_, mut memory, reader) = read(place, memory_bytes)?;
    let mut buffer = Vec::new();
    while let Some((host, ticket)) = memory.next(u64::MAX) {
        let stored = read_request(&reader, ticket, &mut buffer)?;
        serde_json::to_writer(&mut *out, &request_of(&stored)?)
            .map_err(|e| Failure::from_stdout(e.into()))?;
        out.write_all(b"\n").map_err(Failure::from_stdout)?;
        memory.schedule.skipped(host);
    }
    memory.lanes.find_out().map_err(Unsound::ends_reading)?;
    out.flush().map_err(Failure::from_stdout)?;
    Ok(Exit::Complete)
}

/// Reads URLs and writes those that were seen before, or with `unseen` the others.
///
/// # Errors
/// Errors of the disk, of `input` and of `out`.
pub fn seen(
    place: &JobPlace,
    unseen: bool,
    memory_bytes: u64,
    input: impl Read,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let (job, memory, _) = read(place, memory_bytes)?;
    let form = form_of(job.manifest().plan.as_ref());
    let fingerprinter = Fingerprinter::new(job.manifest().key);
    let told = each_url(
        input,
        |url, to| canonicalize_link(url, form, to),
        out,
        |url, canonical, out| {
            let is_seen = memory.seen.contains(fingerprinter.get(canonical));
            if !memory.seen.is_sound() {
                return Err(io::ErrorKind::Other.into());
            }
            if is_seen == unseen {
                return Ok(());
            }
            writeln!(out, "{url}")
        },
    );
    memory.seen.check()?;
    told
}

/// The form of URLs that a plan asks for.
pub fn form_of(plan: Option<&Plan>) -> Form {
    match plan {
        Some(plan) if plan.scope.aggressive_urls => Form::Aggressive,
        _ => Form::Standard,
    }
}

/// Writes the figures of a job's last commit.
///
/// # Errors
/// Errors of the disk and of `out`.
pub fn stat(place: &JobPlace, as_json: bool, out: &mut impl Write) -> Result<Exit, Failure> {
    let (commit, bytes) = steadily(place, || -> Result<_, Failure> {
        let job = open(place)?;
        Ok((job.last_commit()?.unwrap_or_default(), job.journal_bytes()))
    })?;
    let counts = commit.progress.counts;
    let mut rows = vec![
        ("pending", counts.pending + counts.parked),
        ("in_flight", counts.in_flight),
        ("done", counts.done),
        ("failed", counts.failed),
        ("seen", counts.seen),
        ("hosts", commit.progress.hosts),
        ("bytes", bytes),
    ];
    // Of the pending ones.
    if counts.parked > 0 {
        rows.push(("parked", counts.parked));
    }
    // Finished without a record.
    if commit.progress.withdrawn > 0 {
        rows.push(("dropped", commit.progress.withdrawn));
    }
    if let Some(delta) = commit.progress.delta {
        rows.push(("unchanged", delta.unchanged));
    }
    let result = if as_json {
        let object: serde_json::Map<_, _> = rows
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        writeln!(out, "{}", serde_json::Value::Object(object))
    } else {
        rows.iter()
            .try_for_each(|(name, value)| writeln!(out, "{name:<10} {value}"))
    };
    result
        .and_then(|()| out.flush())
        .map_err(Failure::from_stdout)?;
    Ok(Exit::Complete)
}

/// Reads URLs and writes `canonical-URL TAB fingerprint`.
///
/// # Errors
/// Errors of `input` and `out`.
pub fn canon(form: Form, input: impl Read, out: &mut impl Write) -> Result<Exit, Failure> {
    each_url(
        input,
        |url, to| canonicalize(url, form, to),
        out,
        |_, canonical, out| {
            let fingerprint = hex::encode(&fingerprint("GET", canonical, ""));
            writeln!(out, "{canonical}\t{fingerprint}")
        },
    )
}

/// Gives every URL of a list to `write`, with its canonical form. A line that is none is told.
fn each_url<W: Write>(
    input: impl Read,
    canonicalize: impl Fn(&str, &mut String) -> Result<(), UrlError>,
    out: &mut W,
    mut write: impl FnMut(&str, &str, &mut W) -> io::Result<()>,
) -> Result<Exit, Failure> {
    let (mut lines, mut input) = (Lines::default(), Unmarked::new(input));
    let (mut canonical, mut exit) = (String::new(), Exit::Complete);
    loop {
        let line = lines.read_line(&mut input);
        let line = line.map_err(|e| Failure::new(format_args!("cannot read the URLs: {e}")))?;
        let line = match line {
            Some(Line::Whole(line)) => line,
            Some(Line::TooLong(_)) => {
                let why = format_args!("cannot read the URLs: {TOO_LONG}");
                return Err(Failure::new(why));
            }
            None => break,
        };
        let Ok(url) = std::str::from_utf8(line) else {
            let shown = String::from_utf8_lossy(line);
            say(
                "crawl-frontier",
                format_args!("{}: it is not UTF-8", shown.trim()),
            );
            exit = Exit::Failed;
            continue;
        };
        let url = url.trim();
        if url.is_empty() {
            continue;
        }
        match canonicalize(url, &mut canonical) {
            Ok(()) => write(url, &canonical, out).map_err(Failure::from_stdout)?,
            Err(why) => {
                say("crawl-frontier", format_args!("{url}: {why}"));
                exit = Exit::Failed;
            }
        }
    }
    out.flush().map_err(Failure::from_stdout)?;
    Ok(exit)
}
