//! Signals that pause: SIGINT, SIGTERM and SIGHUP, unless whoever started this
//! process had it ignore them (crawl-run does, and so does `nohup`).

use crawl_ckpt::signals::{PAUSING, is_ignored};

/// The signals that are to be handled here.
pub fn handled() -> Vec<i32> {
    PAUSING
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect()
}
