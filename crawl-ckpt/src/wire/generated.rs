//! `GENERATED_URLS` of a spider file: start URLs out of a template and the values of its
//! variables. crawl-run takes them on, and crawl-fetch reads of them what is taken of those pages.

use std::collections::BTreeSet;

use jiff::ToSpan;
use jiff::civil::Date;
use url::Url;

use crate::limits::GENERATED_URLS;
use crate::node::{Complaint, Fields, Node};

/// The URLs of one entry.
#[derive(Debug, Clone)]
pub struct Generated<'a> {
    /// Absolute http(s) URLs, without a fragment.
    pub urls: Vec<Url>,
    /// Whether their links are followed. Else they are pages of items, and nothing beyond.
    pub follow: bool,
    /// What reads the pages; none: the article reader, if links are not followed.
    pub callback: Option<Node<'a>>,
}

/// Reads the entries of a spider's `settings`.
///
/// # Errors
/// Names the place of what is none, or is not supported.
pub fn generated<'a>(settings: &mut Fields<'a>) -> Result<Vec<Generated<'a>>, Complaint> {
    let Some(node) = settings.get("GENERATED_URLS") else {
        return Ok(Vec::new());
    };
    let mut left = GENERATED_URLS;
    let entries = node.list("templates with their variables")?;
    entries.iter().map(|entry| one(entry, &mut left)).collect()
}

fn one<'a>(entry: &Node<'a>, left: &mut usize) -> Result<Generated<'a>, Complaint> {
    let mut fields = entry.object()?;
    if let Some(node) = fields.get("method")
        && !node.string("GET")?.eq_ignore_ascii_case("get")
    {
        return Err(node.complaint("start requests other than GET are not supported"));
    }
    if let Some(node) = fields.get("formdata") {
        return Err(node.complaint("forms are not supported"));
    }
    let follow = fields.get("follow").map(|node| node.boolean());
    let follow = follow.transpose()?.unwrap_or(false);
    let callback = fields.get("callback");
    if let Some(node) = callback.as_ref().filter(|_| follow) {
        return Err(node.complaint("a callback reads pages whose links are not followed; expected one of `callback` and `follow`"));
    }
    let what = "a URL with {name} in it";
    let template = fields.need("template", what)?;
    let node = fields.need("vars", "an object of variables")?;
    let mut texts = vec![template.string(what)?.to_owned()];
    let mut names = BTreeSet::new();
    for (name, node) in node.object()?.all() {
        let mark = format!("{{{name}}}");
        if !texts[0].contains(&mark) {
            return Err(node.complaint(format_args!("the template has no {mark}")));
        }
        names.insert(mark.clone());
        let values = values(&node, *left)?;
        if texts.len().saturating_mul(values.len()) > *left {
            return Err(entry.complaint(format_args!("these are more than {GENERATED_URLS} URLs")));
        }
        let filled = |text: &String| {
            let one = |value: &String| text.replace(&mark, value);
            values.iter().map(one).collect::<Vec<_>>()
        };
        texts = texts.iter().flat_map(filled).collect();
    }
    let url = |text: &String| {
        let mut url = Url::parse(text).ok()?;
        url.set_fragment(None);
        let is_whole = !text.contains(['{', '}']) && matches!(url.scheme(), "http" | "https");
        is_whole.then_some(url)
    };
    let what = "an http(s) URL each of whose {name} is in `vars`";
    let urls: Option<Vec<Url>> = texts.iter().map(url).collect();
    let urls = urls.ok_or_else(|| template.expected(what))?;
    *left -= urls.len();
    Ok(Generated {
        urls,
        follow,
        callback,
    })
}

