//! The open elements, innermost last, and the places in the tree that follow from them
//! (13.2.4.2).

use super::builder::{Builder, Open, Tag};
use crate::page::extract::dom::{Id, Kind, MAX_DEPTH, MAX_MORE_ATTRIBUTES, Node, ROOT, Space};
use crate::page::extract::names::Name;
use crate::page::extract::sets::*;

impl Open {
    pub fn is(&self, name: Name) -> bool {
        self.name == name && self.space == Space::Html
    }

    pub fn bounds_scope(&self) -> bool {
        match self.space {
            Space::Html => bounds_scope(self.name),
            space => takes_html(space, self.name),
        }
    }
}

impl Builder<'_, '_> {
    #[inline]
    pub(super) fn current(&self) -> Open {
        self.open.last().copied().unwrap_or(Open {
            id: ROOT,
            name: Name::HTML,
            space: Space::Html,
        })
    }

    /// Adds an element to what is open, without opening it.
    pub(super) fn append(&mut self, tag: Tag, space: Space) -> Id {
        let node = Node::new(Kind::Element, tag.name, space, tag.start, tag.end);
        let parent = self.current().id;
        self.tree.add(parent, node)
    }

    pub(super) fn insert_in(&mut self, tag: Tag, space: Space) -> Id {
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

    pub(super) fn insert(&mut self, tag: Tag) -> Id {
        self.insert_in(tag, Space::Html)
    }

    /// An element that no tag stands for.
    pub(super) fn phantom(&mut self, name: Name) -> Id {
        self.insert(Tag {
            name,
            start: 0,
            end: 0,
        })
    }

    pub(super) fn merge_attributes(&mut self, id: Id, tag: Tag) {
        if self.tree.more_attributes.len() >= MAX_MORE_ATTRIBUTES {
            self.outcome.is_deep = true;
            return;
        }
        let more = (id, tag.start as u32, tag.end as u32);
        self.tree.more_attributes.push(more);
    }

    /// Closes the innermost element. The root stays open.
    #[inline]
    pub(super) fn pop(&mut self) {
        if self.open.len() > 1
            && let Some(open) = self.open.pop()
        {
            self.closed(open);
        }
    }

    /// Closes elements up to one that is it.
    pub(super) fn pop_through(&mut self, is_it: impl Fn(&Open) -> bool) {
        while self.open.len() > 1 {
            let open = self.current();
            self.pop();
            if is_it(&open) {
                break;
            }
        }
    }

    pub(super) fn closed(&mut self, open: Open) {
        self.paragraphs -= u32::from(open.name == Name::P);
        if is_formatting(open.name) {
            let entry = self.list.iter_mut().rev().find(|entry| entry.id == open.id);
            if let Some(entry) = entry {
                entry.is_open = false;
            }
        }
    }

    /// Closes elements up to one of this name.
    pub(super) fn pop_until(&mut self, name: Name) {
        self.pop_through(|open| open.is(name));
    }

    pub(super) fn pop_to(&mut self, is_context: impl Fn(Name) -> bool) {
        while let Some(open) = self.open.last() {
            if open.space == Space::Html && (is_context(open.name) || open.name == Name::HTML) {
                break;
            }
            self.pop();
        }
    }

    pub(super) fn has_in(
        &self,
        bounds: impl Fn(&Open) -> bool,
        is_it: impl Fn(&Open) -> bool,
    ) -> bool {
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

    pub(super) fn in_scope(&self, name: Name) -> bool {
        self.has_in(Open::bounds_scope, |open| open.is(name))
    }

    pub(super) fn in_table_scope(&self, is_it: impl Fn(Name) -> bool) -> bool {
        let bounds = |open: &Open| open.space == Space::Html && bounds_table_scope(open.name);
        self.has_in(bounds, |open| open.space == Space::Html && is_it(open.name))
    }

    pub(super) fn close_implied(&mut self, except: Option<Name>) {
        while let Some(open) = self.open.last() {
            let implied = open.space == Space::Html && is_implied(open.name);
            if !implied || Some(open.name) == except {
                break;
            }
            self.pop();
        }
    }

    pub(super) fn close_paragraph(&mut self) {
        if self.paragraphs == 0 {
            return;
        }
        let bounds = |open: &Open| open.bounds_scope() || open.is(Name::BUTTON);
        if self.has_in(bounds, |open| open.is(Name::P)) {
            self.close_implied(Some(Name::P));
            self.pop_until(Name::P);
        }
    }
}
