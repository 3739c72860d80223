//! Values of XPath expressions, and what they are as values of another kind (XPath 1.0, 4).

use super::axis::{Spent, Spot};
use crate::page::extract::attributes::decoded;
use crate::page::extract::dom::{NONE, Page};

#[derive(Debug, Clone)]
pub enum Value {
    /// Nodes in the page's order.
    Nodes(Vec<Spot>),
    Number(f64),
    Text(String),
    /// True or false.
    Truth(bool),
}

impl Value {
    /// As nodes; the parser saw to it that it is some where nodes are asked for.
    pub fn nodes(self) -> Vec<Spot> {
        match self {
            Value::Nodes(nodes) => nodes,
            _ => Vec::new(),
        }
    }

    /// As a text: of nodes that of the first.
    pub fn text(self, page: Page<'_>) -> Result<String, Spent> {
        Ok(match self {
            Value::Nodes(nodes) => match nodes.first() {
                Some(node) => text_of(page, *node)?,
                None => String::new(),
            },
            Value::Number(number) => number_as_text(number),
            Value::Text(text) => text,
            Value::Truth(truth) => truth.to_string(),
        })
    }

    pub fn number(self, page: Page<'_>) -> Result<f64, Spent> {
        Ok(match self {
            Value::Number(number) => number,
            Value::Truth(truth) => f64::from(truth),
            value => number_of(&value.text(page)?),
        })
    }

    /// As true or false.
    pub fn truth(&self) -> bool {
        match self {
            Value::Nodes(nodes) => !nodes.is_empty(),
            Value::Number(number) => *number != 0.0 && !number.is_nan(),
            Value::Text(text) => !text.is_empty(),
            Value::Truth(truth) => *truth,
        }
    }
}

/// All text of a node, however deep in it.
pub fn text_of(page: Page<'_>, spot: Spot) -> Result<String, Spent> {
    let mut text = String::new();
    if spot.attribute > 0 {
        if !page.step(spot.attribute as usize) {
            return Err(Spent);
        }
        text.push_str(
            &attribute_of(page, spot)
                .map(|(_, value)| decoded(value))
                .unwrap_or_default(),
        );
    } else if page.is_text(spot.id) {
        page.whole_text(spot.id, &mut text);
    } else if page.is_comment(spot.id) {
        text.push_str(&page.text(spot.id));
    } else {
        let mut at = spot.id;
        while at != NONE {
            if !page.step(1) {
                return Err(Spent);
            }
            if page.is_text(at) {
                text.push_str(&page.text(at));
            }
            at = page.following(at, spot.id);
        }
    }
    reading(page, &text)?;
    Ok(text)
}

/// Takes the steps for a text that was read: sixteen bytes or so take the time of one.
pub fn reading(page: Page<'_>, text: &str) -> Result<(), Spent> {
    if page.step(text.len() / 16) {
        Ok(())
    } else {
        Err(Spent)
    }
}

/// Name and value of an attribute, as they are written.
pub fn attribute_of<'p>(page: Page<'p>, spot: Spot) -> Option<(&'p [u8], &'p [u8])> {
    page.attributes(spot.id)
        .nth(spot.attribute.checked_sub(1)? as usize)
}

/// The number that is written so: digits with a point and a minus alone.
pub fn number_of(text: &str) -> f64 {
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    if is_number {
        text.parse().unwrap_or(f64::NAN)
    } else {
        f64::NAN
    }
}

fn number_as_text(number: f64) -> String {
    match number {
        n if n.is_nan() => "NaN".into(),
        n if n.is_infinite() => if n > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        0.0 => "0".into(),
        n => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_with_a_point_and_a_minus() {
        for (text, number) in [(" 12\n", 12.0), ("-.5", -0.5), ("1.", 1.0), ("007", 7.0)] {
            assert_eq!(number_of(text), number, "{text}");
        }
        for text in ["", "1e3", "+1", "1,5", "$3", "- 1", "inf", ".", "1.2.3"] {
            assert!(number_of(text).is_nan(), "{text}");
        }
        assert_eq!(number_as_text(3.0), "3");
        assert_eq!(number_as_text(-0.0), "0");
        assert_eq!(number_as_text(0.1), "0.1");
    }
}
