//! Checks a whole job: every record and every checksum, and that they agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{ArchiveReport, check_archive};
use super::tally::Tally;
use crate::catalog::Found;
use crate::delta;
use crate::durable::{Links, RealDisk, open_file};
use crate::error::StoreError;
use crate::image::Image;
use crate::job::{Job, OUTPUT, due_exchange, output_flaw};
use crate::journal::{Commit, Mark, Replayed};
use crate::look::steadily;
use crate::parts::{NamedPart, NamedParts, PartKind, SEEN, WAITING};
use crate::seen::SeenPart;
use crate::tool::Exit;
use crate::waiting::WaitingPart;

/// What is said of damage that costs a crawl no more than time.
const INSTEAD: &str = "a resume reads the journal instead";

/// What a check of a whole job came to.
#[derive(Debug, Default)]
pub struct Verification {
    /// False when there is only what is known of pages.
    pub has_job: bool,
    /// Batches read.
    pub batches: u64,
    /// Entries read, commits included.
    pub entries: u64,
    /// Bytes of the journal that were checked.
    pub bytes: u64,
    /// Bytes of a torn tail, which the next run cuts off.
    pub torn_bytes: u64,
    /// Pages known to incremental crawls, whose file was read and is sound.
    pub known_pages: u64,
    /// True when an image was read and is sound.
    pub has_image: bool,
    /// Parts of what was seen that were read and are sound.
    pub seen_parts: u64,
    /// Parts of what waits that were read and are sound.
    pub waiting_parts: u64,
    /// A run was throwing the job away and did not come to the end of it.
    pub is_going: bool,
    /// The WARC files, when the job keeps any.
    pub archive: ArchiveReport,
    /// What is wrong; empty for a sound job.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// In which file.
    pub path: PathBuf,
    /// Where, in bytes from its start, when that is known.
    pub offset: Option<u64>,
    /// What.
    pub why: String,
    /// [`Exit::Damaged`], or [`Exit::Failed`] when it could not be looked at.
    pub exit: Exit,
}

/// Checks a job, and what its spider knows of pages; `None` when there is neither, or not any more.
/// Changes nothing, holds no lock, and may be done beside a crawl that is running. `data_dir` is where
/// a relative output path begins.
pub fn verify(job: &Found, data_dir: &Path) -> Option<Verification> {
    // A run may compact, seal or remove what is being read: only what is found twice is a problem.
    let found = steadily(&job.place, || match attempt(job, data_dir) {
        Ok(Some(checked)) if !checked.problems.is_empty() => Err(checked),
        Ok(checked) => Ok(checked),
        Err(error) => Err(Verification {
            has_job: true,
            problems: vec![Problem::of(&error)],
            ..Verification::default()
        }),
    });
    match found {
        Ok(checked) => checked,
        Err(checked) => Some(checked),
    }
}

fn attempt(found: &Found, data_dir: &Path) -> Result<Option<Verification>, StoreError> {
    let mut checked = Verification::default();
    let job = Job::open(Arc::new(RealDisk), &found.place)?;
    if let Some(job) = &job {
        checked.has_job = true;
        checked.is_going = job.manifest().clearing.is_some();
        check_job(job, data_dir, &mut checked)?;
    }
    // Beside a job that was made by hand may lie anything.
    let plan = job.as_ref().and_then(|job| job.manifest().plan.as_ref());
    if found.names.is_some() || plan.is_some_and(|plan| plan.delta) {
        match delta::verify_known(&RealDisk, &found.place) {
            Ok(pages) => checked.known_pages = pages,
            Err(error) => checked.problems.push(Problem::of(&error)),
        }
    }
    let is_anything = checked.has_job || checked.known_pages > 0 || !checked.problems.is_empty();
    Ok(is_anything.then_some(checked))
}

