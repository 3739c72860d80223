//! crawl-fetch: a filter. Requests in, results out, nothing kept.
//!
//! Every line on stdin gives exactly one line on stdout, in whatever order the
//! servers answer. The library is the tool without its command line.

pub mod cli;
pub mod event;
pub mod failure;
pub mod fetch;
pub mod http;
pub mod input;
pub mod job;
pub mod memory;
pub mod output;
pub mod page;
pub mod parse;
pub mod pool;
pub mod queue;
mod resolve;
pub mod run;
mod sched;
mod signals;
pub mod tally;

/// The tool's name, in messages.
pub const TOOL: &str = "crawl-fetch";
