//! The rules of a spider: which links are taken on, and which go first. What they extract
//! is crawl-fetch's to read.

use crawl_ckpt::node::{Complaint, Node};
use crawl_ckpt::plan::Rule;
use regex::Regex;

const PATTERN: &str = "a regular expression";

/// Priorities beyond this order nothing that a person could mean.
const PRIORITY: i64 = 1_000_000;

/// What beside the rules is in them.
#[derive(Debug, Default)]
pub struct Beside {
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// Something is to be extracted.
    pub extracts: bool,
}

/// Reads `rules`: `allow`, `deny`, `follow`, `priority`.
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
        beside.extracts |= fields.get(extract_key).is_some();
        beside.ignored.extend(fields.unknown());
        rules.push(rule);
    }
    Ok(rules)
}

/// One pattern or a list of them, each checked by compiling it.
fn patterns(node: &Node<'_>) -> Result<Vec<String>, Complaint> {
    let mut patterns = Vec::new();
    for item in node.one_or_list("regular expressions")? {
        let pattern = item.string(PATTERN)?;
        if let Err(error) = Regex::new(pattern) {
            return Err(item.complaint(format_args!("expected {PATTERN}: {}", reason(&error))));
        }
        patterns.push(pattern.to_owned());
    }
    Ok(patterns)
}

/// The last line of the error says what is wrong; those before it draw the place.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
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
                priority: 5
            }]
        );
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_named() {
        let value = json!([{"allow": ["fine", "(?=x)"]}]);
        let error = rules(&Node::root(&value), &mut Beside::default()).unwrap_err();
        assert_eq!(error.path, "$[0].allow[1]");
        assert!(error.what.contains("look-around"), "{}", error.what);
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