fn check_job(job: &Job, data_dir: &Path, checked: &mut Verification) -> Result<(), StoreError> {
    let (replayed, tally) = read_journal(job, checked)?;
    check_counts(job, &replayed, &tally)?;
    let named = check_image(job, &replayed.mark, &mut checked.problems);
    checked.has_image = named.is_some();
    check_parts(job, &named.unwrap_or_default(), checked)?;
    if let Some(commit) = &replayed.commit
        && let Err(error) = delta::tell_learned(job, commit, |_| ())
    {
        checked.problems.push(Problem::of(&error));
    }
    check_output(
        job,
        replayed.commit.as_ref(),
        tally.exchange.as_deref(),
        data_dir,
        &mut checked.problems,
    );
    // Of one that is being thrown away they may have another name.
    if let Some(commit) = &replayed.commit
        && !checked.is_going
    {
        let output = job.manifest().output_file(data_dir);
        let problems = &mut checked.problems;
        checked.archive = check_archive(job, commit, output.as_deref(), data_dir, problems);
    }
    Ok(())
}

impl fmt::Display for Verification {
    /// The problems, one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems
            .iter()
            .try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

fn read_journal(job: &Job, checked: &mut Verification) -> Result<(Replayed, Tally), StoreError> {
    let mut tally = Tally::default();
    let replayed = job.replay(None, |entry| {
        checked.entries += 1;
        tally.add(&entry)
    })?;
    checked.batches = replayed.batches;
    checked.bytes = replayed.mark.bytes;
    checked.torn_bytes = replayed.torn_bytes;
    Ok((replayed, tally))
}

/// Every URL taken on is in exactly one state, and the entries come to the same.
fn check_counts(job: &Job, replayed: &Replayed, tally: &Tally) -> Result<(), StoreError> {
    match tally.flaw(replayed.commit.as_ref()) {
        None => Ok(()),
        Some(why) => Err(StoreError::damaged(
            &job.journal_path(),
            replayed.mark.bytes,
            why,
        )),
    }
}

/// The parts that the image names, when there is one and it is sound.
fn check_image(job: &Job, end: &Mark, problems: &mut Vec<Problem>) -> Option<NamedParts> {
    let path = job.image_path();
    let mut problem = |why: String| {
        problems.push(Problem {
            path: path.clone(),
            offset: None,
            why,
            exit: Exit::Damaged,
        });
        None
    };
    let mut image = match Image::open(job) {
        // One from before the last compaction, that could not be removed then, counts for nothing.
        Ok(None) if job.manifest().image && !path.exists() => {
            return problem(format!("it is missing; {INSTEAD}"));
        }
        Ok(None) => return None,
        Ok(Some(image)) => image,
        Err(error) => return problem(format!("{}; {INSTEAD}", error.why())),
    };
    let mark = *image.mark();
    let named = image.named_parts();
    if let Err(error) = image.finish() {
        return problem(format!("{}; {INSTEAD}", error.why()));
    }
    let named = match named {
        Ok(named) => named,
        Err(error) => return problem(format!("{error}; {INSTEAD}")),
    };
    // A running crawl writes on; the image may be newer than what was read of the journal.
    let is_newer = mark.bytes > end.bytes && job.manifest().sealed.is_none();
    if is_newer || (mark != *end && job.replay(Some(&mark), |_| Ok(())).is_ok()) || mark == *end {
        return Some(named);
    }
    let why = "it stands for an end that the journal does not have";
    problem(format!("{why}; {INSTEAD}"))
}

/// Every part that lies here, or that the image names.
fn check_parts(
    job: &Job,
    named: &NamedParts,
    checked: &mut Verification,
) -> Result<(), StoreError> {
    let (disk, dir, key) = (&**job.disk(), &*job.place().dir, job.manifest().key);
    let problems = &mut checked.problems;
    checked.seen_parts = check_each(job, SEEN, &named.seen, problems, |number| {
        let part = SeenPart::open(disk, dir, number, key)?;
        part.check().map(|()| part.named())
    })?;
    checked.waiting_parts =
        check_each(job, WAITING, named.waiting.as_slice(), problems, |number| {
            let part = WaitingPart::open(disk, dir, number, key)?;
            part.check().map(|()| part.named())
        })?;
    Ok(())
}

/// Gives how many parts of a kind are sound. A running crawl may remove one meanwhile.
fn check_each(
    job: &Job,
    kind: PartKind,
    named: &[NamedPart],
    problems: &mut Vec<Problem>,
    check: impl Fn(u64) -> Result<NamedPart, StoreError>,
) -> Result<u64, StoreError> {
    let dir = &job.place().dir;
    let numbers = || kind.numbers(&**job.disk(), dir);
    let by_number: BTreeMap<u64, &NamedPart> =
        named.iter().map(|part| (part.number, part)).collect();
    let here = numbers()?;
    let mut sound = 0;
    for number in here
        .into_iter()
        .chain(by_number.keys().copied())
        .collect::<BTreeSet<_>>()
    {
        let named = by_number.get(&number);
        let error = match check(number) {
            Ok(part) if named.is_none_or(|named| **named == part) => {
                sound += 1;
                continue;
            }
            Ok(_) => {
                let why = "this is another one than the image names";
                StoreError::damaged(&kind.path(dir, number), 0, why)
            }
            Err(_) if named.is_none() && !numbers()?.contains(&number) => continue,
            Err(error) => error,
        };
        let problem = Problem::of(&error);
        let why = format!("{}; {INSTEAD}", problem.why);
        problems.push(Problem { why, ..problem });
    }
    Ok(sound)
}

/// The output is as long as the commit vouches for, and has a line a record up to there.
fn check_output(
    job: &Job,
    commit: Option<&Commit>,
    exchange: Option<&[u8]>,
    data_dir: &Path,
    problems: &mut Vec<Problem>,
) {
    let path = job.manifest().output_file(data_dir);
    let (Some(path), Some(commit)) = (path, commit) else {
        return;
    };
    // The next run puts the new file in its place.
    let due = exchange.and_then(|name| due_exchange(&path, name).ok().flatten());
    let path = due.unwrap_or(path);
    // The next run throws the rest away as well.
    let aside = job.aside(data_dir);
    let path = aside
        .filter(|aside| aside.is_file() && !path.exists())
        .unwrap_or(path);
    let Some(&committed) = commit.files.get(OUTPUT) else {
        return;
    };
    let mut problem = |offset, why, exit| {
        problems.push(Problem {
            path: path.clone(),
            offset,
            why,
            exit,
        });
    };
    match count_lines(&path, committed) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && committed == 0 => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            problem(
                Some(0),
                format!("the output is missing, {committed} bytes were committed"),
                Exit::Damaged,
            );
        }
        Err(e) => problem(None, e.to_string(), Exit::Failed),
        Ok((len, _)) if len < committed => {
            problem(
                Some(len),
                format!("the output ends here, {committed} bytes were committed"),
                Exit::Damaged,
            );
        }
        Ok((_, lines)) if lines != commit.progress.records => {
            let records = commit.progress.records;
            let why =
                format!("{lines} lines lie before this byte, {records} records were committed");
            problem(Some(committed), why, Exit::Damaged);
        }
        Ok(_) => match output_flaw(&path, commit) {
            Ok(None) => {}
            Ok(Some(why)) => problem(Some(committed), why, Exit::Damaged),
            Err(e) => problem(None, e.to_string(), Exit::Failed),
        },
    }
}

