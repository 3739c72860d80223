//! `crawl-ckpt report`: what came out of a crawl, as a page or for programs.

use std::fs;
use std::io::{ErrorKind, IsTerminal, Read, stdout};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::json;

use super::Context;
use crate::catalog::Found;
use crate::durable::{RealDisk, publish};
use crate::human::{bytes, counted};
use crate::look::Look;
use crate::summary::{CrawlSummary, summary_of};
use crate::report::{Checkpoint, Findings, Source, facts, not_taken_on, parked, write_page};
use crate::tool::{Exit, Failure};

/// How a page of ours begins.
const PAGE: &[u8] = b"<!doctype html>";

/// Which records, and where the page goes.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// Write the page into this file, in place of an earlier page; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Read these records, in place of the newest output
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Compare with the records of an earlier crawl: what broke, was mended, is new or gone
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Print the same facts as a JSON object
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

pub fn run(context: &mut Context<'_>, spider: &Found, asked: &Asked) -> Result<Exit, Failure> {
    let output = asked
        .output
        .as_deref()
        .filter(|path| *path != Path::new("-"));
    match output {
        Some(path) => check_is_page(path)?,
        None if !asked.json && stdout().is_terminal() => {
            return Err(Failure::with(Exit::Usage, "a page is not for a terminal")
                .hint(format_args!("crawl-ckpt report {spider} -o report.html")));
        }
        None => {}
    }
    let look = Look::at(&spider.place);
    let written = look.as_ref().and_then(|look| {
        let output = look.manifest.as_ref()?.output.as_ref()?;
        output.resolve(context.catalog.data_dir())
    });
    let file = match (&asked.from, &written) {
        (Some(file), _) => file.clone(),
        (None, Some(file)) => file.clone(),
        (None, None) => newest(spider)?,
    };
    let is_of_checkpoint = written.is_some_and(|written| is_same(&written, &file));
    let checkpoint = look.filter(|_| is_of_checkpoint).map(|look| known(&look));
    let source = Source::open(&file)?;
    let against = asked.against.as_deref().map(Source::open).transpose()?;
    let mut facts = facts(spider.to_string(), &source, checkpoint, against.as_ref())?;
    facts.summary = summary(context, &file);
    warn(context, &facts);
    if asked.json {
        context.print_json(&json!(facts))?;
        return Ok(Exit::Complete);
    }
    let mut page = String::new();
    // A String takes all that is written.
    let _ = write_page(&mut page, &facts);
    match output {
        None => context.print(&page)?,
        Some(path) => {
            publish(&RealDisk, path, page.as_bytes())
                .map_err(|e| Failure::new(format_args!("cannot write {}: {e}", path.display())))?;
            context.say(format_args!(
                "{}: {}, of {} in {}",
                path.display(),
                bytes(page.len() as u64),
                counted(facts.records, "record"),
                file.display()
            ));
        }
    }
    Ok(Exit::Complete)
}

/// Says what of the file was not read.
fn warn(context: &Context<'_>, facts: &Findings) {
    if let Some(line) = facts.first_bad_line {
        let bad = counted(facts.bad_lines, "line");
        context.say(format_args!(
            "{}: {bad} passed over: not a record, first in line {line}",
            facts.file
        ));
    }
    if let Some(torn) = &facts.torn {
        context.say(format_args!("{} ends early: {torn}", facts.file));
    }
}

/// A file that is there already is replaced only when it is an earlier page.
fn check_is_page(path: &Path) -> Result<(), Failure> {
    let failed = |e| Failure::new(format_args!("cannot read {}: {e}", path.display()));
    let mut start = Vec::new();
    match fs::File::open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
        Ok(file) => file
            .take(PAGE.len() as u64)
            .read_to_end(&mut start)
            .map_err(failed)?,
    };
    if start.is_empty() || start == PAGE {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::with(
        Exit::Usage,
        format_args!("{path} is there already and is no page: nothing was written"),
    ))
}

/// What the crawl that wrote a file of records told of itself.
fn summary(context: &Context<'_>, file: &Path) -> Option<CrawlSummary> {
    let path = summary_of(file);
    match CrawlSummary::read(&path) {
        Ok(summary) => summary.filter(|summary| summary.is_of(file)),
        Err(error) => {
            let path = path.display();
            context.say(format_args!("{path} is left out: {error}"));
            None
        }
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// The output that was written last.
fn newest(spider: &Found) -> Result<PathBuf, Failure> {
    let dir = spider.place.dir.with_file_name("crawls");
    let failed = |e| Failure::new(format_args!("cannot list {}: {e}", dir.display()));
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(nothing(spider)),
        Err(e) => return Err(failed(e)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.to_string_lossy();
        if !name.ends_with(".jsonl") && !name.ends_with(".jsonl.gz") {
            continue;
        }
        let file = path.metadata().map_err(failed)?;
        let found = (file.modified().map_err(failed)?, path);
        if file.is_file() && newest.as_ref().is_none_or(|newest| *newest < found) {
            newest = Some(found);
        }
    }
    newest.map(|(_, path)| path).ok_or_else(|| nothing(spider))
}

fn nothing(spider: &Found) -> Failure {
    Failure::new(format_args!("{spider} has no output")).hint(format_args!(
        "crawl-ckpt report {spider} --from FILE -o report.html"
    ))
}

/// What the checkpoint knows and the records do not.
fn known(look: &Look) -> Checkpoint {
    let progress = look.commit.as_ref().map(|commit| &commit.progress);
    Checkpoint {
        state: look.state.as_str(),
        pending: look.counts().map(|counts| counts.unfinished()),
        not_taken_on: progress.map(not_taken_on).unwrap_or_default(),
        parked: progress.map(parked).unwrap_or_default(),
    }
}
