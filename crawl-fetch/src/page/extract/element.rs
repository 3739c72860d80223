//! An element as the selector engine sees it, and the search for what a selector matches.

use selectors::attr::{AttrSelectorOperation, CaseSensitivity, NamespaceConstraint};
use selectors::bloom::BloomFilter;
use selectors::context::{
    MatchingContext, MatchingForInvalidation, MatchingMode, NeedsSelectorFlags, QuirksMode,
    SelectorCaches,
};
use selectors::matching::{ElementSelectorFlags, matches_selector};
use selectors::parser::{Component, Selector, SelectorList};
use selectors::{Element as _, OpaqueElement};

use super::attributes::{decoded, is_space};
use super::css::{PseudoClass, PseudoElement, Simple, Word};
use super::dom::{Id, Kind, NONE, Page};
use super::names::Name;

/// An element of a page.
#[derive(Debug, Clone, Copy)]
pub struct Element<'p> {
    pub page: Page<'p>,
    /// Its place.
    pub id: Id,
}

impl Element<'_> {
    fn at(&self, id: Id) -> Self {
        Element { id, ..*self }
    }

    /// The first element from here on, in the direction of `step`.
    fn first(&self, mut id: Id, step: impl Fn(Id) -> Id) -> Option<Self> {
        while id != NONE && self.page.step(1) {
            if self.page.is_element(id) {
                return Some(self.at(id));
            }
            id = step(id);
        }
        None
    }

    fn has(&self, attribute: &str) -> bool {
        self.page.raw_attribute(self.id, attribute).is_some()
    }

    fn is_control(&self) -> bool {
        matches!(
            self.page.node(self.id).name,
            Name::BUTTON
                | Name::INPUT
                | Name::SELECT
                | Name::TEXTAREA
                | Name::OPTION
                | Name::OPTGROUP
                | Name::FIELDSET
        )
    }

    /// Disabled by itself, by the list of options that it is in, or by a fieldset around it; what
    /// is in a fieldset's first legend is not.
    fn is_disabled(&self) -> bool {
        if !self.is_control() {
            return false;
        }
        if self.has("disabled") {
            return true;
        }
        let is_option = self.page.node(self.id).name == Name::OPTION;
        let mut inside = *self;
        while let Some(around) = selectors::Element::parent_element(&inside) {
            let disables = match self.page.node(around.id).name {
                Name::OPTGROUP => is_option,
                Name::FIELDSET => !is_option && around.first_legend() != Some(inside.id),
                _ => false,
            };
            if disables && around.has("disabled") {
                return true;
            }
            inside = around;
        }
        false
    }

    fn first_legend(&self) -> Option<Id> {
        let mut child = selectors::Element::first_element_child(self);
        while let Some(element) = child {
            if self.page.name(element.id) == "legend" {
                return Some(element.id);
            }
            child = selectors::Element::next_sibling_element(&element);
        }
        None
    }

    /// In a language when the nearest `lang` around says so, or a kind of it: `de-AT` is `de`.
    fn is_in(&self, ranges: &[String]) -> bool {
        let mut at = Some(*self);
        let lang = std::iter::from_fn(|| {
            let element = at?;
            at = selectors::Element::parent_element(&element);
            let lang = self.page.attribute(element.id, "lang");
            Some(lang.or_else(|| self.page.attribute(element.id, "xml:lang")))
        });
        let lang = lang.flatten().next().unwrap_or_default();
        let lang = lang.trim().to_ascii_lowercase();
        ranges.iter().any(|range| match &**range {
            "*" => !lang.is_empty(),
            "" => lang.is_empty(),
            range => match lang.strip_prefix(range) {
                Some(rest) => rest.is_empty() || rest.starts_with('-'),
                None => false,
            },
        })
    }

    fn is_chosen(&self) -> bool {
        match self.page.node(self.id).name {
            Name::OPTION => self.has("selected"),
            Name::INPUT => {
                let kind = self.page.attribute(self.id, "type").unwrap_or_default();
                let kind = kind.to_ascii_lowercase();
                matches!(&*kind, "checkbox" | "radio") && self.has("checked")
            }
            _ => false,
        }
    }

    fn contains(&self, words: &str) -> bool {
        let mut text = String::new();
        for id in self.page.walk(self.id) {
            if self.page.is_text(id) {
                text.push_str(&self.page.text(id));
            }
            if !self.page.step(1) {
                return false;
            }
        }
        // Sixteen bytes or so are read in the time of a step.
        self.page.step(text.len() / 16) && text.contains(words)
    }
}

