//! From a node along an axis (XPath 1.0, 2.2 and 2.3).

use super::tree::{Axis, Test};
use crate::page::extract::dom::{Id, Kind, NONE, Page, ROOT};
use crate::page::extract::names::Name;

/// A node of the page as XPath has them: the document, an element, a text, a comment, or an
/// attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spot {
    /// The node, or the element that an attribute is of.
    pub id: Id,
    /// 0, or the number of an attribute, from 1.
    pub attribute: u32,
}

/// Where an expression is looked at: a node, its place among others, and how many these are.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// The node.
    pub spot: Spot,
    /// From 1.
    pub place: usize,
    pub count: usize,
}

/// No steps are left.
#[derive(Debug)]
pub struct Spent;

/// Which nodes pass, looked up in the names of the page.
#[derive(Debug, Clone, Copy)]
pub enum Passes<'e> {
    Any,
    /// Elements or attributes.
    Named,
    /// Elements of this name.
    Name(Name),
    /// Attributes of this name.
    Attribute(&'e str),
    Text,
    Comment,
    /// None: the page has nothing of this name.
    Nothing,
}

impl Spot {
    /// A node that is no attribute.
    pub fn node(id: Id) -> Spot {
        Spot { id, attribute: 0 }
    }
}

impl<'e> Passes<'e> {
    /// What a test lets pass on an axis.
    pub fn new(page: Page<'_>, axis: Axis, test: &'e Test) -> Passes<'e> {
        match test {
            Test::Any => Passes::Any,
            Test::Named => Passes::Named,
            Test::Text => Passes::Text,
            Test::Comment => Passes::Comment,
            Test::Name(name) if axis == Axis::Attribute => Passes::Attribute(name),
            Test::Name(name) => page
                .tree
                .names
                .known(name)
                .map_or(Passes::Nothing, Passes::Name),
        }
    }

    /// True when a node that is no attribute passes.
    fn node(self, page: Page<'_>, id: Id) -> bool {
        match self {
            Passes::Any => match page.node(id).kind {
                Kind::Element | Kind::Document => true,
                Kind::Text | Kind::Verbatim => page.begins_text(id),
                Kind::Comment => page.is_comment(id),
            },
            Passes::Named => page.is_element(id),
            Passes::Name(name) => page.node(id).name == name && page.is_element(id),
            Passes::Text => page.begins_text(id),
            Passes::Comment => page.is_comment(id),
            Passes::Attribute(_) | Passes::Nothing => false,
        }
    }
}

/// Tells all nodes that pass, the nearest first, until it is enough.
pub fn walk(
    page: Page<'_>,
    from: Spot,
    axis: Axis,
    passes: Passes<'_>,
    tell: &mut dyn FnMut(Spot) -> Result<bool, Spent>,
) -> Result<(), Spent> {
    let Spot { id, attribute } = from;
    let mut visit = |id: Id| {
        if !page.step(1) {
            Err(Spent)
        } else if passes.node(page, id) {
            tell(Spot::node(id))
        } else {
            Ok(true)
        }
    };
    // Follows one direction until it ends.
    let mut follow = |mut at: Id, next: &dyn Fn(Id) -> Id| {
        while at != NONE && visit(at)? {
            at = next(at);
        }
        Ok(())
    };
    let parent = |id: Id| page.node(id).parent;
    if attribute > 0 {
        return match axis {
            Axis::Itself | Axis::DescendantOrSelf => match passes {
                Passes::Any => tell(from).map(|_| ()),
                _ => Ok(()),
            },
            Axis::AncestorOrSelf if matches!(passes, Passes::Any) => {
                if tell(from)? {
                    walk(page, Spot::node(id), axis, passes, tell)?;
                }
                Ok(())
            }
            Axis::Parent => walk(page, Spot::node(id), Axis::Itself, passes, tell),
            Axis::Ancestor | Axis::AncestorOrSelf => {
                walk(page, Spot::node(id), Axis::AncestorOrSelf, passes, tell)
            }
            Axis::Following | Axis::Preceding => walk(page, Spot::node(id), axis, passes, tell),
            _ => Ok(()),
        };
    }
    match axis {
        Axis::Itself => visit(id).map(|_| ()),
        // The trees of libxml2, for which most expressions are written, have no `tbody` that the page
        // does not: `//table/tr`.
        Axis::Child if is_rows(page, id, passes) => follow(page.node(id).first, &|at| {
            let node = page.node(at);
            match node.first {
                first if first != NONE && node.name == Name::TBODY => first,
                _ if node.next == NONE && node.parent != id => page.node(node.parent).next,
                _ => node.next,
            }
        }),
        Axis::Child => follow(page.node(id).first, &|at| page.node(at).next),
        Axis::Parent => match parent(id) {
            NONE => Ok(()),
            parent => visit(parent).map(|_| ()),
        },
        Axis::Ancestor => follow(parent(id), &parent),
        Axis::AncestorOrSelf => follow(id, &parent),
        Axis::Descendant => follow(page.following(id, id), &|at| page.following(at, id)),
        Axis::DescendantOrSelf => follow(id, &|at| page.following(at, id)),
        Axis::FollowingSibling => follow(page.node(id).next, &|at| page.node(at).next),
        Axis::PrecedingSibling => follow(page.node(id).before, &|at| page.node(at).before),
        Axis::Following => follow(page.behind(id, ROOT), &|at| page.following(at, ROOT)),
        Axis::Preceding => {
            // What it is in does not precede it.
            let mut around = parent(id);
            let before = |at: Id| match page.node(at).before {
                NONE => parent(at),
                mut at => {
                    while page.node(at).last != NONE {
                        at = page.node(at).last;
                    }
                    at
                }
            };
            let mut at = before(id);
            while at != NONE {
                if at == around {
                    around = parent(at);
                    if !page.step(1) {
                        return Err(Spent);
                    }
                } else if !visit(at)? {
                    break;
                }
                at = before(at);
            }
            Ok(())
        }
        Axis::Attribute => attributes(page, id, passes, tell),
    }
}

/// True when the rows of a table are asked for.
fn is_rows(page: Page<'_>, id: Id, passes: Passes<'_>) -> bool {
    matches!(passes, Passes::Name(Name::TR)) && page.node(id).name == Name::TABLE
}

fn attributes(
    page: Page<'_>,
    id: Id,
    passes: Passes<'_>,
    tell: &mut dyn FnMut(Spot) -> Result<bool, Spent>,
) -> Result<(), Spent> {
    if !page.is_element(id) {
        return Ok(());
    }
    for (n, (name, _)) in page.attributes(id).enumerate() {
        // Those before it are gone through again.
        if !page.step(1 + n) {
            return Err(Spent);
        }
        let is_it = match passes {
            Passes::Any | Passes::Named => {
                let mut before = page.attributes(id).take(n);
                // The first of a name counts.
                !before.any(|(other, _)| other.eq_ignore_ascii_case(name))
            }
            Passes::Attribute(wanted) => name.eq_ignore_ascii_case(wanted.as_bytes()),
            _ => false,
        };
        if is_it {
            let attribute = n as u32 + 1;
            let goes_on = tell(Spot { id, attribute })?;
            if !goes_on || matches!(passes, Passes::Attribute(_)) {
                break;
            }
        }
    }
    Ok(())
}
