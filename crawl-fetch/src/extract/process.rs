//! Processors: each makes another value of a field's value.

use crawl_ckpt::node::{Complaint, Fields, Node};
use jiff::Timestamp;
use regex::{Regex, RegexBuilder};
use serde_json::{Number, Value};

use super::datetime::{self, Language};

/// One step. Strings in a list are treated one by one; what a step has nothing to say
/// of goes through as it is.
#[derive(Debug, Clone)]
pub enum Processor {
    /// Takes white space off both ends.
    Strip,
    /// Puts one text for another, wherever it stands.
    Replace {
        /// The one.
        old: String,
        /// The other.
        new: String,
    },
    /// Keeps what a group of the first match matched; without a match all is kept.
    Regex {
        /// The expression.
        pattern: Regex,
        /// The group's number.
        group: usize,
    },
    /// Makes a value of a type, or none.
    Cast(Type),
    /// Makes one string of a list.
    Join(String),
    /// Stands for no value, an empty string or an empty list.
    Default(Value),
    /// Makes letters small.
    Lowercase,
    /// Makes an ISO 8601 date and time, or no value.
    ParseDatetime {
        /// In `strptime`'s words; without one many forms are tried.
        format: Option<String>,
        /// In whose words months are looked for; empty: all that are known.
        languages: Vec<Language>,
    },
    /// How many there are: the length of a list, 0 for no value, else 1.
    Count,
}

/// What `cast` makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` for `true`, `1`, `yes`, `on`.
    Bool,
    /// A string.
    Str,
}

const NAMES: &str =
    "strip, replace, regex, cast, join, default, lowercase, parse_datetime or count";

/// A compiled expression takes no more memory than this.
const MAX_REGEX_BYTES: usize = 1 << 20;

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

    /// The value that follows from this one.
    pub fn apply(&self, value: Value, now: Timestamp) -> Value {
        match self {
            Processor::Strip => strings(value, &|text| text.trim().to_owned()),
            Processor::Replace { old, new } => strings(value, &|text| text.replace(old, new)),
            Processor::Lowercase => strings(value, &|text| text.to_lowercase()),
            Processor::Regex { pattern, group } => each(value, &|value| match value {
                Value::String(text) => match pattern.captures(&text) {
                    Some(found) => found
                        .get(*group)
                        .map_or(Value::Null, |part| part.as_str().into()),
                    None => Value::String(text),
                },
                other => other,
            }),
            Processor::Cast(to) => each(value, &|value| to.of(value)),
            Processor::Join(separator) => match value {
                Value::Array(items) => {
                    let items = items.into_iter().filter(|item| !item.is_null());
                    let words: Vec<String> = items.map(text_of).collect();
                    Value::String(words.join(separator))
                }
                other => other,
            },
            Processor::Default(default) if is_empty(&value) => default.clone(),
            Processor::Default(_) => value,
            Processor::ParseDatetime { format, languages } => each(value, &|value| {
                let text = value.as_str().unwrap_or_default().trim();
                let time = match format {
                    Some(format) => datetime::by_format(text, format),
                    None => datetime::parse(text, languages, now),
                };
                time.map_or(Value::Null, Value::String)
            }),
            Processor::Count => match &value {
                Value::Null => 0.into(),
                Value::Array(items) => items.len().into(),
                _ => 1.into(),
            },
        }
    }
}

/// True for a value that says nothing.
pub fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn string(fields: &mut Fields<'_>, key: &'static str, what: &str) -> Result<String, Complaint> {
    Ok(fields.need(key, what)?.string(what)?.to_owned())
}

fn regex(fields: &mut Fields<'_>) -> Result<Processor, Complaint> {
    const PATTERN: &str = "a regular expression";
    let node = fields.need("pattern", PATTERN)?;
    let pattern = RegexBuilder::new(node.string(PATTERN)?)
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|error| {
            // The last line says what is wrong; those before it draw the place.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let last = last.trim_start_matches("error: ");
            node.complaint(format_args!("expected {PATTERN}: {last}"))
        })?;
    let group = match fields.get("group") {
        Some(group) => group.integer(0..=1000, "the number of a group")?,
        None => 1,
    };
    let group = usize::try_from(group).unwrap_or_default();
    if group >= pattern.captures_len() {
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

/// Each value of a list, or the one value.
fn each(value: Value, change: &dyn Fn(Value) -> Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(change).collect(),
        other => change(other),
    }
}

fn strings(value: Value, change: &dyn Fn(&str) -> String) -> Value {
    each(value, &|value| match value {
        Value::String(text) => Value::String(change(&text)),
        other => other,
    })
}

/// A value as text: strings as they are, anything else as JSON.
fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Type {
    /// No value, or an empty string, stays none, as does what cannot be made.
    fn of(self, value: Value) -> Value {
        if matches!(&value, Value::Null) || value.as_str() == Some("") {
            return Value::Null;
        }
        match self {
            Type::Int => int(&value),
            Type::Float => float(&value),
            Type::Bool => Value::Bool(match &value {
                Value::Bool(yes) => *yes,
                Value::String(text) => {
                    matches!(&*text.to_lowercase(), "true" | "1" | "yes" | "on")
                }
                Value::Number(number) => number.as_f64() != Some(0.0),
                Value::Object(fields) => !fields.is_empty(),
                Value::Array(_) | Value::Null => false,
            }),
            Type::Str => Value::String(text_of(value)),
        }
    }
}

