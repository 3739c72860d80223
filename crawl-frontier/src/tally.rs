//! The figures by status class, error kind and reason.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::control::Progress;
use crawl_ckpt::record::{ErrorKind, FetchResult};
use serde_json::value::RawValue;

use crate::routes::block_of;

/// What a record counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// By the first digit of its status.
    Status(u16),
    /// By the kind of its error.
    Error(ErrorKind),
}

impl Class {
    /// An error outweighs a status; a result with neither is of no class.
    pub fn of(result: &FetchResult<'_>) -> Option<Class> {
        match (&result.error, result.status) {
            (Some(error), _) => Some(Class::Error(error.kind)),
            (None, Some(status)) => Some(Class::Status(status / 100)),
            (None, None) => None,
        }
    }

    /// Counts one record of this class.
    pub fn count(self, progress: &mut Progress) {
        match self {
            Class::Status(digit) => add(&mut progress.by_status, &format!("{digit}xx")),
            Class::Error(kind) => add(&mut progress.by_error, kind.as_str()),
        }
    }

    /// Counts one record of this class less.
    pub fn uncount(self, progress: &mut Progress) {
        let (tally, name) = match self {
            Class::Status(digit) => (&mut progress.by_status, format!("{digit}xx")),
            Class::Error(kind) => (&mut progress.by_error, kind.as_str().to_owned()),
        };
        if let Some(count) = tally.get_mut(&name) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Counts what went through a proxy, or direct.
pub fn proxy(progress: &mut Progress, result: &FetchResult<'_>) {
    let name = result.proxy.as_deref().unwrap_or("direct");
    let used = match progress.proxies.get_mut(name) {
        Some(used) => used,
        None => progress.proxies.entry(name.to_owned()).or_default(),
    };
    used.attempts += 1;
    used.successes += u64::from(result.error.is_none() && block_of(result).is_none());
    used.bytes += result.bytes.unwrap_or(0);
}

/// So many fields are counted; a crawl with more has names that are data.
const MAX_FIELDS: usize = 200;

/// Counts the fields of a page's item, and those that say nothing.
pub fn item(progress: &mut Progress, result: &FetchResult<'_>) {
    let Some(item) = result.item else { return };
    let Ok(fields) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(item.get()) else {
        return;
    };
    for (name, value) in fields {
        if progress.fields.len() >= MAX_FIELDS && !progress.fields.contains_key(&*name) {
            continue;
        }
        let used = match progress.fields.get_mut(&*name) {
            Some(used) => used,
            None => progress.fields.entry(name.into_owned()).or_default(),
        };
        used.pages += 1;
        used.empty += u64::from(matches!(value.get(), "null" | "\"\"" | "[]"));
    }
}

/// Adds one under a name.
pub fn add(tally: &mut BTreeMap<String, u64>, name: &str) {
    match tally.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(tally.insert(name.to_owned(), 1)),
    }
}
