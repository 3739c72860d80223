//! The records on the pipes: requests, results and output records, one JSON
//! object a line.
//!
//! Absent is absent: a field without a value is left out, never `null`, 0 or
//! `""`. Unknown fields are ignored.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::capture::{Archived, Capture, Spooled};
use crate::passed::Passed;
use crate::rendering::{Rendered, Wish};
use crate::robots::is_disallowed;
use crate::text::Text;

/// No line on a pipe is longer, in bytes, its newline included.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// At most so many links a page travel; `links_dropped` counts the rest.
pub const MAX_LINKS: usize = 1_000_000;

/// At most so many bytes of links a page travel.
pub const MAX_LINK_BYTES: usize = 48 << 20;

/// What the answer to a request is to be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A page: links and items are taken from it.
    #[default]
    Page,
    /// A robots.txt: its text comes back in `robots`.
    Robots,
    /// A sitemap or a sitemap index: its entries come back in `sitemap`.
    Sitemap,
}

impl Kind {
    /// True for [`Kind::Page`].
    pub fn is_page(&self) -> bool {
        *self == Kind::Page
    }
}

/// One thing to fetch.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Absolute http or https URL.
    #[serde(borrow)]
    pub url: Text<'a>,
    /// Given by the frontier; the result carries it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// HTTP method; absent means `GET`. Those that all know are in upper case, however they came.
    #[serde(
        borrow,
        default,
        deserialize_with = "method",
        skip_serializing_if = "Option::is_none"
    )]
    pub method: Option<Text<'a>>,
    /// Further request headers.
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<Text<'a>, Text<'a>>,
    /// Request body.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub body: Option<Text<'a>>,
    /// Links followed from a start URL; a start URL has 0, a redirect adds none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// Higher goes first; absent means 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The page that it was found on.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub referer: Option<Text<'a>>,
    /// The user's own; comes back with the result, untouched.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a RawValue>,
    /// The name of a proxy, or `direct`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Text<'a>>,
    /// Validator: ask for the page only if its ETag is another.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub etag: Option<Text<'a>>,
    /// Validator: ask for the page only if it changed since then.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Text<'a>>,
    /// The earlier capture of the page, so that one that did not change is kept as a revisit
    /// (with WARC alone).
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture<'a>>,
    /// What the answer is to be read as; absent means a page.
    #[serde(default, skip_serializing_if = "Kind::is_page")]
    pub kind: Kind,
    /// The Cookie header, given by the frontier, which keeps the jar.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<Text<'a>>,
    /// A browser is to render the page, and how; absent: as the fetcher's options say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub render: Option<Wish>,
    /// What the user's parser is to begin with, given by the frontier with the first
    /// request of a resumed crawl.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub state: Option<&'a RawValue>,
}

/// Methods that are meant in any case, as browsers read them (WHATWG Fetch, 2.2.1): servers know them in upper case alone.
const IN_ANY_CASE: [&str; 6] = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

fn method<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<Text<'a>>, D::Error> {
    let method = Option::<Text<'a>>::deserialize(from)?;
    Ok(method.map(|method| {
        let mut known = IN_ANY_CASE.iter();
        match known.find(|known| known.eq_ignore_ascii_case(&method)) {
            Some(known) => Text::from(*known),
            None => method,
        }
    }))
}

/// Why a request got no usable response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The line was no request; the result has `line`.
    Invalid,
    /// The host name did not resolve.
    Dns,
    /// No connection came about, or it was reset before an answer.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// A time limit passed.
    Timeout,
    /// The answer was not HTTP.
    Protocol,
    /// The answer is over a size cap.
    TooLarge,
    /// Too many redirects, or a redirect to nowhere.
    Redirect,
    /// The proxy refused or failed.
    Proxy,
    /// robots.txt disallows it.
    Robots,
    /// Not allowed by our own limits (a private address, a cap).
    Refused,
    /// The user's parser failed on the page.
    Parse,
    /// A local failure.
    Io,
}

