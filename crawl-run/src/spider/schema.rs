//! What is told of spider files: their JSON Schema, and the keys by the objects that they stand in.

use crawl_ckpt::keys::Key;
use crawl_ckpt::ranked::{rule_keys, section_keys};
use serde_json::{Map, Value, json};

use super::parser::Parse;
use super::settings::Settings;
use super::{Edges, Head};

/// What fields of items look like; crawl-fetch reads them.
const EXTRACT: &str = include_str!("extract.schema.json");

/// The keys of a spider file itself, but for `rules`, `sections` and `settings`.
pub fn spider_keys() -> Vec<Key> {
    [Head::keys(), Edges::keys(), Parse::keys()].concat()
}

/// The JSON Schema of spider files.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Spider",
        "description": "What crawl-run crawls. Keys that are not listed are ignored with a warning.",
        "required": ["name"],
        "anyOf": [{"required": ["start_urls"]}, {"required": ["settings"]}],
        "$defs": serde_json::from_str::<Value>(EXTRACT).expect("it is JSON"),
    });
    let list = |keys, says| json!({"description": says, "type": "array", "items": object(keys)});
    let mut spider = object(spider_keys());
    let nested = [
        ("rules", list(rule_keys(), RULES)),
        ("sections", list(section_keys(), SECTIONS)),
        ("settings", object(Settings::keys())),
    ];
    for (key, described) in nested {
        spider["properties"][key] = described;
    }
    spider["properties"]["settings"]["description"] = json!(SETTINGS);
    for (key, value) in spider.as_object().into_iter().flatten() {
        schema[key] = value.clone();
    }
    schema
}

/// What `rules` are.
pub const RULES: &str = "A link takes the first rule that matches it, those of higher priority first, and is not \
                         taken on when none does. Without rules and sections every link is.";

/// What `sections` are.
pub const SECTIONS: &str =
    "Rules whose pattern is called match. Of the same priority rules are tried before them.";

/// What `settings` are.
pub const SETTINGS: &str = "Pace and manners, in Scrapy's words.";

fn object(keys: Vec<Key>) -> Value {
    let property = |key: Key| {
        let mut schema = key.schema;
        schema["description"] = json!(key.says);
        schema["examples"] = json!([key.example]);
        (key.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = keys.into_iter().map(property).collect();
    json!({"type": "object", "properties": properties})
}
