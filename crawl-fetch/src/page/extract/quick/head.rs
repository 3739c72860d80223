//! Before the body: from the first tag over `html` and `head`, which need no tags of their
//! own, to `body` (13.2.6.4.1 to 6).

use std::ops::ControlFlow;

use super::builder::{Builder, DONE, Flow, FlowTo, Mode, ON, Open, Tag};
use crate::page::extract::dom::Space;
use crate::page::extract::names::Name;
use crate::page::extract::sets::is_of_head;

impl Builder<'_, '_> {
    #[cold]
    pub(super) fn start_before_body(&mut self, tag: Tag) -> FlowTo {
        let name = tag.name;
        if matches!(self.mode, Mode::Initial | Mode::BeforeHtml) {
            self.mode = Mode::BeforeHead;
            if name == Name::HTML {
                self.insert(tag);
                return DONE;
            }
            self.phantom(Name::HTML);
        }
        if name == Name::HTML {
            self.merge_attributes(self.open[0].id, tag);
            return DONE;
        }
        if self.mode == Mode::BeforeHead {
            self.mode = Mode::InHead;
            if name == Name::HEAD {
                self.head = self.insert(tag);
                return DONE;
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
                Name::HEAD | Name::NOSCRIPT => return DONE,
                _ => {}
            }
            self.pop();
            self.mode = Mode::InHead;
        }
        if name == Name::HEAD {
            return DONE;
        }
        if self.mode == Mode::InHead {
            if is_of_head(name) {
                return self.start_of_head(tag);
            }
            if name == Name::NOSCRIPT {
                self.insert(tag);
                self.mode = Mode::InHeadNoscript;
                return DONE;
            }
            self.pop();
            self.mode = Mode::AfterHead;
        }
        match name {
            Name::BODY => {
                self.insert(tag);
                self.mode = Mode::InBody;
                DONE
            }
            Name::FRAMESET => {
                self.unusual()?;
                DONE
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

    pub(super) fn start_of_head(&mut self, tag: Tag) -> FlowTo {
        match tag.name {
            Name::TITLE | Name::STYLE | Name::SCRIPT | Name::NOFRAMES => {
                ControlFlow::Continue(Some(self.raw(tag)?))
            }
            Name::TEMPLATE => {
                self.start_template(tag);
                DONE
            }
            _ => {
                self.append(tag, Space::Html);
                DONE
            }
        }
    }

    #[cold]
    pub(super) fn end_before_body(&mut self, name: Name) -> Flow {
        if self.mode == Mode::Initial {
            self.mode = Mode::BeforeHtml;
        }
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

    /// Opens what of html, head and body is not there yet.
    pub(super) fn reach_body(&mut self) -> Flow {
        if matches!(self.mode, Mode::Initial | Mode::BeforeHtml) {
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
