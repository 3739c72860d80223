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

use crawl_ckpt::limits::BODY_BYTES;
use memchr::{memchr, memchr2};

use crate::page::near::{find, find_either};

/// A part of the page, as byte offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Span {
        // Pages are at most `MAX_PAGE_BYTES` long.
        Span {
            start: start as u32,
            end: end as u32,
        }
    }

    /// Its first bytes, which must not be more than it has.
    pub fn first(&self, bytes: usize) -> Span {
        Span::new(self.start as usize, self.start as usize + bytes)
    }

    /// The part of the page that it stands for.
    pub fn of<'h>(&self, html: &'h [u8]) -> &'h [u8] {
        &html[self.start as usize..self.end as usize]
    }
}

/// The longest page that can be scanned, since offsets have 32 bits.
pub const MAX_PAGE_BYTES: usize = u32::MAX as usize;

// Decoding to UTF-8 can make a page three times as long.
const _: () = assert!(*BODY_BYTES.within.end() * 3 < MAX_PAGE_BYTES);

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
pub struct Found {
    /// Every link, repeated as often as it stands there.
    pub links: Vec<Link>,
    /// The first `base href`.
    pub base: Option<Span>,
    /// The text of the first `title`.
    pub title: Option<Span>,
}

impl Found {
    fn clear(&mut self) {
        self.links.clear();
        self.base = None;
        self.title = None;
    }
}

/// Scans a page; what `found` held before is gone.
pub fn scan(html: &[u8], found: &mut Found) {
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
    found: &'f mut Found,
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
    #[inline]
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
        let mut attributes = Attributes::new(self.html, at);
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

/// Foreign content: inside `svg` and `math` no tag begins raw text.
impl Scanner<'_, '_> {
    /// What is nested deeper counts as what it is in: end tags look through all that is open.
    fn open(&mut self, content: Content) {
        if self.foreign.len() < MAX_FOREIGN {
            self.foreign.push(content);
        }
    }

    fn enter(&mut self, key: u64, name_end: usize) -> usize {
        let end = skip_tag(self.html, name_end);
        if end <= self.html.len() && !self.html[..end].ends_with(b"/>") {
            self.open(match key {
                SVG => Content::Svg,
                _ => Content::Math,
            });
        }
        end
    }

    #[cold]
    fn start_tag_near_foreign(&mut self, at: usize, name_end: usize, key: u64) -> usize {
        let name = self.html[at..name_end].to_ascii_lowercase();
        let name = name.as_slice();
        let content = match self.foreign.last() {
            Some(content) if !breaks_out(name) => *content,
            _ => {
                // An HTML tag ends foreign content up to the integration point.
                while matches!(self.foreign.last(), Some(Content::Svg | Content::Math)) {
                    self.foreign.pop();
                }
                Content::Html
            }
        };
        let integrates = match content {
            Content::Html if self.foreign.is_empty() => return self.start_tag(at),
            Content::Html => false,
            Content::Svg => matches!(name, b"foreignobject" | b"desc" | b"title"),
            Content::Math => {
                matches!(name, b"mi" | b"mo" | b"mn" | b"ms" | b"mtext")
                    || (name == b"annotation-xml" && self.says_html(name_end))
            }
        };
        match key {
            // Of the elements that link, SVG has `a`, and the others are HTML's alone.
            A => self.linking_tag(key, name_end),
            AREA | BASE | LINK | META if content == Content::Html => {
                self.linking_tag(key, name_end)
            }
            SVG | MATH => self.enter(key, name_end),
            TITLE | SCRIPT | STYLE | XMP | IFRAME | NOEMBED | TEXTAREA | NOFRAMES | PLAINTEXT
            | TEMPLATE
                if content == Content::Html =>
            {
                self.raw_text(key, at, name_end)
            }
            _ => {
                let end = skip_tag(self.html, name_end);
                if integrates && end <= self.html.len() && !self.html[..end].ends_with(b"/>") {
                    self.open(Content::Html);
                }
                end
            }
        }
    }

    /// An annotation of MathML that is HTML, by its own word.
    fn says_html(&self, name_end: usize) -> bool {
        let mut attributes = Attributes::new(self.html, name_end);
        let is_encoding = |name: &Span| name.of(self.html).eq_ignore_ascii_case(b"encoding");
        let value = std::iter::from_fn(|| attributes.next()).find(|(name, _)| is_encoding(name));
        value.is_some_and(|(_, value)| {
            let value = value.of(self.html);
            value.eq_ignore_ascii_case(b"text/html")
                || value.eq_ignore_ascii_case(b"application/xhtml+xml")
        })
    }

    #[cold]
    fn leave(&mut self, key: u64, name: &[u8]) {
        let leaves = match key {
            SVG => Content::Svg,
            MATH => Content::Math,
            _ => {
                let points: [&[u8]; 9] = [
                    b"annotation-xml",
                    b"foreignobject",
                    b"desc",
                    b"title",
                    b"mi",
                    b"mo",
                    b"mn",
                    b"ms",
                    b"mtext",
                ];
                if self.foreign.last() == Some(&Content::Html)
                    && points.iter().any(|point| name.eq_ignore_ascii_case(point))
                {
                    self.foreign.pop();
                }
                return;
            }
        };
        if let Some(depth) = self.foreign.iter().rposition(|open| *open == leaves) {
            self.foreign.truncate(depth);
        }
    }
}

/// The start tags that end foreign content (HTML standard, 13.2.6.5).
fn breaks_out(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 43] = [
        b"b",
        b"big",
        b"blockquote",
        b"body",
        b"br",
        b"center",
        b"code",
        b"dd",
        b"div",
        b"dl",
        b"dt",
        b"em",
        b"embed",
        b"h1",
        b"h2",
        b"h3",
        b"h4",
        b"h5",
        b"h6",
        b"head",
        b"hr",
        b"i",
        b"img",
        b"li",
        b"listing",
        b"menu",
        b"meta",
        b"nobr",
        b"ol",
        b"p",
        b"pre",
        b"ruby",
        b"s",
        b"small",
        b"span",
        b"strong",
        b"strike",
        b"sub",
        b"sup",
        b"table",
        b"tt",
        b"u",
        b"ul",
    ];
    NAMES.contains(&name) || name == b"var"
}

