//! What the crawl tools share: the records that travel on their pipes, the job
//! directory that keeps them, and the words in which they speak to people.
//!
//! A thing may enter this library only if two tools read or write it.
//!
//! # Layout
//! From the ground up; a room uses only those before it (`tests/layout.rs` looks). The folders'
//! modules are named from the root: `crawl_ckpt::robots`, not `web::robots`.
//!
//! | where | what lies there |
//! |---|---|
//! | `hex` `codec` `human` `mutex` `signals` `stdio` | digits, fields of files, numbers for people, what threads share ([`mutex`]), the signals that pause, whether stdin and stdout are there |
//! | `durable/` | [`durable`]: the one place that renames, syncs and locks files, and its simulation |
//! | `web/` | [`address`], [`canonical`] URLs, [`robots`], [`cookies`] and the [`netscape`] file of them, headers' [`octets`] as text |
//! | `stderr` `tool` `table` `error` | the door to stderr, exit codes, error lines, columns for people, what can go wrong with what is stored ([`error`]) |
//! | `wire/` | what goes through pipes and into spider files: [`record`] of [`text`], [`passed`] bodies, [`capture`] and [`rendering`], [`lines`] of them all, [`plan`], [`price`], [`control`], [`handed`] descriptors, [`extraction`], the [`limits`] and defaults; [`node`], [`keys`](mod@keys), [`domain`] names, [`ranked`] and [`pattern`] read spider files |
//! | `warc/` | [`warc`]: records of WARC files |
//! | `parts/` `seen/` `waiting/` | [`parts`] of what a job remembers: of the set of URLs that were [`seen`], and of the requests that are [`waiting`] |
//! | `journal/` | [`journal`]: batches, commits, replay; what can be saved of a torn one |
//! | `fleet/` | [`fleet`]: what the machines of one crawl share |
//! | `summary` | what of a crawl outlives its checkpoint beside the records |
//! | `job/` | [`job`]: the directory, its manifest, its [`lock`], its output's place |
//! | `image` `delta/` | the other files of a job: [`image`] of a replay, and what is known between crawls ([`delta`]) |
//! | `outside/` | jobs from outside: `catalog`, `crawls`, [`look`], `verify`, [`repair`] |
//! | `report/` | [`report`]: what came out of a crawl, from its output records |
//! | `collect/` | one file of the records of several workers |
//! | `command/` `cli` | the tool `crawl-ckpt` itself |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
mod codec;
mod collect;
mod command;
pub mod delta;
pub mod durable;
pub mod error;
pub mod fleet;
#[doc = include_str!("../FORMAT.md")]
pub mod format {}
pub mod hex;
pub mod human;
pub mod image;
pub mod job;
pub mod journal;
pub mod mutex;
mod outside;
pub mod parts;
pub mod report;
pub mod seen;
pub mod signals;
pub mod stderr;
mod stdio;
pub mod summary;
mod table;
pub mod tool;
pub mod waiting;
pub mod warc;
mod web;
mod wire;

pub use job::lock;
pub(crate) use outside::{catalog, crawls, verify};
pub use outside::{look, repair};
pub use web::{address, canonical, cookies, netscape, octets, robots};
pub use wire::{
    capture, control, domain, extraction, generated, handed, keys, limits, lines, node, passed,
    pattern, plan, price, ranked, record, rendering, text,
};
