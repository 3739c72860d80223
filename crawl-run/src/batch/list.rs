//! The list of a batch: a site a line, CSV, a JSON array, or JSON lines.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;

use crawl_ckpt::address::take_userinfo;
use crawl_ckpt::job::Name;
use crawl_ckpt::lines::read_text;
use crawl_ckpt::tool::{Exit, Failure, printable};
use serde::Deserialize;
use serde_json::Value;

use crate::spider::{Spider, http_url, shown_url, without_scheme};

/// What a batch crawls.
#[derive(Debug)]
pub struct List {
    /// Its entries, in its order, at least one.
    pub entries: Vec<Entry>,
    /// What the list says, if it came from stdin and has no other name.
    pub text: Option<String>,
}

/// One crawl of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A start URL in its canonical form, without user name and password, or the path of a spider
    /// file as the list has it.
    pub site: String,
    /// `user:password` of the start URL; in memory alone.
    pub login: Option<String>,
    /// Higher goes first.
    pub priority: i64,
    /// The project, when it is not that of the batch.
    pub project: Option<Name>,
}

impl Entry {
    /// What crawl-run takes for it: the start URL with its login, or the path of the spider file, which is relative to
    /// the list, or else to where the tool runs.
    pub fn spider(&self, list: &Path) -> String {
        if let Some((scheme, rest)) = self.site.split_once("://") {
            let login = self.login.as_ref().map(|login| format!("{login}@"));
            return format!("{scheme}://{}{rest}", login.unwrap_or_default());
        }
        let beside = crawl_ckpt::durable::parent(list).join(&self.site);
        match beside.to_str() {
            Some(beside) if Path::new(beside).exists() => beside.to_owned(),
            _ => self.site.clone(),
        }
    }
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

/// Reads a list, of stdin when it is called `-`; an entry that is there twice counts once. `project` is that of the
/// batch.
///
/// # Errors
/// [`Exit::Usage`], naming the place of what is wrong.
pub fn read(path: &Path, project: &Name) -> Result<List, Failure> {
    let wrong = |why: &dyn Display| {
        let path = path.display();
        Failure::with(Exit::Usage, format_args!("cannot use list {path}: {why}"))
    };
    let is_stdin = path == Path::new("-");
    let text = if is_stdin {
        read_text(io::stdin())
    } else {
        fs::File::open(path).and_then(read_text)
    };
    let text = text.map_err(|e| wrong(&e))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let placed = fields(&text, &extension.to_ascii_lowercase()).map_err(|why| wrong(&why))?;
    let folder = crawl_ckpt::durable::parent(path);
    let (mut entries, mut met) = (Vec::new(), HashSet::new());
    // What cannot be read fails when its turn comes.
    let mut crawls: HashMap<(Name, Name), String> = HashMap::new();
    for (place, fields) in placed {
        let entry = entry(fields).map_err(|why| wrong(&format_args!("{place}: {why}")))?;
        // A file may be written in many ways.
        let file = folder.join(&entry.site).canonicalize();
        let file = file.unwrap_or_else(|_| entry.site.clone().into());
        let project = entry.project.as_ref().unwrap_or(project);
        if !met.insert((file, project.clone())) {
            continue;
        }
        if let Ok(Spider { name, .. }) = Spider::load(&[entry.spider(path)]) {
            let crawl = format!("{project}/{name}");
            if let Some(first) = crawls.insert((project.clone(), name), place.clone()) {
                let why = format!("{first} and {place} are the same crawl, {crawl}");
                return Err(wrong(&why).hint(
                    "give one of them another `project`, or have both as \"start_urls\" of one spider file",
                ));
            }
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(wrong(&"it is empty"));
    }
    Ok(List {
        entries,
        text: is_stdin.then_some(text),
    })
}

/// A CSV is known by its header, for there are lists of plain lines with any name.
fn fields(text: &str, extension: &str) -> Result<Placed, String> {
    match (extension, text.trim_start().chars().next()) {
        _ if has_header(text) => csv(text),
        ("json", _) | (_, Some('[')) => json(text),
        ("jsonl" | "ndjson", _) | (_, Some('{' | '"')) => json_lines(text),
        _ => lines(text, extension == "csv"),
    }
}

fn has_header(text: &str) -> bool {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let is_ours = |cell: &str| {
        ["url", "spider"]
            .iter()
            .any(|n| cell.eq_ignore_ascii_case(n))
    };
    reader
        .headers()
        .is_ok_and(|cells| cells.iter().any(is_ours))
}

/// What parts the columns: a spreadsheet writes semicolons where the comma is for decimals, and tabs.
fn delimiter(text: &str) -> u8 {
    let header = text.lines().next().unwrap_or_default();
    let mut used = [b',', b';', b'\t'].into_iter();
    used.find(|byte| header.as_bytes().contains(byte))
        .unwrap_or(b',')
}

/// A site a line; blank lines and those that begin with `#` are none.
fn lines(text: &str, is_csv: bool) -> Result<Placed, String> {
    let lines = text.lines().enumerate().map(|(i, line)| (i, line.trim()));
    let filled = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    filled
        .map(|(i, line)| {
            let place = format!("line {}", i + 1);
            if is_csv && line.contains(',') {
                return Err(format!(
                    "{place}: a CSV of several columns needs a header with `url` or `spider`"
                ));
            }
            let item = item_fields(line.into());
            item.map(|fields| (place.clone(), fields))
                .map_err(|e| format!("{place}: {e}"))
        })
        .collect()
}

type Placed = Vec<(String, Fields)>;

fn csv(text: &str) -> Result<Placed, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| headers.iter().position(|h| h.eq_ignore_ascii_case(name));
    let (url, spider) = (column("url"), column("spider"));
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
        return Err("expected an array of start URLs and spider files; one spider file alone needs no batch".into());
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

/// A plain text is a URL or the path of a spider file.
fn item_fields(item: Value) -> Result<Fields, String> {
    match item {
        Value::String(text) if text.contains("://") || !text.ends_with(".json") => Ok(Fields {
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

/// The canonical form of a start URL, so that a site is one entry however it is written, and who
/// asks for it.
fn site(text: &str) -> Result<(String, Option<String>), String> {
    let text = text.trim();
    let url = if text.contains("://") && !text.contains(char::is_whitespace) {
        http_url(text).ok()
    } else {
        without_scheme(text)
    };
    let mut url = url.ok_or_else(|| {
        let shown = printable(&shown_url(text));
        format!(
            "expected a URL such as https://docs.example/, or a spider file (.json), found \
             `{shown}`"
        )
    })?;
    url.set_fragment(None);
    let login = take_userinfo(&mut url).map(|(_, login)| login);
    Ok((url.into(), login))
}

fn entry(fields: Fields) -> Result<Entry, String> {
    let (site, login) = match (fields.spider, fields.url) {
        (Some(spider), _) if !spider.contains("://") => (spider, None),
        (Some(text), _) | (None, Some(text)) => site(&text)?,
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
        login,
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
        read(&path, &Name::parse("default").unwrap())
            .map(|list| list.entries)
            .map_err(|failure| failure.message)
    }

    fn entries() -> Vec<Entry> {
        let entry = |site: &str, priority, project: Option<&str>| Entry {
            login: None,
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
            ("l.csv", &csv.replace(',', ";")),
            ("l.csv", &csv.replace(',', "\t")),
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
        assert_eq!(got[0].site, "https://a.example/");
    }

    #[test]
    fn a_list_may_be_a_site_a_line_whatever_it_is_called() {
        let text =
            "\u{feff}# mine\r\n\r\nhttps://a.example/1\r\n  b.example/2 \n#https://no/\nc.json";
        for name in ["l.txt", "l", "l.csv"] {
            let got = read_text(name, text).unwrap();
            let sites: Vec<&str> = got.iter().map(|entry| &*entry.site).collect();
            let want = ["https://a.example/1", "https://b.example/2", "c.json"];
            assert_eq!(sites, want, "{name}");
        }
    }

    #[test]
    fn one_site_is_one_entry_however_it_is_written() {
        let text = "http://a.example\nHTTP://A.example/#top\nhttp://a.example/x/../\nhttp://a.example:80/.\n";
        let got = read_text("l", text).unwrap();
        assert_eq!(got.len(), 1, "{got:?}");
        let text = "http://u:secret@a.example/\nhttp://a.example/\n";
        let got = read_text("l", text).unwrap();
        assert_eq!((got.len(), got[0].login.as_deref()), (1, Some("u:secret")));
        assert_eq!(got[0].site, "http://a.example/");
        let two = "url,project\nhttp://a.example,p\nhttp://a.example/,q\n";
        assert_eq!(read_text("l", two).unwrap().len(), 2);
    }

    #[test]
    fn two_entries_of_one_crawl_are_named_and_two_projects_are_two_crawls() {
        let error = read_text(
            "l",
            "https://a.example/x\nhttps://b.example/\n\nhttps://a.example/y\n",
        );
        let want = "line 1 and line 4 are the same crawl, default/a.example";
        assert!(
            error.as_ref().is_err_and(|error| error.ends_with(want)),
            "{error:?}"
        );
        let list = |project: &str| {
            format!("url,project\nhttps://a.example/x,\nhttps://a.example/y,{project}\n")
        };
        assert_eq!(read_text("l", &list("p")).unwrap().len(), 2);
        assert!(read_text("l", &list("default")).is_err());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        for (name, text, want) in [
            ("l.csv", "site\nhttps://a/\n", "line 1: expected a URL"),
            (
                "l.csv",
                "https://a/,5\n",
                "line 1: a CSV of several columns needs a header",
            ),
            ("l.csv", "url\nhttps://a/\nword\n", "line 3: expected a URL"),
            ("l", "https://a/\n\nword\n", "line 3: expected a URL"),
            (
                "l",
                "https://a/\nsome.example words\n",
                "line 2: expected a URL",
            ),
            ("l", "https://u:secret@a b/\n", "found `https://***@a b/`"),
            ("l", "u:secret@a\n", "found `***@a`"),
            ("l", "ftp://a.example/\n", "line 1: expected a URL"),
            ("l.json", "[\"word\"]", "$[0]: expected a URL"),
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
