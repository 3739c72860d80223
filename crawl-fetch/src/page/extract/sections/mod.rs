//! What a spider file says of extraction: `sections`, and what they are short for, `rules`
//! with `callbacks` and the article settings.

mod articles;
mod field;
mod kind;
mod rules;
pub mod selector;

use std::collections::HashMap;
use std::sync::Arc;

use crawl_ckpt::generated::generated;
use crawl_ckpt::node::{Complaint, Kept, Node};
use crawl_ckpt::ranked::ranked;
use serde_json::Value;

use field::Reader;
pub use field::{Core, Field, Source};
use kind::PageKind;

/// Which pages are read, and for what.
#[derive(Debug, Clone, Default)]
pub struct Sections {
    /// The first that a URL belongs to counts.
    pub pages: Vec<PageKind>,
    /// What is taken of start URLs that the file generates and names a reader for.
    generated: HashMap<String, Arc<[Field]>>,
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
}

impl Sections {
    /// Reads a spider file. Keys that say nothing of extraction are somebody else's.
    ///
    /// # Errors
    /// Names the place of what is wrong.
    pub fn read(root: &Node<'_>) -> Result<Sections, Complaint> {
        let mut reader = Reader::default();
        let mut fields = root.object()?;
        let articles = match fields.get("settings") {
            Some(node) => reader.article_settings(&mut node.object()?)?,
            None => None,
        };
        let callbacks = match fields.get("callbacks") {
            Some(node) => Some(reader.callbacks(&node)?),
            None => None,
        };
        let mut pages = Vec::new();
        for rule in ranked(&mut fields)? {
            let node = rule.extract.as_ref().map(Kept::node);
            let extract = match &node {
                Some(node) if rule.is_section => Some(reader.extract(node)?),
                Some(node) => reader.called(node, callbacks.as_deref(), articles.as_ref())?,
                None => None,
            };
            pages.push(PageKind::new(rule, extract));
        }
        let mut by_url = HashMap::new();
        if let Some(node) = fields.get("settings") {
            let entries = generated(&mut node.object()?)?;
            for entry in entries.into_iter().filter(|entry| !entry.follow) {
                let own = match &entry.callback {
                    Some(node) => reader.called(node, callbacks.as_deref(), articles.as_ref())?,
                    None => Some(articles.clone().unwrap_or_else(articles::article)),
                };
                let own: Arc<[Field]> = own.unwrap_or_default().into();
                let urls = entry.urls.into_iter();
                by_url.extend(urls.map(|url| (url.into(), Arc::clone(&own))));
            }
        }
        if let (Some(articles), true) = (articles, pages.is_empty()) {
            pages.push(PageKind::every(articles));
        }
        Ok(Sections {
            pages,
            generated: by_url,
            ignored: reader.ignored,
        })
    }

    /// What is taken of the page at a URL. Nobody followed a link to a start URL, so it may be of
    /// a kind that the links to it are denied by.
    pub fn of(&self, url: &str, is_start: bool) -> Option<&[Field]> {
        if let Some(own) = self.generated.get(url).filter(|_| is_start) {
            return (!own.is_empty()).then_some(own);
        }
        let mut kinds = self.pages.iter();
        let kind = if is_start {
            let mut with_items = kinds.filter(|kind| kind.extract.is_some());
            let any = with_items.clone().find(|kind| kind.allows(url));
            with_items.find(|kind| kind.is(url)).or(any)
        } else {
            kinds.find(|kind| kind.is(url))
        };
        kind?.extract.as_deref()
    }

    /// A line for people for each kind of page that is read.
    pub fn lines(&self) -> Vec<String> {
        let pages = self.pages.iter();
        pages.filter_map(PageKind::line).collect()
    }
}

