//! A result line as far as it is believed: the fetcher may be of another make, of another
//! version, or broken.

use std::cell::Cell;
use std::fmt;

use crawl_ckpt::record::{ErrorKind, FetchError, FetchResult};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;

/// No figure of one result is larger, so that no sum of them runs over.
const MAX_FIGURE: u64 = 1 << 40;

/// What a line came to.
#[derive(Debug)]
pub struct ReadResult<'a> {
    /// The result; of a line that is none, a failure of the request whose id it has.
    pub result: FetchResult<'a>,
    /// What is wrong with the line.
    pub flaw: Option<String>,
}

/// Reads a result line.
pub fn read(line: &[u8]) -> ReadResult<'_> {
    let parsed = match std::str::from_utf8(line) {
        Ok(line) => serde_json::from_str(line).map_err(|e| words(&e)),
        Err(_) => Err("it is not UTF-8".to_owned()),
    };
    let (mut result, flaw) = match parsed {
        Ok(result) => (result, None),
        Err(why) => (none(id_in(line), &why), Some(why)),
    };
    if result.error.is_none() && result.status.is_none() {
        result.error = Some(failure("it has neither a status nor an error"));
    }
    // Where an exchange lies is said here and nowhere else.
    result.warc = None;
    for figure in [
        &mut result.bytes,
        &mut result.wire_bytes,
        &mut result.elapsed_ms,
        &mut result.links_dropped,
        &mut result.retry_after_s,
    ] {
        *figure = figure.map(|figure| figure.min(MAX_FIGURE));
    }
    ReadResult { result, flaw }
}

/// What is wrong, without what the line says: that may be a cookie.
fn words(error: &serde_json::Error) -> String {
    let what = match error.classify() {
        Category::Eof => "it breaks off",
        Category::Data => "a field is missing, or none of its kind,",
        Category::Syntax | Category::Io => "it is no JSON object",
    };
    format!("{what} at byte {}", error.column())
}

/// The failure of a request whose answer is of no use.
pub fn none(id: Option<u64>, why: &str) -> FetchResult<'static> {
    FetchResult {
        id,
        error: Some(failure(why)),
        ..FetchResult::default()
    }
}

fn failure(why: &str) -> FetchError<'static> {
    FetchError {
        kind: ErrorKind::Io,
        message: format!("the fetcher's answer is no result: {why}").into(),
    }
}

/// The id that a line names, even if it breaks off later or is wrong elsewhere.
fn id_in(line: &[u8]) -> Option<u64> {
    let id = Cell::new(None);
    // What is wrong with the rest is known.
    let _ = serde_json::Deserializer::from_slice(line).deserialize_map(Id(&id));
    id.get()
}

struct Id<'c>(&'c Cell<Option<u64>>);

impl<'de> Visitor<'de> for Id<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            if name != "id" {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            self.0
                .set(whole(&fields.next_value::<serde_json::Value>()?));
        }
        Ok(())
    }
}

/// A number that some languages write as `7.0` or `"7"`.
fn whole(value: &serde_json::Value) -> Option<u64> {
    let text = match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) => number.to_string(),
        _ => return None,
    };
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(line: &[u8]) -> Option<u64> {
        let told = read(line);
        assert_eq!(told.result.error.unwrap().kind, ErrorKind::Io);
        assert!(told.flaw.is_some());
        told.result.id
    }

    #[test]
    fn a_line_that_is_no_result_fails_the_request_that_it_names() {
        for line in [
            &br#"{"id":7,"url":5}"#[..],
            br#"{"url":"u","status":"200","id":7}"#,
            br#"{"url":"u","id":"7"}"#,
            br#"{"url":"u","id":7.0,"status":200}"#,
            br#"{"status":200,"id":7}"#,
            br#"{"url":"u","id":7,"error":{"kind":5}}"#,
            b"{\"url\":\"\xff\",\"id\":7}",
            br#"{"url":"u","status":200,"id":7,"links":["http://"#,
            br#"{"id":7,"url":"u","status":200} and more"#,
        ] {
            assert_eq!(id_of(line), Some(7), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_line_without_a_readable_id_names_nobody() {
        for line in [
            &b""[..],
            b"words",
            b"[7]",
            br#"{"meta":{"id":7},"url":5}"#,
            br#"{"id":-7,"url":"u"}"#,
            br#"{"id":7.5,"url":"u"}"#,
            br#"{"id":99999999999999999999,"url":"u"}"#,
            br#"{"url":"u","status":200,"i"#,
        ] {
            assert_eq!(id_of(line), None, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn figures_that_are_none_are_cut() {
        let line = br#"{"url":"u","id":7,"status":200,"bytes":18446744073709551615}"#;
        let told = read(line);
        assert_eq!(told.result.bytes, Some(MAX_FIGURE));
        assert!(told.flaw.is_none());
    }

    #[test]
    fn a_result_of_nothing_is_a_failure() {
        let told = read(br#"{"url":"u","id":7}"#);
        assert_eq!(told.result.error.unwrap().kind, ErrorKind::Io);
    }
}
