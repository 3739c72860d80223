//! Which links belong to the crawl.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use crawl_ckpt::address::is_private_host;
use crawl_ckpt::limits::URL_BYTES;
use crawl_ckpt::pattern::Patterns;
use crawl_ckpt::plan;

use crate::below::Below;
use crate::keys::{SCOPE_BELOW, SCOPE_HOST, SCOPE_HOSTS};
use crate::url::{Form, authority};

/// So many hosts and domains of a crawl are told one by one.
const PLACES_TOLD: usize = 10;
/// Deeper paths are traps.
const MAX_SEGMENTS: usize = 40;
/// A segment that stands in a path more often than this is a trap (`/a/b/a/b/a/b/a/b`).
const MAX_SAME_SEGMENT: usize = 3;

/// Files that are no pages: Scrapy's list.
const NO_PAGES: &[&str] = &[
    // archives
    "7z", "7zip", "bz2", "rar", "tar", "gz", "xz", "zip", // images
    "mng", "pct", "bmp", "gif", "jpg", "jpeg", "png", "pst", "psp", "tif", "tiff", "ai", "drw",
    "dxf", "eps", "ps", "svg", "cdr", "ico", "webp", // audio
    "mp3", "wma", "ogg", "wav", "ra", "aac", "mid", "au", "aiff", // video
    "3gp", "asf", "asx", "avi", "mov", "mp4", "mpg", "qt", "rm", "swf", "wmv", "m4a", "m4v", "flv",
    "webm", // office documents
    "xls", "xlsm", "xlsx", "xltm", "xltx", "potm", "potx", "ppt", "pptm", "pptx", "pps", "doc",
    "docb", "docm", "docx", "dotm", "dotx", "odt", "ods", "odg", "odp", // other
    "css", "pdf", "exe", "bin", "rss", "dmg", "iso", "apk", "jar", "sh", "rb", "js", "hta", "bat",
    "cpl", "msi", "msp", "py",
];

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

/// How a link that belongs to the crawl is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Its priority.
    pub priority: i64,
    /// Whether its own links are followed.
    pub follow: bool,
}

