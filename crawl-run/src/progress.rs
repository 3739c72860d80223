//! What is seen while a crawl runs: a line that is drawn over on a terminal, a line
//! every 30 s in a log.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crawl_ckpt::control::Progress;
use crawl_ckpt::human::{count, counted, span};
use crawl_ckpt::tool::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::VoiceArgs;

/// A log gets one line in this time.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// The rate is that of the last so long.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// Everything that crawl-run says while it works. A stderr that is closed ends no crawl.
#[derive(Debug)]
pub struct View {
    voice: VoiceArgs,
    bar: Option<ProgressBar>,
    meter: Meter,
    last_line: Instant,
}

impl View {
    /// A view on stderr. The progress line comes with the first figures, and only on a
    /// terminal without `NO_COLOR`.
    pub fn new(voice: VoiceArgs, now: Instant) -> View {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let draws = !voice.quiet && !plain && io::stderr().is_terminal();
        View {
            voice,
            bar: draws.then(bar),
            meter: Meter::new(now),
            last_line: now,
        }
    }

    /// Says something unless `-q`.
    pub fn say(&self, line: impl Display) {
        if !self.voice.quiet {
            self.print(&line.to_string());
        }
    }

    /// Says something with `-v`.
    pub fn tell(&self, line: impl Display) {
        if self.voice.verbose {
            self.print(&line.to_string());
        }
    }

    /// Warns unless `-q`.
    pub fn warn(&self, line: impl Display) {
        self.say(format_args!("crawl-run: warning: {line}"));
    }

    /// Says something even with `-q`.
    pub fn error(&self, line: impl Display) {
        self.print(&line.to_string());
    }

    /// True when a progress line is drawn, which other output would disturb.
    pub fn draws(&self) -> bool {
        self.bar.is_some()
    }

    /// Takes in new figures and shows them.
    pub fn update(&mut self, progress: &Progress, now: Instant) {
        self.meter.update(progress, now);
        if let Some(bar) = &self.bar {
            bar.set_message(self.meter.line(now));
        }
    }

    /// Shows what is due by time alone.
    pub fn tick(&mut self, now: Instant) {
        if let Some(bar) = &self.bar {
            bar.set_message(self.meter.line(now));
            bar.tick();
        } else if now.duration_since(self.last_line) >= BETWEEN_LINES {
            self.last_line = now;
            self.say(self.meter.line(now));
        }
    }

    /// Takes the progress line away.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn print(&self, line: &str) {
        let line = format!("{}\n", printable(line));
        let write = || {
            let _ = io::stderr().write_all(line.as_bytes());
        };
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar
}

/// Figures and how fast they move. The clock is an argument.
#[derive(Debug)]
struct Meter {
    begun: Instant,
    latest: Progress,
    /// Pages finished at a time, oldest first, over the rate's window.
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    fn new(now: Instant) -> Meter {
        Meter {
            begun: now,
            latest: Progress::default(),
            samples: VecDeque::new(),
        }
    }

    fn update(&mut self, progress: &Progress, now: Instant) {
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

    fn line(&self, now: Instant) -> String {
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
