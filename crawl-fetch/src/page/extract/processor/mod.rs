//! Processors: each makes another value of a field's value.

mod cast;
mod read;

use std::cell::Cell;
use std::time::{Duration, Instant};

use crawl_ckpt::pattern::Pattern;
use jiff::Timestamp;
use serde_json::Value;

use super::datetime::{self, Language};
use cast::{Type, text_of};

/// One step. Strings in a list are treated one by one; what a step has nothing to say
/// of goes through as it is.
#[derive(Debug, Clone)]
pub enum Processor {
    /// Takes white space off both ends.
    Strip,
    /// Puts one text for another, wherever it stands.
    Replace {
        old: String,
        /// The other.
        new: String,
    },
    /// Keeps what a group of the first match matched; without a match all is kept.
    Regex {
        /// The expression.
        pattern: Pattern,
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

/// All searches of a page that go back take no longer than this together.
const LONGEST: Duration = Duration::from_secs(1);

/// What the processors of a page share.
#[derive(Debug)]
pub struct PageTime {
    now: Timestamp,
    searched: Cell<Duration>,
}

impl PageTime {
    /// For a page that is read at this time.
    pub fn new(now: Timestamp) -> PageTime {
        PageTime {
            now,
            searched: Cell::default(),
        }
    }

    /// True when searches took so long that the rest was left out.
    pub fn is_spent(&self) -> bool {
        self.searched.get() >= LONGEST
    }

    /// What a group of an expression finds; without a match all, and nothing where that cannot
    /// be told in good time.
    fn search(&self, pattern: &Pattern, group: usize, text: String) -> Value {
        let began = pattern.goes_back().then(Instant::now);
        if began.is_some() && self.is_spent() {
            return Value::Null;
        }
        let found = match pattern.group(&text, group) {
            Ok(None) => None,
            Ok(Some(part)) => Some(part.map_or(Value::Null, Value::from)),
            Err(_) => {
                self.searched.set(LONGEST);
                Some(Value::Null)
            }
        };
        if let Some(began) = began {
            self.searched.set(self.searched.get() + began.elapsed());
        }
        found.unwrap_or(Value::String(text))
    }
}

impl Processor {
    /// The value that follows from this one.
    pub fn apply(&self, value: Value, page_time: &PageTime) -> Value {
        match self {
            Processor::Strip => strings(value, &|text| text.trim().to_owned()),
            Processor::Replace { old, new } => strings(value, &|text| text.replace(old, new)),
            Processor::Lowercase => strings(value, &|text| text.to_lowercase()),
            Processor::Regex { pattern, group } => each(value, &|value| match value {
                Value::String(text) => page_time.search(pattern, *group, text),
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
                    None => datetime::parse(text, languages, page_time.now),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::node::Node;
    use serde_json::json;

    #[track_caller]
    fn check(processor: Value, from: Value, to: Value) {
        let page_time = PageTime::new(Timestamp::UNIX_EPOCH);
        let read = Processor::read(&Node::root(&processor), &mut Vec::new());
        let got = read.unwrap().apply(from.clone(), &page_time);
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
        let cast = json!({"type": "cast", "to": "float"});
        check(cast, json!(["1", "x"]), json!([1.0, null]));
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
        let behind = json!({"type": "regex", "pattern": r"(?<=Price: )(\d+)"});
        check(behind, json!("1 Price: 99"), json!("99"));
    }

    #[test]
    fn a_search_that_would_take_forever_finds_nothing_and_is_told() {
        let page_time = PageTime::new(Timestamp::UNIX_EPOCH);
        let forever = json!({"type": "regex", "pattern": r"^((a|aa)+)\1c"});
        let forever = Processor::read(&Node::root(&forever), &mut Vec::new()).unwrap();
        let plain = json!({"type": "regex", "pattern": "(a)"});
        let plain = Processor::read(&Node::root(&plain), &mut Vec::new()).unwrap();
        let text = json!("a".repeat(60) + "b");
        assert!(!page_time.is_spent());
        assert_eq!(forever.apply(text.clone(), &page_time), json!(null));
        assert!(page_time.is_spent());
        assert_eq!(plain.apply(text, &page_time), json!("a"));
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
}
