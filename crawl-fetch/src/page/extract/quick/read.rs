//! From bytes to tags, texts and comments.

use std::ops::ControlFlow;

use memchr::{memchr, memmem};

use super::builder::{Builder, Flow, Mode, Tag};
use crate::page::extract::attributes::Attributes;
use crate::page::extract::dom::{Kind, Node, Space};
use crate::page::extract::markup::is_void;
use crate::page::extract::names::Name;
use crate::page::extract::sets::{is_raw, takes_html};
use crate::page::lex::{comment_end, comment_text_end, script_end, skip_tag, text_end};

/// A tag is looked at for its number of attributes when it is longer.
const LONG_TAG_BYTES: usize = 1 << 10;

impl Builder<'_, '_> {
    pub(super) fn read(&mut self) -> Flow {
        let html = self.html;
        if memchr(0, html).is_some() {
            self.unusual()?;
        }
        let (mut text, mut at) = (0, 0);
        while let Some(tag) = self.marks.find(html, at) {
            let next = html.get(tag + 1).copied().unwrap_or_default();
            let behind = html.get(tag + 2).copied();
            let is_markup = match next {
                b'/' => behind.is_some(),
                byte => matches!(byte, b'!' | b'?') || byte.is_ascii_alphabetic(),
            };
            if !is_markup {
                at = tag + 1;
                continue;
            }
            self.text(text, tag)?;
            let next = match (next, behind) {
                (b'/', Some(byte)) if byte.is_ascii_alphabetic() => {
                    match self.close_innermost(tag + 2) {
                        Some(next) => next,
                        None => self.end_tag(tag + 2)?,
                    }
                }
                (b'/', Some(b'>')) => tag + 3,
                (b'/', _) => self.bogus_comment(tag + 2),
                (b'!', _) => self.declaration(tag + 2)?,
                (b'?', _) => self.bogus_comment(tag + 1),
                _ => self.start_tag(tag + 1)?,
            };
            if next > html.len() {
                // A tag that does not end is left out.
                text = html.len();
                break;
            }
            (text, at) = (next, next);
        }
        self.text(text, html.len())?;
        if !self.templates.is_empty() {
            self.unusual()?;
        }
        // Every page has a head and a body.
        self.reach_body()
    }

    fn after(&self, at: usize) -> usize {
        memchr(b'>', &self.html[at..]).map_or(self.html.len(), |step| at + step + 1)
    }

    /// What counts as a comment up to the next `>`; returns where the page goes on.
    fn bogus_comment(&mut self, start: usize) -> usize {
        let close = memchr(b'>', &self.html[start..]).map(|step| start + step);
        let end = close.unwrap_or(self.html.len());
        self.comment(start, end);
        close.map_or(end, |close| close + 1)
    }

    fn declaration(&mut self, at: usize) -> ControlFlow<(), usize> {
        let html = self.html;
        let rest = &html[at..];
        if rest.starts_with(b"--") {
            let (start, end) = (at + 2, comment_end(html, at + 2));
            self.comment(start, comment_text_end(html, start, end));
            return ControlFlow::Continue(end);
        }
        let foreign = self
            .open
            .last()
            .is_some_and(|open| open.space != Space::Html);
        if foreign && rest.starts_with(b"[CDATA[") {
            let end = memmem::find(rest, b"]]>").map_or(html.len(), |step| at + step);
            self.append_text(Kind::Verbatim, at + 7, end);
            return ControlFlow::Continue((end + 3).min(html.len()));
        }
        let end = self.after(at);
        if rest.len() >= 7 && rest[..7].eq_ignore_ascii_case(b"doctype") {
            self.skip_newline = false;
            if self.mode == Mode::Initial {
                self.mode = Mode::BeforeHtml;
                let name = rest[7..end - at].trim_ascii();
                let name = name.strip_suffix(b">").unwrap_or(name).trim_ascii();
                self.quirks = name.eq_ignore_ascii_case(b"html").then_some(false);
            }
        } else {
            return ControlFlow::Continue(self.bogus_comment(at));
        }
        ControlFlow::Continue(end)
    }

