//! The `rules` and `sections` of a spider file in the order in which they decide. crawl-run reads
//! of them what is crawled, crawl-fetch what is extracted and where links stand.

use crate::limits::PRIORITY;
use crate::node::{Complaint, Fields, Node};

/// A rule, or a section, which is a rule with other words.
#[derive(Debug, Clone)]
pub struct Ranked<'a> {
    /// The rule itself.
    pub node: Node<'a>,
    /// Whether it stands in `sections`.
    pub is_section: bool,
    /// Higher decides before lower, and its pages go first. Default 0.
    pub priority: i64,
}

impl Ranked<'_> {
    /// The key of its patterns.
    pub fn pattern_key(&self) -> &'static str {
        if self.is_section { "match" } else { "allow" }
    }
}

/// By priority; of the same one rules before sections, and then as they stand in the file.
///
/// # Errors
/// Names the place of what is no list of objects, or no priority.
pub fn ranked<'a>(spider: &mut Fields<'a>) -> Result<Vec<Ranked<'a>>, Complaint> {
    let mut ranked = Vec::new();
    for (key, is_section) in [("rules", false), ("sections", true)] {
        let Some(list) = spider.get(key) else {
            continue;
        };
        for node in list.list(key)? {
            let priority = match node.object()?.get("priority") {
                Some(priority) => priority.integer(PRIORITY.within)?,
                None => PRIORITY.default,
            };
            ranked.push(Ranked {
                node,
                is_section,
                priority,
            });
        }
    }
    ranked.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    Ok(ranked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn higher_decides_first_and_rules_before_sections() {
        let spider = json!({
            "sections": [{"match": "s0"}, {"match": "s9", "priority": 9}],
            "rules": [{"allow": "r0"}, {"allow": "r1"}, {"allow": "r5", "priority": "5"}, {"allow": "low", "priority": -1}],
        });
        let ranked = ranked(&mut Node::root(&spider).object().unwrap()).unwrap();
        let words = ranked
            .iter()
            .map(|rule| rule.node.value()[rule.pattern_key()].as_str().unwrap());
        assert_eq!(
            words.collect::<Vec<_>>(),
            ["s9", "r5", "r0", "r1", "s0", "low"]
        );
    }
}
