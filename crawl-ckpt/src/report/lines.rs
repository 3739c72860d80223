//! The single records that a report shows, read back from their places.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::row::{Class, Row, cut};
use super::source::Source;
use crate::address::{masked, masked_url};
use crate::tool::Failure;

/// A longer URL or title is told up to here.
const MAX_CHARS: usize = 2000;

/// A record as it is shown, without passwords.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    pub url: String,
    pub class: Class,
    /// The status, or the kind of error.
    pub outcome: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
}

/// Records by their places.
#[derive(Debug, Default)]
pub struct ShownRows(HashMap<u64, Shown>);

impl ShownRows {
    /// Reads those at the places once more.
    ///
    /// # Errors
    /// The file cannot be read, or was changed meanwhile.
    pub fn read(source: &Source, places: &BTreeSet<u64>) -> Result<ShownRows, Failure> {
        let mut lines = HashMap::new();
        source.read_back(places, |place, line| {
            let row: Row<'_> = serde_json::from_slice(line)?;
            lines.insert(place, shown(&row));
            Ok(())
        })?;
        Ok(ShownRows(lines))
    }

    /// The records at these places, all of which were read.
    pub fn at(&self, places: &[u64]) -> Vec<Shown> {
        let lines = places.iter().filter_map(|place| self.0.get(place));
        lines.cloned().collect()
    }
}

/// A URL without its password, and not without end.
pub fn shown_url(url: &str) -> String {
    cut(&masked_url(url), MAX_CHARS).into_owned()
}

fn shown(row: &Row<'_>) -> Shown {
    Shown {
        url: shown_url(&row.url),
        class: row.class(),
        outcome: row.outcome(),
        message: match (&row.error, &row.blocked) {
            (Some(error), _) => Some(cut(&masked(&error.message), 500).into_owned()),
            (None, blocked) => blocked
                .as_ref()
                .map(|why| cut(&masked(why), 500).into_owned()),
        },
        referer: row.referer.as_deref().map(shown_url),
        depth: row.depth,
        attempts: row.attempts,
        location: row.location.as_deref().map(shown_url),
        title: row
            .title
            .as_deref()
            .map(|title| cut(title, 300).into_owned()),
        bytes: row.bytes,
        elapsed_ms: row.elapsed_ms,
    }
}