impl selectors::Element for Element<'_> {
    type Impl = Simple;

    fn opaque(&self) -> OpaqueElement {
        OpaqueElement::new(self.page.node(self.id))
    }

    fn parent_element(&self) -> Option<Self> {
        let parent = self.page.node(self.id).parent;
        let is_there = parent != NONE && self.page.is_element(parent);
        (is_there && self.page.step(1)).then(|| self.at(parent))
    }

    fn parent_node_is_shadow_root(&self) -> bool {
        false
    }

    fn containing_shadow_host(&self) -> Option<Self> {
        None
    }

    fn is_pseudo_element(&self) -> bool {
        false
    }

    fn prev_sibling_element(&self) -> Option<Self> {
        let before = |id| self.page.node(id).before;
        self.first(before(self.id), before)
    }

    fn next_sibling_element(&self) -> Option<Self> {
        let next = |id| self.page.node(id).next;
        self.first(next(self.id), next)
    }

    fn first_element_child(&self) -> Option<Self> {
        self.first(self.page.node(self.id).first, |id| self.page.node(id).next)
    }

    /// Names are kept in lower case in every vocabulary.
    fn is_html_element_in_html_document(&self) -> bool {
        true
    }

    fn has_local_name(&self, name: &Word) -> bool {
        self.page.name(self.id) == &*name.0
    }

    fn has_namespace(&self, _: &Word) -> bool {
        true
    }

    fn is_same_type(&self, other: &Self) -> bool {
        self.page.node(self.id).name == self.page.node(other.id).name
    }

    fn attr_matches(
        &self,
        _: &NamespaceConstraint<&Word>,
        name: &Word,
        operation: &AttrSelectorOperation<&Word>,
    ) -> bool {
        let value = self.page.raw_attribute(self.id, &name.0);
        value.is_some_and(|value| operation.eval_str(&decoded(value)))
    }

    fn match_non_ts_pseudo_class(
        &self,
        class: &PseudoClass,
        _: &mut MatchingContext<'_, Simple>,
    ) -> bool {
        match class {
            PseudoClass::Contains(words) => self.contains(words),
            PseudoClass::Link => self.is_link(),
            PseudoClass::Checked => self.is_chosen(),
            PseudoClass::Disabled => self.is_disabled(),
            PseudoClass::Enabled => self.is_control() && !self.is_disabled(),
            PseudoClass::Lang(ranges) => self.is_in(ranges),
        }
    }

    fn match_pseudo_element(
        &self,
        element: &PseudoElement,
        _: &mut MatchingContext<'_, Simple>,
    ) -> bool {
        match *element {}
    }

    fn apply_selector_flags(&self, _: ElementSelectorFlags) {}

    fn is_link(&self) -> bool {
        let name = self.page.node(self.id).name;
        matches!(name, Name::A | Name::AREA | Name::LINK) && self.has("href")
    }

    fn is_html_slot_element(&self) -> bool {
        false
    }

    fn has_id(&self, id: &Word, case: CaseSensitivity) -> bool {
        let found = self.page.raw_attribute(self.id, "id");
        found.is_some_and(|found| case.eq(decoded(found).as_bytes(), id.0.as_bytes()))
    }

    fn has_class(&self, name: &Word, case: CaseSensitivity) -> bool {
        let Some(classes) = self.page.raw_attribute(self.id, "class") else {
            return false;
        };
        let classes = decoded(classes);
        let mut classes = classes.as_bytes().split(|byte| is_space(*byte));
        classes.any(|class| case.eq(class, name.0.as_bytes()))
    }

    fn has_custom_state(&self, _: &Word) -> bool {
        false
    }

    fn imported_part(&self, _: &Word) -> Option<Word> {
        None
    }

    fn is_part(&self, _: &Word) -> bool {
        false
    }

    fn is_empty(&self) -> bool {
        let mut child = self.page.node(self.id).first;
        while child != NONE {
            if self.page.node(child).kind != Kind::Comment {
                return false;
            }
            child = self.page.node(child).next;
        }
        true
    }

    fn is_root(&self) -> bool {
        self.parent_element().is_none()
    }

    fn add_element_unique_hashes(&self, _: &mut BloomFilter) -> bool {
        false
    }
}

