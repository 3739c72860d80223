//! Finds links in HTML: a byte scanner that follows the states of the WHATWG
//! tokenizer and builds nothing.
//!
//! A tokenizer that makes tokens runs at 0.1 to 0.45 GB/s a core, which would be
//! most of a crawl's time; this one looks only at what a link can depend on:
//! where a tag ends, and which text is no markup. `tests/links.rs` compares it
//! with a real tokenizer.
//!
//! Links are `a` and `area` with `href`, `link rel=next`, and `meta` refresh.
//! Comments, scripts, styles, other raw text and the contents of `template` hold
//! none; `noscript` does, since no script runs here.

mod foreign;

use memchr::memchr;

use crate::page::find::find;
use crate::page::lex::{
    Span, TagAttributes, comment_end, ends_name, is_space, script_end, skip_tag, text_end,
};
use crate::page::marks::Mark;

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The value of a `href`, character references and all.
    Href(Span),
    /// The `content` of a `meta http-equiv=refresh`.
    Refresh(Span),
}

/// What a page's markup says, in document order and undecoded.
#[derive(Debug, Default)]
pub struct Scanned {
    /// Every link, repeated as often as it stands there.
    pub links: Vec<Link>,
    /// The first `base href`.
    pub base: Option<Span>,
    /// The text of the first `title`.
    pub title: Option<Span>,
    /// Where its markup stands, if that was wanted.
    pub marks: Vec<Mark>,
}

impl Scanned {
    /// Memory that is kept for the next page.
    pub fn kept_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>() + self.marks.capacity() * size_of::<Mark>()
    }

    fn clear(&mut self) {
        self.links.clear();
        self.base = None;
        self.title = None;
        self.marks.clear();
    }
}

/// Scans a page; what `found` held before is gone.
pub fn scan(html: &[u8], found: &mut Scanned) {
    scan_all::<false>(html, found);
}

/// The same, with marks for who builds a tree of the page.
pub fn scan_and_mark(html: &[u8], found: &mut Scanned) {
    scan_all::<true>(html, found);
}

fn scan_all<const MARK: bool>(html: &[u8], found: &mut Scanned) {
    found.clear();
    let mut scanner = Scanner {
        html,
        found,
        templates: 0,
        foreign: Vec::new(),
    };
    let mut at = 0;
    while let Some(tag) = find(html, at, b'<') {
        at = scanner.markup(tag + 1);
        if MARK {
            scanner.found.marks.push(Mark::new(tag, at));
        }
    }
}

/// So many `svg`, `math` and integration points are told apart when they are in each other.
const MAX_FOREIGN: usize = 512;

/// In what kind of content an `svg` or `math` element put the scanner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    Svg,
    Math,
    /// HTML again, inside an integration point such as `foreignObject`.
    Html,
}

struct Scanner<'h, 'f> {
    html: &'h [u8],
    found: &'f mut Scanned,
    /// How many `template` elements are open.
    templates: u32,
    /// Open `svg` and `math` elements and their integration points.
    foreign: Vec<Content>,
}

/// A tag name in one number: its last eight bytes in lower case.
const fn key(name: &[u8]) -> u64 {
    let mut key = 0;
    let mut i = 0;
    while i < name.len() {
        key = key << 8 | (name[i] | 0x20) as u64;
        i += 1;
    }
    key
}

const A: u64 = key(b"a");
const AREA: u64 = key(b"area");
const BASE: u64 = key(b"base");
const LINK: u64 = key(b"link");
const META: u64 = key(b"meta");
const TITLE: u64 = key(b"title");
const SCRIPT: u64 = key(b"script");
const STYLE: u64 = key(b"style");
const TEXTAREA: u64 = key(b"textarea");
const XMP: u64 = key(b"xmp");
const IFRAME: u64 = key(b"iframe");
const NOEMBED: u64 = key(b"noembed");
const NOFRAMES: u64 = key(b"noframes");
const PLAINTEXT: u64 = key(b"laintext");
const TEMPLATE: u64 = key(b"template");
const SVG: u64 = key(b"svg");
const MATH: u64 = key(b"math");

