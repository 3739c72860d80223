//! In the body, where most tags stand (13.2.6.4.7).

use std::ops::ControlFlow;

use super::builder::{Builder, DONE, Flow, FlowTo, Mode, ON, Open, Tag};
use crate::page::extract::dom::Space;
use crate::page::extract::names::Name;
use crate::page::extract::sets::*;

impl Builder<'_, '_> {
    pub(super) fn start_in_body(&mut self, tag: Tag) -> FlowTo {
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
                if self.is_active(Name::A) {
                    self.end_formatting(Name::A)?;
                    if self.is_active(Name::A) {
                        self.unusual()?;
                    }
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
                return ControlFlow::Continue(Some(self.raw(tag)?));
            }
            Name::XMP => {
                self.close_paragraph();
                self.reconstruct()?;
                return ControlFlow::Continue(Some(self.raw(tag)?));
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
            Name::FORM
            | Name::INPUT
            | Name::BUTTON
            | Name::SELECT
            | Name::OPTION
            | Name::OPTGROUP => self.start_of_form(tag)?,
            Name::APPLET | Name::MARQUEE | Name::OBJECT => {
                self.reconstruct()?;
                self.insert(tag);
                self.mark();
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
        DONE
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

    pub(super) fn end_in_body(&mut self, name: Name) -> Flow {
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
    pub(super) fn end_any(&mut self, name: Name) {
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
}
