//! In tables, outside cells and captions (13.2.6.4.9 and 12 to 14). Text there, which the
//! standard puts before the table, is unusual.

use super::builder::{Builder, DONE, Flow, FlowTo, Mode, ON, Tag};
use crate::page::extract::dom::{NONE, Space};
use crate::page::extract::names::Name;
use crate::page::extract::sets::*;

impl Builder<'_, '_> {
    pub(super) fn start_in_table(&mut self, tag: Tag) -> FlowTo {
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
        DONE
    }

    pub(super) fn start_in_table_body(&mut self, tag: Tag) -> FlowTo {
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
        DONE
    }

    pub(super) fn start_in_row(&mut self, tag: Tag) -> FlowTo {
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
        DONE
    }

    pub(super) fn start_in_column_group(&mut self, tag: Tag) -> FlowTo {
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
        DONE
    }

    pub(super) fn end_in_table(&mut self, name: Name) -> Flow {
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
