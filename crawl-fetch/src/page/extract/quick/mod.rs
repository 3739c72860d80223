//! Builds the tree of a page at the speed of a scanner: the HTML standard's tree
//! construction without what well-formed pages never need. Where a page does need it
//! (elements that overlap, text in a table's rows, frames), this gives up,
//! and the page is left to the complete builder.
//!
//! `read` finds tags and texts, `open` and `formatting` keep what is open, and the other
//! files are the standard's insertion modes (13.2.6.4): what a tag means where it stands.
//!
//! Three fields of /std/ of the Rust documentation (2,475 pages, 120 MB) take a core 0.15 s with
//! it, and 5.6 s with the complete builder alone, which makes strings of all names, attributes
//! and texts (`scripts/extract.rs`). A test compares the trees of both.

mod body;
mod builder;
mod cell;
mod foreign;
mod form;
mod formatting;
mod head;
mod innermost;
mod open;
mod read;
mod table;
mod template;
mod text;

use std::ops::ControlFlow;

use super::attributes::Attributes;
use super::budget::MAX_STEPS;
use super::dom::{NONE, Tree};
use super::names::Name;
use crate::page::marks::Marks;
use builder::{Builder, Built, Flow, FlowTo, Mode, ON, Tag};

/// Builds the tree of a page. With `lenient`, what is unusual is made something of, and
/// the tree is whole in any case; without it, the tree of an unusual page is not.
pub fn parse(html: &[u8], marks: Marks<'_>, tree: &mut Tree, lenient: bool) -> Built {
    tree.clear();
    let mut builder = Builder {
        html,
        marks,
        tree,
        lenient,
        outcome: Built::default(),
        mode: Mode::Initial,
        // Few pages have more open at once.
        open: Vec::with_capacity(64),
        over: 0,
        paragraphs: 0,
        list: Vec::with_capacity(16),
        templates: Vec::new(),
        head: NONE,
        form: NONE,
        quirks: Some(true),
        skip_newline: false,
        after_body: false,
        attribute_steps: 0,
    };
    // The end of the page, or what is unusual in it, ends the building.
    let _ = builder.read();
    builder.outcome
}

/// Looking through so much that is open costs nothing.
const FREE_OPEN: usize = 64;

impl Builder<'_, '_> {
    /// What a start tag means here.
    fn start(&mut self, tag: Tag) -> FlowTo {
        match self.mode {
            Mode::InBody => self.start_in_body(tag),
            Mode::InTable => self.start_in_table(tag),
            Mode::InTableBody => self.start_in_table_body(tag),
            Mode::InRow => self.start_in_row(tag),
            Mode::InCell => self.start_in_cell(tag),
            Mode::InCaption => self.start_in_caption(tag),
            Mode::InColumnGroup => self.start_in_column_group(tag),
            _ => self.start_before_body(tag),
        }
    }

    /// What an end tag means here.
    fn end(&mut self, name: Name) -> Flow {
        if name == Name::TEMPLATE {
            self.after_body = false;
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
            Mode::InCell => self.end_in_cell(name),
            Mode::InCaption => self.end_in_caption(name),
            _ => self.end_before_body(name),
        }
    }

    /// Counts what a tag costs where much is open; false when the page costs too much, and what
    /// follows is left out.
    #[inline]
    fn may_go_on(&mut self) -> bool {
        let open = self.open.len() + self.list.len();
        open <= FREE_OPEN || self.pay(open)
    }

    #[cold]
    fn pay(&mut self, open: usize) -> bool {
        // Most looks go over a part of what is open, and over 16 of them in a step.
        let may = self.tree.budget.take_half(open / 16);
        if !may {
            self.tree.budget.cut();
        }
        may
    }

    /// Looks how many attributes a long tag has.
    #[cold]
    fn count_attributes(&mut self, tag: Tag) {
        let count = Attributes::new(&self.html[tag.start..tag.end]).count();
        self.attribute_steps =
            (count.saturating_mul(count) / 32).saturating_add(self.attribute_steps);
        self.outcome.is_deep |= self.attribute_steps > MAX_STEPS / 8;
    }

    /// Something that needs the complete builder.
    #[cold]
    fn unusual(&mut self) -> Flow {
        self.outcome.is_unusual = true;
        if self.lenient {
            ON
        } else {
            ControlFlow::Break(())
        }
    }
}
