//! `"auto"`: the title, text, author and date of an article, by the readability
//! algorithm and by what the page says of itself in JSON-LD, Open Graph and `meta`.

mod claims;
mod json_ld;
mod meta;

use std::borrow::Cow;
use std::sync::LazyLock;

use dom_smoothie::{Config, Readability, TextMode};
use jiff::Timestamp;
use memchr::{memchr_iter, memchr3_iter};
use serde_json::Value;

use super::budget::MAX_ITEM_BYTES;
use super::css::Css;
use super::datetime;
use super::deep_stack::on_deep_stack;
use super::dom::{Id, NONE, Page, ROOT};
use super::markup;
use super::sections::Core;
use super::select::{How, Selector, selected};
use claims::{Claims, filled};

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

/// Nor is a page of more bytes, and an item takes no longer text.
const MAX_BYTES: usize = 2 * MAX_ITEM_BYTES;

impl<'p> Article<'p> {
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
        let fields = self.read.get_or_insert_with(|| {
            let html = readable(html, page);
            on_deep_stack(page, || read(&html, page, url, now)).unwrap_or_default()
        });
        let found = match core {
            Core::Title => &fields.title,
            Core::Content => &fields.content,
            Core::Author => &fields.author,
            Core::PublishedDate => &fields.published,
        };
        found.clone().map_or(Value::Null, Value::String)
    }
}

/// Where a page has its headline.
static HEADLINES: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    let places = ["article h1", "main h1", "h1"].into_iter();
    places
        .filter_map(|css| Css::parse(css).ok())
        .map(Selector::Css)
        .collect()
});

/// What the reader gets of a page: all of it as it is written, or as its tree has it when it is
/// nested too deep for the reader, or what it says of itself when it is too large.
fn readable<'p>(html: &'p str, page: Page<'p>) -> Cow<'p, str> {
    let elements = page.walk(ROOT).filter(|id| page.is_element(*id));
    let is_large = html.len() > MAX_BYTES
        || elements.take(MAX_ELEMENTS + 1).count() > MAX_ELEMENTS
        || !page.tree.budget.take_half(escaping(page));
    if !is_large && !page.tree.is_deep {
        return Cow::Borrowed(html);
    }
    let first_in = |id: Id| {
        let next = |id: &Id| Some(page.node(*id).next).filter(|next| *next != NONE);
        let first = Some(page.node(id).first).filter(|first| *first != NONE);
        std::iter::successors(first, next).find(|child| page.is_element(*child))
    };
    let mut top = first_in(ROOT);
    if is_large {
        page.tree.budget.cut();
        top = top.and_then(first_in);
    }
    let mut text = String::new();
    if let Some(top) = top {
        markup::write(page, top, &mut text, MAX_BYTES);
    }
    Cow::Owned(text)
}

/// About what it takes the reader's library to write all texts of a page: for each character
/// that it escapes, no-break spaces too, it goes over the rest of the text.
fn escaping(page: Page<'_>) -> usize {
    let (mut steps, mut special, mut bytes) = (0_usize, 0, 0);
    for id in page.walk(ROOT) {
        if page.is_text(id) {
            let node = page.node(id);
            let text = &page.html[node.start as usize..node.end as usize];
            special +=
                memchr3_iter(b'&', b'<', b'>', text).count() + memchr_iter(0xc2, text).count();
            bytes += text.len();
        } else {
            // 64 bytes are looked at in a nanosecond or two.
            steps = steps.saturating_add(special.saturating_mul(bytes) / 1024);
            (special, bytes) = (0, 0);
        }
    }
    steps.saturating_add(special.saturating_mul(bytes) / 1024)
}

fn read(html: &str, page: Page<'_>, url: &str, now: Timestamp) -> Fields {
    let config = Config {
        max_elements_to_parse: MAX_ELEMENTS,
        text_mode: TextMode::Formatted,
        // It reads no `@graph`, and stumbles over a broken block.
        disable_json_ld: true,
        ..Config::default()
    };
    let mut reader = Readability::new(html, Some(url), Some(config)).ok();
    let shown = reader
        .as_ref()
        .map(|reader| reader.get_article_title().to_string());
    let described = json_ld::read(page, url, &shown.unwrap_or_default());
    let guess = reader
        .as_ref()
        .map(|reader| reader.get_article_metadata(None));
    let article = reader.as_mut().and_then(|reader| reader.parse().ok());
    let guess = match (article, guess) {
        (Some(article), _) => Claims {
            title: filled(&article.title),
            content: filled(&article.text_content),
            author: article.byline.as_deref().and_then(filled),
            published: article.published_time.into_iter().collect(),
        },
        (None, Some(guess)) => Claims {
            title: filled(&guess.title),
            author: guess.byline.as_deref().and_then(filled),
            ..Claims::default()
        },
        (None, None) => Claims::default(),
    };
    let mut said = described.work;
    // A page's own text is more than what it gives away of it.
    let given = said.content.take();
    said.content.clone_from(&guess.content);
    said.content = said.content.or(given);
    said.fill(meta::read(page));
    said.fill(described.page);
    // What cannot be read is still a date where the page says that it is one.
    let told = said.published.first().and_then(|text| filled(text));
    said.fill(meta::read_page(page));
    said.fill(guess);
    let title = said
        .title
        .map(|title| match first(page, &HEADLINES, How::Text) {
            // What stands beside the headline in a title is the site's name.
            Some(headline) if title.contains(&headline) => headline,
            _ => title,
        });
    let mut dates = said.published.iter();
    let published = dates.find_map(|text| datetime::parse(text, &[], now));
    Fields {
        title,
        content: said.content,
        author: said.author,
        published: published.or(told),
    }
}

/// What the first of the selectors that finds something finds.
fn first(page: Page<'_>, places: &[Selector], how: How) -> Option<String> {
    let found = places
        .iter()
        .map(|css| selected(page, css, how, ROOT, usize::MAX));
    let mut texts = found.filter_map(|value| filled(value.as_str()?));
    texts.next()
}
