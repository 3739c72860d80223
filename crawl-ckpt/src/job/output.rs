//! The output of a job, held against what was committed of it. It lies where people and
//! other programs reach it: between two runs it may have become another file.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Manifest;
use crate::durable::{Disk, DiskFile, Links, RealDisk, Tail, open_file, parent, read_full};
use crate::error::StoreError;
use crate::journal::Commit;
use crate::tool::{Exit, Failure};

/// The name of the output in [`Commit::files`] and [`Commit::tails`].
pub const OUTPUT: &str = "output";

/// What every record begins with.
const RECORD: &[u8] = b"{\"url\":";

const PUT_BACK: &str = "put the file back, or begin anew without the checkpoint (--fresh)";

/// Under this key a job keeps the name of the file beside the output that is to take its place.
pub const EXCHANGE: &str = "output:exchange";

/// Where a job writes the file that is to take its output's place: beside it, and beside what a link
/// leads to. The name is the job's own, so that what lies there was left by it and by nobody else.
pub fn replacement(output: &Path, manifest: &Manifest) -> PathBuf {
    let sum = blake3::hash(&manifest.key).to_hex();
    behind_links(output).with_file_name(format!(".crawl-{}.retry", &sum[..16]))
}

/// The file that is to take the output's place by the value of [`EXCHANGE`], if it is still there.
///
/// # Errors
/// Errors of the file system.
pub fn due_exchange(output: &Path, value: &[u8]) -> io::Result<Option<PathBuf>> {
    let output = behind_links(output);
    let path = match std::str::from_utf8(value) {
        // Of an older version, which had one name for all.
        Ok("1") => crate::durable::beside(&output, ".retry"),
        Ok(name) if is_replacement(name) => parent(&output).join(name),
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    Ok(RealDisk.exists(&path)?.then_some(path))
}

/// A name as [`replacement`] gives it: nothing else is ever put in an output's place.
fn is_replacement(name: &str) -> bool {
    name.starts_with(".crawl-") && name.ends_with(".retry") && !name.contains('/')
}

/// The file that a path leads to in the end; one that is not there is where it is said to be.
pub fn behind_links(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Looks whether a file is the output that a commit vouches for, or at least begins with it.
///
/// # Errors
/// [`Exit::Damaged`] says what is different; those of the file system.
pub fn check_output(path: &Path, commit: &Commit) -> Result<(), Failure> {
    let failure = |exit, why: &dyn std::fmt::Display| {
        Failure::with(exit, format_args!("output {}: {why}", path.display())).hint(PUT_BACK)
    };
    match flaw(path, commit) {
        Ok(None) => Ok(()),
        Ok(Some(why)) => Err(failure(Exit::Damaged, &why)),
        Err(e) => Err(failure(Exit::Failed, &e)),
    }
}

/// What of a file is not as a commit says, in words.
pub(crate) fn flaw(path: &Path, commit: &Commit) -> io::Result<Option<String>> {
    let committed = commit.files.get(OUTPUT).copied().unwrap_or(0);
    let found = match path.metadata() {
        // Before the first record there need not be one.
        Err(e) if e.kind() == ErrorKind::NotFound && committed == 0 => return Ok(None),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Some("it is missing".to_owned())),
        found => found?,
    };
    if !found.is_file() {
        return Ok(Some("it is no file".to_owned()));
    }
    if found.len() < committed {
        let len = found.len();
        let why = format!("damaged at byte {len}: {committed} bytes were committed");
        return Ok(Some(why));
    }
    let file = open_file(path, false, Links::Followed)?;
    let is_ours = match commit.tails.get(OUTPUT) {
        Some(sum) if committed > 0 => Tail::read(&file, committed)?.sum() == *sum,
        // Of an older version, which kept the length alone.
        None if committed > 0 => true,
        _ => begins_with_record(&file)?,
    };
    Ok((!is_ours).then(|| "it is not the file that the crawl wrote".to_owned()))
}

/// True for a file that is empty or begins with a record.
///
/// # Errors
/// Trouble of the disk; what can never be read is not ours.
pub(crate) fn begins_as_ours(path: &Path) -> Result<bool, StoreError> {
    let opened = open_file(path, false, Links::Followed);
    let begins = opened.and_then(|file| begins_with_record(&file));
    match begins.map_err(StoreError::io("read", path)) {
        Err(error) if error.may_pass() => Err(error),
        begins => Ok(begins.unwrap_or(false)),
    }
}

fn begins_with_record(file: &dyn DiskFile) -> io::Result<bool> {
    let mut start = [0; RECORD.len()];
    let len = read_full(file, &mut start, 0)?;
    // What was not synced may be zeros after a power cut.
    Ok(start[..len] == RECORD[..len] || start.iter().all(|byte| *byte == 0))
}
