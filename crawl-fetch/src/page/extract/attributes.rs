//! The attributes in a tag, read where they stand, and text as people see it.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter};

/// The attributes of a tag, names and values as they are written.
#[derive(Debug, Clone)]
pub struct Attributes<'h> {
    rest: &'h [u8],
}

impl<'h> Attributes<'h> {
    /// Of the text between a tag's name and its `>`.
    pub fn new(text: &'h [u8]) -> Attributes<'h> {
        Attributes { rest: text }
    }
}

/// What parts attributes.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c')
}

impl<'h> Iterator for Attributes<'h> {
    type Item = (&'h [u8], &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let skip = |text: &'h [u8], slashes: bool| {
            let blank = |byte: &u8| is_space(*byte) || (slashes && *byte == b'/');
            let start = text.iter().position(|byte| !blank(byte));
            &text[start.unwrap_or(text.len())..]
        };
        let text = skip(self.rest, true);
        if text.is_empty() {
            return None;
        }
        // A `=` at the start is the name's first character.
        let ends = |byte: &u8| is_space(*byte) || matches!(byte, b'/' | b'>' | b'=');
        let name_end = text[1..].iter().position(ends);
        let (name, rest) = text.split_at(name_end.map_or(text.len(), |end| end + 1));
        let behind = skip(rest, false);
        let Some(value) = behind.strip_prefix(b"=") else {
            self.rest = rest;
            return Some((name, b""));
        };
        let value = skip(value, false);
        let (value, rest) = match value.first() {
            Some(quote @ (b'"' | b'\'')) => {
                let value = &value[1..];
                match memchr(*quote, value) {
                    Some(end) => (&value[..end], &value[end + 1..]),
                    None => (value, &b""[..]),
                }
            }
            _ => {
                let end = value
                    .iter()
                    .position(|byte| is_space(*byte) || *byte == b'>');
                value.split_at(end.unwrap_or(value.len()))
            }
        };
        self.rest = rest;
        Some((name, value))
    }
}

/// An attribute's value as text.
pub fn decoded(value: &[u8]) -> Cow<'_, str> {
    let text = plain(value, "\u{fffd}");
    if memchr(b'&', value).is_none() {
        return text;
    }
    match text {
        Cow::Borrowed(text) => htmlize::unescape_attribute(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape_attribute(&text).into_owned()),
    }
}

/// Text between tags. A NUL is left out in HTML and replaced in other vocabularies
/// and in raw text.
pub fn text_of(raw: &[u8], verbatim: bool, foreign: bool) -> Cow<'_, str> {
    let text = plain(raw, if verbatim || foreign { "\u{fffd}" } else { "" });
    if verbatim || memchr(b'&', raw).is_none() {
        return text;
    }
    match text {
        Cow::Borrowed(text) => htmlize::unescape(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape(&text).into_owned()),
    }
}

/// Line ends as one character, and something for a NUL.
fn plain<'t>(raw: &'t [u8], nul: &str) -> Cow<'t, str> {
    let mut text = String::from_utf8_lossy(raw);
    if memchr(b'\r', raw).is_some() {
        text = Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"));
    }
    if memchr_iter(0, raw).next().is_some() {
        text = Cow::Owned(text.replace('\0', nul));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(String, String)> {
        let text_of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Attributes::new(text.as_bytes())
            .map(|(name, value)| (text_of(name), text_of(value)))
            .collect()
    }

    #[test]
    fn attributes_are_read_however_they_are_written() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            all(" a=1 B = '2' c=\"3 4\"d /e/ =f=5 g= h"),
            [
                pair("a", "1"),
                pair("B", "2"),
                pair("c", "3 4"),
                pair("d", ""),
                pair("e", ""),
                pair("=f", "5"),
                pair("g", "h"),
            ]
        );
        assert_eq!(all(" / "), []);
    }

    #[test]
    fn text_is_decoded_as_a_browser_does() {
        assert_eq!(decoded(b"a&amp;b&copy=1\r\n\0"), "a&b&copy=1\n\u{fffd}");
        assert_eq!(text_of(b"a&lt;b\r\0", false, false), "a<b\n");
        assert_eq!(text_of(b"a&lt;b\0", true, false), "a&lt;b\u{fffd}");
    }
}
