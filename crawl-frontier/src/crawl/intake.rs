//! What is taken on: start URLs, links, redirect targets, sitemap entries.

use crawl_ckpt::journal::{Referer, Stored};
use crawl_ckpt::record::{ErrorKind, FetchError, FetchResult, Kind, SitemapEntry};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;

use super::regions::Regions;
use super::{Crawl, Flight};
use crate::class;
use crate::schedule::{Gate, HostId};
use crate::scope::{Admission, By, PLAIN, Refusal};
use crate::store::Store;
use crate::url::{authority, canonicalize_link, origin};

/// The `extra` of a request for a sitemap.
const SITEMAP: &str = r#"{"kind":"sitemap"}"#;

/// The `extra` of a request for a sitemap that is a start URL, or that a start URL redirects to.
const START_SITEMAP: &str = r#"{"kind":"sitemap","start":true}"#;

/// How a URL was found, which decides what it must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A start URL: nothing.
    Start,
    /// Where a start URL redirects to: a host of the crawl.
    Host,
    /// A sitemap that robots.txt names, wherever that one redirects to: any host, since a site
    /// vouches for it (sitemaps.org).
    Sitemap,
    /// A link: the whole scope.
    Link(By),
}

/// Where a URL was found.
#[derive(Debug, Clone, Copy)]
struct Found<'a> {
    way: Way,
    kind: Kind,
    page: Option<&'a str>,
    depth: u32,
    redirects: u32,
    /// The URL is a start URL, or a start URL redirects to it.
    start: bool,
    /// The pages that the URL leads to are the whole crawl: their own links are not followed.
    terminal: bool,
}

impl<'a> Found<'a> {
    /// A link on a page of this depth.
    fn on(page: &'a str, depth: u32) -> Found<'a> {
        Found {
            way: Way::Link(By::Url),
            kind: Kind::Page,
            page: Some(page),
            depth: depth + 1,
            redirects: 0,
            start: false,
            terminal: false,
        }
    }
}

/// The links of one page, canonical, one behind the other; in the end those that belong to
/// the crawl.
#[derive(Debug, Default)]
pub(super) struct Links {
    text: String,
    found: Vec<Link>,
    one: String,
    fingerprints: Vec<u128>,
    seen: Vec<bool>,
}

/// A link in `text`.
#[derive(Debug)]
struct Link {
    start: usize,
    end: usize,
    /// The end of what is kept of it, which has the rule behind a `#`.
    kept: usize,
    fingerprint: u128,
    by: By,
}

impl Links {
    /// The links of the page that was followed last, as they are kept.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let found = self.found.iter();
        found.map(|link| &self.text[link.start..link.kept])
    }
}

impl<S: Store> Crawl<S> {
    /// Takes on the plan's start URLs that were not seen before.
    ///
    /// # Errors
    /// Names a start URL that is none.
    pub fn start(&mut self) -> Result<(), Failure> {
        let followed = self.plan.start_urls.len().saturating_sub(self.plan.leaves);
        for (place, url) in self.plan.start_urls.clone().into_iter().enumerate() {
            let mut canonical = String::new();
            canonicalize_link(&url, self.scope.form, &mut canonical)
                .map_err(|e| Failure::new(format_args!("start URL '{url}': {e}")))?;
            if self.lies_elsewhere(&canonical) {
                continue;
            }
            let is_sitemap = self.sitemaps.is_one(&canonical);
            let found = Found {
                way: Way::Start,
                kind: if is_sitemap {
                    Kind::Sitemap
                } else {
                    Kind::Page
                },
                page: None,
                depth: 0,
                redirects: 0,
                start: true,
                terminal: is_sitemap || place >= followed,
            };
            self.take_on(&canonical, found);
            if !self.plan.robots {
                self.take_on_sitemaps(origin(&canonical));
            }
        }
        Ok(())
    }

    /// Takes on the sitemaps of a host, if it is one that the crawl starts from.
    pub(super) fn take_on_sitemaps(&mut self, host: &str) {
        let is_start = self.sitemaps.is_asked_for(host);
        let Some(id) = self.schedule.find_host(host).filter(|_| is_start) else {
            return;
        };
        for sitemap in self.sitemaps.of_host(host, self.robots.sitemaps(id)) {
            self.take_on_sitemap(&sitemap, Way::Sitemap, None, 0, false);
        }
    }

    fn take_on_sitemap(
        &mut self,
        url: &str,
        way: Way,
        page: Option<&str>,
        depth: u32,
        terminal: bool,
    ) {
        let mut canonical = String::new();
        if canonicalize_link(url, self.scope.form, &mut canonical).is_err() {
            class::add(&mut self.progress.dropped, "invalid");
            return;
        }
        self.take_on(
            &canonical,
            Found {
                way,
                kind: Kind::Sitemap,
                page,
                depth,
                redirects: 0,
                start: false,
                terminal,
            },
        );
    }

