//! Everything that crawl-run says while it works: lines on stderr, and a progress line
//! that is drawn over on a terminal and comes every 30 s in a log. In the log of a batch
//! only the total comes.

use std::fmt::{Debug, Display};
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use crawl_ckpt::control::{Progress, Slow, Trial};
use crawl_ckpt::stderr;
use crawl_ckpt::tool::{Level, json_line, now, printable, speaks_json, told};
use serde_json::{Map, Value};

use crate::cli::VerbosityArgs;
use crate::meter::{Bounds, Meter};
use crate::screen::{LastLine, Row, RowLine, Screen, joined};

/// A log gets one line in this time.
pub const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// What one crawl shows and says. A stderr that is closed ends no crawl.
#[derive(Debug)]
pub struct View {
    verbosity: VerbosityArgs,
    /// Set where several crawls speak: their lines begin with it.
    title: Option<String>,
    screen: Option<Screen>,
    /// Gone once there is nothing more to show.
    line: Option<Line>,
    watches: Vec<Box<dyn Watch>>,
    meter: Meter,
    last_line: Instant,
}

/// Where the figures of a crawl are drawn.
#[derive(Debug)]
enum Line {
    Alone(LastLine),
    Among(RowLine),
}

/// What else takes in the figures of a crawl: the total of a batch, a metrics file.
pub trait Watch: Debug + Send + Sync {
    /// New figures.
    fn update(&self, progress: &Progress, now: Instant);
    /// Called a few times a second, whether there are new figures or not.
    fn tick(&self, now: Instant);
}

impl View {
    /// The view of the only crawl of this process.
    pub fn new(verbosity: VerbosityArgs) -> View {
        let mut view = View::plain(verbosity, Screen::new(verbosity));
        view.line = view
            .screen
            .as_ref()
            .map(|screen| Line::Alone(screen.last()));
        view
    }

    /// The view of one crawl among several, which share the screen, if there is one.
    pub fn among(verbosity: VerbosityArgs, title: String, screen: Option<Screen>) -> View {
        View {
            title: Some(title),
            line: screen.as_ref().map(|screen| Line::Among(screen.row())),
            ..View::plain(verbosity, screen)
        }
    }

    /// A view that only says things, beside any progress lines.
    pub fn plain(verbosity: VerbosityArgs, screen: Option<Screen>) -> View {
        let now = Instant::now();
        View {
            verbosity,
            title: None,
            screen,
            line: None,
            watches: Vec::new(),
            meter: Meter::new(now),
            last_line: now,
        }
    }

    /// A view that only says things, on the same screen.
    pub fn beside(&self) -> View {
        View::plain(self.verbosity, self.screen.clone())
    }

    /// From now on this takes in the figures, too.
    pub fn watch(&mut self, watch: impl Watch + 'static) {
        self.watches.push(Box::new(watch));
    }

    /// Says something unless `-q`.
    pub fn say(&self, line: impl Display) {
        if !self.verbosity.quiet {
            self.put(Level::Info, line, Map::new());
        }
    }

    /// Says what something newer will stand for soon, unless `-q` or nobody reads.
    pub fn pass(&self, line: impl Display) {
        if !stderr::are_waiting() {
            self.say(self.stamped(line));
        }
    }

    /// Says something with `-v`.
    pub fn tell(&self, line: impl Display) {
        if self.verbosity.verbose {
            self.put(Level::Detail, self.stamped(line), Map::new());
        }
    }

    /// Tells with `-v` what became of a URL.
    pub fn tell_of(&self, trial: &Trial) {
        if self.verbosity.verbose {
            let fields = serde_json::to_value(trial).ok();
            let mut fields = fields.and_then(|fields| fields.as_object().cloned());
            for field in fields.iter_mut().flat_map(Map::values_mut) {
                if let Some(text) = field.as_str() {
                    *field = told(text).into();
                }
            }
            let line = self.stamped(trial);
            self.put(Level::Detail, line, fields.unwrap_or_default());
        }
    }

    /// Warns unless `-q`.
    pub fn warn(&self, line: impl Display) {
        if speaks_json() && !self.verbosity.quiet {
            self.put(Level::Warning, line, Map::new());
        } else {
            self.say(format_args!("crawl-run: warning: {line}"));
        }
    }

    /// Says something even with `-q`.
    pub fn error(&self, line: impl Display) {
        self.put(Level::Error, line, Map::new());
    }

    /// What is waited for from now on.
    pub fn slowed_by(&mut self, slow: Option<Slow>) {
        self.meter.slowed_by(slow);
    }

    /// A line of a log that is read later says when it was written.
    fn stamped(&self, line: impl Display) -> String {
        let is_log = self.screen.is_none() && !io::stderr().is_terminal();
        if self.verbosity.verbose && is_log && !speaks_json() {
            format!("{} {line}", now())
        } else {
            line.to_string()
        }
    }

    fn put(&self, level: Level, line: impl Display, mut more: Map<String, Value>) {
        let line = if speaks_json() {
            let title = self.title.iter();
            more.extend(title.map(|title| ("crawl".to_owned(), told(title).into())));
            json_line(level, "crawl-run", &line.to_string(), more)
        } else {
            let title = self.title.iter().map(|title| format!("{title}: "));
            format!(
                "{}\n",
                told(&format!("{}{line}", title.collect::<String>()))
            )
        };
        match &self.screen {
            Some(screen) => screen.write(&line),
            None => stderr::write(&line),
        }
    }

    /// True for one crawl among several: it is to say little.
    pub fn is_among(&self) -> bool {
        self.title.is_some()
    }

    /// From now on these end the run.
    pub fn bound(&mut self, bounds: Bounds) {
        self.meter.bound(bounds);
    }

    /// Takes in new figures and shows them.
    pub fn update(&mut self, progress: &Progress, now: Instant) {
        self.watches
            .iter()
            .for_each(|watch| watch.update(progress, now));
        self.meter.update(progress, now);
        self.draw(now);
    }

    /// Shows what is due by time alone.
    pub fn tick(&mut self, now: Instant) {
        self.watches.iter().for_each(|watch| watch.tick(now));
        if self.screen.is_some() {
            self.draw(now);
        } else if !self.is_among() && now.duration_since(self.last_line) >= BETWEEN_LINES {
            self.last_line = now;
            self.pass(joined(&self.meter.figures(now).parts()));
        }
    }

    fn draw(&self, now: Instant) {
        let figures = self.meter.figures(now);
        match &self.line {
            Some(Line::Alone(line)) => line.show(figures.parts()),
            Some(Line::Among(line)) => line.show(Row {
                name: short(self.title.as_deref().unwrap_or_default()),
                cells: figures.cells(),
            }),
            None => {}
        }
    }

    /// Takes the progress line away. What is said after that still minds those of others.
    pub fn end(&mut self) {
        self.line = None;
    }
}

/// A site without what it has in common with most others.
fn short(site: &str) -> String {
    let site = site.strip_prefix("https://").unwrap_or(site);
    printable(site.strip_suffix('/').unwrap_or(site))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_by_what_tells_it_from_others() {
        assert_eq!(short("https://docs.example/"), "docs.example");
        assert_eq!(short("http://docs.example/a/"), "http://docs.example/a");
        assert_eq!(short("spiders/docs.json"), "spiders/docs.json");
    }
}
