//! What a selector takes of a page, by CSS or XPath, and what is made of it.

use serde_json::Value;

use super::css::{Css, Take};
use super::deep_stack::on_deep_stack;
use super::dom::{Id, Kind, Page};
use super::element::Matcher;
use super::xpath::{XPath, XPathMatch};
use super::{markdown, markup};

#[derive(Debug, Clone)]
pub enum Selector {
    Css(Css),
    /// Of XPath.
    XPath(XPath),
}

/// What a selector takes.
#[derive(Debug, Clone)]
pub enum Match<'p> {
    /// An element, or the document.
    Element(Id),
    Text(Id),
    /// An attribute's value, as it is written.
    Attribute(&'p [u8]),
    /// What an expression makes of the page.
    Value(String),
}

/// What is made of what a selector matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    First,
    /// A list of all.
    All,
    Count,
    /// The text in all of them.
    Text,
    /// The first, as Markdown.
    Markdown,
}

/// Markup is made Markdown up to so many bytes, each times the elements that it may be in: lines are
/// written once more for each quote and list around them.
const MAX_NESTED_BYTES: usize = 64 << 20;

/// Markup has so much room before it is written: most is short, and growing costs more than that.
const MAX_RESERVED_BYTES: usize = 1 << 10;

impl Selector {
    /// Tells all that it takes in `scope`, in the page's order, until it is enough. XPath may lead
    /// out of it.
    pub fn find<'p>(&self, page: Page<'p>, scope: Id, mut tell: impl FnMut(Match<'p>) -> bool) {
        match self {
            Selector::Css(css) => find(page, css, scope, tell),
            Selector::XPath(xpath) => {
                let found = xpath
                    .find(page, scope)
                    .into_iter()
                    .map(|found| match found {
                        XPathMatch::Node(id) if page.is_text(id) => Match::Text(id),
                        XPathMatch::Node(id) => Match::Element(id),
                        XPathMatch::Attribute(value) => Match::Attribute(value),
                        XPathMatch::Value(value) => Match::Value(value),
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

fn find<'p>(page: Page<'p>, css: &Css, scope: Id, mut tell: impl FnMut(Match<'p>) -> bool) {
    let mut parts: Vec<SelectorPart<'_, 'p>> = css
        .parts
        .iter()
        .map(|(list, take)| SelectorPart {
            take,
            matcher: Matcher::new(list, page, scope),
            parent: None,
        })
        .collect();
    if let [part] = &mut parts[..]
        && *part.take != Take::Text
        && let Some(names) = part.matcher.take_names()
    {
        return page.named(scope, &names, |id| visit(page, id, &mut parts, &mut tell));
    }
    for (met, id) in page.walk(scope).enumerate() {
        if met % 16 == 15 && !page.step(4) {
            return;
        }
        if !visit(page, id, &mut parts, &mut tell) {
            return;
        }
    }
}

/// Tells what is taken of a node; false when it is enough.
#[inline(always)]
fn visit<'p>(
    page: Page<'p>,
    id: Id,
    parts: &mut [SelectorPart<'_, 'p>],
    tell: &mut impl FnMut(Match<'p>) -> bool,
) -> bool {
    let node = page.node(id);
    for part in parts {
        let found = match (part.take, node.kind) {
            (Take::Markup, Kind::Element) => part.matcher.matches(id).then_some(Match::Element(id)),
            (Take::Attribute(name), Kind::Element) => page
                .raw_attribute(id, name)
                .filter(|_| part.matcher.matches(id))
                .map(Match::Attribute),
            (Take::Text, Kind::Text | Kind::Verbatim) => {
                let takes = page.begins_text(id) && part.takes_texts_of(node.parent, page);
                takes.then_some(Match::Text(id))
            }
            _ => None,
        };
        if found.is_some_and(|found| !tell(found)) {
            return false;
        }
    }
    true
}

/// One of a selector's parts, at work.
struct SelectorPart<'s, 'p> {
    take: &'s Take,
    matcher: Matcher<'s, 'p>,
    /// The parent of the last text, and whether its texts are taken.
    parent: Option<(Id, bool)>,
}

impl SelectorPart<'_, '_> {
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

/// What a selector takes in `scope`; texts end when they are longer than `most`.
pub fn selected(page: Page<'_>, selector: &Selector, how: How, scope: Id, most: usize) -> Value {
    match how {
        How::First => {
            let mut first = None;
            selector.find(page, scope, |found| {
                first = Some(text_of(page, found, most));
                false
            });
            first.map_or(Value::Null, Value::String)
        }
        How::All => {
            let (mut all, mut size) = (Vec::new(), 0);
            selector.find(page, scope, |found| {
                let text = text_of(page, found, most);
                size += text.len() + 1;
                all.push(Value::String(text));
                size <= most
            });
            Value::Array(all)
        }
        How::Count => {
            let mut count = 0_u64;
            selector.find(page, scope, |_| {
                count += 1;
                true
            });
            count.into()
        }
        How::Text => {
            let mut text = String::new();
            // Where what was read ends: an element was read with all that is in it.
            let mut end = 0;
            selector.find(page, scope, |found| {
                match found {
                    Match::Element(id) | Match::Text(id) if page.rank(id) < end => {}
                    Match::Element(id) => {
                        markup::read(page, id, &mut text, most);
                        end = page.rank_behind(id);
                    }
                    found => markup::join(&text_of(page, found, most), &mut text),
                }
                text.len() <= most
            });
            if text.is_empty() {
                Value::Null
            } else {
                Value::String(text)
            }
        }
        How::Markdown => {
            let mut first = None;
            selector.find(page, scope, |found| {
                let most = match found {
                    Match::Element(id) => most.min(MAX_NESTED_BYTES / page.depth_in(id).max(1)),
                    _ => most,
                };
                let text = text_of(page, found, most);
                if text.len() > most {
                    page.tree.budget.cut();
                }
                first = Some(text);
                false
            });
            let text = first.and_then(|html| on_deep_stack(page, || markdown::of(&html)));
            text.unwrap_or(Value::Null)
        }
    }
}

fn text_of(page: Page<'_>, found: Match<'_>, most: usize) -> String {
    let mut text = String::new();
    match found {
        Match::Element(id) => {
            text.reserve(page.extent(id).min(MAX_RESERVED_BYTES));
            markup::write(page, id, &mut text, most);
        }
        Match::Text(id) => {
            page.whole_text(id, &mut text);
        }
        Match::Attribute(value) => text.push_str(&super::attributes::decoded(value)),
        Match::Value(value) => text = value,
    }
    text
}

/// What people read of it.
pub fn read_of(page: Page<'_>, found: Match<'_>, most: usize) -> String {
    match found {
        Match::Element(id) => {
            let mut text = String::new();
            markup::read(page, id, &mut text, most);
            text
        }
        found => text_of(page, found, most),
    }
}

/// The elements that a selector takes.
pub fn elements(page: Page<'_>, selector: &Selector, scope: Id) -> Vec<Id> {
    let mut elements = Vec::new();
    selector.find(page, scope, |found| {
        if let Match::Element(id) = found {
            elements.push(id);
        }
        true
    });
    elements
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::page::extract::budget::MAX_STEPS;
    use crate::page::extract::css::Css;
    use crate::page::extract::dom::{ROOT, Tree};
    use crate::page::marks::Marks;

    #[test]
    fn selectors_find_nothing_more_when_a_page_has_no_steps_left() {
        let html = "<i></i>".repeat(1_000);
        let mut tree = Tree::default();
        for (css, most) in [
            ("i", 1_000),
            ("i:has(~ b)", 0),
            ("b ~ i", 0),
            // Each would match, if what was not looked at counted as not there.
            ("i:not(:has(~ b))", 10),
        ] {
            tree.budget.renew();
            crate::page::extract::quick::parse(html.as_bytes(), Marks::default(), &mut tree, false);
            let page = Page {
                html: html.as_bytes(),
                tree: &tree,
            };
            assert!(page.step(MAX_STEPS - 3_000));
            let selector = Selector::Css(Css::parse(css).unwrap());
            let count = selected(page, &selector, How::Count, ROOT, usize::MAX);
            assert!(count.as_u64().unwrap() <= most, "{css}: {count}");
            assert_eq!(page.is_spent(), css != "i", "{css}");
        }
    }

    /// What a selector takes of a page that both builders make, one and the other.
    fn taken(html: &str, css: &str, how: How) -> Value {
        let css = Selector::Css(Css::parse(css).unwrap());
        let (mut tree, mut source) = (Tree::default(), Vec::new());
        crate::page::extract::full::parse(html, &mut tree, &mut source);
        let page = Page {
            html: &source,
            tree: &tree,
        };
        let by_full = selected(page, &css, how, ROOT, usize::MAX);
        if crate::page::extract::quick::parse(html.as_bytes(), Marks::default(), &mut tree, false)
            .is_unusual
        {
            return by_full;
        }
        let page = Page {
            html: html.as_bytes(),
            tree: &tree,
        };
        let by_quick = selected(page, &css, how, ROOT, usize::MAX);
        assert_eq!(by_quick, by_full);
        by_quick
    }

    #[test]
    fn a_blank_before_what_is_taken_means_all_that_is_inside() {
        let html = "<h1 id=t>A <em id=e>b</em> c</h1><ul id=u><li>d<li>e<ul><li>f</ul></ul>";
        for (css, all) in [
            ("h1 ::text", json!(["A ", "b", " c"])),
            ("h1 *::text", json!(["A ", "b", " c"])),
            ("h1::text", json!(["A ", " c"])),
            ("h1 > ::text", json!(["b"])),
            ("li ::text", json!(["d", "e", "f"])),
            ("h1 ::attr(id)", json!(["t", "e"])),
            ("[id!=e]:matches(h1, em, ul)::attr(id)", json!(["t", "u"])),
            (
                "h1::text, em ::text, ul ::attr(id)",
                json!(["A ", "b", " c", "u"]),
            ),
        ] {
            assert_eq!(taken(html, css, How::All), all, "{css}");
        }
    }

    #[test]
    fn text_is_of_all_that_matches_each_once() {
        let html = "<div>a <p>b<script>no</script></p><div>c</div></div><p> <p title=t>d<b>e</b>\
            <table><div>f</div></table>";
        for (css, text) in [
            ("p", json!("b d e f")),
            ("div", json!("a b c f")),
            ("div, p, b", json!("a b c d e f")),
            ("p::text, p::attr(title)", json!("b t d")),
            ("div ::text", json!("a b no c f")),
            ("p + p, h1", json!("d e f")),
            ("h1", Value::Null),
        ] {
            assert_eq!(taken(html, css, How::Text), text, "{css}");
        }
    }

    #[test]
    fn rows_are_children_of_a_table_as_in_parsel_and_of_its_body_as_in_browsers() {
        let html =
            "<table id=t><tr><td>a<tr><td>b</table><table><thead><tr><td>h<tbody><tr><td>c</table>";
        for (css, cells) in [
            ("table > tr > td::text", json!(["a", "b", "c"])),
            ("table > tbody > tr > td::text", json!(["a", "b", "c"])),
            ("#t > tr + tr td::text", json!([])),
            ("table#t > tr + tr td::text", json!(["b"])),
            ("table > tr:nth-child(2)::text", json!([])),
            ("table > tr:nth-child(2) td::text", json!(["b"])),
        ] {
            assert_eq!(taken(html, css, How::All), cells, "{css}");
        }
    }

    #[test]
    fn controls_are_disabled_with_what_they_are_in() {
        let html = "<fieldset disabled id=f><legend><input id=a></legend><legend><input id=b></legend>\
            <p><button id=c></button><select id=d><option id=e></select></fieldset>\
            <fieldset id=g><input id=h disabled><textarea id=i></textarea></fieldset>\
            <select id=j><optgroup disabled id=k><option id=l></optgroup><option id=m></select>\
            <p id=n disabled>";
        let disabled = taken(html, "[id]:disabled::attr(id)", How::All);
        assert_eq!(disabled, json!(["f", "b", "c", "d", "h", "k", "l"]));
        let enabled = taken(html, "[id]:enabled::attr(id)", How::All);
        assert_eq!(enabled, json!(["a", "e", "g", "i", "j", "m"]));
    }

    #[test]
    fn languages_are_those_of_what_elements_are_in() {
        let html = "<html lang=en><p id=a><div lang=de-AT><p id=b><p id=c lang=''></div>\
            <svg xml:lang=fr><text id=d></text></svg><p lang=DE id=e><p lang=den id=f>";
        for (css, ids) in [
            ("[id]:lang(en)", json!(["a"])),
            ("[id]:lang(de)", json!(["b", "e"])),
            ("[id]:lang('de-at', FR)", json!(["b", "d"])),
            ("[id]:not(:lang('*'))", json!(["c"])),
        ] {
            let css = format!("{css}::attr(id)");
            assert_eq!(taken(html, &css, How::All), ids, "{css}");
        }
    }

    #[test]
    fn markup_is_what_a_browser_reads_as_the_same_again() {
        for (html, markup) in [
            (
                "<b><i>x</b>&lt;y</i><p>&lt;a&gt; &amp;amp; &nbsp;\"",
                "<p>&lt;a&gt; &amp;amp; &nbsp;\"</p>",
            ),
            (
                "<p title='&lt;a&amp;&quot;'>",
                "<p title=\"&lt;a&amp;&quot;\"></p>",
            ),
            (
                "<p><script>a < b && '&lt;'</script><xmp><i>&lt;</xmp>",
                "<p><script>a < b && '&lt;'</script></p>",
            ),
            (
                "<p><svg><style>a &lt; b</style><text><![CDATA[<b>&amp;]]></text></svg>",
                "<p><svg><style>a &lt; b</style><text>&lt;b&gt;&amp;amp;</text></svg></p>",
            ),
            (
                "<p><template><td>a &lt; b<template>c</template></td></template><b>d</b>",
                "<p><template><td>a &lt; b<template>c</template></td></template><b>d</b></p>",
            ),
            (
                "<p><template><b>a</b>&lt;</template>d",
                "<p><template><b>a</b>&lt;</template>d</p>",
            ),
            (
                "<p>a<!-- b & <i>&amp; --!>c<!---->d<!x>e<?y?>f</ z>g<!>h</><svg><!--k--></svg><!-->i",
                "<p>a<!-- b & <i>&amp; -->c<!---->d<!--x-->e<!--?y?-->f<!-- z-->g<!---->h<svg><!--k--></svg>\
                 <!---->i</p>",
            ),
            ("<p>a<!-- b -", "<p>a<!-- b --></p>"),
            ("<p>a<!-- b>", "<p>a<!-- b>--></p>"),
            ("<p>a<!x", "<p>a<!--x--></p>"),
            (
                "<p><math><annotation-xml encoding=text/html><i>a</i></annotation-xml></math>",
                "<p><math><annotation-xml encoding=\"text/html\"><i>a</i></annotation-xml></math></p>",
            ),
        ] {
            assert_eq!(taken(html, "p", How::First), markup, "{html}");
        }
        let html = "<pre>\r&lt;b&gt;\r\n</pre><pre>\r\n\r\na</pre><pre><!-- --></i>\nb</pre><textarea>\rc</textarea>";
        let all = json!(["<b>\n", "\na", "\nb", "c"]);
        assert_eq!(taken(html, "pre::text, textarea::text", How::All), all);
    }
}
