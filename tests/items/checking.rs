//! What is said of a spider before it runs.

use super::*;

#[test]
fn a_check_tells_what_would_be_extracted_and_what_is_wrong_with_it() {
    let folder = Folder::new();
    let spider = |field: Value| {
        json!({"name": "s", "start_urls": ["http://127.0.0.1:1/"],
            "sections": [{"match": "/p/", "extract": {"name": "x", "price": field}}]})
    };
    let check = |spider: Value| {
        let mut spider = spider;
        spider["sections"][0]["extract"]["name"] = json!({"css": "h1::text"});
        folder.write("s.json", spider.to_string());
        Tool::new("crawl-run")
            .dir(&folder)
            .args(["--check", "s.json"])
            .run()
    };
    check(spider(json!({"css": "b::text", "hue": 1})))
        .code(0)
        .prints("extract    `/p/`: name, price\n")
        .says("not supported and ignored: $.sections[0].extract.price.hue");
    for (field, why) in [
        (
            json!({"css": "b["}),
            "price.css: expected a CSS selector, found \"b[\": ",
        ),
        (
            json!({"xpath": "//b[ends-with(., 'x')]"}),
            "price.xpath: expected an XPath expression, found \"//b[ends-with(., 'x')]\": \
             there is no ends-with() here",
        ),
        (
            json!({"css": "b", "processors": [{"type": "regex", "pattern": "(?<=a)(*b)"}]}),
            "price.processors[0].pattern: expected a regular expression: nothing to repeat",
        ),
        (
            json!({"css": "b", "processors": [{"type": "strip"}, {"type": "cast", "to": "x"}]}),
            "price.processors[1].to: expected int, float, bool or str, found \"x\"",
        ),
    ] {
        check(spider(field))
            .code(2)
            .says("cannot use spider s.json: $.sections[0].extract.")
            .says(why);
    }
    folder.write("bad.json", "{\"sections\": [{\"extract\": 1}]}");
    Tool::new("crawl-fetch")
        .dir(&folder)
        .args(["--extract", "bad.json"])
        .run()
        .code(2)
        .says(
            "cannot use bad.json: $.sections[0].extract: expected \"auto\" or an object of fields",
        );
}

#[test]
fn what_the_schema_says_of_fields_is_read() {
    let printed = Tool::new("crawl-run").arg("--print-schema").run().code(0);
    let schema: Value = serde_json::from_str(&printed.text()).unwrap();
    let properties = |pointer: &str| {
        let found = schema.pointer(pointer).and_then(Value::as_object);
        found.unwrap().clone()
    };
    let mut fields = Vec::new();
    for (key, described) in properties("/$defs/field/properties") {
        let value = match (&*key, described["type"].as_str()) {
            ("xpath", _) => json!("//p"),
            ("css", _) => json!("p"),
            (_, Some("boolean")) => json!(true),
            _ => json!([]),
        };
        let beside = if key == "xpath" { "get_all" } else { "css" };
        let other = if key == "xpath" {
            json!(false)
        } else {
            json!("p")
        };
        fields.push(json!({beside: other, key: value}));
    }
    let mut list = json!({"type": "nested_list"});
    for key in properties("/$defs/list/properties").keys() {
        match &**key {
            "selector" => list[key] = json!("li"),
            "extract" => list[key] = json!({"x": {"css": "a"}}),
            "processors" => list[key] = json!([]),
            key => assert_eq!(key, "type"),
        }
    }
    fields.push(list);
    let kinds = schema["$defs"]["processors"]["items"]["oneOf"].as_array();
    for kind in kinds.unwrap() {
        let properties = kind["properties"].as_object().unwrap();
        let named = &properties["type"];
        let names = named["enum"].as_array().cloned();
        for name in names.unwrap_or_else(|| vec![named["const"].clone()]) {
            let mut processor = json!({"type": name});
            for (key, described) in properties.iter().filter(|(key, _)| *key != "type") {
                processor[key] = match described["type"].as_str() {
                    _ if !described["default"].is_null() => described["default"].clone(),
                    Some("array") => json!(["en"]),
                    _ if key == "to" => described["enum"][0].clone(),
                    _ => json!("(%Y)"),
                };
            }
            fields.push(json!({"css": "p", "processors": [processor]}));
        }
    }
    assert!(fields.len() > 14, "{fields:?}");
    let names = (0..).map(|number| format!("f{number}"));
    let fields: serde_json::Map<String, Value> = names.zip(fields).collect();
    let folder = Folder::new();
    folder.write(
        "s.json",
        json!({"sections": [{"extract": fields}]}).to_string(),
    );
    let done = Tool::new("crawl-fetch").args(["--extract", "s.json", "--check"]);
    let answer: Value = serde_json::from_str(&done.dir(&folder).run().code(0).text()).unwrap();
    assert_eq!(answer["wrong"], Value::Null);
    assert_eq!(answer["ignored"], json!([]));
}
