//! Whether a fetcher that ended badly is started again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crawl_ckpt::control::EndReason;

/// The fetcher may die so often in the time before it is given up: once more than a page needs that is set aside at
/// its fourth death.
const RESTARTS: usize = 4;
const RESTARTS_WITHIN: Duration = Duration::from_secs(60);
/// It is the fetcher, and not its pages, when it dies of so many …
const MAX_SET_ASIDE: usize = 10;
/// … and so many records make up for one: a long crawl meets more of them.
const MAKES_UP: u64 = 100;
/// It may be silent so often without a record in between.
const MAX_SILENCES: usize = 5;

/// How many bad ends of the fetcher are borne.
#[derive(Debug, Default)]
pub struct Patience {
    deaths: VecDeque<Instant>,
    /// Requests that it died of once too often, and for which nothing made up yet.
    set_aside: usize,
    /// Records since the last one that made up for one of them.
    good: u64,
    /// Silences with no record made between them.
    silences: usize,
}

impl Patience {
    /// Whether it is started again. `records` were made meanwhile.
    pub fn goes_on(&mut self, reason: Option<&EndReason>, records: u64, now: Instant) -> bool {
        if records > 0 {
            self.silences = 0;
        }
        self.good += records;
        while self.set_aside > 0 && self.good >= MAKES_UP {
            self.set_aside -= 1;
            self.good -= MAKES_UP;
        }
        if self.set_aside == 0 {
            self.good = 0;
        }
        match reason {
            Some(EndReason::FetcherGone) => {
                self.deaths
                    .retain(|at| now.duration_since(*at) < RESTARTS_WITHIN);
                self.deaths.push_back(now);
                self.deaths.len() <= RESTARTS
            }
            Some(EndReason::SetAside) => {
                self.deaths.clear();
                self.set_aside += 1;
                self.set_aside < MAX_SET_ASIDE
            }
            Some(EndReason::FetcherSilent) => {
                self.silences += 1;
                self.silences <= MAX_SILENCES
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_deaths_a_minute_are_forgiven_and_a_fifth_is_not() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let mut dies = |seconds| {
            let at = start + Duration::from_secs(seconds);
            patience.goes_on(Some(&EndReason::FetcherGone), 1, at)
        };
        assert!([0, 10, 15, 20].into_iter().all(&mut dies));
        assert!(!dies(30));
        assert!(dies(85));
    }

    #[test]
    fn a_page_that_is_set_aside_makes_up_for_the_deaths_that_it_took() {
        let now = Instant::now();
        let mut patience = Patience::default();
        for page in 1..=10 {
            for _ in 0..3 {
                assert!(patience.goes_on(Some(&EndReason::FetcherGone), 0, now));
            }
            let goes_on = patience.goes_on(Some(&EndReason::SetAside), 1, now);
            assert_eq!(goes_on, page < 10);
        }
    }

    #[test]
    fn pages_that_fetchers_die_of_are_borne_for_ever_when_they_are_few_among_many() {
        let now = Instant::now();
        let mut patience = Patience::default();
        let mut aside = |records| patience.goes_on(Some(&EndReason::SetAside), records, now);
        // Records before the first bad end make up for none.
        assert!(aside(1_000_000));
        assert!((0..1000).all(|_| aside(MAKES_UP)));
        assert!((0..8).all(|_| aside(1)));
        assert!(!aside(1));
    }

    #[test]
    fn a_fetcher_that_is_silent_again_and_again_is_given_up_unless_records_are_made() {
        let now = Instant::now();
        let mut patience = Patience::default();
        let mut silent = |records| patience.goes_on(Some(&EndReason::FetcherSilent), records, now);
        assert!((0..20).all(|_| silent(1)));
        assert!((0..4).all(|_| silent(0)));
        assert!(!silent(0));
        assert!(!patience.goes_on(Some(&EndReason::Complete), 1, now));
    }
}