/// Tells which elements a selector matches. What it found out about one helps with the next, so
/// it must not be kept for another selector or page.
pub struct Matcher<'s, 'p> {
    list: &'s SelectorList<Simple>,
    /// The names that an element must have one of, where each selector names one.
    names: Option<Vec<Name>>,
    /// They are names and nothing else.
    is_name: bool,
    page: Page<'p>,
    scope: Id,
    caches: SelectorCaches,
}

impl<'s, 'p> Matcher<'s, 'p> {
    /// For the elements in `scope`, which `:scope` stands for.
    pub fn new(list: &'s SelectorList<Simple>, page: Page<'p>, scope: Id) -> Matcher<'s, 'p> {
        Matcher {
            list,
            names: names(list, page),
            is_name: list.slice().iter().all(is_name),
            page,
            scope,
            caches: SelectorCaches::default(),
        }
    }

    /// The names that an element must have one of, where each selector names one: from now on
    /// none of another name may be asked for.
    pub fn take_names(&mut self) -> Option<Vec<Name>> {
        self.names.take()
    }

    /// True when one of the selectors matches the element; false when no steps are left.
    pub fn matches(&mut self, id: Id) -> bool {
        // Most elements of a page have another name: this saves two thirds of the time.
        let name = self.page.node(id).name;
        if self
            .names
            .as_ref()
            .is_some_and(|names| !names.contains(&name))
            || self.page.is_spent()
        {
            return false;
        }
        if self.is_name {
            return true;
        }
        let mut context = MatchingContext::new(
            MatchingMode::Normal,
            None,
            &mut self.caches,
            QuirksMode::NoQuirks,
            NeedsSelectorFlags::No,
            MatchingForInvalidation::No,
        );
        let page = self.page;
        if page.is_element(self.scope) {
            let scope = Element {
                page,
                id: self.scope,
            };
            context.scope_element = Some(scope.opaque());
        }
        let element = Element { page, id };
        let mut list = self.list.slice().iter();
        let found =
            list.any(|selector| matches_selector(selector, 0, None, &element, &mut context));
        // What was not looked at to its end may be anything.
        found && !page.is_spent()
    }
}

/// True for a selector such as `p`, without anything else that an element must be.
fn is_name(selector: &Selector<Simple>) -> bool {
    selector.len() == 1 && matches!(selector.iter().next(), Some(Component::LocalName(_)))
}

/// The names that the selectors end with; those that the page does not have are left out.
fn names(list: &SelectorList<Simple>, page: Page<'_>) -> Option<Vec<Name>> {
    let mut names = Vec::new();
    for selector in list.slice() {
        let mut last = selector.iter();
        let name = last.find_map(|component| match component {
            Component::LocalName(name) => Some(&name.lower_name.0),
            _ => None,
        })?;
        names.extend(page.tree.names.known(name));
    }
    Some(names)
}
