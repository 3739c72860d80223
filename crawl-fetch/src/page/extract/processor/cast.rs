//! `cast`: values of one type from those of another.

use serde_json::{Number, Value};

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

impl Type {
    /// The value as one of this type. No value, or an empty string, stays none, as does what cannot be made.
    pub fn of(self, value: Value) -> Value {
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
            let text = unparted(text).unwrap_or_default();
            // `3.0` is how a count by XPath is written.
            let whole = match text.split_once('.') {
                Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => {
                    whole
                }
                _ => &text,
            };
            whole.parse::<i64>().map_or(Value::Null, Value::from)
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

/// A value as text: strings as they are, anything else as JSON.
pub fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cast_that_fails_is_no_value() {
        for (to, from, want) in [
            (Type::Int, json!(" +42 "), json!(42)),
            (Type::Int, json!("1_000"), json!(1000)),
            (Type::Int, json!("4.5"), json!(null)),
            (Type::Int, json!("4.0"), json!(4)),
            (Type::Int, json!("4."), json!(null)),
            (Type::Int, json!(4.7), json!(4)),
            (Type::Int, json!(true), json!(1)),
            (Type::Int, json!({}), json!(null)),
            (Type::Float, json!("4.5"), json!(4.5)),
            (Type::Float, json!("42"), json!(42.0)),
            (Type::Float, json!("nan"), json!(null)),
            (Type::Bool, json!("Yes"), json!(true)),
            (Type::Bool, json!("in stock"), json!(false)),
            (Type::Bool, json!(0), json!(false)),
            (Type::Bool, json!(""), json!(null)),
            (Type::Str, json!(4.5), json!("4.5")),
            (Type::Str, json!(null), json!(null)),
        ] {
            assert_eq!(to.of(from.clone()), want, "{to:?} of {from}");
        }
    }
}
