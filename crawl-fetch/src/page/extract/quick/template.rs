//! Templates: what is in one belongs to no tree (13.2.6.4.18). One with parts of tables or
//! forms in it is unusual.

use super::builder::{Builder, Mode, Open, Tag};
use crate::page::extract::dom::{Kind, MAX_DEPTH, Node, Space};
use crate::page::extract::names::Name;

impl Builder<'_, '_> {
    /// What is in a template belongs to no tree.
    pub(super) fn start_template(&mut self, tag: Tag) {
        self.append(tag, Space::Html);
        if self.open.len() >= MAX_DEPTH {
            self.over += 1;
            self.outcome.is_deep = true;
            return;
        }
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

    pub(super) fn end_template(&mut self) {
        let is_template = |open: &Open| open.is(Name::TEMPLATE);
        if !self.open.iter().any(is_template) {
            return;
        }
        self.pop_through(is_template);
        self.clear_to_mark();
        self.mode = self.templates.pop().unwrap_or(Mode::InBody);
    }
}
