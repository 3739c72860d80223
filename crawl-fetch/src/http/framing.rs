//! Where the parts of an HTTP/1.1 answer begin and end, and the same in the plain form that ureq
//! reads: a plain head ([`plain_head`]), no interim answers, chunks without extensions and trailers,
//! every line ended by CRLF (RFC 9112, 2.2, 5.2, 7.1; RFC 9110, 15.2).
//!
//! Nearly all answers are plain already. A look finds that out at the cost of a walk over the
//! lines of the head and of the chunks, and copies nothing.

use memchr::memchr;

use crate::http::plain_head;

/// A chunk's line is at most so long, extensions included.
const MAX_CHUNK_LINE: usize = 16 << 10;

/// So many bytes of a chunk's line are read without fail.
const PLAIN_CHUNK_LINE: usize = 18;

/// Which part of the answer comes next.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Head,
    /// The line before a chunk.
    Size,
    /// So much of a chunk.
    Data(u64),
    /// The end of the line behind a chunk.
    DataEnd,
    /// Lines behind the last chunk.
    Trailer,
    /// Everything else is as it is.
    Rest,
}

/// Follows one answer after the other.
#[derive(Debug, Default)]
pub struct Framing {
    phase: Phase,
    /// The line, or the head, that is not complete yet.
    open: Vec<u8>,
}

/// What a look at new bytes found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// All are plain.
    Plain,
    /// From this many bytes before the end of the input on they are not.
    Odd(usize),
}

impl Framing {
    /// The next answer is to come.
    pub fn begin(&mut self) {
        self.phase = Phase::Head;
        self.open.clear();
    }

    /// Nothing that is still to come of this answer is changed.
    pub fn is_at_rest(&self) -> bool {
        self.phase == Phase::Rest && self.open.is_empty()
    }

    /// Looks at bytes that came. What was incomplete before them is still with the reader, which
    /// takes lines and heads as a whole.
    pub fn look(&mut self, new: &[u8]) -> Look {
        let is_new = self.phase == Phase::Head && self.open.is_empty();
        if is_new && plain_head::is_simple(new) {
            self.phase = Phase::Rest;
        }
        if self.phase == Phase::Rest {
            return Look::Plain;
        }
        let mut rest = new;
        while !rest.is_empty() {
            match self.phase {
                Phase::Rest => return Look::Plain,
                Phase::Data(left) => {
                    let taken = left.min(rest.len() as u64);
                    self.phase = match left - taken {
                        0 => Phase::DataEnd,
                        left => Phase::Data(left),
                    };
                    rest = &rest[taken as usize..];
                }
                Phase::Head | Phase::Size | Phase::DataEnd | Phase::Trailer => {
                    let before = self.open.len();
                    let end = self.take_line(rest);
                    if self.phase == Phase::Head && !plain_head::may_be(&self.open) {
                        // TLS, where this is the connection to a proxy.
                        self.phase = Phase::Rest;
                        self.open.clear();
                        return Look::Plain;
                    }
                    let Some(end) = end else {
                        return if self.is_odd_so_far() {
                            Look::Odd(before + rest.len())
                        } else {
                            Look::Plain
                        };
                    };
                    if self.is_odd_so_far() || !self.step() {
                        return Look::Odd(before + rest.len());
                    }
                    rest = &rest[end..];
                }
            }
        }
        Look::Plain
    }

    /// Adds to the open line up to its end; for a head that is the end of the whole head.
    fn take_line(&mut self, rest: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(step) = memchr(b'\n', &rest[at..]) {
            self.open.extend_from_slice(&rest[at..at + step + 1]);
            at += step + 1;
            if self.phase != Phase::Head || plain_head::is_whole(&self.open) {
                return Some(at);
            }
        }
        self.open.extend_from_slice(&rest[at..]);
        None
    }

    /// The reader would fail at what is there of the line or head.
    fn is_odd_so_far(&self) -> bool {
        match self.phase {
            Phase::Head => plain_head::is_interim(&self.open) || plain_head::is_odd(&self.open),
            Phase::Size => self.open.len() > PLAIN_CHUNK_LINE,
            // What is behind the last chunk is dropped as it comes.
            Phase::Trailer => self.open.len() > 2 || self.open == b"\n",
            _ => false,
        }
    }

    /// Goes on behind a complete line or head; false when the reader cannot.
    fn step(&mut self) -> bool {
        let is_plain = self.phase == Phase::Head || self.open.ends_with(b"\r\n");
        if !is_plain {
            return false;
        }
        self.phase = self.next();
        self.open.clear();
        true
    }

    /// The part behind the one that is complete.
    fn next(&self) -> Phase {
        match self.phase {
            Phase::Head if plain_head::is_chunked(&self.open) => Phase::Size,
            Phase::Size => match chunk_size(&self.open) {
                Some(0) => Phase::Trailer,
                Some(size) => Phase::Data(size),
                None => Phase::Rest,
            },
            Phase::DataEnd if self.open.trim_ascii().is_empty() => Phase::Size,
            _ => Phase::Rest,
        }
    }

    /// Begins to write the answer plain, from where a look found something odd: what was
    /// incomplete there comes again.
    pub fn restart(&mut self) {
        self.open.clear();
    }

