//! `retry-blocked`: what ended with a block or a failure is made pending again,
//! and its records are taken out of the output.
//!
//! The new output is written beside the old one, under a name that is the job's own; the commit
//! that makes the requests pending vouches for the new length and says that the exchange is
//! due; then the files are exchanged. A kill at any point leaves one of the two
//! whole, and the next run knows which.

use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use crawl_ckpt::address::masked;
use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::{Disk, Links, RealDisk, Tail, open_file, parent, remove_if_there};
use crawl_ckpt::job::{EXCHANGE, Job, OUTPUT, behind_links, due_exchange, replacement};
use crawl_ckpt::journal::{Batch, Commit, Writer};
use crawl_ckpt::record::FetchResult;
use crawl_ckpt::tool::Failure;

use super::Ticket;
use super::restore::Restored;
use crate::class::Class;

/// Commits that `restored.reopened` are pending again, and takes their records out of the
/// output. Finishes an exchange that a killed run left behind.
///
/// # Errors
/// Errors of the disk; an output without the records of what has failed. It is as it was then.
pub fn reopen(
    job: &Job,
    restored: &mut Restored,
    writer: &mut Writer,
    data_dir: &Path,
    now_ms: u64,
) -> Result<(), Failure> {
    let output = job.manifest().output.as_ref();
    let output = output.and_then(|output| output.resolve(data_dir));
    if restored.value(EXCHANGE).is_some() {
        if let Some(path) = &output {
            let left = left_beside(restored, path)?;
            exchange(left.as_deref(), path)?;
        }
        settle(writer, restored, now_ms)?;
    } else if let Some(path) = &output {
        // A run that was killed before it committed anything of it.
        remove_if_there(&RealDisk, &replacement(path, job.manifest()))
            .map_err(|e| cannot_rewrite(path, &e))?;
    }
    let reopened = std::mem::take(&mut restored.reopened);
    if reopened.is_empty() {
        return Ok(());
    }
    let mut commit = restored.commit();
    commit.at_ms = now_ms;
    let mut batch = Batch::new(&writer.end());
    let new = output
        .as_ref()
        .map(|path| replacement(path, job.manifest()));
    match (&output, &new) {
        (Some(path), Some(new)) => {
            write_without(path, new, urls(job, &reopened)?, &mut commit)?;
            let name = new.file_name().unwrap_or_default();
            batch.set(EXCHANGE, name.as_encoded_bytes());
        }
        _ => commit.progress.records -= reopened.len() as u64,
    }
    // It would not know what is pending again.
    remove_if_there(&**job.disk(), &job.image_path())
        .map_err(|e| Failure::new(format_args!("cannot remove the image: {e}")))?;
    restored.image = None;
    let count = reopened.len() as u64;
    commit.progress.counts.failed -= count;
    commit.progress.counts.pending += count;
    for ticket in &reopened {
        batch.defer(ticket.id, 0, now_ms);
    }
    let end = writer.append(&batch.close(&commit))?;
    restored.go_on_from(commit, end);
    if let Some(path) = &output {
        exchange(new.as_deref(), path)?;
        settle(writer, restored, now_ms)?;
    }
    Ok(())
}

/// The file that a killed run was about to put in the output's place.
///
/// # Errors
/// Errors of the file system.
pub fn left_beside(restored: &Restored, output: &Path) -> Result<Option<PathBuf>, Failure> {
    let due = restored.value(EXCHANGE);
    let left = due.map(|value| due_exchange(output, value)).transpose();
    Ok(left.map_err(|e| cannot_rewrite(output, &e))?.flatten())
}

/// Commits that the exchange is done.
fn settle(writer: &mut Writer, restored: &mut Restored, now_ms: u64) -> Result<(), Failure> {
    let mut batch = Batch::new(&writer.end());
    batch.unset(EXCHANGE);
    let mut commit = restored.commit();
    commit.at_ms = now_ms;
    let end = writer.append(&batch.close(&commit))?;
    restored.go_on_from(commit, end);
    Ok(())
}

