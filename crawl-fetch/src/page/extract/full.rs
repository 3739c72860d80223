//! Builds the tree of any page with html5ever.
//!
//! It makes strings of everything, and so runs at a small part of the speed of the quick
//! builder, which leaves it the pages that are unusual.

use std::borrow::Cow;
use std::cell::{Ref, RefCell};

use html5ever::interface::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::TreeBuilderOpts;
use html5ever::{Attribute, LocalName, Namespace, ParseOpts, QualName, ns, parse_document};

use super::dom::{Id, Kind, MAX_DEPTH, MAX_MORE_ATTRIBUTES, NONE, Node, ROOT, Space, Tree};

/// So much of the page is handed over before its cost is looked at.
const CHUNK_BYTES: usize = 16 << 10;

/// Makes the tree of a page; `source` is the page that it is of. False when that takes too long
/// or comes out too deep; there is no tree then.
pub fn parse(html: &str, tree: &mut Tree, source: &mut Vec<u8>) -> bool {
    let mut own = std::mem::take(tree);
    own.clear();
    source.clear();
    let sink = NodeSink {
        tree: RefCell::new(own),
        source: RefCell::new(std::mem::take(source)),
        names: RefCell::default(),
        annotations: RefCell::default(),
    };
    let options = ParseOpts {
        tree_builder: TreeBuilderOpts {
            scripting_enabled: false,
            ..TreeBuilderOpts::default()
        },
        ..ParseOpts::default()
    };
    let mut parser = parse_document(sink, options);
    let mut rest = html;
    while !rest.is_empty() {
        let (chunk, behind) = rest.split_at(boundary(rest, CHUNK_BYTES));
        parser.process(chunk.into());
        rest = behind;
        let sink = &parser.tokenizer.sink.sink;
        if !sink.may_go_on() {
            (*tree, *source) = (sink.tree.take(), sink.source.take());
            return false;
        }
    }
    (*tree, *source) = parser.finish();
    // Contents of templates lie in the vector too.
    tree.shuffled = true;
    !is_too_deep(tree)
}

/// The place at `most` or little before it where no character is cut.
fn boundary(text: &str, most: usize) -> usize {
    let most = most.min(text.len());
    let mut places = (0..=most).rev();
    places.find(|at| text.is_char_boundary(*at)).unwrap_or(most)
}

/// True when something is nested deeper than it may be: what overlaps is wrapped once more for
/// each time that it does.
fn is_too_deep(tree: &Tree) -> bool {
    let mut depths = vec![0_u16; tree.len() as usize];
    let mut chain = Vec::new();
    for id in 0..tree.len() {
        let mut at = id;
        while at != NONE && depths[at as usize] == 0 {
            chain.push(at);
            at = tree.node(at).parent;
        }
        let mut depth = match at {
            NONE => 0,
            at => depths[at as usize],
        };
        for at in chain.drain(..).rev() {
            depth = depth.saturating_add(1);
            depths[at as usize] = depth;
        }
    }
    // The document, and a text in the deepest element.
    let most = MAX_DEPTH as u16 + 2;
    depths.into_iter().any(|depth| depth > most)
}

struct NodeSink {
    tree: RefCell<Tree>,
    source: RefCell<Vec<u8>>,
    names: RefCell<Vec<(Id, QualName)>>,
    /// The `annotation-xml` elements in which HTML goes on.
    annotations: RefCell<Vec<Id>>,
}

struct FoundName<'a>(Ref<'a, QualName>);

impl std::fmt::Debug for FoundName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ElemName for FoundName<'_> {
    fn ns(&self) -> &Namespace {
        &self.0.ns
    }

    fn local_name(&self) -> &LocalName {
        &self.0.local
    }
}

impl NodeSink {
    fn step(&self, steps: usize) {
        self.tree.borrow().budget.take(steps);
    }

    fn may_go_on(&self) -> bool {
        self.tree.borrow().budget.take_half(1)
    }

    fn write(&self, text: &[u8]) -> (usize, usize) {
        let mut source = self.source.borrow_mut();
        let start = source.len();
        source.extend_from_slice(text);
        (start, source.len())
    }

    fn attributes(&self, attrs: Vec<Attribute>) -> (usize, usize) {
        let mut text = String::new();
        for attribute in attrs {
            let value = attribute.value.replace('&', "&amp;").replace('"', "&quot;");
            let value = value.replace('\r', "&#13;");
            text.push_str(&format!(" {}=\"{value}\"", &*attribute.name.local));
        }
        self.write(text.as_bytes())
    }