/// Length and newlines of a file, of its first `limit` bytes.
fn count_lines(path: &Path, limit: u64) -> io::Result<(u64, u64)> {
    let mut file = open_file(path, false, Links::Followed)?.take(limit);
    let mut block = vec![0; 1 << 20];
    let (mut len, mut lines) = (0, 0);
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((len, lines)),
            Ok(n) => {
                len += n as u64;
                lines += memchr::memchr_iter(b'\n', &block[..n]).count() as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

impl Problem {
    fn of(error: &StoreError) -> Problem {
        let (offset, why, exit) = match error {
            StoreError::Io { source, .. } => (None, source.to_string(), Exit::Failed),
            StoreError::Damaged { offset, why, .. } => (Some(*offset), why.clone(), Exit::Damaged),
            StoreError::Unknown { why, .. } => (None, why.clone(), Exit::Damaged),
            other => (None, other.to_string(), Exit::Damaged),
        };
        Problem {
            path: error.path().to_owned(),
            offset,
            why,
            exit,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (self.exit, self.offset) {
            (Exit::Damaged, Some(offset)) => {
                write!(f, "{path}: damaged at byte {offset}: {}", self.why)
            }
            (Exit::Damaged, None) => write!(f, "{path}: damaged: {}", self.why),
            _ => write!(f, "cannot read {path}: {}", self.why),
        }
    }
}
