//! A processor as a spider file says it.

use crawl_ckpt::node::{Complaint, Fields, Node};
use crawl_ckpt::pattern::Pattern;

use super::{Processor, Type};
use crate::page::extract::datetime::{self, Language};

const NAMES: &str =
    "strip, replace, regex, cast, join, default, lowercase, parse_datetime or count";

impl Processor {
    /// Reads one of a field's `processors`.
    pub fn read(node: &Node<'_>, ignored: &mut Vec<String>) -> Result<Processor, Complaint> {
        let mut fields = node.object()?;
        let kind = fields.need("type", NAMES)?;
        let processor = match kind.string(NAMES)? {
            "strip" => Processor::Strip,
            "replace" => Processor::Replace {
                old: string(&mut fields, "old", "the text to replace")?,
                new: string(&mut fields, "new", "the text that replaces it")?,
            },
            "regex" => regex(&mut fields)?,
            "cast" => {
                const TYPES: &str = "int, float, bool or str";
                let to = fields.need("to", TYPES)?;
                Processor::Cast(match to.string(TYPES)? {
                    "int" => Type::Int,
                    "float" => Type::Float,
                    "bool" => Type::Bool,
                    "str" => Type::Str,
                    _ => return Err(to.expected(TYPES)),
                })
            }
            "join" => Processor::Join(match fields.get("separator") {
                Some(node) => node.string("the text between the parts")?.to_owned(),
                None => " ".to_owned(),
            }),
            "default" => {
                // `null` is a value here, and what is left without one.
                let value = fields.get("default").map(|node| node.value().clone());
                Processor::Default(value.unwrap_or_default())
            }
            "lowercase" => Processor::Lowercase,
            "parse_datetime" => parse_datetime(&mut fields, ignored)?,
            "count" => Processor::Count,
            _ => return Err(kind.expected(NAMES)),
        };
        ignored.extend(fields.unknown());
        Ok(processor)
    }
}

fn string(fields: &mut Fields<'_>, key: &'static str, what: &str) -> Result<String, Complaint> {
    Ok(fields.need(key, what)?.string(what)?.to_owned())
}

fn regex(fields: &mut Fields<'_>) -> Result<Processor, Complaint> {
    const PATTERN: &str = "a regular expression";
    let node = fields.need("pattern", PATTERN)?;
    let pattern = Pattern::of_texts(node.string(PATTERN)?)
        .map_err(|why| node.complaint(format_args!("expected {PATTERN}: {why}")))?;
    let group: usize = match fields.get("group") {
        Some(group) => group.integer(0..=1000)?,
        None => 1,
    };
    if group >= pattern.groups() {
        return Err(node.expected(format_args!(
            "{PATTERN} with a group {group} in parentheses"
        )));
    }
    Ok(Processor::Regex { pattern, group })
}

fn parse_datetime(
    fields: &mut Fields<'_>,
    ignored: &mut Vec<String>,
) -> Result<Processor, Complaint> {
    let format = match fields.get("format") {
        None => None,
        Some(node) => {
            let what = "a format such as %d.%m.%Y";
            let format = node.string(what)?;
            datetime::check_format(format)
                .map_err(|why| node.complaint(format_args!("expected {what}: {why}")))?;
            Some(format.to_owned())
        }
    };
    let mut languages = Vec::new();
    if let Some(node) = fields.get("languages") {
        for item in node.one_or_list("codes of languages")? {
            match Language::by_code(item.string("the code of a language, such as de")?) {
                Some(language) => languages.push(language),
                None => ignored.push(item.path().to_owned()),
            }
        }
    }
    Ok(Processor::ParseDatetime { format, languages })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_named() {
        for (bad, path) in [
            (json!("strip"), "$"),
            (json!({}), "$.type"),
            (json!({"type": "upper"}), "$.type"),
            (json!({"type": "replace", "old": "a"}), "$.new"),
            (json!({"type": "regex"}), "$.pattern"),
            (json!({"type": "regex", "pattern": "(?=x"}), "$.pattern"),
            (json!({"type": "regex", "pattern": "no group"}), "$.pattern"),
            (
                json!({"type": "regex", "pattern": "(a)", "group": 2}),
                "$.pattern",
            ),
            (json!({"type": "cast", "to": "date"}), "$.to"),
            (
                json!({"type": "parse_datetime", "format": "%d %"}),
                "$.format",
            ),
        ] {
            let error = Processor::read(&Node::root(&bad), &mut Vec::new()).unwrap_err();
            assert_eq!(error.path, path, "{error}");
            assert!(error.what.contains("expected "), "{error}");
        }
    }
}
