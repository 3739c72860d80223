//! Lines as every reader here understands them: what programs print and what people list.
//!
//! - A line ends with a newline, which is no part of it.
//! - One of [`MAX_LINE_BYTES`] or more is told once by its beginning, and its rest is passed over.
//!   No more than that is kept of any.
//! - A last line without a newline counts in a file that was written to its end, as a list is
//!   ([`Lines::read_line`]). A program that ended in the middle of an answer did not give it:
//!   who reads pieces ([`Lines::fill`], [`Lines::next_line`]) gets whole lines only.
//! - In a list a byte order mark before UTF-8 is no part of the first line, and UTF-16 is refused
//!   by its name ([`Unmarked`]).

use std::io::{self, Read};
use std::ops::Range;

use memchr::memchr;

pub use super::unmarked::{Unmarked, read_text};
use crate::record::MAX_LINE_BYTES;

/// What is said of a line that is too long.
pub const TOO_LONG: &str = "the line is over 64 MiB";

/// What is read at once: as much as a pipe holds.
const READ_BYTES: usize = 64 << 10;

/// A buffer that grew beyond this for a long line does not stay so.
const KEPT_BYTES: usize = 16 * READ_BYTES;

/// A line without its newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'b> {
    /// All of it.
    Whole(&'b [u8]),
    /// The beginning of one that is too long.
    TooLong(&'b [u8]),
}

/// Bytes that come in pieces, and the lines in them.
#[derive(Debug)]
pub struct Lines {
    buffer: Vec<u8>,
    /// Where that begins which was not given out yet.
    start: usize,
    /// Up to here there is no newline after `start`.
    searched: usize,
    /// Where that ends which was read.
    end: usize,
    /// The rest of a line that was too long is still to be passed over.
    is_skipping: bool,
    has_ended: bool,
    most: usize,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines {
            buffer: Vec::new(),
            start: 0,
            searched: 0,
            end: 0,
            is_skipping: false,
            has_ended: false,
            most: MAX_LINE_BYTES - 1,
        }
    }
}

impl Lines {
    /// For lines of any length, from who is trusted not to fill the memory.
    pub fn of_any_length() -> Lines {
        Lines {
            most: usize::MAX,
            ..Lines::default()
        }
    }

    /// Reads once; 0 bytes mean the end.
    ///
    /// # Errors
    /// Errors of the reader; one that would block says so.
    pub fn fill(&mut self, mut from: impl Read) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.searched -= std::mem::take(&mut self.start);
        if self.end == 0 && self.buffer.len() > KEPT_BYTES {
            self.buffer = Vec::new();
        }
        if self.buffer.len() - self.end < READ_BYTES {
            let wanted = (2 * self.buffer.len()).max(self.end + READ_BYTES);
            self.buffer.resize(wanted, 0);
        }
        loop {
            match from.read(&mut self.buffer[self.end..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(amount) => {
                    self.end += amount;
                    self.has_ended = amount == 0;
                    return Ok(amount);
                }
            }
        }
    }

