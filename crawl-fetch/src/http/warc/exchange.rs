//! From an exchange to its records.

use std::io::{self, Write};

use crawl_ckpt::capture::Capture;
use crawl_ckpt::record::{Kind, Request};
use crawl_ckpt::warc::{
    FIELDS, HTTP_REQUEST, HTTP_RESPONSE, NOT_MODIFIED, Packer, RecordHeader, RecordId, RecordType,
    SAME_PAYLOAD, sha1,
};
use ureq::http::HeaderMap;
use ureq::http::header::CONTENT_ENCODING;
use url::Url;

use crate::http::body::Truncated;
use crate::http::header;
use crate::http::heads::Heads;

/// Lines of a request that are written down. All others may hold a secret: what the user adds to
/// requests is for the server alone.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "dnt",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "te",
    "upgrade-insecure-requests",
    "user-agent",
];

/// `Transfer-Encoding` once the body is without it: everybody else would undo it again.
const UNDONE: &[u8] = b"x-orig-";

/// Deeper pages do not say how they were reached.
const MAX_HOPS: u32 = 1_000;

/// An answer whose body was read, as far as it came.
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    /// What was asked for.
    pub url: &'a Url,
    /// When: RFC 3339, UTC.
    pub date: &'a str,
    /// The line that asked.
    pub request: &'a Request<'a>,
    /// Where the URL was found.
    pub via: Option<&'a str>,
    /// Redirects that were followed to get here.
    pub redirects: u32,
    /// The answer's.
    pub status: u16,
    /// The answer's.
    pub headers: &'a HeaderMap,
    /// The body, not decoded.
    pub payload: &'a [u8],
    /// Why that is not all of it.
    pub truncated: Option<Truncated>,
    /// From the first byte sent to the last one read.
    pub elapsed_ms: u64,
}

/// What was written of an exchange.
#[derive(Debug)]
pub struct Written {
    /// Bytes of the first member.
    pub response_length: u64,
    /// Bytes of all members.
    pub length: u64,
    /// What later captures may refer to.
    pub capture: Option<Capture<'static>>,
}

/// Which records are kept beside the answer.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// *request*.
    pub requests: bool,
    /// *metadata*.
    pub metadata: bool,
}

/// How the payload of an answer is written.
enum Payload {
    /// As it came.
    Whole,
    /// The server said that it has not changed.
    NotModified,
    /// It is the one of the earlier capture.
    Same,
}

