//! A JSON value that knows its path, so that every complaint names the place
//! and what was expected there. Spider files are read so, by crawl-run for what to crawl
//! and by crawl-fetch for what to extract.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::address::{has_bare_login, masked, masked_proxy};
use crate::limits::from_to;

/// What is wrong at one place of a spider file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// JSON path, such as `$.rules[0].allow[1]`.
    pub path: String,
    /// What was expected, and what was found.
    pub what: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

impl std::error::Error for Complaint {}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    value: &'a Value,
    path: String,
}

/// A value that outlives its document, and still knows where it stood.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    value: Value,
    path: String,
}

impl Kept {
    /// A value that stands in the same place as another.
    pub(crate) fn at(node: &Node<'_>, value: Value) -> Kept {
        Kept {
            value,
            path: node.path.clone(),
        }
    }

    /// The value at its place.
    pub fn node(&self) -> Node<'_> {
        Node {
            value: &self.value,
            path: self.path.clone(),
        }
    }

    /// A text; of anything else nothing.
    pub fn text(&self) -> &str {
        self.value.as_str().unwrap_or_default()
    }
}

impl<'a> Node<'a> {
    /// A copy to be kept.
    pub fn kept(&self) -> Kept {
        Kept {
            value: self.value.clone(),
            path: self.path.clone(),
        }
    }

    /// The top of a document.
    pub fn root(value: &'a Value) -> Node<'a> {
        Node {
            value,
            path: "$".into(),
        }
    }

    /// A complaint about this place.
    pub fn complaint(&self, what: impl fmt::Display) -> Complaint {
        Complaint {
            path: self.path.clone(),
            what: what.to_string(),
        }
    }

    /// A complaint that names what was expected and shows what was found.
    pub fn expected(&self, what: impl fmt::Display) -> Complaint {
        self.complaint(format_args!("expected {what}, found {}", self.found()))
    }

    /// The value itself.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Where it stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn found(&self) -> String {
        const LONGEST: usize = 60;
        match self.value {
            Value::Null => "null".into(),
            Value::Array(items) if items.is_empty() => "an empty list".into(),
            Value::Array(_) => "a list".into(),
            Value::Object(_) => "an object".into(),
            scalar => {
                let text = scalar.to_string();
                let is_xpath = text.contains("/@") || text.contains("[@");
                let text = if has_bare_login(&text) && !is_xpath {
                    format!("\"{}", masked_proxy(&text)).into()
                } else {
                    masked(&text)
                };
                match text.char_indices().nth(LONGEST) {
                    Some((cut, _)) => format!("{}…", &text[..cut]),
                    None => text.into_owned(),
                }
            }
        }
    }