impl<'h> Scanner<'h, '_> {
    /// What follows a `<`; returns where the scan goes on.
    #[inline(always)]
    fn markup(&mut self, at: usize) -> usize {
        match self.html.get(at) {
            Some(b'/') => self.end_tag(at + 1),
            Some(byte) if byte.is_ascii_alphabetic() => self.start_tag(at),
            Some(b'!') => self.declaration(at + 1),
            Some(b'?') => self.after(b'>', at + 1),
            _ => at,
        }
    }

    /// The tag name at `at`: its key, and where it ends.
    #[inline]
    fn name(&self, at: usize) -> (u64, usize) {
        let mut key = 0;
        let mut end = at;
        while let Some(&byte) = self.html.get(end) {
            if ends_name(byte) {
                break;
            }
            key = key << 8 | u64::from(byte | 0x20);
            end += 1;
        }
        (key, end)
    }

    #[inline]
    fn start_tag(&mut self, at: usize) -> usize {
        let (key, end) = self.name(at);
        if !self.foreign.is_empty() {
            return self.start_tag_near_foreign(at, end, key);
        }
        match key {
            A | AREA | BASE | LINK | META => self.linking_tag(key, end),
            TITLE | SCRIPT | STYLE | XMP | IFRAME | NOEMBED => self.raw_text(key, at, end),
            TEXTAREA | NOFRAMES | PLAINTEXT | TEMPLATE => self.raw_text(key, at, end),
            SVG | MATH => self.enter(key, end),
            _ => skip_tag(self.html, end),
        }
    }

    /// A tag that may hold a link. Its link counts once the tag is closed.
    fn linking_tag(&mut self, key: u64, at: usize) -> usize {
        let mut attributes = TagAttributes::new(self.html, at);
        let (mut href, mut rel, mut equiv, mut content) = (None, None, None, None);
        while let Some((name, value)) = attributes.next() {
            let slot = match name.of(self.html) {
                n if n.eq_ignore_ascii_case(b"href") => &mut href,
                n if n.eq_ignore_ascii_case(b"rel") => &mut rel,
                n if n.eq_ignore_ascii_case(b"http-equiv") => &mut equiv,
                n if n.eq_ignore_ascii_case(b"content") => &mut content,
                _ => continue,
            };
            // The first attribute of a name counts.
            slot.get_or_insert(value);
            if key == A && href.is_some() {
                break;
            }
        }
        let end = attributes.end();
        if end > self.html.len() || self.templates > 0 {
            return end;
        }
        let text = |span: Option<Span>| span.map_or(&b""[..], |span| span.of(self.html));
        match (key, href, content) {
            (A | AREA, Some(href), _) => self.found.links.push(Link::Href(href)),
            (LINK, Some(href), _) if has_word(text(rel), b"next") => {
                self.found.links.push(Link::Href(href));
            }
            (BASE, Some(href), _) => {
                self.found.base.get_or_insert(href);
            }
            (META, _, Some(content)) if text(equiv).eq_ignore_ascii_case(b"refresh") => {
                self.found.links.push(Link::Refresh(content));
            }
            _ => {}
        }
        end
    }

    /// A tag whose content is no markup up to its end tag, or a template.
    fn raw_text(&mut self, key: u64, at: usize, name_end: usize) -> usize {
        let start = skip_tag(self.html, name_end);
        let name = &self.html[at..name_end];
        match key {
            // A key holds eight bytes, so longer names are looked at again.
            TEXTAREA | NOFRAMES | TEMPLATE if name.len() != 8 => return start,
            PLAINTEXT if !name.eq_ignore_ascii_case(b"plaintext") => return start,
            _ if start > self.html.len() => return start,
            PLAINTEXT => return self.html.len(),
            TEMPLATE => {
                self.templates += 1;
                return start;
            }
            _ => {}
        }
        let end = match key {
            SCRIPT => script_end(self.html, start),
            _ => text_end(self.html, start, name),
        };
        if key == TITLE && self.templates == 0 {
            let title = Span::new(start, end);
            self.found.title.get_or_insert(title);
        }
        end
    }

    #[inline]
    fn end_tag(&mut self, at: usize) -> usize {
        match self.html.get(at) {
            Some(byte) if byte.is_ascii_alphabetic() => {}
            _ => return self.after(b'>', at),
        }
        let (key, end) = self.name(at);
        if key == TEMPLATE && end - at == 8 {
            self.templates = self.templates.saturating_sub(1);
        }
        if !self.foreign.is_empty() {
            self.leave(key, &self.html[at..end]);
        }
        skip_tag(self.html, end)
    }

    /// What follows `<!`.
    fn declaration(&mut self, at: usize) -> usize {
        let rest = &self.html[at..];
        if rest.starts_with(b"--") {
            return comment_end(self.html, at + 2);
        }
        let foreign = !matches!(self.foreign.last(), None | Some(Content::Html));
        if foreign && rest.starts_with(b"[CDATA[") {
            return match memchr::memmem::find(rest, b"]]>") {
                Some(step) => at + step + 3,
                None => self.html.len(),
            };
        }
        // A doctype ends at its first `>` too, even within quotes.
        self.after(b'>', at)
    }

    fn after(&self, byte: u8, at: usize) -> usize {
        match self.html.get(at..).and_then(|rest| memchr(byte, rest)) {
            Some(step) => at + step + 1,
            None => self.html.len(),
        }
    }
}

