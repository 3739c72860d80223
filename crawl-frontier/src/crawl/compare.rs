//! An incremental crawl: what an answer says against what was known of its page.

use crawl_ckpt::control;
use crawl_ckpt::delta::{Fingerprint, MAX_VALIDATOR_BYTES, Page, PageLinks};
use crawl_ckpt::record::{Change, FetchResult, Request};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;

use super::regions::{self, Regions};
use super::{Crawl, Flight, captures};
use crate::store::Store;
use crate::url::fingerprint;

/// The status of a page that did not change.
const NOT_MODIFIED: u16 = 304;

/// How a request was sent, as far as what is known of pages goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// For something that is not compared.
    Apart,
    /// For the whole page, whatever is known of it.
    Whole,
    /// For the page only if it changed.
    IfChanged,
}

impl<S: Store> Crawl<S> {
    /// Takes on what a finished page leads to, and says how the page compares with what was known
    /// of it; `None` when it does not compare.
    pub(super) fn follow_and_compare(
        &mut self,
        result: &mut FetchResult<'_>,
        flight: &Flight,
        failed: bool,
    ) -> Result<Option<Change>, Failure> {
        if flight.ask == Ask::Apart || !self.store.is_incremental() {
            self.follow(result, None, flight);
            return Ok(None);
        }
        let mut buffer = std::mem::take(&mut self.known_buffer);
        let known = self
            .store
            .known(&page_fingerprint(&result.url), &mut buffer)?;
        let held =
            known.filter(|_| flight.ask == Ask::IfChanged && result.status == Some(NOT_MODIFIED));
        let mut rules = None;
        if let Some(links) = held.and_then(|page| page.links) {
            let (links, by) = regions::known(links.decode().map_err(Failure::new)?);
            result.links = links.into_iter().map(Text::from).collect();
            rules = Some(by);
        }
        self.follow(result, rules.as_deref(), flight);
        let change = match held {
            Some(page) => Some(self.learn_held(&page, result, flight)),
            // It says nothing of the page when nobody asked on a condition.
            None if result.status == Some(NOT_MODIFIED) => None,
            None if failed || result.error.is_some() => None,
            None => {
                let change = self.learn(known.as_ref(), result, flight);
                if let Some(known) = known.filter(|_| flight.follow && result.location.is_none()) {
                    self.follow_former(&known, &result.url, flight)?;
                }
                change
            }
        };
        self.known_buffer = buffer;
        Ok(change)
    }

    /// Counts a page that is finished.
    pub(super) fn count_change(&mut self, change: Option<Change>) {
        if let (Some(change), Some(counts)) = (change, &mut self.progress.delta) {
            count(counts, change);
        }
    }

    /// The server says that the page is what it was; its validators may be others now.
    fn learn_held(
        &mut self,
        known: &Page<'_>,
        result: &FetchResult<'_>,
        flight: &Flight,
    ) -> Change {
        let said = page_of(result, None);
        let page = Page {
            missed: 0,
            etag: said.etag.or(known.etag),
            last_modified: said.last_modified.or(known.last_modified),
            ..*known
        };
        self.keep(Some(known), &page, flight);
        Change::Unchanged
    }

    fn learn(
        &mut self,
        known: Option<&Page<'_>>,
        result: &FetchResult<'_>,
        flight: &Flight,
    ) -> Option<Change> {
        let mut bytes = Vec::new();
        let is_followed = flight.follow && result.location.is_none();
        let links = is_followed.then(|| PageLinks::encode(self.links.iter(), &mut bytes));
        let mut page = page_of(result, links.flatten());
        if page.capture.is_none() && known.is_some_and(|known| is_same(known, &page)) {
            page.capture = known.and_then(|known| known.capture);
        }
        self.keep(known, &page, flight);
        compare(known, &page)
    }

