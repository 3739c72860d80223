//! The spider's `warc`: whether the pages themselves are kept, and how.

use crawl_ckpt::keys::{Flag, parsed, text, whole};
use crawl_ckpt::limits::WARC_BYTES;
use crawl_ckpt::node::{Complaint, Fields};
use crawl_ckpt::plan::Warc;
use crawl_ckpt::warc::is_prefix;
use serde_json::{Value, json};

const PREFIX: &str = "letters, digits, '.', '_' and '-', such as my-shop";

crawl_ckpt::keys! {
    /// What a spider file says of its WARC files.
    #[derive(Debug)]
    pub(super) struct WarcKeys {
        /// A file is followed by another before it has more bytes.
        max_size: u64 = "max_size", whole(WARC_BYTES), 100_000_000;
        /// What file names begin with; absent: the spider's name.
        prefix: String = "prefix", parsed(PREFIX, |text| is_prefix(text).then(|| text.to_owned()),
            json!({"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"})), "shop";
        /// Who to ask about the crawl, for the warcinfo records.
        operator: String = "operator", text("a text"), "Ann <ann@shop.example>";
        /// Keep request records.
        requests: bool = "requests", Flag(true), false;
        /// Keep metadata records.
        metadata: bool = "metadata", Flag(true), false;
    }
}

/// Reads the key: `true`, `false`, or an object.
pub fn warc(fields: &mut Fields<'_>, ignored: &mut Vec<String>) -> Result<Option<Warc>, Complaint> {
    let Some(node) = fields.get("warc") else {
        return Ok(None);
    };
    let mut warc = Warc::default();
    match node.value() {
        Value::Object(_) => {}
        Value::Bool(is_wanted) => return Ok(is_wanted.then_some(warc)),
        _ => return Err(node.expected("true, false, or an object")),
    }
    let mut fields = node.object()?;
    let keys = WarcKeys::read(&mut fields)?;
    warc.max_size = keys.max_size.unwrap_or(warc.max_size);
    warc.prefix = keys.prefix;
    warc.operator = keys.operator;
    warc.requests = keys.requests.unwrap_or(warc.requests);
    warc.metadata = keys.metadata.unwrap_or(warc.metadata);
    ignored.extend(fields.unknown());
    Ok(Some(warc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::node::Node;

    fn read(value: Value) -> Result<(Option<Warc>, Vec<String>), String> {
        let root = json!({ "warc": value });
        let mut fields = Node::root(&root).object().unwrap();
        let mut ignored = Vec::new();
        let warc = warc(&mut fields, &mut ignored).map_err(|e| e.to_string())?;
        Ok((warc, ignored))
    }

    #[test]
    fn a_word_or_an_object_says_what_is_kept() {
        assert_eq!(read(json!(false)), Ok((None, vec![])));
        assert_eq!(read(json!(null)), Ok((None, vec![])));
        assert_eq!(read(json!(true)), Ok((Some(Warc::default()), vec![])));
        let (warc, ignored) = read(json!({
            "max_size": 100_000_000, "prefix": "shop", "operator": "Ann", "requests": false, "colour": 1
        }))
        .unwrap();
        let want = Warc {
            max_size: 100_000_000,
            prefix: Some("shop".into()),
            operator: Some("Ann".into()),
            requests: false,
            metadata: true,
        };
        assert_eq!(warc, Some(want));
        assert_eq!(ignored, ["$.warc.colour"]);
        for (bad, path) in [
            (json!("yes"), "$.warc: "),
            (json!({"max_size": 0}), "$.warc.max_size: "),
            (json!({"prefix": "../x"}), "$.warc.prefix: "),
            (json!({"operator": 5}), "$.warc.operator: "),
            (json!({"requests": "maybe"}), "$.warc.requests: "),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with(path), "{path}: {error}");
        }
    }
}
