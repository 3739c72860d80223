//! Everything that crawl-run says while it works: lines on stderr, and a progress line
//! that is drawn over on a terminal and comes every 30 s in a log.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crawl_ckpt::control::Progress;
use crawl_ckpt::tool::printable;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::VoiceArgs;
use crate::meter::Meter;

/// A log gets one line in this time.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// What one crawl shows and says. A stderr that is closed ends no crawl.
#[derive(Debug)]
pub struct View {
    voice: VoiceArgs,
    /// Set where several crawls speak: their lines begin with it.
    title: Option<String>,
    screen: Option<Screen>,
    meter: Meter,
    last_line: Instant,
}

/// Where a progress line is drawn, among those of others.
#[derive(Debug)]
struct Screen {
    lines: MultiProgress,
    /// Gone once there is nothing more to show.
    line: Option<ProgressBar>,
}

impl View {
    /// The view of the only crawl of this process.
    pub fn new(voice: VoiceArgs) -> View {
        View::on(voice, None, lines(voice))
    }

    /// The view of one crawl among several, which share the screen, if there is one.
    pub fn among(voice: VoiceArgs, title: String, lines: Option<MultiProgress>) -> View {
        View::on(voice, Some(title), lines)
    }

    /// A view that only says things, beside any progress lines.
    pub fn plain(voice: VoiceArgs, lines: Option<MultiProgress>) -> View {
        let mut view = View::on(voice, None, lines);
        view.end();
        view
    }

    fn on(voice: VoiceArgs, title: Option<String>, lines: Option<MultiProgress>) -> View {
        let now = Instant::now();
        View {
            voice,
            title,
            screen: lines.map(Screen::new),
            meter: Meter::new(now),
            last_line: now,
        }
    }

    /// Says something unless `-q`.
    pub fn say(&self, line: impl Display) {
        if !self.voice.quiet {
            self.error(line);
        }
    }

    /// Says something with `-v`.
    pub fn tell(&self, line: impl Display) {
        if self.voice.verbose {
            self.error(line);
        }
    }

    /// Warns unless `-q`.
    pub fn warn(&self, line: impl Display) {
        self.say(format_args!("crawl-run: warning: {line}"));
    }

    /// Says something even with `-q`.
    pub fn error(&self, line: impl Display) {
        let line = match &self.title {
            Some(title) => format!("{title}: {line}"),
            None => line.to_string(),
        };
        let line = format!("{}\n", printable(&line));
        let write = || {
            let _ = io::stderr().write_all(line.as_bytes());
        };
        match &self.screen {
            Some(screen) => screen.lines.suspend(write),
            None => write(),
        }
    }

    /// True for one crawl among several: it is to say little.
    pub fn is_among(&self) -> bool {
        self.title.is_some()
    }

    /// Takes in new figures and shows them.
    pub fn update(&mut self, progress: &Progress, now: Instant) {
        self.meter.update(progress, now);
        self.draw(now);
    }

    /// Shows what is due by time alone.
    pub fn tick(&mut self, now: Instant) {
        if self.screen.is_some() {
            self.draw(now);
        } else if now.duration_since(self.last_line) >= BETWEEN_LINES {
            self.last_line = now;
            self.say(self.meter.line(now));
        }
    }

    fn draw(&self, now: Instant) {
        let Some(line) = self.screen.as_ref().and_then(|screen| screen.line.as_ref()) else {
            return;
        };
        let text = self.meter.line(now);
        line.set_message(match &self.title {
            Some(title) => printable(&format!("{title}: {text}")),
            None => text,
        });
        line.tick();
    }

    /// Takes the progress line away. What is said after that still minds those of others.
    pub fn end(&mut self) {
        if let Some(screen) = &mut self.screen
            && let Some(line) = screen.line.take()
        {
            line.finish_and_clear();
            screen.lines.remove(&line);
        }
    }
}

impl Screen {
    fn new(lines: MultiProgress) -> Screen {
        let style = ProgressStyle::with_template("{spinner:.cyan} {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        // Above the last line, which is the total of a batch.
        let line = lines.insert_from_back(1, ProgressBar::no_length().with_style(style));
        Screen {
            lines,
            line: Some(line),
        }
    }
}

/// The progress lines of this process: none with `-q`, with `NO_COLOR`, or when stderr is no
/// terminal.
pub fn lines(voice: VoiceArgs) -> Option<MultiProgress> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let draws = !voice.quiet && !plain && io::stderr().is_terminal();
    draws.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()))
}
