//! The rules of a spider: which links are taken on, and which go first. What they extract, and
//! their selectors, are crawl-fetch's to understand.

use crawl_ckpt::node::{Complaint, Fields, Kept};
use crawl_ckpt::plan::Rule;
use crawl_ckpt::ranked::{Ranked, ranked};

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

/// Reads `rules` and `sections`, in the order in which they decide.
pub fn rules(spider: &mut Fields<'_>, beside: &mut Beside) -> Result<Vec<Rule>, Complaint> {
    let ranked = ranked(spider)?;
    let sections_alone = ranked.iter().all(|rule| rule.is_section);
    let mut rules = Vec::new();
    for ranked in ranked {
        beside.extracts |= ranked.extract.is_some() || !ranked.region.is_everywhere();
        beside.ignored.extend_from_slice(&ranked.unknown);
        rules.push(rule(ranked));
    }
    if sections_alone && !rules.is_empty() && !rules.iter().any(takes_all) {
        let note = "only links that a section matches are followed; `{\"match\": [\".*\"]}` as the \
                    last section follows all others";
        beside.notes.push(note.to_owned());
    }
    Ok(rules)
}

/// What a crawl needs of it.
fn rule(ranked: Ranked) -> Rule {
    let texts = |list: &[Kept]| list.iter().map(|kept| kept.text().to_owned()).collect();
    Rule {
        allow: ranked.allow.texts,
        deny: ranked.deny.texts,
        restrict_css: texts(&ranked.region.css),
        restrict_xpaths: texts(&ranked.region.xpaths),
        tags: ranked.region.tags,
        follow: ranked.follow,
        priority: ranked.priority,
    }
}

/// Whether its pattern leaves no link out; what it denies, its author wants left out.
fn takes_all(rule: &Rule) -> bool {
    let takes_all =
        |pattern: &String| matches!(pattern.as_str(), "" | ".*" | ".+" | "^.*$" | "/" | ".");
    rule.allow.is_empty() || rule.allow.iter().any(takes_all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::node::Node;
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
    fn a_section_is_a_rule() {
        let value = json!({"sections": [{"match": "/a/", "extract": {}, "restrict_css": "main"}]});
        let mut beside = Beside::default();
        let rules = read(value, &mut beside).unwrap();
        assert_eq!(rules[0].allow, ["/a/"]);
        assert_eq!(rules[0].restrict_css, ["main"]);
        assert!(beside.extracts && beside.ignored.is_empty());
    }
}
