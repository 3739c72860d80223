//! Figures and how fast they move, as one line. The clock is an argument.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crawl_ckpt::control::Progress;
use crawl_ckpt::human::{count, counted, span};

/// The rate is that of the last so long.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Figures and how fast they move.
#[derive(Debug)]
pub struct Meter {
    begun: Instant,
    latest: Progress,
    /// Pages finished at a time, oldest first, over the rate's window.
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// A meter that begins now.
    pub fn new(now: Instant) -> Meter {
        Meter {
            begun: now,
            latest: Progress::default(),
            samples: VecDeque::new(),
        }
    }

    /// Takes in new figures.
    pub fn update(&mut self, progress: &Progress, now: Instant) {
        self.latest = progress.clone();
        let finished = progress.counts.done + progress.counts.failed;
        self.samples.push_back((now, finished));
        // One sample older than the window stays, so that the window is always covered.
        while self
            .samples
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) > RATE_WINDOW)
        {
            self.samples.pop_front();
        }
    }

    /// Pages a second; `None` before there is anything to tell.
    fn rate(&self, now: Instant) -> Option<f64> {
        let (from, first) = self.samples.front()?;
        let (_, last) = self.samples.back()?;
        let seconds = now.duration_since(*from).as_secs_f64();
        (seconds >= 0.5).then(|| last.saturating_sub(*first) as f64 / seconds)
    }

    /// Pages finished, a second, time.
    pub fn speed(&self, now: Instant) -> String {
        let counts = &self.latest.counts;
        let mut line = counted(counts.done + counts.failed, "page");
        if let Some(rate) = self.rate(now) {
            line.push_str(&format!(", {rate:.1} pages/s"));
        }
        line + ", " + &span(now.duration_since(self.begun))
    }

    /// Pages done, pending, a second, errors, hosts, time, and a rough time left.
    pub fn line(&self, now: Instant) -> String {
        let counts = &self.latest.counts;
        let waiting = counts.pending + counts.in_flight;
        let mut line = format!("{} done, {} pending", count(counts.done), count(waiting));
        let rate = self.rate(now);
        if let Some(rate) = rate {
            line.push_str(&format!(", {rate:.1} pages/s"));
        }
        if counts.failed > 0 {
            line.push_str(&format!(", {}", counted(counts.failed, "error")));
        }
        if counts.parked > 0 {
            line.push_str(&format!(", {} parked", count(counts.parked)));
        }
        line.push_str(&format!(
            ", {}, {}",
            counted(self.latest.hosts, "host"),
            span(now.duration_since(self.begun))
        ));
        // Pages found later are not in it: rough, and a lower bound.
        if let Some(rate) = rate.filter(|rate| *rate > 0.0 && waiting > 0) {
            let left = Duration::try_from_secs_f64(waiting as f64 / rate);
            if let Ok(left) = left {
                line.push_str(&format!(", about {} left", span(left)));
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::control::Counts;

    fn progress(done: u64, failed: u64, pending: u64) -> Progress {
        Progress {
            counts: Counts {
                seen: done + failed + pending,
                done,
                failed,
                pending,
                ..Counts::default()
            },
            hosts: 2,
            ..Progress::default()
        }
    }

    #[test]
    fn the_line_has_rate_and_rough_time_left() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        assert_eq!(meter.line(begun), "0 done, 0 pending, 0 hosts, 0.0s");
        for second in 0..=20 {
            let at = begun + Duration::from_secs(second);
            meter.update(&progress(second * 50, 1, 6000), at);
        }
        assert_eq!(
            meter.line(begun + Duration::from_secs(20)),
            "1,000 done, 6,000 pending, 50.0 pages/s, 1 error, 2 hosts, 20s, about 2m 00s left"
        );
        let speed = meter.speed(begun + Duration::from_secs(20));
        assert_eq!(speed, "1,001 pages, 50.0 pages/s, 20s");
    }

    #[test]
    fn the_rate_falls_while_nothing_comes() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        meter.update(&progress(0, 0, 10), begun);
        meter.update(&progress(100, 0, 10), begun + Duration::from_secs(1));
        let later = begun + Duration::from_secs(100);
        assert_eq!(meter.rate(later), Some(1.0));
    }
}
