//! `--extract`: items from pages, as a spider file's `sections` say, and where their links
//! stand, as its `rules` ask.
//!
//! # Layout
//! From the ground up; a room uses only those before it (`tests/layout.rs` looks).
//!
//! | where | what lies there |
//! |---|---|
//! | `budget` `attributes` `names` | what reading a page may cost, attributes as they are written, names of elements |
//! | `dom` | the tree of a page |
//! | `sets` `markup` `markdown` `deep_stack` `css` | sets of elements, an element as markup, as text and as Markdown, libraries that go deep, CSS selectors |
//! | `quick/` `full` `compare` `element` | the two builders of trees, whether they agree, an element as selectors see it |
//! | `build` `xpath/` `datetime/` | a tree by the builder that fits, XPath, dates |
//! | `select` `processor/` | what a selector takes, and what is made of it |
//! | `sections/` | the part of a spider file that speaks of extraction |
//! | `article/` `regions` | what makes up an article, where links stand |
//! | `item` | the fields of a page |

mod article;
mod attributes;
mod budget;
mod build;
#[cfg(any(test, feature = "compare"))]
pub mod compare;
mod css;
mod datetime;
mod deep_stack;
mod dom;
mod element;
mod full;
mod item;
mod markdown;
mod markup;
mod names;
mod processor;
mod quick;
mod regions;
mod sections;
mod select;
mod sets;
#[cfg(test)]
mod tests;
mod xpath;

use std::borrow::Cow;
use std::path::Path;

use crawl_ckpt::extraction::Extraction;
use crawl_ckpt::lines::read_text;
use crawl_ckpt::node::Node;
use crawl_ckpt::tool::{Exit, Failure};
use encoding_rs::{Encoding, UTF_8};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use url::Url;

use crate::page::marks::Mark;
use article::Article;
pub use build::Workspace;
use build::build;
use dom::{Page, ROOT};
use item::ItemReader;
pub use regions::Regions;
use sections::{Field, Sections};

/// Takes items from pages. Shared by all workers.
#[derive(Debug, Default)]
pub struct Extractor {
    sections: Sections,
    regions: Regions,
}

/// What an item of a page has.
#[derive(Debug, Clone, Copy)]
pub struct ItemFields<'e>(&'e [Field]);

/// An item.
#[derive(Debug, Clone, Copy)]
pub struct Item<'w> {
    /// An object.
    pub json: &'w RawValue,
    /// Something was left out because it would be too large, or take too long to find.
    pub is_cut: bool,
    /// This machine had no thread for it: the page is to be read again.
    pub is_short: bool,
}

impl Extractor {
    /// Reads a spider file; `-` is stdin.
    ///
    /// # Errors
    /// What is wrong with it, with the JSON path, by itself and as [`Exit::Usage`].
    pub fn load(path: &Path) -> Result<Extractor, (String, Failure)> {
        let read = if path.as_os_str() == "-" {
            read_text(std::io::stdin())
        } else {
            std::fs::File::open(path).and_then(read_text)
        };
        let extractor = read
            .map_err(|e| e.to_string())
            .and_then(|text| Extractor::from_json(&text));
        extractor.map_err(|why| {
            let name = path.display();
            let failure = Failure::with(Exit::Usage, format_args!("cannot use {name}: {why}"));
            (why, failure)
        })
    }

    /// Reads the text of a spider file.
    ///
    /// # Errors
    /// The JSON path of what is wrong, and what was expected there.
    pub fn from_json(text: &str) -> Result<Extractor, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let root = Node::root(&value);
        let sections = Sections::read(&root).map_err(|e| e.to_string())?;
        let regions = Regions::read(&root).map_err(|e| e.to_string())?;
        Ok(Extractor { sections, regions })
    }

    /// What it takes from which pages.
    pub fn describe(&self) -> Extraction {
        Extraction {
            pages: self.sections.lines(),
            ignored: self.sections.ignored.clone(),
            wrong: None,
        }
    }

    /// Where rules want links to stand, if one does.
    pub fn regions(&self) -> Option<&Regions> {
        Some(&self.regions).filter(|regions| !regions.is_empty())
    }

    /// What an item of a page has, if a section matches its URL; `is_start` when a crawl began
    /// with it.
    pub fn fields(&self, url: &Url, is_start: bool) -> Option<ItemFields<'_>> {
        self.sections.of(url.as_str(), is_start).map(ItemFields)
    }
}

impl ItemFields<'_> {
    /// The item of a page, of which there may be marks.
    pub fn item<'w>(
        self,
        html: &[u8],
        marks: &[Mark],
        (encoding, url): (&'static Encoding, &Url),
        workspace: &'w mut Workspace,
    ) -> Option<Item<'w>> {
        let ItemFields(fields) = self;
        let Workspace { tree, source, json } = workspace;
        let bytes = html.len();
        let html = encoding.decode(html).0;
        // Marks are of the page as it came when that is UTF-8, and no mark of one may be used when
        // something in it had to be replaced.
        let is_same = encoding != UTF_8 || matches!(html, Cow::Borrowed(_)) && html.len() == bytes;
        let marks = if is_same { marks } else { &[] };
        let html = &*html;
        let page = Page {
            html: build(html, marks, tree, source),
            tree,
        };
        let now = Timestamp::now();
        let mut article = Article::new(html, page, url.as_str(), now);
        let mut reading = ItemReader::new(page, &mut article, now);
        let item = reading.item(fields, ROOT);
        let (is_cut, is_short) = (reading.is_cut(), reading.is_short());
        *json = to_raw_value(&item).ok();
        Some(Item {
            json: json.as_deref()?,
            is_cut,
            is_short,
        })
    }
}
