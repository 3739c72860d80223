//! End tags that close what is innermost, as nearly all do: told by one look at the page, without
//! reading a name.

use super::FREE_OPEN;
use super::builder::{Builder, Mode};
use crate::page::extract::dom::Space;
use crate::page::extract::names::{KNOWN, Name};
use crate::page::extract::sets::{is_formatting, is_table_part};

/// What stands behind `</` in such a tag, `name>`, as a word, and which bytes of a word that are.
#[derive(Debug, Clone, Copy)]
struct EndTag {
    text: u64,
    mask: u64,
}

/// By the numbers of names. Names that are longer than this looks at can never be met.
static END_TAGS: [EndTag; KNOWN.len()] = end_tags();

const fn end_tags() -> [EndTag; KNOWN.len()] {
    let mut all = [EndTag { text: 1, mask: 0 }; KNOWN.len()];
    let mut number = 0;
    while number < KNOWN.len() {
        let name = KNOWN[number].as_bytes();
        if name.len() < size_of::<u64>() && only_closes(Name(number as u16)) {
            let mut bytes = [0; size_of::<u64>()];
            let mut i = 0;
            while i < name.len() {
                bytes[i] = name[i];
                i += 1;
            }
            bytes[name.len()] = b'>';
            all[number] = EndTag {
                text: u64::from_le_bytes(bytes),
                mask: u64::MAX >> (8 * (bytes.len() - 1 - name.len())),
            };
        }
        number += 1;
    }
    all
}

/// True when the end tag of the innermost element does nothing but close it, in a body.
const fn only_closes(name: Name) -> bool {
    !is_table_part(name)
        && !matches!(
            name,
            Name::APPLET
                | Name::BODY
                | Name::FORM
                | Name::HEAD
                | Name::HTML
                | Name::MARQUEE
                | Name::OBJECT
                | Name::TABLE
                | Name::TEMPLATE
        )
}

impl Builder<'_, '_> {
    /// Closes the innermost element when the page goes on so behind a `</`; returns where it goes on
    /// behind the tag. `None`: another end tag, or one that is written in an unusual way.
    #[inline]
    pub(super) fn close_innermost(&mut self, at: usize) -> Option<usize> {
        let word = u64::from_le_bytes(*self.html.get(at..)?.first_chunk()?);
        let [_, .., open] = self.open[..] else {
            return None;
        };
        let tag = END_TAGS.get(usize::from(open.name.0))?;
        let is_in_body = matches!(self.mode, Mode::InBody | Mode::InCell | Mode::InCaption);
        if word & tag.mask != tag.text
            || open.space != Space::Html
            || !is_in_body
            || self.over > 0
            || self.open.len() + self.list.len() > FREE_OPEN
        {
            return None;
        }
        if is_formatting(open.name) {
            self.list.pop_if(|entry| entry.id == open.id)?;
        }
        self.open.pop();
        self.paragraphs -= u32::from(open.name == Name::P);
        self.skip_newline = false;
        self.after_body = false;
        Some(at + tag.mask.count_ones() as usize / 8)
    }
}
