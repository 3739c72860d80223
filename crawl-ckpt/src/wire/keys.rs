//! Tables of the keys that an object of a spider file may have. A table is the one source of what is
//! read and of all that tells of it: the JSON Schema, the man page, the README.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::limits::Limit;
use crate::node::{Complaint, Kept, Node};

/// Makes a struct of a table, whose fields are `None` where a key is absent or `null`: `read` takes
/// it out of an object, `keys` tells what there is. A line has the field and its type, the key, the
/// [`Form`] of its values, and an example.
#[macro_export]
macro_rules! keys {
    ($(#[$meta:meta])* $vis:vis struct $table:ident {
        $($(#[doc = $says:literal])+ $field:ident: $type:ty = $name:literal, $form:expr, $example:expr;)+
    }) => {
        $(#[$meta])*
        $vis struct $table {
            $(
                #[doc = concat!("`", $name, "`.")]
                $(#[doc = $says])+
                pub $field: Option<$type>,
            )+
        }

        impl $table {
            /// Reads the keys of an object.
            ///
            /// # Errors
            /// Names the place of a value that is none of its form.
            pub fn read(
                fields: &mut $crate::node::Fields<'_>,
            ) -> Result<$table, $crate::node::Complaint> {
                Ok($table {
                    $($field: match fields.get($name) {
                        Some(node) => Some($crate::keys::Form::read(&$form, &node)?),
                        None => None,
                    },)+
                })
            }

            /// What is told of the keys, in the order of the table.
            pub fn keys() -> Vec<$crate::keys::Key> {
                vec![$($crate::keys::Key::new($name, &[$($says),+], &$form, $example),)+]
            }
        }
    };
}

/// What is told of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// As it stands in the file.
    pub name: &'static str,
    /// What the key is for.
    pub says: String,
    /// The JSON Schema of its values.
    pub schema: Value,
    /// A value that it may have, another than the default.
    pub example: Value,
}

impl Key {
    /// What a line of a table tells.
    pub fn new(
        name: &'static str,
        says: &[&str],
        form: &impl Form,
        example: impl Serialize,
    ) -> Key {
        let lines: Vec<&str> = says.iter().map(|line| line.trim()).collect();
        Key {
            name,
            says: lines.join(" "),
            schema: form.schema(),
            example: json!(example),
        }
    }
}

impl Key {
    /// What its values look like, and what counts when it is absent, for people.
    pub fn form(&self) -> String {
        let schema = &self.schema;
        let plain = |name: &str| match name {
            "integer" => "whole number",
            "number" => "number",
            "boolean" => "true or false",
            "array" => "list",
            "object" => "object",
            _ => "text",
        };
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        let mut form = match kinds[..] {
            [] => "object".to_owned(),
            [one, "array"] => format!("{0}, or list of {0}s", plain(one)),
            [one, ..] => plain(one).to_owned(),
        };
        if let (Some(least), Some(most)) = (schema.get("minimum"), schema.get("maximum")) {
            form.push_str(&format!(" from {least} to {most}"));
        }
        if let Some(default) = self.default() {
            form.push_str(&format!("; default {default}"));
        }
        form
    }

    /// What counts when it is absent.
    pub fn default(&self) -> Option<&Value> {
        self.schema.get("default")
    }
}

/// What values of a key look like.
pub trait Form {
    /// What is made of one.
    type Out;

    /// Reads a value.
    ///
    /// # Errors
    /// Names the place, and what was expected there.
    fn read(&self, node: &Node<'_>) -> Result<Self::Out, Complaint>;

    /// The JSON Schema. It has the plain form; what is also read, such as a number in a string,
    /// it leaves out.
    fn schema(&self) -> Value;
}

/// `true` or `false`.
#[derive(Debug)]
pub struct Flag(pub bool);

impl Form for Flag {
    type Out = bool;

    fn read(&self, node: &Node<'_>) -> Result<bool, Complaint> {
        node.boolean()
    }

    fn schema(&self) -> Value {
        json!({"type": "boolean", "default": self.0})
    }
}

/// Bounds of numbers, and what counts when a key is absent.
#[derive(Debug)]
pub struct Bounds<T> {
    within: RangeInclusive<T>,
    default: Option<T>,
}

impl<T> From<Limit<T>> for Bounds<T> {
    fn from(limit: Limit<T>) -> Bounds<T> {
        Bounds {
            within: limit.within,
            default: Some(limit.default),
        }
    }
}

impl<T> From<RangeInclusive<T>> for Bounds<T> {
    fn from(within: RangeInclusive<T>) -> Bounds<T> {
        Bounds {
            within,
            default: None,
        }
    }
}

impl<T> Bounds<T> {
    fn schema(&self, kind: &str, number: impl Fn(&T) -> Value) -> Value {
        let (least, most) = (number(self.within.start()), number(self.within.end()));
        let mut schema = json!({"type": kind, "minimum": least, "maximum": most});
        if let Some(default) = &self.default {
            schema["default"] = number(default);
        }
        schema
    }
}

/// Whole numbers.
#[derive(Debug)]
pub struct Whole<T>(Bounds<T>);

/// Whole numbers within a limit.
pub fn whole<T>(bounds: impl Into<Bounds<T>>) -> Whole<T> {
    Whole(bounds.into())
}

impl<T> Form for Whole<T>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display + Clone + Serialize,
{
    type Out = T;

    fn read(&self, node: &Node<'_>) -> Result<T, Complaint> {
        node.integer(self.0.within.clone())
    }

    fn schema(&self) -> Value {
        self.0.schema("integer", |number| json!(number))
    }
}

/// Times in seconds.
#[derive(Debug)]
pub struct Seconds(Bounds<Duration>);

/// Times in seconds within a limit.
pub fn seconds(bounds: impl Into<Bounds<Duration>>) -> Seconds {
    Seconds(bounds.into())
}

impl Form for Seconds {
    type Out = Duration;

    fn read(&self, node: &Node<'_>) -> Result<Duration, Complaint> {
        node.seconds(self.0.within.clone())
    }

    fn schema(&self) -> Value {
        let plain = |time: &Duration| match time.subsec_nanos() {
            0 => json!(time.as_secs()),
            _ => json!(time.as_secs_f64()),
        };
        self.0.schema("number", plain)
    }
}

/// Numbers.
#[derive(Debug)]
pub struct Amount(Bounds<f64>);

/// Numbers within a limit.
pub fn amount(bounds: impl Into<Bounds<f64>>) -> Amount {
    Amount(bounds.into())
}

impl Form for Amount {
    type Out = f64;

    fn read(&self, node: &Node<'_>) -> Result<f64, Complaint> {
        node.amount("", self.0.within.clone())
    }

    fn schema(&self) -> Value {
        self.0.schema("number", |number| json!(number))
    }
}

/// Texts that something is made of.
#[derive(Debug)]
pub struct Parsed<T> {
    what: &'static str,
    parse: fn(&str) -> Option<T>,
    schema: Value,
}

/// Texts that are `what`, in which case `parse` says something. `schema` says what their JSON Schema
/// has beside the type.
pub fn parsed<T>(what: &'static str, parse: fn(&str) -> Option<T>, schema: Value) -> Parsed<T> {
    Parsed {
        what,
        parse,
        schema,
    }
}

/// Texts as they are.
pub fn text(what: &'static str) -> Parsed<String> {
    parsed(what, |text| Some(text.to_owned()), json!({}))
}

impl<T> Form for Parsed<T> {
    type Out = T;

    fn read(&self, node: &Node<'_>) -> Result<T, Complaint> {
        let parsed = (self.parse)(node.string(self.what)?);
        parsed.ok_or_else(|| node.expected(self.what))
    }

    fn schema(&self) -> Value {
        let mut schema = self.schema.clone();
        schema["type"] = json!("string");
        schema
    }
}

/// Texts that somebody else makes something of, and who has to know where they stand.
#[derive(Debug)]
pub struct Placed(pub &'static str);

impl Form for Placed {
    type Out = Kept;

    fn read(&self, node: &Node<'_>) -> Result<Kept, Complaint> {
        node.string(self.0)?;
        Ok(node.kept())
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

/// One value, or a list of them.
#[derive(Debug)]
pub struct OneOrList<F>(pub &'static str, pub F);

impl<F: Form> Form for OneOrList<F> {
    type Out = Vec<F::Out>;

    fn read(&self, node: &Node<'_>) -> Result<Self::Out, Complaint> {
        let items = node.one_or_list(self.0)?;
        items.iter().map(|item| self.1.read(item)).collect()
    }

    fn schema(&self) -> Value {
        one_or_list(self.1.schema())
    }
}

/// The same of values without a comma, whose list may be a text that has commas between them, as in Scrapy.
#[derive(Debug)]
pub struct Listed<F>(pub &'static str, pub F);

impl<F: Form> Form for Listed<F> {
    type Out = Vec<F::Out>;

    fn read(&self, node: &Node<'_>) -> Result<Self::Out, Complaint> {
        match node.value().as_str() {
            Some(text) if text.contains(',') => {
                let items = text.split(',').map(str::trim);
                let items = items.filter(|item| !item.is_empty());
                let at_place = |item: &str| Kept::at(node, item.into());
                items
                    .map(|item| self.1.read(&at_place(item).node()))
                    .collect()
            }
            _ => {
                let items = node.one_or_list(self.0)?;
                items.iter().map(|item| self.1.read(item)).collect()
            }
        }
    }

    fn schema(&self) -> Value {
        one_or_list(self.1.schema())
    }
}

/// The schema of a value or a list of such values. What it says of numbers and texts says nothing
/// of lists, and the other way round.
pub fn one_or_list(one: Value) -> Value {
    let mut schema = one.clone();
    schema["type"] = json!([one["type"], "array"]);
    schema["items"] = one;
    schema
}

/// What somebody else reads, by its schema. Here it is kept as it is.
#[derive(Debug)]
pub struct Elsewhere(pub Value);

impl Form for Elsewhere {
    type Out = Kept;

    fn read(&self, node: &Node<'_>) -> Result<Kept, Complaint> {
        Ok(node.kept())
    }

    fn schema(&self) -> Value {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DELAY, PARSE_JOBS};

    crate::keys! {
        /// A table.
        #[derive(Debug, PartialEq)]
        struct Table {
            /// Copies of
            /// something.
            jobs: u32 = "jobs", whole(PARSE_JOBS), 2;
            /// A pause.
            delay: Duration = "DELAY", seconds(DELAY), 0.5;
            /// Names.
            names: Vec<String> = "names", OneOrList("names", text("a name")), ["a", "b"];
        }
    }

    fn read(value: Value) -> Result<Table, Complaint> {
        Table::read(&mut Node::root(&value).object()?)
    }

    #[test]
    fn a_table_reads_and_tells_what_it_reads() {
        let got = read(json!({"jobs": "3", "DELAY": null, "names": "x"}));
        let want = Table {
            jobs: Some(3),
            delay: None,
            names: Some(vec!["x".into()]),
        };
        assert_eq!(got, Ok(want));
        let keys = Table::keys();
        assert_eq!(keys[0].says, "Copies of something.");
        let jobs = json!({"type": "integer", "minimum": 1, "maximum": 256, "default": 1});
        assert_eq!(keys[0].schema, jobs);
        let delay = json!({"type": "number", "minimum": 0, "maximum": 86400, "default": 0});
        assert_eq!(keys[1].schema, delay);
        let names = json!({"type": ["string", "array"], "items": {"type": "string"}});
        assert_eq!(keys[2].schema, names);
        assert_eq!(keys[2].example, json!(["a", "b"]));
        let forms: Vec<String> = keys.iter().map(Key::form).collect();
        let want = [
            "whole number from 1 to 256; default 1",
            "number from 0 to 86400; default 0",
            "text, or list of texts",
        ];
        assert_eq!(forms, want);
    }

    #[test]
    fn what_is_none_of_its_form_is_named_by_its_place() {
        let wrong = |value| read(value).unwrap_err().to_string();
        assert_eq!(
            wrong(json!({"jobs": 257})),
            "$.jobs: expected a whole number from 1 to 256, found 257"
        );
        assert_eq!(
            wrong(json!({"names": ["a", 7]})),
            "$.names[1]: expected a name, found 7"
        );
    }
}
