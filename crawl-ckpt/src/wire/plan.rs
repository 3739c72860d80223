//! The plan of a crawl: what crawl-run makes of a spider file and its options,
//! and what crawl-frontier decides by.
//!
//! The plan is kept in the manifest, where a newer tool may have put more: unknown fields are ignored.

use serde::{Deserialize, Serialize};

use crate::limits;

/// Everything that the frontier must know to run a crawl.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// Absolute start URLs.
    pub start_urls: Vec<String>,
    /// So many of the last start URLs are pages whose links are not followed.
    #[serde(skip_serializing_if = "is_default")]
    pub leaves: usize,
    /// Which links are taken on.
    pub scope: Scope,
    /// How politely hosts are asked.
    pub pace: Pace,
    /// Retries and further attempts.
    pub retry: Retry,
    /// Product token and full value of the User-Agent; the token is what robots.txt is read for.
    pub user_agent: Option<String>,
    /// Obey robots.txt (RFC 9309).
    pub robots: bool,
    /// Keep cookies and send them.
    pub cookies: bool,
    /// Read the sitemaps of the start hosts.
    pub sitemap: bool,
    /// Skip sitemap entries older than this RFC 3339 time.
    pub sitemap_since: Option<String>,
    /// `auto`, `none`, or the name of a configured proxy.
    pub proxy_type: String,
    /// Names of the proxies that are configured, cheapest first; no URLs.
    pub proxies: Vec<String>,
    /// Take on links to private addresses.
    pub allow_private: bool,
    /// Keep `links` in output records.
    pub keep_links: bool,
    /// Keep the body in output records.
    pub keep_body: bool,
    /// Skip pages that did not change since the last crawl.
    pub delta: bool,
    /// Taken off a link's priority for each level that it is deep: over 0 crawls in breadth,
    /// below 0 in depth.
    #[serde(skip_serializing_if = "is_default")]
    pub depth_priority: i64,
    /// Send no Referer.
    #[serde(skip_serializing_if = "is_default")]
    pub no_referer: bool,
    /// Keep the pages themselves, as WARC.
    #[serde(skip_serializing_if = "is_default")]
    pub warc: Option<Warc>,
}

/// How pages are kept as WARC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Warc {
    /// A file that has reached so many bytes is followed by another.
    pub max_size: u64,
    /// What file names begin with; `None`: the spider's name.
    pub prefix: Option<String>,
    /// Who to ask about the crawl, for the *warcinfo* records.
    pub operator: Option<String>,
    /// Keep *request* records.
    pub requests: bool,
    /// Keep *metadata* records.
    pub metadata: bool,
}

impl Default for Warc {
    fn default() -> Warc {
        Warc {
            max_size: limits::WARC_BYTES.default,
            prefix: None,
            operator: None,
            requests: true,
            metadata: true,
        }
    }
}

/// Plans say nothing of what is as ever.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Which URLs belong to the crawl.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Host names; each allows its subdomains too. Empty: any host.
    pub allowed_domains: Vec<String>,
    /// `host` or `host:port` with the exact port; for crawls that stay where they
    /// started. Empty: no such limit. A URL must satisfy both lists.
    pub allowed_hosts: Vec<String>,
    /// A link takes the first rule that matches it; no rules: every link is followed.
    pub rules: Vec<Rule>,
    /// Patterns beside the rules: any of these must match as well; empty: everything does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// None of these may match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// URLs of directories, ended by `/`: what is taken on of their hosts lies below one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<String>,
    /// File name extensions that are no pages, without the dot; `None`: the usual list.
    pub deny_extensions: Option<Vec<String>>,
    /// Deepest link level taken on; `None`: no limit.
    pub depth_limit: Option<u32>,
    /// Longest URL taken on, in bytes; `None`: [`limits::URL_BYTES`].
    #[serde(skip_serializing_if = "is_default")]
    pub max_url_bytes: Option<u32>,
    /// Most pages taken on a host; `None`: no limit.
    pub max_pages_per_host: Option<u64>,
    /// Also sort query parameters and drop empty ones and tracking parameters.
    pub aggressive_urls: bool,
}

