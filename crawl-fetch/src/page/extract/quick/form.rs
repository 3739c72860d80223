//! Forms and their controls (parts of 13.2.6.4.7).

use super::builder::{Builder, Flow, ON, Open, Tag};
use crate::page::extract::dom::{NONE, Space};
use crate::page::extract::names::Name;

impl Builder<'_, '_> {
    /// A form, or what is in one.
    pub(super) fn start_of_form(&mut self, tag: Tag) -> Flow {
        let name = tag.name;
        match name {
            Name::FORM => {
                if self.form == NONE {
                    self.close_paragraph();
                    self.form = self.insert(tag);
                }
            }
            Name::INPUT => {
                if self.in_scope(Name::SELECT) {
                    self.pop_until(Name::SELECT);
                }
                self.reconstruct()?;
                self.append(tag, Space::Html);
            }
            Name::BUTTON => {
                if self.in_scope(Name::BUTTON) {
                    self.close_implied(None);
                    self.pop_until(Name::BUTTON);
                }
                self.reconstruct()?;
                self.insert(tag);
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
            _ => {
                self.reconstruct()?;
                self.insert(tag);
            }
        }
        ON
    }

    pub(super) fn end_form(&mut self) {
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
}
