//! Figures and how fast they move. The clock is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crawl_ckpt::control::{Progress, Slow};

use crate::figures::{Figures, Left};

/// The rate is that of the last so long.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// A crawl waits when no page ended for so long.
const WAITS_AFTER: Duration = Duration::from_secs(5);

/// Figures and how fast they move.
#[derive(Debug)]
pub struct Meter {
    begun: Instant,
    latest: Progress,
    bounds: Bounds,
    /// Over the rate's window, oldest first.
    samples: VecDeque<Sample>,
    /// When a page ended last.
    moved: Instant,
    /// Why little is under way.
    slow: Option<Slow>,
}

/// What ends a run with work left.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// So many records from its begin.
    pub records: Option<u64>,
    /// This moment.
    pub until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    finished: u64,
    waiting: u64,
}

impl Meter {
    /// A meter that begins now.
    pub fn new(now: Instant) -> Meter {
        Meter {
            begun: now,
            latest: Progress::default(),
            bounds: Bounds::default(),
            samples: VecDeque::new(),
            moved: now,
            slow: None,
        }
    }

    /// From now on these end the run.
    pub fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// Takes in new figures.
    pub fn update(&mut self, progress: &Progress, now: Instant) {
        self.latest = progress.clone();
        let counts = &progress.counts;
        let sample = Sample {
            at: now,
            finished: counts.done + counts.failed,
            waiting: counts.pending + counts.in_flight,
        };
        let before = self.samples.back().map(|sample| sample.finished);
        if before != Some(sample.finished) {
            self.moved = now;
        }
        self.samples.push_back(sample);
        // One sample older than the window stays, so that the window is always covered.
        while self
            .samples
            .get(1)
            .is_some_and(|sample| now.duration_since(sample.at) > RATE_WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// What is waited for from now on.
    pub fn slowed_by(&mut self, slow: Option<Slow>) {
        self.slow = slow;
    }

    /// How it goes.
    pub fn figures(&self, now: Instant) -> Figures<'_> {
        Figures {
            progress: &self.latest,
            rate: self.rate(now),
            elapsed: now.duration_since(self.begun),
            left: self.left(now),
            slow: self.slow.as_ref(),
            waits: !self.samples.is_empty() && now.duration_since(self.moved) >= WAITS_AFTER,
        }
    }

    /// Pages a second.
    fn rate(&self, now: Instant) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = now.duration_since(first.at).as_secs_f64();
        (seconds >= 0.5).then(|| last.finished.saturating_sub(first.finished) as f64 / seconds)
    }

    /// How long the run goes on: until nothing is pending or a bound is reached.
    fn left(&self, now: Instant) -> Option<Left> {
        let time = self.bounds.until;
        let time = time.map(|until| until.saturating_duration_since(now));
        let work = self.work_left(now);
        match (work, time) {
            (Some(Left::About(work) | Left::AtLeast(work)), Some(time)) if time < work => {
                Some(Left::Exactly(time))
            }
            (None, Some(time)) => Some(Left::Exactly(time)),
            (work, _) => work,
        }
    }

    fn work_left(&self, now: Instant) -> Option<Left> {
        let rate = self.rate(now).filter(|rate| *rate > 0.0)?;
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let takes = |pages: u64| Duration::try_from_secs_f64(pages as f64 / rate).ok();
        let bound = self.bounds.records;
        let bound = bound.map(|records| records.saturating_sub(self.latest.records_run));
        match bound.filter(|bound| *bound <= last.waiting) {
            Some(bound) => takes(bound).map(Left::About),
            None if last.waiting == 0 => None,
            None if last.waiting > first.waiting => takes(last.waiting).map(Left::AtLeast),
            None => takes(last.waiting).map(Left::About),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::{fitted, joined};
    use crawl_ckpt::control::{Counts, FleetProgress};

    fn progress(done: u64, failed: u64, pending: u64) -> Progress {
        Progress {
            counts: Counts {
                seen: done + failed + pending,
                done,
                failed,
                pending,
                ..Counts::default()
            },
            records_run: done + failed,
            hosts: 2,
            ..Progress::default()
        }
    }

    /// A meter after 20 seconds of 50 pages each, and that moment.
    fn running(pending: impl Fn(u64) -> u64) -> (Meter, Instant) {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        for second in 0..=20 {
            let at = begun + Duration::from_secs(second);
            meter.update(&progress(second * 50, 1, pending(second)), at);
        }
        (meter, begun + Duration::from_secs(20))
    }

    fn left(meter: &Meter, now: Instant) -> String {
        meter.figures(now).left.unwrap().to_string()
    }

    #[test]
    fn the_line_has_rate_and_rough_time_left() {
        let begun = Instant::now();
        let line = |meter: &Meter, now| joined(&meter.figures(now).parts());
        assert_eq!(
            line(&Meter::new(begun), begun),
            "0 done, 0 pending, 0 hosts, 0.0s"
        );
        let (meter, now) = running(|_| 6000);
        assert_eq!(
            line(&meter, now),
            "1,000 done, 6,000 pending, 50.0 pages/s, 1 error, 2 hosts, 20s, about 2m 00s left"
        );
    }

    #[test]
    fn a_worker_shows_what_it_did_and_how_far_all_are() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        let fleet = FleetProgress {
            workers: 3,
            done: 12_345,
            failed: 2,
            pending: 678,
        };
        let progress = Progress {
            fleet: Some(fleet),
            ..progress(1000, 1, 60)
        };
        meter.update(&progress, begun);
        let parts = meter.figures(begun).parts();
        assert_eq!(
            joined(&parts),
            "1,000 done, 60 pending, 3 workers: 12,345 done, 678 pending, 1 error, 2 hosts, 0.0s"
        );
        assert_eq!(fitted(&parts, 30, false), "1,000 done, 60 pending, 0.0s");
        let at_50 = "1,000 done, 60 pending, 1 error, 2 hosts, 0.0s";
        assert_eq!(fitted(&parts, 50, false), at_50);
        let at_70 = "1,000 done, 60 pending, 3 workers: 12,345 done, 678 pending, 1 error";
        assert_eq!(fitted(&parts, 70, false), at_70);
    }

    #[test]
    fn time_left_is_a_lower_bound_while_more_is_found_than_finished() {
        let (meter, now) = running(|second| 5000 + second * 50);
        assert_eq!(left(&meter, now), "at least 2m 00s");
    }

    #[test]
    fn time_left_ends_where_the_run_does() {
        let (mut meter, now) = running(|second| 5000 + second * 50);
        let mut bounded = |records, seconds: Option<u64>| {
            let until = seconds.map(|seconds| now + Duration::from_secs(seconds));
            meter.bound(Bounds { records, until });
            left(&meter, now)
        };
        assert_eq!(bounded(Some(1501), None), "about 10s");
        assert_eq!(bounded(Some(1501), Some(3600)), "about 10s");
        assert_eq!(bounded(Some(1501), Some(5)), "5.0s");
        assert_eq!(bounded(Some(1_000_000), None), "at least 2m 00s");
        assert_eq!(bounded(None, Some(60)), "1m 00s");
        assert_eq!(bounded(None, Some(3600)), "at least 2m 00s");
    }

    #[test]
    fn the_rate_falls_while_nothing_comes() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        meter.update(&progress(0, 0, 10), begun);
        meter.update(&progress(100, 0, 10), begun + Duration::from_secs(1));
        assert!(!meter.figures(begun + Duration::from_secs(2)).waits);
        let later = begun + Duration::from_secs(100);
        assert_eq!(meter.rate(later), Some(1.0));
        assert!(meter.figures(later).waits);
    }
}