/// True for what ends a tag name.
#[inline]
fn ends_name(byte: u8) -> bool {
    matches!(byte, b'>' | b' ' | b'\n' | b'/' | b'\t' | b'\r' | b'\x0c')
}

#[inline]
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r' | b'\x0c')
}

fn skip_spaces(html: &[u8], at: usize) -> usize {
    let rest = html.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| is_space(**byte)).count()
}

/// From the end of a tag's name, or of an attribute, to behind its `>`; over the
/// page's end when the tag is never closed, which makes it no tag.
///
/// Only `=` and `>` matter: between them is nothing that could hide a `>`, and
/// behind a `=` that ends an attribute's name there may be a quoted value.
#[inline]
pub(crate) fn skip_tag(html: &[u8], mut at: usize) -> usize {
    if html.get(at) == Some(&b'>') {
        return at + 1;
    }
    let mut from = at;
    loop {
        let Some(end) = find_either(html, at, b'>', b'=') else {
            return html.len() + 1;
        };
        at = end + 1;
        if html[end] == b'>' {
            return at;
        }
        // A `=` where a name should begin is a part of that name.
        let before = &html[from..at - 1];
        match before.iter().rev().find(|byte| !is_space(**byte)) {
            None | Some(b'/') => continue,
            Some(_) => {}
        }
        let (_, end) = value(html, at);
        at = end;
        from = end;
    }
}

/// The attribute value behind a `=`, and where the scan goes on; over the page's
/// end when a quote is never closed.
#[inline]
fn value(html: &[u8], at: usize) -> (Span, usize) {
    let at = skip_spaces(html, at);
    match html.get(at) {
        Some(quote @ (b'"' | b'\'')) => match find(html, at + 1, *quote) {
            Some(end) => (Span::new(at + 1, end), end + 1),
            None => (Span::new(at, at), html.len() + 1),
        },
        _ => {
            let rest = html.get(at..).unwrap_or_default();
            let end = |byte: &u8| is_space(*byte) || *byte == b'>';
            let end = at + rest.iter().position(end).unwrap_or(rest.len());
            (Span::new(at, end), end)
        }
    }
}

/// The attributes of a tag, one by one.
struct Attributes<'h> {
    html: &'h [u8],
    at: usize,
    /// True when `at` is behind the tag's `>`.
    closed: bool,
}

