//! What a record counts as: a status class, or a kind of error.

use std::collections::BTreeMap;

use crawl_ckpt::control::Progress;
use crawl_ckpt::record::{ErrorKind, FetchResult};

/// What a record counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The record counts by its status.
    Status(u16),
    /// The record counts by the kind of its error.
    Error(ErrorKind),
}

impl Class {
    /// An error outweighs a status; a result with neither is of no class.
    pub fn of(result: &FetchResult<'_>) -> Option<Class> {
        match (&result.error, result.status) {
            (Some(error), _) => Some(Class::Error(error.kind)),
            (None, Some(status)) => Some(Class::Status(status)),
            (None, None) => None,
        }
    }

    /// Counts one record of this class.
    pub fn count(self, progress: &mut Progress) {
        match self {
            Class::Status(status) => add(&mut progress.by_status, &name_of(status)),
            Class::Error(kind) => add(&mut progress.by_error, kind.as_str()),
        }
    }

    /// Counts one record of this class less.
    pub fn uncount(self, progress: &mut Progress) {
        let (tally, name) = match self {
            Class::Status(status) => (&mut progress.by_status, name_of(status)),
            Class::Error(kind) => (&mut progress.by_error, kind.as_str().to_owned()),
        };
        // Older checkpoints counted every status by its class.
        let class = format!("{}xx", &name[..1]);
        let name = if tally.contains_key(&name) {
            name
        } else {
            class
        };
        if let Some(count) = tally.get_mut(&name) {
            *count = count.saturating_sub(1);
        }
    }
}

/// `2xx`, but `404`: seventeen pages that are gone are another thing than a site that shuts one out.
fn name_of(status: u16) -> String {
    match status {
        400..=599 => status.to_string(),
        _ => format!("{}xx", status / 100),
    }
}

/// Adds one under a name.
pub fn add(tally: &mut BTreeMap<String, u64>, name: &str) {
    match tally.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(tally.insert(name.to_owned(), 1)),
    }
}
