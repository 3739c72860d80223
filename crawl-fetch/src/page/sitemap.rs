//! Sitemaps: lists of pages and of further sitemaps, as XML, plain lines or feeds (RSS, Atom, RDF),
//! packed or not. What is broken ends the list and keeps what came before.

use std::borrow::Cow;
use std::io::Read;

use crawl_ckpt::record::{Kind, SitemapEntry};
use crawl_ckpt::text::Text;
use flate2::bufread::GzDecoder;
use jiff::fmt::rfc2822;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use url::Url;

use crate::page::charset;

/// At most so many entries are taken (sitemaps.org).
pub const MAX_ENTRIES: usize = 50_000;

/// So much of a sitemap is read, unpacked (sitemaps.org).
pub const MAX_BYTES: usize = 50 << 20;

/// A `lastmod` longer than this is no date.
const MAX_LASTMOD_BYTES: usize = 64;

/// The entries of a sitemap that came from `url`.
pub fn entries(content_type: Option<&str>, body: &[u8], url: &Url) -> Vec<SitemapEntry<'static>> {
    let body = unpacked(body);
    let encoding = charset::encoding(content_type, &body);
    let text = encoding.decode(&body).0;
    let text = text.trim_start();
    let mut list = List {
        base: url.clone(),
        entries: Vec::new(),
    };
    if text.starts_with('<') {
        list.read_xml(text);
    } else {
        list.read_lines(text);
    }
    list.entries
}

/// A sitemap that is a gzip file itself, as far as it goes.
fn unpacked(body: &[u8]) -> Cow<'_, [u8]> {
    if !body.starts_with(b"\x1f\x8b") {
        return Cow::Borrowed(body);
    }
    let mut unpacked = Vec::new();
    // What was unpacked before an error counts.
    let _ = GzDecoder::new(body)
        .take(MAX_BYTES as u64)
        .read_to_end(&mut unpacked);
    Cow::Owned(unpacked)
}

struct List {
    base: Url,
    entries: Vec<SitemapEntry<'static>>,
}

/// What a list of pages is, by its root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `urlset/url` and `sitemapindex/sitemap`.
    Sitemap,
    /// `rss/channel/item`.
    Rss,
    /// `RDF/item`: RSS 1.0.
    Rdf,
    /// `feed/entry`.
    Atom,
}

/// Where in the XML a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Loc,
    /// The name of an entry, which is its URL unless it says that it is none.
    Guid,
    Lastmod,
    Elsewhere,
}

/// What is known of one entry.
#[derive(Debug, Default)]
struct SitemapElement {
    /// What its URLs are relative to, if not to the list's own.
    base: Option<Url>,
    locs: Vec<String>,
    guid: String,
    lastmod: String,
    /// The text of this `loc` has a reference that nothing explains.
    is_broken: bool,
}

impl Shape {
    fn of(root: &str) -> Option<Shape> {
        match root.to_ascii_lowercase().as_str() {
            "urlset" | "sitemapindex" => Some(Shape::Sitemap),
            "rss" => Some(Shape::Rss),
            "rdf" => Some(Shape::Rdf),
            "feed" => Some(Shape::Atom),
            _ => None,
        }
    }

    /// How deep its entries stand.
    fn depth(self) -> usize {
        match self {
            Shape::Rss => 3,
            Shape::Sitemap | Shape::Rdf | Shape::Atom => 2,
        }
    }

    fn kind(self, tag: &str) -> Option<Kind> {
        match (self, tag) {
            (Shape::Sitemap, "url") => Some(Kind::Page),
            (Shape::Sitemap, "sitemap") => Some(Kind::Sitemap),
            (Shape::Rss | Shape::Rdf, "item") | (Shape::Atom, "entry") => Some(Kind::Page),
            _ => None,
        }
    }

