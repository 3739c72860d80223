//! The list of a batch: CSV, a JSON array, or JSON lines.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use crawl_ckpt::job::Name;
use crawl_ckpt::tool::{Exit, Failure};
use serde::Deserialize;
use serde_json::Value;

/// One crawl of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A start URL, or the path of a spider file as the list has it.
    pub site: String,
    /// Higher goes first.
    pub priority: i64,
    /// The project, when it is not that of the batch.
    pub project: Option<Name>,
}

/// The fields of an entry in any of the forms.
#[derive(Debug, Default, Deserialize)]
struct Fields {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    spider: Option<String>,
    #[serde(default)]
    priority: Option<Value>,
    #[serde(default)]
    project: Option<String>,
}

/// Reads a list; an entry that is there twice counts once.
///
/// # Errors
/// [`Exit::Usage`], naming the place of what is wrong.
pub fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let wrong = |why: &dyn Display| {
        let path = path.display();
        Failure::with(Exit::Usage, format_args!("cannot use list {path}: {why}"))
    };
    let text = fs::read_to_string(path).map_err(|e| wrong(&e))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let first = text.trim_start().chars().next();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let fields = match (extension.to_ascii_lowercase().as_str(), first) {
        ("csv", _) => csv(text),
        ("json", _) | (_, Some('[')) => json(text),
        ("jsonl" | "ndjson", _) | (_, Some('{' | '"')) => json_lines(text),
        _ => csv(text),
    };
    let (mut entries, mut met) = (Vec::new(), HashSet::new());
    for (place, fields) in fields.map_err(|why| wrong(&why))? {
        let entry = entry(fields).map_err(|why| wrong(&format_args!("{place}: {why}")))?;
        if met.insert((entry.site.clone(), entry.project.clone())) {
            entries.push(entry);
        }
    }
    if entries.is_empty() {
        return Err(wrong(&"it is empty"));
    }
    Ok(entries)
}

type Placed = Vec<(String, Fields)>;

fn csv(text: &str) -> Result<Placed, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| headers.iter().position(|h| h.eq_ignore_ascii_case(name));
    let (url, spider) = (column("url"), column("spider"));
    if url.is_none() && spider.is_none() {
        return Err("line 1: expected a header with `url` or `spider`".into());
    }
    let (priority, project) = (column("priority"), column("project"));
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| e.to_string())?;
        let cell = |column: Option<usize>| {
            let text = row.get(column?)?;
            (!text.is_empty()).then(|| text.to_owned())
        };
        let line = row.position().map_or(0, csv::Position::line);
        let fields = Fields {
            url: cell(url),
            spider: cell(spider),
            priority: cell(priority).map(Value::from),
            project: cell(project),
        };
        rows.push((format!("line {line}"), fields));
    }
    Ok(rows)
}

fn json(text: &str) -> Result<Placed, String> {
    let Value::Array(items) = serde_json::from_str(text).map_err(|e| e.to_string())? else {
        return Err("expected an array of start URLs and spider files".into());
    };
    let placed = items.into_iter().enumerate();
    placed
        .map(|(i, item)| {
            let place = format!("$[{i}]");
            Ok((
                place.clone(),
                item_fields(item).map_err(|e| format!("{place}: {e}"))?,
            ))
        })
        .collect()
}

fn json_lines(text: &str) -> Result<Placed, String> {
    let lines = text.lines().enumerate();
    let filled = lines.filter(|(_, line)| !line.trim().is_empty());
    filled
        .map(|(i, line)| {
            let place = format!("line {}", i + 1);
            let item = serde_json::from_str(line).map_err(|e| format!("{place}: {e}"))?;
            Ok((
                place.clone(),
                item_fields(item).map_err(|e| format!("{place}: {e}"))?,
            ))
        })
        .collect()
}

