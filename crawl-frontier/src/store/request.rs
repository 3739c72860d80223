//! A request as a store keeps it, and as it goes out. What it has beyond its URL is kept as one
//! JSON object, absent for nearly all requests.

use std::collections::BTreeMap;

use crawl_ckpt::journal::{Reader, Stored};
use crawl_ckpt::record::{Kind, Request};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Ticket;
use crate::url::Fingerprinter;

/// The uncommon fields of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Extra<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    method: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<Text<'a>, Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    body: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    proxy: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    etag: Option<Text<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    last_modified: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Kind::is_page")]
    kind: Kind,
    /// A sitemap that is a start URL, or where one redirects to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    start: bool,
}

impl<'a> Extra<'a> {
    /// The uncommon fields of a request as JSON, or `None` when it has none.
    pub fn of(request: &Request<'_>) -> Option<String> {
        let plain = request.method.is_none()
            && request.headers.is_empty()
            && request.body.is_none()
            && request.meta.is_none()
            && request.proxy.is_none()
            && request.etag.is_none()
            && request.last_modified.is_none()
            && request.kind.is_page();
        if plain {
            return None;
        }
        let request = request.clone();
        let extra = Extra {
            method: request.method,
            headers: request.headers,
            body: request.body,
            meta: request.meta,
            proxy: request.proxy,
            etag: request.etag,
            last_modified: request.last_modified,
            kind: request.kind,
            start: false,
        };
        // Strings and raw JSON that was parsed before: this cannot fail.
        serde_json::to_string(&extra).ok()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// When the journal holds something else there.
    pub fn parse(json: &'a str) -> Result<Extra<'a>, Failure> {
        serde_json::from_str(json)
            .map_err(|e| Failure::new(format_args!("a pending request cannot be read: {e}")))
    }

    /// Puts them into a request.
    pub fn fill(self, request: &mut Request<'a>) {
        request.method = self.method;
        request.headers = self.headers;
        request.body = self.body;
        request.meta = self.meta;
        request.proxy = self.proxy;
        request.etag = self.etag;
        request.last_modified = self.last_modified;
        request.kind = self.kind;
    }

    /// The method; `GET` when none was given.
    pub fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }

    /// The body; empty when none was given.
    pub fn body(&self) -> &str {
        self.body.as_deref().unwrap_or("")
    }
}

/// True for a start URL and for what one redirects to. What `add` brought at depth 0 is one too.
///
/// # Errors
/// When the journal holds something else in place of `extra`.
pub fn is_start(stored: &Stored<'_>) -> Result<bool, Failure> {
    let extra = stored.extra.filter(|_| stored.depth == 0);
    let extra = extra.map(Extra::parse).transpose()?;
    Ok(stored.depth == 0 && extra.is_none_or(|extra| extra.start || extra.kind.is_page()))
}

/// The fingerprint under which a stored request is remembered.
///
/// # Errors
/// When the journal holds something else in place of `extra`.
pub fn fingerprint_of(fingerprinter: Fingerprinter, stored: &Stored<'_>) -> Result<u128, Failure> {
    Ok(match stored.extra {
        None => fingerprinter.get(stored.url),
        Some(extra) => {
            let extra = Extra::parse(extra)?;
            fingerprinter.request(extra.method(), stored.url, extra.body())
        }
    })
}

/// A stored request as it goes out, without an id.
///
/// # Errors
/// When the journal's JSON in it is none.
pub fn request_of<'a>(stored: &Stored<'a>) -> Result<Request<'a>, Failure> {
    let referer = stored.referer.map(|referer| referer.to_text(stored.url));
    let mut request = Request {
        url: stored.url.into(),
        depth: Some(stored.depth),
        priority: (stored.priority != 0).then_some(stored.priority),
        referer: referer.map(Text),
        ..Request::default()
    };
    if let Some(extra) = stored.extra {
        Extra::parse(extra)?.fill(&mut request);
    }
    Ok(request)
}

/// Reads a request from a journal that nobody writes.
///
/// # Errors
/// Errors of the disk, and damage.
pub fn read_request<'b>(
    reader: &Reader,
    ticket: Ticket,
    buffer: &'b mut Vec<u8>,
) -> Result<Stored<'b>, Failure> {
    Ok(reader.request_at(ticket.id, ticket.at, buffer)?)
}