    fn start_tag(&mut self, at: usize) -> ControlFlow<(), usize> {
        let (name, name_end) = self.tree.names.read(self.html, at);
        let end = match self.marks.next(at - 1) {
            // Behind a tag whose contents are no markup the scan passed these too.
            Some(next) if !is_raw(name) => next,
            _ => skip_tag(self.html, name_end),
        };
        debug_assert_eq!(end, skip_tag(self.html, name_end));
        if end > self.html.len() {
            return ControlFlow::Continue(end);
        }
        let tag = Tag {
            name,
            start: name_end,
            end: end - 1,
        };
        if end - name_end > LONG_TAG_BYTES {
            self.count_attributes(tag);
        }
        if !self.may_go_on() {
            return ControlFlow::Continue(self.html.len() + 1);
        }
        self.skip_newline = false;
        let html_rules = match self.open.last() {
            Some(open) if open.space != Space::Html => {
                takes_html(open.space, open.name)
                    && !matches!(name, Name::MGLYPH | Name::MALIGNMARK)
            }
            _ => true,
        };
        if html_rules {
            if let Some(next) = self.start(tag)? {
                return ControlFlow::Continue(next);
            }
        } else {
            self.start_foreign(tag)?;
        }
        ControlFlow::Continue(end)
    }

    fn end_tag(&mut self, at: usize) -> ControlFlow<(), usize> {
        let (name, name_end) = self.tree.names.read(self.html, at);
        let end = match self.marks.next(at - 2) {
            Some(next) => next,
            None => skip_tag(self.html, name_end),
        };
        debug_assert_eq!(end, skip_tag(self.html, name_end));
        if end > self.html.len() {
            return ControlFlow::Continue(end);
        }
        if !self.may_go_on() {
            return ControlFlow::Continue(self.html.len() + 1);
        }
        self.skip_newline = false;
        if self.over > 0 && !is_void(name) {
            self.over -= 1;
            return ControlFlow::Continue(end);
        }
        match self.open.last() {
            Some(open) if open.space != Space::Html => self.end_foreign(name)?,
            _ => self.end(name)?,
        }
        ControlFlow::Continue(end)
    }

    /// An element whose content is no markup; returns where the page goes on.
    pub(super) fn raw(&mut self, tag: Tag) -> ControlFlow<(), usize> {
        let html = self.html;
        let start = tag.end + 1;
        let end = match tag.name {
            Name::SCRIPT => script_end(html, start),
            name => text_end(html, start, self.tree.names.text(name).as_bytes()),
        };
        let id = self.append(tag, Space::Html);
        let decoded = matches!(tag.name, Name::TITLE | Name::TEXTAREA);
        let kind = if decoded { Kind::Text } else { Kind::Verbatim };
        let newline = tag.name == Name::TEXTAREA;
        let start = if newline {
            self.behind_newline(start)?
        } else {
            start
        };
        if start < end {
            let node = Node::new(kind, Name::default(), Space::Html, start, end);
            self.tree.add(id, node);
        }
        ControlFlow::Continue(match html.get(end) {
            Some(_) => skip_tag(html, end + 2),
            None => html.len(),
        })
    }

    /// Behind the line end with which the text of some elements may begin without having one.
    pub(super) fn behind_newline(&mut self, at: usize) -> ControlFlow<(), usize> {
        let rest = &self.html[at..];
        if rest.starts_with(b"&#") || rest.starts_with(b"&NewLine;") {
            self.unusual()?;
        }
        ControlFlow::Continue(match rest {
            [b'\r', b'\n', ..] => at + 2,
            [b'\r' | b'\n', ..] => at + 1,
            _ => at,
        })
    }

    pub(super) fn attribute(&self, tag: Tag, name: &[u8]) -> Option<&[u8]> {
        let mut attributes = Attributes::new(&self.html[tag.start..tag.end]);
        attributes
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}
