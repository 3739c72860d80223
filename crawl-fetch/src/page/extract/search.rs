//! The search for what a selector takes: CSS or XPath.

use super::css::{Css, Take};
use super::dom::{Id, Kind, Page};
use super::element::Matcher;
use super::xpath::{self, XPath};

/// A selector.
#[derive(Debug, Clone)]
pub enum Selector {
    /// Of CSS.
    Css(Css),
    /// Of XPath.
    XPath(XPath),
}

/// What a selector takes.
#[derive(Debug, Clone)]
pub enum Found<'p> {
    /// An element, or the document.
    Element(Id),
    /// A text.
    Text(Id),
    /// An attribute's value, as it is written.
    Attribute(&'p [u8]),
    /// What an expression makes of the page.
    Value(String),
}

impl Selector {
    /// Tells all that it takes in `scope`, in the page's order, until it is enough. XPath may lead
    /// out of it.
    pub fn find<'p>(&self, page: Page<'p>, scope: Id, mut tell: impl FnMut(Found<'p>) -> bool) {
        match self {
            Selector::Css(css) => find(page, css, scope, tell),
            Selector::XPath(xpath) => {
                let found = xpath
                    .find(page, scope)
                    .into_iter()
                    .map(|found| match found {
                        xpath::Found::Node(id) if page.is_text(id) => Found::Text(id),
                        xpath::Found::Node(id) => Found::Element(id),
                        xpath::Found::Attribute(value) => Found::Attribute(value),
                        xpath::Found::Value(value) => Found::Value(value),
                    });
                for found in found {
                    if !tell(found) {
                        break;
                    }
                }
            }
        }
    }
}

fn find<'p>(page: Page<'p>, css: &Css, scope: Id, mut tell: impl FnMut(Found<'p>) -> bool) {
    let mut parts: Vec<Part<'_, 'p>> = css
        .parts
        .iter()
        .map(|(list, take)| Part {
            take,
            matcher: Matcher::new(list, page, scope),
            parent: None,
        })
        .collect();
    for (met, id) in page.walk(scope).enumerate() {
        if met % 16 == 15 && !page.step(4) {
            return;
        }
        let node = page.node(id);
        for part in &mut parts {
            let found = match (part.take, node.kind) {
                (Take::Markup, Kind::Element) => {
                    part.matcher.matches(id).then_some(Found::Element(id))
                }
                (Take::Attribute(name), Kind::Element) => page
                    .raw_attribute(id, name)
                    .filter(|_| part.matcher.matches(id))
                    .map(Found::Attribute),
                (Take::Text, Kind::Text | Kind::Verbatim) => {
                    let takes = page.begins_text(id) && part.takes_texts_of(node.parent, page);
                    takes.then_some(Found::Text(id))
                }
                _ => None,
            };
            if found.is_some_and(|found| !tell(found)) {
                return;
            }
        }
    }
}

/// One of a selector's parts, at work.
struct Part<'s, 'p> {
    take: &'s Take,
    matcher: Matcher<'s, 'p>,
    /// The parent of the last text, and whether its texts are taken.
    parent: Option<(Id, bool)>,
}

impl Part<'_, '_> {
    fn takes_texts_of(&mut self, parent: Id, page: Page<'_>) -> bool {
        match self.parent {
            Some((known, takes)) if known == parent => takes,
            _ => {
                let takes = page.is_element(parent) && self.matcher.matches(parent);
                self.parent = Some((parent, takes));
                takes
            }
        }
    }
}
