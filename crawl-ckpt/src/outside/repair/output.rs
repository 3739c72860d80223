//! What the output of a damaged job proves: each record is a URL that was finished.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::durable::{Links, open_file};
use crate::job::{JobPlace, Manifest, OUTPUT, OutputPlace};
use crate::journal::Commit;
use crate::text::Text;
use crate::tool::Failure;

/// The records of an output file that count.
#[derive(Debug, Default)]
pub struct Records {
    pub records: Vec<Record>,
    /// Lines, those that are no record included.
    pub lines: u64,
    /// The length of the whole lines, in bytes.
    pub bytes: u64,
}

/// A URL that was finished.
#[derive(Debug)]
pub struct Record {
    pub url: String,
    pub depth: u32,
    pub failed: bool,
}

#[derive(Deserialize)]
struct RecordLine<'a> {
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(default)]
    depth: u32,
    error: Option<IgnoredAny>,
}

impl Records {
    /// Reads the output of a job. Where the manifest is lost, it is the one among the spider's
    /// files that fits the last commit. `None` for a job without an output file.
    pub fn find(
        manifest: &Manifest,
        commit: &Commit,
        place: &JobPlace,
        data_dir: &Path,
        has_gaps: bool,
    ) -> Result<(Option<OutputPlace>, Option<Records>), Failure> {
        let committed = commit.files.get(OUTPUT).copied();
        let known = manifest.output.as_ref();
        let known = known.map(|_| manifest.output_file(data_dir));
        let (output, path) = match (known, committed) {
            (Some(path), _) => (manifest.output.clone(), path),
            (None, Some(committed)) => {
                let path = fitting(place, committed, commit.progress.records);
                (
                    path.as_ref().map(|path| OutputPlace::file(path, data_dir)),
                    path,
                )
            }
            (None, None) => (None, None),
        };
        let Some(path) = path else {
            return Ok((output, None));
        };
        // A job that was paused in good order has no unfinished lines; its last commits may be
        // among what is lost.
        let limit = if manifest.sealed.is_some() && has_gaps {
            u64::MAX
        } else {
            committed.unwrap_or(0)
        };
        match Records::read(&path, limit) {
            Ok(records) => Ok((output, Some(records))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok((output, Some(Records::default()))),
            Err(e) => Err(Failure::new(format_args!(
                "cannot read {}: {e}",
                path.display()
            ))),
        }
    }

    /// True when it is what the commit says, or more.
    pub fn is_whole(&self, commit: &Commit) -> bool {
        let committed = commit.files.get(OUTPUT).copied().unwrap_or(0);
        let counted = self.lines.cmp(&commit.progress.records);
        match self.bytes.cmp(&committed) {
            std::cmp::Ordering::Less => false,
            order => order == counted && self.lines == self.records.len() as u64,
        }
    }

    /// The whole lines in the first `limit` bytes of a file.
    fn read(path: &Path, limit: u64) -> io::Result<Records> {
        let mut reader = BufReader::with_capacity(
            1 << 20,
            open_file(path, false, Links::Followed)?.take(limit),
        );
        let mut records = Records::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Ok(records);
            }
            records.lines += 1;
            records.bytes += line.len() as u64;
            if let Ok(record) = serde_json::from_slice::<RecordLine<'_>>(&line) {
                records.records.push(Record {
                    url: record.url.into_string(),
                    depth: record.depth,
                    failed: record.error.is_some(),
                });
            }
        }
    }
}

/// The spider's output file in which the committed length ends a line, and that many lines lie before.
fn fitting(place: &JobPlace, committed: u64, lines: u64) -> Option<PathBuf> {
    let crawls = place.dir.parent()?.join("crawls");
    let mut paths: Vec<PathBuf> = fs::read_dir(crawls)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths.into_iter().rev().find(|path| {
        let records = Records::read(path, committed);
        records.is_ok_and(|records| (records.bytes, records.lines) == (committed, lines))
    })
}