    /// Takes on a URL if it belongs to the crawl and was not seen before. False when it does not
    /// belong to it, wherever it is found.
    fn take_on(&mut self, canonical: &str, found: Found<'_>) -> bool {
        let fingerprint = self.fingerprinter.get(canonical);
        self.is_seen(fingerprint) || self.take_on_new(canonical, fingerprint, found)
    }

    /// Takes on a URL that was not seen a moment ago.
    fn take_on_new(&mut self, canonical: &str, fingerprint: u128, found: Found<'_>) -> bool {
        let admitted = match found.way {
            Way::Start => Ok(PLAIN),
            Way::Host => self.check_host(canonical).map(|()| PLAIN),
            Way::Sitemap => self.scope.check_any_host(canonical).map(|()| PLAIN),
            Way::Link(by) => self
                .check_host(canonical)
                .and_then(|()| self.scope.admit_on_host(canonical, found.depth, by)),
        };
        if let Ok(admission) = admitted
            && self.lies_elsewhere(canonical)
        {
            let request = self.request(canonical, admission, found);
            self.send_away(fingerprint, &request);
            return true;
        }
        let admitted = admitted.and_then(|admission| {
            let host = self.host_of(canonical);
            self.scope
                .check_host_pages(self.schedule.host(host).taken)?;
            Ok((admission, host))
        });
        match admitted {
            Ok((admission, host)) => {
                self.put_in(canonical, fingerprint, host, admission, found);
                true
            }
            // Twice on its page, it may have come to the cap itself.
            Err(refusal) if refusal.is_cap() && self.is_seen(fingerprint) => true,
            Err(refusal) => {
                class::add(&mut self.progress.dropped, refusal.as_str());
                if refusal.is_cap() {
                    let why = || self.scope.why(refusal, canonical, found.depth);
                    self.left_out.add(fingerprint, canonical, why);
                }
                matches!(refusal, Refusal::Depth | Refusal::HostPages)
            }
        }
    }

    fn put_in(
        &mut self,
        url: &str,
        fingerprint: u128,
        host: HostId,
        admission: Admission,
        found: Found<'_>,
    ) {
        let request = self.request(url, admission, found);
        self.add(host, fingerprint, &request);
    }

    /// The request of a URL that belongs to the crawl.
    fn request<'a>(&self, url: &'a str, admission: Admission, found: Found<'a>) -> Stored<'a> {
        let deep = self.plan.depth_priority.saturating_mul(found.depth.into());
        let priority = admission.priority.saturating_sub(deep);
        Stored {
            url,
            depth: found.depth,
            priority,
            nofollow: found.terminal || !admission.follow,
            redirects: found.redirects,
            referer: found.page.map(|page| Referer::of(url, page)),
            extra: match (found.kind, found.start) {
                (Kind::Sitemap, true) => Some(START_SITEMAP),
                (Kind::Sitemap, false) => Some(SITEMAP),
                _ => None,
            },
        }
    }

    /// Takes a request on, unless one of this fingerprint was before.
    pub(super) fn add(&mut self, host: HostId, fingerprint: u128, request: &Stored<'_>) {
        if self.store.take_on(host, fingerprint, request).is_some() {
            self.progress.counts.seen += 1;
            self.progress.starts += u64::from(request.depth == 0);
            self.schedule.took_on(host);
        }
    }

    /// True for a URL on one of the hosts that the crawl was taken up with, when it stays on those.
    fn is_own(&self, url: &str) -> bool {
        let first = self.first_hosts;
        first > 0 && self.schedule.is_among_first(first, authority(url))
    }

    /// Decides on a host by a URL on it.
    pub(super) fn check_host(&self, url: &str) -> Result<(), Refusal> {
        if self.is_own(url) {
            self.scope.check_own_host(url)
        } else {
            self.scope.check_host(url)
        }
    }

    pub(super) fn host_of(&mut self, canonical: &str) -> HostId {
        let origin = origin(canonical);
        if let Some(id) = self.schedule.find_host(origin) {
            return id;
        }
        let gate = if self.plan.robots {
            Gate::Shut
        } else {
            Gate::Open
        };
        let id = self.schedule.host_of(origin, gate);
        if self.plan.robots {
            self.robots.want(id);
        }
        self.meet(id, origin);
        id
    }

