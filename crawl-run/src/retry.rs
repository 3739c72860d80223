//! `--retry-failed`: which output's failed URLs are asked for again, and how many they are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crawl_ckpt::job::{Job, OutputPlace};
use crawl_ckpt::record::FetchResult;
use crawl_ckpt::report::Source as RecordFile;
use crawl_ckpt::tool::{Exit, Failure};

use crate::place::Place;

/// An output, and what of it is asked for again.
#[derive(Debug)]
pub struct Source {
    /// Where it lies.
    pub file: PathBuf,
    /// Its records.
    pub records: u64,
    /// Those of them that have failed.
    pub failed: u64,
}

impl Source {
    /// The output to begin with: the one that is named, else the newest finished one of the spider.
    ///
    /// # Errors
    /// [`Exit::Usage`] when there is none, or it is none that can be read here.
    pub fn find(named: &Path, place: &Place, production: Option<&Job>) -> Result<Source, Failure> {
        let usage = |why: String| Failure::with(Exit::Usage, why);
        let file = if named.as_os_str().is_empty() {
            newest(place, production)?.ok_or_else(|| {
                let spider = place.retries.as_ref().unwrap_or(&place.spider);
                let failure = usage(format!("{}/{spider} has no finished output", place.project));
                failure.hint(match production {
                    Some(_) => {
                        "its crawl is not complete: the same command without --retry-failed goes on"
                    }
                    None => "--retry-failed=FILE names one",
                })
            })?
        } else {
            named.to_owned()
        };
        let (mut records, mut failed) = (0, 0);
        let read = RecordFile::open(&file).and_then(|source| {
            source.each_record(|line| {
                let record: FetchResult<'_> =
                    serde_json::from_slice(line).map_err(|_| "it is no record".to_owned())?;
                records += 1;
                failed += u64::from(record.has_failed());
                Ok(())
            })
        });
        read.map_err(|failure| Failure::with(Exit::Usage, failure.message))?;
        Ok(Source {
            file,
            records,
            failed,
        })
    }
}

/// The output that was finished last: not that of a crawl that is not complete.
fn newest(place: &Place, production: Option<&Job>) -> Result<Option<PathBuf>, Failure> {
    let dir = place.crawls_dir();
    let failed = |e| Failure::new(format_args!("cannot list {}: {e}", dir.display()));
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let unfinished = production.and_then(|job| job.manifest().output.clone());
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.to_string_lossy();
        let is_output = name.ends_with(".jsonl") || name.ends_with(".jsonl.gz");
        let is_unfinished = unfinished.as_ref() == Some(&OutputPlace::file(&path, &place.data_dir));
        if !is_output || is_unfinished {
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
    Ok(newest.map(|(_, path)| path))
}
