//! What the crawl tools share: the records that travel on their pipes, the job
//! directory that keeps them, and the words in which they speak to people.
//!
//! A thing may enter this library only if two tools read or write it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod address;
pub mod canonical;
pub mod catalog;
pub mod cli;
mod codec;
mod command;
pub mod control;
pub mod cookies;
pub mod delta;
pub mod durable;
pub mod extraction;
#[doc = include_str!("../FORMAT.md")]
pub mod format {}
pub mod hex;
pub mod human;
pub mod image;
mod jar;
pub mod job;
pub mod journal;
pub mod lock;
pub mod look;
pub mod netscape;
pub mod node;
pub mod pattern;
pub mod plan;
pub mod ranked;
pub mod record;
pub mod repair;
pub mod robots;
pub mod signals;
mod table;
pub mod text;
pub mod tool;
pub mod verify;
