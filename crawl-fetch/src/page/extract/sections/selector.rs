//! Selectors, as a spider file writes them.

use crawl_ckpt::node::{Complaint, Node};

use crate::page::extract::css::Css;
use crate::page::extract::xpath::XPath;

/// A CSS selector.
pub fn css(node: &Node<'_>) -> Result<Css, Complaint> {
    parsed(node, "a CSS selector", Css::parse)
}

/// An XPath expression.
pub fn xpath(node: &Node<'_>) -> Result<XPath, Complaint> {
    parsed(node, "an XPath expression", XPath::parse)
}

fn parsed<T>(
    node: &Node<'_>,
    what: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<T, Complaint> {
    parse(node.string(what)?).map_err(|why| {
        let found = node.value();
        node.complaint(format_args!("expected {what}, found {found}: {why}"))
    })
}
