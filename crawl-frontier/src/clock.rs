//! The time of day, and how far a time that was written down is believed.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// No request, and no host that asked for it, is waited for longer than this.
pub const LONGEST_PAUSE_MS: u64 = 120_000;

/// Unix time in milliseconds.
pub fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_millis() as u64
}

/// Wall-clock milliseconds that never go back.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    /// A clock that shows the time of day now.
    pub fn new() -> Clock {
        Clock {
            start: Instant::now(),
            start_ms: now_ms(),
        }
    }

    /// The time that the clock shows, in ms since 1970.
    pub fn now_ms(&self) -> u64 {
        self.start_ms + self.start.elapsed().as_millis() as u64
    }
}

/// When a stored wait is over. It was for some time of the clock that the last commit saw; a
/// clock that was set back since makes it no longer than it was then, nor than `longest_ms`.
pub fn due_by(stored_ms: u64, told_ms: u64, now_ms: u64, longest_ms: u64) -> u64 {
    let left_ms = stored_ms.saturating_sub(told_ms).min(longest_ms);
    stored_ms.min(now_ms.saturating_add(left_ms))
}

#[cfg(test)]
mod tests {
    use super::due_by;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    #[test]
    fn a_wait_ends_when_it_was_to_end() {
        assert_eq!(due_by(1_002_000, 1_000_000, 1_000_500, 120_000), 1_002_000);
        assert_eq!(due_by(1_002_000, 1_000_000, 9_000_000, 120_000), 1_002_000);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_wait_longer() {
        let now_ms = 20_000 * DAY_MS;
        let ahead_ms = now_ms + 365 * DAY_MS;
        let due = |stored_ms, told_ms| due_by(stored_ms, told_ms, now_ms, 120_000);
        assert_eq!(due(ahead_ms + 2000, ahead_ms), now_ms + 2000);
        // Set back two runs ago, so that the last commit knows nothing of it.
        assert_eq!(due(ahead_ms, now_ms - 5), now_ms + 120_000);
        assert_eq!(due(u64::MAX, 0), now_ms + 120_000);
    }
}
