//! Sitemaps: lists of pages and of further sitemaps, as XML or plain lines,
//! packed or not. What is broken ends the list and keeps what came before.

use std::borrow::Cow;
use std::io::Read;

use crawl_ckpt::record::{Kind, SitemapEntry};
use crawl_ckpt::text::Text;
use flate2::bufread::GzDecoder;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use url::Url;

use crate::charset;

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
        base: url,
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

struct List<'u> {
    base: &'u Url,
    entries: Vec<SitemapEntry<'static>>,
}

/// Where in the XML a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Loc,
    Lastmod,
    Elsewhere,
}

impl List<'_> {
    fn read_lines(&mut self, text: &str) {
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with("http://") || line.starts_with("https://") {
                self.add(line, "", Kind::Page);
            }
        }
    }

    /// `urlset/url/loc` and `sitemapindex/sitemap/loc`, each with its `lastmod`.
    /// What is deeper, such as an image's `loc`, is of no use here.
    fn read_xml(&mut self, text: &str) {
        let mut reader = Reader::from_str(text);
        reader.config_mut().allow_dangling_amp = true;
        let mut depth = 0_usize;
        let mut kind = None;
        let mut place = Place::Elsewhere;
        let (mut loc, mut lastmod) = (String::new(), String::new());
        while self.entries.len() < MAX_ENTRIES {
            let text: Cow<'_, str> = match reader.read_event() {
                Ok(Event::Start(tag)) => {
                    depth += 1;
                    match (depth, tag.local_name().as_ref()) {
                        (2, "url") => kind = Some(Kind::Page),
                        (2, "sitemap") => kind = Some(Kind::Sitemap),
                        (3, "loc") => place = Place::Loc,
                        (3, "lastmod") => place = Place::Lastmod,
                        _ => place = Place::Elsewhere,
                    }
                    continue;
                }
                Ok(Event::End(_)) => {
                    if depth == 2 {
                        if let Some(kind) = kind.take() {
                            self.add(&loc, &lastmod, kind);
                        }
                        loc.clear();
                        lastmod.clear();
                    }
                    depth = depth.saturating_sub(1);
                    place = Place::Elsewhere;
                    continue;
                }
                Ok(Event::Text(text)) => text.into_inner(),
                Ok(Event::CData(text)) => text.into_inner(),
                Ok(Event::GeneralRef(name)) => match name.resolve_char_ref() {
                    Ok(Some(c)) => c.to_string().into(),
                    Ok(None) => resolve_predefined_entity(&name).unwrap_or_default().into(),
                    Err(_) => return,
                },
                Ok(Event::Eof) | Err(_) => return,
                Ok(_) => continue,
            };
            match place {
                Place::Loc => loc.push_str(&text),
                Place::Lastmod => lastmod.push_str(&text),
                Place::Elsewhere => {}
            }
        }
    }

    fn add(&mut self, loc: &str, lastmod: &str, kind: Kind) {
        let (loc, lastmod) = (loc.trim(), lastmod.trim());
        let url = self.base.join(loc).ok();
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