impl<'h> Attributes<'h> {
    fn new(html: &'h [u8], at: usize) -> Attributes<'h> {
        Attributes {
            html,
            at,
            closed: false,
        }
    }

    /// The next name and value; the value of an attribute without one is empty.
    #[inline]
    fn next(&mut self) -> Option<(Span, Span)> {
        let html = self.html;
        let mut at = self.at;
        while let Some(&byte) = html.get(at) {
            if !is_space(byte) && byte != b'/' {
                break;
            }
            at += 1;
        }
        let start = at;
        match html.get(at) {
            None => {
                self.at = html.len() + 1;
                return None;
            }
            Some(b'>') => {
                self.at = at + 1;
                self.closed = true;
                return None;
            }
            Some(_) => at += 1,
        }
        while let Some(&byte) = html.get(at) {
            if byte == b'=' || ends_name(byte) {
                break;
            }
            at += 1;
        }
        let name = Span::new(start, at);
        let behind = skip_spaces(html, at);
        if html.get(behind) == Some(&b'=') {
            let (value, end) = value(html, behind + 1);
            self.at = end;
            Some((name, value))
        } else {
            self.at = behind;
            Some((name, Span::new(at, at)))
        }
    }

    /// Behind the tag's `>`, or over the page's end.
    fn end(&self) -> usize {
        if self.closed {
            self.at
        } else {
            skip_tag(self.html, self.at)
        }
    }
}

/// Where a comment ends whose text begins at `start`.
pub(crate) fn comment_end(html: &[u8], start: usize) -> usize {
    if html[start..].starts_with(b">") {
        return start + 1;
    }
    if html[start..].starts_with(b"->") {
        return start + 2;
    }
    let mut at = start;
    while let Some(step) = memchr(b'>', &html[at..]) {
        let text = &html[start..at + step];
        at += step + 1;
        if text.ends_with(b"--") || text.ends_with(b"--!") {
            return at;
        }
    }
    html.len()
}

/// Where raw text ends: at the `<` of the end tag of this name, or with the page.
pub(crate) fn text_end(html: &[u8], mut at: usize, name: &[u8]) -> usize {
    while let Some(step) = memchr(b'<', &html[at..]) {
        at += step;
        if is_end_tag(&html[at + 1..], name) {
            return at;
        }
        at += 1;
    }
    html.len()
}

fn is_end_tag(rest: &[u8], name: &[u8]) -> bool {
    rest.first() == Some(&b'/') && is_tag(&rest[1..], name)
}

fn is_tag(rest: &[u8], name: &[u8]) -> bool {
    rest.len() > name.len()
        && rest[..name.len()].eq_ignore_ascii_case(name)
        && ends_name(rest[name.len()])
}

/// Where a script ends. Inside `<!--` ... `-->`, a `<script` makes its own end
/// tag a part of the text ("script data double escaped").
pub(crate) fn script_end(html: &[u8], mut at: usize) -> usize {
    #[derive(PartialEq)]
    enum State {
        Plain,
        Escaped,
        Doubled,
    }
    let mut state = State::Plain;
    loop {
        let rest = html.get(at..).unwrap_or_default();
        let step = match state {
            State::Plain => memchr(b'<', rest),
            _ => memchr2(b'<', b'-', rest),
        };
        let Some(step) = step else {
            return html.len();
        };
        at += step;
        let rest = &html[at..];
        if rest[0] == b'-' {
            if rest.starts_with(b"-->") {
                state = State::Plain;
                at += 2;
            }
        } else if is_end_tag(&rest[1..], b"script") {
            if state != State::Doubled {
                return at;
            }
            state = State::Escaped;
        } else if state == State::Plain && rest.starts_with(b"<!--") {
            state = State::Escaped;
            // The dashes may be the first of the `-->` that ends it.
            at += 1;
        } else if state == State::Escaped && is_tag(&rest[1..], b"script") {
            state = State::Doubled;
        }
        at += 1;
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
        let mut found = Found::default();
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
        let mut found = Found::default();
        scan(html, &mut found);
        assert_eq!(found.title.unwrap().of(html), b"A &amp; <b>");
        assert_eq!(found.base.unwrap().of(html), b"b");
        assert!(found.links.is_empty());
    }
}
