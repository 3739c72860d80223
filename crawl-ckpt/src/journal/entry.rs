//! The entries of a batch: what they are, and their bytes.
//!
//! Numbers are LEB128 varints, texts carry their length first. See FORMAT.md.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::{Bad, Cursor, put_bytes, put_varint};
use crate::control::Progress;

/// Tag bytes. A tag of 128 and more is a request; its low bits are [`flag`]s.
pub(super) mod tag {
    pub const SEEN: u8 = 1;
    pub const DONE: u8 = 2;
    pub const FAILED: u8 = 3;
    pub const DEFER: u8 = 4;
    pub const SET: u8 = 5;
    pub const UNSET: u8 = 6;
    pub const COMMIT: u8 = 7;
    pub const IDS: u8 = 8;
    pub const REQUEST: u8 = 0x80;
}

/// What follows in a request beyond URL and depth. Bits 5 and 6 are reserved.
mod flag {
    pub const PRIORITY: u8 = 1;
    pub const REFERER: u8 = 2;
    pub const EXTRA: u8 = 4;
    pub const NOFOLLOW: u8 = 8;
    pub const REDIRECTS: u8 = 16;
    pub const ALL: u8 = 31;
}

/// A request as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored<'a> {
    /// Absolute URL.
    pub url: &'a str,
    /// Links followed from a start URL.
    pub depth: u32,
    /// Higher goes first.
    pub priority: i64,
    /// Links on the page are not followed.
    pub nofollow: bool,
    /// Redirects that led here.
    pub redirects: u32,
    /// The page that it was found on.
    pub referer: Option<Referer<'a>>,
    /// Whatever else the request has, as a JSON object: `method`, `headers`, `body`, `meta`, `kind` …
    pub extra: Option<&'a str>,
}

/// A referer, told by what it does not share with the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Referer<'a> {
    /// The referer begins with so many bytes of the URL.
    pub shared_bytes: usize,
    /// And goes on with this.
    pub rest: &'a str,
}

impl<'a> Referer<'a> {
    /// The referer of a URL.
    #[inline]
    pub fn of(url: &str, referer: &'a str) -> Referer<'a> {
        let mut shared = url
            .as_bytes()
            .iter()
            .zip(referer.as_bytes())
            .take_while(|(a, b)| a == b)
            .count();
        while !referer.is_char_boundary(shared) {
            shared -= 1;
        }
        Referer {
            shared_bytes: shared,
            rest: &referer[shared..],
        }
    }

    /// The whole referer, given the URL that it belongs to. Borrows when nothing is shared.
    pub fn to_text(&self, url: &str) -> Cow<'a, str> {
        match url.get(..self.shared_bytes) {
            Some("") | None => Cow::Borrowed(self.rest),
            Some(shared) => Cow::Owned([shared, self.rest].concat()),
        }
    }
}

/// One fact of a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// A URL was taken on and is pending.
    Request {
        /// Counted up from 0 over the life of the job.
        id: u64,
        /// Where it lies in the journal.
        at: u64,
        /// What was asked for.
        request: Stored<'a>,
    },
    /// A URL that is finished and of which only the fingerprint is kept.
    Seen {
        /// Keyed with the manifest's key; what it covers is the frontier's affair.
        fingerprint: [u8; 16],
    },
    /// A request is finished.
    Done {
        /// Of the request.
        id: u64,
        /// For good, without a usable response.
        failed: bool,
    },
    /// A request is pending again and must wait.
    Defer {
        /// Of the request.
        id: u64,
        /// Attempts made so far.
        attempts: u32,
        /// Milliseconds since 1970, UTC; not to be sent earlier.
        due_ms: u64,
    },
    /// A value of the state beside the queue: cookies, hosts, robots, the spider's own.
    /// The last one of a key holds.
    Set {
        /// The key; a prefix says whose it is.
        key: &'a str,
        /// The value.
        value: &'a [u8],
    },
    /// A key has no value any more.
    Unset {
        /// The key.
        key: &'a str,
    },
    /// In a settled journal: the next request has this id, those before it are not there any more.
    Ids {
        /// The id.
        next: u64,
    },
    /// The end of a batch, and what it vouches for.
    Commit(CommitText<'a>),
}

/// A commit as it lies in the journal. Read only when it is wanted: of a thousand commits
/// a restart needs the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitText<'a>(pub(crate) &'a str);

impl CommitText<'_> {
    /// Reads it.
    ///
    /// # Errors
    /// In words, when it is no commit that is known.
    pub fn parse(&self) -> Result<Commit, String> {
        let read: Result<Commit, _> = serde_json::from_str(self.0);
        let mut commit = read.map_err(|error| format!("a commit is not understood: {error}"))?;
        // An older version named all.
        commit.progress.name_few();
        Ok(commit)
    }
}

/// What every batch ends with: all before it happened, and nothing after it did yet.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Commit {
    /// Milliseconds since 1970, UTC.
    pub at_ms: u64,
    /// The figures of the crawl.
    pub progress: Progress,
    /// Lengths of files that were durable before this was written, by name (`output`, …).
    pub files: BTreeMap<String, u64>,
    /// [`Tail::sum`](crate::durable::Tail::sum) of such files up to there, where more than the
    /// length is looked at.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tails: BTreeMap<String, String>,
}

/// Small numbers of either sign become small numbers.
#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

