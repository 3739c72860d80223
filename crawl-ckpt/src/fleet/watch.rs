//! Whether something that others are to renew stands still. No clock but our own counts, and that only
//! while we look.

/// A value that changes as long as somebody lives.
#[derive(Debug, Clone, Default)]
pub struct Watched<V> {
    last: Option<V>,
    looked_ms: u64,
    still_ms: u64,
}

impl<V: PartialEq + Copy> Watched<V> {
    /// Looks at it; gives for how long it has not changed. A watcher that was itself stopped between two
    /// looks saw nothing of that time, so at most `most_ms` of it count.
    pub fn look(&mut self, value: V, now_ms: u64, most_ms: u64) -> u64 {
        if self.last == Some(value) {
            self.still_ms += now_ms.saturating_sub(self.looked_ms).min(most_ms);
        } else {
            self.last = Some(value);
            self.still_ms = 0;
        }
        self.looked_ms = now_ms;
        self.still_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_lives_and_time_in_which_nobody_looked_does_not_count() {
        let mut watched = Watched::default();
        assert_eq!(watched.look(1, 0, 200), 0);
        assert_eq!(watched.look(1, 100, 200), 100);
        assert_eq!(watched.look(2, 200, 200), 0);
        // We were stopped for an hour.
        assert_eq!(watched.look(2, 3_600_000, 200), 200);
        assert_eq!(watched.look(2, 3_600_100, 200), 300);
    }
}