/// True when the space-separated words have this one, in any case.
fn has_word(words: &[u8], word: &[u8]) -> bool {
    words
        .split(|byte| is_space(*byte))
        .any(|one| one.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hrefs(html: &str) -> Vec<String> {
        let mut found = Scanned::default();
        scan(html.as_bytes(), &mut found);
        let text = |link: &Link| match link {
            Link::Href(span) => String::from_utf8_lossy(span.of(html.as_bytes())).into_owned(),
            Link::Refresh(span) => {
                format!(
                    "refresh:{}",
                    String::from_utf8_lossy(span.of(html.as_bytes()))
                )
            }
        };
        found.links.iter().map(text).collect()
    }

    #[test]
    fn links_are_found_however_they_are_written() {
        assert_eq!(
            hrefs("<a href=1><A HREF='2'>< a href=no><a\nclass=x href = \"3\">"),
            ["1", "2", "3"]
        );
        assert_eq!(
            hrefs("<a b='>' href=1 href=2><area href=3><a name=x><abbr href=no>"),
            ["1", "3"]
        );
        assert_eq!(
            hrefs("<a/href=1/><a =href=no x=href=no href=2>"),
            ["1/", "2"]
        );
        assert_eq!(
            hrefs("<link rel='x NEXT' href=1><link rel=prev href=no>"),
            ["1"]
        );
        assert_eq!(
            hrefs("<meta http-equiv=Refresh content='0; url=x'>"),
            ["refresh:0; url=x"]
        );
        assert_eq!(hrefs("<a href=1 <a href=2>"), ["1"]);
        assert_eq!(hrefs("<a href>"), [""]);
    }

    #[test]
    fn what_is_no_markup_holds_no_links() {
        let link = "<a href=no>";
        for html in [
            format!("<!-- {link} --><a href=1>"),
            format!("<!--><a href=1><!-- {link} --!>"),
            format!("<!---><a href=1><!-- {link}"),
            format!("<script>{link}</script><a href=1>"),
            format!("<script><!-- <script>{link}</script>{link}--></script><a href=1>"),
            format!("<script><!--></script><a href=1><script>{link}"),
            format!("<style>{link}</styles {link}</style ><a href=1>"),
            format!("<textarea>{link}</textarea><a href=1><title>{link}"),
            format!("<a href=1><plaintext></plaintext>{link}"),
            format!("<template><template></template>{link}</template><a href=1>"),
            format!("<p title='{link}' x=\"{link}\"><a href=1>"),
            format!("<svg><![CDATA[{link}]]></svg><a href=1>"),
            format!("<noscript><a href=1></noscript><noframes>{link}"),
            "<svg><style></svg><a href=1>".to_owned(),
            "<a href=1><a href=no".to_owned(),
            "<a href=1><a href='no>".to_owned(),
        ] {
            assert_eq!(hrefs(&html), ["1"], "{html}");
        }
    }

    #[test]
    fn the_first_title_and_base_count() {
        let html = b"<svg><title>no</title></svg><title>A &amp; <b></title><title>no</title>\
            <svg><base href=no><g><link rel=next href=no></g></svg><base target=x><base href=b><base href=no>";
        let mut found = Scanned::default();
        scan(html, &mut found);
        assert_eq!(found.title.unwrap().of(html), b"A &amp; <b>");
        assert_eq!(found.base.unwrap().of(html), b"b");
        assert!(found.links.is_empty());
    }
}
