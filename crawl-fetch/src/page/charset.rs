//! What a response is by its type, and which character encoding its text has:
//! byte order mark, then HTTP, then the page itself (WHATWG Encoding and HTML).

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED,
};
use memchr::memmem;

/// So many bytes are looked at for a declaration inside the page.
const PRESCAN_BYTES: usize = 1024;

/// Elements whose text is no markup.
const RAW: [&[u8]; 8] = [
    b"script",
    b"style",
    b"title",
    b"textarea",
    b"xmp",
    b"iframe",
    b"noembed",
    b"noframes",
];

/// So many for one that stands behind the place where it should, as browsers go on looking.
const LATE_BYTES: usize = 1 << 20;

/// What a body is, as far as reading it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// HTML or XHTML: has links.
    Html,
    /// XML, such as a sitemap or a feed.
    Xml,
    /// Any other text.
    Text,
    /// No text.
    Binary,
}

impl Media {
    /// By the Content-Type; without one, by how the body begins.
    pub fn of(content_type: Option<&str>, body: &[u8]) -> Media {
        let essence = content_type
            .map(|value| value.split([';', ',']).next().unwrap_or_default().trim())
            .unwrap_or_default()
            .to_ascii_lowercase();
        match essence.as_str() {
            "text/html" | "application/xhtml+xml" => Media::Html,
            "text/xml" | "application/xml" => Media::Xml,
            "" | "unknown/unknown" | "application/unknown" | "*/*" => sniffed(body),
            other if other.ends_with("+xml") => Media::Xml,
            other if other.starts_with("text/") || other.ends_with("+json") => Media::Text,
            "application/json" | "application/javascript" | "application/ld+json" => Media::Text,
            _ => Media::Binary,
        }
    }
}

/// By the patterns of the MIME Sniffing standard, as far as they matter here.
fn sniffed(body: &[u8]) -> Media {
    const TAGS: [&[u8]; 17] = [
        b"<!doctype html",
        b"<html",
        b"<head",
        b"<script",
        b"<iframe",
        b"<h1",
        b"<div",
        b"<font",
        b"<table",
        b"<a",
        b"<style",
        b"<title",
        b"<b",
        b"<body",
        b"<br",
        b"<p",
        b"<!--",
    ];
    let head = &body[..body.len().min(PRESCAN_BYTES)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = head.trim_ascii_start();
    let begins = |tag: &&[u8]| {
        start.len() > tag.len()
            && start[..tag.len()].eq_ignore_ascii_case(tag)
            && (matches!(start[tag.len()], b' ' | b'>' | b'\n' | b'\r' | b'\t') || *tag == b"<!--")
    };
    if TAGS.iter().any(begins) {
        Media::Html
    } else if start.starts_with(b"<?xml") {
        Media::Xml
    } else if Encoding::for_bom(body).is_some() || !head.iter().any(|byte| is_binary(*byte)) {
        Media::Text
    } else {
        Media::Binary
    }
}

fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

/// The encoding of a text.
pub fn encoding(content_type: Option<&str>, body: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(body) {
        return encoding;
    }
    let declared = content_type
        .and_then(charset_parameter)
        .and_then(|label| by_label(label.as_bytes()))
        .or_else(|| wide(body))
        .or_else(|| prescan(&body[..body.len().min(PRESCAN_BYTES)], false));
    // Most pages without a declaration have nothing but ASCII.
    let late = || {
        // ISO-2022-JP is ASCII with escapes.
        if body.is_ascii() && memchr::memchr(0x1b, body).is_none() {
            None
        } else {
            prescan(&body[..body.len().min(LATE_BYTES)], true)
        }
    };
    match declared.or_else(late) {
        Some(encoding) => encoding,
        // Nothing says what it is: a text that is UTF-8 but for a few bytes hardly ever is
        // anything else, and the rest is read as browsers in the West do.
        None if is_mostly_utf8(body) => UTF_8,
        None => WINDOWS_1252,
    }
}

/// By a label of the standard, or by a name that Python or Windows has for the same.
fn by_label(label: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_label(label).or_else(|| {
        let label = String::from_utf8_lossy(label.trim_ascii());
        let label = label.to_ascii_lowercase().replace('_', "-");
        let page = ["cp", "ms", "windows", "win"]
            .iter()
            .find_map(|name| label.strip_prefix(name))
            .map(|page| page.trim_start_matches('-'));
        match page {
            Some("932") => Some(SHIFT_JIS),
            Some("936") => Some(GBK),
            Some("949") => Some(EUC_KR),
            Some("950") => Some(BIG5),
            Some(page) => Encoding::for_label(format!("windows-{page}").as_bytes()),
            None => Encoding::for_label(label.as_bytes()),
        }
    })
}

/// UTF-16 that begins with a tag, without a byte order mark.
fn wide(body: &[u8]) -> Option<&'static Encoding> {
    match body {
        [b'<', 0, next, 0, ..] if *next != 0 => Some(UTF_16LE),
        [0, b'<', 0, next, ..] if *next != 0 => Some(UTF_16BE),
        _ => None,
    }
}