impl ErrorKind {
    /// True when nothing at all answered, so that the network may be gone.
    pub fn is_unanswered(self) -> bool {
        matches!(
            self,
            ErrorKind::Dns
                | ErrorKind::Connect
                | ErrorKind::Tls
                | ErrorKind::Timeout
                | ErrorKind::Proxy
        )
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Invalid => "invalid",
            ErrorKind::Dns => "dns",
            ErrorKind::Connect => "connect",
            ErrorKind::Tls => "tls",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Protocol => "protocol",
            ErrorKind::TooLarge => "too_large",
            ErrorKind::Redirect => "redirect",
            ErrorKind::Proxy => "proxy",
            ErrorKind::Robots => "robots",
            ErrorKind::Refused => "refused",
            ErrorKind::Parse => "parse",
            ErrorKind::Io => "io",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request got no usable response, in a word and in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchError<'a> {
    /// The class of the failure.
    pub kind: ErrorKind,
    /// One line for people; credentials are masked.
    pub message: Text<'a>,
}

/// A kind that is unknown counts as `io`, its word goes into the message; a message may be
/// missing.
impl<'de: 'a, 'a> Deserialize<'de> for FetchError<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Told<'a> {
            #[serde(borrow)]
            kind: Text<'a>,
            #[serde(borrow)]
            message: Option<Text<'a>>,
        }
        let Told {
            kind: word,
            message,
        } = Told::deserialize(deserializer)?;
        let message = message.unwrap_or_else(|| "no reason is given".into());
        let kind = ErrorKind::deserialize(StrDeserializer::<ValueError>::new(&word));
        Ok(match kind {
            Ok(kind) => FetchError { kind, message },
            Err(_) => FetchError {
                kind: ErrorKind::Io,
                message: format!("{word}: {message}").into(),
            },
        })
    }
}

/// How the page of a result compares with what earlier crawls knew of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// The page was not known before.
    New,
    /// Known, and another now.
    Changed,
    /// Known, and the same; such a page makes no output record.
    Unchanged,
    /// Known, and not there any more: status 404 or 410.
    Gone,
}

/// One entry of a sitemap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitemapEntry<'a> {
    /// Absolute URL of a page, or of a further sitemap when `kind` is `sitemap`.
    #[serde(borrow)]
    pub url: Text<'a>,
    /// As written there (a W3C date).
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub lastmod: Option<Text<'a>>,
    /// `sitemap` for an entry of a sitemap index; absent means a page.
    #[serde(default, skip_serializing_if = "Kind::is_page")]
    pub kind: Kind,
}

/// Where the links of a page stand, as far as rules of the spider ask.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkRegions {
    /// So many of `links`, from the first on, are the usual ones. Those behind them are there
    /// for `rules` alone.
    pub usual: u32,
    /// For each rule with `restrict_css`, `restrict_xpaths` or `tags`, by its place in the order in
    /// which they decide, from 0: which of `links` stand where it asks, from 0, ascending.
    pub rules: BTreeMap<usize, Vec<u32>>,
}

/// What became of one request. The same type, with `id`, `links`, the body and
/// the frontier's own fields taken out, is the output record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct FetchResult<'a> {
    /// As in the request; of an `invalid` line, the line's beginning.
    #[serde(borrow)]
    pub url: Text<'a>,
    /// As in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// As in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
    /// As in the request.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub meta: Option<&'a RawValue>,
    /// The page that the URL was found on first (output records with an error, or a status of 300
    /// and more).
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub referer: Option<Text<'a>>,
    /// HTTP status; absent when no response came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Present when no usable response came.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub error: Option<FetchError<'a>>,
    /// Input line number, from 1, of an `invalid` line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// How often it was asked for, when over 1 (output records).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// Absolute target of a redirect that was not followed.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<'a>>,
    /// Where followed redirects ended.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub final_url: Option<Text<'a>>,
    /// Why the page counts as a block although its status is 200.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<Text<'a>>,
    /// The response's Content-Type, as sent.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<Text<'a>>,
    /// Bytes of the decoded body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// From the first byte sent to the last byte read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// RFC 3339, UTC.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<Text<'a>>,
    /// `blake3:` and 64 hex digits, of the decoded body.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Text<'a>>,
    /// Of a page that a browser rendered.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub render: Option<Rendered<'a>>,
    /// The response's ETag.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub etag: Option<Text<'a>>,
    /// The response's Last-Modified.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<Text<'a>>,
    /// The response's Retry-After, in seconds from now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// The proxy that it went through, or `direct`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Text<'a>>,
    /// Of an incremental crawl: how the page compares (output records).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<Change>,
    /// Title of an HTML page, white space folded.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub title: Option<Text<'a>>,
    /// What the spider's `extract` found.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub item: Option<&'a RawValue>,
    /// True when something was left out of the item because it would be too large, or take
    /// too long to find.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item_cut: Option<bool>,
    /// The value that a user's parser wants kept in the checkpoint.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub state: Option<&'a RawValue>,
    /// The Set-Cookie headers, for the frontier's jar alone.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub set_cookie: Vec<Text<'a>>,
    /// Text of a robots.txt, for the frontier alone.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub robots: Option<Text<'a>>,
    /// Entries of a sitemap, for the frontier alone.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub sitemap: Vec<SitemapEntry<'a>>,
    /// Absolute URLs in document order, each once, no fragment.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Text<'a>>,
    /// Where they stand, for the frontier alone; absent: nowhere in particular, and then no
    /// rule asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_regions: Option<LinkRegions>,
    /// How many links did not fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links_dropped: Option<u64>,
    /// Bytes that went through the proxy for it, in both directions, handshakes included; absent: it
    /// went through none, or nobody counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wire_bytes: Option<u64>,
    /// Where its WARC records are, for the frontier alone. With `--warc-spool` every result has it
    /// that has a `status`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub spool: Option<Spooled<'a>>,
    /// The capture that later ones may refer to, for the frontier alone.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub capture: Option<Capture<'a>>,
    /// Where its exchange lies in a WARC (output records).
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub warc: Option<Archived<'a>>,
    /// The body, decoded to UTF-8, of a text.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub body: Option<Passed<'a>>,
    /// The body of anything else.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<Passed<'a>>,
}

