//! crawl-frontier: which URL next, and when; what was seen; the one writer of a
//! job directory.
//!
//! [`serve`](serve::serve) is the loop around a [`Crawl`](crawl::Crawl), which
//! decides by its [`Scope`](scope::Scope), asks its [`Schedule`](schedule::Schedule) whose turn
//! it is, and keeps what shall last behind the door of its [`Store`](store::Store).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod class;
pub mod cli;
mod clock;
mod command;
pub mod crawl;
mod flaws;
mod keys;
pub mod open;
mod pipes;
pub mod schedule;
pub mod scope;
pub mod serve;
pub mod store;
pub mod url;
