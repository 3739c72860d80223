//! What earlier crawls knew of pages, and how an answer compares with it.

use crawl_ckpt::control;
use crawl_ckpt::delta::{
    self, Fingerprint, Known, Learning, Links, MAX_VALIDATOR_BYTES, Page, ScopeHash,
};
use crawl_ckpt::durable::{Append, RealDisk};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::{Change, FetchResult, Request};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;

use crate::url::fingerprint;

/// What earlier crawls knew; nothing of it changes before the crawl is complete.
#[derive(Debug)]
pub struct Delta {
    known: Option<Known>,
    scope: ScopeHash,
}

/// How a request was sent, as far as what is known of pages goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// It is nothing that is compared.
    Apart,
    /// For the whole page, whatever is known of it.
    Whole,
    /// For the page only if it changed.
    IfChanged,
}

/// What the crawl learns, as it goes to the disk and as it gathers in memory.
pub type Learned = (Append, Learning);

impl Delta {
    /// For a crawl that begins: reads all that is known, so that damage is told before anything
    /// is asked for. `None` unless the plan is incremental.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn open(place: &JobPlace, plan: &Plan) -> Result<Option<Delta>, Failure> {
        if !plan.delta {
            return Ok(None);
        }
        let scope = scope_of(plan);
        let known = Known::open(&RealDisk, place, scope)?;
        if let Some(known) = &known {
            known.tell(|_| Ok(()))?;
        }
        Ok(Some(Delta { known, scope }))
    }

    /// Begins to learn, in a new job.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn begin(&self, job: &Job, lock: &JobLock) -> Result<Learned, Failure> {
        let base = self.known.as_ref().map(Known::key);
        Ok(delta::begin(job, lock, base, self.scope)?)
    }

    /// For a crawl that goes on: what is known, as long as it is what was known when the crawl
    /// began. `committed` is how much it learned, if that was committed.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn resume(
        job: &Job,
        lock: &JobLock,
        plan: &Plan,
        committed: Option<u64>,
        notes: &mut Vec<String>,
    ) -> Result<Option<(Delta, Learned)>, Failure> {
        if !plan.delta {
            return Ok(None);
        }
        let scope = scope_of(plan);
        let known = Known::open(&**job.disk(), job.place(), scope)?;
        let mut delta = Delta { known, scope };
        let Some(committed) = committed else {
            let learned = delta.begin(job, lock)?;
            return Ok(Some((delta, learned)));
        };
        let learned = delta::resume(job, lock, committed, scope)?;
        let key = delta.known.as_ref().map(Known::key).unwrap_or_default();
        if key != learned.1.base() {
            delta.known = None;
            if key != job.manifest().key {
                notes.push(
                    "what is known of pages is not what the crawl began with: \
                     the rest of it is fetched in full"
                        .to_owned(),
                );
            }
        }
        Ok(Some((delta, learned)))
    }

    /// Makes what the complete crawl learned known to the next one.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn absorb(&self, job: &Job, lock: &JobLock, learned_bytes: u64) -> Result<(), Failure> {
        Ok(delta::absorb(job, lock, learned_bytes, self.scope)?)
    }

    /// What is known of a page.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn find<'b>(
        &self,
        fingerprint: &Fingerprint,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Option<Page<'b>>, Failure> {
        match &self.known {
            Some(known) => Ok(known.find(fingerprint, buffer)?),
            None => Ok(None),
        }
    }

    /// Makes a request for a page that is known a conditional one, if its links are known in
    /// case that it did not change.
    ///
    /// # Errors
    /// Those of the disk, and damage.
    pub fn ask(
        &self,
        request: &mut Request<'_>,
        follow: bool,
        buffer: &mut Vec<u8>,
    ) -> Result<Ask, Failure> {
        let is_get = request
            .method
            .as_deref()
            .is_none_or(|method| method == "GET");
        let is_conditional = request.etag.is_some() || request.last_modified.is_some();
        if !request.kind.is_page() || !is_get || request.body.is_some() || is_conditional {
            return Ok(Ask::Apart);
        }
        let Some(page) = self.find(&mark(&request.url), buffer)? else {
            return Ok(Ask::Whole);
        };
        let has_validator = page.etag.is_some() || page.last_modified.is_some();
        if !has_validator || (follow && page.links.is_none()) {
            return Ok(Ask::Whole);
        }
        let text = |value: &str| value.to_owned().into();
        request.etag = page.etag.map(text);
        request.last_modified = page.last_modified.map(text);
        Ok(Ask::IfChanged)
    }
}

/// Under this fingerprint a page is known.
pub fn mark(canonical: &str) -> Fingerprint {
    fingerprint("GET", canonical, "")
}

/// What a crawl takes on: links of a page are those that belong to the crawl, under this alone.
fn scope_of(plan: &Plan) -> ScopeHash {
    // Strings, numbers and lists: this cannot fail.
    let json = serde_json::to_vec(&(&plan.scope, plan.allow_private)).unwrap_or_default();
    let mut half = [0; 16];
    half.copy_from_slice(&blake3::hash(&json).as_bytes()[..16]);
    half
}

/// What an answer says of its page.
pub fn page_of<'a>(result: &'a FetchResult<'_>, links: Option<Links<'a>>) -> Page<'a> {
    let status = result.status.unwrap_or(0);
    // Only these can be asked for again with a condition.
    let keep = |value: &'a Option<Text<'_>>| {
        let value = value.as_deref().filter(|_| matches!(status, 200 | 304));
        value.filter(|value| !value.is_empty() && value.len() <= MAX_VALIDATOR_BYTES)
    };
    Page {
        fingerprint: mark(&result.url),
        status,
        missed: 0,
        digest: match &result.location {
            Some(target) => Some(*blake3::hash(target.as_bytes()).as_bytes()),
            None => result.digest.as_deref().and_then(digest_of),
        },
        etag: keep(&result.etag),
        last_modified: keep(&result.last_modified),
        links,
    }
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let hash = blake3::Hash::from_hex(text.strip_prefix("blake3:")?).ok()?;
    Some(*hash.as_bytes())
}

/// True for a page that said that it is not there.
pub fn is_gone(page: &Page<'_>) -> bool {
    matches!(page.status, 404 | 410)
}

/// How a page compares with what was known of it; `None` for one that never was there.
pub fn compare(known: Option<&Page<'_>>, page: &Page<'_>) -> Option<Change> {
    let was_gone = known.is_none_or(is_gone);
    Some(match (known, is_gone(page)) {
        (None, true) => return None,
        (Some(_), true) if was_gone => Change::Unchanged,
        (Some(_), true) => Change::Gone,
        (_, false) if was_gone => Change::New,
        (Some(known), false)
            if page.digest.is_some()
                && (known.status, known.digest) == (page.status, page.digest) =>
        {
            Change::Unchanged
        }
        (_, false) => Change::Changed,
    })
}

/// Counts a page.
pub fn count(delta: &mut control::Delta, change: Change) {
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