impl Scope {
    /// True when some rule depends on where on its page a link stands.
    pub fn has_regions(&self) -> bool {
        self.rules.iter().any(Rule::has_region)
    }
}

/// One rule of a spider: regular expressions searched in the absolute URL.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Any of these must match; empty: everything does.
    pub allow: Vec<String>,
    /// None of these may match.
    pub deny: Vec<String>,
    /// Only links in elements that one of these selectors matches; empty: wherever they stand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restrict_css: Vec<String>,
    /// XPath expressions in place of selectors; with both, links in elements of either count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restrict_xpaths: Vec<String>,
    /// Only links of these elements, by their names in lower case; empty: the usual links, or
    /// `a` and `area` with a region.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether links on the pages that match are followed in turn.
    pub follow: bool,
    /// Priority of the requests that match.
    pub priority: i64,
}

impl Rule {
    /// True when it depends on where on its page a link stands.
    pub fn has_region(&self) -> bool {
        let lists = [&self.restrict_css, &self.restrict_xpaths, &self.tags];
        lists.iter().any(|list| !list.is_empty())
    }
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            allow: Vec::new(),
            deny: Vec::new(),
            restrict_css: Vec::new(),
            restrict_xpaths: Vec::new(),
            tags: Vec::new(),
            follow: true,
            priority: 0,
        }
    }
}

/// How politely hosts are asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Requests at once, over all hosts.
    pub concurrency: u32,
    /// Requests at once to one host.
    pub per_host: u32,
    /// Least time between the starts of two requests to one host, in milliseconds.
    pub delay_ms: u64,
    /// Adapt the delay of a host to its latency and errors.
    pub autothrottle: bool,
    /// Make `delay_ms` half as long to half as long again, by chance.
    #[serde(skip_serializing_if = "is_default")]
    pub random_delay: bool,
    /// Adapt the delay so that so many requests to a host are under way on average; `None`: it
    /// grows only with trouble.
    #[serde(skip_serializing_if = "is_default")]
    pub target_concurrency: Option<f64>,
    /// The adapted delay is never longer, in milliseconds.
    pub max_delay_ms: u64,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            concurrency: limits::CONCURRENCY.default,
            per_host: limits::PER_HOST.default,
            delay_ms: limits::DELAY.default.as_millis() as u64,
            autothrottle: true,
            random_delay: false,
            target_concurrency: None,
            max_delay_ms: limits::MAX_DELAY.default.as_millis() as u64,
        }
    }
}

/// When a request is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Retry {
    /// Further attempts after the first.
    pub times: u32,
    /// Statuses that are tried again; `None`: 408, 429 and 500 to 599.
    #[serde(skip_serializing_if = "is_default")]
    pub codes: Option<Vec<u16>>,
    /// Longest chain of redirects.
    pub max_redirects: u32,
    /// How long a network that is gone is waited for, in seconds.
    pub outage_s: u64,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry {
            times: limits::RETRIES.default,
            codes: None,
            max_redirects: limits::REDIRECTS.default,
            outage_s: limits::OUTAGE.default.as_secs(),
        }
    }
}

impl Plan {
    /// What must not change under a checkpoint: start URLs, scope and sitemaps. Its parts
    /// are compared by name when a crawl is resumed.
    pub fn identity(&self) -> Identity {
        Identity {
            start_urls: self.start_urls.clone(),
            scope: self.scope.clone(),
            sitemap: self.sitemap,
        }
    }
}

/// The part of a plan that a checkpoint belongs to.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Absolute start URLs.
    pub start_urls: Vec<String>,
    /// Which links are taken on.
    pub scope: Scope,
    /// Read the sitemaps of the start hosts.
    pub sitemap: bool,
}
