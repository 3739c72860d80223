//! What an XPath expression is worth at a node of a page.

use std::time::Instant;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::axis::{Here, Passes, Spent, Spot, walk};
use super::function::call;
use super::tree::*;
use super::value::{Value, number_of, text_of};
use crate::page::extract::dom::{Page, ROOT};

/// Texts that are compared take no more memory.
const MAX_BYTES: usize = 64 << 20;

/// The value of an expression. Each node that is looked at takes a step of the page's.
///
/// # Errors
/// No steps are left.
pub fn value(page: Page<'_>, expr: &Expr, here: Here) -> Result<Value, Spent> {
    Ok(match expr {
        Expr::Number(number) => Value::Number(*number),
        Expr::Text(text) => Value::Text(text.clone()),
        Expr::Or(all) => {
            for expr in all {
                if truth(page, expr, here)? {
                    return Ok(Value::Truth(true));
                }
            }
            Value::Truth(false)
        }
        Expr::And(all) => {
            for expr in all {
                if !truth(page, expr, here)? {
                    return Ok(Value::Truth(false));
                }
            }
            Value::Truth(true)
        }
        Expr::Compare(how, a, b) => {
            let (a, b) = (value(page, a, here)?, value(page, b, here)?);
            Value::Truth(compare(page, *how, &a, &b)?)
        }
        Expr::Reckon(how, a, b) => {
            let a = value(page, a, here)?.number(page)?;
            let b = value(page, b, here)?.number(page)?;
            Value::Number(match how {
                Reckoning::Plus => a + b,
                Reckoning::Minus => a - b,
                Reckoning::Times => a * b,
                Reckoning::Div => a / b,
                Reckoning::Mod => a % b,
            })
        }
        Expr::Negate(a) => Value::Number(-value(page, a, here)?.number(page)?),
        Expr::Union(all) => {
            let mut nodes = Vec::new();
            for expr in all {
                nodes.append(&mut value(page, expr, here)?.nodes());
            }
            in_order(page, &mut nodes)?;
            Value::Nodes(nodes)
        }
        Expr::Path(path) => Value::Nodes(follow(page, path, here)?),
        Expr::Call(function, arguments) => {
            let argument = |n: usize| match arguments.get(n) {
                Some(expr) => value(page, expr, here),
                None => Ok(Value::Nodes(vec![here.spot])),
            };
            call(page, *function, (arguments.len(), &argument), here)?
        }
        Expr::Matches(text, pattern) => {
            let text = value(page, text, here)?.text(page)?;
            let begun = pattern.goes_back().then(Instant::now);
            let matches = pattern.is_match(&text);
            // A step takes about ten nanoseconds; what cannot be told takes all of them.
            let taken = match (matches, begun) {
                (Err(_), _) => usize::MAX,
                (Ok(_), Some(begun)) => (begun.elapsed().as_nanos() / 10) as usize,
                (Ok(_), None) => 0,
            };
            match (matches, page.step(taken)) {
                (Ok(matches), true) => Value::Truth(matches),
                _ => return Err(Spent),
            }
        }
    })
}

fn truth(page: Page<'_>, expr: &Expr, here: Here) -> Result<bool, Spent> {
    Ok(value(page, expr, here)?.truth())
}

/// The nodes that a path leads to, in the page's order.
fn follow(page: Page<'_>, path: &Path, here: Here) -> Result<Vec<Spot>, Spent> {
    let mut nodes = match &path.start {
        Start::Root => vec![Spot::node(ROOT)],
        Start::Here => vec![here.spot],
        Start::Of(expr, predicates) => {
            let mut nodes = value(page, expr, here)?.nodes();
            for predicate in predicates {
                nodes = holding(page, predicate, nodes)?;
            }
            nodes
        }
    };
    for step in &path.steps {
        nodes = go(page, step, &nodes)?;
    }
    Ok(nodes)
}

/// The nodes that one step leads to, in the page's order.
fn go(page: Page<'_>, step: &Step, from: &[Spot]) -> Result<Vec<Spot>, Spent> {
    let passes = Passes::new(page, step.axis, &step.test);
    if let Passes::Nothing = passes {
        return Ok(Vec::new());
    }
    let of_place = step
        .predicates
        .iter()
        .any(|predicate| predicate.is_of_place);
    let mut found = Vec::new();
    let mut seen = HashSet::with_hasher(RandomState::default());
    let meets =
        from.len() > 1 && !matches!(step.axis, Axis::Child | Axis::Attribute | Axis::Itself);
    // Behind the last node that was walked through.
    let mut end = 0;
    for spot in from {
        if of_place {
            let nodes = with_places(page, step, passes, *spot)?;
            found.extend(
                nodes
                    .into_iter()
                    .filter(|node| !meets || seen.insert(*node)),
            );
            continue;
        }
        if meets
            && matches!(step.axis, Axis::Descendant | Axis::DescendantOrSelf)
            && spot.attribute == 0
        {
            // All that is in it was found with what it is in.
            if page.rank(spot.id) < end {
                continue;
            }
            end = page.rank_behind(spot.id);
        }
        walk(page, *spot, step.axis, passes, &mut |node| {
            let here = Here {
                spot: node,
                place: 1,
                count: 1,
            };
            for predicate in &step.predicates {
                if !truth(page, &predicate.expr, here)? {
                    return Ok(true);
                }
            }
            if !meets || seen.insert(node) {
                found.push(node);
            }
            Ok(true)
        })?;
    }
    in_order(page, &mut found)?;
    Ok(found)
}