    fn node(&self, child: NodeOrText<Id>) -> Id {
        match child {
            NodeOrText::AppendNode(id) => id,
            NodeOrText::AppendText(text) => {
                // A reference alone makes a carriage return; as it is it would end a line.
                let (kind, (start, end)) = if text.contains('\r') {
                    let text = text.replace('&', "&amp;").replace('\r', "&#13;");
                    (Kind::Text, self.write(text.as_bytes()))
                } else {
                    (Kind::Verbatim, self.write(text.as_bytes()))
                };
                let node = Node::new(kind, Default::default(), Space::Html, start, end);
                self.tree.borrow_mut().push(node)
            }
        }
    }
}

impl TreeSink for NodeSink {
    type Handle = Id;
    type Output = (Tree, Vec<u8>);
    type ElemName<'a> = FoundName<'a>;

    fn finish(self) -> Self::Output {
        (self.tree.into_inner(), self.source.into_inner())
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Id {
        ROOT
    }

    fn elem_name<'a>(&'a self, target: &'a Id) -> FoundName<'a> {
        self.step(1);
        FoundName(Ref::map(self.names.borrow(), |names| {
            let place = names.binary_search_by_key(target, |(id, _)| *id);
            &names[place.unwrap_or_default()].1
        }))
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> Id {
        let (start, end) = self.attributes(attrs);
        let mut tree = self.tree.borrow_mut();
        let number = tree.names.name(name.local.as_bytes());
        let space = match name.ns {
            ns!(svg) => Space::Svg,
            ns!(mathml) => Space::Math,
            _ => Space::Html,
        };
        let id = tree.push(Node::new(Kind::Element, number, space, start, end));
        self.names.borrow_mut().push((id, name));
        if flags.template {
            let contents = Node::new(Kind::Document, number, space, 0, 0);
            tree.push(contents);
        }
        if flags.mathml_annotation_xml_integration_point {
            self.annotations.borrow_mut().push(id);
        }
        id
    }

    fn create_comment(&self, text: StrTendril) -> Id {
        let (start, end) = self.write(text.as_bytes());
        let node = Node::new(Kind::Comment, Default::default(), Space::Html, start, end);
        self.tree.borrow_mut().push(node)
    }

    fn create_pi(&self, _: StrTendril, data: StrTendril) -> Id {
        self.create_comment(data)
    }

    fn append(&self, parent: &Id, child: NodeOrText<Id>) {
        let child = self.node(child);
        let mut tree = self.tree.borrow_mut();
        let up = |id: &Id| Some(tree.node(*id).parent).filter(|parent| *parent != NONE);
        let parents = std::iter::successors(Some(*parent), up);
        let depth = parents.clone().count();
        tree.budget.take(1 + depth / 8);
        let over = depth.checked_sub(MAX_DEPTH);
        let parent = match over.filter(|_| tree.node(child).kind == Kind::Element) {
            Some(over) => parents.clone().nth(over).unwrap_or(*parent),
            None => *parent,
        };
        tree.append(parent, child);
    }

    fn append_based_on_parent_node(&self, element: &Id, before: &Id, child: NodeOrText<Id>) {
        let has_parent = self.tree.borrow().node(*element).parent != NONE;
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(before, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Id) -> Id {
        // It was made together with the template.
        target + 1
    }

    fn is_mathml_annotation_xml_integration_point(&self, id: &Id) -> bool {
        self.annotations.borrow().binary_search(id).is_ok()
    }

    fn same_node(&self, x: &Id, y: &Id) -> bool {
        x == y
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Id, new_node: NodeOrText<Id>) {
        let child = self.node(new_node);
        self.tree.borrow_mut().insert_before(*sibling, child);
    }

    fn add_attrs_if_missing(&self, target: &Id, attrs: Vec<Attribute>) {
        let (start, end) = self.attributes(attrs);
        let more = (*target, start as u32, end as u32);
        let mut tree = self.tree.borrow_mut();
        if tree.more_attributes.len() < MAX_MORE_ATTRIBUTES {
            tree.more_attributes.push(more);
        }
    }

    fn remove_from_parent(&self, target: &Id) {
        self.tree.borrow_mut().detach(*target);
    }

    fn reparent_children(&self, node: &Id, new_parent: &Id) {
        let mut tree = self.tree.borrow_mut();
        let moved = tree.move_children(*node, *new_parent);
        tree.budget.take(moved);
    }
}