/// True for UTF-8 with fewer broken places than characters beyond ASCII: a cut comment must not
/// make a page unreadable.
fn is_mostly_utf8(body: &[u8]) -> bool {
    if std::str::from_utf8(body).is_ok() {
        return true;
    }
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in body.utf8_chunks() {
        // A byte of a character after its first one is 10xxxxxx.
        let starts = |byte: &&u8| **byte >= 0xc0;
        good += chunk.valid().as_bytes().iter().filter(starts).count();
        bad += usize::from(!chunk.invalid().is_empty());
    }
    good > bad
}

/// The `charset` of a Content-Type.
fn charset_parameter(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches(['"', '\'']))
    })
}

/// The encoding that a page declares itself, in a `meta` or an XML declaration
/// ("prescan a byte stream to determine its encoding"). A late look knows, as a parser does, that
/// the text of a script holds no tags; the standard's look at the first bytes does not.
fn prescan(head: &[u8], late: bool) -> Option<&'static Encoding> {
    let mut at = 0;
    while let Some(step) = head.get(at..).and_then(|rest| memchr::memchr(b'<', rest)) {
        at += step;
        let rest = &head[at..];
        if rest.starts_with(b"<!--") {
            at += 2 + memmem::find(&rest[2..], b"-->")? + 3;
        } else if rest.len() > 5
            && rest[..5].eq_ignore_ascii_case(b"<meta")
            && matches!(rest[5], b' ' | b'\n' | b'\t' | b'\r' | b'\x0c' | b'/')
        {
            let (encoding, length) = meta(&rest[5..]);
            if let Some(encoding) = encoding {
                return Some(usable(encoding));
            }
            at += 5 + length;
        } else if rest.get(1).is_some_and(u8::is_ascii_alphabetic) || rest.starts_with(b"</") {
            let mut attributes = Prescan { rest: &rest[1..] };
            attributes.skip_name();
            while attributes.next().is_some() {}
            let end = head.len() - attributes.rest.len();
            let is_raw = |raw: &&&[u8]| {
                let name = rest[1..].get(..raw.len());
                name.is_some_and(|name| name.eq_ignore_ascii_case(raw))
                    && matches!(
                        rest.get(1 + raw.len()),
                        Some(b'>' | b'/' | b' ' | b'\t'..=b'\r')
                    )
            };
            let raw = late.then(|| RAW.iter().find(is_raw)).flatten();
            at = match raw {
                Some(raw) => end + end_of_raw(&head[end..], raw)?,
                None => end,
            };
        } else if matches!(rest.get(1), Some(b'!' | b'/' | b'?')) {
            at += 1 + memchr::memchr(b'>', &rest[1..])?;
        } else {
            at += 1;
        }
    }
    xml_declaration(head)
}

/// Where an element whose text is no markup ends.
fn end_of_raw(text: &[u8], name: &[u8]) -> Option<usize> {
    memmem::find_iter(text, b"</").find(|at| {
        let tag = text[at + 2..].get(..name.len());
        tag.is_some_and(|tag| tag.eq_ignore_ascii_case(name))
    })
}

/// What a declaration inside a page can mean: a page that was read as far as a
/// `meta` in ASCII is not UTF-16.
fn usable(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16BE || encoding == UTF_16LE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    }
}

