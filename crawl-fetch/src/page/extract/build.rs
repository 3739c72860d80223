//! From a page's text to its tree: the quick builder's, or the complete one's where that gives up.

use super::dom::Tree;
use super::{full, quick};

/// Memory for one page at a time.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(super) tree: Tree,
    pub(super) source: Vec<u8>,
    pub(super) json: String,
}

/// Builds the tree of a page; returns the bytes that it points into.
pub fn build<'h>(html: &'h str, tree: &mut Tree, source: &'h mut Vec<u8>) -> &'h [u8] {
    tree.budget.renew();
    let usual = quick::parse(html.as_bytes(), tree, false);
    if !usual.is_unusual {
        tree.is_deep = usual.is_deep;
        return html.as_bytes();
    }
    // The complete builder searches all that is open for most tags.
    let lenient = |tree: &mut Tree| quick::parse(html.as_bytes(), tree, true).is_deep;
    if !lenient(tree) {
        if full::parse(html, tree, source) {
            return source;
        }
        lenient(tree);
    }
    tree.is_deep = true;
    html.as_bytes()
}
