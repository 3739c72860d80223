//! crawl-fetch.
