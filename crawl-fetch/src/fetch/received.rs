//! What an answer that arrived whole says.

use std::cell::OnceCell;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crawl_ckpt::record::{FetchResult, Kind};
use crawl_ckpt::robots;
use crawl_ckpt::text::Text;
use encoding_rs::Encoding;
use ureq::http::HeaderMap;
use ureq::http::header::REFRESH;
use url::Url;

use super::Fetcher;
use crate::http::header::text_of;
use crate::page::charset::{self, Media};
use crate::page::extract::{Extractor, ItemFields, Workspace};
use crate::page::{Mark, PageReader, Want, challenge, sitemap};
use crate::parse::is_parsed;

/// An answer that arrived whole.
pub(super) struct Received<'b> {
    pub bytes: &'b [u8],
    pub media: Media,
    pub encoding: OnceCell<&'static Encoding>,
    pub headers: HeaderMap,
    pub url: Url,
}

impl Received<'_> {
    /// The encoding of a text; looked for once, since that reads the page.
    pub fn encoding(&self, content_type: Option<&str>) -> &'static Encoding {
        let find = || charset::encoding(content_type, self.bytes);
        self.encoding.get_or_init(find)
    }
}

impl Fetcher {
    /// Fills the result from a body that arrived whole; returns its marks, if they are wanted.
    pub(super) fn understand<'p>(
        &self,
        kind: Kind,
        received: &Received<'p>,
        (pages, workspace): (&'p mut PageReader, &mut Workspace),
        marks: bool,
        result: &mut FetchResult<'p>,
    ) -> &'p [Mark] {
        let mut marked = &[][..];
        let bytes = received.bytes;
        // Those of a page that was rendered are known.
        if result.digest.is_none() {
            result.bytes = Some(bytes.len() as u64);
            // What did not change was not sent: there is nothing that a digest would be of.
            let is_sent = result.status != Some(304);
            result.digest = is_sent.then(|| digest(bytes).into());
        }
        let content_type = result.content_type.as_deref();
        let encoding = || received.encoding(content_type);
        let media = received.media;
        let good = result.status.is_some_and(|status| status / 100 == 2);
        let is_read = self.options.reads(result.status);
        match kind {
            Kind::Robots => {
                let whole = robots::whole_lines(bytes);
                result.robots = Some(encoding().decode(whole).0.into_owned().into());
            }
            Kind::Sitemap if good => {
                result.sitemap = sitemap::entries(content_type, bytes, &received.url);
            }
            Kind::Page if media == Media::Html => {
                // Links of an error page or a redirect lead in circles.
                let with_links = self.options.links && is_read;
                let regions = self.extractor.as_ref().and_then(Extractor::regions);
                let refresh = received.headers.get(REFRESH).map(text_of);
                let want = Want {
                    links: with_links,
                    marks,
                    refresh: refresh.as_deref(),
                    regions: regions.map(|regions| (regions, workspace)),
                };
                let page = pages.read(bytes, encoding(), &received.url, want);
                if good {
                    let title = page.title.as_deref();
                    let why = challenge::of(&received.headers, bytes, title, page.links.len());
                    result.blocked = why.map(Text::from);
                }
                result.title = page.title.map(Text::from);
                result.links = page.links;
                marked = page.marks;
                result.link_regions = page.regions;
                result.links_dropped = (page.dropped > 0).then_some(page.dropped);
            }
            _ => {}
        }
        let parsed = self.parsers.is_some() && is_parsed(kind, result);
        if self.options.body || (parsed && media != Media::Binary) {
            match media {
                Media::Binary => result.body_base64 = Some(BASE64_STANDARD.encode(bytes).into()),
                _ => result.body = Some(Text(encoding().decode(bytes).0).into()),
            }
        }
        marked
    }
}

/// Fills the result with what is wanted of a page.
///
/// # Errors
/// There is no thread to be had.
pub(super) fn extract<'p>(
    received: &Received<'p>,
    wanted: Option<(ItemFields<'_>, &[Mark])>,
    items: &'p mut Workspace,
    result: &mut FetchResult<'p>,
) -> Result<(), NoThread> {
    let Some((fields, marks)) = wanted.filter(|_| result.blocked.is_none()) else {
        return Ok(());
    };
    let encoding = received.encoding(result.content_type.as_deref());
    let known = (encoding, &received.url);
    let Some(item) = fields.item(received.bytes, marks, known, items) else {
        return Ok(());
    };
    if item.is_short {
        return Err(NoThread);
    }
    result.item = Some(item.json);
    result.item_cut = item.is_cut.then_some(true);
    Ok(())
}

/// There is no thread to be had now.
pub(super) struct NoThread;

pub(super) fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity("blake3:".len() + 64);
    text.push_str("blake3:");
    text.push_str(&blake3::hash(bytes).to_hex());
    text
}
