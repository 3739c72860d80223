//! Understands pages: what came, whoever fetched it.

pub mod challenge;
pub mod charset;
pub mod extract;
pub mod find;
pub mod footprint;
mod lex;
mod query;
pub mod reader;
mod refresh;
pub mod scan;
pub mod sitemap;
mod targets;

pub use reader::{PageReader, Want};
