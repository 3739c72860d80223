//! `crawl-ckpt report`: what came out of a crawl, as a page or for programs.

use std::fs;
use std::io::{ErrorKind, IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde_json::json;

use super::Context;
use crate::catalog::Found;
use crate::look::Look;
use crate::report::{MadeReport, PageFile};
use crate::tool::{Exit, Failure};

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
    let to = output.map(PageFile::new).transpose()?;
    if to.is_none() && !asked.json && stdout().is_terminal() {
        return Err(Failure::with(Exit::Usage, "a page is not for a terminal")
            .hint(format_args!("crawl-ckpt report {spider} -o report.html")));
    }
    let look = Look::at(&spider.place);
    let written = look.as_ref().and_then(|look| {
        let manifest = look.manifest.as_ref()?;
        manifest.output_file(context.catalog.data_dir())
    });
    let file = match (&asked.from, &written) {
        (Some(file), _) => file.clone(),
        (None, Some(file)) => file.clone(),
        (None, None) => newest(spider)?,
    };
    let is_of_checkpoint = written.is_some_and(|written| is_same(&written, &file));
    let look = look.filter(|_| is_of_checkpoint);
    let against = asked.against.as_deref();
    let report = MadeReport::of(spider.to_string(), &file, look.as_ref(), against)?;
    report.notes.iter().for_each(|note| context.say(note));
    match to {
        _ if asked.json => context.print_json(&json!(report.facts))?,
        None => context.print(&report.page())?,
        Some(to) => context.say(to.write(&report)?),
    }
    Ok(Exit::Complete)
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
        // A link that leads nowhere is no output.
        let Ok(file) = path.metadata() else {
            continue;
        };
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