/// A plain string is a URL or the path of a spider file.
fn item_fields(item: Value) -> Result<Fields, String> {
    match item {
        Value::String(text) if text.contains("://") => Ok(Fields {
            url: Some(text),
            ..Fields::default()
        }),
        Value::String(text) => Ok(Fields {
            spider: Some(text),
            ..Fields::default()
        }),
        Value::Object(_) => serde_json::from_value(item).map_err(|e| e.to_string()),
        _ => Err("expected an object with `url` or `spider`, or a text".into()),
    }
}

fn entry(fields: Fields) -> Result<Entry, String> {
    let site = match (fields.spider, fields.url) {
        (Some(spider), _) => spider,
        (None, Some(url)) if url.contains("://") => url,
        (None, Some(url)) => format!("https://{url}"),
        (None, None) => return Err("expected a `url` or a `spider`".into()),
    };
    let priority = match fields.priority {
        None | Some(Value::Null) => 0,
        Some(value) => {
            let number = match &value {
                Value::String(text) => text.parse().ok(),
                value => value.as_i64(),
            };
            number.ok_or_else(|| format!("priority: expected a whole number, found {value}"))?
        }
    };
    let project = fields.project.as_deref().map(Name::parse).transpose();
    Ok(Entry {
        site,
        priority,
        project: project.map_err(|e| format!("project: {e}"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(name: &str, text: &str) -> Result<Vec<Entry>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        read(&path).map_err(|failure| failure.message)
    }

    fn entries() -> Vec<Entry> {
        let entry = |site: &str, priority, project: Option<&str>| Entry {
            site: site.into(),
            priority,
            project: project.map(|p| Name::parse(p).unwrap()),
        };
        vec![
            entry("https://a.example/", 5, None),
            entry("b.json", 0, Some("p")),
        ]
    }

    #[test]
    fn all_forms_of_a_list_read_alike() {
        let csv = "url,spider,priority,project\nhttps://a.example/,,5,\n,b.json,,p\n";
        let json =
            r#"[{"url":"https://a.example/","priority":5},{"spider":"b.json","project":"p"}]"#;
        let lines = "{\"url\":\"https://a.example/\",\"priority\":5}\n\n{\"spider\":\"b.json\",\"project\":\"p\"}\n";
        for (name, text) in [
            ("l.csv", csv),
            ("l", csv),
            ("l.json", json),
            ("l", json),
            ("l.jsonl", lines),
            ("l", lines),
        ] {
            assert_eq!(read_text(name, text), Ok(entries()), "{name}");
        }
    }

    #[test]
    fn plain_strings_and_hosts_are_taken_for_what_they_look_like() {
        let got = read_text("l.jsonl", "\"https://a.example/\"\n\"b.json\"\n").unwrap();
        assert_eq!(got[0].site, "https://a.example/");
        assert_eq!(got[1].site, "b.json");
        let got = read_text("l.csv", "URL\na.example\na.example\n").unwrap();
        assert_eq!(got.len(), 1);
        assert_eq!(got[0].site, "https://a.example");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (name, text, want) in [
            ("l.csv", "site\nhttps://a/\n", "line 1: expected a header"),
            (
                "l.csv",
                "url,priority\nhttps://a/,high\n",
                "line 2: priority: expected",
            ),
            (
                "l.csv",
                "url,project\nhttps://a/,../x\n",
                "line 2: project: ",
            ),
            ("l.json", "[{\"url\":7}]", "$[0]: "),
            ("l.json", "[1]", "$[0]: expected an object"),
            ("l.json", "{\"name\":\"a\"}", "expected an array"),
            ("l.jsonl", "\"https://a/\"\nnonsense\n", "line 2: "),
            ("l.jsonl", "{}\n", "line 1: expected a `url`"),
            ("l.csv", "url\n", "it is empty"),
            ("l.json", "[]", "it is empty"),
        ] {
            let error = read_text(name, text).unwrap_err();
            assert!(error.contains(want), "{error}");
        }
    }
}