    /// The keys of an object.
    pub fn object(&self) -> Result<Fields<'a>, Complaint> {
        match self.value {
            Value::Object(map) => Ok(Fields {
                map,
                path: self.path.clone(),
                known: Vec::new(),
            }),
            _ => Err(self.expected("an object")),
        }
    }

    /// The items of a list of `what`.
    pub fn list(&self, what: &str) -> Result<Vec<Node<'a>>, Complaint> {
        let Value::Array(items) = self.value else {
            return Err(self.expected(format_args!("a list of {what}")));
        };
        let at = |(i, value)| Node {
            value,
            path: format!("{}[{i}]", self.path),
        };
        Ok(items.iter().enumerate().map(at).collect())
    }

    /// One or several of `what`: a value by itself stands for a list of one.
    pub fn one_or_list(&self, what: &str) -> Result<Vec<Node<'a>>, Complaint> {
        match self.value {
            Value::Array(_) => self.list(what),
            _ => Ok(vec![self.clone()]),
        }
    }

    /// A string that is `what`.
    pub fn string(&self, what: &str) -> Result<&'a str, Complaint> {
        self.value.as_str().ok_or_else(|| self.expected(what))
    }

    /// `true` or `false`, also written as 1 and 0 or as strings, as Scrapy takes them.
    pub fn boolean(&self) -> Result<bool, Complaint> {
        let read = match self.value {
            Value::Bool(value) => Some(*value),
            Value::Number(number) => match number.as_f64() {
                Some(1.0) => Some(true),
                Some(0.0) => Some(false),
                _ => None,
            },
            Value::String(text) => match &*text.trim().to_ascii_lowercase() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        read.ok_or_else(|| self.expected("true or false"))
    }

    /// A number, also one in a string.
    fn number(&self) -> Option<f64> {
        match self.value {
            Value::String(text) => text.trim().parse().ok(),
            value => value.as_f64(),
        }
    }

    /// A whole number within bounds.
    pub fn integer<T>(&self, within: RangeInclusive<T>) -> Result<T, Complaint>
    where
        T: TryFrom<i64> + PartialOrd + fmt::Display + Clone,
    {
        let number = self.value.as_i64();
        number
            .or_else(|| self.number().and_then(whole))
            .and_then(|number| T::try_from(number).ok())
            .filter(|number| within.contains(number))
            .ok_or_else(|| {
                let within = from_to(&within, T::clone);
                self.expected(format_args!("a whole number {within}"))
            })
    }

    /// A number of `what`, which is empty or ends with a blank, within bounds.
    pub fn amount(&self, what: &str, within: RangeInclusive<f64>) -> Result<f64, Complaint> {
        let number = self.number().filter(|number| within.contains(number));
        number.ok_or_else(|| {
            let within = from_to(&within, f64::clone);
            self.expected(format_args!("a number {what}{within}"))
        })
    }

    /// A time in seconds, within bounds.
    pub fn seconds(&self, within: RangeInclusive<Duration>) -> Result<Duration, Complaint> {
        let seconds = within.start().as_secs_f64()..=within.end().as_secs_f64();
        let seconds = self.amount("of seconds ", seconds)?;
        Ok(Duration::from_secs_f64(seconds))
    }
}

/// 16.0 is written by some programs for 16.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// The keys of an object; the ones that nobody asked for are known at the end.
#[derive(Debug)]
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The value of a key; `null` counts as absent.
    pub fn get(&mut self, key: &'static str) -> Option<Node<'a>> {
        self.known.push(key);
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(Node {
            value,
            path: child(&self.path, key),
        })
    }

    /// The value of a key that must be there.
    pub fn need(&mut self, key: &'static str, what: &str) -> Result<Node<'a>, Complaint> {
        let node = self.get(key);
        node.ok_or_else(|| self.missing(key, what))
    }

    /// A complaint that a key is not there; one that may be meant for it is named.
    pub fn missing(&self, key: &str, what: &str) -> Complaint {
        let mut keys = self.map.keys().map(String::as_str);
        let meant = keys.find(|other| !self.known.contains(other) && is_like(key, other));
        let meant = meant.map_or(String::new(), |other| {
            format!("; is `{other}` meant for it?")
        });
        Complaint {
            path: child(&self.path, key),
            what: format!("missing; expected {what}{meant}"),
        }
    }

    /// All keys, which are names that the user chose, with their values.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, Node<'a>)> + '_ {
        self.map.iter().map(|(key, value)| {
            let path = child(&self.path, key);
            (key.as_str(), Node { value, path })
        })
    }

    /// The paths of the keys that were not asked for, with those that may have been meant. One
    /// that begins with `//` is a comment.
    pub fn unknown(&self) -> impl Iterator<Item = String> + '_ {
        self.strangers().map(|(path, meant)| match meant {
            Some(meant) => format!("{path} (did you mean {meant}?)"),
            None => path,
        })
    }

    /// For objects that mean something else without a key: one that was not asked for and looks like a slip
    /// of the hand.
    ///
    /// # Errors
    /// There is such a key; names what may have been meant.
    pub fn no_slips(&self) -> Result<(), Complaint> {
        let slip = self.strangers().find_map(|(path, meant)| {
            let what = format!("not known; did you mean {}?", meant?);
            Some(Complaint { path, what })
        });
        slip.map_or(Ok(()), Err)
    }

    /// A complaint about a key that belongs elsewhere, when it is there in place of its own here.
    ///
    /// # Errors
    /// It is.
    pub fn not_for(&self, key: &str, own: &str, what: &str) -> Result<(), Complaint> {
        let is_meant = self.map.contains_key(key) && !self.map.contains_key(own);
        let complaint = || Complaint {
            path: child(&self.path, key),
            what: format!("not known; {what} has {own}"),
        };
        if is_meant { Err(complaint()) } else { Ok(()) }
    }

    /// The keys that were not asked for, with those that may have been meant.
    fn strangers(&self) -> impl Iterator<Item = (String, Option<&'static str>)> + '_ {
        self.map
            .keys()
            .filter(|key| !self.known.contains(&key.as_str()) && !key.starts_with("//"))
            .map(|key| {
                let free = |known: &&&str| !self.map.contains_key(**known) && is_like(known, key);
                let meant = self.known.iter().find(free).copied();
                (child(&self.path, key), meant)
            })
    }
}

