//! crawl-frontier.