/// The encoding named by a `meta`'s attributes, and how long they are.
fn meta(rest: &[u8]) -> (Option<&'static Encoding>, usize) {
    let mut attributes = Prescan { rest };
    let (mut pragma, mut charset, mut needs_pragma) = (false, None, false);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while let Some((name, value)) = attributes.next() {
        if seen.contains(&name) {
            continue;
        }
        match name.as_slice() {
            b"http-equiv" => pragma = value == b"content-type",
            b"content" if charset.is_none() => {
                charset = charset_in(&value);
                needs_pragma = charset.is_some();
            }
            b"charset" => {
                charset = by_label(&value);
                needs_pragma = false;
            }
            _ => {}
        }
        seen.push(name);
    }
    let length = rest.len() - attributes.rest.len();
    (charset.filter(|_| pragma || !needs_pragma), length)
}

/// The encoding in the `content` of a `meta`, which is in lower case here.
fn charset_in(content: &[u8]) -> Option<&'static Encoding> {
    let mut rest = content;
    loop {
        let at = memmem::find(rest, b"charset")?;
        rest = rest[at + 7..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            let value = value.trim_ascii_start();
            let label = match value.first() {
                Some(quote @ (b'"' | b'\'')) => {
                    let end = memchr::memchr(*quote, &value[1..])?;
                    &value[1..1 + end]
                }
                _ => value
                    .split(|byte| byte.is_ascii_whitespace() || *byte == b';')
                    .next()?,
            };
            return by_label(label);
        }
    }
}

fn xml_declaration(head: &[u8]) -> Option<&'static Encoding> {
    let declaration = head.strip_prefix(b"<?xml")?;
    let declaration = &declaration[..memchr::memchr(b'>', declaration)?];
    let value = &declaration[memmem::find(declaration, b"encoding")? + 8..];
    let value = value
        .trim_ascii_start()
        .strip_prefix(b"=")?
        .trim_ascii_start();
    let (quote, value) = value.split_first()?;
    let end = memchr::memchr(*quote, value)?;
    by_label(&value[..end]).map(usable)
}

/// Attributes as the prescan reads them, names and values in lower case.
struct Prescan<'h> {
    rest: &'h [u8],
}

