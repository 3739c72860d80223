//! crawl-run: the conductor. One command that a human or cron runs: it starts
//! crawl-frontier and crawl-fetch, passes signals on, shows progress, and keeps the
//! checkpoint or removes it.
//!
//! It is not in the data path: the children speak with each other over two pipes, and
//! with crawl-run over a socket. See [`stage`] for who is connected with whom,
//! [`checkpoint`] for what becomes of one that is there, [`outcome`] for the exit codes.

pub mod again;
pub mod change;
pub mod checkpoint;
pub mod cli;
pub mod conduct;
pub mod crawl;
pub mod outcome;
pub mod place;
pub mod plan;
pub mod progress;
pub mod proxies;
pub mod signals;
pub mod spider;
pub mod stage;
pub mod summary;
pub mod tools;
