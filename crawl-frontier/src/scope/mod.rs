//! Which links belong to the crawl.

mod refusal;
mod shape;

use std::collections::{BTreeSet, HashMap, HashSet};

use crawl_ckpt::address::is_private_host;
use crawl_ckpt::limits::URL_BYTES;
use crawl_ckpt::pattern::Patterns;
use crawl_ckpt::plan;

pub use refusal::Refusal;
use shape::{NO_PAGES, is_trap, path_of};

use crate::below::Below;
use crate::keys::{SCOPE_BELOW, SCOPE_HOST, SCOPE_HOSTS};
use crate::url::{Form, authority};

/// How a link that belongs to the crawl is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The priority of the request.
    pub priority: i64,
    /// Whether the links of the page are followed.
    pub follow: bool,
}

/// What decides by which rule a link is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The URL alone: the link stands on no page.
    Url,
    /// The URL and where the link stands on its page; the number of the rule, from 0.
    Rule(usize),
    /// The URL and where the link stands on its page; no rule takes it on.
    Nothing,
}

/// What start URLs, and links without rules, get.
pub const PLAIN: Admission = Admission {
    priority: 0,
    follow: true,
};

/// A scope that was checked and compiled.
#[derive(Debug)]
pub struct Scope {
    domains: HashSet<String>,
    hosts: BTreeSet<String>,
    /// The crawl stays on its hosts, also when none is named.
    is_closed: bool,
    rules: Vec<Rule>,
    /// What the options want beside the rules.
    options: Rule,
    below: Below,
    extensions: HashSet<String>,
    depth_limit: Option<u32>,
    max_url_bytes: usize,
    max_pages_per_host: Option<u64>,
    allow_private: bool,
    /// The form of URLs by which they are told apart.
    pub form: Form,
}

#[derive(Debug)]
struct Rule {
    allow: Patterns,
    deny: Patterns,
    /// The rule asks where a link stands.
    has_region: bool,
    admission: Admission,
}

impl Rule {
    /// A link of which a pattern cannot tell in good time is not allowed.
    fn allows(&self, url: &str) -> bool {
        self.allow.is_empty() || self.allow.is_match(url).unwrap_or(false)
    }

    /// A link of which a pattern cannot tell in good time is denied.
    fn denies(&self, url: &str) -> bool {
        self.deny.is_match(url).unwrap_or(true)
    }

    fn matches(&self, url: &str) -> bool {
        self.allows(url) && !self.denies(url)
    }

    fn takes_too_long(&self, url: &str) -> bool {
        self.allow.is_match(url).is_err() || self.deny.is_match(url).is_err()
    }
}

impl Scope {
    /// Compiles a scope.
    ///
    /// # Errors
    /// Names the rule whose regular expression is bad.
    pub fn compile(scope: &plan::Scope, allow_private: bool) -> Result<Scope, String> {
        let lower = |list: &[String]| -> Vec<String> {
            list.iter().map(|s| s.to_ascii_lowercase()).collect()
        };
        let set = |name: String, list: &[String]| {
            Patterns::compile(list).map_err(|(place, why)| {
                let bad = &list[place];
                format!("{name} '{bad}' is no regular expression: {why}")
            })
        };
        let rules = scope.rules.iter().enumerate().map(|(number, rule)| {
            Ok(Rule {
                allow: set(format!("rule {number}: allow"), &rule.allow)?,
                deny: set(format!("rule {number}: deny"), &rule.deny)?,
                has_region: rule.has_region(),
                admission: Admission {
                    priority: rule.priority,
                    follow: rule.follow,
                },
            })
        });
        let mut below = Below::default();
        for directory in &scope.below {
            below.add(directory);
        }
        Ok(Scope {
            domains: lower(&scope.allowed_domains).into_iter().collect(),
            hosts: lower(&scope.allowed_hosts).into_iter().collect(),
            is_closed: !scope.allowed_hosts.is_empty(),
            rules: rules.collect::<Result<_, String>>()?,
            options: Rule {
                allow: set("--allow".into(), &scope.allow)?,
                deny: set("--deny".into(), &scope.deny)?,
                has_region: false,
                admission: PLAIN,
            },
            below,
            extensions: match &scope.deny_extensions {
                Some(list) => list
                    .iter()
                    .map(|e| e.trim_start_matches('.').to_ascii_lowercase())
                    .collect(),
                None => NO_PAGES.iter().map(|e| (*e).to_owned()).collect(),
            },
            depth_limit: scope.depth_limit,
            max_url_bytes: scope.max_url_bytes.unwrap_or(URL_BYTES.default) as usize,
            max_pages_per_host: scope.max_pages_per_host,
            allow_private,
            form: if scope.aggressive_urls {
                Form::Aggressive
            } else {
                Form::Standard
            },
        })
    }

    /// Has the crawl stay on hosts that it knows itself, and on those that are named.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Decides on a link by its canonical URL and depth.
    ///
    /// # Errors
    /// Why it is not taken on.
    pub fn admit(&self, url: &str, depth: u32, by: By) -> Result<Admission, Refusal> {
        self.check_host(url)?;
        self.admit_on_host(url, depth, by)
    }

    /// The same of a link on a host that was decided on.
    ///
    /// # Errors
    /// Why it is not taken on.
    pub fn admit_on_host(&self, url: &str, depth: u32, by: By) -> Result<Admission, Refusal> {
        if self.depth_limit.is_some_and(|limit| depth > limit) {
            return Err(Refusal::Depth);
        }
        let path = path_of(url);
        if url.len() > self.max_url_bytes || is_trap(path) {
            return Err(Refusal::Trap);
        }
        if self.is_no_page(path) {
            return Err(Refusal::Extension);
        }
        if !self.below.takes(url) || !self.options.matches(url) {
            return Err(Refusal::Rule);
        }
        if self.rules.is_empty() {
            return Ok(PLAIN);
        }
        let rule = match by {
            By::Url => self.rule_for(url, |_| true),
            By::Rule(rule) => Some(rule),
            By::Nothing => None,
        };
        let rule = rule.filter(|rule| *rule < self.rules.len());
        let rule = rule.ok_or(Refusal::Rule)?;
        Ok(self.rules[rule].admission)
    }

