//! The progress lines at the foot of a terminal: one a crawl, and the total of a batch.
//!
//! The cursor always rests at the begin of the first of them. Whatever a terminal makes of its
//! lines when its size changes stands behind the cursor then, and is erased without counting
//! rows; so is the `^C` that it echoes.

mod frame;
mod part;

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crawl_ckpt::mutex::lock;
use crawl_ckpt::stderr;
use crawl_ckpt::tool::speaks_json;
use rustix::termios::tcgetwinsize;

use crate::cli::VerbosityArgs;
pub use frame::Row;
use frame::Size;
#[cfg(test)]
pub use part::fitted;
pub use part::{Part, Tone, joined};

/// Least time between two drawings.
const BETWEEN: Duration = Duration::from_millis(100);

/// A line that is wider than the terminal is cut while this holds, and stays one line.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
const ERASE_LINE: &str = "\x1b[2K";
/// From the second column on, and the first before it: from the very first place of a terminal `J` counts as a
/// clear of all of it, and tmux keeps in its history what stood there.
const ERASE_BELOW: &str = "\r\x1b[2K\x1b[C\x1b[J\r";

/// The progress lines of this process. All clones are the same screen.
#[derive(Debug, Clone)]
pub struct Screen(Arc<Mutex<Picture>>);

#[derive(Debug, Default)]
struct Picture {
    /// What each line shows, by its number; the crawls of a batch in the order in which they began.
    rows: Vec<(u64, Option<Row>)>,
    /// The line below them.
    last: Option<Vec<Part>>,
    colour: bool,
    next: u64,
    /// The size for which the lines were drawn that stand there now, and when.
    drawn: Option<(Size, Instant)>,
}

impl Screen {
    /// None with `-q`, or when stderr is no terminal that can move its cursor.
    pub fn new(verbosity: VerbosityArgs) -> Option<Screen> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_dumb = set("TERM").is_none_or(|term| term == "dumb");
        let draws = !verbosity.quiet && !is_dumb && !speaks_json() && io::stderr().is_terminal();
        let picture = Picture {
            colour: set("NO_COLOR").is_none(),
            ..Picture::default()
        };
        draws.then(|| Screen(Arc::new(Mutex::new(picture))))
    }

    /// The line of one crawl among several.
    pub fn row(&self) -> RowLine {
        let mut picture = lock(&self.0);
        picture.next += 1;
        let number = picture.next;
        picture.rows.push((number, None));
        RowLine {
            screen: self.clone(),
            number,
        }
    }

    /// The last line: of the only crawl, or of all.
    pub fn last(&self) -> LastLine {
        LastLine(self.clone())
    }

    /// Writes text that ends with a line's end above the lines.
    pub fn write(&self, text: &str) {
        lock(&self.0).draw(text);
    }

    /// Draws what was changed, if it is time.
    fn change(&self, change: impl FnOnce(&mut Picture)) {
        let mut picture = lock(&self.0);
        change(&mut picture);
        let is_time = picture.drawn.is_none_or(|(_, at)| at.elapsed() >= BETWEEN);
        // What is drawn now is outdated before a terminal that takes nothing shows it.
        if is_time && !stderr::are_waiting() {
            picture.draw("");
        }
    }

    /// Draws what is gone.
    fn remove(&self, change: impl FnOnce(&mut Picture)) {
        let mut picture = lock(&self.0);
        change(&mut picture);
        picture.draw("");
    }
}

impl Picture {
    fn draw(&mut self, words: &str) {
        let size = size();
        let rows: Vec<Row> = self
            .rows
            .iter()
            .filter_map(|(_, row)| row.clone())
            .collect();
        let lines = frame::lines(&rows, self.last.as_deref(), size, self.colour);
        let mut text = String::new();
        let is_as_before = self.drawn.is_some_and(|(before, _)| before == size);
        if self.drawn.is_some() && !(is_as_before && words.is_empty() && !lines.is_empty()) {
            text.push_str(ERASE_BELOW);
        }
        text.push_str(words);
        self.drawn = (!lines.is_empty()).then(|| (size, Instant::now()));
        if let Some(up) = lines.len().checked_sub(1) {
            text.push_str(NO_WRAP);
            let lines: Vec<_> = lines
                .iter()
                .map(|line| format!("{ERASE_LINE}{line}"))
                .collect();
            text.push_str(&lines.join("\r\n"));
            // What stood below, of a picture with more lines.
            text.push_str("\x1b[J");
            text.push_str(WRAP);
            if up > 0 {
                text.push_str(&format!("\x1b[{up}A"));
            }
            text.push('\r');
        }
        if !text.is_empty() {
            stderr::write(&text);
        }
    }
}

/// The terminal's size, or that of the first ones when it does not know.
fn size() -> Size {
    let size = tcgetwinsize(io::stderr()).ok();
    let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let (columns, rows) = size.map_or((80, 24), |size| (size.ws_col, size.ws_row));
    Size {
        columns: columns.into(),
        rows: rows.into(),
    }
}

/// The line of one crawl among several, for as long as this lives.
#[derive(Debug)]
pub struct RowLine {
    screen: Screen,
    number: u64,
}

impl RowLine {
    /// Shows something else.
    pub fn show(&self, row: Row) {
        self.screen.change(|picture| {
            let mut rows = picture.rows.iter_mut();
            if let Some((_, old)) = rows.find(|(number, _)| *number == self.number) {
                *old = Some(row);
            }
        });
    }
}

impl Drop for RowLine {
    fn drop(&mut self) {
        let number = self.number;
        self.screen
            .remove(|picture| picture.rows.retain(|(other, _)| *other != number));
    }
}

/// The last line, for as long as this lives.
#[derive(Debug)]
pub struct LastLine(Screen);

impl LastLine {
    /// Shows something else.
    pub fn show(&self, parts: Vec<Part>) {
        self.0.change(|picture| picture.last = Some(parts));
    }
}

impl Drop for LastLine {
    fn drop(&mut self) {
        self.0.remove(|picture| picture.last = None);
    }
}
