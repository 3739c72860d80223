//! The `rules` and `sections` of a spider file in the order in which they decide. crawl-run reads
//! of them what is crawled, crawl-fetch what is extracted and where links stand.

use serde_json::{Value, json};

use crate::domain::{Domain, HostName, urls_of};
use crate::keys::{
    Elsewhere, Flag, Form, Key, Listed, OneOrList, Placed, one_or_list, parsed, whole,
};
use crate::limits::PRIORITY;
use crate::node::{Complaint, Fields, Kept, Node};
use crate::pattern::Patterns;
use crate::rendering::{Wish, WishForm};

crate::keys! {
    /// What rules and sections have in common.
    #[derive(Debug)]
    struct Common {
        /// Regular expressions, none of which may be found there.
        deny: Searched = "deny", Expressions, ["/print/"];
        /// Only links to these hosts and those below them.
        allow_domains: Vec<Domain> = "allow_domains", Listed("host names", HostName), "shop.example";
        /// No links to these hosts and those below them.
        deny_domains: Vec<Domain> = "deny_domains", Listed("host names", HostName), ["ads.example"];
        /// One of these CSS selectors must match the link or an element that it is in; absent: links
        /// count wherever they stand. Redirects, sitemaps and start URLs stand nowhere and are not
        /// asked for it.
        css: Vec<Kept> = "restrict_css", OneOrList("CSS selectors", Placed("a CSS selector")), "main";
        /// XPath expressions that find elements, in place of selectors; with both, links count that stand in
        /// elements of either.
        xpaths: Vec<Kept> = "restrict_xpaths",
            OneOrList("XPath expressions", Placed("an XPath expression")), "//main";
        /// Links of these elements alone, by their href or src; absent: a and area with restrict_css or
        /// restrict_xpaths, else all that are links.
        tags: Vec<String> = "tags", Listed("names of elements", parsed(
            "the name of an element", |text| Some(text.to_ascii_lowercase()), json!({}))), ["a", "area"];
        /// Follow the links on the pages that match.
        follow: bool = "follow", Flag(true), false;
        /// Have these pages rendered by a browser: `true`, `false`, or how; absent: as all others are.
        render: Wish = "render", WishForm, json!({"wait_for": ".product"});
        /// Higher goes first.
        priority: i64 = "priority", whole(PRIORITY), 10;
    }
}

crate::keys! {
    /// What rules alone have.
    #[derive(Debug)]
    struct OfRule {
        /// Regular expressions, one of which must be found in the absolute URL; absent: every URL is
        /// taken.
        allow: Searched = "allow", Expressions, "/product/";
        /// What is extracted from the pages that match: parse_article, which is "auto", or a name in
        /// callbacks.
        callback: Kept = "callback", Elsewhere(json!({"type": ["string", "null"]})), "parse_article";
    }
}

crate::keys! {
    /// What sections alone have.
    #[derive(Debug)]
    struct OfSection {
        /// Regular expressions, one of which must be found in the absolute URL; absent: every URL is
        /// taken.
        allow: Searched = "match", Expressions, "/product/";
        /// What is extracted from the pages that match: "auto" for title, content, author and
        /// published_date of an article, or fields.
        extract: Kept = "extract",
            Elsewhere(json!({"oneOf": [{"const": "auto"}, {"$ref": "#/$defs/fields"}]})),
            json!({"name": {"css": "h1::text"}});
    }
}

/// A rule, or a section, which is a rule with other words.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// `callback`, or a section's `extract`.
    pub extract: Option<Kept>,
    /// Whether the rule stands in `sections`.
    pub is_section: bool,
    /// `allow`, or a section's `match`.
    pub allow: Searched,
    /// `deny`.
    pub deny: Searched,
    /// Where links must stand.
    pub region: Region,
    /// `follow`.
    pub follow: bool,
    /// Whether its pages are rendered, and how.
    pub render: Option<Wish>,
    /// Higher decides before lower, and its pages go first. Default 0.
    pub priority: i64,
    /// JSON paths of keys that have no effect.
    pub unknown: Vec<String>,
}

