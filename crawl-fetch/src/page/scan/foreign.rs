//! Foreign content: inside `svg` and `math` no tag begins raw text.

use super::*;
use super::{Content, MATH, MAX_FOREIGN, SVG, Scanner};
use crate::page::lex::{Span, TagAttributes, skip_tag};

impl Scanner<'_, '_> {
    /// What is nested deeper counts as what it is in: end tags look through all that is open.
    fn open(&mut self, content: Content) {
        if self.foreign.len() < MAX_FOREIGN {
            self.foreign.push(content);
        }
    }

    pub(super) fn enter(&mut self, key: u64, name_end: usize) -> usize {
        let end = skip_tag(self.html, name_end);
        if end <= self.html.len() && !self.html[..end].ends_with(b"/>") {
            self.open(match key {
                SVG => Content::Svg,
                _ => Content::Math,
            });
        }
        end
    }

    #[cold]
    pub(super) fn start_tag_near_foreign(&mut self, at: usize, name_end: usize, key: u64) -> usize {
        let name = self.html[at..name_end].to_ascii_lowercase();
        let name = name.as_slice();
        let content = match self.foreign.last() {
            Some(content) if !breaks_out(name) => *content,
            _ => {
                // An HTML tag ends foreign content up to the integration point.
                while matches!(self.foreign.last(), Some(Content::Svg | Content::Math)) {
                    self.foreign.pop();
                }
                Content::Html
            }
        };
        let integrates = match content {
            Content::Html if self.foreign.is_empty() => return self.start_tag(at),
            Content::Html => false,
            Content::Svg => matches!(name, b"foreignobject" | b"desc" | b"title"),
            Content::Math => {
                matches!(name, b"mi" | b"mo" | b"mn" | b"ms" | b"mtext")
                    || (name == b"annotation-xml" && self.says_html(name_end))
            }
        };
        match key {
            // Of the elements that link, SVG has `a`, and the others are HTML's alone.
            A => self.linking_tag(key, name_end),
            AREA | BASE | LINK | META if content == Content::Html => {
                self.linking_tag(key, name_end)
            }
            SVG | MATH => self.enter(key, name_end),
            TITLE | SCRIPT | STYLE | XMP | IFRAME | NOEMBED | TEXTAREA | NOFRAMES | PLAINTEXT
            | TEMPLATE
                if content == Content::Html =>
            {
                self.raw_text(key, at, name_end)
            }
            _ => {
                let end = skip_tag(self.html, name_end);
                if integrates && end <= self.html.len() && !self.html[..end].ends_with(b"/>") {
                    self.open(Content::Html);
                }
                end
            }
        }
    }

    /// An annotation of MathML that is HTML, by its own word.
    fn says_html(&self, name_end: usize) -> bool {
        let mut attributes = TagAttributes::new(self.html, name_end);
        let is_encoding = |name: &Span| name.of(self.html).eq_ignore_ascii_case(b"encoding");
        let value = std::iter::from_fn(|| attributes.next()).find(|(name, _)| is_encoding(name));
        value.is_some_and(|(_, value)| {
            let value = value.of(self.html);
            value.eq_ignore_ascii_case(b"text/html")
                || value.eq_ignore_ascii_case(b"application/xhtml+xml")
        })
    }

    #[cold]
    pub(super) fn leave(&mut self, key: u64, name: &[u8]) {
        let leaves = match key {
            SVG => Content::Svg,
            MATH => Content::Math,
            _ => {
                let points: [&[u8]; 9] = [
                    b"annotation-xml",
                    b"foreignobject",
                    b"desc",
                    b"title",
                    b"mi",
                    b"mo",
                    b"mn",
                    b"ms",
                    b"mtext",
                ];
                if self.foreign.last() == Some(&Content::Html)
                    && points.iter().any(|point| name.eq_ignore_ascii_case(point))
                {
                    self.foreign.pop();
                }
                return;
            }
        };
        if let Some(depth) = self.foreign.iter().rposition(|open| *open == leaves) {
            self.foreign.truncate(depth);
        }
    }
}

/// The start tags that end foreign content (HTML standard, 13.2.6.5).
fn breaks_out(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 43] = [
        b"b",
        b"big",
        b"blockquote",
        b"body",
        b"br",
        b"center",
        b"code",
        b"dd",
        b"div",
        b"dl",
        b"dt",
        b"em",
        b"embed",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"head",
        b"hr",
        b"i",
        b"img",
        b"li",
        b"listing",
        b"menu",
        b"meta",
        b"nobr",
        b"ol",
        b"p",
        b"pre",
        b"ruby",
        b"s",
        b"small",
        b"span",
        b"strong",
        b"strike",
        b"sub",
        b"sup",
        b"table",
        b"tt",
        b"u",
        b"ul",
    ];
    NAMES.contains(&name) || name == b"var"
}
