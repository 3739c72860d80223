//! What is told of spider files: the keys by the objects that they stand in, and their JSON Schema.

use crawl_ckpt::keys::Key;
use crawl_ckpt::ranked::{rule_keys, section_keys};
use crawl_ckpt::rendering::{BrowserSettings, RenderAll, RenderKeys};
use serde_json::{Map, Value, json};

use super::parser::Parse;
use super::settings::Settings;
use super::warc::WarcKeys;
use super::{Edges, Head};

/// What fields of items look like; crawl-fetch reads them.
const EXTRACT: &str = include_str!("extract.schema.json");

/// An object of a spider file, or a list of such objects.
#[derive(Debug)]
pub struct Chapter {
    /// Its key; empty for the file itself.
    pub key: &'static str,
    /// What it is for.
    pub says: &'static str,
    /// There may be several.
    pub is_list: bool,
    /// What stands in it.
    pub keys: Vec<Key>,
}

/// All of them, the file itself first.
pub fn chapters() -> Vec<Chapter> {
    vec![
        Chapter {
            key: "",
            says: "What crawl-run crawls. Keys that are not listed are ignored with a warning; one that \
                   begins with // is a comment.",
            is_list: false,
            keys: [
                Head::keys(),
                Edges::keys(),
                Parse::keys(),
                RenderAll::keys(),
            ]
            .concat(),
        },
        Chapter {
            key: "rules",
            says: "A link takes the first rule that matches it, those of higher priority first, and is not \
                   taken on when none does. Without rules and sections every link is.",
            is_list: true,
            keys: rule_keys(),
        },
        Chapter {
            key: "sections",
            says: "Rules whose pattern is called match. Of the same priority rules are tried before them.",
            is_list: true,
            keys: section_keys(),
        },
        Chapter {
            key: "settings",
            says: "Pace and manners, in Scrapy's words.",
            is_list: false,
            keys: [Settings::keys(), BrowserSettings::keys()].concat(),
        },
        Chapter {
            key: "warc",
            says: "Keep the pages themselves, as WARC, as --warc does; `true`, or how.",
            is_list: false,
            keys: WarcKeys::keys(),
        },
        Chapter {
            key: "render",
            says: "Have all pages rendered by a browser, as --render does; `true`, or how. In a rule or a \
                   section: those that match.",
            is_list: false,
            keys: RenderKeys::keys(),
        },
    ]
}

/// The JSON Schema of spider files.
pub fn schema() -> Value {
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Spider",
        "required": ["name"],
        "anyOf": [{"required": ["start_urls"]}, {"required": ["settings"]}],
        "$defs": serde_json::from_str::<Value>(EXTRACT).expect("it is JSON"),
    });
    for chapter in chapters() {
        let at = if chapter.key.is_empty() {
            &mut schema
        } else {
            &mut schema["properties"][chapter.key]
        };
        at["description"] = json!(chapter.says);
        let object = if chapter.is_list {
            at["type"] = json!("array");
            &mut at["items"]
        } else {
            at
        };
        object["type"] = json!("object");
        object["properties"] = properties(chapter.keys).into();
    }
    for key in ["warc", "render"] {
        let either = &mut schema["properties"][key];
        either["type"] = json!(["boolean", "object"]);
        either["default"] = json!(false);
    }
    schema
}

fn properties(keys: Vec<Key>) -> Map<String, Value> {
    let property = |key: Key| {
        let mut schema = key.schema;
        schema["description"] = json!(key.says);
        schema["examples"] = json!([key.example]);
        (key.name.to_owned(), schema)
    };
    keys.into_iter().map(property).collect()
}
