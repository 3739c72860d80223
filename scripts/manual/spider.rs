//! crawl-spider(5): every key of a spider file, out of the tables by which it is read.

use std::io;

use clap_mangen::roff::{Roff, bold, italic, roman};
use crawl_ckpt::keys::Key;
use crawl_run::spider::{Chapter, chapters, schema};
use serde_json::Value;

const EXAMPLE: &str = r#"{
  "name": "docs",
  "start_urls": ["https://docs.example/guide/"],
  "rules": [{ "allow": ["/guide/"], "deny": ["/print/"] }],
  "sections": [
    { "match": "/guide/page-", "extract": { "title": { "css": "h1::text" } } }
  ],
  "settings": { "CONCURRENT_REQUESTS_PER_DOMAIN": 4, "DOWNLOAD_DELAY": 0.5 }
}"#;

/// Writes the page's text.
pub fn page(out: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["NAME"]);
    roff.text([roman("crawl-spider - what a crawl is, in a file")]);
    roff.control("SH", ["DESCRIPTION"]);
    let tells = "A spider file is a JSON object that says where a crawl begins, which links it follows, how fast \
                 it goes, and what it takes from the pages. Numbers and flags may be texts, and one value may stand for a \
                 list of one. A bad value is an error with its place, such as $.rules[0].allow[1].";
    roff.text([roman(tells)]);
    for chapter in chapters() {
        told(&chapter, &mut roff);
    }
    fields(&mut roff);
    roff.to_writer(out)?;
    super::as_it_is("EXAMPLES", EXAMPLE, out)?;
    let see_also = ["crawl-run(1)".to_owned(), "crawl-fetch(1)".to_owned()];
    super::see(&see_also, out)
}

fn told(chapter: &Chapter, roff: &mut Roff) {
    let heading = if chapter.key.is_empty() {
        "KEYS".to_owned()
    } else {
        chapter.key.to_uppercase()
    };
    roff.control("SH", [heading.as_str()]);
    let list = if chapter.is_list { "A list. " } else { "" };
    roff.text([roman(format!("{list}{}", chapter.says))]);
    for key in &chapter.keys {
        entry(key, roff);
    }
}

fn entry(key: &Key, roff: &mut Roff) {
    roff.control("TP", []);
    roff.text([bold(key.name), roman(format!(" ({})", key.form()))]);
    roff.text([roman(key.says.as_str())]);
    // A line may break at a blank alone.
    let example = key.example.to_string();
    let example = example
        .replace(",\"", ", \"")
        .replace(",{", ", {")
        .replace("\":", "\": ");
    roff.text([roman("Example: "), italic(example), roman(".")]);
}

/// What `extract` holds.
fn fields(roff: &mut Roff) {
    let schema = schema();
    let described = |roff: &mut Roff, pointer: &str| {
        let properties = schema.pointer(pointer).and_then(Value::as_object);
        for (name, value) in properties.into_iter().flatten() {
            let says = value["description"].as_str();
            let shared = value["$ref"].as_str();
            let shared = shared.and_then(|path| schema.pointer(&path[1..]));
            let says = says.or_else(|| shared?["description"].as_str());
            if let Some(says) = says {
                roff.control("TP", []);
                roff.text([bold(name.as_str())]);
                roff.text([roman(says)]);
            }
        }
    };
    roff.control("SH", ["FIELDS OF ITEMS"]);
    roff.text([roman("What extract holds: fields by their names. A field is \"auto\", which finds title, content, author \
                      and published_date of an article, or an object of these keys.")]);
    described(roff, "/$defs/field/properties");
    roff.control("PP", []);
    roff.text([roman(
        "A list of objects, one for each row, has \"type\": \"nested_list\" and these.",
    )]);
    described(roff, "/$defs/list/properties");
    roff.control("SH", ["PROCESSORS"]);
    let kinds = schema["$defs"]["processors"]["items"]["oneOf"].as_array();
    for kind in kinds.into_iter().flatten() {
        let properties = &kind["properties"];
        let named = &properties["type"];
        let one = std::slice::from_ref(&named["const"]);
        let names = named["enum"].as_array().map_or(one, Vec::as_slice);
        let keys = properties.as_object().into_iter().flatten();
        let keys: Vec<&str> = keys
            .map(|(key, _)| key.as_str())
            .filter(|key| *key != "type")
            .collect();
        for name in names.iter().filter_map(Value::as_str) {
            roff.control("TP", []);
            roff.text([bold(name)]);
            let has = if keys.is_empty() {
                "has no other key.".to_owned()
            } else {
                format!("has {}.", keys.join(", "))
            };
            roff.text([roman(has)]);
        }
    }
}
