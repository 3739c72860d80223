//! crawl-frontier: which URL next, and when; what was seen; the one writer of a
//! job directory.
//!
//! [`serve`](serve::serve) is the loop around a [`Crawl`](crawl::Crawl), which
//! decides by its [`Scope`](scope::Scope), remembers in [`Seen`](seen::Seen) and
//! [`Queue`](queue::Queue), and writes through its [`Log`](log::Log).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod add;
mod answer;
pub mod cli;
mod compact;
pub mod crawl;
pub mod delta;
mod explain;
mod extra;
mod flaws;
mod history;
mod inspect;
mod left_out;
pub mod log;
mod memory;
pub mod open;
mod outage;
mod pace;
pub mod queue;
mod reopen;
mod restore;
mod result;
mod robots;
mod routes;
pub mod scope;
pub mod seen;
pub mod serve;
mod sitemaps;
mod snapshot;
mod tale;
mod tally;
pub mod url;
mod wires;
