//! crawl-frontier, see the library.
fn main() {}