impl Exchange<'_> {
    /// Writes the records: *response* or *revisit*, *request*, *metadata*.
    ///
    /// # Errors
    /// Those of the writer, and when the system has no random bytes.
    pub fn write(
        &self,
        heads: &Heads,
        beside: Beside,
        packer: &mut Packer,
        out: &mut impl Write,
    ) -> io::Result<Written> {
        // Credentials in a URL went out as a header.
        let url = header::without_credentials(self.url);
        let url = url.as_ref().map_or(self.url, |(url, _)| url).as_str();
        let header = |kind, id: &RecordId| {
            let mut header = RecordHeader::new(kind, id, self.date);
            header.field("WARC-Target-URI", url);
            header
        };
        let peer = heads.peer.map(|peer| peer.to_string());
        let with_peer = |header: &mut RecordHeader| {
            if let Some(peer) = &peer {
                header.field("WARC-IP-Address", peer);
            }
        };
        let id = RecordId::random()?;
        let digest = sha1(&[self.payload]);
        let mut head = Vec::new();
        let (response, block, capture) = match self.payload_kind(&digest) {
            Payload::Whole => {
                let mut response = header(RecordType::Response, &id);
                with_peer(&mut response);
                response.field("WARC-Payload-Digest", &digest);
                if let Some(why) = self.truncated {
                    response.field("WARC-Truncated", why.as_str());
                }
                put_response(&heads.response, &mut head);
                (response, [&head[..], self.payload], self.capture(digest))
            }
            Payload::NotModified => {
                let mut revisit = header(RecordType::Revisit, &id);
                with_peer(&mut revisit);
                let revisit = self.revisit(revisit, url, NOT_MODIFIED);
                (revisit, [&[][..], &[]], self.earlier())
            }
            Payload::Same => {
                let mut revisit = header(RecordType::Revisit, &id);
                with_peer(&mut revisit);
                let mut revisit = self.revisit(revisit, url, SAME_PAYLOAD);
                revisit.field("WARC-Truncated", Truncated::Length.as_str());
                put_response(&heads.response, &mut head);
                (revisit, [&head[..], &[]], self.earlier())
            }
        };
        let mut response = response;
        response.field("Content-Type", HTTP_RESPONSE);
        let response_length = packer.pack(&response, &block, out)?;
        let mut length = response_length;
        let id = id.to_string();
        if beside.requests {
            let mut request = header(RecordType::Request, &RecordId::random()?);
            with_peer(&mut request);
            request.field("WARC-Concurrent-To", &id);
            request.field("Content-Type", HTTP_REQUEST);
            head.clear();
            put_request(&heads.request, &mut head);
            let body = self.request.body.as_deref().unwrap_or_default();
            let body = if heads.body_sent > 0 { body } else { "" };
            length += packer.pack(&request, &[&head, body.as_bytes()], out)?;
        }
        if beside.metadata {
            let mut metadata = header(RecordType::Metadata, &RecordId::random()?);
            metadata.field("WARC-Concurrent-To", &id);
            metadata.field("Content-Type", FIELDS);
            length += packer.pack(&metadata, &[self.fields().as_bytes()], out)?;
        }
        Ok(Written {
            response_length,
            length,
            capture,
        })
    }

    fn payload_kind(&self, digest: &str) -> Payload {
        let Some(earlier) = &self.request.capture else {
            return Payload::Whole;
        };
        let encoding = content_encoding(self.headers);
        let is_same = || {
            *earlier.digest == *digest && earlier.content_encoding.as_deref() == encoding.as_deref()
        };
        match self.status {
            304 => Payload::NotModified,
            200 if self.is_capture() && is_same() => Payload::Same,
            _ => Payload::Whole,
        }
    }

    /// True when later captures may refer to this one.
    fn is_capture(&self) -> bool {
        let is_get = matches!(self.request.method.as_deref(), None | Some("GET"));
        let is_whole = self.truncated.is_none() && !self.payload.is_empty();
        self.status == 200 && self.redirects == 0 && is_get && is_whole
    }

    fn capture(&self, digest: String) -> Option<Capture<'static>> {
        self.is_capture().then(|| Capture {
            date: self.date.to_owned().into(),
            digest: digest.into(),
            content_encoding: content_encoding(self.headers).map(Into::into),
        })
    }

    /// What is known stays so: a revisit never refers to another one.
    fn earlier(&self) -> Option<Capture<'static>> {
        let earlier = self.request.capture.clone()?;
        Some(Capture {
            date: earlier.date.into_owned(),
            digest: earlier.digest.into_owned(),
            content_encoding: earlier.content_encoding.map(|coding| coding.into_owned()),
        })
    }

    fn revisit(&self, mut revisit: RecordHeader, url: &str, profile: &str) -> RecordHeader {
        revisit.field("WARC-Profile", profile);
        revisit.field("WARC-Refers-To-Target-URI", url);
        if let Some(earlier) = &self.request.capture {
            revisit.field("WARC-Refers-To-Date", &earlier.date);
            revisit.field("WARC-Payload-Digest", &earlier.digest);
        }
        revisit
    }

    /// How the page was found.
    fn fields(&self) -> String {
        let mut fields = String::new();
        if let Some(via) = self.via.and_then(nameless) {
            fields.push_str(&format!("via: {via}\r\n"));
        }
        if let Some(depth) = self.request.depth.filter(|depth| *depth <= MAX_HOPS) {
            let links = "L".repeat(depth as usize);
            let redirects = "R".repeat(self.redirects as usize);
            let needed = if self.request.kind == Kind::Page {
                ""
            } else {
                "P"
            };
            fields.push_str(&format!("hopsFromSeed: {links}{redirects}{needed}\r\n"));
        }
        fields.push_str(&format!("fetchTimeMs: {}\r\n", self.elapsed_ms));
        fields
    }
}

/// A URL without user name and password; what is no URL may be anything.
fn nameless(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    // A URL without a host has neither.
    let _ = (url.set_username(""), url.set_password(None));
    Some(url.into())
}

fn content_encoding(headers: &HeaderMap) -> Option<String> {
    let values = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(header::text_of);
    let values: Vec<_> = values.collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// The line's name in lower case, and whether the line goes on with the one before it.
fn name(line: &[u8]) -> (Vec<u8>, bool) {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    (
        name.trim_ascii().to_ascii_lowercase(),
        line.starts_with(b" ") || line.starts_with(b"\t"),
    )
}

/// Appends a response's head for a body without chunks.
fn put_response(head: &[u8], out: &mut Vec<u8>) {
    out.reserve(head.len() + 64);
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        const NAME: &[u8] = b"transfer-encoding";
        let begins = line
            .get(..NAME.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(NAME));
        if begins && name(line).0 == NAME {
            out.extend_from_slice(UNDONE);
        }
        out.extend_from_slice(line);
    }
}

/// Appends a request's head without what is for the server alone.
fn put_request(head: &[u8], out: &mut Vec<u8>) {
    let mut is_kept = true;
    for (at, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (name, goes_on) = name(line);
        let is_blank = line.trim_ascii().is_empty();
        if at > 0 && !is_blank && !goes_on {
            is_kept = HARMLESS.iter().any(|harmless| harmless.as_bytes() == name);
        }
        if is_kept || is_blank {
            out.extend_from_slice(line);
        }
    }
}
