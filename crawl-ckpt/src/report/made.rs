//! A report from its file of records to the file of its page.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::facts::{Checkpoint, Findings, facts, not_taken_on, parked};
use super::page::write_page;
use super::source::Source;
use crate::durable::{Links, RealDisk, open_file, publish};
use crate::human::{bytes, counted};
use crate::look::Look;
use crate::summary::{CrawlSummary, summary_of};
use crate::tool::{Exit, Failure};

/// How a page of ours begins.
const PAGE: &[u8] = b"<!doctype html>";

/// A report that can be written.
pub struct MadeReport {
    /// What is told.
    pub facts: Findings,
    /// What of the files was not read, and why.
    pub notes: Vec<String>,
}

impl MadeReport {
    /// Reads the records of a file, and what else is known of their crawl: `look` is its checkpoint.
    ///
    /// # Errors
    /// A file cannot be read, or was changed while it was.
    pub fn of(
        name: String,
        file: &Path,
        look: Option<&Look>,
        against: Option<&Path>,
    ) -> Result<MadeReport, Failure> {
        let source = Source::open(file)?;
        let against = against.map(Source::open).transpose()?;
        let mut facts = facts(name, &source, look.map(known), against.as_ref())?;
        let mut notes = Vec::new();
        let summary = summary_of(file);
        match CrawlSummary::read(&summary) {
            Ok(read) => facts.summary = read.filter(|read| read.is_of(file)),
            Err(error) => notes.push(format!("{} is left out: {error}", summary.display())),
        }
        if let Some(line) = facts.first_bad_line {
            let bad = counted(facts.bad_lines, "line");
            notes.push(format!(
                "{}: {bad} passed over: not a record, first in line {line}",
                facts.file
            ));
        }
        if let Some(torn) = &facts.torn {
            notes.push(format!("{} ends early: {torn}", facts.file));
        }
        Ok(MadeReport { facts, notes })
    }

    /// The page.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // A String takes all that is written.
        let _ = write_page(&mut page, &self.facts);
        page
    }
}

/// The file that a page goes to.
#[derive(Debug, Clone)]
pub struct PageFile(PathBuf);

impl PageFile {
    /// One that is not there yet, or holds an earlier page, which is replaced.
    ///
    /// # Errors
    /// [`Exit::Usage`] for any other file; one that cannot be looked at.
    pub fn new(path: &Path) -> Result<PageFile, Failure> {
        let failed = |e| Failure::new(format_args!("cannot write to {}: {e}", path.display()));
        let mut start = Vec::new();
        match open_file(path, false, Links::Followed) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
            Ok(file) => {
                let read = file.take(PAGE.len() as u64).read_to_end(&mut start);
                read.map_err(failed)?;
            }
        }
        if start.is_empty() || start == PAGE {
            return Ok(PageFile(path.to_owned()));
        }
        let path = path.display();
        Err(Failure::with(
            Exit::Usage,
            format_args!("{path} is there already and is no page: nothing was written"),
        ))
    }

    /// Writes the page; says what was written.
    ///
    /// # Errors
    /// Those of the file system; [`Exit::Usage`] when the file has become another one since it was looked at.
    pub fn write(&self, report: &MadeReport) -> Result<String, Failure> {
        PageFile::new(&self.0)?;
        let (page, path) = (report.page(), self.0.display());
        publish(&RealDisk, &self.0, page.as_bytes())
            .map_err(|e| Failure::new(format_args!("cannot write {path}: {e}")))?;
        let records = counted(report.facts.records, "record");
        Ok(format!(
            "{path}: {}, of {records} in {}",
            bytes(page.len() as u64),
            report.facts.file
        ))
    }
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
