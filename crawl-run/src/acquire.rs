//! Taking a spider's job: at once, or not at all while another run lives.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crawl_ckpt::job::JobPlace;
use crawl_ckpt::lock::{Holder, JobLock, LockError};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// A frontier whose crawl-run was killed commits and lets go within this.
const LAST_COMMIT: Duration = Duration::from_secs(10);

const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// Takes the lock of a job. When the run that took it was killed and only its frontier still
/// holds on, that is waited for.
///
/// # Errors
/// Another run holds it; the file system refuses.
pub fn acquire(place: &JobPlace) -> Result<JobLock, LockError> {
    let due = Instant::now() + LAST_COMMIT;
    loop {
        match JobLock::acquire(place) {
            Err(LockError::Held {
                holder: Some(holder),
                ..
            }) if is_gone(&holder) && Instant::now() < due => sleep(BETWEEN_TRIES),
            other => return other,
        }
    }
}

/// True when the holder was a process of this machine that is certainly not there any more.
fn is_gone(holder: &Holder) -> bool {
    let here = rustix::system::uname();
    if here.nodename().to_string_lossy() != holder.host {
        return false;
    }
    let pid = i32::try_from(holder.pid).ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { return false };
    // A process that was killed and that nobody has waited for yet is still listed, as `Z`.
    let stat = fs::read_to_string(format!("/proc/{}/stat", holder.pid)).unwrap_or_default();
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    let is_zombie = state.is_some_and(|rest| rest.starts_with('Z'));
    is_zombie || test_kill_process(pid) == Err(Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_holder_is_gone_only_when_it_certainly_is() {
        let holder = |pid, host: &str| Holder {
            pid,
            host: host.into(),
            started: String::new(),
        };
        let uname = rustix::system::uname();
        let here = uname.nodename().to_str().unwrap();
        let mut child = Command::new("true").spawn().unwrap();
        // Not waited for yet: whether it still runs or is a zombie, it will be one soon.
        while !is_gone(&holder(child.id(), here)) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_gone(&holder(child.id(), here)));
        assert!(!is_gone(&holder(child.id(), "elsewhere.example")));
        assert!(!is_gone(&holder(std::process::id(), here)));
        assert!(!is_gone(&holder(0, here)));
    }
}