impl Stored<'_> {
    /// Appends the request. Its last four bytes are a CRC-32 over the others, so that a request
    /// can be read back alone and still never be a wrong one.
    #[inline]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        // One reservation for all that usually comes; the pushes below then never grow.
        out.reserve(self.url.len() + 32);
        let mut tag = tag::REQUEST;
        tag |= flag::PRIORITY * u8::from(self.priority != 0);
        tag |= flag::REFERER * u8::from(self.referer.is_some());
        tag |= flag::EXTRA * u8::from(self.extra.is_some());
        tag |= flag::NOFOLLOW * u8::from(self.nofollow);
        tag |= flag::REDIRECTS * u8::from(self.redirects != 0);
        out.push(tag);
        put_bytes(out, self.url.as_bytes());
        put_varint(out, u64::from(self.depth));
        if self.priority != 0 {
            put_varint(out, zigzag(self.priority));
        }
        if self.redirects != 0 {
            put_varint(out, u64::from(self.redirects));
        }
        if let Some(referer) = &self.referer {
            put_varint(out, referer.shared_bytes as u64);
            put_bytes(out, referer.rest.as_bytes());
        }
        if let Some(extra) = self.extra {
            put_bytes(out, extra.as_bytes());
        }
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

impl<'a> Cursor<'a> {
    /// A request, its tag included. The CRC is looked at only where no checksum of the whole
    /// batch vouches for the bytes.
    #[inline]
    pub(super) fn request(&mut self, check_crc: bool) -> Result<Stored<'a>, Bad> {
        let start = self.at();
        let tag = self.byte()?;
        if tag & tag::REQUEST == 0 || tag & !tag::REQUEST & !flag::ALL != 0 {
            return Err(Bad::Wrong("here is no request"));
        }
        let has = |flag: u8| tag & flag != 0;
        let mut request = Stored {
            url: self.text()?,
            depth: self.varint_u32()?,
            nofollow: has(flag::NOFOLLOW),
            ..Stored::default()
        };
        if has(flag::PRIORITY) {
            request.priority = unzigzag(self.varint()?);
        }
        if has(flag::REDIRECTS) {
            request.redirects = self.varint_u32()?;
        }
        if has(flag::REFERER) {
            let shared_bytes = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
            if !request.url.is_char_boundary(shared_bytes) {
                return Err(Bad::Wrong("a referer shares more than there is"));
            }
            request.referer = Some(Referer {
                shared_bytes,
                rest: self.text()?,
            });
        }
        if has(flag::EXTRA) {
            request.extra = Some(self.text()?);
        }
        let bytes = self.since(start);
        let crc = u32::from_le_bytes(self.fixed()?);
        if check_crc && crc != crc32fast::hash(bytes) {
            return Err(Bad::Wrong("the request's checksum is wrong"));
        }
        Ok(request)
    }

    /// The next entry. `start` is where the slice lies in the journal, `next_id` counts the requests.
    #[inline]
    pub(super) fn entry(&mut self, start: u64, next_id: &mut u64) -> Result<Entry<'a>, Bad> {
        let at = start + self.at() as u64;
        let tag = self.peek()?;
        if tag & tag::REQUEST != 0 {
            let id = *next_id;
            *next_id += 1;
            let request = self.request(false)?;
            return Ok(Entry::Request { id, at, request });
        }
        self.byte()?;
        Ok(match tag {
            tag::SEEN => Entry::Seen {
                fingerprint: self.fixed()?,
            },
            tag::DONE | tag::FAILED => Entry::Done {
                id: self.varint()?,
                failed: tag == tag::FAILED,
            },
            tag::DEFER => Entry::Defer {
                id: self.varint()?,
                attempts: self.varint_u32()?,
                due_ms: self.varint()?,
            },
            tag::SET => Entry::Set {
                key: self.text()?,
                value: self.prefixed()?,
            },
            tag::UNSET => Entry::Unset { key: self.text()? },
            tag::COMMIT => Entry::Commit(CommitText(self.text()?)),
            tag::IDS => {
                let next = self.varint()?;
                if next < *next_id {
                    return Err(Bad::Wrong("ids go backwards"));
                }
                *next_id = next;
                Entry::Ids { next }
            }
            _ => return Err(Bad::Wrong("the kind of an entry is not known")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_either_sign_survive_the_round_trip() {
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn a_plain_request_costs_at_most_ten_bytes_beyond_its_url() {
        let url = "x".repeat(300);
        let request = Stored {
            url: &url,
            depth: 7,
            ..Stored::default()
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert!(bytes.len() <= url.len() + 10, "{}", bytes.len());
    }

    #[test]
    fn the_example_in_format_md_is_what_is_written() {
        let request = Stored {
            url: "https://a.example/b",
            depth: 2,
            referer: Some(Referer::of("https://a.example/b", "https://a.example/c")),
            ..Stored::default()
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let example = format!("\n{}\n", hex.join(" "));
        assert!(
            include_str!("../../FORMAT.md").contains(&example),
            "{example}"
        );
    }

    #[test]
    fn a_referer_is_given_back_whatever_it_shares() {
        for (url, referer) in [
            ("http://a/x/y", "http://a/x/z"),
            ("http://a/", "http://a/"),
            ("http://a/", "http://a/longer"),
            ("http://a/longer", "http://a/"),
            ("http://a/é", "http://a/è"),
            ("http://a/", ""),
            ("", "http://b/"),
        ] {
            assert_eq!(Referer::of(url, referer).to_text(url), referer);
        }
    }

    #[test]
    fn every_flipped_bit_of_a_request_read_alone_is_noticed() {
        let request = Stored {
            url: "https://a.example/path?q=1",
            depth: 3,
            priority: -5,
            nofollow: true,
            redirects: 2,
            referer: Some(Referer::of(
                "https://a.example/path?q=1",
                "https://a.example/",
            )),
            extra: Some(r#"{"method":"POST"}"#),
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        assert_eq!(Cursor::new(&bytes).request(true), Ok(request));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(Cursor::new(&bad).request(true), Ok(request), "bit {bit}");
            assert!(Cursor::new(&bad).request(true).is_err(), "bit {bit}");
        }
    }
}
