//! Checks the WARC files of a job: every record in them, and that the output's records point at theirs.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::capture::Archived;
use crate::durable::{Links, open_file};
use crate::job::{Job, OUTPUT, vouched_warc};
use crate::journal::Commit;
use crate::text::Text;
use crate::tool::Exit;
use crate::verify::Problem;
use crate::warc::{FileName, WarcError, read_records};

/// What the WARC files of a job come to.
#[derive(Debug, Default)]
pub struct ArchiveReport {
    /// Files that were read.
    pub files: u64,
    /// Records in them.
    pub records: u64,
}

/// The exchange that a record of the output speaks of. There are as many as records, so the URL is
/// kept as a digest.
struct Pointer {
    offset: u64,
    length: u64,
    /// `None` for one in which a password may be masked.
    url: Option<u128>,
}

fn digest(url: &str) -> u128 {
    let hash = blake3::hash(url.as_bytes());
    hash.as_bytes()[..16]
        .iter()
        .fold(0, |digest, byte| digest << 8 | u128::from(*byte))
}

#[derive(Deserialize)]
struct PointerLine<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    warc: Option<Archived<'a>>,
}

/// Checks all that is whole and what is committed of the file that is not. What others took away from
/// here is theirs to know of. `output` is where the records are.
pub fn check_archive(
    job: &Job,
    commit: &Commit,
    output: Option<&Path>,
    data_dir: &Path,
    problems: &mut Vec<Problem>,
) -> ArchiveReport {
    let mut report = ArchiveReport::default();
    let Some(dir) = job.warc_dir(data_dir) else {
        return report;
    };
    if let Err(failure) = job.check_warc(commit, data_dir) {
        problems.push(Problem {
            path: dir.clone(),
            offset: None,
            why: failure.message,
            exit: failure.exit,
        });
    }
    let folder = dir
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut pointers = match output {
        Some(output) => pointers(output, commit),
        None => HashMap::new(),
    };
    for (name, path, limit) in files(&dir, commit) {
        let mut told = pointers
            .remove(&format!("{folder}/{name}"))
            .unwrap_or_default();
        told.sort_by_key(|pointer| pointer.offset);
        report.files += 1;
        if let Err(problem) = check_file(&path, limit, told, &mut report.records) {
            problems.push(problem);
        }
    }
    report
}

/// The files that a commit vouches for, and how much of each is looked at.
fn files(dir: &Path, commit: &Commit) -> Vec<(FileName, PathBuf, u64)> {
    let vouched = vouched_warc(commit);
    let last = vouched.as_ref().map_or(0, |(name, _)| name.serial());
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| FileName::parse(entry.file_name().to_str()?));
    let mut files: Vec<_> = names
        // What no commit names is removed by the next run, or another run is just writing it.
        .filter(|(name, _)| name.serial() <= last)
        .map(|(name, is_open)| {
            let shown = if is_open {
                name.open()
            } else {
                name.to_string()
            };
            let limit = match &vouched {
                Some((vouched, len)) if *vouched == name => *len,
                _ => u64::MAX,
            };
            (name, dir.join(shown), limit)
        })
        .collect();
    files.sort();
    files
}

fn check_file(
    path: &Path,
    limit: u64,
    told: Vec<Pointer>,
    records: &mut u64,
) -> Result<(), Problem> {
    let problem = |offset, why: String, exit| Problem {
        path: path.to_owned(),
        offset,
        why,
        exit,
    };
    let file = match open_file(path, false, Links::Refused) {
        // A running crawl just gave it its final name.
        Err(e) if e.kind() == ErrorKind::NotFound => {
            open_file(&path.with_extension(""), false, Links::Refused)
        }
        file => file,
    };
    let file = file.map_err(|e| problem(None, e.to_string(), Exit::Failed))?;
    let mut told = told.into_iter().peekable();
    let mut astray: Option<Pointer> = None;
    let read = read_records(file.take(limit), |record| {
        *records += 1;
        while let Some(pointer) = told.next_if(|pointer| pointer.offset <= record.offset) {
            let is_answer = matches!(&*record.kind, "response" | "revisit");
            let is_there = (pointer.offset, pointer.length) == (record.offset, record.length);
            let is_of_it =
                pointer.url.is_none() || record.url.as_deref().map(digest) == pointer.url;
            if !(is_answer && is_there && is_of_it) {
                astray.get_or_insert(pointer);
            }
        }
    });
    match read {
        Ok(()) => {}
        Err(WarcError::Io(e)) => return Err(problem(None, e.to_string(), Exit::Failed)),
        Err(WarcError::Damaged { offset, why }) => {
            return Err(problem(Some(offset), why, Exit::Damaged));
        }
    }
    match astray.or_else(|| told.next()) {
        None => Ok(()),
        Some(Pointer { offset, .. }) => {
            let why = "a record of the output says that its answer is here, and it is not".into();
            Err(problem(Some(offset), why, Exit::Damaged))
        }
    }
}

/// Where the committed records of an output say that their exchanges lie, by file. Lines that are no
/// records are found by who counts them.
fn pointers(output: &Path, commit: &Commit) -> HashMap<String, Vec<Pointer>> {
    let mut found: HashMap<String, Vec<Pointer>> = HashMap::new();
    let committed = commit.files.get(OUTPUT).copied().unwrap_or(0);
    let Ok(file) = open_file(output, false, Links::Followed) else {
        return found;
    };
    let mut lines = BufReader::with_capacity(1 << 20, file.take(committed));
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| -> io::Result<usize> {
        line.clear();
        lines.read_until(b'\n', line)
    };
    while next(&mut line).is_ok_and(|n| n > 0) {
        if let Ok(PointerLine {
            url,
            warc: Some(warc),
        }) = serde_json::from_slice(&line)
        {
            let pointer = Pointer {
                offset: warc.offset,
                length: warc.length,
                url: (!url.contains('@')).then(|| digest(&url)),
            };
            found
                .entry(warc.file.to_string())
                .or_default()
                .push(pointer);
        }
    }
    found
}
