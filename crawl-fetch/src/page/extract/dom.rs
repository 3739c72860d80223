//! The tree of a page: elements and texts as places in the page's own bytes, in one
//! vector that the next page uses again. Nothing is decoded before somebody asks.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::attributes::{Attributes, text_of};
use super::budget::Budget;
use super::names::{Name, Names};

/// A node's place in the tree. 0 is the document.
pub type Id = u32;

/// The document.
pub const ROOT: Id = 0;

/// No node.
pub const NONE: Id = u32::MAX;

/// What is nested deeper stands beside its parent, as in Chrome: selectors are matched by
/// calls that go as deep as elements do.
pub const MAX_DEPTH: usize = 512;

/// More `html` and `body` tags than this bring no attributes: each look for one asks them all.
pub const MAX_MORE_ATTRIBUTES: usize = 64;

/// Attributes longer than this cost steps to look at.
const FREE_BYTES: usize = 1 << 10;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The document, or the contents of a `template`, which belong to no tree.
    Document,
    /// An element; its span holds its attributes.
    Element,
    /// Text with character references.
    Text,
    /// Text without: of a script or a style, or already decoded.
    Verbatim,
    /// A comment or a declaration: only markup shows it, but it parts the texts beside it.
    Comment,
}

/// Which vocabulary an element is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Space {
    #[default]
    Html,
    Svg,
    /// MathML.
    Math,
}

/// One node: 32 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    /// The node that it is in.
    pub parent: Id,
    /// The sibling before it.
    pub before: Id,
    /// The sibling behind it.
    pub next: Id,
    /// Its first child.
    pub first: Id,
    /// Its last child.
    pub last: Id,
    /// Where its part of the page begins.
    pub start: u32,
    /// Where that ends.
    pub end: u32,
    pub name: Name,
    pub kind: Kind,
    /// An element's vocabulary.
    pub space: Space,
}

impl Node {
    /// A node in no tree.
    #[inline(always)]
    pub fn new(kind: Kind, name: Name, space: Space, start: usize, end: usize) -> Node {
        Node {
            parent: NONE,
            before: NONE,
            next: NONE,
            first: NONE,
            last: NONE,
            // Pages are at most `links::MAX_PAGE_BYTES` long.
            start: start as u32,
            end: end as u32,
            name,
            kind,
            space,
        }
    }
}

/// The nodes of a page, in the order in which they were met.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The name of each node that is an element, two bytes a node for those who look for one.
    elements: Vec<Name>,
    /// The names of its elements.
    pub names: Names,
    /// Some node does not stand in the tree where it stands in the vector.
    pub shuffled: bool,
    /// Attributes that a second `html` or `body` tag brought: the element and their place.
    pub more_attributes: Vec<(Id, u32, u32)>,
    /// Where each node stands in the page's order, once somebody asked and the tree is shuffled.
    ranks: OnceLock<Vec<u32>>,
    /// Libraries would take long to read the page as it is written.
    pub is_deep: bool,
    /// What reading it may cost.
    pub budget: Budget,
}

impl Tree {
    /// Empties it for the next page.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.elements.clear();
        self.names.clear();
        self.shuffled = false;
        self.is_deep = false;
        self.ranks.take();
        self.more_attributes.clear();
        self.push(Node::new(
            Kind::Document,
            Name::default(),
            Space::Html,
            0,
            0,
        ));
    }

    /// Memory that is kept for the next page.
    pub fn kept_bytes(&self) -> usize {
        self.nodes.capacity() * (size_of::<Node>() + size_of::<Name>())
    }

    /// Adds a node that is in no tree yet.
    // Inlined, a node is written in its place: as a copy of one that was just written elsewhere it
    // makes the processor wait, which was a sixth of a tree's time.
    #[inline(always)]
    pub fn push(&mut self, node: Node) -> Id {
        let id = self.nodes.len() as Id;
        self.elements.push(match node.kind {
            Kind::Element => node.name,
            _ => Name::NONE,
        });
        self.nodes.push(node);
        id
    }

    /// Adds a node behind all children of another.
    #[inline(always)]
    pub fn add(&mut self, parent: Id, node: Node) -> Id {
        let id = self.nodes.len() as Id;
        let above = self.edit(parent);
        let before = above.last;
        above.last = id;
        if before == NONE {
            above.first = id;
        } else {
            self.edit(before).next = id;
        }
        self.push(Node {
            parent,
            before,
            ..node
        })
    }

    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    fn edit(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// How many nodes there are.
    pub fn len(&self) -> u32 {
        self.nodes.len() as u32
    }

    /// Puts a node that is in no tree behind all children of another.
    pub fn append(&mut self, parent: Id, child: Id) {
        let last = self.node(parent).last;
        let node = self.edit(child);
        node.parent = parent;
        node.before = last;
        if last == NONE {
            self.edit(parent).first = child;
        } else {
            self.edit(last).next = child;
        }
        self.edit(parent).last = child;
    }

    /// Puts a node that is in no tree before another.
    pub fn insert_before(&mut self, sibling: Id, child: Id) {
        self.shuffled = true;
        let Node { parent, before, .. } = *self.node(sibling);
        let node = self.edit(child);
        (node.parent, node.before, node.next) = (parent, before, sibling);
        self.edit(sibling).before = child;
        if before == NONE {
            self.edit(parent).first = child;
        } else {
            self.edit(before).next = child;
        }
    }

    /// Takes a node out of the tree, with what is in it.
    pub fn detach(&mut self, id: Id) {
        let Node {
            parent,
            before,
            next,
            ..
        } = *self.node(id);
        if parent == NONE {
            return;
        }
        self.shuffled = true;
        match before {
            NONE => self.edit(parent).first = next,
            before => self.edit(before).next = next,
        }
        match next {
            NONE => self.edit(parent).last = before,
            next => self.edit(next).before = before,
        }
        let node = self.edit(id);
        (node.parent, node.before, node.next) = (NONE, NONE, NONE);
    }

    /// Moves all children of a node behind those of another; tells how many.
    pub fn move_children(&mut self, from: Id, to: Id) -> usize {
        let mut moved = 0;
        let mut child = self.node(from).first;
        while child != NONE {
            let next = self.node(child).next;
            self.detach(child);
            self.append(to, child);
            child = next;
            moved += 1;
        }
        moved
    }
}