/// The values of a variable, at most one more than `most`.
fn values(node: &Node<'_>, most: usize) -> Result<Vec<String>, Complaint> {
    let mut fields = node.object()?;
    let kind = fields.need("type", "range, list or date")?;
    let whole = |node: Node<'_>| node.integer(i64::MIN..=i64::MAX);
    let mut step = |key| match fields.get(key) {
        Some(node) => node.integer(1..=1_000_000_000),
        None => Ok(1),
    };
    let (by, days) = (step("step")?, step("step_days")?);
    let values: Vec<String> = match kind.string("range, list or date")? {
        "range" => {
            let mut bound = |key| whole(fields.need(key, "the first and the last value")?);
            let (from, to) = (bound("from")?, bound("to")?);
            let next = |n: &i64| n.checked_add(by);
            let all = std::iter::successors(Some(from), next).take_while(|n| *n <= to);
            all.take(most.saturating_add(1))
                .map(|n| n.to_string())
                .collect()
        }
        "list" => {
            let items = fields.need("values", "a list of texts")?.list("texts")?;
            let text = |item: &Node<'_>| match item.value() {
                serde_json::Value::Number(number) => Ok(number.to_string()),
                _ => item.string("a text").map(str::to_owned),
            };
            items.iter().map(text).collect::<Result<_, _>>()?
        }
        "date" => {
            let format = fields.get("format");
            let format = format
                .as_ref()
                .map(|node| node.string("a format such as %Y-%m-%d"));
            let format = format.transpose()?.unwrap_or("%Y-%m-%d");
            let mut date = |key| {
                let node = fields.need(key, "the first and the last day")?;
                let what = format!("a day in the format {format}");
                Date::strptime(format, node.string(&what)?).map_err(|_| node.expected(&what))
            };
            let (from, to) = (date("from")?, date("to")?);
            let next = |day: &Date| day.checked_add(days.days()).ok();
            let all = std::iter::successors(Some(from), next).take_while(|day| *day <= to);
            let shown = |day: Date| day.strftime(format).to_string();
            all.take(most.saturating_add(1)).map(shown).collect()
        }
        _ => return Err(kind.expected("range, list or date")),
    };
    if values.is_empty() {
        Err(node.complaint("it has no value"))
    } else {
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(entry: Value) -> Result<Vec<String>, Complaint> {
        let settings = json!({"GENERATED_URLS": [entry]});
        let entries = generated(&mut Node::root(&settings).object()?)?;
        Ok(entries[0].urls.iter().map(Url::to_string).collect())
    }

    #[test]
    fn every_value_of_a_variable_is_taken_with_every_other() {
        let got = read(json!({"template": "http://h/{s}?p={n}", "vars": {
            "n": {"type": "range", "from": -1, "to": 4, "step": 3},
            "s": {"type": "list", "values": ["a", 7]},
        }}));
        let want = [
            "http://h/a?p=-1",
            "http://h/7?p=-1",
            "http://h/a?p=2",
            "http://h/7?p=2",
        ];
        assert_eq!(got.unwrap(), want);
        let got = read(json!({"template": "http://h/{day}/{day}", "vars": {
            "day": {"type": "date", "from": "2024/02/28", "to": "2024/03/02", "step_days": 2, "format": "%Y/%m/%d"},
        }}));
        let want = [
            "http://h/2024/02/28/2024/02/28",
            "http://h/2024/03/01/2024/03/01",
        ];
        assert_eq!(got.unwrap(), want);
    }

    #[test]
    fn what_cannot_be_generated_is_named_by_its_path() {
        let at = "$.GENERATED_URLS[0]";
        let n = json!({"n": {"type": "range", "from": 1, "to": 2}});
        let with = |vars: Value| json!({"template": "http://h/{n}", "vars": vars});
        for (entry, path) in [
            (json!({"vars": n}), ".template"),
            (json!({"template": "http://h/{n}"}), ".vars"),
            (json!({"template": "http://h/", "vars": n}), ".vars.n"),
            (
                json!({"template": "http://h/{n}{m}", "vars": n}),
                ".template",
            ),
            (json!({"template": "ftp://h/{n}", "vars": n}), ".template"),
            (
                json!({"template": "http://h/{n}", "vars": n, "method": "POST"}),
                ".method",
            ),
            (
                json!({"template": "http://h/{n}", "vars": n, "follow": true, "callback": "x"}),
                ".callback",
            ),
            (
                with(json!({"n": {"type": "range", "from": 1, "to": 100_001}})),
                "",
            ),
            (
                with(json!({"n": {"type": "range", "from": 0, "to": i64::MAX}})),
                "",
            ),
            (
                with(json!({"n": {"type": "range", "from": 2, "to": 1}})),
                ".vars.n",
            ),
            (
                with(json!({"n": {"type": "range", "from": "a", "to": 1}})),
                ".vars.n.from",
            ),
            (
                with(json!({"n": {"type": "list", "values": []}})),
                ".vars.n",
            ),
            (
                with(json!({"n": {"type": "date", "from": "1.2.2024", "to": "x"}})),
                ".vars.n.from",
            ),
            (with(json!({"n": {"type": "odd"}})), ".vars.n.type"),
        ] {
            let error = read(entry).unwrap_err();
            assert_eq!(error.path, format!("{at}{path}"), "{error}");
        }
    }
}
