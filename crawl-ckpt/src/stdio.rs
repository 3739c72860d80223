//! Whether stdin and stdout can be used. Rust opens `/dev/null` in place of those that are closed
//! before `main` runs, and takes a write to a stdout that is open for reading only for done: what
//! a tool prints would be lost, and nobody would know.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};

/// A bit for each of descriptors 0 and 1 that was closed when the process began.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// The loader calls what stands in this section before Rust's start, which would hide it.
#[allow(unsafe_code)]
// SAFETY: the section holds pointers to C functions without arguments that matter, and this is
// one. It calls fcntl and an atomic only, neither of which needs anything of Rust's start.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
#[used]
static NOTE: extern "C" fn() = note;

#[allow(unsafe_code)]
extern "C" fn note() {
    for fd in [libc::STDIN_FILENO, libc::STDOUT_FILENO] {
        // SAFETY: F_GETFD only asks, and takes any number.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
            CLOSED.fetch_or(1 << fd, Ordering::Relaxed);
        }
    }
}

fn was_closed(fd: i32) -> bool {
    CLOSED.load(Ordering::Relaxed) & 1 << fd != 0
}

/// Whether stdout can be written to.
///
/// # Errors
/// Stdout is closed, or open for reading only.
pub fn check_stdout() -> io::Result<()> {
    if was_closed(libc::STDOUT_FILENO) {
        return Err(io::Error::other("it is closed"));
    }
    match fcntl_getfl(rustix::stdio::stdout())? & OFlags::RWMODE {
        OFlags::RDONLY => Err(io::Error::other("it is open for reading only")),
        _ => Ok(()),
    }
}

/// Whether there is a stdin.
///
/// # Errors
/// Stdin is closed.
pub fn check_stdin() -> io::Result<()> {
    if was_closed(libc::STDIN_FILENO) {
        Err(io::Error::other("it is closed"))
    } else {
        Ok(())
    }
}
