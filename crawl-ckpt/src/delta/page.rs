//! What is known of one page, and its bytes.

use crate::codec::{Bad, Cursor, put_bytes, put_varint};
use crate::warc::SHA1_BYTES;

/// The first 128 bits of BLAKE3 over method, canonical URL and body, as `crawl-frontier canon`
/// prints them.
pub type Fingerprint = [u8; 16];

/// Longer validators are not kept: such a page is asked for without.
pub const MAX_VALIDATOR_BYTES: usize = 1024;

/// Links that take more than this are not kept: such a page is asked for without validators.
pub const MAX_LINK_BYTES: usize = crate::record::MAX_LINK_BYTES;

const SAME: u8 = 1;
const PAGE: u8 = 0x80;

mod flag {
    pub const DIGEST: u8 = 1;
    pub const ETAG: u8 = 2;
    pub const LAST_MODIFIED: u8 = 4;
    pub const LINKS: u8 = 8;
    pub const CAPTURE: u8 = 16;
    /// Only with `CAPTURE`.
    pub const CODING: u8 = 32;
    pub const ALL: u8 = 63;
}

/// What is known of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Page<'a> {
    /// Of its URL.
    pub fingerprint: Fingerprint,
    /// The status that it had.
    pub status: u16,
    /// Complete crawls in a row that did not come by.
    pub missed: u32,
    /// BLAKE3 of the body; of a redirect, of its absolute target.
    pub digest: Option<[u8; 32]>,
    /// The `ETag` of the answer.
    pub etag: Option<&'a str>,
    /// The `Last-Modified` of the answer.
    pub last_modified: Option<&'a str>,
    /// The links that belong to the crawl; `None` when they are not known.
    pub links: Option<PageLinks<'a>>,
    /// Where an archive has it; `None` when none has it as it is now.
    pub capture: Option<PageCapture<'a>>,
}

/// The WARC record that has a page's bytes, as later ones refer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCapture<'a> {
    /// Its `WARC-Date`, in milliseconds since 1970 UTC.
    pub at_ms: u64,
    /// Its `WARC-Payload-Digest`.
    pub sha1: [u8; SHA1_BYTES],
    /// The Content-Encoding of the answer.
    pub content_encoding: Option<&'a str>,
}

/// Canonical URLs in document order, each told by what it does not share with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageLinks<'a>(&'a [u8]);

/// What a file of pages holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEntry<'a> {
    /// What was known of this page still holds.
    Same(Fingerprint),
    /// What is known of a page now.
    Page(Page<'a>),
}

impl<'a> PageLinks<'a> {
    /// Puts links into their short form; `None` when that is too long to be kept.
    pub fn encode<'l>(
        links: impl IntoIterator<Item = &'l str>,
        out: &'a mut Vec<u8>,
    ) -> Option<PageLinks<'a>> {
        out.clear();
        let mut before = "";
        for link in links {
            let pairs = before.bytes().zip(link.bytes());
            let mut shared = pairs.take_while(|(a, b)| a == b).count();
            while !link.is_char_boundary(shared) {
                shared -= 1;
            }
            put_varint(out, shared as u64);
            put_bytes(out, &link.as_bytes()[shared..]);
            if out.len() > MAX_LINK_BYTES {
                return None;
            }
            before = link;
        }
        Some(PageLinks(out))
    }

    /// The links again.
    ///
    /// # Errors
    /// The bytes are none; their checksum cannot have been right.
    pub fn decode(&self) -> Result<Vec<String>, String> {
        let mut cursor = Cursor::new(self.0);
        let mut links: Vec<String> = Vec::new();
        while !cursor.is_at_end() {
            let link = next_link(&mut cursor, links.last().map_or("", String::as_str));
            links.push(link.map_err(in_words)?);
        }
        Ok(links)
    }
}

fn next_link(cursor: &mut Cursor<'_>, before: &str) -> Result<String, Bad> {
    let shared = usize::try_from(cursor.varint()?).unwrap_or(usize::MAX);
    let shared = before
        .get(..shared)
        .ok_or(Bad::Wrong("a link shares more than there is"))?;
    Ok([shared, cursor.text()?].concat())
}

pub(super) fn in_words(bad: Bad) -> String {
    match bad {
        Bad::Short(_) => "an entry is cut short".to_owned(),
        Bad::Wrong(why) => why.to_owned(),
    }
}

/// Appends a mark that what was known of a page still holds.
pub(super) fn put_same(out: &mut Vec<u8>, fingerprint: &Fingerprint) {
    out.push(SAME);
    out.extend_from_slice(fingerprint);
}

