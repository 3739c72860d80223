//! An incremental crawl: what an answer says against what was known of its page.

use crawl_ckpt::delta::{LEARNED, Links, Page};
use crawl_ckpt::record::{Change, FetchResult};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;

use super::places::{self, Places};
use super::{Crawl, Flight};
use crate::delta::{Ask, compare, count, is_gone, mark, page_of};
use crate::open::HeldJob;

/// The status of a page that did not change.
const NOT_MODIFIED: u16 = 304;

impl Crawl {
    /// Takes on what a finished page leads to, and says how the page compares with what was known
    /// of it; `None` when it does not compare.
    pub(super) fn follow_and_compare(
        &mut self,
        result: &mut FetchResult<'_>,
        flight: &Flight,
        failed: bool,
    ) -> Result<Option<Change>, Failure> {
        let Some(delta) = self.delta.as_ref().filter(|_| flight.ask != Ask::Apart) else {
            self.follow(result, None, flight);
            return Ok(None);
        };
        let mut buffer = std::mem::take(&mut self.known_buffer);
        let known = delta.find(&mark(&result.url), &mut buffer)?;
        let held =
            known.filter(|_| flight.ask == Ask::IfChanged && result.status == Some(NOT_MODIFIED));
        let mut rules = None;
        if let Some(links) = held.and_then(|page| page.links) {
            let (links, by) = places::known(links.decode().map_err(Failure::new)?);
            result.links = links.into_iter().map(Text::from).collect();
            rules = Some(by);
        }
        self.follow(result, rules.as_deref(), flight);
        let change = match held {
            Some(page) => Some(self.learn_held(&page, result)),
            // It says nothing of the page when nobody asked on a condition.
            None if result.status == Some(NOT_MODIFIED) => None,
            None if failed || result.error.is_some() => None,
            None => {
                let change = self.learn(known.as_ref(), result, flight);
                if let Some(known) = known.filter(|_| flight.follow) {
                    self.follow_former(&known, &result.url, flight)?;
                }
                change
            }
        };
        self.known_buffer = buffer;
        if let (Some(change), Some(counts)) = (change, &mut self.progress.delta) {
            count(counts, change);
        }
        Ok(change)
    }

    /// The server says that the page is what it was; its validators may be others now.
    fn learn_held(&mut self, known: &Page<'_>, result: &FetchResult<'_>) -> Change {
        let said = page_of(result, None);
        let page = Page {
            missed: 0,
            etag: said.etag.or(known.etag),
            last_modified: said.last_modified.or(known.last_modified),
            ..*known
        };
        self.keep(Some(known), &page);
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
        let links = is_followed.then(|| Links::encode(self.links.iter(), &mut bytes));
        let page = page_of(result, links.flatten());
        self.keep(known, &page);
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
        let (Some(links), Some(delta)) = (known.links, &self.delta) else {
            return Ok(());
        };
        let mut buffer = Vec::new();
        let (mut former, mut rules) = (Vec::new(), Vec::new());
        let (links, by) = places::known(links.decode().map_err(Failure::new)?);
        for (link, rule) in links.into_iter().zip(by) {
            let is_met = self.seen.contains(self.marker.get(&link));
            if !is_met
                && delta
                    .find(&mark(&link), &mut buffer)?
                    .is_some_and(|page| !is_gone(&page))
            {
                former.push(Text::from(link));
                rules.push(rule);
            }
        }
        self.follow_links(&former, Places::Known(&rules), url, flight);
        Ok(())
    }

    fn keep(&mut self, known: Option<&Page<'_>>, page: &Page<'_>) {
        let same = known.map(|known| Page {
            missed: 0,
            ..*known
        });
        match same.as_ref() == Some(page) {
            true => self.log.learn_same(&page.fingerprint),
            false => self.log.learn_page(page),
        }
    }

    /// Makes what the complete crawl learned known to the next one. Call it after the last commit.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn make_known(&self, job: &HeldJob) -> Result<(), Failure> {
        match (&self.delta, self.log.files().get(LEARNED)) {
            (Some(delta), Some(&bytes)) => job.absorb(delta, bytes),
            _ => Ok(()),
        }
    }
}
