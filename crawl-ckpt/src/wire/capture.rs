//! What travels about pages that are kept as WARC: the fetcher makes the records, the frontier
//! alone writes them into the WARC files.

use serde::{Deserialize, Serialize};

use crate::text::Text;

/// Where the fetcher put the WARC records of one exchange: whole gzip members, one a record, in
/// the order *response* (or *revisit*), *request*, *metadata*. Each byte of a spool file is told
/// of once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spooled<'a> {
    /// Name of a file in the directory of `--warc-spool`: the fetcher's process id, `-`, and a
    /// number that counts up from 0. A file is full when a result names one with a higher number.
    #[serde(borrow)]
    pub file: Text<'a>,
    /// Where the first member begins, in bytes.
    pub offset: u64,
    /// Bytes of all members.
    pub length: u64,
    /// Bytes of the first one.
    pub response_length: u64,
    /// Exchanges that no other result tells of: redirects on the way, what a rendered page asked for, and
    /// answers that this machine had no room for, whose requests go again.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<SpoolPlace<'a>>,
}

/// Where the records of another exchange are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolPlace<'a> {
    /// As in [`Spooled`].
    #[serde(borrow)]
    pub file: Text<'a>,
    /// Where the first member begins, in bytes.
    pub offset: u64,
    /// Bytes of all members.
    pub length: u64,
}

/// A capture that later ones may refer to: a whole answer of status 200 to a GET, as it was sent.
///
/// A request carries the one that is known of its page, a result the one to know from now on.
/// Asked with validators and without this, a page that did not change is kept as the answer 304,
/// which shows nothing: better ask for the whole page once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture<'a> {
    /// The `WARC-Date` of the record that has the payload.
    #[serde(borrow)]
    pub date: Text<'a>,
    /// The `WARC-Payload-Digest` of the response: `sha1:` and 32 characters of base32.
    #[serde(borrow)]
    pub digest: Text<'a>,
    /// The Content-Encoding of the response, as sent.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<Text<'a>>,
}

/// Where the exchange of an output record lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived<'a> {
    /// The WARC file, relative to the output's directory, under its final name.
    #[serde(borrow)]
    pub file: Text<'a>,
    /// Where the gzip member of the *response* or *revisit* record begins, in bytes.
    pub offset: u64,
    /// Bytes of that member.
    pub length: u64,
}
