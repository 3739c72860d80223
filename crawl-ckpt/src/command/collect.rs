//! `crawl-ckpt collect`: one file of the records of several workers.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use crate::collect::{Twice, collect, files_of};
use crate::human::{bytes, counted};
use crate::job::Name;
use crate::summary::{CrawlSummary, summary_of};
use crate::tool::{Exit, Failure};

/// Which records, and where they go.
#[derive(Debug, Args)]
pub(crate) struct Collection {
    /// Files of records, also packed by gzip, or directories with those of one crawl (crawl_ID.WORKER.jsonl)
    #[arg(value_name = "DIR|FILE", required = true)]
    from: Vec<PathBuf>,
    /// The file that is made
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Of the directories take only this crawl's files
    #[arg(long, value_name = "ID", value_parser = Name::parse)]
    crawl_id: Option<Name>,
    /// Of a URL with several records keep the one that was fetched last [default: refuse them]
    #[arg(long)]
    latest: bool,
}

pub fn run(context: &mut Context<'_>, asked: &Collection) -> Result<Exit, Failure> {
    let files = files_of(&asked.from, asked.crawl_id.as_ref().map(Name::as_str))?;
    let twice = if asked.latest {
        Twice::Latest
    } else {
        Twice::Refused
    };
    for file in &files {
        context.tell(file.display());
    }
    let collected = collect(&files, &asked.output, twice)?;
    let summaries = files
        .iter()
        .filter_map(|file| CrawlSummary::read(&summary_of(file)).transpose())
        // One that cannot be read is none: the records are what counts.
        .filter_map(Result::ok);
    let summaries: Vec<CrawlSummary> = summaries.collect();
    if let Some(all) = CrawlSummary::of_all(&summaries, &asked.output, collected.records) {
        let path = summary_of(&asked.output);
        let wrong = |e| Failure::new(format_args!("cannot write {}: {e}", path.display()));
        all.write(&path).map_err(wrong)?;
    }
    let left_out = match collected.left_out {
        0 => String::new(),
        n => format!(", without {} that were fetched again", counted(n, "record")),
    };
    context.say(format_args!(
        "{} of {}, {}{left_out}: {}",
        counted(collected.records, "record"),
        counted(files.len() as u64, "file"),
        bytes(collected.bytes),
        asked.output.display()
    ));
    Ok(Exit::Complete)
}
