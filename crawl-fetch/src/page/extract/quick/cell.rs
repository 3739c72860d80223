//! In cells and captions of tables, where all of a body may stand (13.2.6.4.11 and 15).

use super::builder::{Builder, DONE, Flow, FlowTo, Mode, ON, Tag};
use crate::page::extract::dom::Space;
use crate::page::extract::names::Name;
use crate::page::extract::sets::*;

impl Builder<'_, '_> {
    pub(super) fn start_in_cell(&mut self, tag: Tag) -> FlowTo {
        if !is_table_part(tag.name) {
            return self.start_in_body(tag);
        }
        if self.in_table_scope(is_cell) {
            self.close_cell();
            return self.start(tag);
        }
        DONE
    }

    pub(super) fn end_in_cell(&mut self, name: Name) -> Flow {
        match name {
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
        }
    }

    pub(super) fn start_in_caption(&mut self, tag: Tag) -> FlowTo {
        if is_table_part(tag.name) {
            self.close_caption();
            return self.start(tag);
        }
        self.start_in_body(tag)
    }

    pub(super) fn end_in_caption(&mut self, name: Name) -> Flow {
        match name {
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
        }
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
}
