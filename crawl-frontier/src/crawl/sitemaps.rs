//! Sitemaps (sitemaps.org): where a start host's are, and which entries are new enough.

use std::collections::HashMap;

use crawl_ckpt::plan::Plan;
use jiff::Timestamp;
use jiff::civil::Date;
use url::{ParseError, Url};

use crate::url::{Form, canonicalize_link, origin};

/// What the plan says of sitemaps.
#[derive(Debug)]
pub struct Sitemaps {
    wanted: bool,
    since: Option<Timestamp>,
    /// The origins of the start URLs, each with whether a start URL there is a sitemap itself.
    starts: HashMap<String, bool>,
}

impl Sitemaps {
    /// As the plan has it; a `sitemap_since` that is no time holds nothing back.
    pub fn new(plan: &Plan) -> Sitemaps {
        let since = plan
            .sitemap_since
            .as_deref()
            .and_then(|since| since.parse().ok());
        let mut sitemaps = Sitemaps {
            wanted: plan.sitemap,
            since,
            starts: HashMap::new(),
        };
        if sitemaps.wanted {
            let mut canonical = String::new();
            for url in &plan.start_urls {
                // A sitemap that is no URL is told when it is taken on.
                if canonicalize_link(url, Form::Standard, &mut canonical).is_ok() {
                    let is_one = sitemaps.is_one(&canonical);
                    let start = sitemaps.starts.entry(origin(&canonical).to_owned());
                    *start.or_default() |= is_one;
                }
            }
        }
        sitemaps
    }

    /// True for an origin whose sitemaps are read: one that the crawl starts from. A start URL
    /// that is a sitemap itself stands for all sitemaps of its host.
    pub fn is_asked_for(&self, origin: &str) -> bool {
        self.starts.get(origin) == Some(&false)
    }

    /// True for a start URL that is a sitemap, by its name.
    pub fn is_one(&self, url: &str) -> bool {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        self.wanted && (path.ends_with(".xml") || path.ends_with(".xml.gz"))
    }

    /// The sitemaps of a start host: those that its robots.txt names, also by a path alone, else the usual place.
    pub fn of_host(&self, origin: &str, named: Vec<String>) -> Vec<String> {
        match (self.wanted, named.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => vec![format!("{origin}/sitemap.xml")],
            (true, false) => named
                .into_iter()
                .map(|named| absolute(origin, named))
                .collect(),
        }
    }

    /// True for an entry that is old for certain.
    pub fn is_too_old(&self, lastmod: Option<&str>) -> bool {
        match (&self.since, lastmod.and_then(last_moment)) {
            (Some(since), Some(lastmod)) => lastmod < *since,
            _ => false,
        }
    }
}

/// What is no URL is told when it is taken on.
fn absolute(origin: &str, named: String) -> String {
    match Url::parse(&named) {
        Err(ParseError::RelativeUrlWithoutBase) => {
            let joined = Url::parse(origin).and_then(|origin| origin.join(&named));
            joined.map_or(named, Into::into)
        }
        _ => named,
    }
}

/// The last moment that a W3C date can mean.
fn last_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let whole = match text.len() {
        4 => format!("{text}-12-31"),
        7 => format!("{text}-01"),
        _ => text.get(..10)?.to_owned(),
    };
    let mut date: Date = whole.parse().ok()?;
    if text.len() == 7 {
        date = date.last_of_month();
    }
    let end = date
        .at(23, 59, 59, 0)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?;
    Some(end.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sitemap_that_robots_txt_names_by_its_path_is_of_that_host() {
        let plan = Plan {
            sitemap: true,
            ..Plan::default()
        };
        let named =
            |named: &str| Sitemaps::new(&plan).of_host("http://a.example", vec![named.into()]);
        for (line, url) in [
            ("/sm.xml", "http://a.example/sm.xml"),
            ("sm.xml?a=1", "http://a.example/sm.xml?a=1"),
            ("//b.example/sm.xml", "http://b.example/sm.xml"),
            ("https://c.example/sm.xml", "https://c.example/sm.xml"),
        ] {
            assert_eq!(named(line), [url]);
        }
    }

    #[test]
    fn entries_before_the_cut_are_old_and_those_without_a_date_are_not() {
        let plan = Plan {
            sitemap: true,
            sitemap_since: Some("2025-06-15T00:00:00Z".into()),
            ..Plan::default()
        };
        let sitemaps = Sitemaps::new(&plan);
        for old in [
            "2024",
            "2025-05",
            "2025-06-14",
            "2025-06-14T23:00:00+00:00",
            "2025-06-14T10:00Z",
        ] {
            assert!(sitemaps.is_too_old(Some(old)), "{old}");
        }
        for new in [
            "2025",
            "2025-06",
            "2025-06-15",
            "2026-01-01T00:00:00Z",
            "nonsense",
            "",
        ] {
            assert!(!sitemaps.is_too_old(Some(new)), "{new}");
        }
        assert!(!sitemaps.is_too_old(None));
    }

    #[test]
    fn a_host_without_a_named_sitemap_may_have_one_in_the_usual_place() {
        let sitemaps = Sitemaps::new(&Plan {
            sitemap: true,
            ..Plan::default()
        });
        assert_eq!(
            sitemaps.of_host("http://a", vec![]),
            ["http://a/sitemap.xml"]
        );
        assert_eq!(
            sitemaps.of_host("http://a", vec!["http://b/s".into()]),
            ["http://b/s"]
        );
        assert!(
            Sitemaps::new(&Plan::default())
                .of_host("http://a", vec![])
                .is_empty()
        );
    }
}
