//! The rules of a spider: which links are taken on, and which go first. What they extract, and
//! their selectors, are crawl-fetch's to read.

use crawl_ckpt::node::{Complaint, Fields, Node};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::plan::Rule;

const PATTERN: &str = "a regular expression";

/// Priorities beyond this order nothing that a person could mean.
const PRIORITY: i64 = 1_000_000;

/// What beside the rules is in them.
#[derive(Debug, Default)]
pub struct Beside {
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// Something is to be extracted, or selected.
    pub extracts: bool,
}

/// Reads `rules`: `allow`, `deny`, `restrict_css`, `restrict_xpaths`, `tags`, `follow`, `priority`.
pub fn rules(node: &Node<'_>, beside: &mut Beside) -> Result<Vec<Rule>, Complaint> {
    read(node, "rules", ("allow", "callback"), beside)
}

/// Reads `sections`, which are rules whose pattern is called `match`.
pub fn sections(node: &Node<'_>, beside: &mut Beside) -> Result<Vec<Rule>, Complaint> {
    read(node, "sections", ("match", "extract"), beside)
}

fn read(
    node: &Node<'_>,
    what: &str,
    (pattern_key, extract_key): (&'static str, &'static str),
    beside: &mut Beside,
) -> Result<Vec<Rule>, Complaint> {
    let mut rules = Vec::new();
    for item in node.list(what)? {
        let mut fields = item.object()?;
        let mut rule = Rule::default();
        if let Some(node) = fields.get(pattern_key) {
            rule.allow = patterns(&node)?;
        }
        if let Some(node) = fields.get("deny") {
            rule.deny = patterns(&node)?;
        }
        if let Some(node) = fields.get("follow") {
            rule.follow = node.boolean()?;
        }
        if let Some(node) = fields.get("priority") {
            rule.priority = node.integer(
                -PRIORITY..=PRIORITY,
                "a whole number from -1000000 to 1000000",
            )?;
        }
        region(&mut fields, &mut rule)?;
        beside.extracts |= fields.get(extract_key).is_some() || rule.has_region();
        beside.ignored.extend(fields.unknown());
        rules.push(rule);
    }
    Ok(rules)
}

/// Where links must stand. Whether the selectors are any, crawl-fetch is asked before a crawl.
fn region(fields: &mut Fields<'_>, rule: &mut Rule) -> Result<(), Complaint> {
    if let Some(node) = fields.get("restrict_css") {
        for item in node.one_or_list("CSS selectors")? {
            let selector = item.string("a CSS selector")?;
            rule.restrict_css.push(selector.to_owned());
        }
    }
    if let Some(node) = fields.get("restrict_xpaths") {
        for item in node.one_or_list("XPath expressions")? {
            let path = item.string("an XPath expression")?;
            rule.restrict_xpaths.push(path.to_owned());
        }
    }
    if let Some(node) = fields.get("tags") {
        for item in node.one_or_list("names of elements")? {
            let name = item.string("the name of an element")?;
            rule.tags.push(name.to_ascii_lowercase());
        }
    }
    Ok(())
}

/// One pattern or a list of them, each checked by compiling it.
fn patterns(node: &Node<'_>) -> Result<Vec<String>, Complaint> {
    let mut patterns = Vec::new();
    for item in node.one_or_list("regular expressions")? {
        let pattern = item.string(PATTERN)?;
        if let Err(why) = Pattern::compile(pattern) {
            return Err(item.complaint(format_args!("expected {PATTERN}: {why}")));
        }
        patterns.push(pattern.to_owned());
    }
    Ok(patterns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pattern_may_stand_alone_or_in_a_list() {
        let value = json!([{"allow": "a", "deny": ["b", "c"], "follow": false, "priority": 5}]);
        let rules = rules(&Node::root(&value), &mut Beside::default()).unwrap();
        assert_eq!(
            rules,
            [Rule {
                allow: vec!["a".into()],
                deny: vec!["b".into(), "c".into()],
                follow: false,
                priority: 5,
                ..Rule::default()
            }]
        );
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_named() {
        let value = json!([{"allow": ["(?=fine)", "(?P=x)"]}]);
        let error = rules(&Node::root(&value), &mut Beside::default()).unwrap_err();
        assert_eq!(error.path, "$[0].allow[1]");
        assert!(
            error.what.starts_with("expected a regular expression: "),
            "{}",
            error.what
        );
    }

    #[test]
    fn a_section_is_a_rule() {
        let value = json!([{"match": "/a/", "extract": {}}]);
        let mut beside = Beside::default();
        let rules = sections(&Node::root(&value), &mut beside).unwrap();
        assert_eq!(rules[0].allow, ["/a/"]);
        assert!(beside.extracts && beside.ignored.is_empty());
    }
}
