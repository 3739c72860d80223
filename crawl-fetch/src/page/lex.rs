//! The parts of HTML's markup, as places in the page: where a tag, an attribute, a comment or raw
//! text ends.

use crawl_ckpt::limits::BODY_BYTES;
use memchr::{memchr, memchr2};

use crate::page::find::{find, find_either};

/// A part of the page, as byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn new(start: usize, end: usize) -> Span {
        // Pages are at most `MAX_PAGE_BYTES` long.
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// Its first bytes, which must not be more than it has.
    pub fn first(&self, bytes: usize) -> Span {
        Span::new(self.start as usize, self.start as usize + bytes)
    }

    /// The part of the page that it stands for.
    pub fn of<'h>(&self, html: &'h [u8]) -> &'h [u8] {
        &html[self.start as usize..self.end as usize]
    }
}

/// The longest page that can be scanned, since offsets have 32 bits.
pub const MAX_PAGE_BYTES: usize = u32::MAX as usize;

// Decoding to UTF-8 can make a page three times as long.
const _: () = assert!(*BODY_BYTES.within.end() * 3 < MAX_PAGE_BYTES);

/// True for what ends a tag name.
#[inline]
pub fn ends_name(byte: u8) -> bool {
    matches!(byte, b'>' | b' ' | b'\n' | b'/' | b'\t' | b'\r' | b'\x0c')
}

#[inline]
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c')
}

pub fn skip_spaces(html: &[u8], at: usize) -> usize {
    let rest = html.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| is_space(**byte)).count()
}

/// From the end of a tag's name, or of an attribute, to behind its `>`; over the
/// page's end when the tag is never closed, which makes it no tag.
///
/// Only `=` and `>` matter: between them is nothing that could hide a `>`, and
/// behind a `=` that ends an attribute's name there may be a quoted value.
#[inline]
pub fn skip_tag(html: &[u8], mut at: usize) -> usize {
    if html.get(at) == Some(&b'>') {
        return at + 1;
    }
    let mut from = at;
    loop {
        let Some(end) = find_either(html, at, b'>', b'=') else {
            return html.len() + 1;
        };
        at = end + 1;
        if html[end] == b'>' {
            return at;
        }
        // A `=` where a name should begin is a part of that name.
        let before = &html[from..at - 1];
        match before.iter().rev().find(|byte| !is_space(**byte)) {
            None | Some(b'/') => continue,
            Some(_) => {}
        }
        let (_, end) = value(html, at);
        at = end;
        from = end;
    }
}

/// The attribute value behind a `=`, and where the scan goes on; over the page's
/// end when a quote is never closed.
#[inline(always)]
fn value(html: &[u8], at: usize) -> (Span, usize) {
    let at = skip_spaces(html, at);
    match html.get(at) {
        Some(quote @ (b'"' | b'\'')) => match find(html, at + 1, *quote) {
            Some(end) => (Span::new(at + 1, end), end + 1),
            None => (Span::new(at, at), html.len() + 1),
        },
        _ => {
            let rest = html.get(at..).unwrap_or_default();
            let end = |byte: &u8| is_space(*byte) || *byte == b'>';
            let end = at + rest.iter().position(end).unwrap_or(rest.len());
            (Span::new(at, end), end)
        }
    }
}

/// The attributes of a tag, one by one.
pub struct TagAttributes<'h> {
    html: &'h [u8],
    at: usize,
    /// True when `at` is behind the tag's `>`.
    closed: bool,
}

