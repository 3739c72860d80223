//! crawl-frontier: which URL next, and when; what was seen; the one writer of a
//! job directory.

pub mod queue;
pub mod scope;
pub mod seen;
pub mod url;
