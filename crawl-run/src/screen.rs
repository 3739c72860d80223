//! The progress lines at the foot of a terminal: one a crawl, and the total of a batch.

use std::io::{self, IsTerminal};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::cli::VoiceArgs;

/// How often the lines are drawn at most, a second.
const DRAWN_HZ: u8 = 10;

/// The progress lines of this process. All clones are the same screen.
#[derive(Debug, Clone)]
pub struct Screen(MultiProgress);

impl Screen {
    /// None with `-q`, with `NO_COLOR`, or when stderr is no terminal.
    pub fn new(voice: VoiceArgs) -> Option<Screen> {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let draws = !voice.quiet && !plain && io::stderr().is_terminal();
        draws.then(|| {
            let terminal = Box::new(Terminal(Term::buffered_stderr()));
            let target = ProgressDrawTarget::term_like_with_hz(terminal, DRAWN_HZ);
            Screen(MultiProgress::with_draw_target(target))
        })
    }

    /// A line for a crawl, above the last line, which is the total of a batch.
    pub fn line(&self) -> Line {
        self.add(1, "{spinner:.cyan} {wide_msg}")
    }

    /// The last line.
    pub fn total(&self) -> Line {
        self.add(0, "{wide_msg}")
    }

    fn add(&self, from_back: usize, template: &str) -> Line {
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::no_length().with_style(style);
        Line {
            bar: self.0.insert_from_back(from_back, bar),
            screen: self.0.clone(),
        }
    }

    /// Does something with the lines taken away, such as writing above them.
    pub fn suspend(&self, write: impl FnOnce()) {
        self.0.suspend(write);
    }
}

/// A line of the screen, for as long as this lives.
#[derive(Debug)]
pub struct Line {
    bar: ProgressBar,
    screen: MultiProgress,
}

impl Line {
    /// Shows a text, cut to the width of the terminal.
    pub fn show(&self, text: String) {
        self.bar.set_message(text);
        self.bar.tick();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.screen.remove(&self.bar);
    }
}

/// The terminal, with the cursor left at the begin of the last line. At its end, where
/// indicatif leaves it, the `^C` that a terminal echoes goes to a line of its own, and whatever
/// is drawn next is off by one.
#[derive(Debug)]
struct Terminal(Term);

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.write_str("\r")?;
        self.0.flush()
    }
}