    /// The place of the first rule that takes a link on, from 0. `stands` tells whether it stands
    /// in the region of the rule at this place, or is a usual link where a rule has none.
    pub fn rule_for(&self, url: &str, stands: impl Fn(Option<usize>) -> bool) -> Option<usize> {
        let takes = |(place, rule): (usize, &Rule)| {
            stands(rule.has_region.then_some(place)) && rule.matches(url)
        };
        self.rules.iter().enumerate().position(takes)
    }

    /// The rules that may take a URL on, from 0, each with whether that depends on where a link
    /// to it stands; the last is the first of which it does not.
    pub fn rules_for(&self, url: &str) -> Vec<(usize, bool)> {
        let mut found = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            if rule.matches(url) {
                found.push((place, rule.has_region));
                if !rule.has_region {
                    break;
                }
            }
        }
        found
    }

    /// Decides on a host by a URL on it.
    ///
    /// # Errors
    /// Why nothing of this host is taken on.
    pub fn check_host(&self, url: &str) -> Result<(), Refusal> {
        if self.is_closed && !self.hosts.contains(authority(url)) {
            return Err(Refusal::Domain);
        }
        self.check_own_host(url)
    }

    /// The same of a host that the crawl knows to be one of its own.
    ///
    /// # Errors
    /// Why nothing of this host is taken on.
    pub fn check_own_host(&self, url: &str) -> Result<(), Refusal> {
        let authority = authority(url);
        let host = host_name(authority);
        if !self.domains.is_empty() && !is_within(host, &self.domains) {
            return Err(Refusal::Domain);
        }
        self.check_private(host)
    }

    /// Decides on the host of a sitemap or a robots.txt, which may lie on any.
    ///
    /// # Errors
    /// Why it is not asked for.
    pub fn check_any_host(&self, url: &str) -> Result<(), Refusal> {
        self.check_private(host_name(authority(url)))
    }

    fn check_private(&self, host: &str) -> Result<(), Refusal> {
        if !self.allow_private && is_private_host(host) {
            return Err(Refusal::Private);
        }
        Ok(())
    }

    /// Whether a host that has had `taken` pages may have one more.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_host_pages(&self, taken: u64) -> Result<(), Refusal> {
        match self.max_pages_per_host {
            Some(most) if taken >= most => Err(Refusal::HostPages),
            _ => Ok(()),
        }
    }

    /// Lets the crawl follow its start URL to the host that it redirects to. Gives the key that
    /// keeps it, when that host is new.
    pub fn add_host(&mut self, url: &str) -> Option<String> {
        let host = authority(url);
        let is_new = self.is_closed && self.hosts.insert(host.to_owned());
        is_new.then(|| format!("{SCOPE_HOST}{host}"))
    }

    /// Lets the crawl go on below where its start URL redirects to. Gives the key that keeps that
    /// directory, when it is new.
    pub fn add_directory(&mut self, url: &str) -> Option<String> {
        if self.below.is_empty() {
            return None;
        }
        let directory = self.below.add(url)?;
        Some(format!("{SCOPE_BELOW}{directory}"))
    }

    /// The keys of the directories, as the checkpoint keeps them.
    pub fn directory_keys(&self) -> impl Iterator<Item = String> {
        let directories = self.below.directories();
        directories.map(|directory| format!("{SCOPE_BELOW}{directory}"))
    }

    /// The hosts, as the checkpoint keeps them.
    pub fn hosts_json(&self) -> String {
        serde_json::json!(self.hosts).to_string()
    }

    /// Adds the hosts that a checkpoint kept: those of an image, and those that came after it. So with
    /// directories.
    pub fn restore_hosts(&mut self, values: &HashMap<String, Vec<u8>>) {
        let list = values
            .get(SCOPE_HOSTS)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let kept: Vec<String> = serde_json::from_slice(list).unwrap_or_default();
        self.hosts.extend(kept);
        let later = values.keys().filter_map(|key| key.strip_prefix(SCOPE_HOST));
        self.hosts.extend(later.map(str::to_owned));
        self.is_closed |= !self.hosts.is_empty();
        // Of a crawl that was narrowed before, and is not any more.
        if self.below.is_empty() {
            return;
        }
        let directories = values
            .keys()
            .filter_map(|key| key.strip_prefix(SCOPE_BELOW));
        for directory in directories {
            self.below.insert(directory);
        }
    }

    fn is_no_page(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some((_, extension)) = name.rsplit_once('.') else {
            return false;
        };
        self.extensions.contains(&*extension.to_ascii_lowercase())
    }
}

/// The host's name in an authority, without the port.
pub(crate) fn host_name(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// True when a host is one of the domains or below one.
fn is_within(host: &str, domains: &HashSet<String>) -> bool {
    let mut name = host;
    loop {
        if domains.contains(name) {
            return true;
        }
        let Some((_, parent)) = name.split_once('.') else {
            return false;
        };
        name = parent;
    }
}

/// True when a canonical URL's host is private.
pub fn is_private_url(canonical: &str) -> bool {
    is_private_authority(authority(canonical))
}

/// The same for the authority of a URL.
pub fn is_private_authority(authority: &str) -> bool {
    let host = authority.rsplit_once('@');
    is_private_host(host_name(host.map_or(authority, |(_, host)| host)))
}

#[cfg(test)]
mod tests;
