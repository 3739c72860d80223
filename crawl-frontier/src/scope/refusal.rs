//! Why a link is not taken on, as a word and in words.

use std::collections::BTreeSet;
use std::fmt;

use super::shape::{MAX_SAME_SEGMENT, MAX_SEGMENTS, most_repeated, path_of};
use super::{Rule, Scope};
use crate::url::authority;

/// So many hosts and domains of a crawl are told one by one.
const PLACES_TOLD: usize = 10;

/// Why a link is not taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The host is not of the crawl.
    Domain,
    /// No rule allows it, or one denies it.
    Rule,
    /// The file name says that it is no page.
    Extension,
    /// Too many links away from the start.
    Depth,
    /// The URL is too long, too deep, or repeats itself.
    Trap,
    /// A private address, met from a public start.
    Private,
    /// The host has had its share of pages.
    HostPages,
}

impl Refusal {
    /// True when it would belong to the crawl if it were not so much of it.
    pub fn is_cap(self) -> bool {
        matches!(self, Refusal::Depth | Refusal::Trap | Refusal::HostPages)
    }

    /// The word in summaries.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Domain => "domain",
            Refusal::Rule => "rule",
            Refusal::Extension => "extension",
            Refusal::Depth => "depth",
            Refusal::Trap => "trap",
            Refusal::Private => "private",
            Refusal::HostPages => "host_pages",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Scope {
    /// A refusal in words, for the URL and depth that it is for.
    pub fn why(&self, refusal: Refusal, url: &str, depth: u32) -> String {
        let path = path_of(url);
        match refusal {
            Refusal::Domain => {
                let domains: BTreeSet<_> = self.domains.iter().collect();
                let mut places: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
                places.extend(domains.into_iter().map(String::as_str));
                let more = places.len().saturating_sub(PLACES_TOLD);
                places.truncate(PLACES_TOLD);
                let more = match more {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let host = authority(url);
                format!("{host} is not of this crawl ({}{more})", places.join(", "))
            }
            Refusal::Rule if !self.below.takes(url) => {
                let directories = self.below.of_host(url).join(" or ");
                format!("it is not below {directories} (--no-parent)")
            }
            Refusal::Rule if self.options.takes_too_long(url) => {
                "a pattern of --allow or --deny takes too long on it".into()
            }
            Refusal::Rule if !self.options.allows(url) => "--allow does not take it".into(),
            Refusal::Rule if self.options.denies(url) => "--deny keeps it out".into(),
            Refusal::Rule => {
                let place = |is: fn(&Rule, &str) -> bool| {
                    let rule = self.rules.iter().position(|rule| is(rule, url));
                    rule.map(|rule| rule + 1)
                };
                match (place(Rule::takes_too_long), place(Rule::allows)) {
                    (Some(rule), _) => format!("a pattern of rule {rule} takes too long on it"),
                    (None, Some(rule)) => format!("rule {rule} denies it"),
                    (None, None) => "no rule allows it".to_owned(),
                }
            }
            Refusal::Extension => {
                let name = path.rsplit('/').next().unwrap_or_default();
                format!("its name says that it is no page: {name}")
            }
            Refusal::Depth => {
                let most = self.depth_limit.unwrap_or(depth);
                format!("at depth {depth} it is too deep, at most {most}")
            }
            Refusal::Trap if url.len() > self.max_url_bytes => {
                format!(
                    "a trap: {} bytes, at most {}",
                    url.len(),
                    self.max_url_bytes
                )
            }
            Refusal::Trap => match most_repeated(path) {
                (again, segment) if again > MAX_SAME_SEGMENT => format!(
                    "a trap: {segment} stands in its path {again} times, at most {MAX_SAME_SEGMENT}"
                ),
                _ => format!("a trap: its path has more than {MAX_SEGMENTS} segments"),
            },
            Refusal::Private => "a private address in a crawl that began at a public one".into(),
            Refusal::HostPages => {
                let most = self.max_pages_per_host.unwrap_or_default();
                format!("its host has had its share of {most} URLs")
            }
        }
    }
}
