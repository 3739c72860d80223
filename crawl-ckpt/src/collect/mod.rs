//! One file of the records that several workers of a crawl wrote, each URL once.
//!
//! The records are read twice: first for their URLs, of which a hash and a place are sorted, in runs on the
//! disk when there are many; then to copy them. So the memory is bounded, whatever the number of records.

mod files;
mod output;
mod sorted;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use files::files_of;

use crate::report::{Flaws, Source};
use crate::text::Text;
use crate::tool::{Exit, Failure};
use output::NewFile;
use sorted::{Place, SortedPlaces, Superseded};

/// What is done about a URL that has several records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// Nothing is collected.
    Refused,
    /// The record that was fetched last is kept.
    Latest,
}

/// What was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Records in the new file.
    pub records: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Records that another one of the same URL took the place of.
    pub left_out: u64,
}

/// What is read of a record.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    fetched_at: Option<Text<'a>>,
}

/// So many places are sorted in memory, 32 bytes each.
const IN_MEMORY: usize = 4 << 20;

/// Makes one file of others, in their order. It is there as a whole or not at all.
///
/// # Errors
/// [`Exit::Usage`] when there is such a file; [`Exit::Damaged`] for a line that is torn or no record; a URL
/// that has several records, where that is refused; errors of the disk.
pub fn collect(files: &[PathBuf], output: &Path, twice: Twice) -> Result<Collected, Failure> {
    collect_within(files, output, twice, IN_MEMORY)
}

fn collect_within(
    files: &[PathBuf],
    output: &Path,
    twice: Twice,
    in_memory: usize,
) -> Result<Collected, Failure> {
    let mut file = NewFile::create(output)?;
    let mut places = SortedPlaces::new(output, in_memory);
    let mut sources = Vec::new();
    // The first line of each file, counted through all.
    let mut first = vec![0];
    for path in files {
        let source = Source::open(path)?;
        let lines = read_places(&source, first[first.len() - 1], &mut places)?;
        first.push(first[first.len() - 1] + lines);
        sources.push(source);
    }
    let repeats = places.repeats()?;
    if twice == Twice::Refused && repeats.count() > 0 {
        return Err(refused(&sources, &first, &repeats)?);
    }
    let mut collected = Collected {
        left_out: repeats.count(),
        ..Collected::default()
    };
    for (source, first) in sources.iter().zip(first) {
        let mut number = first;
        let mut failed = None;
        let flaws = source.each_line(|_, line| {
            if let Some(line) = line
                && failed.is_none()
                && !repeats.is_left_out(number)
            {
                collected.records += 1;
                failed = file.line(line).err();
            }
            number += 1;
        })?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        refuse_flaws(source.path(), &flaws)?;
    }
    collected.bytes = file.finish()?;
    Ok(collected)
}

/// Reads the URLs of a file; gives how many lines it has.
fn read_places(source: &Source, first: u64, places: &mut SortedPlaces) -> Result<u64, Failure> {
    let (mut lines, mut failed) = (0, None);
    let flaws = source.each_line(|_, line| {
        lines += 1;
        if failed.is_some() {
            return;
        }
        let head = line.and_then(|line| serde_json::from_slice::<Head<'_>>(line).ok());
        let added = match head {
            Some(head) => places.add(place_of(&head, first + lines - 1)),
            None => Err(damaged(
                source.path(),
                &format!("line {lines} is no record"),
            )),
        };
        failed = added.err();
    })?;
    match failed {
        Some(failure) => Err(failure),
        None => refuse_flaws(source.path(), &flaws).map(|()| lines),
    }
}

fn place_of(head: &Head<'_>, line: u64) -> Place {
    let hash = blake3::hash(head.url.as_bytes());
    let hash: [u8; 16] = hash.as_bytes()[..16].try_into().unwrap_or_default();
    let at = head.fetched_at.as_deref().and_then(|at| at.parse().ok());
    Place {
        hash: u128::from_le_bytes(hash),
        // Without a time it is older than any with one.
        fetched_ms: at.map_or(i64::MIN, |at: jiff::Timestamp| at.as_millisecond()),
        line,
    }
}

fn refuse_flaws(path: &Path, flaws: &Flaws) -> Result<(), Failure> {
    match &flaws.torn {
        Some(why) => Err(damaged(path, &format!("it cannot be unpacked to its end: {why}"))),
        None if flaws.is_unfinished => Err(damaged(path, "its last line is torn")
            .hint("the worker that wrote it has not ended: the same crawl-run command goes on and joins its records")),
        None => Ok(()),
    }
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::with(Exit::Damaged, format_args!("{}: {why}", path.display()))
}

/// Names the first URL that has several records, and where they are.
fn refused(sources: &[Source], first: &[u64], repeats: &Superseded) -> Result<Failure, Failure> {
    let mut url = String::new();
    let mut wheres = Vec::new();
    for line in repeats.example() {
        let file = first.partition_point(|first| first <= line) - 1;
        let (source, number) = (&sources[file], line - first[file] + 1);
        let mut at = 0;
        source.each_line(|_, line| {
            at += 1;
            if at == number
                && let Some(Ok(head)) = line.map(serde_json::from_slice::<Head<'_>>)
            {
                url = head.url.to_string();
            }
        })?;
        wheres.push(format!("{} line {number}", source.path().display()));
    }
    let count = match repeats.urls() {
        1 => String::new(),
        urls => format!("; so have {} more", urls - 1),
    };
    let message = format!("{url} has several records: {}{count}", wheres.join(", "));
    Ok(Failure::new(message).hint(
        "are these files of one crawl? --latest keeps of each URL the record that was fetched last",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    fn record(url: usize, second: usize) -> String {
        format!(
            "{{\"url\":\"http://a/{url}\",\"fetched_at\":\"2026-01-01T00:{:02}:{:02}Z\"}}\n",
            second / 60,
            second % 60
        )
    }

    /// Many records with many repeats, sorted in runs of a few: a plain map says what is to come out.
    #[test]
    fn what_is_kept_is_the_same_however_little_fits_into_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = Vec::new();
        let mut latest: BTreeMap<usize, usize> = BTreeMap::new();
        let mut random = 7_usize;
        for file in 0..3 {
            let mut text = String::new();
            for _ in 0..400 {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let (url, second) = ((random >> 33) % 500, (random >> 50) % 3000);
                text.push_str(&record(url, second));
                let of = latest.entry(url).or_default();
                *of = (*of).max(second);
            }
            let path = dir.path().join(format!("{file}.jsonl"));
            fs::write(&path, text).unwrap();
            files.push(path);
        }
        let mut want: Vec<String> = latest
            .iter()
            .map(|(url, second)| record(*url, *second))
            .collect();
        want.sort();
        for in_memory in [1, 7, 100, 10_000] {
            let output = dir.path().join(format!("all-{in_memory}"));
            let done = collect_within(&files, &output, Twice::Latest, in_memory).unwrap();
            let text = fs::read_to_string(&output).unwrap();
            let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
            lines.sort();
            assert_eq!(lines, want, "{in_memory}");
            assert_eq!(done.records as usize + done.left_out as usize, 1200);
            assert_eq!(done.bytes as usize, text.len());
            let again = dir.path().join("again");
            let failure = collect_within(&files, &again, Twice::Refused, in_memory).unwrap_err();
            assert!(
                failure.message.contains("has several records"),
                "{}",
                failure.message
            );
            assert!(!again.exists());
        }
        let left = fs::read_dir(dir.path()).unwrap();
        assert_eq!(left.count(), 3 + 4, "nothing is left lying about");
    }
}
