//! What a spider file says is in bounds, or it is refused before anything begins.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Map, Value, json};
use support::{Folder, Site, Tool};

/// A value of a spider file that has bounds, by where it stands and how its schema describes it.
struct Bounded {
    pointer: String,
    path: String,
    schema: Value,
}

/// What has bounds in the schema of spider files.
fn bounded() -> Vec<Bounded> {
    let printed = Tool::new("crawl-run").arg("--print-schema").run().code(0);
    let schema: Value = serde_json::from_str(&printed.text()).unwrap();
    let mut found = Vec::new();
    let mut look = |properties: &Value, pointer: &str, path: &str| {
        let properties: &Map<String, Value> = properties.as_object().unwrap();
        for (key, described) in properties {
            let list = if described["items"]["maximum"].is_null() {
                ("", "", described)
            } else {
                ("/0", "[0]", &described["items"])
            };
            let reference = described["$ref"].as_str();
            let described = match reference {
                Some(reference) => schema.pointer(&reference[1..]).unwrap(),
                None => list.2,
            };
            if described["type"] == "integer" || described["type"] == "number" {
                found.push(Bounded {
                    pointer: format!("{pointer}/{key}{}", list.0),
                    path: format!("{path}.{key}{}", list.1),
                    schema: described.clone(),
                });
            }
        }
    };
    let top = &schema["properties"];
    look(top, "", "$");
    look(&top["settings"]["properties"], "/settings", "$.settings");
    look(
        &top["rules"]["items"]["properties"],
        "/rules/0",
        "$.rules[0]",
    );
    look(
        &top["sections"]["items"]["properties"],
        "/sections/0",
        "$.sections[0]",
    );
    found
}

/// Puts a value into a spider file; a list is made where the schema has one.
fn put(spider: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    if key == "0" {
        return put(spider, parent, json!([value]));
    }
    spider.pointer_mut(parent).unwrap()[key] = value;
}

/// So much more, as the kind of number that it is.
fn beside(bound: &Value, by: f64) -> Value {
    match bound.as_i64() {
        Some(whole) => json!(whole + by as i64),
        None => json!(bound.as_f64().unwrap() + by / 10_000.0),
    }
}

#[test]
fn what_is_out_of_its_bounds_is_refused_by_its_path_and_what_is_at_them_is_taken() {
    let (folder, site) = (Folder::new(), Site::new());
    let bounded = bounded();
    assert_eq!(bounded.len(), 21, "what has bounds is tried here");
    let spider = |pointer: &str, value: &Value| {
        let mut spider = json!({
            "name": "bounds", "start_urls": [site.url("/")], "parse": ["cat"],
            "rules": [{"allow": "x"}], "sections": [{"match": "y"}], "settings": {},
        });
        put(&mut spider, pointer, value.clone());
        folder.write("s.json", spider.to_string());
    };
    let run = |words: &[&str]| Tool::new("crawl-run").dir(&folder).args(words).run();
    for Bounded {
        pointer,
        path,
        schema,
    } in bounded
    {
        let (least, most) = (&schema["minimum"], &schema["maximum"]);
        for value in [least, most] {
            spider(&pointer, value);
            run(&["--check", "s.json"]).code(0);
        }
        for value in [beside(least, -1.0), beside(most, 1.0)] {
            spider(&pointer, &value);
            let place = format!("{path}: expected ");
            run(&["--check", "s.json"]).code(2).says(&place);
            run(&["s.json"]).code(2).says(&place);
        }
    }
    assert_eq!(site.count(), 0);
}
