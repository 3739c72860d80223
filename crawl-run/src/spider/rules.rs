//! The rules of a spider: which links are taken on, and which go first. What they extract, and
//! their selectors, are crawl-fetch's to read.

use crawl_ckpt::node::{Complaint, Fields, Node};
use crawl_ckpt::pattern::Pattern;
use crawl_ckpt::plan::Rule;
use crawl_ckpt::ranked::ranked;

const PATTERN: &str = "a regular expression";

/// What beside the rules is in them.
#[derive(Debug, Default)]
pub struct Beside {
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// Something is to be extracted, or selected.
    pub extracts: bool,
    /// What is to be said of the file.
    pub notes: Vec<String>,
}

/// Reads `rules` (`allow`, `deny`, `restrict_css`, `restrict_xpaths`, `tags`, `follow`, `priority`)
/// and `sections`, which are rules whose pattern is called `match`, in the order in which they decide.
pub fn rules(spider: &mut Fields<'_>, beside: &mut Beside) -> Result<Vec<Rule>, Complaint> {
    let mut rules = Vec::new();
    let ranked = ranked(spider)?;
    let sections_alone = ranked.iter().all(|rule| rule.is_section);
    for ranked in ranked {
        let mut fields = ranked.node.object()?;
        fields.get("priority");
        let mut rule = Rule {
            priority: ranked.priority,
            ..Rule::default()
        };
        if let Some(node) = fields.get(ranked.pattern_key()) {
            rule.allow = patterns(&node)?;
        }
        if let Some(node) = fields.get("deny") {
            rule.deny = patterns(&node)?;
        }
        if let Some(node) = fields.get("follow") {
            rule.follow = node.boolean()?;
        }
        region(&mut fields, &mut rule)?;
        let extract_key = if ranked.is_section {
            "extract"
        } else {
            "callback"
        };
        beside.extracts |= fields.get(extract_key).is_some() || rule.has_region();
        beside.ignored.extend(fields.unknown());
        rules.push(rule);
    }
    if sections_alone && !rules.is_empty() && !rules.iter().any(takes_all) {
        let note = "only links that a section matches are followed; `{\"match\": [\".*\"]}` as the \
                    last section follows all others";
        beside.notes.push(note.to_owned());
    }
    Ok(rules)
}

/// Whether its pattern leaves no link out; what it denies, its author wants left out.
fn takes_all(rule: &Rule) -> bool {
    let takes_all =
        |pattern: &String| matches!(pattern.as_str(), "" | ".*" | ".+" | "^.*$" | "/" | ".");
    rule.allow.is_empty() || rule.allow.iter().any(takes_all)
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
    use serde_json::{Value, json};

    fn read(spider: Value, beside: &mut Beside) -> Result<Vec<Rule>, Complaint> {
        rules(&mut Node::root(&spider).object()?, beside)
    }

    #[test]
    fn a_pattern_may_stand_alone_or_in_a_list() {
        let rule = json!({"allow": "a", "deny": ["b", "c"], "follow": false, "priority": 5});
        let rules = read(json!({"rules": [rule]}), &mut Beside::default()).unwrap();
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
        let value = json!({"rules": [{"allow": ["(?=fine)", "(?P=x)"]}]});
        let error = read(value, &mut Beside::default()).unwrap_err();
        assert_eq!(error.path, "$.rules[0].allow[1]");
        assert!(
            error.what.starts_with("expected a regular expression: "),
            "{}",
            error.what
        );
    }

    #[test]
    fn a_section_is_a_rule() {
        let value = json!({"sections": [{"match": "/a/", "extract": {}, "restrict_css": "main"}]});
        let mut beside = Beside::default();
        let rules = read(value, &mut beside).unwrap();
        assert_eq!(rules[0].allow, ["/a/"]);
        assert_eq!(rules[0].restrict_css, ["main"]);
        assert!(beside.extracts && beside.ignored.is_empty());
    }
}