/// A slip of the hand away from the other.
fn is_like(key: &str, other: &str) -> bool {
    let most = if key.len() < 7 { 1 } else { 2 };
    strsim::osa_distance(&key.to_ascii_lowercase(), &other.to_ascii_lowercase()) <= most
}

fn child(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain {
        format!("{path}.{key}")
    } else {
        format!("{path}[{}]", Value::from(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_slip_of_the_hand_is_named_with_what_was_meant() {
        let value = json!({"alow": "x", "DEPTH_LIMT": 1, "deny": "y", "dny": "z", "hue": 1});
        let mut fields = Node::root(&value).object().unwrap();
        for key in ["allow", "deny", "DEPTH_LIMIT"] {
            fields.get(key);
        }
        assert_eq!(
            fields.unknown().collect::<Vec<_>>(),
            [
                "$.DEPTH_LIMT (did you mean DEPTH_LIMIT?)",
                "$.alow (did you mean allow?)",
                "$.dny",
                "$.hue"
            ]
        );
        let value = json!({"start_url": "x"});
        let fields = Node::root(&value).object().unwrap();
        let complaint = fields.missing("start_urls", "URLs").to_string();
        assert!(
            complaint.ends_with("is `start_url` meant for it?"),
            "{complaint}"
        );
    }

    #[test]
    fn a_complaint_names_the_place_what_was_expected_and_what_was_found() {
        let value = json!({"rules": [{"allow": ["a", 7]}]});
        let rules = Node::root(&value).object().unwrap().get("rules").unwrap();
        let rule = rules.list("rules").unwrap().remove(0);
        let allow = rule.object().unwrap().get("allow").unwrap();
        let second = allow.one_or_list("patterns").unwrap().remove(1);
        assert_eq!(
            second.string("a pattern").unwrap_err().to_string(),
            "$.rules[0].allow[1]: expected a pattern, found 7"
        );
    }

    #[test]
    fn a_complaint_shows_no_password() {
        for (text, shown) in [
            ("user:pw@h.test", r#""***@h.test""#),
            ("http://u:p@h.test", r#""http://***@h.test""#),
            ("//a/@href", r#""//a/@href""#),
            ("x:a[@b]", r#""x:a[@b]""#),
        ] {
            let value = json!(text);
            let complaint = Node::root(&value).expected("a URL");
            assert_eq!(complaint.what, format!("expected a URL, found {shown}"));
        }
    }

    #[test]
    fn keys_that_nobody_asked_for_are_listed_with_their_paths() {
        let value = json!({"name": "x", "odd key": 1, "callback": "f"});
        let mut fields = Node::root(&value).object().unwrap();
        fields.get("name");
        let mut unknown: Vec<String> = fields.unknown().collect();
        unknown.sort();
        assert_eq!(unknown, ["$.callback", "$[\"odd key\"]"]);
    }

    #[test]
    fn whole_numbers_may_be_written_with_a_fraction_of_zero_or_as_strings() {
        for value in [json!(16.0), json!("16"), json!(" 16.0 ")] {
            assert_eq!(Node::root(&value).integer(1..=99), Ok(16), "{value}");
        }
        for bad in [
            json!(16.5),
            json!(0),
            json!(100),
            json!("16.5"),
            json!("x"),
            json!(""),
            json!(1e300),
        ] {
            assert!(Node::root(&bad).integer(1..=99).is_err(), "{bad}");
        }
    }
}
