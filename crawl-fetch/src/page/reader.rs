//! Makes of a page's markup its title and its links: decoded, resolved against
//! the page's base URL, each once.

use std::borrow::Cow;
use std::hash::BuildHasher;

use crawl_ckpt::address::take_userinfo;
use crawl_ckpt::record::LinkRegions;
use crawl_ckpt::text::Text;
use encoding_rs::{Encoding, UTF_8};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use memchr::memchr;
use url::Url;

use crate::page::extract::{Regions, Workspace};
use crate::page::find::find;
use crate::page::lex::Span;
use crate::page::marks::Mark;
use crate::page::scan::{Link, Scanned, scan, scan_and_mark};
use crate::page::targets::{MAX_WORK_BYTES, Targets};
use crate::page::{query, refresh};
use crate::resolve::{Folder, resolve};

/// Longest title kept, in characters.
const MAX_TITLE_CHARS: usize = 1_000;

/// A hash table is given back to the system above so many entries.
const KEEP_ENTRIES: usize = 1 << 10;

/// Reads pages one after the other, with the same memory.
#[derive(Default)]
pub struct PageReader {
    found: Scanned,
    /// Links of the page seen so far, as they are written.
    raw: HashTable<Span>,
    /// Resolved links of the page seen so far, as indices into `ends`.
    resolved: HashTable<u32>,
    text: String,
    ends: Vec<usize>,
    hasher: RandomState,
}

/// What is wanted of a page beside its title.
#[derive(Debug, Default)]
pub struct Want<'w> {
    /// Its links.
    pub links: bool,
    /// Marks of it, since a tree will be made.
    pub marks: bool,
    /// The value of its `Refresh` header, which is as the `meta` element.
    pub refresh: Option<&'w str>,
    /// Where they stand, and memory to find that out.
    pub regions: Option<(&'w Regions, &'w mut Workspace)>,
}

/// What a page says.
#[derive(Debug, Default)]
pub struct ReadPage<'p> {
    /// Its title, white space folded.
    pub title: Option<String>,
    /// Absolute http(s) URLs without fragments, in document order, each once.
    pub links: Vec<Text<'p>>,
    /// Where the links stand, if that was wanted.
    pub regions: Option<LinkRegions>,
    /// How many links did not fit.
    pub dropped: u64,
    /// Where its markup stands, if that was wanted.
    pub marks: &'p [Mark],
}

impl PageReader {
    /// Memory that is kept for the next page, beside tables of bounded size.
    pub fn kept_bytes(&self) -> usize {
        self.found.kept_bytes() + self.text.capacity() + self.ends.capacity() * size_of::<usize>()
    }

    /// Reads a page that came from `url`.
    pub fn read(
        &mut self,
        html: &[u8],
        encoding: &'static Encoding,
        url: &Url,
        want: Want<'_>,
    ) -> ReadPage<'_> {
        // The scanner reads ASCII markup, so what is no superset of it is made UTF-8.
        let html = if encoding == UTF_8 {
            Cow::Borrowed(html)
        } else {
            match encoding.decode(html).0 {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            }
        };
        if want.marks || want.regions.is_some() {
            scan_and_mark(&html, &mut self.found);
        } else {
            scan(&html, &mut self.found);
        }
        let title = self.found.title.map(|title| folded(title.of(&html)));
        let (regions, dropped) = if want.links {
            let refresh = want.refresh.and_then(refresh::target);
            let refresh = refresh
                .and_then(|target| resolve(Url::options().base_url(Some(url)), &target).ok());
            self.resolve(&html, encoding, url, (refresh, want.regions))
        } else {
            self.ends.clear();
            (None, 0)
        };
        ReadPage {
            title: title.filter(|title| !title.is_empty()),
            links: self.links(),
            regions,
            dropped,
            marks: &self.found.marks,
        }
    }

    /// Fills `text` and `ends`; tells where links stand, and how many did not fit.
    fn resolve(
        &mut self,
        html: &[u8],
        encoding: &'static Encoding,
        url: &Url,
        (refresh, regions): (Option<Url>, Option<(&Regions, &mut Workspace)>),
    ) -> (Option<LinkRegions>, u64) {
        let PageReader {
            found,
            raw,
            resolved,
            text,
            ends,
            hasher,
        } = self;
        text.clear();
        ends.clear();
        empty(raw);
        empty(resolved);
        let written_in = encoding.output_encoding();
        let encode = query::encoder(written_in);
        let encode: url::EncodingOverride<'_> = (written_in != UTF_8).then_some(&encode);
        let base = found.base.and_then(|base| {
            let href = decoded(base.of(html));
            let base = resolve(Url::options().base_url(Some(url)), &href).ok()?;
            (!matches!(base.scheme(), "data" | "javascript")).then_some(base)
        });
        let mut base = base.unwrap_or_else(|| url.clone());
        // Who may see this page is no part of the addresses of others.
        take_userinfo(&mut base);
        let options = Url::options()
            .base_url(Some(&base))
            .encoding_override(encode);
        let mut targets = Targets {
            options,
            base_bytes: base.as_str().len(),
            folder: Folder::of(&base),
            resolved,
            text,
            ends,
            hasher,
            work: MAX_WORK_BYTES,
            dropped: 0,
        };
        if let Some(refresh) = refresh {
            targets.add(refresh.as_str());
        }
        let mut last: Option<&[u8]> = None;
        for link in &found.links {
            // Most links of a page stand there more than once, a third of them in a row:
            // those into the page itself, and into one source file.
            let span = written(link, html);
            let bytes = span.of(html);
            if last.replace(bytes) == Some(bytes) {
                continue;
            }
            let hash = hasher.hash_one(bytes);
            let same = |other: &Span| other.of(html) == bytes;
            match raw.entry(hash, same, |other| hasher.hash_one(other.of(html))) {
                Entry::Occupied(_) => continue,
                Entry::Vacant(entry) => entry.insert(span),
            };
            let href = match link {
                Link::Href(_) if targets.add_plain(bytes) => continue,
                Link::Href(_) => decoded(bytes),
                Link::Refresh(_) => match refresh::target(&decoded(bytes)) {
                    Some(target) => Cow::Owned(target),
                    None => continue,
                },
            };
            targets.add(&href);
        }
        let regions = regions.map(|(regions, workspace)| LinkRegions {
            usual: targets.ends.len() as u32,
            rules: regions.find(html, &found.marks, workspace, |href| targets.add(href)),
        });
        (regions, targets.dropped)
    }

    fn links(&self) -> Vec<Text<'_>> {
        let mut start = 0;
        let link = |end: &usize| {
            let link = &self.text[start..*end];
            start = *end;
            Text::from(link)
        };
        self.ends.iter().map(link).collect()
    }
}

