//! The rules of a spider: which links are taken on, and which go first.

use crawl_ckpt::plan::Rule;
use regex::Regex;

use super::node::{Complaint, Node};

const PATTERN: &str = "a regular expression";

/// Priorities beyond this order nothing that a person could mean.
const PRIORITY: i64 = 1_000_000;

/// Reads `rules`: `allow`, `deny`, `follow`, `priority`.
pub fn rules(node: &Node<'_>, ignored: &mut Vec<String>) -> Result<Vec<Rule>, Complaint> {
    read(node, "rules", "allow", ignored)
}

/// Reads `sections`, which are rules whose pattern is called `match`.
pub fn sections(node: &Node<'_>, ignored: &mut Vec<String>) -> Result<Vec<Rule>, Complaint> {
    read(node, "sections", "match", ignored)
}

fn read(
    node: &Node<'_>,
    what: &str,
    pattern_key: &'static str,
    ignored: &mut Vec<String>,
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
        ignored.extend(fields.unknown());
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
        let rules = rules(&Node::root(&value), &mut Vec::new()).unwrap();
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
        let error = rules(&Node::root(&value), &mut Vec::new()).unwrap_err();
        assert_eq!(error.path, "$[0].allow[1]");
        assert!(error.what.contains("look-around"), "{}", error.what);
    }

    #[test]
    fn a_section_is_a_rule() {
        let value = json!([{"match": "/a/", "extract": {}}]);
        let mut ignored = Vec::new();
        let rules = sections(&Node::root(&value), &mut ignored).unwrap();
        assert_eq!(rules[0].allow, ["/a/"]);
        assert_eq!(ignored, ["$[0].extract"]);
    }
}
