//! What came out of a crawl, for people to look at and for programs: from the output records,
//! in one pass and in bounded memory.
//!
//! # Layout
//!
//! | where | what lies there |
//! |---|---|
//! | `row` `source` | what is read of a record, and of a file of them |
//! | `histogram` `timeline` `top` `tally` `repeats` `redirects` `fields` `shares` | counters, one noun each, that stay small however many records come |
//! | `against` `figures` | the crawl before, and all that one pass counts |
//! | `lines` `facts` | the records that are shown, and all that is told |
//! | `page` | the facts as a page |
//! | `made` | a report from its records to its file |

mod against;
mod facts;
mod fields;
mod figures;
mod histogram;
mod lines;
mod made;
mod page;
mod redirects;
mod repeats;
mod row;
mod shares;
mod source;
mod tally;
mod timeline;
mod top;

pub use made::{MadeReport, PageFile};
pub use source::{Flaws, Source};