/// Empties a table without keeping the memory of a giant page.
fn empty<T>(table: &mut HashTable<T>) {
    if table.capacity() > KEEP_ENTRIES {
        *table = HashTable::new();
    } else {
        table.clear();
    }
}

/// A link as it is written in the page, up to its fragment where that is certain.
fn written(link: &Link, html: &[u8]) -> Span {
    match link {
        Link::Href(span) => {
            let href = span.of(html);
            match find(href, 0, b'#') {
                // A `#` behind a `&` may be a part of a character reference.
                // A blank before it stands in the URL.
                Some(end) if end > 0 && href[end - 1] <= b' ' => *span,
                Some(end) if memchr(b'&', &href[..end]).is_none() => span.first(end),
                _ => *span,
            }
        }
        Link::Refresh(span) => *span,
    }
}

/// An attribute's value as text.
fn decoded(value: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(value);
    let text = if memchr(0, value).is_some() {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        text
    };
    if memchr(b'&', value).is_none() {
        return text;
    }
    match text {
        Cow::Borrowed(text) => htmlize::unescape_attribute(text),
        Cow::Owned(text) => Cow::Owned(htmlize::unescape_attribute(&text).into_owned()),
    }
}

/// A title as people see it.
fn folded(title: &[u8]) -> String {
    // Character references and white space shrink it, so more is looked at.
    let title = &title[..title.len().min(16 * MAX_TITLE_CHARS)];
    let title = String::from_utf8_lossy(title);
    let title = htmlize::unescape(&*title);
    let mut folded = String::new();
    for word in title.split_ascii_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    if let Some((end, _)) = folded.char_indices().nth(MAX_TITLE_CHARS) {
        folded.truncate(end);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::page::extract::Extractor;

    fn read(html: &str) -> (Option<String>, Vec<String>) {
        read_as(html.as_bytes(), UTF_8)
    }

    fn read_as(html: &[u8], encoding: &'static Encoding) -> (Option<String>, Vec<String>) {
        let mut reader = PageReader::default();
        let url = Url::parse("http://h.example/d/p?q").unwrap();
        let want = Want {
            links: true,
            ..Want::default()
        };
        let page = reader.read(html, encoding, &url, want);
        let links = page.links.into_iter().map(Text::into_string).collect();
        (page.title, links)
    }

    #[test]
    fn links_are_resolved_and_stand_there_once() {
        let (_, links) = read(
            "<a href=x#1><a href='x#2'><a href=./x><a href=//o.example><a href='?a=1&amp;b=2'>\
             <a href=#top><a href='mailto:x'><a href='javascript:x'><a href='http://['>\
             <a href='&#x68;ttp://u.example/&#35;f'><a href=' \n/a\tb '>",
        );
        assert_eq!(
            links,
            [
                "http://h.example/d/x",
                "http://o.example/",
                "http://h.example/d/p?a=1&b=2",
                "http://h.example/d/p?q",
                "http://u.example/",
                "http://h.example/ab",
            ]
        );
    }

    #[test]
    fn the_base_counts_for_links_before_it_too() {
        let (_, links) = read("<a href=x><base href='/b/'><base href=no><a href=y>");
        assert_eq!(links, ["http://h.example/b/x", "http://h.example/b/y"]);
        let (_, links) = read("<base href='data:x'><a href=y>");
        assert_eq!(links, ["http://h.example/d/y"]);
    }

    #[test]
    fn a_query_is_encoded_as_the_page_is() {
        let (_, links) = read_as(b"<a href='\xe4?\xe4'>", WINDOWS_1252);
        assert_eq!(links, ["http://h.example/d/%C3%A4?%E4"]);
        let (_, links) = read_as(b"<a href='\xc3\xa4?\xc3\xa4'>", UTF_8);
        assert_eq!(links, ["http://h.example/d/%C3%A4?%C3%A4"]);
    }

    #[test]
    fn a_character_that_the_encoding_lacks_is_an_escaped_reference() {
        let (_, links) = read_as(
            b"<a href='/\xe4&#322;?\xe4&#322;x&#26085;&amp;r'>",
            WINDOWS_1252,
        );
        assert_eq!(
            links,
            ["http://h.example/%C3%A4%C5%82?%E4%26%23322%3Bx%26%2326085%3B&r"]
        );
        let (_, links) = read_as(b"<a href='?\x96\x7b{&#322;'>", encoding_rs::SHIFT_JIS);
        assert_eq!(links, ["http://h.example/d/p?%96%7B{%26%23322%3B"]);
        let (_, links) = read_as("<a href='?日&#322;日'>".as_bytes(), UTF_8);
        assert_eq!(links, ["http://h.example/d/p?%E6%97%A5%C5%82%E6%97%A5"]);
        let (_, links) = read_as(
            b"<a href='?\x1b$B\x46\x7c\x1b(B&#322;'>",
            encoding_rs::ISO_2022_JP,
        );
        assert_eq!(links, ["http://h.example/d/p?%1B$BF|%1B(B%26%23322%3B"]);
    }

    #[test]
    fn a_blank_before_a_fragment_belongs_to_the_path() {
        let (_, links) =
            read("<a href='/p #top'><a href=' q \n #'><a href='?q #a b'><a href=' /r '>");
        assert_eq!(
            links,
            [
                "http://h.example/p%20",
                "http://h.example/d/q%20%20",
                "http://h.example/d/p?q%20",
                "http://h.example/r",
            ]
        );
    }

    #[test]
    fn links_in_regions_are_resolved_as_all_are() {
        let rules = r#"{"rules": [{"restrict_css": "main"}, {"tags": ["img"]}]}"#;
        let extractor = Extractor::from_json(rules).unwrap();
        let mut workspace = Workspace::default();
        let want = Want {
            links: true,
            marks: false,
            refresh: None,
            regions: Some((extractor.regions().unwrap(), &mut workspace)),
        };
        let html = b"<base href=/b/><a href='?\xe4#1'>1</a><a href=2>2</a><img src=3>\
            <main><a href='/b/?&#228;'>1</a><a href=mailto:x>x</a><a href=4>4</a></main>";
        let url = Url::parse("http://h.example/").unwrap();
        let mut reader = PageReader::default();
        let page = reader.read(html, WINDOWS_1252, &url, want);
        let links: Vec<&str> = page.links.iter().map(|link| &**link).collect();
        assert_eq!(
            links,
            [
                "http://h.example/b/?%E4",
                "http://h.example/b/2",
                "http://h.example/b/4",
                "http://h.example/b/3",
            ]
        );
        let regions = page.regions.unwrap();
        assert_eq!(
            (regions.usual, regions.rules),
            (3, BTreeMap::from([(0, vec![0, 2]), (1, vec![3])]))
        );
    }

    #[test]
    fn links_that_take_too_long_to_resolve_are_counted() {
        let base = "x".repeat(4 << 20);
        for link in ["<a href=#>", "<a href='?a&#'>"] {
            let links: String = (0..1_000)
                .map(|n| link.replace('#', &n.to_string()))
                .collect();
            let html = format!("<base href='/{base}/'>{links}");
            let mut reader = PageReader::default();
            let url = Url::parse("http://h.example/").unwrap();
            let want = Want {
                links: true,
                ..Want::default()
            };
            let page = reader.read(html.as_bytes(), UTF_8, &url, want);
            assert!(page.links.len() > 5, "{}", page.links.len());
            assert_eq!(page.links.len() as u64 + page.dropped, 1_000);
        }
    }

    #[test]
    fn a_refresh_names_its_target_in_many_ways() {
        for (content, target) in [
            ("0; url=x", Some("x")),
            ("5;URL = 'a b' c", Some("a b")),
            ("1.5, \"x\"", Some("x")),
            ("0 x", Some("x")),
            ("0;url", Some("url")),
            ("5", None),
            ("0;", None),
            ("x; url=y", None),
            (".5;url=y", Some("y")),
        ] {
            assert_eq!(refresh::target(content).as_deref(), target, "{content}");
        }
    }

    #[test]
    fn a_title_is_folded_and_capped() {
        let (title, _) = read("<title>\n A &amp;\t B </title>");
        assert_eq!(title.unwrap(), "A & B");
        assert_eq!(read("<title> </title>").0, None);
        let long = format!("<title>{}", "ä".repeat(5000));
        assert_eq!(read(&long).0.unwrap().chars().count(), MAX_TITLE_CHARS);
    }

    const WINDOWS_1252: &Encoding = encoding_rs::WINDOWS_1252;
}
