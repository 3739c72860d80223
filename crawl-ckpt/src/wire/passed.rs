//! A long JSON string that is passed on as it came.

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, Error, Unexpected};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::text::Text;

/// A body. Reading and writing its escapes anew was a quarter of what `--keep-body` costs.
#[derive(Debug, Clone)]
pub enum Passed<'a> {
    /// As it is.
    Text(Text<'a>),
    /// As a JSON string that was read.
    Json(&'a RawValue),
}

impl<'a, T: Into<Text<'a>>> From<T> for Passed<'a> {
    fn from(text: T) -> Self {
        Passed::Text(text.into())
    }
}

impl Passed<'_> {
    /// About how many bytes it takes in a line.
    pub fn len(&self) -> usize {
        match self {
            Passed::Text(text) => text.len(),
            Passed::Json(json) => json.get().len(),
        }
    }

    /// True for an empty one that was not read.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Serialize for Passed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Passed::Text(text) => text.serialize(serializer),
            Passed::Json(json) => json.serialize(serializer),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Passed<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?;
        if !json.get().starts_with('"') {
            return Err(D::Error::invalid_type(
                Unexpected::Other("no string"),
                &"a string",
            ));
        }
        // Half of a surrogate pair is the one escape that is no character.
        if memmem::find(json.get().as_bytes(), b"\\u").is_some() {
            serde_json::from_str::<Text<'_>>(json.get()).map_err(D::Error::custom)?;
        }
        Ok(Passed::Json(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<String, serde_json::Error> {
        let passed: Passed<'_> = serde_json::from_str(json)?;
        serde_json::to_string(&passed)
    }

    #[test]
    fn a_string_goes_out_as_it_came_in() {
        for json in [
            r#""""#,
            r#""<p class=\"a\">\/\u00e9\n\ud83d\ude00 é""#,
            r#""\\ud8 is no escape""#,
        ] {
            assert_eq!(read(json).unwrap(), json);
        }
        let text = Passed::from("a\"b\n");
        assert_eq!(serde_json::to_string(&text).unwrap(), r#""a\"b\n""#);
    }

    #[test]
    fn what_is_no_string_is_refused() {
        for json in [
            "7",
            "null",
            "[]",
            "{}",
            r#""\ud83d""#,
            r#""\uDE00x""#,
            r#""\x""#,
            r#""\u12""#,
            "\"\n\"",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
