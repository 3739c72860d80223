//! How a crawl goes at one moment: as parts of a line, or as cells of a row.

use std::time::Duration;

use crawl_ckpt::control::{Progress, Slow};
use crawl_ckpt::human::{bytes, count, counted, span};

use crate::screen::{Part, Tone};

/// How a crawl goes.
#[derive(Debug)]
pub struct Figures<'a> {
    /// What the frontier told last.
    pub progress: &'a Progress,
    /// Pages a second; `None` before there is anything to tell.
    pub rate: Option<f64>,
    /// Since the begin of this run.
    pub elapsed: Duration,
    /// Until its end, if that can be told.
    pub left: Option<Left>,
    /// Why little is under way.
    pub slow: Option<&'a Slow>,
    /// No page ended for a while.
    pub waits: bool,
}

/// How long a run goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Left {
    /// As long as what is left takes at this rate.
    About(Duration),
    /// Longer than that: more is found than finished.
    AtLeast(Duration),
    /// Until its time is up.
    Exactly(Duration),
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Left::About(time) => write!(f, "about {}", span(*time)),
            Left::AtLeast(time) => write!(f, "at least {}", span(*time)),
            Left::Exactly(time) => f.write_str(&span(*time)),
        }
    }
}

impl Figures<'_> {
    /// A line of it, each part as long as there is room for its worth.
    pub fn parts(&self) -> Vec<Part> {
        let Progress { counts, hosts, .. } = self.progress;
        let mut parts = vec![
            Part::new(99, format!("{} done", count(counts.done))),
            Part::new(90, format!("{} pending", count(self.waiting()))),
        ];
        let mut part = |worth, text: Option<String>, tone| {
            parts.extend(text.map(|text| Part::new(worth, text).toned(tone)));
        };
        let some = |number: u64, text: String| (number > 0).then_some(text);
        let failed = some(counts.failed, counted(counts.failed, "error"));
        let parked = some(counts.parked, format!("{} parked", count(counts.parked)));
        let read = some(self.progress.bytes, bytes(self.progress.bytes));
        let retries = self.progress.retries;
        let retries = some(retries, format!("{} tried again", count(retries)));
        part(
            70,
            self.rate.map(|rate| format!("{rate:.1} pages/s")),
            Tone::Plain,
        );
        part(88, self.fleet(), Tone::Plain);
        part(85, self.slow.map(Slow::to_string), Tone::Wait);
        part(80, failed, Tone::Failure);
        part(75, parked, Tone::Wait);
        part(10, retries, Tone::Wait);
        part(30, Some(counted(*hosts, "host")), Tone::Plain);
        part(20, read, Tone::Plain);
        part(50, Some(span(self.elapsed)), Tone::Plain);
        part(
            60,
            self.left.map(|left| format!("{left} left")),
            Tone::Plain,
        );
        parts
    }

    /// Done, pending, pages a second, state, time left.
    pub fn cells(&self) -> [Part; 5] {
        let counts = &self.progress.counts;
        let (state, tone) = if counts.failed > 0 {
            (counted(counts.failed, "error"), Tone::Failure)
        } else if counts.parked > 0 {
            (format!("{} parked", count(counts.parked)), Tone::Wait)
        } else if let Some(slow) = self.slow {
            (slow.cause.as_str().to_owned(), Tone::Wait)
        } else if self.waits {
            ("waiting".to_owned(), Tone::Wait)
        } else {
            ("running".to_owned(), Tone::Plain)
        };
        let text = |text: String| Part::new(0, text);
        [
            text(count(counts.done)),
            text(count(self.waiting())),
            text(self.rate.map_or(String::new(), |rate| format!("{rate:.1}"))),
            text(state).toned(tone),
            text(self.left.map_or(String::new(), |left| left.to_string())),
        ]
    }

    /// How far all workers are that share the crawl.
    fn fleet(&self) -> Option<String> {
        let fleet = self.progress.fleet.as_ref()?;
        let (done, pending) = (count(fleet.done), count(fleet.pending));
        let workers = counted(fleet.workers, "worker");
        Some(format!("{workers}: {done} done, {pending} pending"))
    }

    fn waiting(&self) -> u64 {
        self.progress.counts.unfinished()
    }
}
