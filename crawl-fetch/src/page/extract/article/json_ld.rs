//! What a page says of itself in JSON-LD: schema.org's words, in whatever form sites write them.
//!
//! `@context` is not looked at: nobody means other words by these. Of several things the one that
//! is most like an article counts first, and a broken block spoils no other.

use std::collections::HashMap;

use serde_json::{Deserializer, Map, Value};

use super::claims::{Claims, filled, is_link, joined};
use crate::page::extract::dom::{Id, Page, ROOT};
use crate::page::extract::names::Name;

/// Blocks are read up to so many bytes a page; more is data and no description.
const MAX_BYTES: usize = 4 << 20;

/// Things that are looked through, beside those that may be the page's own.
const MAX_THINGS: usize = 10_000;

type Thing = Map<String, Value>;

/// How likely a thing is what the page is about, by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Page,
    Work,
    Article,
}

/// What the page says; of a page about nothing in particular, what it says of the page.
#[derive(Debug, Default)]
pub struct Described {
    /// Of an article or another work.
    pub work: Claims,
    /// Of the page itself.
    pub page: Claims,
}

/// Reads all blocks of a page at this URL, whose `title` decides between two names.
pub fn read(page: Page<'_>, url: &str, title: &str) -> Described {
    let blocks = blocks(page);
    let mut things = Vec::new();
    let mut by_id = HashMap::new();
    for block in &blocks {
        gather(block, &mut things, &mut by_id);
    }
    let mut own: Vec<(Rank, bool, &Thing)> = things
        .into_iter()
        .filter_map(|thing| Some((rank(thing)?, is_of(thing, url), thing)))
        .collect();
    // Those that are alike stay in the page's order.
    own.sort_by_key(|(rank, is_here, _)| std::cmp::Reverse((*rank, *is_here)));
    let mut described = Described::default();
    for (rank, _, thing) in own {
        let said = match rank {
            Rank::Page => &mut described.page,
            Rank::Work | Rank::Article => &mut described.work,
        };
        said.fill(Claims {
            title: name(thing, title),
            content: ["articleBody", "text"]
                .into_iter()
                .find_map(|key| text(thing.get(key)?)),
            author: ["author", "creator"]
                .into_iter()
                .find_map(|key| people(thing.get(key)?, &by_id)),
            published: ["datePublished", "dateCreated", "uploadDate", "releaseDate"]
                .into_iter()
                .filter_map(|key| text(thing.get(key)?))
                .collect(),
        });
    }
    described
}

/// The values in all blocks.
fn blocks(page: Page<'_>) -> Vec<Value> {
    let mut values = Vec::new();
    let mut left = MAX_BYTES;
    for id in page.walk(ROOT) {
        if page.node(id).name != Name::SCRIPT || !page.is_element(id) || !is_json_ld(page, id) {
            continue;
        }
        let mut script = String::new();
        let text = page.node(id).first;
        if text != crate::page::extract::dom::NONE {
            page.whole_text(text, &mut script);
        }
        match left.checked_sub(script.len()) {
            Some(rest) => left = rest,
            None => break,
        }
        let begun = values.len();
        values.extend(parse(&script));
        if script.contains("\"schema:") {
            values[begun..].iter_mut().for_each(without_prefix);
        }
    }
    values
}

/// `headline` for `schema:headline`, at any depth.
fn without_prefix(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(without_prefix),
        Value::Object(thing) => {
            let parts = std::mem::take(thing).into_iter().map(|(key, mut part)| {
                without_prefix(&mut part);
                let plain = key.strip_prefix("schema:").map(str::to_owned);
                (plain.unwrap_or(key), part)
            });
            *thing = parts.collect();
        }
        _ => {}
    }
}

fn is_json_ld(page: Page<'_>, script: Id) -> bool {
    let kind = page.attribute(script, "type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/ld+json")
}

