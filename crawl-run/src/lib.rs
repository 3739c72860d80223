//! crawl-run.
