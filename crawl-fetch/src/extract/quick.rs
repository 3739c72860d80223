//! Builds the tree of a page at the speed of a scanner: the HTML standard's tree
//! construction without what well-formed pages never need. Where a page does need it
//! (elements that overlap, text in a table's rows, frames), this gives up,
//! and the page is left to the complete builder.
//!
//! Three fields of /std/ of the Rust documentation (2,475 pages, 120 MB) take a core 0.3 s with
//! it, and 5.6 s with the complete builder alone, which makes strings of all names, attributes
//! and texts (`scripts/extract.rs`). A test compares the trees of both.

use std::ops::ControlFlow;

use memchr::{memchr, memmem};

use super::attributes::{Attributes, is_space};
use super::dom::{Id, Kind, MAX_DEPTH, NONE, Node, ROOT, Space, Tree};
use super::markup::is_void;
use super::names::Name;
use super::sets::*;
use crate::links::{script_end, skip_tag, text_end};
use crate::near::find;

/// What there is to know of a page that was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The page needs the complete builder.
    pub is_unusual: bool,
    /// The complete builder would take long for it: too much is open at once.
    pub is_deep: bool,
}

/// Builds the tree of a page. With `lenient`, what is unusual is made something of, and
/// the tree is whole in any case; without it, the tree of an unusual page is not.
pub fn parse(html: &[u8], tree: &mut Tree, lenient: bool) -> Outcome {
    tree.clear();
    let mut builder = Builder {
        html,
        tree,
        lenient,
        outcome: Outcome::default(),
        mode: Mode::BeforeHtml,
        open: Vec::new(),
        over: 0,
        paragraphs: 0,
        list: Vec::new(),
        templates: Vec::new(),
        head: NONE,
        form: NONE,
        quirks: Some(true),
        skip_newline: false,
        after_body: false,
    };
    // The end of the page, or what is unusual in it, ends the building.
    let _ = builder.read();
    builder.outcome
}

/// Goes on, or ends.
type Step = ControlFlow<()>;

const ON: Step = ControlFlow::Continue(());

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    BeforeHtml,
    BeforeHead,
    InHead,
    InHeadNoscript,
    AfterHead,
    InBody,
    InTable,
    InTableBody,
    InRow,
    InCell,
    InCaption,
    InColumnGroup,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
struct Open {
    id: Id,
    name: Name,
    space: Space,
}

impl Open {
    fn is(&self, name: Name) -> bool {
        self.name == name && self.space == Space::Html
    }

    fn bounds_scope(&self) -> bool {
        match self.space {
            Space::Html => bounds_scope(self.name),
            space => takes_html(space, self.name),
        }
    }
}

/// An entry in the list of active formatting elements; `id` is `NONE` for a marker.
#[derive(Debug, Clone, Copy)]
struct Active {
    id: Id,
    name: Name,
    is_open: bool,
}

/// A tag: its name and where its attributes are.
#[derive(Debug, Clone, Copy)]
struct Tag {
    name: Name,
    start: usize,
    end: usize,
}

/// Formatting elements that may be in the list before it takes long to open them all again.
const MAX_ACTIVE: usize = 64;

struct Builder<'h, 't> {
    html: &'h [u8],
    tree: &'t mut Tree,
    lenient: bool,
    outcome: Outcome,
    mode: Mode,
    open: Vec<Open>,
    /// How many elements are open beyond the deepest that the tree shows.
    over: usize,
    /// How many `p` are open.
    paragraphs: u32,
    list: Vec<Active>,
    /// The modes in which the open templates began.
    templates: Vec<Mode>,
    head: Id,
    form: Id,
    /// Whether the page is in quirks mode; `None`: only the complete builder knows.
    quirks: Option<bool>,
    skip_newline: bool,
    /// `</body>` was there, and nothing but blanks and comments since.
    after_body: bool,
}

