//! Signals that pause: SIGINT, SIGTERM and SIGHUP, unless whoever started this
//! process had it ignore them (crawl-run does, and so does `nohup`).

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The signals that are to be handled here.
pub fn handled() -> Vec<i32> {
    let all = [SIGINT, SIGTERM, SIGHUP];
    all.into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect()
}

/// True when the signal was ignored before this process began to run.
#[allow(unsafe_code)]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with no new action this only reads the present one, into memory of
    // the right type and size, which is looked at only when the call succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