/// Where the links of a rule must stand. Its selectors are crawl-fetch's to understand.
#[derive(Debug, Clone, Default)]
pub struct Region {
    /// `restrict_css`.
    pub css: Vec<Kept>,
    /// `restrict_xpaths`.
    pub xpaths: Vec<Kept>,
    /// `tags`, in lower case.
    pub tags: Vec<String>,
}

impl Region {
    /// True when links may stand anywhere.
    pub fn is_everywhere(&self) -> bool {
        self.css.is_empty() && self.xpaths.is_empty() && self.tags.is_empty()
    }
}

/// Regular expressions as they are written, and ready to be searched.
#[derive(Debug, Clone, Default)]
pub struct Searched {
    /// As they are written.
    pub texts: Vec<String>,
    /// The patterns, compiled.
    pub patterns: Patterns,
}

struct Expressions;

impl Form for Expressions {
    type Out = Searched;

    fn read(&self, node: &Node<'_>) -> Result<Searched, Complaint> {
        let items = node.one_or_list("regular expressions")?;
        let text = |item: &Node<'_>| Ok(item.string("a regular expression")?.to_owned());
        let texts: Vec<String> = items.iter().map(text).collect::<Result<_, _>>()?;
        let patterns = Patterns::compile(&texts).map_err(|(place, why)| {
            items[place].complaint(format_args!("expected a regular expression: {why}"))
        })?;
        Ok(Searched { texts, patterns })
    }

    fn schema(&self) -> Value {
        one_or_list(json!({"type": "string", "format": "regex"}))
    }
}

/// What is told of the keys of a rule.
pub fn rule_keys() -> Vec<Key> {
    around(OfRule::keys())
}

/// What is told of the keys of a section.
pub fn section_keys() -> Vec<Key> {
    around(OfSection::keys())
}

/// The first of a rule's own keys says which links, the last what is made of their pages.
fn around(own: Vec<Key>) -> Vec<Key> {
    let mut keys = own;
    let last = keys.split_off(1);
    keys.extend(Common::keys());
    keys.extend(last);
    keys
}

/// Sorted by priority; with the same priority rules come before sections, and then as they stand in the file.
///
/// # Errors
/// Names the place of what is wrong in one.
pub fn ranked(spider: &mut Fields<'_>) -> Result<Vec<Ranked>, Complaint> {
    let mut ranked = Vec::new();
    for (key, is_section) in [("rules", false), ("sections", true)] {
        let Some(list) = spider.get(key) else {
            continue;
        };
        for node in list.list(key)? {
            ranked.push(Ranked::read(&node, is_section)?);
        }
    }
    ranked.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    Ok(ranked)
}

impl Ranked {
    fn read(node: &Node<'_>, is_section: bool) -> Result<Ranked, Complaint> {
        let mut fields = node.object()?;
        let (allow, extract) = if is_section {
            let own = OfSection::read(&mut fields)?;
            (own.allow, own.extract)
        } else {
            let own = OfRule::read(&mut fields)?;
            (own.allow, own.callback)
        };
        let common = Common::read(&mut fields)?;
        // Without its pattern a rule takes every URL: too much for a warning.
        fields.no_slips()?;
        if is_section {
            fields.not_for("allow", "match", "a section")?;
        } else {
            fields.not_for("match", "allow", "a rule")?;
        }
        Ok(Ranked {
            extract,
            is_section,
            allow: allow.unwrap_or_default(),
            deny: denied(&common, node)?,
            region: Region {
                css: common.css.unwrap_or_default(),
                xpaths: common.xpaths.unwrap_or_default(),
                tags: common.tags.unwrap_or_default(),
            },
            follow: common.follow.unwrap_or(true),
            render: common.render,
            priority: common.priority.unwrap_or(PRIORITY.default),
            unknown: fields.unknown().collect(),
        })
    }
}

