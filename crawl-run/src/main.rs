//! crawl-run, see the library.
fn main() {}