impl Prescan<'_> {
    fn skip_name(&mut self) {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
        let end = self.rest.iter().position(ends);
        self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
    }

    fn next(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let skipped = |byte: &u8| !(byte.is_ascii_whitespace() || *byte == b'/');
        let start = self.rest.iter().position(skipped);
        self.rest = &self.rest[start.unwrap_or(self.rest.len())..];
        if matches!(self.rest.first(), None | Some(b'>')) {
            return None;
        }
        let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'/' | b'>');
        let end = 1 + self.rest[1..].iter().position(ends)?;
        let name = self.rest[..end].to_ascii_lowercase();
        self.rest = &self.rest[end..];
        let Some(value) = self.rest.trim_ascii_start().strip_prefix(b"=") else {
            return Some((name, Vec::new()));
        };
        let value = value.trim_ascii_start();
        let (value, rest) = match value.first()? {
            quote @ (b'"' | b'\'') => {
                let end = memchr::memchr(*quote, &value[1..])?;
                (&value[1..1 + end], &value[end + 2..])
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
                value.split_at(value.iter().position(ends)?)
            }
        };
        self.rest = rest;
        Some((name, value.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_byte_order_mark_wins_then_http_then_the_page() {
        let page = b"<meta charset=koi8-r>\xff";
        assert_eq!(encoding(None, page).name(), "KOI8-R");
        assert_eq!(
            encoding(Some("text/html; Charset=\"GBK\""), page).name(),
            "GBK"
        );
        assert_eq!(
            encoding(Some("text/html; charset=what"), page).name(),
            "KOI8-R"
        );
        assert_eq!(
            encoding(Some("text/html;charset=gbk"), b"\xef\xbb\xbfx").name(),
            "UTF-8"
        );
        assert_eq!(
            encoding(Some("text/html"), b"\xff\xfex\0").name(),
            "UTF-16LE"
        );
        assert_eq!(encoding(None, b"<\0h\0").name(), "UTF-16LE");
        assert_eq!(encoding(None, b"\0<\0!").name(), "UTF-16BE");
        assert_eq!(encoding(None, "ä".as_bytes()).name(), "UTF-8");
        assert_eq!(encoding(None, b"\xe4").name(), "windows-1252");
    }

    #[test]
    fn encodings_have_the_names_of_python_and_windows_too() {
        for (label, name) in [
            ("CP949", "EUC-KR"),
            ("ms932", "Shift_JIS"),
            ("windows-936", "GBK"),
            ("cp950", "Big5"),
            ("euc_jp", "EUC-JP"),
            ("ISO8859_2", "ISO-8859-2"),
            ("win-1251", "windows-1251"),
            ("klingon", "windows-1252"),
        ] {
            let header = format!("text/html; charset={label}");
            assert_eq!(encoding(Some(&header), b"\xe4").name(), name, "{label}");
        }
    }

    #[test]
    fn a_page_declares_its_encoding_in_many_ways() {
        for (page, name) in [
            (
                "<!-- <meta charset=gbk> --><meta charset='shift_jis'>",
                "Shift_JIS",
            ),
            (
                "<META content='text/html; charset=big5' http-equiv=Content-Type >",
                "Big5",
            ),
            (
                "<meta content='text/html; charset=big5'><p title='<meta charset=gbk>'>",
                "",
            ),
            (
                "<meta http-equiv=content-type content=\"x; charset = 'EUC-KR'\">",
                "EUC-KR",
            ),
            ("<meta charset=utf-16>", "UTF-8"),
            (
                "<?xml version='1.0' encoding='iso-8859-2'?><html>",
                "ISO-8859-2",
            ),
            ("<title>x</title><meta name=a charset=koi8-u>", "KOI8-U"),
            ("<meta charset=", ""),
        ] {
            let found = prescan(page.as_bytes(), false).map_or("", |encoding| encoding.name());
            assert_eq!(found, name, "{page}");
        }
    }

    #[test]
    fn a_late_declaration_counts_and_one_bad_byte_does_not() {
        let pad = "x".repeat(2000);
        for (page, name) in [
            (
                format!("<script>'{pad}<meta charset=gbk>'</script><META CHARSET=koi8-r>"),
                "KOI8-R",
            ),
            (
                format!("<!--{pad}<meta charset=gbk>--><meta charset=what><meta charset=big5>"),
                "Big5",
            ),
            (
                format!("<title>{pad}<meta charset=gbk></Title><style><meta charset=gbk></style >"),
                "",
            ),
            (format!("<scripted>{pad}<meta charset=gbk>"), "GBK"),
            (format!("<script>{pad}<meta charset=gbk>"), ""),
        ] {
            let page = [page.as_bytes(), b"\xe4"].concat();
            let found = encoding(None, &page).name();
            assert_eq!(
                found,
                if name.is_empty() {
                    "windows-1252"
                } else {
                    name
                }
            );
            assert_eq!(encoding(Some("text/html; charset=utf-8"), &page), UTF_8);
        }
        let late = format!("{pad}<meta charset=iso-2022-jp>\x1b$B\x1b(B");
        assert_eq!(encoding(None, late.as_bytes()).name(), "ISO-2022-JP");
        assert_eq!(encoding(None, b"Z\xc3\xbcrich Caf\xc3\xa9 \xe4"), UTF_8);
        assert_eq!(
            encoding(None, b"Z\xfcrich Caf\xe9 \xc3\xbc").name(),
            "windows-1252"
        );
    }

    #[test]
    fn a_body_without_a_type_is_looked_at() {
        for (body, media) in [
            (&b" \n<!DOCTYPE HTML>"[..], Media::Html),
            (b"<!--x--><p>", Media::Html),
            (b"<?xml version='1.0'?>", Media::Xml),
            (b"plain words", Media::Text),
            (b"\x89PNG\r\n\x1a\n", Media::Binary),
            (b"", Media::Text),
        ] {
            assert_eq!(Media::of(None, body), media, "{body:?}");
        }
        assert_eq!(Media::of(Some("Text/HTML; charset=x"), b""), Media::Html);
        assert_eq!(Media::of(Some("image/svg+xml"), b""), Media::Xml);
        assert_eq!(Media::of(Some("image/png"), b"<html>"), Media::Binary);
    }
}