/// The URLs as the output has them. Several requests may have the same one.
fn urls(job: &Job, reopened: &[Ticket]) -> Result<HashMap<String, u64>, Failure> {
    let reader = job.reader()?;
    let (mut urls, mut buffer) = (HashMap::new(), Vec::new());
    for ticket in reopened {
        let url = reader.request_at(ticket.id, ticket.at, &mut buffer)?.url;
        *urls.entry(masked(url).into_owned()).or_default() += 1;
    }
    Ok(urls)
}

/// Writes the new output: all committed records but the failed ones of these URLs, which the commit
/// counts no longer. It is durable then, and the commit vouches for it.
fn write_without(
    path: &Path,
    new_path: &Path,
    mut urls: HashMap<String, u64>,
    commit: &mut Commit,
) -> Result<(), Failure> {
    let fail = |e: io::Error| cannot_rewrite(path, &e);
    let committed = commit.files.get(OUTPUT).copied().unwrap_or(0);
    let old = open_file(path, false, Links::Followed).map_err(fail)?;
    let mut new = BufWriter::new(create_like(new_path, &old).map_err(fail)?);
    let (mut length, mut tail) = (0, Tail::default());
    let mut old = BufReader::new(old.take(committed));
    let mut line = String::new();
    while old.read_line(&mut line).map_err(fail)? > 0 {
        let record: FetchResult<'_> = serde_json::from_str(&line).map_err(|e| fail(e.into()))?;
        match urls.get_mut(&*record.url) {
            Some(failed) if *failed > 0 && record.has_failed() => {
                *failed -= 1;
                uncount(&record, &mut commit.progress);
            }
            _ => {
                new.write_all(line.as_bytes()).map_err(fail)?;
                length += line.len() as u64;
                tail.push(line.as_bytes());
            }
        }
        line.clear();
    }
    let missed: u64 = urls.values().sum();
    if missed > 0 {
        RealDisk.remove_file(new_path).map_err(fail)?;
        let why = format!("it has no records of {missed} failed requests");
        return Err(fail(io::Error::other(why)));
    }
    let file = new.into_inner().map_err(|e| fail(e.into_error()))?;
    file.sync_all().map_err(fail)?;
    RealDisk.sync_dir(parent(new_path)).map_err(fail)?;
    commit.files.insert(OUTPUT.to_owned(), length);
    commit.tails.insert(OUTPUT.to_owned(), tail.sum());
    Ok(())
}

/// Creates a file that the same people may read as another.
fn create_like(path: &Path, other: &File) -> io::Result<File> {
    let other: Metadata = other.metadata()?;
    let mut options = OpenOptions::new();
    let new = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let mut mode = other.mode() & 0o7777;
    let ours = new.metadata()?;
    let (uid, gid) = (Some(other.uid()), Some(other.gid()));
    if (ours.uid(), ours.gid()) != (other.uid(), other.gid())
        && fchown(&new, uid, gid).is_err()
        && fchown(&new, None, gid).is_err()
    {
        // Another group must not read what this one may.
        mode &= !0o070;
    }
    new.set_permissions(Permissions::from_mode(mode))?;
    Ok(new)
}

fn uncount(record: &FetchResult<'_>, progress: &mut Progress) {
    progress.records = progress.records.saturating_sub(1);
    if let Some(class) = Class::of(record) {
        class.uncount(progress);
    }
}

/// Puts the new output in the old one's place, if it is still there.
fn exchange(new: Option<&Path>, path: &Path) -> Result<(), Failure> {
    let fail = |e: io::Error| Failure::new(format_args!("cannot replace {}: {e}", path.display()));
    let path = behind_links(path);
    if let Some(new) = new {
        RealDisk.rename(new, &path).map_err(fail)?;
    }
    RealDisk.sync_dir(parent(&path)).map_err(fail)
}

fn cannot_rewrite(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format_args!("cannot rewrite {}: {error}", path.display()))
}
