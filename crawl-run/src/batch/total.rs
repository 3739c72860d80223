//! The total of a batch while it runs: the last line of a terminal, a line every 30 s in a log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crawl_ckpt::control::{Counts, Progress};
use crawl_ckpt::human::{count, counted, span};
use crawl_ckpt::mutex::lock;

use super::tally::Tally;
use crate::figures::Left;
use crate::meter::{Bounds, Meter};
use crate::screen::{LastLine, Part, Screen, Tone, joined};
use crate::view::{BETWEEN_LINES, View, Watch};

/// Shows the total.
#[derive(Debug)]
pub struct Total {
    view: View,
    figures: Mutex<Sum>,
}

#[derive(Debug)]
struct Sum {
    line: Option<LastLine>,
    /// How many entries ended how.
    entries: Tally,
    running: usize,
    /// Pages of each entry: when this run began it, and now.
    pages: HashMap<usize, (u64, u64)>,
    /// The sum of what this run did of each.
    done: u64,
    meter: Meter,
    last_line: Instant,
}

impl Total {
    /// A total that says what it says beside `view`, and draws where there is a screen. The batch
    /// ends at `deadline`.
    pub fn new(view: View, screen: Option<&Screen>, deadline: Option<Instant>) -> Arc<Total> {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        meter.bound(Bounds {
            records: None,
            until: deadline,
        });
        let sum = Sum {
            line: screen.map(Screen::last),
            entries: Tally::default(),
            running: 0,
            pages: HashMap::new(),
            done: 0,
            meter,
            last_line: now,
        };
        Arc::new(Total {
            view,
            figures: Mutex::new(sum),
        })
    }

    /// An entry began or ended.
    pub fn change(&self, entries: Tally, running: usize) {
        let mut figures = self.figures();
        (figures.entries, figures.running) = (entries, running);
        figures.draw(Instant::now());
    }

    /// What the crawl of an entry tells its figures.
    pub fn share(self: &Arc<Total>, at: usize) -> impl Watch + 'static {
        Share {
            total: Arc::clone(self),
            at,
        }
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.figures().line = None;
    }

    fn figures(&self) -> MutexGuard<'_, Sum> {
        lock(&self.figures)
    }
}

impl Sum {
    fn parts(&self, now: Instant) -> Vec<Part> {
        let [done, failed, parked, left] = self.entries.states().map(|(_, number)| number);
        let all = done + failed + parked + left;
        let figures = self.meter.figures(now);
        let mut parts = vec![Part::new(
            99,
            format!("batch: {} of {} done", count(done), count(all)),
        )];
        let mut part = |worth, text: Option<String>, tone| {
            parts.extend(text.map(|text| Part::new(worth, text).toned(tone)));
        };
        let some = |number: u64, word| (number > 0).then(|| format!("{} {word}", count(number)));
        part(90, some(failed, "failed"), Tone::Failure);
        part(80, some(parked, "parked"), Tone::Wait);
        part(60, some(left, "left"), Tone::Plain);
        part(50, Some(format!("{} running", self.running)), Tone::Plain);
        let pages = counted(figures.progress.counts.done, "page");
        part(40, Some(pages), Tone::Plain);
        let rate = figures.rate.map(|rate| format!("{rate:.1} pages/s"));
        part(70, rate, Tone::Plain);
        part(30, Some(span(figures.elapsed)), Tone::Plain);
        // What the sites that wait have is not known.
        let ends = figures.left.filter(|left| matches!(left, Left::Exactly(_)));
        part(20, ends.map(|left| format!("stops in {left}")), Tone::Plain);
        parts
    }

    fn draw(&self, now: Instant) {
        if let Some(line) = &self.line {
            line.show(self.parts(now));
        }
    }
}

#[derive(Debug)]
struct Share {
    total: Arc<Total>,
    at: usize,
}

impl Watch for Share {
    fn update(&self, progress: &Progress, now: Instant) {
        let mut figures = self.total.figures();
        let pages = progress.counts.done + progress.counts.failed;
        let (from, to) = figures.pages.entry(self.at).or_insert((pages, pages));
        let before = to.saturating_sub(*from);
        *to = pages;
        let after = pages.saturating_sub(*from);
        figures.done = figures.done + after - before;
        let counts = Counts {
            done: figures.done,
            ..Counts::default()
        };
        let total = Progress {
            counts,
            ..Progress::default()
        };
        figures.meter.update(&total, now);
    }

    fn tick(&self, now: Instant) {
        let mut figures = self.total.figures();
        figures.draw(now);
        if figures.line.is_none() && now.duration_since(figures.last_line) >= BETWEEN_LINES {
            figures.last_line = now;
            self.total.view.pass(joined(&figures.parts(now)));
        }
    }
}
