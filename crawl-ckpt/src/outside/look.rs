//! A quick look at a job from outside, beside a crawl that may be running.
//!
//! Takes no lock that anybody could notice, reads the manifest and the journal's
//! end only. What changes during the look is looked at once more: a journal that
//! was compacted away or a directory that was removed meanwhile is no error.

use std::fmt::Debug;
use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::control::Counts;
use crate::durable::{Disk, RealDisk};
use crate::error::StoreError;
use crate::job::{Job, JobPlace, MANIFEST, Manifest};
use crate::journal::Commit;
use crate::lock::{Holder, JobLock};

/// An error counts when it comes again unchanged after this pause …
const PAUSE: Duration = Duration::from_millis(20);
/// … and at the latest at this attempt, for a job that changes all the time.
const ATTEMPTS: u32 = 50;

/// How a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody runs the crawl; the same command goes on with it.
    Paused,
    /// A run holds it.
    Running,
    /// The job is damaged, or of a version that is not known here.
    Corrupt,
}

/// What a look found.
#[derive(Debug)]
pub struct Look {
    /// How the job is.
    pub state: State,
    /// Who runs it.
    pub holder: Option<Holder>,
    /// What the job is, when that could be read.
    pub manifest: Option<Manifest>,
    /// The last commit of the journal, when there is one and it could be read.
    pub commit: Option<Commit>,
    /// Why it is corrupt.
    pub trouble: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Since its last commit, else since it was made.
    pub age: Duration,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Paused => "paused",
            State::Running => "running",
            State::Corrupt => "corrupt",
        }
    }
}

impl Look {
    /// Looks at a job; `None` when there is none, or not any more.
    pub fn at(place: &JobPlace) -> Option<Look> {
        let holder = JobLock::probe(place);
        let seen = steadily(place, || -> Result<_, StoreError> {
            let Some(job) = Job::open(Arc::new(RealDisk), place)? else {
                return Ok(None);
            };
            let commit = job.last_commit()?;
            Ok(Some((job.manifest().clone(), commit)))
        });
        let (manifest, commit, trouble) = match seen {
            Ok(None) => return None,
            Ok(Some((manifest, commit))) => (Some(manifest), commit, None),
            Err(error) => {
                let job = Job::open(Arc::new(RealDisk), place);
                let manifest = job.ok().flatten().map(|job| job.manifest().clone());
                (manifest, None, Some(error.to_string()))
            }
        };
        Some(Look {
            state: match (&trouble, &holder) {
                (Some(_), _) => State::Corrupt,
                (None, Some(_)) => State::Running,
                (None, None) => State::Paused,
            },
            age: age(manifest.as_ref(), commit.as_ref(), &place.dir),
            bytes: bytes_in(&place.dir),
            holder,
            manifest,
            commit,
            trouble,
        })
    }

    /// How many URLs are where; `None` for a corrupt job.
    pub fn counts(&self) -> Option<Counts> {
        if self.state == State::Corrupt {
            return None;
        }
        Some(
            self.commit
                .as_ref()
                .map(|commit| commit.progress.counts)
                .unwrap_or_default(),
        )
    }

    /// The proxy type of the crawl; `None` when there is none.
    pub fn proxy_type(&self) -> Option<&str> {
        let manifest = self.manifest.as_ref()?;
        let of_plan = manifest.plan.as_ref().map_or("", |plan| &plan.proxy_type);
        [&manifest.proxy_type[..], of_plan]
            .into_iter()
            .find(|text| !text.is_empty())
    }
}

/// Does something that reads a job beside its writer. An error is believed only when it comes twice in
/// the same words, and the manifest stayed the same all the while.
///
/// # Errors
/// The error of the last try.
pub fn steadily<T, E: Debug>(
    place: &JobPlace,
    mut read: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let manifest = || RealDisk.read(&place.dir.join(MANIFEST)).ok();
    let mut earlier = None;
    let mut attempt = 1;
    loop {
        let before = manifest();
        let error = match read() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let now = (format!("{error:?}"), manifest());
        if attempt == ATTEMPTS || (before == now.1 && earlier.as_ref() == Some(&now)) {
            return Err(error);
        }
        earlier = Some(now);
        attempt += 1;
        sleep(PAUSE);
    }
}

/// The bytes of all files in a directory, as far as they are there. Directories in it are none of ours.
pub fn bytes_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.metadata().ok())
        .filter(Metadata::is_file)
        .fold(0, |sum, file| sum.saturating_add(file.len()))
}

fn age(manifest: Option<&Manifest>, commit: Option<&Commit>, dir: &Path) -> Duration {
    let committed = commit.map(|commit| UNIX_EPOCH + Duration::from_millis(commit.at_ms));
    let created = || {
        let timestamp: jiff::Timestamp = manifest?.created_at.parse().ok()?;
        Some(SystemTime::from(timestamp))
    };
    let changed = || dir.metadata().ok()?.modified().ok();
    let since = committed.or_else(created).or_else(changed);
    since
        .and_then(|since| since.elapsed().ok())
        .unwrap_or_default()
}
