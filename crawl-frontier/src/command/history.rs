//! What a job knows of one URL: where it was found and what became of it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crawl_ckpt::address::masked;
use crawl_ckpt::durable::{Links, open_file};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::Entry;
use crawl_ckpt::record::FetchResult;
use crawl_ckpt::tool::Failure;

use crate::keys::{HOST, OfHost};
use crate::store::request::fingerprint_of;
use crate::url::{Fingerprinter, origin};

/// The history of a URL.
#[derive(Debug, Default)]
pub struct History {
    /// The request of the URL, while the journal keeps it.
    pub found: Option<FoundRequest>,
    /// The URL was finished long ago: only its fingerprint is kept.
    pub is_forgotten: bool,
    /// The last values of the job.
    pub values: HashMap<String, Vec<u8>>,
    /// URLs of its host that were taken on.
    pub taken: u64,
    /// URLs of the job that were dropped from its queue.
    pub withdrawn: u64,
}

/// A request in the journal.
#[derive(Debug)]
pub struct FoundRequest {
    id: u64,
    /// Links from a start URL.
    pub depth: u32,
    /// The page that led to it; none for a start URL.
    pub page: Option<String>,
    /// Attempts so far, if it is to be tried again.
    pub attempts: u32,
    /// The request is finished.
    pub is_done: bool,
}

impl History {
    /// Reads all of a job's journal. Takes no lock.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn read(job: &Job, canonical: &str) -> Result<History, Failure> {
        let fingerprinter = Fingerprinter::new(job.manifest().key);
        let fingerprint = fingerprinter.get(canonical);
        let host = origin(canonical);
        let mut history = History::default();
        job.replay(None, |entry| {
            match entry {
                Entry::Request { id, request, .. } => {
                    history.taken += u64::from(origin(request.url) == host);
                    let is_it = request.url == canonical
                        && fingerprint_of(fingerprinter, &request)
                            .map_err(|failure| failure.message)?
                            == fingerprint;
                    if is_it {
                        let page = request.referer.map(|page| page.to_text(request.url));
                        history.found = Some(FoundRequest {
                            id,
                            depth: request.depth,
                            page: page.map(Cow::into_owned),
                            attempts: 0,
                            is_done: false,
                        });
                    }
                }
                Entry::Seen { fingerprint: kept } => {
                    history.is_forgotten |= u128::from_be_bytes(kept) == fingerprint;
                }
                Entry::Done { id, .. } => history.change(id, |found| found.is_done = true),
                Entry::Defer { id, attempts, .. } => history.change(id, |found| {
                    found.is_done = false;
                    found.attempts = attempts;
                }),
                Entry::Set { key, value } => match key.strip_prefix(HOST) {
                    Some(of) if of == host => {
                        let taken = std::str::from_utf8(value).ok();
                        history.taken += taken.and_then(|n| n.parse().ok()).unwrap_or(0);
                    }
                    Some(_) => {}
                    // Of millions of hosts one is asked about.
                    None if OfHost::of(key).is_some_and(|(_, of)| of != host) => {}
                    None => drop(history.values.insert(key.to_owned(), value.to_owned())),
                },
                Entry::Unset { key } => drop(history.values.remove(key)),
                Entry::Ids { .. } | Entry::Commit(_) => {}
            }
            Ok(())
        })?;
        let commit = job.last_commit()?;
        history.withdrawn = commit.map_or(0, |commit| commit.progress.withdrawn);
        Ok(history)
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut FoundRequest)) {
        if let Some(found) = self.found.as_mut().filter(|found| found.id == id) {
            change(found);
        }
    }

    /// True when the job took the URL on.
    pub fn is_seen(&self) -> bool {
        self.is_forgotten || self.found.is_some()
    }

    /// True when it is seen and not pending.
    pub fn is_done(&self) -> bool {
        self.is_forgotten || self.found.as_ref().is_some_and(|found| found.is_done)
    }
}

/// How a URL ended, in a few words, from its line in the output; `None` when there is none.
pub fn record_of(job: &Job, data_dir: &Path, canonical: &str) -> Option<String> {
    let output = job.manifest().output.as_ref()?.resolve(data_dir)?;
    let url = masked(canonical);
    // An output that cannot be read has no record to show.
    let lines = BufReader::new(open_file(&output, false, Links::Followed).ok()?).lines();
    for line in lines.map_while(Result::ok) {
        let Ok(record) = serde_json::from_str::<FetchResult<'_>>(&line) else {
            continue;
        };
        if *record.url == *url {
            return Some(ending(&record));
        }
    }
    None
}

fn ending(record: &FetchResult<'_>) -> String {
    let mut words = Vec::new();
    words.extend(record.status.map(|status| format!("status {status}")));
    if let Some(error) = &record.error {
        words.push(format!("{}: {}", error.kind.as_str(), error.message));
    }
    words.extend(record.blocked.iter().map(|why| format!("blocked: {why}")));
    words.extend(
        record
            .location
            .iter()
            .map(|to| format!("to {}", masked(to))),
    );
    if let Some(proxy) = record.proxy.as_deref().filter(|proxy| *proxy != "direct") {
        words.push(format!("through {proxy}"));
    }
    words.join(", ")
}
