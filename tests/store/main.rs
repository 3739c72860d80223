//! crawl-ckpt over the store of crawls that machines share: what lies there, whether it is sound, and what is
//! done to it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/mod.rs"]
mod support;

mod changes;
mod looking;
mod lost;
mod rewritten;
mod scene;
mod sound;
mod trust;
mod workers;
