//! The progress lines at the foot of a terminal: one a crawl, and the total of a batch.

use std::fmt::{self, Write};
use std::io::{self, IsTerminal};
use std::sync::Mutex;

use console::Term;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::stderr;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use crate::cli::VerbosityArgs;

/// How often the lines are drawn at most, a second.
const DRAWN_HZ: u8 = 10;

/// The progress lines of this process. All clones are the same screen.
#[derive(Debug, Clone)]
pub struct Screen(MultiProgress);

impl Screen {
    /// None with `-q`, with `NO_COLOR`, or when stderr is no terminal.
    pub fn new(verbosity: VerbosityArgs) -> Option<Screen> {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let draws = !verbosity.quiet && !plain && io::stderr().is_terminal();
        draws.then(|| {
            let terminal = Box::new(Terminal {
                term: Term::stderr(),
                drawn: Mutex::default(),
            });
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
    /// Shows a text, cut to the width of the terminal, unless the terminal takes nothing.
    pub fn show(&self, text: String) {
        if stderr::are_waiting() {
            return;
        }
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
/// is drawn next is off by one. What is drawn leaves by the same door as all words.
#[derive(Debug)]
struct Terminal {
    term: Term,
    drawn: Mutex<String>,
}

impl Terminal {
    fn draw(&self, text: fmt::Arguments<'_>) -> io::Result<()> {
        let mut drawn = lock(&self.drawn);
        drawn
            .write_fmt(text)
            .map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Moves the cursor by so many places; 0 would move it by one.
    fn go(&self, places: usize, direction: char) -> io::Result<()> {
        match places {
            0 => Ok(()),
            _ => self.draw(format_args!("\x1b[{places}{direction}")),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        self.draw(format_args!("\r"))?;
        let mut drawn = lock(&self.drawn);
        stderr::write(&std::mem::take(&mut *drawn));
        Ok(())
    }
}
