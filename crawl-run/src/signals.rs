//! The signals that pause a crawl.

use std::io;
use std::thread;
use std::time::Duration;

use crawl_ckpt::human::span;
use crawl_ckpt::signals::heeded;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Calls `on_signal` for each pausing signal that is heeded and arrives from now on.
///
/// # Errors
/// The system refuses a handler or the thread.
pub fn watch(on_signal: impl Fn(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new(heeded())?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || signals.forever().for_each(on_signal))?;
    Ok(())
}

/// The word for a signal.
pub fn name(signal: i32) -> &'static str {
    match signal {
        SIGHUP => "SIGHUP",
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        _ => "a signal",
    }
}

/// What is said when the first signal came.
pub fn pausing(signal: i32, grace: Duration) -> String {
    format!(
        "{}: pausing; waiting at most {} for pages under way (once more: at once)",
        name(signal),
        span(grace)
    )
}
