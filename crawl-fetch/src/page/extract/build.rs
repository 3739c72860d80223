//! From a page's text to its tree: the quick builder's, or the complete one's where that gives up.

use serde_json::value::RawValue;

use super::dom::Tree;
use super::{full, quick};
use crate::page::marks::{Mark, Marks};

/// Memory for one page at a time.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(super) tree: Tree,
    pub(super) source: Vec<u8>,
    pub(super) json: Option<Box<RawValue>>,
}

impl Workspace {
    /// Memory that is kept for the next page.
    pub fn kept_bytes(&self) -> usize {
        let json = self.json.as_deref().map_or(0, |json| json.get().len());
        self.tree.kept_bytes() + self.source.capacity() + json
    }
}

/// Builds the tree of a page, of which there may be marks; returns the bytes that it points into.
pub fn build<'h>(
    html: &'h str,
    marks: &[Mark],
    tree: &mut Tree,
    source: &'h mut Vec<u8>,
) -> &'h [u8] {
    tree.budget.renew();
    let marks = Marks::new(marks);
    let usual = quick::parse(html.as_bytes(), marks, tree, false);
    if !usual.is_unusual {
        tree.is_deep = usual.is_deep;
        return html.as_bytes();
    }
    // The complete builder searches all that is open for most tags.
    let lenient = |tree: &mut Tree| quick::parse(html.as_bytes(), marks, tree, true).is_deep;
    if !lenient(tree) {
        if full::parse(html, tree, source) {
            return source;
        }
        lenient(tree);
    }
    tree.is_deep = true;
    html.as_bytes()
}