/// A tree with the page that it is of.
#[derive(Debug, Clone, Copy)]
pub struct Page<'p> {
    /// The page, in UTF-8 or at least ASCII.
    pub html: &'p [u8],
    /// Its nodes.
    pub tree: &'p Tree,
}

impl<'p> Page<'p> {
    /// Takes steps from element to element; false when none are left.
    pub fn step(&self, steps: usize) -> bool {
        self.tree.budget.take(steps)
    }

    /// True when all steps were taken that it may cost.
    pub fn is_spent(&self) -> bool {
        self.tree.budget.is_spent()
    }

    pub fn node(&self, id: Id) -> &'p Node {
        self.tree.node(id)
    }

    pub fn name(&self, id: Id) -> &'p str {
        self.tree.names.text(self.node(id).name)
    }

    pub fn attributes(&self, id: Id) -> impl Iterator<Item = (&'p [u8], &'p [u8])> + use<'p> {
        let html = self.html;
        let span = move |start: u32, end: u32| Attributes::new(&html[start as usize..end as usize]);
        let node = self.node(id);
        let more = self.tree.more_attributes.iter();
        let more = more.filter(move |(of, ..)| *of == id);
        span(node.start, node.end).chain(more.flat_map(move |(_, start, end)| span(*start, *end)))
    }

    /// An attribute as it is written, by its name in lower case.
    pub fn raw_attribute(&self, id: Id, name: &str) -> Option<&'p [u8]> {
        let node = self.node(id);
        let bytes = (node.end - node.start) as usize;
        if bytes > FREE_BYTES && !self.tree.budget.take_bytes(bytes) {
            return None;
        }
        self.attributes(id)
            .find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }

    /// An attribute's value.
    pub fn attribute(&self, id: Id, name: &str) -> Option<Cow<'p, str>> {
        self.raw_attribute(id, name).map(super::attributes::decoded)
    }

    /// The text of a text node or a comment.
    pub fn text(&self, id: Id) -> Cow<'p, str> {
        let node = self.node(id);
        let raw = &self.html[node.start as usize..node.end as usize];
        let foreign = node.parent != NONE && self.node(node.parent).space != Space::Html;
        text_of(raw, node.kind != Kind::Text, foreign)
    }

    /// Appends one text, which goes on over the text nodes behind it; returns the node
    /// behind them.
    pub fn whole_text(&self, id: Id, out: &mut String) -> Id {
        let mut at = id;
        while at != NONE && self.is_text(at) {
            out.push_str(&self.text(at));
            at = self.node(at).next;
        }
        at
    }

    /// True for text of either kind.
    pub fn is_text(&self, id: Id) -> bool {
        matches!(self.node(id).kind, Kind::Text | Kind::Verbatim)
    }

    /// True for a text node with which a text begins.
    pub fn begins_text(&self, id: Id) -> bool {
        let before = self.node(id).before;
        self.is_text(id) && (before == NONE || !self.is_text(before))
    }

    /// True for a comment in the head or the body: beside these the builders keep some that the
    /// other does not.
    pub fn is_comment(&self, id: Id) -> bool {
        let node = self.node(id);
        let is_outside = |parent: Id| {
            let parent_node = self.node(parent);
            parent == ROOT || parent_node.name == Name::HTML && parent_node.parent == ROOT
        };
        node.kind == Kind::Comment && node.parent != NONE && !is_outside(node.parent)
    }

    /// True for an element.
    pub fn is_element(&self, id: Id) -> bool {
        self.node(id).kind == Kind::Element
    }

    /// The node behind this one in the page's order, within `scope`; `NONE` at its end.
    pub fn following(&self, id: Id, scope: Id) -> Id {
        match self.node(id).first {
            NONE => self.behind(id, scope),
            first => first,
        }
    }

    /// The same, leaving out what is in the node.
    pub fn behind(&self, mut id: Id, scope: Id) -> Id {
        while id != scope {
            let node = self.node(id);
            if node.next != NONE {
                return node.next;
            }
            if node.parent == NONE {
                break;
            }
            id = node.parent;
        }
        NONE
    }

    /// Where a node stands in the page's order; a node in no tree stands behind all.
    pub fn rank(&self, id: Id) -> u32 {
        if !self.tree.shuffled {
            return id;
        }
        let ranks = self.tree.ranks.get_or_init(|| {
            let mut ranks = vec![u32::MAX; self.tree.nodes.len()];
            for (rank, id) in self.walk(ROOT).enumerate() {
                ranks[id as usize] = rank as u32;
            }
            ranks
        });
        ranks[id as usize]
    }

    /// Where what follows a node and all that is in it stands in the page's order.
    pub fn rank_behind(&self, id: Id) -> u32 {
        match self.behind(id, ROOT) {
            NONE => u32::MAX,
            behind => self.rank(behind),
        }
    }

    /// About how many bytes of the page an element takes; 0 where that is not easy to tell.
    pub fn extent(&self, id: Id) -> usize {
        match self.behind(id, ROOT) {
            NONE => 0,
            _ if self.tree.shuffled => 0,
            behind => self.node(behind).start.saturating_sub(self.node(id).start) as usize,
        }
    }

    /// How many elements are in each other in a node, itself included.
    pub fn depth_in(&self, scope: Id) -> usize {
        let (mut depth, mut deepest, mut at) = (1, 1, scope);
        loop {
            let node = self.node(at);
            if node.first != NONE {
                at = node.first;
                depth += 1;
                deepest = deepest.max(depth);
                continue;
            }
            while at != scope && self.node(at).next == NONE {
                at = self.node(at).parent;
                depth -= 1;
            }
            if at == scope {
                return deepest;
            }
            at = self.node(at).next;
        }
    }

    /// What a template holds: a document of its own, which lies behind it.
    pub fn contents(&self, id: Id) -> Id {
        let node = self.node(id);
        let is_template = node.name == Name::TEMPLATE && node.space == Space::Html;
        let contents = self.tree.nodes.get(id as usize + 1);
        match contents {
            Some(contents) if is_template && contents.kind == Kind::Document => id + 1,
            _ => NONE,
        }
    }

    /// Tells the elements of these names in `scope` in the page's order, itself too, until it is
    /// enough or no steps are left.
    pub fn named(self, scope: Id, names: &[Name], mut tell: impl FnMut(Id) -> bool) {
        /// So many names are looked at in a step.
        const AT_ONCE: usize = 32;
        if self.tree.shuffled {
            for (met, id) in self.walk(scope).enumerate() {
                let is_wanted = names.contains(&self.tree.elements[id as usize]);
                if met % 16 == 15 && !self.step(4) || is_wanted && !tell(id) {
                    return;
                }
            }
            return;
        }
        let end = self.tree.len().min(self.rank_behind(scope));
        let elements = &self.tree.elements[scope as usize..end as usize];
        let mut first = scope;
        for chunk in elements.chunks(AT_ONCE) {
            if !self.step(1) {
                return;
            }
            // The processor compares many at once when nothing ends it before the last.
            let has = |name: &Name| chunk.iter().fold(false, |has, found| has | (found == name));
            if names.iter().any(has) {
                for (id, name) in (first..).zip(chunk) {
                    if names.contains(name) && !tell(id) {
                        return;
                    }
                }
            }
            first += AT_ONCE as Id;
        }
    }

    /// All nodes in `scope` in the page's order, itself first.
    pub fn walk(self, scope: Id) -> impl Iterator<Item = Id> + 'p {
        // Most trees lie in the vector as a walk meets them.
        let in_order = scope == ROOT && !self.tree.shuffled;
        let end = self.tree.len();
        let mut at = scope;
        std::iter::from_fn(move || {
            (at != NONE).then(|| {
                let id = at;
                at = if !in_order {
                    self.following(id, scope)
                } else if id + 1 < end {
                    id + 1
                } else {
                    NONE
                };
                id
            })
        })
    }
}
