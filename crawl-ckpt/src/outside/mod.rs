//! Jobs from outside: found, looked at, checked and repaired, maybe beside a crawl that runs.

pub(crate) mod archive;
pub mod catalog;
pub(crate) mod crawls;
pub mod look;
pub mod repair;
pub(crate) mod tally;
pub mod verify;