/// From bytes to tags and texts.
impl Builder<'_, '_> {
    fn read(&mut self) -> Step {
        let html = self.html;
        if memchr(0, html).is_some() {
            self.unusual()?;
        }
        let (mut text, mut at) = (0, 0);
        while let Some(tag) = find(html, at, b'<') {
            let next = match html.get(tag + 1) {
                Some(byte) if byte.is_ascii_alphabetic() => {
                    self.text(text, tag)?;
                    self.start_tag(tag + 1)?
                }
                Some(b'/') => match html.get(tag + 2) {
                    Some(byte) if byte.is_ascii_alphabetic() => {
                        self.text(text, tag)?;
                        self.end_tag(tag + 2)?
                    }
                    Some(b'>') => {
                        self.text(text, tag)?;
                        tag + 3
                    }
                    Some(_) => {
                        self.text(text, tag)?;
                        self.comment();
                        self.after(tag + 2)
                    }
                    None => break,
                },
                Some(b'!') => {
                    self.text(text, tag)?;
                    self.declaration(tag + 2)?
                }
                Some(b'?') => {
                    self.text(text, tag)?;
                    self.comment();
                    self.after(tag + 1)
                }
                _ => {
                    at = tag + 1;
                    continue;
                }
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

    fn declaration(&mut self, at: usize) -> ControlFlow<(), usize> {
        let html = self.html;
        let rest = &html[at..];
        if rest.starts_with(b"--") {
            self.comment();
            return ControlFlow::Continue(crate::links::comment_end(html, at + 2));
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
            if self.mode == Mode::BeforeHtml {
                let name = rest[7..end - at].trim_ascii();
                let name = name.strip_suffix(b">").unwrap_or(name).trim_ascii();
                self.quirks = name.eq_ignore_ascii_case(b"html").then_some(false);
            }
        } else {
            self.comment();
        }
        ControlFlow::Continue(end)
    }

    fn start_tag(&mut self, at: usize) -> ControlFlow<(), usize> {
        let (name, name_end) = self.tree.names.read(self.html, at);
        let end = skip_tag(self.html, name_end);
        if end > self.html.len() {
            return ControlFlow::Continue(end);
        }
        let tag = Tag {
            name,
            start: name_end,
            end: end - 1,
        };
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
        let end = skip_tag(self.html, name_end);
        if end > self.html.len() {
            return ControlFlow::Continue(end);
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
    fn raw(&mut self, tag: Tag) -> usize {
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
            self.behind_newline(start)
        } else {
            start
        };
        if start < end {
            let node = Node::new(kind, Name::default(), Space::Html, start, end);
            let text = self.tree.push(node);
            self.tree.append(id, text);
        }
        match html.get(end) {
            Some(_) => skip_tag(html, end + 2),
            None => html.len(),
        }
    }

    fn behind_newline(&self, at: usize) -> usize {
        let rest = &self.html[at..];
        at + usize::from(rest.starts_with(b"\n")) + 2 * usize::from(rest.starts_with(b"\r\n"))
    }
}

/// The tree and what is open.
impl Builder<'_, '_> {
    /// Something that needs the complete builder.
    #[cold]
    fn unusual(&mut self) -> Step {
        self.outcome.is_unusual = true;
        match self.lenient {
            true => ON,
            false => ControlFlow::Break(()),
        }
    }

    fn current(&self) -> Open {
        self.open.last().copied().unwrap_or(Open {
            id: ROOT,
            name: Name::HTML,
            space: Space::Html,
        })
    }

    /// Adds an element to what is open, without opening it.
    fn append(&mut self, tag: Tag, space: Space) -> Id {
        let node = Node::new(Kind::Element, tag.name, space, tag.start, tag.end);
        let id = self.tree.push(node);
        let parent = self.current().id;
        self.tree.append(parent, id);
        id
    }

    fn insert_in(&mut self, tag: Tag, space: Space) -> Id {
        if self.open.len() >= MAX_DEPTH {
            self.pop();
            self.over += 1;
            self.outcome.is_deep = true;
        }
        let id = self.append(tag, space);
        self.paragraphs += u32::from(tag.name == Name::P);
        self.open.push(Open {
            id,
            name: tag.name,
            space,
        });
        id
    }

    fn insert(&mut self, tag: Tag) -> Id {
        self.insert_in(tag, Space::Html)
    }

    /// An element that no tag stands for.
    fn phantom(&mut self, name: Name) -> Id {
        self.insert(Tag {
            name,
            start: 0,
            end: 0,
        })
    }

    /// Closes the innermost element. The root stays open.
    fn pop(&mut self) {
        if self.open.len() > 1
            && let Some(open) = self.open.pop()
        {
            self.closed(open);
        }
    }

    /// Closes elements up to one that is it.
    fn pop_through(&mut self, is_it: impl Fn(&Open) -> bool) {
        while self.open.len() > 1 {
            let open = self.current();
            self.pop();
            if is_it(&open) {
                break;
            }
        }
    }

    fn closed(&mut self, open: Open) {
        self.paragraphs -= u32::from(open.name == Name::P);
        if is_formatting(open.name) {
            let entry = self.list.iter_mut().rev().find(|entry| entry.id == open.id);
            if let Some(entry) = entry {
                entry.is_open = false;
            }
        }
    }

    /// Closes elements up to one of this name.
    fn pop_until(&mut self, name: Name) {
        self.pop_through(|open| open.is(name));
    }

    fn pop_to(&mut self, is_context: impl Fn(Name) -> bool) {
        while let Some(open) = self.open.last() {
            if open.space == Space::Html && (is_context(open.name) || open.name == Name::HTML) {
                break;
            }
            self.pop();
        }
    }

    fn has_in(&self, bounds: impl Fn(&Open) -> bool, is_it: impl Fn(&Open) -> bool) -> bool {
        for open in self.open.iter().rev() {
            if is_it(open) {
                return true;
            }
            if bounds(open) {
                return false;
            }
        }
        false
    }

    fn in_scope(&self, name: Name) -> bool {
        self.has_in(Open::bounds_scope, |open| open.is(name))
    }

    fn in_table_scope(&self, is_it: impl Fn(Name) -> bool) -> bool {
        let bounds = |open: &Open| open.space == Space::Html && bounds_table_scope(open.name);
        self.has_in(bounds, |open| open.space == Space::Html && is_it(open.name))
    }

    fn close_implied(&mut self, except: Option<Name>) {
        while let Some(open) = self.open.last() {
            let implied = open.space == Space::Html && is_implied(open.name);
            if !implied || Some(open.name) == except {
                break;
            }
            self.pop();
        }
    }

    fn close_paragraph(&mut self) {
        if self.paragraphs == 0 {
            return;
        }
        let bounds = |open: &Open| open.bounds_scope() || open.is(Name::BUTTON);
        if self.has_in(bounds, |open| open.is(Name::P)) {
            self.close_implied(Some(Name::P));
            self.pop_until(Name::P);
        }
    }

    /// Opens formatting elements again that a block closed: not here.
    fn reconstruct(&mut self) -> Step {
        match self.list.last() {
            Some(entry) if !entry.is_open => self.unusual(),
            _ => ON,
        }
    }

    fn mark(&mut self) {
        self.list.push(Active {
            id: NONE,
            name: Name::default(),
            is_open: true,
        });
    }

    fn clear_to_mark(&mut self) {
        while self.list.pop().is_some_and(|entry| entry.id != NONE) {}
    }

    fn merge_attributes(&mut self, id: Id, tag: Tag) {
        let more = (id, tag.start as u32, tag.end as u32);
        self.tree.more_attributes.push(more);
    }

    fn comment(&mut self) {
        if self.after_body || matches!(self.mode, Mode::BeforeHtml | Mode::BeforeHead) {
            return;
        }
        let parent = self.current().id;
        let node = Node::new(Kind::Comment, Name::default(), Space::Html, 0, 0);
        let id = self.tree.push(node);
        self.tree.append(parent, id);
    }

    fn append_text(&mut self, kind: Kind, start: usize, end: usize) {
        if start < end {
            let parent = self.current().id;
            let node = Node::new(kind, Name::default(), Space::Html, start, end);
            let id = self.tree.push(node);
            self.tree.append(parent, id);
        }
    }

    fn attribute(&self, tag: Tag, name: &[u8]) -> Option<&[u8]> {
        let mut attributes = Attributes::new(&self.html[tag.start..tag.end]);
        attributes
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

/// Texts.
impl Builder<'_, '_> {
    fn text(&mut self, mut start: usize, end: usize) -> Step {
        if start >= end {
            return ON;
        }
        if std::mem::take(&mut self.skip_newline) {
            start = self.behind_newline(start);
        }
        let raw = &self.html[start..end];
        let current = self.current();
        if !takes_html(current.space, current.name) {
            self.append_text(Kind::Text, start, end);
            return ON;
        }
        match self.mode {
            Mode::InBody | Mode::InCell | Mode::InCaption => {
                if !raw.iter().all(|byte| is_space(*byte)) {
                    self.after_body = false;
                }
                self.reconstruct()?;
                self.append_text(Kind::Text, start, end);
                ON
            }
            _ => self.text_elsewhere(start, end),
        }
    }

    #[cold]
    fn text_elsewhere(&mut self, start: usize, end: usize) -> Step {
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
        if !matches!(self.mode, Mode::BeforeHtml | Mode::BeforeHead) {
            self.append_text(Kind::Text, start, words);
        }
        if words == end {
            return ON;
        }
        if self.html[words..].starts_with(b"&#") {
            // It may stand for a blank.
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

    /// Opens what of html, head and body is not there yet.
    fn reach_body(&mut self) -> Step {
        if self.mode == Mode::BeforeHtml {
            self.phantom(Name::HTML);
            self.mode = Mode::BeforeHead;
        }
        if self.mode == Mode::BeforeHead {
            self.head = self.phantom(Name::HEAD);
            self.mode = Mode::InHead;
        }
        if self.mode == Mode::InHeadNoscript {
            self.pop();
            self.mode = Mode::InHead;
        }
        if self.mode == Mode::InHead {
            self.pop();
            self.mode = Mode::AfterHead;
        }
        if self.mode == Mode::AfterHead {
            self.phantom(Name::BODY);
            self.mode = Mode::InBody;
        }
        ON
    }
}

/// Start tags. Those of elements without markup inside tell where the page goes on.
impl Builder<'_, '_> {
    fn start(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        match self.mode {
            Mode::InBody => self.start_in_body(tag),
            Mode::InTable => self.start_in_table(tag),
            Mode::InTableBody => self.start_in_table_body(tag),
            Mode::InRow => self.start_in_row(tag),
            Mode::InCell => {
                if is_table_part(tag.name) {
                    if self.in_table_scope(is_cell) {
                        self.close_cell();
                        return self.start(tag);
                    }
                    return ControlFlow::Continue(None);
                }
                self.start_in_body(tag)
            }
            Mode::InCaption => {
                if is_table_part(tag.name) {
                    self.close_caption();
                    return self.start(tag);
                }
                self.start_in_body(tag)
            }
            Mode::InColumnGroup => self.start_in_column_group(tag),
            _ => self.start_before_body(tag),
        }
    }

    #[cold]
    fn start_before_body(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        let name = tag.name;
        if self.mode == Mode::BeforeHtml {
            self.mode = Mode::BeforeHead;
            if name == Name::HTML {
                self.insert(tag);
                return ControlFlow::Continue(None);
            }
            self.phantom(Name::HTML);
        }
        if name == Name::HTML {
            self.merge_attributes(self.open[0].id, tag);
            return ControlFlow::Continue(None);
        }
        if self.mode == Mode::BeforeHead {
            self.mode = Mode::InHead;
            if name == Name::HEAD {
                self.head = self.insert(tag);
                return ControlFlow::Continue(None);
            }
            self.head = self.phantom(Name::HEAD);
        }
        if self.mode == Mode::InHeadNoscript {
            match name {
                Name::BASEFONT
                | Name::BGSOUND
                | Name::LINK
                | Name::META
                | Name::NOFRAMES
                | Name::STYLE => return self.start_of_head(tag),
                Name::HEAD | Name::NOSCRIPT => return ControlFlow::Continue(None),
                _ => {}
            }
            self.pop();
            self.mode = Mode::InHead;
        }
        if name == Name::HEAD {
            return ControlFlow::Continue(None);
        }
        if self.mode == Mode::InHead {
            if is_of_head(name) {
                return self.start_of_head(tag);
            }
            if name == Name::NOSCRIPT {
                self.insert(tag);
                self.mode = Mode::InHeadNoscript;
                return ControlFlow::Continue(None);
            }
            self.pop();
            self.mode = Mode::AfterHead;
        }
        match name {
            Name::BODY => {
                self.insert(tag);
                self.mode = Mode::InBody;
                ControlFlow::Continue(None)
            }
            Name::FRAMESET => {
                self.unusual()?;
                ControlFlow::Continue(None)
            }
            name if is_of_head(name) => {
                self.tree.shuffled = true;
                self.open.push(Open {
                    id: self.head,
                    name: Name::HEAD,
                    space: Space::Html,
                });
                let next = self.start_of_head(tag)?;
                self.open.retain(|open| open.id != self.head);
                ControlFlow::Continue(next)
            }
            _ => {
                self.phantom(Name::BODY);
                self.mode = Mode::InBody;
                self.start(tag)
            }
        }
    }

    fn start_of_head(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        match tag.name {
            Name::TITLE | Name::STYLE | Name::SCRIPT | Name::NOFRAMES => {
                ControlFlow::Continue(Some(self.raw(tag)))
            }
            Name::TEMPLATE => {
                self.start_template(tag);
                ControlFlow::Continue(None)
            }
            _ => {
                self.append(tag, Space::Html);
                ControlFlow::Continue(None)
            }
        }
    }

    /// What is in a template belongs to no tree.
    fn start_template(&mut self, tag: Tag) {
        self.append(tag, Space::Html);
        let contents = Node::new(Kind::Document, tag.name, Space::Html, 0, 0);
        let id = self.tree.push(contents);
        self.tree.shuffled = true;
        self.mark();
        self.templates.push(self.mode);
        self.mode = Mode::InBody;
        self.open.push(Open {
            id,
            name: tag.name,
            space: Space::Html,
        });
    }

    fn end_template(&mut self) {
        let is_template = |open: &Open| open.is(Name::TEMPLATE);
        if !self.open.iter().any(is_template) {
            return;
        }
        self.pop_through(is_template);
        self.clear_to_mark();
        self.mode = self.templates.pop().unwrap_or(Mode::InBody);
    }

    fn start_in_body(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        self.after_body = false;
        let name = tag.name;
        if !self.templates.is_empty() {
            // Parts of tables may stand in templates by themselves; forms count for nothing.
            let special = matches!(
                name,
                Name::FORM | Name::HTML | Name::HEAD | Name::BODY | Name::FRAMESET | Name::FRAME
            );
            if special || is_table_part(name) {
                self.unusual()?;
            }
        }
        match name {
            name if is_block(name) => {
                self.close_paragraph();
                self.insert(tag);
            }
            Name::A => {
                let entries = self.list.iter().rev();
                let mut since_mark = entries.take_while(|entry| entry.id != NONE);
                if since_mark.any(|entry| entry.name == Name::A) {
                    self.unusual()?;
                }
                self.start_formatting(tag)?;
            }
            Name::NOBR => {
                if self.in_scope(Name::NOBR) {
                    self.unusual()?;
                }
                self.start_formatting(tag)?;
            }
            name if is_formatting(name) => self.start_formatting(tag)?,
            name if is_heading(name) => {
                self.close_paragraph();
                let current = self.current();
                if current.space == Space::Html && is_heading(current.name) {
                    self.pop();
                }
                self.insert(tag);
            }
            Name::LI | Name::DD | Name::DT => {
                self.close_item(name);
                self.close_paragraph();
                self.insert(tag);
            }
            Name::PRE | Name::LISTING => {
                self.close_paragraph();
                self.insert(tag);
                self.skip_newline = true;
            }
            Name::AREA | Name::BR | Name::EMBED | Name::IMG | Name::KEYGEN | Name::WBR => {
                self.reconstruct()?;
                self.append(tag, Space::Html);
            }
            Name::IMAGE => {
                self.reconstruct()?;
                let name = Name::IMG;
                self.append(Tag { name, ..tag }, Space::Html);
            }
            Name::INPUT => {
                if self.in_scope(Name::SELECT) {
                    self.pop_until(Name::SELECT);
                }
                self.reconstruct()?;
                self.append(tag, Space::Html);
            }
            Name::PARAM | Name::SOURCE | Name::TRACK => {
                self.append(tag, Space::Html);
            }
            Name::HR => {
                self.close_paragraph();
                if self.in_scope(Name::SELECT) {
                    self.close_implied(None);
                }
                self.append(tag, Space::Html);
            }
            name if is_of_head(name) => return self.start_of_head(tag),
            Name::TEXTAREA | Name::IFRAME | Name::NOEMBED => {
                return ControlFlow::Continue(Some(self.raw(tag)));
            }
            Name::XMP => {
                self.close_paragraph();
                self.reconstruct()?;
                return ControlFlow::Continue(Some(self.raw(tag)));
            }
            Name::TABLE => {
                if self.paragraphs > 0 && self.quirks.is_none() {
                    self.unusual()?;
                }
                if self.quirks != Some(true) {
                    self.close_paragraph();
                }
                self.insert(tag);
                self.mode = Mode::InTable;
            }
            Name::FORM => {
                if self.form == NONE {
                    self.close_paragraph();
                    self.form = self.insert(tag);
                }
            }
            Name::BUTTON => {
                if self.in_scope(Name::BUTTON) {
                    self.close_implied(None);
                    self.pop_until(Name::BUTTON);
                }
                self.reconstruct()?;
                self.insert(tag);
            }
            Name::APPLET | Name::MARQUEE | Name::OBJECT => {
                self.reconstruct()?;
                self.insert(tag);
                self.mark();
            }
            Name::SELECT if self.in_scope(Name::SELECT) => self.pop_until(Name::SELECT),
            Name::OPTION | Name::OPTGROUP => {
                if self.in_scope(Name::SELECT) {
                    let except = (name == Name::OPTION).then_some(Name::OPTGROUP);
                    self.close_implied(except);
                } else if self.current().is(Name::OPTION) {
                    self.pop();
                }
                self.reconstruct()?;
                self.insert(tag);
            }
            Name::RB | Name::RTC | Name::RP | Name::RT => {
                if self.in_scope(Name::RUBY) {
                    let inside = matches!(name, Name::RP | Name::RT);
                    self.close_implied(inside.then_some(Name::RTC));
                }
                self.insert(tag);
            }
            Name::SVG | Name::MATH => {
                self.reconstruct()?;
                let space = match name {
                    Name::SVG => Space::Svg,
                    _ => Space::Math,
                };
                self.insert_foreign(tag, space);
            }
            Name::HTML => self.merge_attributes(self.open[0].id, tag),
            Name::BODY => {
                if let Some(body) = self.open.get(1).filter(|open| open.is(Name::BODY)) {
                    self.merge_attributes(body.id, tag);
                }
            }
            Name::FRAMESET | Name::PLAINTEXT => self.unusual()?,
            Name::HEAD | Name::FRAME => {}
            name if is_table_part(name) => {}
            _ => {
                self.reconstruct()?;
                self.insert(tag);
            }
        }
        ControlFlow::Continue(None)
    }

    fn start_formatting(&mut self, tag: Tag) -> Step {
        self.reconstruct()?;
        let id = self.insert(tag);
        self.outcome.is_deep |= self.list.len() >= MAX_ACTIVE;
        if self.list.len() < MAX_DEPTH {
            self.list.push(Active {
                id,
                name: tag.name,
                is_open: true,
            });
        }
        ON
    }

    /// Closes the list item, or the term or its description, that a new one follows.
    fn close_item(&mut self, name: Name) {
        let mut found = None;
        for open in self.open.iter().rev() {
            let same = match name {
                Name::LI => open.is(Name::LI),
                _ => open.is(Name::DD) || open.is(Name::DT),
            };
            if same {
                found = Some(open.name);
                break;
            }
            let passes = matches!(open.name, Name::ADDRESS | Name::DIV | Name::P);
            if open.space == Space::Html && is_special(open.name) && !passes {
                break;
            }
        }
        if let Some(name) = found {
            self.close_implied(Some(name));
            self.pop_until(name);
        }
    }

    fn insert_foreign(&mut self, tag: Tag, space: Space) {
        let text = &self.html[tag.start..tag.end];
        let slash = text.ends_with(b"/");
        // The slash may be a part of a value without quotes.
        let last = Attributes::new(text)
            .last()
            .map_or(&b""[..], |(_, value)| value);
        let inside = !last.is_empty() && last.as_ptr_range().end == text.as_ptr_range().end;
        if slash && !inside {
            self.append(tag, space);
        } else {
            self.insert_in(tag, space);
        }
    }

    fn start_foreign(&mut self, tag: Tag) -> Step {
        if tag.name == Name::ANNOTATION_XML {
            self.unusual()?;
        }
        let font = [&b"color"[..], b"face", b"size"];
        let breaks = breaks_out(tag.name)
            || tag.name == Name::FONT
                && font.iter().any(|name| self.attribute(tag, name).is_some());
        if !breaks {
            let space = self.current().space;
            self.insert_foreign(tag, space);
            return ON;
        }
        self.leave_foreign();
        // None of these tags begins raw text.
        self.start(tag)?;
        ON
    }

    fn leave_foreign(&mut self) {
        while !takes_html(self.current().space, self.current().name) {
            self.pop();
        }
    }
}

/// Start tags in tables.
impl Builder<'_, '_> {
    fn start_in_table(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        let is_table = |name| name == Name::TABLE;
        match tag.name {
            Name::CAPTION => {
                self.pop_to(is_table);
                self.mark();
                self.insert(tag);
                self.mode = Mode::InCaption;
            }
            Name::COLGROUP => {
                self.pop_to(is_table);
                self.insert(tag);
                self.mode = Mode::InColumnGroup;
            }
            Name::COL => {
                self.pop_to(is_table);
                self.phantom(Name::COLGROUP);
                self.mode = Mode::InColumnGroup;
                return self.start(tag);
            }
            name if is_table_body(name) => {
                self.pop_to(is_table);
                self.insert(tag);
                self.mode = Mode::InTableBody;
            }
            Name::TD | Name::TH | Name::TR => {
                self.pop_to(is_table);
                self.phantom(Name::TBODY);
                self.mode = Mode::InTableBody;
                return self.start(tag);
            }
            Name::TABLE => {
                if self.in_table_scope(is_table) {
                    self.pop_until(Name::TABLE);
                    self.reset_mode();
                    return self.start(tag);
                }
            }
            Name::STYLE | Name::SCRIPT | Name::TEMPLATE => return self.start_of_head(tag),
            Name::INPUT => {
                let kind = self.attribute(tag, b"type").unwrap_or_default();
                if !kind.eq_ignore_ascii_case(b"hidden") {
                    self.unusual()?;
                }
                self.append(tag, Space::Html);
            }
            Name::FORM => {
                if self.form == NONE {
                    self.form = self.append(tag, Space::Html);
                }
            }
            _ => {
                self.unusual()?;
                return self.start_in_body(tag);
            }
        }
        ControlFlow::Continue(None)
    }

    fn start_in_table_body(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        match tag.name {
            Name::TR => {
                self.pop_to(is_table_body);
                self.insert(tag);
                self.mode = Mode::InRow;
            }
            name if is_cell(name) => {
                self.pop_to(is_table_body);
                self.phantom(Name::TR);
                self.mode = Mode::InRow;
                return self.start(tag);
            }
            name if is_table_part(name) => {
                if self.in_table_scope(is_table_body) {
                    self.close_table_body();
                    return self.start(tag);
                }
            }
            _ => return self.start_in_table(tag),
        }
        ControlFlow::Continue(None)
    }

    fn start_in_row(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        match tag.name {
            name if is_cell(name) => {
                self.pop_to(|name| name == Name::TR);
                self.insert(tag);
                self.mode = Mode::InCell;
                self.mark();
            }
            name if is_table_part(name) => {
                if self.in_table_scope(|name| name == Name::TR) {
                    self.close_row();
                    return self.start(tag);
                }
            }
            _ => return self.start_in_table(tag),
        }
        ControlFlow::Continue(None)
    }

    fn start_in_column_group(&mut self, tag: Tag) -> ControlFlow<(), Option<usize>> {
        match tag.name {
            Name::HTML => self.merge_attributes(self.open[0].id, tag),
            Name::COL => {
                self.append(tag, Space::Html);
            }
            Name::TEMPLATE => return self.start_of_head(tag),
            _ if self.current().is(Name::COLGROUP) => {
                self.pop();
                self.mode = Mode::InTable;
                return self.start(tag);
            }
            _ => {}
        }
        ControlFlow::Continue(None)
    }

    fn close_cell(&mut self) {
        self.close_implied(None);
        self.pop_through(|open| open.space == Space::Html && is_cell(open.name));
        self.clear_to_mark();
        self.mode = Mode::InRow;
    }

    fn close_caption(&mut self) {
        if self.in_table_scope(|name| name == Name::CAPTION) {
            self.close_implied(None);
            self.pop_until(Name::CAPTION);
            self.clear_to_mark();
        }
        self.mode = Mode::InTable;
    }

    fn close_table_body(&mut self) {
        self.pop_to(is_table_body);
        self.pop();
        self.mode = Mode::InTable;
    }

    fn close_row(&mut self) {
        self.pop_to(|name| name == Name::TR);
        self.pop();
        self.mode = Mode::InTableBody;
    }

    /// The mode that follows from what is open.
    fn reset_mode(&mut self) {
        for open in self
            .open
            .iter()
            .rev()
            .filter(|open| open.space == Space::Html)
        {
            self.mode = match open.name {
                Name::TD | Name::TH => Mode::InCell,
                Name::TR => Mode::InRow,
                name if is_table_body(name) => Mode::InTableBody,
                Name::CAPTION => Mode::InCaption,
                Name::COLGROUP => Mode::InColumnGroup,
                Name::TABLE => Mode::InTable,
                Name::BODY | Name::HTML => Mode::InBody,
                _ => continue,
            };
            return;
        }
    }
}

/// End tags.
impl Builder<'_, '_> {
    fn end(&mut self, name: Name) -> Step {
        if name == Name::TEMPLATE {
            self.end_template();
            return ON;
        }
        if self.current().is(Name::TEMPLATE) || name == Name::FORM && !self.templates.is_empty() {
            self.unusual()?;
        }
        match self.mode {
            Mode::InBody => self.end_in_body(name),
            Mode::InTable | Mode::InTableBody | Mode::InRow | Mode::InColumnGroup => {
                self.end_in_table(name)
            }
            Mode::InCell => match name {
                name if is_cell(name) => {
                    if self.in_table_scope(|open| open == name) {
                        self.close_implied(None);
                        self.pop_until(name);
                        self.clear_to_mark();
                        self.mode = Mode::InRow;
                    }
                    ON
                }
                Name::TABLE | Name::TBODY | Name::TFOOT | Name::THEAD | Name::TR => {
                    if self.in_table_scope(|open| open == name) {
                        self.close_cell();
                        return self.end(name);
                    }
                    ON
                }
                Name::BODY | Name::CAPTION | Name::COL | Name::COLGROUP | Name::HTML => ON,
                _ => self.end_in_body(name),
            },
            Mode::InCaption => match name {
                Name::CAPTION => {
                    self.close_caption();
                    ON
                }
                Name::TABLE => {
                    self.close_caption();
                    self.end(name)
                }
                Name::BODY | Name::HTML => ON,
                name if is_table_part(name) => ON,
                _ => self.end_in_body(name),
            },
            _ => self.end_before_body(name),
        }
    }

    #[cold]
    fn end_before_body(&mut self, name: Name) -> Step {
        match (self.mode, name) {
            (Mode::InHeadNoscript, Name::NOSCRIPT) => {
                self.pop();
                self.mode = Mode::InHead;
            }
            (Mode::InHead, Name::HEAD) => {
                self.pop();
                self.mode = Mode::AfterHead;
            }
            (Mode::InHeadNoscript, Name::BR) => {
                self.reach_body()?;
                return self.end(name);
            }
            (Mode::InHeadNoscript, _) => {}
            (Mode::AfterHead, Name::HEAD) => {}
            (Mode::BeforeHtml | Mode::BeforeHead, Name::HEAD) => {
                self.reach_body()?;
                // It is the head alone that there is now.
                self.unusual()?;
            }
            (_, Name::BODY | Name::HTML | Name::BR) => {
                self.reach_body()?;
                return self.end(name);
            }
            _ => {}
        }
        ON
    }

    fn end_in_table(&mut self, name: Name) -> Step {
        let is_open = |builder: &Self, name: Name| builder.in_table_scope(|open| open == name);
        match (self.mode, name) {
            (Mode::InColumnGroup, Name::COLGROUP) => {
                if self.current().is(Name::COLGROUP) {
                    self.pop();
                    self.mode = Mode::InTable;
                }
            }
            (Mode::InColumnGroup, Name::COL) => {}
            (Mode::InColumnGroup, _) => {
                if self.current().is(Name::COLGROUP) {
                    self.pop();
                    self.mode = Mode::InTable;
                    return self.end(name);
                }
            }
            (Mode::InRow, Name::TR) => {
                if is_open(self, name) {
                    self.close_row();
                }
            }
            (Mode::InRow, Name::TABLE | Name::TBODY | Name::TFOOT | Name::THEAD) => {
                if is_open(self, name) && is_open(self, Name::TR) {
                    self.close_row();
                    return self.end(name);
                }
            }
            (Mode::InTableBody, Name::TBODY | Name::TFOOT | Name::THEAD) => {
                if is_open(self, name) {
                    self.close_table_body();
                }
            }
            (Mode::InTableBody, Name::TABLE) => {
                if self.in_table_scope(is_table_body) {
                    self.close_table_body();
                    return self.end(name);
                }
            }
            (_, Name::TABLE) => {
                if is_open(self, name) {
                    self.pop_until(name);
                    self.reset_mode();
                }
            }
            (_, Name::BODY | Name::HTML) => {}
            (_, name) if is_table_part(name) => {}
            _ => {
                self.unusual()?;
                return self.end_in_body(name);
            }
        }
        ON
    }

    fn end_in_body(&mut self, name: Name) -> Step {
        match name {
            name if is_closed_by_end(name) => {
                if self.in_scope(name) {
                    self.close_implied(None);
                    self.pop_until(name);
                }
            }
            name if is_formatting(name) => return self.end_formatting(name),
            Name::P => {
                let bounds = |open: &Open| open.bounds_scope() || open.is(Name::BUTTON);
                if !self.has_in(bounds, |open| open.is(Name::P)) {
                    self.phantom(Name::P);
                }
                self.close_implied(Some(Name::P));
                self.pop_until(Name::P);
            }
            Name::LI | Name::DD | Name::DT => {
                let lists = |open: &Open| {
                    open.bounds_scope()
                        || name == Name::LI && (open.is(Name::OL) || open.is(Name::UL))
                };
                if self.has_in(lists, |open| open.is(name)) {
                    self.close_implied(Some(name));
                    self.pop_until(name);
                }
            }
            name if is_heading(name) => {
                let heading = |open: &Open| open.space == Space::Html && is_heading(open.name);
                if self.has_in(Open::bounds_scope, heading) {
                    self.close_implied(None);
                    self.pop_through(heading);
                }
            }
            Name::BODY | Name::HTML => {
                if self.in_scope(Name::BODY) {
                    self.after_body = true;
                }
                return ON;
            }
            Name::FORM => self.end_form(),
            Name::APPLET | Name::MARQUEE | Name::OBJECT => {
                if self.in_scope(name) {
                    self.close_implied(None);
                    self.pop_until(name);
                    self.clear_to_mark();
                }
            }
            Name::BR => {
                self.reconstruct()?;
                let (start, end) = (0, 0);
                self.append(Tag { name, start, end }, Space::Html);
            }
            _ => self.end_any(name),
        }
        self.after_body = false;
        ON
    }

    /// An end tag without rules of its own.
    fn end_any(&mut self, name: Name) {
        for open in self.open.iter().rev() {
            if open.is(name) {
                self.close_implied(Some(name));
                self.pop_until(name);
                return;
            }
            if open.space == Space::Html && is_special(open.name) {
                return;
            }
        }
    }

    fn end_form(&mut self) {
        let form = std::mem::replace(&mut self.form, NONE);
        if form == NONE || !self.has_in(Open::bounds_scope, |open| open.id == form) {
            return;
        }
        self.close_implied(None);
        let place = self.open.iter().rposition(|open| open.id == form);
        if let Some(place) = place.filter(|place| *place > 0) {
            let open = self.open.remove(place);
            self.closed(open);
        }
    }

    /// The adoption agency algorithm, as far as nothing has to be adopted.
    fn end_formatting(&mut self, name: Name) -> Step {
        self.after_body = false;
        let entries = self.list.iter().enumerate().rev();
        let mut since_mark = entries.take_while(|(_, entry)| entry.id != NONE);
        let entry = since_mark.find(|(_, entry)| entry.name == name);
        let entry = entry.map(|(place, entry)| (place, *entry));
        let current = self.current();
        let listed = entry.is_some_and(|(_, entry)| entry.id == current.id);
        if current.is(name) && !listed && !self.list.iter().any(|entry| entry.id == current.id) {
            self.pop();
            return ON;
        }
        let Some((place, entry)) = entry else {
            self.end_any(name);
            return ON;
        };
        if !entry.is_open {
            self.list.remove(place);
            return ON;
        }
        let mut inside = self.open.iter().rev();
        let mut inside = inside.by_ref().take_while(|open| open.id != entry.id);
        if inside.any(|open| open.space == Space::Html && is_special(open.name)) {
            // Something to be adopted, or out of scope.
            if self.has_in(Open::bounds_scope, |open| open.id == entry.id) {
                return self.unusual();
            }
            return ON;
        }
        if !self.has_in(Open::bounds_scope, |open| open.id == entry.id) {
            return ON;
        }
        self.pop_through(|open| open.id == entry.id);
        self.list.remove(place);
        ON
    }

    fn end_foreign(&mut self, name: Name) -> Step {
        if matches!(name, Name::BR | Name::P) {
            self.leave_foreign();
            return self.end(name);
        }
        for (depth, open) in self.open.iter().enumerate().rev() {
            if depth == 0 {
                return ON;
            }
            if open.space == Space::Html {
                return self.end(name);
            }
            if open.name == name {
                while self.open.len() > depth {
                    self.pop();
                }
                return ON;
            }
        }
        ON
    }
}
