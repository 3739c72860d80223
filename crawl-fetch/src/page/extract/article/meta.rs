//! What a page says of itself in `meta` elements (Open Graph, Dublin Core and others), in
//! microdata, in `time` and `rel=author`.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::claims::{Claims, filled, is_link, joined};
use crate::page::extract::css::Css;
use crate::page::extract::dom::{Page, ROOT};
use crate::page::extract::names::Name;
use crate::page::extract::select::Selector;
use crate::page::extract::select::read_of;

/// The names under which titles stand, the surest first.
const TITLES: [&str; 8] = [
    "og:title",
    "twitter:title",
    "citation_title",
    "dc.title",
    "dcterms.title",
    "parsely-title",
    "sailthru.title",
    "headline",
];

/// The same for authors. A name may be there several times.
const AUTHORS: [&str; 10] = [
    "author",
    "article:author",
    "og:article:author",
    "citation_author",
    "dc.creator",
    "dcterms.creator",
    "parsely-author",
    "sailthru.author",
    "byl",
    "creator",
];

/// The same for dates.
const DATES: [&str; 19] = [
    "article:published_time",
    "og:article:published_time",
    "article:published",
    "datepublished",
    "citation_publication_date",
    "dc.date.issued",
    "dcterms.issued",
    "dcterms.created",
    "dcterms.date",
    "dc.date.created",
    "dc.date",
    "parsely-pub-date",
    "sailthru.date",
    "publishdate",
    "publish-date",
    "publish_date",
    "pubdate",
    "og:published_time",
    "date",
];

/// Where dates stand in the page itself, the surest first.
static DATES_IN_PAGE: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    selectors(&[
        "[itemprop~=datePublished]::attr(content)",
        "[itemprop~=datePublished]::attr(datetime)",
        "[itemprop~=datePublished]",
        "time[pubdate]::attr(datetime)",
        "article time::attr(datetime), main time::attr(datetime)",
        "time::attr(datetime)",
        "article time, main time",
        "time",
    ])
});

/// Where authors stand.
static AUTHORS_IN_PAGE: LazyLock<Vec<Selector>> = LazyLock::new(|| {
    selectors(&[
        "[itemprop~=author] [itemprop~=name], [itemprop~=author][itemprop~=name]",
        "[itemprop~=author]::attr(content)",
        "[itemprop~=author]",
        "article [rel~=author], main [rel~=author]",
        "[rel~=author]",
    ])
});

/// A name or a date is no longer.
const MAX_BYTES: usize = 1 << 10;

/// So many wrote it together at most.
const MOST_AUTHORS: usize = 50;

fn selectors(places: &[&str]) -> Vec<Selector> {
    let css = places.iter().filter_map(|css| Css::parse(css).ok());
    css.map(Selector::Css).collect()
}

/// What stands in the head; a title only where one is meant for others to show.
pub fn read(page: Page<'_>) -> Claims {
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for id in page.walk(ROOT) {
        if page.node(id).name != Name::META || !page.is_element(id) {
            continue;
        }
        let content = page.attribute(id, "content").unwrap_or_default();
        let Some(content) = filled(&content) else {
            continue;
        };
        for key in ["property", "name", "itemprop"] {
            let names = page.attribute(id, key).unwrap_or_default();
            for name in names.split_ascii_whitespace() {
                let all = values.entry(name.to_ascii_lowercase()).or_default();
                all.push(content.clone());
            }
        }
    }
    let all = |names: &[&str]| -> Vec<Vec<String>> {
        names
            .iter()
            .filter_map(|name| values.get(*name).cloned())
            .collect()
    };
    let author = all(&AUTHORS).into_iter().find_map(|mut names| {
        names.retain(|name| !is_link(name));
        joined(names)
    });
    Claims {
        title: all(&TITLES).into_iter().flatten().next(),
        content: None,
        author,
        published: all(&DATES).into_iter().flatten().collect(),
    }
}

/// What stands in the page itself.
pub fn read_page(page: Page<'_>) -> Claims {
    let author = AUTHORS_IN_PAGE.iter().find_map(|selector| {
        let mut names = Vec::new();
        selector.find(page, ROOT, |found| {
            names.push(read_of(page, found, MAX_BYTES));
            names.len() < MOST_AUTHORS
        });
        joined(names.into_iter().filter(|name| !is_link(name)))
    });
    let mut published = Vec::new();
    for selector in &*DATES_IN_PAGE {
        selector.find(page, ROOT, |found| {
            published.push(read_of(page, found, MAX_BYTES));
            false
        });
    }
    Claims {
        author,
        published,
        ..Claims::default()
    }
}
