//! The functions of XPath (XPath 1.0, 4), parsel's `has-class()`, and EXSLT's of sets.

use super::axis::{Here, Spent, Spot};
use super::sets;
use super::tree::Function;
use super::value::{Value, attribute_of, number_of, reading, text_of};
use crate::page::extract::dom::{Page, ROOT};

/// White space, as XPath has it.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The value of an argument by its place; of one that is not there, the node at hand.
type Argument<'a> = &'a dyn Fn(usize) -> Result<Value, Spent>;

/// The value of a function. The parser counted its arguments.
pub fn call(
    page: Page<'_>,
    function: Function,
    (arguments, argument): (usize, Argument<'_>),
    here: Here,
) -> Result<Value, Spent> {
    let text = |n: usize| argument(n)?.text(page);
    let number = |n: usize| argument(n)?.number(page);
    Ok(match function {
        Function::Last => Value::Number(here.count as f64),
        Function::Position => Value::Number(here.place as f64),
        Function::Count => Value::Number(argument(0)?.nodes().len() as f64),
        Function::Id => Value::Nodes(by_ids(page, argument(0)?)?),
        Function::Name => {
            let first = argument(0)?.nodes().first().copied();
            Value::Text(first.map(|spot| name(page, spot)).unwrap_or_default())
        }
        Function::String => Value::Text(text(0)?),
        Function::Concat => {
            let mut all = String::new();
            for n in 0..arguments {
                all.push_str(&text(n)?);
                reading(page, &all)?;
            }
            Value::Text(all)
        }
        Function::StartsWith => Value::Truth(text(0)?.starts_with(&text(1)?)),
        Function::Contains => Value::Truth(text(0)?.contains(&text(1)?)),
        Function::SubstringBefore => {
            let (all, part) = (text(0)?, text(1)?);
            let at = all.find(&part).unwrap_or(0);
            Value::Text(all[..at].to_owned())
        }
        Function::SubstringAfter => {
            let (all, part) = (text(0)?, text(1)?);
            let behind = all.find(&part).map(|at| at + part.len());
            Value::Text(all[behind.unwrap_or(all.len())..].to_owned())
        }
        Function::Substring => {
            let start = round(number(1)?);
            let end = match arguments {
                3 => start + round(number(2)?),
                _ => f64::INFINITY,
            };
            let chars = text(0)?;
            let chars = chars.chars().zip(1_u32..);
            let chars = chars.filter(|(_, place)| {
                let place = f64::from(*place);
                place >= start && place < end
            });
            Value::Text(chars.map(|(c, _)| c).collect())
        }
        Function::StringLength => Value::Number(text(0)?.chars().count() as f64),
        Function::NormalizeSpace => {
            let text = text(0)?;
            let words = text.split(BLANKS).filter(|word| !word.is_empty());
            Value::Text(words.collect::<Vec<_>>().join(" "))
        }
        Function::Translate => {
            let (text, from, to) = (text(0)?, text(1)?, text(2)?);
            if !page.step(text.len().saturating_mul(from.len()) / 16) {
                return Err(Spent);
            }
            translate(&text, &from, &to)
        }
        Function::Boolean => Value::Truth(argument(0)?.truth()),
        Function::Not => Value::Truth(!argument(0)?.truth()),
        Function::True => Value::Truth(true),
        Function::False => Value::Truth(false),
        Function::Number => Value::Number(number(0)?),
        Function::Sum => {
            let mut sum = 0.0;
            for node in argument(0)?.nodes() {
                sum += number_of(&text_of(page, node)?);
            }
            Value::Number(sum)
        }
        Function::Floor => Value::Number(number(0)?.floor()),
        Function::Ceiling => Value::Number(number(0)?.ceil()),
        Function::Round => Value::Number(round(number(0)?)),
        Function::HasClass => {
            let Spot { id, attribute } = here.spot;
            if attribute > 0 || !page.is_element(id) {
                return Ok(Value::Truth(false));
            }
            let Some(classes) = page.attribute(id, "class") else {
                return Ok(Value::Truth(false));
            };
            let classes: Vec<&str> = classes.split_ascii_whitespace().collect();
            // As in parsel, "a b" are two that follow each other.
            let classes = format!(" {} ", classes.join(" "));
            for n in 0..arguments {
                if !classes.contains(&format!(" {} ", text(n)?)) {
                    return Ok(Value::Truth(false));
                }
            }
            Value::Truth(true)
        }
        Function::SetDistinct => Value::Nodes(sets::distinct(page, argument(0)?.nodes())?),
        Function::SetDifference
        | Function::SetHasSameNode
        | Function::SetIntersection
        | Function::SetLeading
        | Function::SetTrailing => {
            let (all, others) = (argument(0)?.nodes(), argument(1)?.nodes());
            if !page.step(all.len() + others.len()) {
                return Err(Spent);
            }
            match function {
                Function::SetDifference => Value::Nodes(sets::without(all, &others)),
                Function::SetHasSameNode => Value::Truth(!sets::shared(all, &others).is_empty()),
                Function::SetIntersection => Value::Nodes(sets::shared(all, &others)),
                Function::SetLeading => Value::Nodes(sets::before(all, &others)),
                _ => Value::Nodes(sets::behind(all, &others)),
            }
        }
    })
}

/// Half goes up.
fn round(number: f64) -> f64 {
    (number + 0.5).floor()
}

fn name(page: Page<'_>, spot: Spot) -> String {
    match attribute_of(page, spot) {
        Some((name, _)) => String::from_utf8_lossy(name).to_ascii_lowercase(),
        None if page.is_element(spot.id) => page.name(spot.id).to_owned(),
        None => String::new(),
    }
}

/// The first element of each of these ids.
fn by_ids(page: Page<'_>, ids: Value) -> Result<Vec<Spot>, Spent> {
    let mut wanted = Vec::new();
    match ids {
        Value::Nodes(nodes) => {
            for node in nodes {
                wanted.push(text_of(page, node)?);
            }
        }
        value => wanted.push(value.text(page)?),
    }
    let mut wanted: Vec<&str> = wanted.iter().flat_map(|text| text.split(BLANKS)).collect();
    wanted.retain(|id| !id.is_empty());
    let mut found = Vec::new();
    for id in page.walk(ROOT) {
        if !page.step(1 + wanted.len()) {
            return Err(Spent);
        }
        if page.is_element(id)
            && let Some(own) = page.attribute(id, "id")
            && wanted.contains(&&*own)
        {
            wanted.retain(|id| *id != own);
            found.push(Spot::node(id));
        }
    }
    Ok(found)
}

/// Each character of `from` becomes that at its place in `to`, or nothing.
fn translate(text: &str, from: &str, to: &str) -> Value {
    let to: Vec<char> = to.chars().collect();
    let chars = text
        .chars()
        .filter_map(|c| match from.chars().position(|other| other == c) {
            Some(place) => to.get(place).copied(),
            None => Some(c),
        });
    Value::Text(chars.collect())
}