    /// Asks again for the known pages that a page led to when it was known and does not any more:
    /// they may be gone, and with their links gone too nobody would ever tell.
    fn follow_former(
        &mut self,
        known: &Page<'_>,
        url: &str,
        flight: &Flight,
    ) -> Result<(), Failure> {
        let Some(links) = known.links else {
            return Ok(());
        };
        let (links, by) = regions::known(links.decode().map_err(Failure::new)?);
        let fingerprints: Vec<u128> = links
            .iter()
            .map(|link| self.fingerprinter.get(link))
            .collect();
        let mut met = Vec::new();
        self.store.is_seen(&fingerprints, &mut met);
        let mut buffer = Vec::new();
        let (mut former, mut rules) = (Vec::new(), Vec::new());
        for ((link, rule), is_met) in links.into_iter().zip(by).zip(met) {
            let is_there = |page: Option<Page<'_>>| page.is_some_and(|page| !is_gone(&page));
            if !is_met && is_there(self.store.known(&page_fingerprint(&link), &mut buffer)?) {
                former.push(Text::from(link));
                rules.push(rule);
            }
        }
        self.follow_links(&former, Regions::Known(&rules), url, flight);
        Ok(())
    }

    /// The same for a page that has become a redirect.
    pub(super) fn follow_former_of(&mut self, flight: &Flight) -> Result<(), Failure> {
        if flight.ask == Ask::Apart || !flight.follow || !self.store.is_incremental() {
            return Ok(());
        }
        let stored = self.store.read(flight.ticket, &mut self.read_buffer)?;
        let (url, mut buffer) = (stored.url.to_owned(), Vec::new());
        match self.store.known(&page_fingerprint(&url), &mut buffer)? {
            Some(known) => self.follow_former(&known, &url, flight),
            None => Ok(()),
        }
    }

    fn keep(&mut self, known: Option<&Page<'_>>, page: &Page<'_>, flight: &Flight) {
        let same = known.map(|known| Page {
            missed: 0,
            ..*known
        });
        // What its first answer taught goes before that nothing changed.
        let is_again = self.turns.is_again(flight.ticket.id());
        self.store
            .learn(page, !is_again && same.as_ref() == Some(page));
    }
}

/// Makes a request for a page that is known a conditional one, if its links are known in
/// case that it did not change.
///
/// # Errors
/// Errors of the disk, and damage.
pub(super) fn ask(
    store: &impl Store,
    request: &mut Request<'_>,
    follow: bool,
    buffer: &mut Vec<u8>,
) -> Result<Ask, Failure> {
    let is_get = request
        .method
        .as_deref()
        .is_none_or(|method| method == "GET");
    let is_conditional = request.etag.is_some() || request.last_modified.is_some();
    let is_apart = !request.kind.is_page() || !is_get || request.body.is_some() || is_conditional;
    if is_apart || !store.is_incremental() {
        return Ok(Ask::Apart);
    }
    let Some(page) = store.known(&page_fingerprint(&request.url), buffer)? else {
        return Ok(Ask::Whole);
    };
    let keeps_pages = store.keeps_pages();
    let capture = page.capture.filter(|_| keeps_pages);
    request.capture = capture.as_ref().and_then(captures::told);
    let has_validator = page.etag.is_some() || page.last_modified.is_some();
    // The answer that nothing changed shows nothing by itself.
    let is_shown = !keeps_pages || request.capture.is_some();
    if !has_validator || (follow && page.links.is_none()) || !is_shown {
        return Ok(Ask::Whole);
    }
    let text = |value: &str| value.to_owned().into();
    request.etag = page.etag.map(text);
    request.last_modified = page.last_modified.map(text);
    Ok(Ask::IfChanged)
}

/// The fingerprint under which a page is known.
fn page_fingerprint(canonical: &str) -> Fingerprint {
    fingerprint("GET", canonical, "")
}