    /// The next line of those that were read.
    pub fn next_line(&mut self) -> Option<Line<'_>> {
        let (line, is_whole) = self.find()?;
        Some(self.line(line, is_whole))
    }

    /// The next line, for which is waited; `None` at the end.
    ///
    /// # Errors
    /// Errors of the reader.
    pub fn read_line(&mut self, mut from: impl Read) -> io::Result<Option<Line<'_>>> {
        let (line, is_whole) = loop {
            if let Some(found) = self.find() {
                break found;
            }
            if self.has_ended {
                if self.unfinished().is_empty() {
                    return Ok(None);
                }
                let line = self.start..self.end;
                (self.start, self.searched) = (self.end, self.end);
                break (line, true);
            }
            self.fill(&mut from)?;
        };
        Ok(Some(self.line(line, is_whole)))
    }

    /// True when the next line is there already.
    pub fn has_next(&self) -> bool {
        !self.is_skipping && memchr(b'\n', &self.buffer[self.searched..self.end]).is_some()
    }

    /// What is there of a line without an end.
    pub fn unfinished(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Forgets all that came.
    pub fn clear(&mut self) {
        *self = Lines {
            most: self.most,
            ..Lines::default()
        };
    }

    fn line(&self, line: Range<usize>, is_whole: bool) -> Line<'_> {
        let line = &self.buffer[line];
        if is_whole {
            Line::Whole(line)
        } else {
            Line::TooLong(line)
        }
    }

    /// Where the next line is, and whether it is whole.
    fn find(&mut self) -> Option<(Range<usize>, bool)> {
        loop {
            let Some(found) = memchr(b'\n', &self.buffer[self.searched..self.end]) else {
                self.searched = self.end;
                if self.is_skipping {
                    self.start = self.end;
                } else if self.end - self.start > self.most {
                    self.is_skipping = true;
                    return Some((
                        std::mem::replace(&mut self.start, self.end)..self.end,
                        false,
                    ));
                }
                return None;
            };
            let line = self.start..self.searched + found;
            (self.start, self.searched) = (line.end + 1, line.end + 1);
            if !std::mem::take(&mut self.is_skipping) {
                let is_whole = line.len() <= self.most;
                return Some((line, is_whole));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one by one.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = buf.len().min(1);
            self.0.read(&mut buf[..len])
        }
    }

    fn text(line: Line<'_>) -> String {
        match line {
            Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
            Line::TooLong(_) => "...".to_owned(),
        }
    }

    fn lines(mut reader: impl Read, most: usize) -> Vec<String> {
        let mut lines = Lines {
            most,
            ..Lines::default()
        };
        let mut found = Vec::new();
        while let Some(line) = lines.read_line(&mut reader).unwrap() {
            found.push(text(line));
        }
        found
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_the_next_one_is_read() {
        let list = b"ab\n\nabcdefgh\nc\nabcdefg";
        for most in [4, 6] {
            assert_eq!(lines(Drip(list), most), ["ab", "", "...", "c", "..."]);
            assert_eq!(lines(&list[..], most), ["ab", "", "...", "c", "..."]);
        }
        let all = ["ab", "", "abcdefgh", "c", "abcdefg"];
        assert_eq!(lines(Drip(list), 99), all);
        assert_eq!(lines(&list[..], 99), all);
        assert_eq!(lines(&b""[..], 99), [""; 0]);
        let long = [b"x".repeat(3_000_000), b"\ny\n".to_vec()].concat();
        assert_eq!(lines(&long[..], 4_000_000)[1..], ["y"]);
        assert_eq!(lines(&long[..], 2_000_000), ["...", "y"]);
        let longest = [b"x".repeat(MAX_LINE_BYTES), b"\ny\n".to_vec()].concat();
        assert_eq!(lines(&longest[..], MAX_LINE_BYTES - 1), ["...", "y"]);
        let mut any = Lines::of_any_length();
        let line = any.read_line(&longest[..]).unwrap().unwrap();
        assert_eq!(text(line).len(), MAX_LINE_BYTES);
    }

    #[test]
    fn lines_come_whole_however_they_were_cut_and_a_cut_off_one_does_not_come() {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for piece in ["on", "e\ntwo\nth", "ree\n", "\nlast"] {
            assert_eq!(lines.fill(piece.as_bytes()).unwrap(), piece.len());
            assert_eq!(lines.has_next(), piece.contains('\n'));
            while let Some(line) = lines.next_line() {
                got.push(text(line));
            }
        }
        assert_eq!(lines.fill(&b""[..]).unwrap(), 0);
        assert_eq!(lines.next_line(), None);
        assert_eq!(got, ["one", "two", "three", ""]);
        assert_eq!(lines.unfinished(), b"last");
        lines.clear();
        assert_eq!(lines.unfinished(), b"");
    }
}