/// Digits with a sign; single underscores may part them.
fn int(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            _ if number.is_i64() || number.is_u64() => value.clone(),
            Some(number) if number.abs() < 9e18 => Value::from(number.trunc() as i64),
            _ => Value::Null,
        },
        Value::Bool(yes) => i64::from(*yes).into(),
        Value::String(text) => {
            let text = unparted(text);
            let number = text.as_deref().and_then(|text| text.parse::<i64>().ok());
            number.map_or(Value::Null, Value::from)
        }
        _ => Value::Null,
    }
}

fn float(value: &Value) -> Value {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        Value::String(text) => unparted(text).and_then(|text| text.parse().ok()),
        _ => None,
    };
    // JSON has neither infinity nor NaN.
    let number = number.and_then(Number::from_f64);
    number.map_or(Value::Null, Value::Number)
}

/// A number's text without blanks around it and underscores in it.
fn unparted(text: &str) -> Option<String> {
    let text = text.trim();
    let bad = text.starts_with('_') || text.ends_with('_') || text.contains("__");
    (!bad).then(|| text.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: &Value) -> Result<Processor, Complaint> {
        Processor::read(&Node::root(value), &mut Vec::new())
    }

    #[track_caller]
    fn check(processor: Value, from: Value, to: Value) {
        let now = Timestamp::UNIX_EPOCH;
        let got = read(&processor).unwrap().apply(from.clone(), now);
        assert_eq!(got, to, "{processor} of {from}");
    }

    #[test]
    fn strings_and_lists_of_strings_are_changed() {
        let strip = json!({"type": "strip"});
        check(strip.clone(), json!(" a\n"), json!("a"));
        check(strip.clone(), json!([" a", 1, null]), json!(["a", 1, null]));
        check(strip, json!(5), json!(5));
        let replace = json!({"type": "replace", "old": ",", "new": ""});
        check(replace, json!("1,299,000"), json!("1299000"));
        check(
            json!({"type": "lowercase"}),
            json!(["ÄB", "C"]),
            json!(["äb", "c"]),
        );
        let join = json!({"type": "join", "separator": ", "});
        check(join.clone(), json!(["a", null, 2]), json!("a, 2"));
        check(join, json!("a"), json!("a"));
    }

    #[test]
    fn a_regex_keeps_its_group_and_without_a_match_everything() {
        let price = json!({"type": "regex", "pattern": r"\$([\d.]+)"});
        check(price.clone(), json!("for $9.99!"), json!("9.99"));
        check(price.clone(), json!("free"), json!("free"));
        check(price.clone(), json!(null), json!(null));
        check(price, json!(["$1", "2"]), json!(["1", "2"]));
        let second = json!({"type": "regex", "pattern": "(a)(b)?", "group": 2});
        check(second, json!("a"), json!(null));
        let whole = json!({"type": "regex", "pattern": "a+", "group": 0});
        check(whole, json!("baab"), json!("aa"));
    }

    #[test]
    fn a_cast_that_fails_is_no_value() {
        let cast = |to: &str| json!({"type": "cast", "to": to});
        for (to, from, want) in [
            ("int", json!(" +42 "), json!(42)),
            ("int", json!("1_000"), json!(1000)),
            ("int", json!("4.5"), json!(null)),
            ("int", json!(4.7), json!(4)),
            ("int", json!(true), json!(1)),
            ("int", json!({}), json!(null)),
            ("float", json!("4.5"), json!(4.5)),
            ("float", json!("42"), json!(42.0)),
            ("float", json!("nan"), json!(null)),
            ("float", json!(["1", "x"]), json!([1.0, null])),
            ("bool", json!("Yes"), json!(true)),
            ("bool", json!("in stock"), json!(false)),
            ("bool", json!(0), json!(false)),
            ("bool", json!(""), json!(null)),
            ("str", json!(4.5), json!("4.5")),
            ("str", json!(null), json!(null)),
        ] {
            check(cast(to), from, want);
        }
    }

    #[test]
    fn a_default_stands_for_nothing_and_a_count_counts() {
        let default = json!({"type": "default", "default": "N/A"});
        for nothing in [json!(null), json!(""), json!([])] {
            check(default.clone(), nothing, json!("N/A"));
        }
        check(default, json!(0), json!(0));
        check(
            json!({"type": "default", "default": null}),
            json!(""),
            json!(null),
        );
        let count = json!({"type": "count"});
        check(count.clone(), json!(["a", "b"]), json!(2));
        check(count.clone(), json!([]), json!(0));
        check(count.clone(), json!(null), json!(0));
        check(count, json!("a"), json!(1));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (bad, path) in [
            (json!("strip"), "$"),
            (json!({}), "$.type"),
            (json!({"type": "upper"}), "$.type"),
            (json!({"type": "replace", "old": "a"}), "$.new"),
            (json!({"type": "regex"}), "$.pattern"),
            (json!({"type": "regex", "pattern": "(?=x)"}), "$.pattern"),
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
            let error = read(&bad).unwrap_err();
            assert_eq!(error.path, path, "{error}");
            assert!(error.what.contains("expected "), "{error}");
        }
    }
}
