//! What a crawl waits for.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::human::span;

/// Why a crawl could send more and may not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Why.
    pub cause: Cause,
    /// Whose turn would be next, `scheme://host`; empty for the network.
    pub origin: String,
    /// The wait, or what is left of it, in milliseconds.
    pub wait_ms: u64,
}

/// What a crawl waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing answers.
    Network,
    /// The host's robots.txt.
    Robots,
    /// The host asked for a pause.
    RetryAfter,
    /// The delay that its robots.txt wants.
    CrawlDelay,
    /// The delay that the user wants.
    Delay,
    /// The delay that follows trouble or latency.
    BackingOff,
    /// A URL that is tried again.
    Retry,
    /// What a later frontier knows.
    #[serde(other)]
    Other,
}

impl Cause {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Network => "no network",
            Cause::Robots => "robots.txt",
            Cause::RetryAfter => "Retry-After",
            Cause::CrawlDelay => "Crawl-delay",
            Cause::Delay => "delay",
            Cause::BackingOff => "backing off",
            Cause::Retry => "retry",
            Cause::Other => "waiting",
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        let wait = span(Duration::from_millis(self.wait_ms));
        match self.cause {
            Cause::Network => f.write_str("waiting for the network"),
            Cause::Robots => write!(f, "waiting for robots.txt of {host}"),
            Cause::RetryAfter => write!(f, "{host} asks to wait {wait} (Retry-After)"),
            Cause::CrawlDelay => write!(f, "Crawl-delay {wait} of {host}"),
            Cause::Delay => write!(f, "delay {wait} of {host}"),
            Cause::BackingOff => write!(f, "backing off {wait} from {host}"),
            Cause::Retry => write!(f, "next retry in {wait}"),
            Cause::Other => write!(f, "waiting {wait} for {host}"),
        }
    }
}