    fn place(self, tag: &str) -> Place {
        match (self, tag) {
            (Shape::Sitemap, "loc") | (Shape::Rss | Shape::Rdf, "link") => Place::Loc,
            (Shape::Sitemap, "lastmod") | (Shape::Atom, "updated") => Place::Lastmod,
            (Shape::Rss, "pubdate") | (Shape::Rss | Shape::Rdf, "date") => Place::Lastmod,
            (Shape::Rss, "guid") => Place::Guid,
            _ => Place::Elsewhere,
        }
    }
}

impl List {
    fn read_lines(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with("http://") || line.starts_with("https://") {
                self.add(line, None, "", Kind::Page);
            }
        }
    }

    /// Sitemaps, and feeds, which sitemaps.org lets stand for them. What is deeper than an
    /// entry's own fields, such as an image's `loc`, is of no use here.
    fn read_xml(&mut self, text: &str) {
        let mut reader = Reader::from_str(text);
        reader.config_mut().allow_dangling_amp = true;
        reader.config_mut().expand_empty_elements = true;
        let mut depth = 0_usize;
        let mut shape = None;
        let mut kind = None;
        let mut place = Place::Elsewhere;
        let mut entry = SitemapElement::default();
        while self.entries.len() < MAX_ENTRIES {
            let text: Cow<'_, str> = match reader.read_event() {
                Ok(Event::Start(tag)) => {
                    depth += 1;
                    place = Place::Elsewhere;
                    let name = tag.local_name().as_ref().to_ascii_lowercase();
                    if depth == 1 {
                        shape = Shape::of(&name);
                        self.base = based(&self.base, &tag);
                    }
                    let Some(shape) = shape else { continue };
                    if depth == shape.depth() {
                        kind = shape.kind(&name);
                        if shape == Shape::Atom {
                            entry.base = Some(based(&self.base, &tag));
                        }
                    } else if depth == shape.depth() + 1 && kind.is_some() {
                        place = shape.place(&name);
                        match place {
                            Place::Loc => entry.begin_loc(),
                            Place::Guid
                                if attribute(&tag, "isPermaLink")
                                    .is_some_and(|is| is == "false") =>
                            {
                                place = Place::Elsewhere;
                            }
                            Place::Elsewhere if shape == Shape::Atom && name == "link" => {
                                entry.take_link(&tag);
                            }
                            _ => {}
                        }
                    }
                    continue;
                }
                Ok(Event::End(_)) => {
                    if place == Place::Loc && std::mem::take(&mut entry.is_broken) {
                        entry.locs.pop();
                    }
                    if shape.is_some_and(|shape| shape.depth() == depth) {
                        let entry = std::mem::take(&mut entry);
                        if let Some(kind) = kind.take() {
                            self.add_entry(&entry, kind);
                        }
                    }
                    depth = depth.saturating_sub(1);
                    place = Place::Elsewhere;
                    continue;
                }
                Ok(Event::Text(text)) => text.into_inner(),
                Ok(Event::CData(text)) => text.into_inner(),
                Ok(Event::GeneralRef(name)) => match name.resolve_char_ref() {
                    Ok(Some(c)) => c.to_string().into(),
                    Ok(None) => match resolve_predefined_entity(&name) {
                        Some(text) => text.into(),
                        // What it stands for stands elsewhere, and half a URL is another one.
                        None if is_name(&name) => {
                            entry.is_broken |= place == Place::Loc;
                            continue;
                        }
                        // An `&` that nobody escaped.
                        None => format!("&{};", &*name).into(),
                    },
                    Err(_) => return,
                },
                Ok(Event::Eof) | Err(_) => return,
                Ok(_) => continue,
            };
            match place {
                Place::Loc => entry.extend_loc(&text),
                Place::Guid => entry.guid.push_str(&text),
                Place::Lastmod => entry.lastmod.push_str(&text),
                Place::Elsewhere => {}
            }
        }
    }

    /// Of a feed's entry the links count, or else its name.
    fn add_entry(&mut self, entry: &SitemapElement, kind: Kind) {
        let date = rfc2822::parse(entry.lastmod.trim()).ok();
        let date = date.map(|date| date.timestamp().to_string());
        let lastmod = date.as_deref().unwrap_or(&entry.lastmod);
        let mut locs = entry.locs.iter().map(|loc| loc.trim());
        let mut locs = locs.by_ref().filter(|loc| !loc.is_empty()).peekable();
        if locs.peek().is_none() && entry.guid.trim_start().starts_with("http") {
            self.add(&entry.guid, entry.base.as_ref(), lastmod, kind);
        }
        for loc in locs {
            self.add(loc, entry.base.as_ref(), lastmod, kind);
        }
    }

    fn add(&mut self, loc: &str, base: Option<&Url>, lastmod: &str, kind: Kind) {
        let (loc, lastmod) = (loc.trim(), lastmod.trim());
        let url = base.unwrap_or(&self.base).join(loc).ok();
        let Some(mut url) = url.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return;
        };
        if loc.is_empty() || self.entries.len() >= MAX_ENTRIES {
            return;
        }
        url.set_fragment(None);
        let dated = !lastmod.is_empty() && lastmod.len() <= MAX_LASTMOD_BYTES;
        self.entries.push(SitemapEntry {
            url: String::from(url).into(),
            lastmod: dated.then(|| Text::from(lastmod.to_owned())),
            kind,
        });
    }
}

