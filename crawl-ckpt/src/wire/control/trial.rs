//! What became of an attempt to get a URL, as a line for people.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::human::span;

/// What became of an attempt to get a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trial {
    /// The URL.
    pub url: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The kind of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What happened, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It is tried again after so many milliseconds; absent when it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The server asked for that wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_after: bool,
    /// The page that it was found on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referer: Option<String>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wait_ms {
            Some(wait_ms) => write!(f, "again in {}", span(Duration::from_millis(wait_ms)))?,
            None => f.write_str("failed")?,
        }
        if self.retry_after {
            f.write_str(" (Retry-After)")?;
        }
        write!(f, ": {}: ", self.url)?;
        match (&self.error, self.status) {
            (Some(kind), _) => f.write_str(kind)?,
            (None, Some(status)) => write!(f, "{status}")?,
            (None, None) => f.write_str("no answer")?,
        }
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if self.attempts > 1 || self.wait_ms.is_some() {
            write!(f, ", attempt {}", self.attempts)?;
        }
        match &self.referer {
            Some(page) => write!(f, ", found on {page}"),
            None => Ok(()),
        }
    }
}
