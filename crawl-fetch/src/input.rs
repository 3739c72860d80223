//! Lines from stdin, with a cap on their length.

use std::io::{self, Read};

use crawl_ckpt::record::MAX_LINE_BYTES;
use memchr::memchr;

/// What is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A line without its newline.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'b> {
    /// All of it.
    Whole(&'b [u8]),
    /// The beginning of one that is over the cap; the rest is skipped.
    TooLong(&'b [u8]),
}

/// Reads lines.
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The rest of an overlong line is still to be skipped.
    skipping: bool,
    ended: bool,
    cap: usize,
}

impl<R: Read> Lines<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Lines<R> {
        Lines {
            reader,
            buffer: vec![0; CHUNK_BYTES],
            start: 0,
            end: 0,
            skipping: false,
            ended: false,
            cap: MAX_LINE_BYTES - 1,
        }
    }

    /// True when the next line is there already.
    pub fn has_next(&self) -> bool {
        !self.skipping && memchr(b'\n', &self.buffer[self.start..self.end]).is_some()
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut looked = 0;
        loop {
            let unseen = &self.buffer[self.start + looked..self.end];
            if let Some(step) = memchr(b'\n', unseen) {
                let line = self.start..self.start + looked + step;
                self.start = line.end + 1;
                if std::mem::take(&mut self.skipping) {
                    looked = 0;
                    continue;
                }
                return Ok(Some(Line::Whole(&self.buffer[line])));
            }
            looked = self.end - self.start;
            if self.skipping {
                (self.start, self.end, looked) = (0, 0, 0);
            } else if looked > self.cap {
                self.skipping = true;
                return Ok(Some(Line::TooLong(&self.buffer[self.start..self.end])));
            }
            if self.ended {
                let line = self.start..self.end;
                self.start = self.end;
                let last = !line.is_empty() && !self.skipping;
                return Ok(last.then(|| Line::Whole(&self.buffer[line])));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == 0 && self.buffer.len() > 16 * CHUNK_BYTES {
            self.buffer = vec![0; CHUNK_BYTES];
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.end, 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            }
            return Ok(());
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

    fn lines(reader: impl Read, cap: usize) -> Vec<String> {
        let mut lines = Lines::new(reader);
        lines.cap = cap;
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push(match line {
                Line::Whole(line) => String::from_utf8_lossy(line).into_owned(),
                Line::TooLong(_) => "...".to_owned(),
            });
        }
        found
    }

    #[test]
    fn a_line_over_the_cap_is_told_and_the_next_one_is_read() {
        let text = b"ab\n\nabcdefgh\nc\nabcdefg";
        assert_eq!(lines(Drip(text), 4), ["ab", "", "...", "c", "..."]);
        assert_eq!(
            lines(Drip(text), 99),
            ["ab", "", "abcdefgh", "c", "abcdefg"]
        );
        assert_eq!(lines(&text[..], 99), ["ab", "", "abcdefgh", "c", "abcdefg"]);
        assert_eq!(lines(&b""[..], 99), [""; 0]);
        let long = [b"x".repeat(300_000), b"\ny".to_vec()].concat();
        assert_eq!(lines(&long[..], 400_000)[1], "y");
    }
}
