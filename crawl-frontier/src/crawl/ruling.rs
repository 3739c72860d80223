//! What a robots.txt says of one URL.

use crawl_ckpt::record::{ErrorKind, FetchError};
use crawl_ckpt::robots;

/// Why a robots.txt cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
}

/// What robots.txt says of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// The URL may be fetched.
    Allowed,
    /// The URL may not be fetched, by this line of the file.
    Disallowed(u32),
    /// Nobody can say, since the file cannot be had.
    Unreachable(Unreachable),
}

impl Ruling {
    /// The error of a record that this ruling makes.
    pub fn error(&self) -> Option<FetchError<'_>> {
        match self {
            Ruling::Allowed => None,
            Ruling::Disallowed(line) => Some(FetchError {
                kind: ErrorKind::Robots,
                message: robots::disallowed(*line).into(),
            }),
            Ruling::Unreachable(why) => Some(FetchError {
                kind: why.kind,
                message: robots::unreachable(&why.message).into(),
            }),
        }
    }
}
