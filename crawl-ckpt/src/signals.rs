//! The signals that pause a crawl.

use libc::{SIGHUP, SIGINT, SIGTERM};

/// SIGINT (Ctrl+C), SIGTERM and SIGHUP. Under crawl-run the other tools leave them to it.
pub const PAUSING: [i32; 3] = [SIGHUP, SIGINT, SIGTERM];

/// True when the process was started with the signal ignored, as `nohup` does it. Ask before any
/// handler is set.
#[allow(unsafe_code)]
pub fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with no new action this only reads the present one, into memory of
    // the right type and size, which is looked at only when the call succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// The signals that a tool heeds when a person or a script started it: not those that were ignored
/// when it began to run, but for SIGINT. A shell script has its background jobs ignore that, and
/// whoever sends it to a crawl all the same wants the crawl to pause.
pub fn heeded() -> impl Iterator<Item = i32> {
    let is_heeded = |signal: &i32| *signal == SIGINT || !is_ignored(*signal);
    PAUSING.into_iter().filter(is_heeded)
}