impl SitemapElement {
    fn begin_loc(&mut self) {
        self.locs.push(String::new());
        self.is_broken = false;
    }

    fn extend_loc(&mut self, text: &str) {
        if let Some(loc) = self.locs.last_mut() {
            loc.push_str(text);
        }
    }

    /// Takes an Atom link to the page itself.
    fn take_link(&mut self, tag: &BytesStart<'_>) {
        let is_page = attribute(tag, "rel").is_none_or(|rel| rel == "alternate");
        if let Some(href) = attribute(tag, "href").filter(|_| is_page) {
            self.locs.push(href);
        }
    }
}

/// The base within an element, which `xml:base` may change.
fn based(base: &Url, tag: &BytesStart<'_>) -> Url {
    let own = attribute(tag, "xml:base").and_then(|own| base.join(own.trim()).ok());
    own.unwrap_or_else(|| base.clone())
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let mut named = attributes.with_checks(false).flatten();
    let value = named
        .find(|attribute| attribute.key.as_ref() == name)?
        .value;
    Some(htmlize::unescape_attribute(&*value).into_owned())
}

/// True for what can be the name of an entity.
fn is_name(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(body: &[u8]) -> Vec<String> {
        let url = Url::parse("http://a.example/d/sitemap.xml").unwrap();
        let entries = entries(None, body, &url).into_iter();
        let shown = entries.map(|entry| {
            let lastmod = entry.lastmod.map(|t| format!(" {t}")).unwrap_or_default();
            let kind = if entry.kind == Kind::Page {
                ""
            } else {
                " sitemap"
            };
            format!("{}{lastmod}{kind}", entry.url)
        });
        shown.collect()
    }

    #[test]
    fn pages_and_sitemaps_are_told_apart() {
        let pages = "\u{feff}<?xml version='1.0' encoding='UTF-8'?>\n\
            <s:urlset xmlns:s='x' xmlns:image='y'><s:url><s:loc> http://a.example/?a=1&amp;b=&#50;&c </s:loc>\
            <s:lastmod>2026-01-02</s:lastmod><image:image><image:loc>http://no/</image:loc></image:image></s:url>\
            <!-- <url><loc>http://no/</loc></url> --><s:url><s:loc><![CDATA[rel#f]]></s:loc></s:url>\
            <s:url><s:loc>mailto:x</s:loc></s:url><s:url/></s:urlset>";
        assert_eq!(
            read(pages.as_bytes()),
            [
                "http://a.example/?a=1&b=2&c 2026-01-02",
                "http://a.example/d/rel"
            ]
        );
        let index = "<sitemapindex><sitemap><loc>/2.xml</loc></sitemap></sitemapindex>";
        assert_eq!(read(index.as_bytes()), ["http://a.example/2.xml sitemap"]);
        assert_eq!(
            read(b"http://a/1\r\nno\n\nhttps://a/2\n"),
            ["http://a/1", "https://a/2"]
        );
    }

    #[test]
    fn feeds_list_the_pages_of_their_entries() {
        let rss = "<rss version='2.0' xmlns:atom='a'><channel><link>/home</link><atom:link href='/feed' rel='self'/>\
            <image><link>/no</link></image>\
            <item><title>t</title><link> /1 </link><pubDate>Mon, 02 Mar 2026 10:00:00 +0100</pubDate></item>\
            <item><guid>http://a.example/2</guid></item><item><guid isPermaLink='false'>http://no/</guid></item>\
            <item><link>/3</link><guid>http://a.example/no</guid><source><link>/no</link></source></item>\
            </channel></rss>";
        assert_eq!(
            read(rss.as_bytes()),
            [
                "http://a.example/1 2026-03-02T09:00:00Z",
                "http://a.example/2",
                "http://a.example/3"
            ]
        );
        let based = "<feed xml:base='http://b.example/x/'><entry xml:base='y/'><link href='1'/></entry>\
            <entry><link href='2'/></entry></feed>";
        assert_eq!(
            read(based.as_bytes()),
            ["http://b.example/x/y/1", "http://b.example/x/2"]
        );
        let atom = "<feed xmlns='http://www.w3.org/2005/Atom'><link href='/home'/><entry><link rel='self' href='/no'/>\
            <link href='/1?a=1&amp;b=2'/><link rel='alternate' href='2'></link><updated>2026-01-02T03:04:05Z</updated>\
            <content><a><link href='/no'/></a></content></entry></feed>";
        assert_eq!(
            read(atom.as_bytes()),
            [
                "http://a.example/1?a=1&b=2 2026-01-02T03:04:05Z",
                "http://a.example/d/2 2026-01-02T03:04:05Z"
            ]
        );
        let rdf = "<rdf:RDF xmlns:rdf='r' xmlns:dc='d'><channel><link>/no</link></channel>\
            <item rdf:about='/x'><link>/1</link><dc:date>2026-01-02</dc:date></item></rdf:RDF>";
        assert_eq!(read(rdf.as_bytes()), ["http://a.example/1 2026-01-02"]);
    }

    #[test]
    fn two_locs_are_two_and_a_reference_to_nothing_is_none() {
        let text = "<URLSET><url><loc>/1</loc><loc>/2</loc></url><url><loc>&base;/no</loc></url>\
            <url><loc>&base;/no</loc><loc>/3</loc></url><url><loc>/4?a=1&b=2;c</loc><x>&nbsp;</x></url></URLSET>";
        assert_eq!(
            read(text.as_bytes()),
            [
                "http://a.example/1",
                "http://a.example/2",
                "http://a.example/3",
                "http://a.example/4?a=1&b=2;c"
            ]
        );
    }

    #[test]
    fn what_came_before_a_fault_is_kept() {
        for broken in [
            "<urlset><url><loc>/1</loc></url><url><loc>/2</loc></",
            "<urlset><url><loc>/1</loc></url></x><url><loc>/2</loc></url>",
            "<urlset><url><loc>/1</loc></url><url><loc>/2</ur",
        ] {
            assert_eq!(read(broken.as_bytes()), ["http://a.example/1"], "{broken}");
        }
        let text = "<urlset><url><loc>/1</loc></url>".to_owned() + &" ".repeat(9999);
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        packed.write_all(text.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(read(&packed), ["http://a.example/1"]);
        assert_eq!(read(&packed[..5000]), ["http://a.example/1"]);
        assert_eq!(read(b"<html><body>404</body></html>"), [""; 0]);
        let many = "http://a/\n".repeat(MAX_ENTRIES + 5);
        assert_eq!(read(many.as_bytes()).len(), MAX_ENTRIES);
    }
}