/// What decides by which rule a link is taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Its URL alone: it stands nowhere.
    Url,
    /// Its URL and where it stands: this is the rule, from 0.
    Rule(usize),
    /// The same, and there is none.
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
    /// It asks where a link stands.
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

    /// Decides on a link by its canonical URL and depth.
    ///
    /// # Errors
    /// Why it is not taken on.
    pub fn admit(&self, url: &str, depth: u32, by: By) -> Result<Admission, Refusal> {
        self.check_host(url)?;
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

    /// Decides on a host by a URL on it.
    ///
    /// # Errors
    /// Why nothing of this host is taken on.
    pub fn check_host(&self, url: &str) -> Result<(), Refusal> {
        let authority = authority(url);
        if !self.hosts.is_empty() && !self.hosts.contains(authority) {
            return Err(Refusal::Domain);
        }
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
        let is_new = !self.hosts.is_empty() && self.hosts.insert(host.to_owned());
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
    is_private_host(host_name(authority(canonical)))
}

fn path_of(url: &str) -> &str {
    let origin = crate::url::origin(url).len();
    let rest = &url[origin..];
    rest.split('?').next().unwrap_or(rest)
}

fn is_trap(path: &str) -> bool {
    // Nearly every path is too short to be one.
    let slashes = path.bytes().filter(|&c| c == b'/').count();
    if slashes <= MAX_SAME_SEGMENT {
        return false;
    }
    path.split('/').filter(|s| !s.is_empty()).count() > MAX_SEGMENTS
        || most_repeated(path).0 > MAX_SAME_SEGMENT
}

/// The segment that stands most often in a path, with how often that is.
fn most_repeated(path: &str) -> (usize, &str) {
    let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    let times = |segment| segments.iter().filter(|s| *s == segment).count();
    let most = segments.iter().map(|segment| (times(segment), *segment));
    most.max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(change: impl FnOnce(&mut plan::Scope)) -> Scope {
        let mut plan = plan::Scope::default();
        change(&mut plan);
        Scope::compile(&plan, false).unwrap()
    }

    #[test]
    fn a_domain_allows_itself_and_what_is_below() {
        let scope = scope(|s| s.allowed_domains = vec!["Example.com".into()]);
        assert!(scope.admit("http://example.com/", 0, By::Url).is_ok());
        assert!(
            scope
                .admit("https://www.example.com:8443/x", 0, By::Url)
                .is_ok()
        );
        assert_eq!(
            scope.admit("http://badexample.com/", 0, By::Url),
            Err(Refusal::Domain)
        );
        assert_eq!(
            scope.admit("http://example.com.evil/", 0, By::Url),
            Err(Refusal::Domain)
        );
        assert_eq!(
            scope.admit("http://evil/?example.com", 0, By::Url),
            Err(Refusal::Domain)
        );
    }

    #[test]
    fn a_host_is_that_host_and_port_only() {
        let scope = scope(|s| s.allowed_hosts = vec!["a.example:81".into()]);
        assert!(scope.admit("http://a.example:81/x", 0, By::Url).is_ok());
        assert_eq!(
            scope.admit("http://a.example/x", 0, By::Url),
            Err(Refusal::Domain)
        );
        assert_eq!(
            scope.admit("http://b.a.example:81/x", 0, By::Url),
            Err(Refusal::Domain)
        );
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |allow: &str, deny: &str, follow, priority| plan::Rule {
            allow: vec![allow.into()],
            deny: if deny.is_empty() {
                vec![]
            } else {
                vec![deny.into()]
            },
            follow,
            priority,
            ..plan::Rule::default()
        };
        let scope = scope(|s| {
            s.rules = vec![
                rule("/item/", "draft", false, 5),
                rule("/list", "", true, 0),
            ];
        });
        assert_eq!(
            scope.admit("http://a/item/1", 0, By::Url),
            Ok(Admission {
                priority: 5,
                follow: false
            })
        );
        assert_eq!(
            scope.admit("http://a/list/item/draft", 0, By::Url),
            Ok(PLAIN)
        );
        assert_eq!(
            scope.admit("http://a/item/draft", 0, By::Url),
            Err(Refusal::Rule)
        );
        assert_eq!(
            scope.admit("http://a/other", 0, By::Url),
            Err(Refusal::Rule)
        );
    }

    #[test]
    fn files_that_are_no_pages_are_left_out_unless_wanted() {
        let usual = scope(|_| ());
        assert_eq!(
            usual.admit("http://a/x.PDF?y", 0, By::Url),
            Err(Refusal::Extension)
        );
        assert!(usual.admit("http://a/x.html", 0, By::Url).is_ok());
        assert!(usual.admit("http://a.zip/pdf", 0, By::Url).is_ok());
        let all = scope(|s| s.deny_extensions = Some(vec![".html".into()]));
        assert!(all.admit("http://a/x.pdf", 0, By::Url).is_ok());
        assert_eq!(
            all.admit("http://a/x.html", 0, By::Url),
            Err(Refusal::Extension)
        );
    }

    #[test]
    fn traps_end() {
        let scope = scope(|s| s.depth_limit = Some(3));
        assert_eq!(
            scope.admit("http://a/a/a/a/a/", 0, By::Url),
            Err(Refusal::Trap)
        );
        assert!(scope.admit("http://a/a/a/a/b/", 0, By::Url).is_ok());
        assert_eq!(
            scope.admit(&format!("http://a/{}", "x".repeat(3000)), 0, By::Url),
            Err(Refusal::Trap)
        );
        let deep: String = (0..60).map(|n| format!("/{n}")).collect();
        assert_eq!(
            scope.admit(&format!("http://a{deep}"), 0, By::Url),
            Err(Refusal::Trap)
        );
        assert_eq!(scope.admit("http://a/", 4, By::Url), Err(Refusal::Depth));
    }

    #[test]
    fn private_places_are_not_met_from_outside() {
        let public = scope(|_| ());
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "[::1]",
            "localhost",
            "100.64.0.1",
            "[::ffff:10.0.0.1]",
            "0.0.0.0",
        ] {
            assert_eq!(
                public.admit(&format!("http://{host}:8/"), 0, By::Url),
                Err(Refusal::Private),
                "{host}"
            );
        }
        assert!(public.admit("http://8.8.8.8/", 0, By::Url).is_ok());
        let inside = Scope::compile(&plan::Scope::default(), true).unwrap();
        assert!(inside.admit("http://127.0.0.1:8/", 0, By::Url).is_ok());
    }

    #[test]
    fn a_bad_rule_is_named() {
        let plan = plan::Scope {
            rules: vec![plan::Rule {
                allow: vec!["ok".into(), "(".into()],
                ..Default::default()
            }],
            ..Default::default()
        };
        let error = Scope::compile(&plan, false).unwrap_err();
        let start = "rule 0: allow '(' is no regular expression: ";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn a_link_of_which_a_pattern_cannot_tell_in_time_is_left_out_and_told() {
        let forever = r"^http://h/((a|aa)+)\1c";
        let url = format!("http://h/{}b", "a".repeat(60));
        let allow = plan::Rule {
            allow: vec![forever.into()],
            ..Default::default()
        };
        let deny = plan::Rule {
            deny: vec![forever.into()],
            ..Default::default()
        };
        for rule in [allow, deny] {
            let scope = scope(|s| s.rules = vec![rule]);
            assert_eq!(scope.admit(&url, 1, By::Url), Err(Refusal::Rule));
            let why = scope.why(Refusal::Rule, &url, 1);
            assert_eq!(why, "a pattern of rule 1 takes too long on it");
        }
    }
}
