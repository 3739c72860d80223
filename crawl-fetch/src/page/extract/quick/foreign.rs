//! In SVG and MathML (13.2.6.5).

use super::builder::{Builder, Flow, ON, Tag};
use crate::page::extract::attributes::Attributes;
use crate::page::extract::dom::Space;
use crate::page::extract::names::Name;
use crate::page::extract::sets::*;

impl Builder<'_, '_> {
    pub(super) fn start_foreign(&mut self, tag: Tag) -> Flow {
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

    pub(super) fn insert_foreign(&mut self, tag: Tag, space: Space) {
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

    fn leave_foreign(&mut self) {
        while !takes_html(self.current().space, self.current().name) {
            self.pop();
        }
    }

    pub(super) fn end_foreign(&mut self, name: Name) -> Flow {
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
