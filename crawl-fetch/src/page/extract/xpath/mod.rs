//! XPath 1.0 over the tree of a page, with parsel's `re:test()`, `has-class()`
//! and functions of sets.
//!
//! Names of elements and attributes count in any case, as in a browser. There are no namespaces,
//! no variables and no comments. Axes are walked by loops, so that only the expression's own
//! nesting, which is bounded, takes stack; every node looked at takes one of the page's steps.

mod axis;
mod eval;
mod function;
mod lex;
mod parse;
mod sets;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use axis::{Here, Spot};
use value::Value;

use super::dom::{Id, NONE, Page, ROOT};

/// An expression.
#[derive(Debug, Clone)]
pub struct XPath {
    expr: tree::Expr,
}

/// What an expression finds.
#[derive(Debug, Clone, PartialEq)]
pub enum XPathMatch<'p> {
    /// The document, an element or a text.
    Node(Id),
    /// An attribute's value, as it is written.
    Attribute(&'p [u8]),
    /// A number, a text or a truth, as parsel writes them.
    Value(String),
}

impl XPath {
    /// Reads an expression.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<XPath, String> {
        parse::parse(text).map(|expr| XPath { expr })
    }

    /// False when it finds texts, attributes or plain values.
    pub fn is_of_elements(&self) -> bool {
        self.expr.is_of_elements()
    }

    /// All that it finds from a node on, in the page's order; nothing when the page has no steps
    /// left for it. From the document it starts at `html`, as in lxml.
    pub fn find<'p>(&self, page: Page<'p>, from: Id) -> Vec<XPathMatch<'p>> {
        let mut children = std::iter::successors(Some(page.node(from).first), |at| {
            Some(*at)
                .filter(|at| *at != NONE)
                .map(|at| page.node(at).next)
        });
        let from = match from {
            ROOT => children.find(|at| *at != NONE && page.is_element(*at)),
            _ => None,
        }
        .unwrap_or(from);
        let here = Here {
            spot: Spot::node(from),
            place: 1,
            count: 1,
        };
        let Ok(value) = eval::value(page, &self.expr, here) else {
            return Vec::new();
        };
        match value {
            Value::Nodes(nodes) => {
                let nodes = nodes.into_iter();
                let found = nodes.map(|spot| match value::attribute_of(page, spot) {
                    Some((_, value)) => XPathMatch::Attribute(value),
                    None => XPathMatch::Node(spot.id),
                });
                found.collect()
            }
            Value::Number(number) => {
                vec![XPathMatch::Value(
                    format!("{number:?}").to_ascii_lowercase(),
                )]
            }
            Value::Text(text) => vec![XPathMatch::Value(text)],
            Value::Truth(truth) => vec![XPathMatch::Value(u8::from(truth).to_string())],
        }
    }
}