impl Page<'_> {
    /// Appends the page. Its last four bytes are a CRC-32 over the others, so that it can be read
    /// back alone and still never be a wrong one.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let mut tag = PAGE;
        tag |= flag::DIGEST * u8::from(self.digest.is_some());
        tag |= flag::ETAG * u8::from(self.etag.is_some());
        tag |= flag::LAST_MODIFIED * u8::from(self.last_modified.is_some());
        tag |= flag::LINKS * u8::from(self.links.is_some());
        tag |= flag::CAPTURE * u8::from(self.capture.is_some());
        let coding = self.capture.and_then(|capture| capture.content_encoding);
        tag |= flag::CODING * u8::from(coding.is_some());
        out.push(tag);
        out.extend_from_slice(&self.fingerprint);
        put_varint(out, u64::from(self.status));
        put_varint(out, u64::from(self.missed));
        if let Some(digest) = &self.digest {
            out.extend_from_slice(digest);
        }
        for validator in [self.etag, self.last_modified].into_iter().flatten() {
            put_bytes(out, validator.as_bytes());
        }
        if let Some(links) = &self.links {
            put_bytes(out, links.0);
        }
        if let Some(capture) = &self.capture {
            put_varint(out, capture.at_ms);
            out.extend_from_slice(&capture.sha1);
        }
        if let Some(coding) = coding {
            put_bytes(out, coding.as_bytes());
        }
        let crc = crc32fast::hash(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

/// The next entry.
pub(super) fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<PageEntry<'a>, Bad> {
    let start = cursor.at();
    let tag = cursor.byte()?;
    if tag == SAME {
        return Ok(PageEntry::Same(cursor.fixed()?));
    }
    if tag & PAGE == 0 || tag & !PAGE & !flag::ALL != 0 {
        return Err(Bad::Wrong("the kind of an entry is not known"));
    }
    let has = |flag: u8| tag & flag != 0;
    if has(flag::CODING) && !has(flag::CAPTURE) {
        return Err(Bad::Wrong("an encoding is of no capture"));
    }
    let mut page = Page {
        fingerprint: cursor.fixed()?,
        status: u16::try_from(cursor.varint()?).map_err(|_| Bad::Wrong("this is no status"))?,
        missed: cursor.varint_u32()?,
        ..Page::default()
    };
    if has(flag::DIGEST) {
        page.digest = Some(cursor.fixed()?);
    }
    if has(flag::ETAG) {
        page.etag = Some(cursor.text()?);
    }
    if has(flag::LAST_MODIFIED) {
        page.last_modified = Some(cursor.text()?);
    }
    if has(flag::LINKS) {
        page.links = Some(PageLinks(cursor.prefixed()?));
    }
    if has(flag::CAPTURE) {
        let (at_ms, sha1) = (cursor.varint()?, cursor.fixed()?);
        let coding = has(flag::CODING).then(|| cursor.text());
        page.capture = Some(PageCapture {
            at_ms,
            sha1,
            content_encoding: coding.transpose()?,
        });
    }
    let bytes = cursor.since(start);
    if u32::from_le_bytes(cursor.fixed()?) != crc32fast::hash(bytes) {
        return Err(Bad::Wrong("the checksum of a page is wrong"));
    }
    Ok(PageEntry::Page(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_given_back_in_their_order_whatever_they_share() {
        for links in [
            &[][..],
            &["http://a/"],
            &["http://a/x/1", "http://a/x/2", "http://b/", "http://a/x/2"],
            &["http://a/é", "http://a/è", "", "http://a/"],
        ] {
            let mut bytes = Vec::new();
            let encoded = PageLinks::encode(links.iter().copied(), &mut bytes).unwrap();
            assert_eq!(encoded.decode().unwrap(), links);
        }
    }

    #[test]
    fn every_flipped_bit_of_a_page_is_noticed() {
        let mut bytes = Vec::new();
        let links = PageLinks::encode(["http://a/1", "http://a/2"], &mut bytes);
        let page = Page {
            fingerprint: [7; 16],
            status: 200,
            missed: 3,
            digest: Some([9; 32]),
            etag: Some("\"e\""),
            last_modified: Some("Sun, 22 Nov 2026 08:00:00 GMT"),
            links,
            capture: Some(PageCapture {
                at_ms: 1_795_694_532_007,
                sha1: [5; SHA1_BYTES],
                content_encoding: Some("gzip"),
            }),
        };
        let mut bytes = Vec::new();
        page.encode(&mut bytes);
        assert_eq!(entry(&mut Cursor::new(&bytes)), Ok(PageEntry::Page(page)));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let found = entry(&mut Cursor::new(&bad));
            assert!(
                !matches!(found, Ok(PageEntry::Page(_))),
                "bit {bit}: {found:?}"
            );
        }
    }
}
