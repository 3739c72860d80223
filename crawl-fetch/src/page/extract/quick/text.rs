//! Texts and comments.

use super::builder::{Builder, Flow, Mode, ON};
use crate::page::extract::attributes::is_space;
use crate::page::extract::dom::{Kind, Node, Space};
use crate::page::extract::names::Name;
use crate::page::extract::sets::takes_html;

impl Builder<'_, '_> {
    #[inline]
    pub(super) fn text(&mut self, mut start: usize, end: usize) -> Flow {
        if start >= end {
            return ON;
        }
        if std::mem::take(&mut self.skip_newline) {
            start = self.behind_newline(start)?;
        }
        let raw = &self.html[start..end];
        let current = self.current();
        if !takes_html(current.space, current.name) {
            self.append_text(Kind::Text, start, end);
            return ON;
        }
        match self.mode {
            Mode::InBody | Mode::InCell | Mode::InCaption => {
                if self.after_body {
                    let words = raw.trim_ascii_start();
                    if begins_with_reference_to_blank(words) {
                        self.unusual()?;
                    }
                    self.after_body = words.is_empty();
                }
                self.reconstruct()?;
                self.append_text(Kind::Text, start, end);
                ON
            }
            _ => self.text_elsewhere(start, end),
        }
    }

    #[cold]
    fn text_elsewhere(&mut self, start: usize, end: usize) -> Flow {
        let raw = &self.html[start..end];
        let blank = raw.iter().position(|byte| !is_space(*byte));
        let words = start + blank.unwrap_or(raw.len());
        if matches!(self.mode, Mode::InTable | Mode::InTableBody | Mode::InRow) {
            if words < end {
                self.unusual()?;
            }
            self.append_text(Kind::Text, start, end);
            return ON;
        }
        if !matches!(
            self.mode,
            Mode::Initial | Mode::BeforeHtml | Mode::BeforeHead
        ) {
            self.append_text(Kind::Text, start, words);
        }
        if words == end {
            return ON;
        }
        if begins_with_reference_to_blank(&self.html[words..end]) {
            self.unusual()?;
        }
        if self.mode == Mode::InColumnGroup {
            self.pop();
            self.mode = Mode::InTable;
            return self.text(words, end);
        }
        self.reach_body()?;
        self.text(words, end)
    }

    #[inline]
    pub(super) fn append_text(&mut self, kind: Kind, start: usize, end: usize) {
        if start < end {
            let parent = self.current().id;
            let node = Node::new(kind, Name::default(), Space::Html, start, end);
            self.tree.add(parent, node);
        }
    }

    /// A comment, by where its text stands.
    pub(super) fn comment(&mut self, start: usize, end: usize) {
        self.skip_newline = false;
        let current = self.current();
        let is_outside = self.after_body && current.space == Space::Html;
        if is_outside
            || matches!(
                self.mode,
                Mode::Initial | Mode::BeforeHtml | Mode::BeforeHead
            )
        {
            return;
        }
        let node = Node::new(Kind::Comment, Name::default(), Space::Html, start, end);
        self.tree.add(current.id, node);
    }
}

/// True when a text may begin with white space by its number or name.
fn begins_with_reference_to_blank(text: &[u8]) -> bool {
    [&b"&#"[..], b"&Tab;", b"&NewLine;"]
        .iter()
        .any(|reference| text.starts_with(reference))
}