impl<'h> TagAttributes<'h> {
    pub fn new(html: &'h [u8], at: usize) -> TagAttributes<'h> {
        TagAttributes {
            html,
            at,
            closed: false,
        }
    }

    /// The next name and value; the value of an attribute without one is empty.
    #[inline]
    pub fn next(&mut self) -> Option<(Span, Span)> {
        let html = self.html;
        let mut at = self.at;
        while let Some(&byte) = html.get(at) {
            if !is_space(byte) && byte != b'/' {
                break;
            }
            at += 1;
        }
        let start = at;
        match html.get(at) {
            None => {
                self.at = html.len() + 1;
                return None;
            }
            Some(b'>') => {
                self.at = at + 1;
                self.closed = true;
                return None;
            }
            Some(_) => at += 1,
        }
        while let Some(&byte) = html.get(at) {
            if byte == b'=' || ends_name(byte) {
                break;
            }
            at += 1;
        }
        let name = Span::new(start, at);
        let behind = skip_spaces(html, at);
        if html.get(behind) == Some(&b'=') {
            let (value, end) = value(html, behind + 1);
            self.at = end;
            Some((name, value))
        } else {
            self.at = behind;
            Some((name, Span::new(at, at)))
        }
    }

    /// Behind the tag's `>`, or over the page's end.
    pub fn end(&self) -> usize {
        if self.closed {
            self.at
        } else {
            skip_tag(self.html, self.at)
        }
    }
}

/// Where a comment ends whose text begins at `start`.
pub fn comment_end(html: &[u8], start: usize) -> usize {
    if html[start..].starts_with(b">") {
        return start + 1;
    }
    if html[start..].starts_with(b"->") {
        return start + 2;
    }
    let mut at = start;
    while let Some(step) = memchr(b'>', &html[at..]) {
        let text = &html[start..at + step];
        at += step + 1;
        if text.ends_with(b"--") || text.ends_with(b"--!") {
            return at;
        }
    }
    html.len()
}

/// Where the text ends of a comment that begins at `start` and ends at `end`, with its own end or the
/// page's.
pub fn comment_text_end(html: &[u8], start: usize, end: usize) -> usize {
    let text = &html[start..end];
    if matches!(text, b">" | b"->") {
        return start;
    }
    let ends = [&b"-->"[..], b"--!>", b"--!", b"--", b"-"];
    let behind = ends.iter().find(|behind| text.ends_with(behind));
    end - behind.map_or(0, |behind| behind.len())
}

/// Where raw text ends: at the `<` of the end tag of this name, or with the page.
pub fn text_end(html: &[u8], mut at: usize, name: &[u8]) -> usize {
    while let Some(step) = memchr(b'<', &html[at..]) {
        at += step;
        if is_end_tag(&html[at + 1..], name) {
            return at;
        }
        at += 1;
    }
    html.len()
}

pub fn is_end_tag(rest: &[u8], name: &[u8]) -> bool {
    rest.first() == Some(&b'/') && is_tag(&rest[1..], name)
}

pub fn is_tag(rest: &[u8], name: &[u8]) -> bool {
    rest.len() > name.len()
        && rest[..name.len()].eq_ignore_ascii_case(name)
        && ends_name(rest[name.len()])
}

/// Where a script ends. Inside `<!--` ... `-->`, a `<script` makes its own end
/// tag a part of the text ("script data double escaped").
pub fn script_end(html: &[u8], mut at: usize) -> usize {
    #[derive(PartialEq)]
    enum Escape {
        Plain,
        Escaped,
        Doubled,
    }
    let mut state = Escape::Plain;
    loop {
        let rest = html.get(at..).unwrap_or_default();
        let step = match state {
            Escape::Plain => memchr(b'<', rest),
            _ => memchr2(b'<', b'-', rest),
        };
        let Some(step) = step else {
            return html.len();
        };
        at += step;
        let rest = &html[at..];
        if rest[0] == b'-' {
            if rest.starts_with(b"-->") {
                state = Escape::Plain;
                at += 2;
            }
        } else if is_end_tag(&rest[1..], b"script") {
            if state != Escape::Doubled {
                return at;
            }
            state = Escape::Escaped;
        } else if state == Escape::Plain && rest.starts_with(b"<!--") {
            state = Escape::Escaped;
            // The dashes may be the first of the `-->` that ends it.
            at += 1;
        } else if state == Escape::Escaped && is_tag(&rest[1..], b"script") {
            state = Escape::Doubled;
        }
        at += 1;
    }
}