    /// Writes bytes that came in plain form.
    pub fn write(&mut self, new: &[u8], out: &mut Vec<u8>) {
        let mut rest = new;
        while !rest.is_empty() {
            match self.phase {
                Phase::Rest => {
                    out.extend_from_slice(rest);
                    return;
                }
                Phase::Data(left) => {
                    let taken = left.min(rest.len() as u64) as usize;
                    out.extend_from_slice(&rest[..taken]);
                    self.phase = match left - taken as u64 {
                        0 => Phase::DataEnd,
                        left => Phase::Data(left),
                    };
                    rest = &rest[taken..];
                }
                Phase::Head | Phase::Size | Phase::DataEnd | Phase::Trailer => {
                    let Some(end) = self.take_line(rest) else {
                        let most = if self.phase == Phase::Head {
                            plain_head::MAX_HEAD
                        } else {
                            MAX_CHUNK_LINE
                        };
                        if self.open.len() > most {
                            self.give_up(out);
                        }
                        return;
                    };
                    self.write_line(out);
                    rest = &rest[end..];
                }
            }
        }
    }

    /// Writes what is left as it is: the connection ended, or the reader is to refuse it.
    pub fn give_up(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.open);
        self.phase = Phase::Rest;
    }

    fn write_line(&mut self, out: &mut Vec<u8>) {
        let next = self.next();
        match self.phase {
            Phase::Head if plain_head::is_interim(&self.open) => {
                self.begin();
                return;
            }
            Phase::Head => plain_head::write(&self.open, out),
            Phase::Size => match chunk_size(&self.open) {
                Some(size) => out.extend_from_slice(format!("{size:x}\r\n").as_bytes()),
                None => return self.give_up(out),
            },
            Phase::DataEnd if next == Phase::Size => out.extend_from_slice(b"\r\n"),
            Phase::Trailer if !self.open.trim_ascii().is_empty() => {
                self.open.clear();
                return;
            }
            Phase::Trailer => out.extend_from_slice(b"\r\n"),
            _ => return self.give_up(out),
        }
        self.phase = next;
        self.open.clear();
    }
}

/// The size in a chunk's line, without extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a connection does: looks until something is odd, then writes.
    fn plain(answer: &[u8], step: usize) -> (Vec<u8>, bool) {
        let mut framing = Framing::default();
        let (mut kept, mut out, mut odd) = (Vec::new(), Vec::new(), false);
        for piece in answer.chunks(step) {
            if odd {
                framing.write(piece, &mut out);
                continue;
            }
            kept.extend_from_slice(piece);
            if let Look::Odd(back) = framing.look(piece) {
                let from = kept.len() - back;
                let again = kept.split_off(from);
                framing.restart();
                framing.write(&again, &mut out);
                odd = true;
            }
        }
        framing.give_up(&mut out);
        ([kept, out].concat(), odd)
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn odd_answers_become_plain_however_they_arrive() {
        let long = format!(
            "{HEAD}3;{}\r\nabc\r\n0;x\r\nA: b\r\nC: d\r\n\r\n",
            "x".repeat(3000)
        );
        for (odd, plain_form) in [
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\t d\r\nB:\r\n e\r\n\r\nbody",
                "HTTP/1.1 200 OK\r\nA: b c d\r\nB: e\r\n\r\nbody",
            ),
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n \r\nB: e\r\n\r\n",
                "HTTP/1.1 200 OK\r\nA: b\r\nB: e\r\n\r\n",
            ),
            (
                "HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 103 Early\n\nHTTP/1.1 404 No\r\n\r\nx\n y",
                "HTTP/1.1 404 No\r\n\r\nx\n y",
            ),
            (long.as_str(), &format!("{HEAD}3\r\nabc\r\n0\r\n\r\n")),
            (
                "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, Chunked\n\n3\nabc\n0\nT: x\n\n",
                "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, Chunked\n\n3\r\nabc\r\n0\r\n\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n2\nab\n0\n\n",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            ),
            (
                &format!("{HEAD}2\r\nab\r\nnonsense of many bytes\r\n"),
                &format!("{HEAD}2\r\nab\r\nnonsense of many bytes\r\n"),
            ),
        ] {
            for step in [1, 2, 3, 7, 10_000] {
                let (got, _) = plain(odd.as_bytes(), step);
                assert_eq!(
                    String::from_utf8_lossy(&got),
                    plain_form,
                    "in steps of {step}"
                );
            }
        }
    }

    #[test]
    fn plain_answers_are_left_alone() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n \n a",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;what is this, a chunk?\n",
            "HTTP/1.1 101 Switching\r\n\r\n\n \n",
            "\x16\x03\x03\0\x7a\n \n\n : \x01",
            "HTwhat\n \n\n : \x01",
            &format!("{HEAD}00000004\r\n\n a \r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"),
            &format!("{HEAD}3\r\nabcd\r\n"),
        ] {
            for step in [1, 2, 5, 10_000] {
                let (got, odd) = plain(answer.as_bytes(), step);
                assert_eq!(got, answer.as_bytes());
                assert!(!odd || answer.ends_with("abcd\r\n"), "{answer}");
            }
        }
    }
}
