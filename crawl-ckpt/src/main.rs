//! crawl-ckpt, see the library.
fn main() {}