/// The values of one block, up to what is wrong in it, if something is.
fn parse(script: &str) -> Vec<Value> {
    let script = bare(script);
    let read = |text: &str| -> Vec<Value> {
        let values = Deserializer::from_str(text).into_iter::<Value>();
        values.map_while(Result::ok).collect()
    };
    let values = read(script);
    if values.is_empty() {
        read(&mended(script))
    } else {
        values
    }
}

/// Without what hides a script from old browsers, and a `;` at its end.
fn bare(script: &str) -> &str {
    let mut text = script.trim_start_matches('\u{feff}').trim();
    for start in ["//", "/*", "<!--", "<![CDATA[", "*/", "-->"] {
        text = text.strip_prefix(start).unwrap_or(text).trim_start();
    }
    text
}

/// Without the usual mistakes: line ends and tabs within texts, a comma behind the last, and
/// comments as JavaScript has them.
fn mended(script: &str) -> String {
    let mut out = String::with_capacity(script.len());
    let (mut in_text, mut escaped) = (false, false);
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        if c == '/' && !in_text {
            rest = behind_comment(rest);
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_text,
            '"' => in_text = !in_text,
            '\0'..='\x1f' if in_text => {
                out.push(' ');
                continue;
            }
            '}' | ']' if !in_text => {
                let kept = out.trim_end();
                let kept = kept.strip_suffix(',').unwrap_or(kept).len();
                out.truncate(kept);
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// What follows the comment that begins here, or the slash of none.
fn behind_comment(text: &str) -> &str {
    let end = match text.as_bytes().get(1) {
        Some(b'*') => text[2..].find("*/").map(|end| 2 + end + 2),
        Some(b'/') => text.find('\n'),
        _ => Some(1),
    };
    end.map_or("", |end| &text[end..])
}

/// Finds what may be the page's own, and all that others name by `@id`.
fn gather<'b>(
    block: &'b Value,
    things: &mut Vec<&'b Thing>,
    by_id: &mut HashMap<&'b str, &'b Thing>,
) {
    // With it goes whether it may be the page's own.
    let mut open = vec![(block, true)];
    let mut looked = 0;
    while let Some((value, own)) = open.pop() {
        looked += 1;
        if looked > MAX_THINGS {
            return;
        }
        match value {
            Value::Array(items) => open.extend(items.iter().rev().map(|item| (item, own))),
            Value::Object(thing) => {
                if own {
                    things.push(thing);
                }
                if let (Some(Value::String(id)), true) = (thing.get("@id"), thing.len() > 1) {
                    by_id.entry(id).or_insert(thing);
                }
                let inside =
                    |key: &str| own && matches!(key, "@graph" | "mainEntity" | "mainEntityOfPage");
                let parts = thing.iter().rev();
                open.extend(parts.map(|(key, part)| (part, inside(key))));
            }
            _ => {}
        }
    }
}

fn rank(thing: &Thing) -> Option<Rank> {
    let of = |kind: &Value| {
        let kind = kind.as_str()?;
        let kind = kind.rsplit(['/', '#', ':']).next().unwrap_or(kind);
        match kind {
            "BlogPosting"
            | "LiveBlogPosting"
            | "SocialMediaPosting"
            | "DiscussionForumPosting"
            | "Report" => Some(Rank::Article),
            _ if kind.ends_with("Article") => Some(Rank::Article),
            "Product"
            | "ProductGroup"
            | "IndividualProduct"
            | "ProductModel"
            | "Recipe"
            | "VideoObject"
            | "Book"
            | "Movie"
            | "Course"
            | "HowTo"
            | "JobPosting"
            | "Review"
            | "CreativeWork"
            | "Dataset"
            | "SoftwareApplication"
            | "PodcastEpisode"
            | "Episode"
            | "MusicRecording"
            | "MusicAlbum"
            | "Question"
            | "Thesis" => Some(Rank::Work),
            _ if kind.ends_with("Event") => Some(Rank::Work),
            _ if kind.ends_with("Page") => Some(Rank::Page),
            _ => None,
        }
    };
    match thing.get("@type")? {
        Value::Array(kinds) => kinds.iter().filter_map(of).max(),
        kind => of(kind),
    }
}

/// True when it says that it is what the page at this URL is about.
fn is_of(thing: &Thing, url: &str) -> bool {
    let plain = |url: &str| {
        let url = url.split('#').next().unwrap_or_default();
        let url = url.split_once("://").map_or(url, |(_, rest)| rest);
        url.trim_end_matches('/').to_owned()
    };
    let here = plain(url);
    let said = ["url", "mainEntityOfPage", "@id"]
        .into_iter()
        .filter_map(|key| match thing.get(key)? {
            Value::String(url) => Some(url),
            Value::Object(page) => match page.get("@id")? {
                Value::String(url) => Some(url),
                _ => None,
            },
            _ => None,
        });
    said.map(|url| plain(url)).any(|url| url == here)
}

/// Its headline or its name: where both are there and only one is in the page's title, that one.
fn name(thing: &Thing, title: &str) -> Option<String> {
    let part = |key: &str| text(thing.get(key)?);
    match (part("headline"), part("name")) {
        (Some(headline), Some(name)) if title.contains(&name) && !title.contains(&headline) => {
            Some(name)
        }
        (Some(headline), _) => Some(headline),
        (None, name) => name,
    }
}

/// A text, the first of several, or the value of one that has a language.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => filled(&htmlize::unescape(text)),
        Value::Array(items) => items.iter().find_map(text),
        Value::Object(thing) => text(thing.get("@value").or_else(|| thing.get("name"))?),
        _ => None,
    }
}

