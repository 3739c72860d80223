//! `retry-blocked`: what ended with a block or a failure is made pending again,
//! and its records are taken out of the output.
//!
//! The new output is written beside the old one; the commit that makes the
//! requests pending vouches for the new length and says that the exchange is
//! due; then the files are exchanged. A kill at any point leaves one of the two
//! whole, and the next run knows which.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crawl_ckpt::address::masked;
use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::{Disk, RealDisk, beside, parent, remove_if_there};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Reader, Writer};
use crawl_ckpt::record::FetchResult;
use crawl_ckpt::tool::Failure;

use super::restore::Restored;
use crate::class::Class;

/// Under this key the checkpoint says that the exchange of the output is due.
const EXCHANGE: &str = "output:exchange";

/// Commits that `restored.reopened` are pending again, and takes their records out of the
/// output. Finishes an exchange that a killed run left behind.
///
/// # Errors
/// Those of the disk.
pub fn reopen(
    job: &Job,
    restored: &mut Restored,
    writer: &mut Writer,
    data_dir: &Path,
    now_ms: u64,
) -> Result<(), Failure> {
    let output = job
        .manifest()
        .output
        .as_ref()
        .and_then(|output| output.resolve(data_dir));
    let mut due = is_exchange_due(restored);
    let reopened = std::mem::take(&mut restored.reopened);
    if due && let Some(path) = &output {
        exchange(path)?;
    }
    if !reopened.is_empty() {
        let reader = Reader::open(job)?;
        let (mut urls, mut buffer) = (HashSet::new(), Vec::new());
        for ticket in &reopened {
            let url = reader.request_at(ticket.at, &mut buffer)?.url;
            urls.insert(masked(url).into_owned());
        }
        // It would not know what is pending again.
        remove_if_there(&**job.disk(), &job.image_path())
            .map_err(|e| Failure::new(format_args!("cannot remove the image: {e}")))?;
        restored.image = None;
        let committed = restored.output_bytes();
        let (progress, files) = restored.figures();
        if let Some(path) = &output {
            let length = write_without(path, committed, &urls, progress)?;
            files.insert("output".to_owned(), length);
        }
        let count = reopened.len() as u64;
        progress.counts.failed -= count;
        progress.counts.pending += count;
        let mut batch = Batch::new(&writer.end());
        for ticket in &reopened {
            batch.defer(ticket.id, 0, now_ms);
        }
        batch.set(EXCHANGE, b"1");
        append(writer, batch, restored, now_ms)?;
        if let Some(path) = &output {
            exchange(path)?;
        }
        due = true;
    }
    if due {
        let mut batch = Batch::new(&writer.end());
        batch.unset(EXCHANGE);
        append(writer, batch, restored, now_ms)?;
    }
    Ok(())
}

/// A killed run was about to put the new output in the place of the old one.
pub fn is_exchange_due(restored: &Restored) -> bool {
    restored.value(EXCHANGE).is_some()
}

fn append(
    writer: &mut Writer,
    batch: Batch,
    restored: &mut Restored,
    at_ms: u64,
) -> Result<(), Failure> {
    let (progress, files) = restored.figures();
    let commit = Commit {
        at_ms,
        progress: progress.clone(),
        files: files.clone(),
    };
    restored.end = writer.append(&batch.close(&commit))?;
    Ok(())
}

/// The output that is to take the old one's place.
fn new_output(path: &Path) -> PathBuf {
    beside(path, ".retry")
}

/// Writes the new output: all committed records but those of these URLs, which `progress`
/// counts no longer. Returns its length in bytes; it is durable then.
fn write_without(
    path: &Path,
    committed: u64,
    urls: &HashSet<String>,
    progress: &mut Progress,
) -> Result<u64, Failure> {
    let fail = |e: io::Error| Failure::new(format_args!("cannot rewrite {}: {e}", path.display()));
    let old = BufReader::new(File::open(path).map_err(fail)?.take(committed));
    let mut new = BufWriter::new(File::create(new_output(path)).map_err(fail)?);
    let mut length = 0;
    for line in old.lines() {
        let line = line.map_err(fail)?;
        let record: FetchResult<'_> = serde_json::from_str(&line).map_err(|e| fail(e.into()))?;
        if urls.contains(&*record.url) {
            uncount(&record, progress);
            continue;
        }
        writeln!(new, "{line}").map_err(fail)?;
        length += line.len() as u64 + 1;
    }
    let file = new.into_inner().map_err(|e| fail(e.into_error()))?;
    file.sync_all().map_err(fail)?;
    RealDisk.sync_dir(parent(path)).map_err(fail)?;
    Ok(length)
}

fn uncount(record: &FetchResult<'_>, progress: &mut Progress) {
    progress.records = progress.records.saturating_sub(1);
    if let Some(class) = Class::of(record) {
        class.uncount(progress);
    }
}

/// Puts the new output in the old one's place, if it is still there.
fn exchange(path: &Path) -> Result<(), Failure> {
    let fail = |e: io::Error| Failure::new(format_args!("cannot replace {}: {e}", path.display()));
    let new = new_output(path);
    if RealDisk.exists(&new).map_err(fail)? {
        RealDisk.rename(&new, path).map_err(fail)?;
    }
    RealDisk.sync_dir(parent(path)).map_err(fail)
}
