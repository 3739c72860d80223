//! crawl-fetch, see the library.
fn main() {}