impl Reader {
    /// A section's `extract`.
    pub(super) fn extract(&mut self, node: &Node<'_>) -> Result<Vec<Field>, Complaint> {
        match node.value() {
            Value::Object(_) => {}
            Value::String(text) if text == "auto" => return Ok(articles::article()),
            _ => return Err(node.expected("\"auto\" or an object of fields")),
        }
        let mut fields = self.fields(node, 0)?;
        // Where the reader is at work anyway, it stands in for a selector that finds nothing.
        let reads = |field: &Field| matches!(field.source, Source::Auto(_));
        if fields.iter().any(reads) {
            for field in fields.iter_mut().filter(|field| !reads(field)) {
                field.fallback = Core::by_name(&field.name);
            }
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Sections, Complaint> {
        Sections::read(&Node::root(&value))
    }

    #[test]
    fn the_first_section_that_a_url_belongs_to_counts() {
        let sections = read(json!({"sections": [
            {"match": ["/p/"], "deny": "/p/old", "extract": {"name": {"css": "h1::text"}}},
            {"match": "/blog/", "extract": "auto"},
            {"extract": {"title": "auto", "tags": {"css": "li", "get_all": true}}},
        ]}))
        .unwrap();
        let fields = |url| sections.of(url, false).map(|fields| fields.len());
        assert_eq!(fields("http://h/p/1"), Some(1));
        assert_eq!(fields("http://h/blog/1"), Some(4));
        assert_eq!(fields("http://h/p/old"), Some(2));
        assert_eq!(
            sections.lines(),
            [
                "`/p/`: name",
                "`/blog/`: title (auto), content (auto), author (auto), published_date (auto)",
                "every page: tags, title (auto)",
            ]
        );
    }

    #[test]
    fn a_start_url_is_read_by_what_its_links_are_denied_by() {
        let sections = read(json!({"sections": [
            {"match": ".*", "follow": true, "priority": 9},
            {"match": [".*"], "extract": "auto", "follow": false, "deny": [".*"]},
        ]}))
        .unwrap();
        assert!(sections.of("http://h/", true).is_some());
        assert!(sections.of("http://h/", false).is_none());
    }

    #[test]
    fn the_higher_priority_decides_and_rules_before_sections() {
        let sections = read(json!({
            "sections": [
                {"match": "/", "extract": {"low": {"css": "a"}}},
                {"match": "/p/", "extract": {"high": {"css": "a"}}, "priority": 10},
            ],
            "rules": [{"allow": "/a/", "callback": "parse_article"}],
        }))
        .unwrap();
        let name = |url| &*sections.of(url, false).unwrap()[0].name;
        assert_eq!(name("http://h/p/a/"), "high");
        assert_eq!(name("http://h/a/"), "title");
        assert_eq!(name("http://h/x"), "low");
    }

    #[test]
    fn rules_call_callbacks_and_the_article_reader() {
        let sections = read(json!({
            "rules": [
                {"allow": ["/p/"], "callback": "product"},
                {"allow": "/a/", "callback": "parse_article"},
                {"allow": ".*", "callback": null},
            ],
            "callbacks": {"product": {"extract": {"price": {"css": ".price::text"}}}},
            "settings": {"FIELDS": {"author": {"css": ".by::text"}}},
        }))
        .unwrap();
        assert_eq!(
            sections.lines(),
            [
                "`/p/`: price",
                "`/a/`: author, title (auto), content (auto), published_date (auto)"
            ]
        );
        assert!(sections.of("http://h/other", false).is_none());
        let own = read(json!({
            "rules": [{"allow": "/a/", "callback": "parse_article"}],
            "callbacks": {"parse_article": {"extract": {"mine": {"css": "p"}}}},
        }));
        assert_eq!(own.unwrap().lines(), ["`/a/`: mine"]);
        let alone = read(json!({"settings": {"EXTRACTOR_ORDER": ["custom"],
            "CUSTOM_SELECTORS": {"title": "h1"}}}));
        assert_eq!(alone.unwrap().lines(), ["every page: title"]);
    }

    #[test]
    fn items_of_two_pages_are_an_error_and_no_other_items() {
        let sections = read(json!({
            "rules": [{"callback": "list"}],
            "callbacks": {"list": {"iterate": {"selector": "tr"}, "extract": {"x": {"css": "a"}}}},
        }));
        let error = sections.unwrap_err();
        assert_eq!(error.path, "$.callbacks.list.iterate");
        assert!(error.what.contains("not supported"), "{error}");
    }

    #[test]
    fn a_field_may_have_what_the_article_reader_finds_by_another_name() {
        let sections =
            read(json!({"settings": {"FIELDS": {"headline": {"from": "title"}}}})).unwrap();
        assert_eq!(
            sections.lines(),
            [
                "every page: headline (auto), title (auto), content (auto), author (auto), published_date (auto)"
            ]
        );
    }

    #[test]
    fn what_is_not_supported_is_ignored_by_name() {
        let sections = read(json!({
            "rules": [{"callback": "list"}],
            "callbacks": {"list": {"extract": {"x": {"css": "a"}}, "odd": 1}},
            "sections": [{"match": "x", "extract": {
                "a": {"css": "a", "colour": 1},
                "b": {"type": "ajax_nested_list", "ajax_url": "/x"},
            }}],
        }));
        let mut ignored = sections.unwrap().ignored;
        ignored.sort();
        assert_eq!(
            ignored,
            [
                "$.callbacks.list.odd",
                "$.sections[0].extract.a.colour",
                "$.sections[0].extract.b",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let section = |extract: Value| json!({"sections": [{"extract": extract}]});
        for (bad, path) in [
            (section(json!("all")), "$.sections[0].extract"),
            (section(json!({})), "$.sections[0].extract"),
            (section(json!({"x": "auto"})), "$.sections[0].extract.x"),
            (section(json!({"x": {}})), "$.sections[0].extract.x.css"),
            (
                section(json!({"x": {"css": "a["}})),
                "$.sections[0].extract.x.css",
            ),
            (
                section(json!({"x": {"xpath": "//a["}})),
                "$.sections[0].extract.x.xpath",
            ),
            (
                section(json!({"x": {"css": "a", "get_all": true, "to_text": true}})),
                "$.sections[0].extract.x.to_text",
            ),
            (
                section(json!({"x": {"css": "a", "processors": [{"type": "no"}]}})),
                "$.sections[0].extract.x.processors[0].type",
            ),
            (
                section(json!({"x": {"type": "nested_list", "extract": {}}})),
                "$.sections[0].extract.x.selector",
            ),
            (json!({"sections": [{"match": "("}]}), "$.sections[0].match"),
            (
                json!({"settings": {"FIELDS": {"picture": {"from": "top_image"}}}}),
                "$.settings.FIELDS.picture.from",
            ),
            (
                json!({"rules": [{"callback": "x"}], "callbacks": {}}),
                "$.rules[0].callback",
            ),
        ] {
            let error = read(bad).unwrap_err();
            assert_eq!(error.path, path, "{error}");
            assert!(error.what.contains("expected "), "{error}");
        }
    }
}