    /// Takes on what a finished page leads to. A redirect that leads nowhere becomes the
    /// page's error. `rules` are those by which its links are known to belong to the crawl.
    pub(super) fn follow(
        &mut self,
        result: &mut FetchResult<'_>,
        rules: Option<&[Option<usize>]>,
        flight: &Flight,
    ) {
        if let Some(location) = &result.location {
            if let Err(message) = self.follow_redirect(&result.url, location, flight) {
                let (kind, message) = (ErrorKind::Redirect, message.into());
                result.error = Some(FetchError { kind, message });
            }
            return;
        }
        // A page that the user's parser failed on came whole all the same.
        let error = result.error.as_ref().map(|error| error.kind);
        if error.is_some_and(|kind| kind != ErrorKind::Parse) || result.blocked.is_some() {
            return;
        }
        self.follow_sitemap(&result.url, &result.sitemap, flight);
        if !flight.follow {
            return;
        }
        if let Some(dropped) = result.links_dropped {
            let name = "too_many_links".to_owned();
            *self.progress.dropped.entry(name).or_default() += dropped;
            let why = || format!("{dropped} of its links, too many for a page");
            self.left_out
                .add(self.fingerprinter.get(&result.url), &result.url, why);
        }
        let places = match (rules, &result.link_regions) {
            (Some(rules), _) => Regions::Known(rules),
            (None, Some(regions)) => Regions::Told(regions),
            (None, None) => Regions::Untold,
        };
        self.follow_links(&result.links, places, &result.url, flight);
    }

    /// Takes on what a page links to.
    pub(super) fn follow_links(
        &mut self,
        links: &[Text<'_>],
        places: Regions<'_>,
        page: &str,
        flight: &Flight,
    ) {
        self.take_on_links(links, places, Found::on(page, flight.depth));
    }

    fn take_on_links(&mut self, urls: &[Text<'_>], places: Regions<'_>, found: Found<'_>) {
        let mut links = std::mem::take(&mut self.links);
        links.text.clear();
        links.found.clear();
        for (place, url) in urls.iter().enumerate() {
            if canonicalize_link(url, self.scope.form, &mut links.one).is_err() {
                class::add(&mut self.progress.dropped, "invalid");
                continue;
            }
            let fingerprint = self.fingerprinter.get(&links.one);
            let start = links.text.len();
            links.text.push_str(&links.one);
            let end = links.text.len();
            let by = places.by(place, &links.one, &self.scope);
            if let By::Rule(rule) = by {
                links.text.push('#');
                links.text.push_str(&rule.to_string());
            }
            links.found.push(Link {
                start,
                end,
                kept: links.text.len(),
                fingerprint,
                by,
            });
        }
        let Links {
            text,
            found: list,
            fingerprints,
            seen,
            ..
        } = &mut links;
        fingerprints.clear();
        fingerprints.extend(list.iter().map(|link| link.fingerprint));
        self.store.is_seen(fingerprints, seen);
        let mut seen = seen.iter();
        list.retain(|link| {
            if seen.next() == Some(&true) {
                // Seen elsewhere, it may not stand here where a rule asks.
                return link.by != By::Nothing;
            }
            let way = Way::Link(link.by);
            self.take_on_new(
                &text[link.start..link.end],
                link.fingerprint,
                Found { way, ..found },
            )
        });
        self.links = links;
    }

    fn follow_sitemap(&mut self, page: &str, entries: &[SitemapEntry<'_>], flight: &Flight) {
        for entry in entries {
            if self.sitemaps.is_too_old(entry.lastmod.as_deref()) {
                class::add(&mut self.progress.dropped, "sitemap_since");
            } else if entry.kind == Kind::Sitemap {
                // An index speaks for its own host, and for those of the crawl.
                let is_beside = authority(&entry.url) == authority(page);
                let way = if is_beside { Way::Sitemap } else { Way::Host };
                self.take_on_sitemap(&entry.url, way, Some(page), flight.depth, !flight.follow);
            } else {
                let found = Found {
                    terminal: !flight.follow,
                    ..Found::on(page, flight.depth)
                };
                let entry = std::slice::from_ref(&entry.url);
                self.take_on_links(entry, Regions::Untold, found);
            }
        }
    }

    fn follow_redirect(&mut self, from: &str, to: &str, flight: &Flight) -> Result<(), String> {
        let mut target = String::new();
        canonicalize_link(to, self.scope.form, &mut target)
            .map_err(|e| format!("redirect to no web page: {e}"))?;
        if target == from {
            return Err("redirect to itself".into());
        }
        let redirects = flight.redirects + 1;
        let most = self.plan.retry.max_redirects;
        if redirects > most {
            return Err(format!("more than {most} redirects"));
        }
        let (kind, depth, start) = (flight.kind, flight.depth, flight.start);
        if start
            && !self.is_own(&target)
            && let Some(key) = self.scope.add_host(&target)
        {
            self.set_for_all(&key, b"1");
        }
        if start && let Some(key) = self.scope.add_directory(&target) {
            self.set_for_all(&key, b"1");
        }
        if start && let Some(key) = self.secrets.follow(from, &target) {
            self.set_for_all(&key, b"1");
        }
        let way = match (start, kind) {
            (true, _) => Way::Host,
            (false, Kind::Sitemap) => Way::Sitemap,
            (false, _) => Way::Link(By::Url),
        };
        self.take_on(
            &target,
            Found {
                way,
                kind,
                page: Some(from),
                depth,
                redirects,
                start,
                terminal: (start || kind == Kind::Sitemap) && !flight.follow,
            },
        );
        Ok(())
    }
}
