//! crawl-frontier: which URL next, and when; what was seen; the one writer of a
//! job directory.
//!
//! # Layout
//! From the ground up; a line uses only what stands above it.
//!
//! | where | what lies there |
//! |---|---|
//! | `clock` `memory_size` `keys` `flaws` | the time of day, how much memory there is, the keys of a checkpoint's state, result lines that were left out |
//! | `url` | canonical URLs, and the fingerprints by which they are known |
//! | `cells` `table` | a set of fingerprints in memory |
//! | `class` `pace` | what a record counts as, and how fast a host is asked that answers so |
//! | `pipes` | requests, results, orders and signals, on one thread |
//! | `below` `scope` `schedule` `answered` | what stands below a start URL, which URLs belong to a crawl, whose turn it is, and who answered while a journal is read; they know of no disk |
//! | `unnamed` `rules/` | files without a name, and what the robots.txt of many hosts say, on a shelf |
//! | `store/` | what lasts: the journal, the set of what was seen, what waits, the outputs. `Store` is the door to it |
//! | `crawl/` | what to make of each answer, and what to send next |
//! | `again` `open` `command/` | what failed of a finished crawl, made a job of; a crawl begun or taken up; looking at a job, and filling it |
//! | `served` `fleet/` | what is served: one crawl, or those partitions of one on many machines that are ours |
//! | `serve/` | crawls that are served one after the other: the loop, and its end |
//! | `cli/` | the command line |

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod again;
mod answered;
mod below;
mod cells;
mod class;
pub mod cli;
mod clock;
mod command;
mod crawl;
mod flaws;
#[cfg(feature = "redis")]
mod fleet;
mod keys;
mod memory_size;
mod open;
mod pace;
mod pipes;
mod rules;
mod schedule;
mod scope;
mod serve;
mod served;
mod store;
mod table;
mod unnamed;
pub mod url;

/// The set of what was seen by itself, for whoever measures it.
pub mod seen {
    pub use crate::store::Watch;
    pub use crate::store::seen::{Seen, SeenRoom};
}
