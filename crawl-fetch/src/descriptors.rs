//! How many descriptors this process may have. Thousands of connections need more than the usual
//! 1,024; a program that it starts gets the usual again, since some look at all that they may have.

use std::io;
use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

static BEFORE: OnceLock<Option<u64>> = OnceLock::new();

/// Allows as many as the system does.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    // The first time counts: afterwards it is raised already.
    BEFORE.get_or_init(|| limit.current);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where that is refused, requests wait for one another.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// Allows as many as before, for a child between fork and exec. Async-signal-safe.
///
/// # Errors
/// The system's reason.
pub fn give_back() -> io::Result<()> {
    let Some(before) = BEFORE.get() else {
        return Ok(());
    };
    let limit = Rlimit {
        current: *before,
        ..getrlimit(Resource::Nofile)
    };
    Ok(setrlimit(Resource::Nofile, limit)?)
}