/// The nodes that a step leads to from one node, where predicates ask for places.
fn with_places(
    page: Page<'_>,
    step: &Step,
    passes: Passes<'_>,
    from: Spot,
) -> Result<Vec<Spot>, Spent> {
    // `[1]` needs no more than the first.
    let most = match &step.predicates[0].expr {
        Expr::Number(place) if *place >= 1.0 => *place as usize,
        _ => usize::MAX,
    };
    let mut nodes = Vec::new();
    walk(page, from, step.axis, passes, &mut |node| {
        nodes.push(node);
        Ok(nodes.len() < most)
    })?;
    for predicate in &step.predicates {
        nodes = holding(page, predicate, nodes)?;
    }
    Ok(nodes)
}

/// Those of the nodes for which a predicate holds.
fn holding(page: Page<'_>, predicate: &Predicate, nodes: Vec<Spot>) -> Result<Vec<Spot>, Spent> {
    let count = nodes.len();
    let mut holding = Vec::new();
    for (n, spot) in nodes.into_iter().enumerate() {
        let place = n + 1;
        let here = Here { spot, place, count };
        let holds = match value(page, &predicate.expr, here)? {
            Value::Number(number) => number == place as f64,
            value => value.truth(),
        };
        if !page.step(1) {
            return Err(Spent);
        }
        if holds {
            holding.push(spot);
        }
    }
    Ok(holding)
}

/// Puts nodes in the page's order, each once.
fn in_order(page: Page<'_>, nodes: &mut Vec<Spot>) -> Result<(), Spent> {
    let key = |spot: &Spot| (page.rank(spot.id), spot.attribute);
    if nodes.is_sorted_by(|a, b| key(a) < key(b)) {
        return Ok(());
    }
    // To sort is to look at each a few times more.
    if !page.step(4 * nodes.len()) {
        return Err(Spent);
    }
    nodes.sort_unstable_by_key(key);
    nodes.dedup();
    Ok(())
}

/// True when a comparison holds, for nodes when it does for one of them (3.4).
fn compare(page: Page<'_>, how: Comparison, a: &Value, b: &Value) -> Result<bool, Spent> {
    let is_truth = |value: &Value| matches!(value, Value::Truth(_));
    let of_order = !matches!(how, Comparison::Equal | Comparison::Unequal);
    if is_truth(a) || is_truth(b) {
        // To be more or less, texts count as numbers even beside a truth.
        let number = |value: &Value| match value {
            Value::Text(text) if of_order => number_of(text),
            Value::Number(number) if of_order => *number,
            value => f64::from(value.truth()),
        };
        return Ok(holds(how, number(a), number(b)));
    }
    let each = |value: &Value| match value {
        Value::Nodes(nodes) => texts_of(page, nodes),
        Value::Text(text) => Ok(vec![text.clone()]),
        Value::Number(_) | Value::Truth(_) => Ok(Vec::new()),
    };
    let by_number = matches!(a, Value::Number(_)) || matches!(b, Value::Number(_)) || of_order;
    if !by_number {
        let (a, b): (Vec<String>, Vec<String>) = (each(a)?, each(b)?);
        return any_pair(page, &a, &b, |a, b| (a == b) == (how == Comparison::Equal));
    }
    let numbers = |value: &Value| match value {
        Value::Number(number) => Ok(vec![*number]),
        value => {
            let texts: Vec<String> = each(value)?;
            Ok(texts.iter().map(|text| number_of(text)).collect())
        }
    };
    let (a, b) = (numbers(a)?, numbers(b)?);
    any_pair(page, &a, &b, |a, b| holds(how, *a, *b))
}

/// The texts of nodes; those of nodes within others are there several times.
fn texts_of(page: Page<'_>, nodes: &[Spot]) -> Result<Vec<String>, Spent> {
    let (mut texts, mut bytes) = (Vec::new(), 0);
    for node in nodes {
        let text = text_of(page, *node)?;
        bytes += text.len();
        if bytes > MAX_BYTES {
            page.step(usize::MAX);
            return Err(Spent);
        }
        texts.push(text);
    }
    Ok(texts)
}

fn any_pair<T>(
    page: Page<'_>,
    a: &[T],
    b: &[T],
    is_so: impl Fn(&T, &T) -> bool,
) -> Result<bool, Spent> {
    for a in a {
        if !page.step(b.len()) {
            return Err(Spent);
        }
        if b.iter().any(|b| is_so(a, b)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn holds(how: Comparison, a: f64, b: f64) -> bool {
    match how {
        Comparison::Equal => a == b,
        Comparison::Unequal => a != b,
        Comparison::Less => a < b,
        Comparison::AtMost => a <= b,
        Comparison::Greater => a > b,
        Comparison::AtLeast => a >= b,
    }
}
