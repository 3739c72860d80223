//! How fast one host is asked: the adaptive throttle.
//!
//! A host that answers quickly and cleanly is never slowed down. Trouble
//! (429, 5xx, timeouts, resets) doubles its delay, a burst of it once, a clean answer
//! halves it again, and a latency that grows far beyond the host's own best is answered
//! with a delay of its own.

use crawl_ckpt::plan;

const FIRST_DELAY_MS: u32 = 500;
const MAX_DELAY_MS: u32 = 60_000;
/// Shorter delays are none.
const LEAST_DELAY_MS: u32 = 50;
/// Latency is no sign of load below this many times the host's best, and below half a second.
const LATENCY_GROWTH: u64 = 4;
const LATENCY_FLOOR_MS: u64 = 500;
/// A host that answers faster than this is sent requests ahead.
const QUICK_MS: u32 = 50;
/// So many times its limit, which hides the way through the pipes; the fetcher keeps to the
/// limit. A whole crawl has no more than so many times its concurrency under way.
pub const AHEAD: u32 = 8;
/// Clean answers in a row before requests are sent ahead.
const TRUST: u32 = 16;

/// What is known of one host's speed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    best_ms: Option<u32>,
    /// Moving average, an eighth for the newest.
    average_ms: u32,
    trouble_delay_ms: u32,
    /// What else goes wrong before this time is part of the same trouble.
    same_trouble_until_ms: u64,
    clean: u32,
    /// When the newest request was sent that was answered.
    pub newest_ms: u64,
}

/// How fast a host may be asked from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Least time between two requests.
    pub delay_ms: u64,
    /// At most so many in flight.
    pub window: u32,
}

/// How an answer came, as far as the throttle cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// An answer that shows no overload.
    Clean {
        /// How long it took.
        elapsed_ms: u64,
    },
    /// A sign of overload.
    Trouble,
}

impl Pace {
    /// Learns from an answer how fast the host may be asked.
    ///
    /// `floor_ms` is the least delay: the user's, or robots.txt's.
    pub fn learn(
        &mut self,
        manner: Manner,
        now_ms: u64,
        limits: &plan::Pace,
        floor_ms: u64,
    ) -> Speed {
        match manner {
            Manner::Clean { elapsed_ms } => {
                self.clean = self.clean.saturating_add(1);
                // A month and more is as good as for ever.
                let elapsed_ms = u32::try_from(elapsed_ms).unwrap_or(u32::MAX);
                self.best_ms = Some(self.best_ms.map_or(elapsed_ms, |best| best.min(elapsed_ms)));
                self.average_ms = match self.clean {
                    1 => elapsed_ms,
                    _ => ((u64::from(self.average_ms) * 7 + u64::from(elapsed_ms)) / 8) as u32,
                };
                self.trouble_delay_ms /= 2;
                if self.trouble_delay_ms < LEAST_DELAY_MS {
                    self.trouble_delay_ms = 0;
                }
            }
            Manner::Trouble => {
                self.clean = 0;
                // All that was under way at once fails at once, and says no more than one.
                if now_ms >= self.same_trouble_until_ms {
                    self.trouble_delay_ms =
                        (self.trouble_delay_ms * 2).clamp(FIRST_DELAY_MS, MAX_DELAY_MS);
                    self.same_trouble_until_ms = now_ms + u64::from(self.trouble_delay_ms);
                }
            }
        }
        let adaptive = if limits.autothrottle {
            self.delay_ms(limits).min(limits.max_delay_ms)
        } else {
            0
        };
        let delay_ms = adaptive.max(floor_ms);
        let quick = self.clean >= TRUST && self.average_ms < QUICK_MS && delay_ms == 0;
        let window = if quick {
            limits.per_host.saturating_mul(AHEAD)
        } else {
            limits.per_host
        };
        Speed { delay_ms, window }
    }

    /// Nothing is wrong with the host: who knows nothing of it does it no harm.
    pub fn is_calm(&self) -> bool {
        self.trouble_delay_ms == 0
    }

    fn delay_ms(&self, limits: &plan::Pace) -> u64 {
        if let Some(target) = limits.target_concurrency {
            let spread_ms = (f64::from(self.average_ms) / target) as u64;
            return spread_ms.max(u64::from(self.trouble_delay_ms));
        }
        let per_host = limits.per_host;
        let usual = u64::from(self.best_ms.unwrap_or(0)) * LATENCY_GROWTH + LATENCY_FLOOR_MS;
        let strained = u64::from(self.average_ms).saturating_sub(usual);
        (strained / u64::from(per_host.max(1))).max(u64::from(self.trouble_delay_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After these answers, each long after the one before.
    fn after(answers: impl IntoIterator<Item = Manner>) -> (u64, u32) {
        after_every(u64::from(MAX_DELAY_MS), answers)
    }

    fn after_every(pause_ms: u64, answers: impl IntoIterator<Item = Manner>) -> (u64, u32) {
        let (mut pace, limits) = (Pace::default(), plan::Pace::default());
        let answers = (0..).step_by(pause_ms as usize).zip(answers);
        let speeds = answers.map(|(now_ms, manner)| pace.learn(manner, now_ms, &limits, 0));
        let speed = speeds.last().unwrap();
        (speed.delay_ms, speed.window)
    }

    fn clean(elapsed_ms: u64, times: usize) -> Vec<Manner> {
        vec![Manner::Clean { elapsed_ms }; times]
    }

    #[test]
    fn with_a_target_the_delay_follows_the_latency_up_to_its_limit() {
        let mut pace = Pace::default();
        let limits = plan::Pace {
            target_concurrency: Some(0.5),
            max_delay_ms: 900,
            ..plan::Pace::default()
        };
        for (elapsed_ms, want) in [(100, 200), (100, 200), (9000, 900)] {
            let clean = Manner::Clean { elapsed_ms };
            assert_eq!(pace.learn(clean, 0, &limits, 0).delay_ms, want);
        }
    }

    #[test]
    fn a_quick_clean_host_is_never_slowed_down() {
        assert_eq!(after(clean(3, 100)), (0, 64));
    }

    #[test]
    fn a_host_that_is_always_slow_is_not_held_to_be_overloaded() {
        assert_eq!(after(clean(2000, 100)), (0, 8));
    }

    #[test]
    fn trouble_doubles_the_delay_and_clean_answers_end_it() {
        assert_eq!(after([Manner::Trouble; 3]).0, 2000);
        assert_eq!(after([Manner::Trouble; 30]).0, u64::from(MAX_DELAY_MS));
        let mut answers = vec![Manner::Trouble; 3];
        answers.extend(clean(3, 40));
        assert_eq!(after(answers).0, 0);
    }

    #[test]
    fn a_burst_of_trouble_is_one() {
        assert_eq!(
            after_every(1, [Manner::Trouble; 100]).0,
            u64::from(FIRST_DELAY_MS)
        );
    }

    #[test]
    fn a_site_of_which_every_fourth_page_is_broken_stays_fast() {
        let four = [&clean(3, 3)[..], &[Manner::Trouble]].concat();
        assert_eq!(after(four.repeat(100)).0, u64::from(FIRST_DELAY_MS));
    }

    #[test]
    fn a_latency_far_beyond_the_best_is_answered_with_a_delay() {
        let mut answers = clean(20, 20);
        answers.extend(clean(8000, 50));
        assert!(after(answers).0 > 500);
    }
}
