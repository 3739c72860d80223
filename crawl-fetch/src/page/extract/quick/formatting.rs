//! The list of active formatting elements: which of `b`, `i`, `a` and such would be opened
//! again where a block closed them (13.2.4.3). Where one has to be, the page is unusual.

use super::builder::{Active, Builder, Flow, ON, Open, Tag};
use crate::page::extract::dom::{MAX_DEPTH, NONE, Space};
use crate::page::extract::names::Name;
use crate::page::extract::sets::*;

/// Formatting elements that may be in the list before it takes long to open them all again.
const MAX_ACTIVE: usize = 64;

impl Builder<'_, '_> {
    pub(super) fn start_formatting(&mut self, tag: Tag) -> Flow {
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

    /// The adoption agency algorithm, as far as nothing has to be adopted.
    pub(super) fn end_formatting(&mut self, name: Name) -> Flow {
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

    /// True when one of this name is in the list, behind the last marker.
    pub(super) fn is_active(&self, name: Name) -> bool {
        let mut since_mark = self.list.iter().rev().take_while(|entry| entry.id != NONE);
        since_mark.any(|entry| entry.name == name)
    }

    /// Opens formatting elements again that a block closed: not here.
    pub(super) fn reconstruct(&mut self) -> Flow {
        match self.list.last() {
            Some(entry) if !entry.is_open => self.unusual(),
            _ => ON,
        }
    }

    pub(super) fn mark(&mut self) {
        if self.list.len() >= 2 * MAX_DEPTH {
            self.outcome.is_deep = true;
            return;
        }
        self.list.push(Active {
            id: NONE,
            name: Name::default(),
            is_open: true,
        });
    }

    pub(super) fn clear_to_mark(&mut self) {
        while self.list.pop().is_some_and(|entry| entry.id != NONE) {}
    }
}
