//! `"auto"`: the title, text, author and date of an article, by the readability
//! algorithm and by what the page says of itself in JSON-LD, Open Graph and `meta`.

use std::sync::LazyLock;

use dom_smoothie::{Config, Readability, TextMode};
use jiff::Timestamp;
use serde_json::Value;

use super::css::Css;
use super::datetime;
use super::dom::{Page, ROOT};
use super::search::Selector;
use super::spec::{Core, How};
use super::values::selected;

/// An article, read when the first field asks for it.
#[derive(Debug)]
pub struct Article<'p> {
    html: &'p str,
    page: Page<'p>,
    url: &'p str,
    now: Timestamp,
    read: Option<Fields>,
}

#[derive(Debug, Default)]
struct Fields {
    title: Option<String>,
    content: Option<String>,
    author: Option<String>,
    published: Option<String>,
}

/// The reader makes trees of trees; a page of more elements is none that a person wrote.
const MAX_ELEMENTS: usize = 50_000;

/// The stack of the article reader.
const STACK_BYTES: usize = 16 << 20;

impl<'p> Article<'p> {
    /// The article of a page.
    pub fn new(html: &'p str, page: Page<'p>, url: &'p str, now: Timestamp) -> Article<'p> {
        Article {
            html,
            page,
            url,
            now,
            read: None,
        }
    }

    /// What was found, or `null`.
    pub fn value(&mut self, core: Core) -> Value {
        let (html, page, url, now) = (self.html, self.page, self.url, self.now);
        let fields = self
            .read
            .get_or_insert_with(|| read_apart(html, page, url, now));
        let found = match core {
            Core::Title => &fields.title,
            Core::Content => &fields.content,
            Core::Author => &fields.author,
            Core::PublishedDate => &fields.published,
        };
        found.clone().map_or(Value::Null, Value::String)
    }
}

/// Where a page says when it was published, the surest first.
static DATES: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    [
        "[itemprop~=datePublished]::attr(content)",
        "[itemprop~=datePublished]::attr(datetime)",
        "article time::attr(datetime), main time::attr(datetime)",
        "time::attr(datetime)",
    ]
    .into_iter()
    .filter_map(|css| Css::parse(css).ok())
    .map(Selector::Css)
    .collect()
});

/// Where a page has its headline.
static HEADLINES: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    let places = ["article h1", "main h1", "h1"].into_iter();
    places
        .filter_map(|css| Css::parse(css).ok())
        .map(Selector::Css)
        .collect()
});

/// Reads in a thread of its own: the reader calls itself as deep as elements are nested, and
/// workers have small stacks.
fn read_apart(html: &str, page: Page<'_>, url: &str, now: Timestamp) -> Fields {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("article".into())
            .stack_size(STACK_BYTES);
        let reading = thread.spawn_scoped(scope, || read(html, page, url, now));
        let read = reading.ok().and_then(|reading| reading.join().ok());
        read.unwrap_or_default()
    })
}

fn read(html: &str, page: Page<'_>, url: &str, now: Timestamp) -> Fields {
    let config = Config {
        max_elements_to_parse: MAX_ELEMENTS,
        text_mode: TextMode::Formatted,
        ..Config::default()
    };
    let Ok(mut reader) = Readability::new(html, Some(url), Some(config)) else {
        return Fields::default();
    };
    let said = reader.get_article_metadata(reader.parse_json_ld());
    let article = reader.parse().ok();
    let (title, byline, published) = match &article {
        Some(article) => (&article.title, &article.byline, &article.published_time),
        None => (&said.title, &said.byline, &said.published_time),
    };
    let title = filled(title).map(|title| match first(page, &HEADLINES, How::Text) {
        // What stands beside the headline in a title is the site's name.
        Some(headline) if title.contains(&headline) => headline,
        _ => title,
    });
    let content = article
        .as_ref()
        .and_then(|article| filled(&article.text_content));
    let published = published.as_deref().and_then(filled);
    let published = published.or_else(|| first(page, &DATES, How::First));
    Fields {
        title,
        content,
        author: byline.as_deref().and_then(filled),
        published: published.map(|text| datetime::parse(&text, &[], now).unwrap_or(text)),
    }
}

fn filled(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What the first of the selectors that finds something finds.
fn first(page: Page<'_>, places: &[Selector], how: How) -> Option<String> {
    let found = places
        .iter()
        .map(|css| selected(page, css, how, ROOT, usize::MAX));
    let mut texts = found.filter_map(|value| filled(value.as_str()?));
    texts.next()
}
