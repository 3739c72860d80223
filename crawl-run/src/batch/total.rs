//! The total of a batch while it runs: the last line of a terminal, a line every 30 s in a log.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crawl_ckpt::control::{Counts, Progress};
use crawl_ckpt::mutex::lock;

use crate::meter::Meter;
use crate::screen::{Line, Screen};
use crate::view::{BETWEEN_LINES, View, Watch};

/// Shows the total.
#[derive(Debug)]
pub struct Total {
    view: View,
    figures: Mutex<Figures>,
}

#[derive(Debug)]
struct Figures {
    line: Option<Line>,
    /// How many entries ended how.
    entries: String,
    running: usize,
    /// Pages of each entry: when this run began it, and now.
    pages: HashMap<usize, (u64, u64)>,
    meter: Meter,
    last_line: Instant,
}

impl Total {
    /// A total that says what it says beside `view`, and draws where there is a screen.
    pub fn new(view: View, screen: Option<&Screen>) -> Arc<Total> {
        let now = Instant::now();
        let figures = Figures {
            line: screen.map(Screen::total),
            entries: String::new(),
            running: 0,
            pages: HashMap::new(),
            meter: Meter::new(now),
            last_line: now,
        };
        Arc::new(Total {
            view,
            figures: Mutex::new(figures),
        })
    }

    /// An entry began or ended.
    pub fn change(&self, entries: String, running: usize) {
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

    fn figures(&self) -> MutexGuard<'_, Figures> {
        lock(&self.figures)
    }
}

impl Figures {
    fn text(&self, now: Instant) -> String {
        let (entries, running) = (&self.entries, self.running);
        let speed = self.meter.speed(now);
        format!("batch: {entries}, {running} running; {speed}")
    }

    fn draw(&self, now: Instant) {
        if let Some(line) = &self.line {
            line.show(self.text(now));
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
        figures.pages.entry(self.at).or_insert((pages, pages)).1 = pages;
        let done = figures
            .pages
            .values()
            .map(|(from, to)| to.saturating_sub(*from));
        let counts = Counts {
            done: done.sum(),
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
            self.total.view.pass(figures.text(now));
        }
    }
}
