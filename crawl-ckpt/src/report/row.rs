//! What a report reads of an output record. Whatever else stands there is passed over, and an
//! output of an older version has less.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

use crate::canonical::is_canonical;
use crate::record::{ErrorKind, FetchError};
use crate::text::Text;

/// A record.
#[derive(Debug, Deserialize)]
pub struct Row<'a> {
    #[serde(borrow)]
    pub url: Text<'a>,
    pub depth: Option<u32>,
    #[serde(borrow)]
    pub referer: Option<Text<'a>>,
    pub status: Option<u16>,
    #[serde(borrow)]
    pub error: Option<FetchError<'a>>,
    pub attempts: Option<u32>,
    #[serde(borrow)]
    pub location: Option<Text<'a>>,
    #[serde(borrow)]
    pub blocked: Option<Text<'a>>,
    #[serde(borrow)]
    pub content_type: Option<Text<'a>>,
    pub bytes: Option<u64>,
    pub elapsed_ms: Option<u64>,
    #[serde(borrow)]
    pub fetched_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub digest: Option<Text<'a>>,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
    #[serde(borrow)]
    pub delta: Option<Text<'a>>,
    #[serde(borrow)]
    pub item: Option<&'a RawValue>,
}

/// What became of a URL, as far as colours tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Success,
    Redirect,
    Blocked,
    ClientError,
    ServerError,
    NoAnswer,
    LeftOut,
}

impl Class {
    pub const ALL: [Class; 7] = [
        Class::Success,
        Class::Redirect,
        Class::Blocked,
        Class::ClientError,
        Class::ServerError,
        Class::NoAnswer,
        Class::LeftOut,
    ];

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Class::Success => "Success",
            Class::Redirect => "Redirect",
            Class::Blocked => "Blocked",
            Class::ClientError => "Client error",
            Class::ServerError => "Server error",
            Class::NoAnswer => "No usable answer",
            Class::LeftOut => "Not asked",
        }
    }

    /// True when a link to it leads nowhere.
    pub fn is_broken(self) -> bool {
        matches!(
            self,
            Class::ClientError | Class::ServerError | Class::NoAnswer
        )
    }
}

impl Row<'_> {
    pub fn class(&self) -> Class {
        let kind = self.error.as_ref().map(|error| error.kind);
        match (kind, self.status) {
            (Some(ErrorKind::Robots | ErrorKind::Refused), _) => Class::LeftOut,
            (Some(_), _) | (None, None) => Class::NoAnswer,
            _ if self.blocked.is_some() => Class::Blocked,
            (None, Some(200..=299)) => Class::Success,
            (None, Some(300..=399)) => Class::Redirect,
            (None, Some(400..=499)) => Class::ClientError,
            (None, Some(500..=599)) => Class::ServerError,
            (None, Some(_)) => Class::NoAnswer,
        }
    }

    /// The status or the kind of error, whichever says more.
    pub fn outcome(&self) -> String {
        match (&self.error, self.status, &self.blocked) {
            (Some(error), ..) => error.kind.as_str().to_owned(),
            (None, Some(status), None) => status.to_string(),
            (None, Some(status), Some(_)) => format!("{status} blocked"),
            (None, None, _) => "no status".to_owned(),
        }
    }

    /// True when the site refused us, and not only this page.
    pub fn is_block(&self) -> bool {
        self.blocked.is_some() || matches!(self.status, Some(403 | 429))
    }

    pub fn milliseconds(&self) -> Option<i64> {
        let at: jiff::Timestamp = self.fetched_at.as_deref()?.parse().ok()?;
        Some(at.as_millisecond())
    }
}

/// `host[:port]` of a URL, and the first part of its path.
pub fn parts(url: &str) -> Option<(&str, &str)> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next()?;
    let path = &path[..path.find(['?', '#']).unwrap_or(path.len())];
    let below = path.strip_prefix('/').and_then(|path| path.find('/'));
    Some((host, below.map_or("/", |slash| &path[..slash + 2])))
}

/// Stands for a text in tables that are not to hold texts. A page cannot choose it: two that meet
/// would be told as one.
pub fn hash(text: &str) -> u64 {
    let sum = blake3::hash(text.as_bytes());
    u64::from_le_bytes(sum.as_bytes()[..8].try_into().unwrap_or_default())
}

/// The same for all ways to write a URL that the frontier takes for one.
pub fn url_hash(url: &str) -> u64 {
    if is_canonical(url.as_bytes()) {
        return hash(url);
    }
    let Ok(mut parsed) = Url::parse(url) else {
        return hash(url);
    };
    parsed.set_fragment(None);
    let mut text: Vec<u8> = parsed.as_str().into();
    for at in 0..text.len() {
        if text[at] == b'%' {
            let end = text.len().min(at + 3);
            text[at + 1..end].make_ascii_uppercase();
        }
    }
    hash(&String::from_utf8_lossy(&text))
}

/// At most so many characters of it, and a mark when that is not all.
pub fn cut(text: &str, chars: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

/// The media type of a Content-Type header.
pub fn media_type(header: &str) -> String {
    let essence = header.split(';').next().unwrap_or_default().trim();
    cut(essence, 60).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_its_host_and_the_first_part_of_its_path() {
        for (url, want) in [
            ("https://h.example/a/b?c/d", ("h.example", "/a/")),
            ("http://u:p@h.example:81/a", ("h.example:81", "/")),
            ("http://h.example?x=/a/b", ("h.example", "/")),
            ("http://h.example/?x=/a/b", ("h.example", "/")),
        ] {
            assert_eq!(parts(url), Some(want), "{url}");
        }
        assert_eq!(parts("mailto:x"), None);
    }

    #[test]
    fn a_location_finds_the_record_of_its_canonical_url() {
        assert_eq!(
            url_hash("http://h.example/%c3%a4#part"),
            url_hash("http://h.example/%C3%A4")
        );
        assert_ne!(
            url_hash("http://h.example/a"),
            url_hash("http://h.example/A")
        );
    }
}
