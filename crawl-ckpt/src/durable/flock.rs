//! The flock beneath all locks: asked for without waiting, and believed only after some tries.

use std::fs::File;
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// How often a lock is asked for before its holder is believed: the
/// holder may be about to end, or about to write its name down.
const TRIES: u32 = 6;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// How often a lock is asked for that only looks from outside stand in the way
/// of. Each of them takes a shared lock for microseconds.
const TRIES_AGAINST_LOOKS: u32 = 1000;

/// Takes the exclusive lock; false when somebody else has it and keeps it for 50 ms.
///
/// # Errors
/// The file system cannot lock.
pub(crate) fn exclusive(file: &File) -> io::Result<bool> {
    let (mut looks, mut refusals) = (0, 0);
    loop {
        match fs2::FileExt::try_lock_exclusive(file) {
            Ok(()) => return Ok(true),
            Err(e) if !is_contended(&e) => return Err(e),
            Err(_) => {}
        }
        // A shared lock can be had beside looks, but not beside a writer.
        if looks < TRIES_AGAINST_LOOKS && fs2::FileExt::try_lock_shared(file).is_ok() {
            fs2::FileExt::unlock(file)?;
            looks += 1;
            continue;
        }
        refusals += 1;
        if refusals == TRIES {
            return Ok(false);
        }
        sleep(BETWEEN_TRIES);
    }
}

/// True when somebody has the exclusive lock now. Disturbs nobody.
pub(crate) fn is_held(file: &File) -> bool {
    // What cannot be locked is held by nobody.
    fs2::FileExt::try_lock_shared(file).is_err_and(|e| is_contended(&e))
}

fn is_contended(error: &io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}