/// Reads one request line: a JSON object, or a bare `http://` or `https://` URL.
///
/// # Errors
/// Says in a few words why the line is no request. The URL itself is not checked.
pub fn parse_request(line: &str) -> Result<Request<'_>, String> {
    let line = line.trim_matches([' ', '\t', '\r', '\n']);
    if line.starts_with('{') {
        serde_json::from_str(line).map_err(|e| e.to_string())
    } else if line.is_empty() {
        Err("the line is empty".into())
    } else if has_http_scheme(line) {
        Ok(Request {
            url: line.into(),
            ..Request::default()
        })
    } else {
        Err("neither a JSON object nor an http(s) URL".into())
    }
}

fn has_http_scheme(line: &str) -> bool {
    let starts = |prefix: &str| {
        line.get(..prefix.len())
            .is_some_and(|p| p.eq_ignore_ascii_case(prefix))
    };
    starts("http://") || starts("https://")
}

impl FetchResult<'_> {
    /// True for the record of a request that has failed: one that another try could end otherwise.
    pub fn has_failed(&self) -> bool {
        let forbidden = |error: &FetchError<'_>| {
            error.kind == ErrorKind::Robots && is_disallowed(&error.message)
        };
        let error = self.error.as_ref();
        error.is_some_and(|error| !forbidden(error))
            || self.blocked.is_some()
            || is_failure(self.status)
    }
}

/// True for a status that says that another try could end otherwise.
pub fn is_failure(status: Option<u16>) -> bool {
    matches!(status, Some(403 | 408 | 429 | 500..=599))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_url_is_a_request() {
        let request = parse_request("https://a.example/\r\n").unwrap();
        assert_eq!(&*request.url, "https://a.example/");
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"url":"https://a.example/"}"#
        );
    }

    #[test]
    fn links_borrow_from_their_line_unless_escaped() {
        let line =
            r#"{"url":"http://a/","links":["http://a/1","http://a/\u0032"],"meta":{"k":[1]}}"#;
        let result: FetchResult = serde_json::from_str(line).unwrap();
        assert!(matches!(result.links[0].0, std::borrow::Cow::Borrowed(_)));
        assert_eq!(&*result.links[1], "http://a/2");
        assert_eq!(result.meta.unwrap().get(), r#"{"k":[1]}"#);
    }

    #[test]
    fn an_error_of_an_unknown_kind_counts_as_io() {
        let of = |text| serde_json::from_str::<FetchError<'_>>(text).unwrap();
        let error = of(r#"{"kind":"browser","message":"it crashed","more":1}"#);
        assert_eq!(error.kind, ErrorKind::Io);
        assert_eq!(&*error.message, "browser: it crashed");
        let error = of(r#"{"kind":"too_large"}"#);
        assert_eq!(error.kind, ErrorKind::TooLarge);
        assert!(serde_json::from_str::<FetchError<'_>>(r#"{"kind":5}"#).is_err());
    }

    #[test]
    fn unknown_fields_are_ignored_and_nonsense_is_told() {
        assert!(parse_request(r#"{"url":"http://a/","what":[{}]}"#).is_ok());
        assert!(parse_request("nonsense").is_err());
        assert!(parse_request("").is_err());
        assert!(parse_request(r#"{"url":5}"#).is_err());
    }
}