/// Domains are patterns too, so that all that asks a rule knows of them.
fn denied(common: &Common, node: &Node<'_>) -> Result<Searched, Complaint> {
    let mut denied = common.deny.clone().unwrap_or_default();
    let urls = |list: &Option<Vec<Domain>>| {
        let list = list.as_deref().filter(|list| !list.is_empty());
        list.map(urls_of)
    };
    let others = urls(&common.allow_domains).map(|urls| format!("^(?!{urls})"));
    let before = denied.texts.len();
    denied.texts.extend(others);
    denied.texts.extend(urls(&common.deny_domains));
    if denied.texts.len() > before {
        let too_many = |(_, why)| node.complaint(format_args!("too many domains: {why}"));
        denied.patterns = Patterns::compile(&denied.texts).map_err(too_many)?;
    }
    Ok(denied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spider: &Value) -> Result<Vec<Ranked>, Complaint> {
        ranked(&mut Node::root(spider).object()?)
    }

    #[test]
    fn domains_of_a_rule_narrow_it() {
        let spider = json!({"rules": [
            {"allow": "/p", "allow_domains": ["shop.test", "*.Other.test"], "deny_domains": "ads.shop.test"},
        ]});
        let rule = &read(&spider).unwrap()[0];
        for (url, denied) in [
            ("https://shop.test/p", false),
            ("http://www.shop.test:8080/p", false),
            ("https://a.other.test", false),
            ("https://myshop.test/p", true),
            ("https://else.test/?u=https://shop.test/p", true),
            ("https://shop.test.evil.test/p", true),
            ("https://x.ads.shop.test/p", true),
        ] {
            assert_eq!(rule.deny.patterns.is_match(url).ok(), Some(denied), "{url}");
        }
        let wrong = json!({"rules": [{"deny_domains": ["a b"]}]});
        assert_eq!(read(&wrong).unwrap_err().path, "$.rules[0].deny_domains[0]");
    }

    #[test]
    fn higher_decides_first_and_rules_before_sections() {
        let spider = json!({
            "sections": [{"match": "s0"}, {"match": "s9", "priority": 9}],
            "rules": [{"allow": "r0"}, {"allow": "r1"}, {"allow": "r5", "priority": "5"}, {"allow": "low", "priority": -1}],
        });
        let ranked = read(&spider).unwrap();
        let words = ranked.iter().map(|rule| &*rule.allow.texts[0]);
        assert_eq!(
            words.collect::<Vec<_>>(),
            ["s9", "r5", "r0", "r1", "s0", "low"]
        );
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_named() {
        let value = json!({"rules": [{"allow": ["(?=fine)", "(?P=x)"]}]});
        let error = read(&value).unwrap_err();
        assert_eq!(error.path, "$.rules[0].allow[1]");
        let what = "expected a regular expression: ";
        assert!(error.what.starts_with(what), "{}", error.what);
    }

    #[test]
    fn what_is_told_of_a_section_is_what_it_has() {
        let names = |keys: Vec<Key>| keys.iter().map(|key| key.name).collect::<Vec<_>>();
        let common = [
            "deny",
            "allow_domains",
            "deny_domains",
            "restrict_css",
            "restrict_xpaths",
            "tags",
            "follow",
            "render",
            "priority",
        ];
        assert_eq!(names(rule_keys())[1..10], common);
        assert_eq!(names(section_keys())[1..10], common);
        assert_eq!(names(section_keys())[10], "extract");
        let value = json!({"sections": [{"match": "x", "allow": "y", "hue": "auto"}]});
        let unknown = read(&value).unwrap().remove(0).unknown;
        assert_eq!(unknown, ["$.sections[0].allow", "$.sections[0].hue"]);
    }

    #[test]
    fn a_slip_that_would_take_every_url_is_refused() {
        for (spider, why) in [
            (
                json!({"rules": [{"allow": "/a"}, {"alow": "/b"}]}),
                "$.rules[1].alow: not known; did you mean allow?",
            ),
            (
                json!({"rules": [{"allow": "/a", "allowed_domains": "a.test"}]}),
                "$.rules[0].allowed_domains: not known; did you mean allow_domains?",
            ),
            (
                json!({"sections": [{"mach": "/a"}]}),
                "$.sections[0].mach: not known; did you mean match?",
            ),
            (
                json!({"rules": [{"match": "/a"}]}),
                "$.rules[0].match: not known; a rule has allow",
            ),
            (
                json!({"sections": [{"allow": "/a"}]}),
                "$.sections[0].allow: not known; a section has match",
            ),
        ] {
            assert_eq!(read(&spider).unwrap_err().to_string(), why);
        }
    }
}
