//! From a page to the values of a field.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::apart::apart;
use super::article::Article;
use super::dom::{Id, Page};
use super::markdown;
use super::markup;
use super::processor::{Bench, is_empty};
use super::search::{Found, Selector};
use super::spec::{Field, How, Source};

/// An item holds at most so many bytes of text.
pub const MAX_ITEM_BYTES: usize = 4 << 20;

/// Markup is made Markdown up to so many bytes, each times the elements that it may be in: lines are
/// written once more for each quote and list around them.
const MAX_NESTED_BYTES: usize = 64 << 20;

/// A page that is being read for an item.
pub struct Reading<'r, 'p> {
    page: Page<'p>,
    article: &'r mut Article<'p>,
    bench: Bench,
    /// Bytes of text that the item may still take.
    left: usize,
}

impl<'r, 'p> Reading<'r, 'p> {
    /// Begins to read a page.
    pub fn new(page: Page<'p>, article: &'r mut Article<'p>, now: Timestamp) -> Self {
        Reading {
            page,
            article,
            bench: Bench::new(now),
            left: MAX_ITEM_BYTES,
        }
    }

    /// The fields of an item or of a row, `null` for one without a value.
    pub fn item(&mut self, fields: &[Field], scope: Id) -> Map<String, Value> {
        let field = |field: &Field| (field.name.clone(), self.value(field, scope));
        fields.iter().map(field).collect()
    }

    /// True when something was left out: the item is as large as one may be, or its selectors
    /// and expressions took as many steps as they may.
    pub fn is_cut(&self) -> bool {
        self.left == 0 || self.page.tree.budget.is_cut() || self.bench.is_spent()
    }

    fn value(&mut self, field: &Field, scope: Id) -> Value {
        let mut value = match &field.source {
            Source::Auto(core) => self.article.value(*core),
            Source::Select(selector, how) => selected(self.page, selector, *how, scope, self.left),
            Source::Rows(selector, fields) => {
                let rows = elements(self.page, selector, scope);
                rows.into_iter()
                    .map(|row| Value::Object(self.item(fields, row)))
                    .collect()
            }
        };
        for processor in &field.processors {
            value = processor.apply(value, &self.bench);
        }
        if let (Some(core), true) = (field.fallback, is_empty(&value)) {
            value = self.article.value(core);
        }
        self.allow(value)
    }

    /// Counts a value's text; leaves it out when the item would be too large.
    fn allow(&mut self, value: Value) -> Value {
        let size = size_of(&value);
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                value
            }
            None => {
                self.left = 0;
                Value::Null
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
                    Found::Element(id) | Found::Text(id) if page.rank(id) < end => {}
                    Found::Element(id) => {
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
                    Found::Element(id) => most.min(MAX_NESTED_BYTES / page.depth_in(id).max(1)),
                    _ => most,
                };
                let text = text_of(page, found, most);
                if text.len() > most {
                    page.tree.budget.cut();
                }
                first = Some(text);
                false
            });
            let text = first.and_then(|html| apart(page, || markdown::of(&html)));
            text.unwrap_or(Value::Null)
        }
    }
}

fn text_of(page: Page<'_>, found: Found<'_>, most: usize) -> String {
    let mut text = String::new();
    match found {
        Found::Element(id) => markup::write(page, id, &mut text, most),
        Found::Text(id) => {
            page.whole_text(id, &mut text);
        }
        Found::Attribute(value) => text.push_str(&super::attributes::decoded(value)),
        Found::Value(value) => text = value,
    }
    text
}

/// What people read of it.
pub fn read_of(page: Page<'_>, found: Found<'_>, most: usize) -> String {
    match found {
        Found::Element(id) => {
            let mut text = String::new();
            markup::read(page, id, &mut text, most);
            text
        }
        found => text_of(page, found, most),
    }
}

fn elements(page: Page<'_>, selector: &Selector, scope: Id) -> Vec<Id> {
    let mut elements = Vec::new();
    selector.find(page, scope, |found| {
        if let Found::Element(id) = found {
            elements.push(id);
        }
        true
    });
    elements
}

/// About how many bytes a value takes in a line.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size_of).sum::<usize>() + items.len() + 2,
        // Its fields were counted when they were made.
        Value::Object(_) => 2,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::budget::MAX_STEPS;
    use super::super::css::Css;
    use super::super::dom::{ROOT, Tree};
    use super::*;

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
            super::super::quick::parse(html.as_bytes(), &mut tree, false);
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
        super::super::full::parse(html, &mut tree, &mut source);
        let page = Page {
            html: &source,
            tree: &tree,
        };
        let by_full = selected(page, &css, how, ROOT, usize::MAX);
        if super::super::quick::parse(html.as_bytes(), &mut tree, false).is_unusual {
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