/// The names of people, or of whatever wrote it; one that is told by its `@id` alone is looked up.
fn people(value: &Value, by_id: &HashMap<&str, &Thing>) -> Option<String> {
    let all = match value {
        Value::Array(all) => all.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut names = Vec::new();
    for one in all {
        if let Some(Value::Array(several)) = one.get("name") {
            names.extend(several.iter().filter_map(text));
            continue;
        }
        let name = match one {
            Value::Object(person) => person_name(person).or_else(|| {
                let id = person.get("@id")?.as_str()?;
                person_name(by_id.get(id)?)
            }),
            Value::String(id) if by_id.contains_key(&**id) => person_name(by_id[&**id]),
            other => text(other),
        };
        names.extend(name.filter(|name| !is_link(name)));
    }
    joined(names)
}

fn person_name(person: &Thing) -> Option<String> {
    let part = |key: &str| text(person.get(key)?);
    part("name").or_else(|| {
        let names = [part("givenName"), part("familyName")];
        filled(&names.into_iter().flatten().collect::<Vec<_>>().join(" "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_in_spite_of_usual_mistakes() {
        for (script, want) in [
            ("{\"a\": 1}", 1),
            ("\u{feff} [{}]", 1),
            ("<!-- {\"a\": 1} -->", 1),
            ("//<![CDATA[\n{\"a\": 1}\n//]]>", 1),
            ("/*<![CDATA[*/ {\"a\": 1} /*]]>*/", 1),
            ("{\"a\": 1};", 1),
            ("{\"a\": 1}{\"b\": 2}", 2),
            ("{\"a\": \"x\ny\tz\",}", 1),
            ("[{\"a\": \"1,]\" , } , ]", 1),
            (
                "{/* one, \" */\"a\": 1, // two }\n\"b\": \"http://x/*y*/\"}",
                1,
            ),
            ("{\"a\": 1} // the end", 1),
            ("{\"a\": ", 0),
            ("{ / /* //", 0),
            ("", 0),
        ] {
            assert_eq!(parse(script).len(), want, "{script}");
        }
        assert_eq!(parse("{\"a\": \"x\n\\\"y,}\",}")[0]["a"], "x \"y,}");
    }
}