/// What an answer says of its page.
fn page_of<'a>(result: &'a FetchResult<'_>, links: Option<PageLinks<'a>>) -> Page<'a> {
    let status = result.status.unwrap_or(0);
    // Only these can be asked for again with a condition.
    let keep = |value: &'a Option<Text<'_>>| {
        let value = value.as_deref().filter(|_| matches!(status, 200 | 304));
        value.filter(|value| !value.is_empty() && value.len() <= MAX_VALIDATOR_BYTES)
    };
    Page {
        fingerprint: page_fingerprint(&result.url),
        status,
        missed: 0,
        digest: match &result.location {
            Some(target) => Some(*blake3::hash(target.as_bytes()).as_bytes()),
            None => digest(result),
        },
        etag: keep(&result.etag),
        last_modified: keep(&result.last_modified),
        links,
        capture: result.capture.as_ref().and_then(captures::kept),
    }
}

/// What a page is known by: its bytes, and what its scripts made of them if it was rendered. A shell
/// never changes, and what is in it does.
fn digest(result: &FetchResult<'_>) -> Option<[u8; 32]> {
    let sent = result.digest.as_deref().and_then(digest_of)?;
    let rendered = result.render.as_ref().and_then(|it| it.digest.as_deref());
    Some(match rendered.and_then(digest_of) {
        Some(rendered) => *blake3::hash(&[sent, rendered].concat()).as_bytes(),
        None => sent,
    })
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let hash = blake3::Hash::from_hex(text.strip_prefix("blake3:")?).ok()?;
    Some(*hash.as_bytes())
}

/// True for a page that said that it is not there.
fn is_gone(page: &Page<'_>) -> bool {
    matches!(page.status, 404 | 410)
}

/// True for the same answer; without a digest nobody knows.
fn is_same(known: &Page<'_>, page: &Page<'_>) -> bool {
    page.digest.is_some() && (known.status, known.digest) == (page.status, page.digest)
}

/// How a page compares with what was known of it; `None` for one that never was there.
fn compare(known: Option<&Page<'_>>, page: &Page<'_>) -> Option<Change> {
    let was_gone = known.is_none_or(is_gone);
    Some(match (known, is_gone(page)) {
        (None, true) => return None,
        (Some(_), true) if was_gone => Change::Unchanged,
        (Some(_), true) => Change::Gone,
        (_, false) if was_gone => Change::New,
        (Some(known), false) if is_same(known, page) => Change::Unchanged,
        (_, false) => Change::Changed,
    })
}

/// Counts a page.
fn count(delta: &mut control::Delta, change: Change) {
    match change {
        Change::New => delta.new += 1,
        Change::Changed => delta.changed += 1,
        Change::Unchanged => delta.unchanged += 1,
        Change::Gone => delta.gone += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(status: u16, digest: u8) -> Page<'static> {
        Page {
            status,
            digest: Some([digest; 32]),
            ..Page::default()
        }
    }

    #[test]
    fn a_page_compares_by_status_and_digest_and_what_is_gone_by_status_alone() {
        let blind = Page {
            digest: None,
            ..page(200, 0)
        };
        for (known, now, want) in [
            (None, page(200, 1), Some(Change::New)),
            (None, page(404, 1), None),
            (Some(page(200, 1)), page(200, 1), Some(Change::Unchanged)),
            (Some(page(200, 1)), page(200, 2), Some(Change::Changed)),
            (Some(page(200, 1)), page(301, 1), Some(Change::Changed)),
            (Some(page(200, 1)), page(410, 1), Some(Change::Gone)),
            (Some(page(404, 1)), page(410, 2), Some(Change::Unchanged)),
            (Some(page(404, 1)), page(200, 1), Some(Change::New)),
            (Some(page(301, 1)), page(301, 1), Some(Change::Unchanged)),
            // Without a digest nobody knows that it is the same.
            (Some(blind), blind, Some(Change::Changed)),
        ] {
            assert_eq!(compare(known.as_ref(), &now), want, "{known:?} {now:?}");
        }
    }
}
