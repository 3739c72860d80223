//! Lists as Windows writes them: a byte order mark before UTF-8 is no part of the first line,
//! and UTF-16 is refused by its name, rather than line by line.

use std::io::{self, Read};

const UTF_8: &[u8] = b"\xef\xbb\xbf";
const UTF_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

/// A reader without the mark at its beginning.
#[derive(Debug)]
pub struct Unmarked<R> {
    reader: R,
    /// What was read to look for the mark, and is to be given out first.
    begin: Vec<u8>,
    given: usize,
    looked: bool,
}

impl<R: Read> Unmarked<R> {
    /// Nothing is read yet.
    pub fn new(reader: R) -> Unmarked<R> {
        Unmarked {
            reader,
            begin: Vec::new(),
            given: 0,
            looked: false,
        }
    }

    /// Reads as far as a mark may still be there, and no further: a pipe may give no more.
    fn look(&mut self) -> io::Result<()> {
        let may_be = |begin: &[u8]| {
            let marks = [UTF_8, UTF_16[0], UTF_16[1]];
            marks
                .iter()
                .any(|mark| mark.len() > begin.len() && mark.starts_with(begin))
        };
        while may_be(&self.begin) {
            let mut byte = [0];
            if self.reader.read(&mut byte)? == 0 {
                break;
            }
            self.begin.push(byte[0]);
        }
        self.looked = true;
        if UTF_16.contains(&self.begin.as_slice()) {
            let why = "it is UTF-16: write it as UTF-8";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        if self.begin == UTF_8 {
            self.begin.clear();
        }
        Ok(())
    }
}

impl<R: Read> Read for Unmarked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.looked {
            self.look()?;
        }
        let left = &self.begin[self.given..];
        if left.is_empty() {
            return self.reader.read(into);
        }
        let amount = left.len().min(into.len());
        into[..amount].copy_from_slice(&left[..amount]);
        self.given += amount;
        Ok(amount)
    }
}

/// All of a list or of a spider file, as text.
///
/// # Errors
/// Errors of the reader; UTF-16, and a line that is not UTF-8, as [`io::ErrorKind::InvalidData`].
pub fn read_text(reader: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    Unmarked::new(reader).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let why = format!("line {line} is not UTF-8");
        io::Error::new(io::ErrorKind::InvalidData, why)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        // In pieces, as a pipe gives them.
        let (a, b) = bytes.split_at(bytes.len().min(1));
        Unmarked::new(a.chain(b)).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn a_mark_is_taken_off_and_nothing_else() {
        for text in [
            &b""[..],
            b"http://a/\n",
            b"\xef",
            b"\xef\xbb",
            b"\xef\xbbx",
            b"\xff",
            b"\xfe\xfe",
        ] {
            assert_eq!(read(text).unwrap(), text);
            let marked = [UTF_8, text].concat();
            assert_eq!(read(&marked).unwrap(), text);
        }
        for mark in UTF_16 {
            let error = read(&[mark, b"h\0"].concat()).unwrap_err();
            assert!(error.to_string().contains("UTF-16"), "{error}");
        }
    }

    #[test]
    fn a_text_says_which_line_is_none() {
        assert_eq!(read_text(&b"\xef\xbb\xbf{}"[..]).unwrap(), "{}");
        let error = read_text(&b"a\nb\xfc\n"[..]).unwrap_err();
        assert_eq!(error.to_string(), "line 2 is not UTF-8");
    }
}
