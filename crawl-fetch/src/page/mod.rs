//! Understands pages, whoever fetched them.
//!
//! # Layout
//! From the ground up; a room uses only those before it (`tests/layout.rs` looks).
//!
//! | where | what lies there |
//! |---|---|
//! | `find` `lex` `marks` | bytes that are mostly near, where a tag, a comment or raw text ends, and where markup stands |
//! | `charset` `query` `refresh` `targets` `footprint` | a page's encoding, that of its queries, where a `Refresh` leads, the targets of links, how much memory a page takes |
//! | [`scan`] | the links of a page |
//! | [`extract`] | its tree, and the items in it |
//! | `reader` | title and links ([`PageReader`]) |
//! | `challenge` `sitemap` | pages that are blocks, and sitemaps |

pub(crate) mod challenge;
pub(crate) mod charset;
pub mod extract;
mod find;
pub(crate) mod footprint;
mod lex;
mod marks;
mod query;
mod reader;
mod refresh;
pub mod scan;
pub(crate) mod sitemap;
mod targets;

pub use lex::Span;
pub use marks::Mark;
pub use reader::{PageReader, ReadPage, Want};
