//! From a spider and the options to what the others are told: the frontier's
//! plan, and crawl-fetch's command line.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crawl_ckpt::control::Secrets;
use crawl_ckpt::limits::{DEPTH_PRIORITY, RENDER_TIMEOUT, TIMEOUT};
use crawl_ckpt::plan::{Pace, Plan, Retry, Scope, Warc};

use jiff::Timestamp;
use url::Url;

use crate::cli::{CrawlArgs, ReachArgs};
use crate::proxies::{Proxies, ProxyType};
use crate::spider::Spider;
use crawl_ckpt::address::{is_private_host, take_userinfo};

/// Sent when nobody chose another; robots.txt is read for its first word.
const USER_AGENT: &str = concat!("crawl-run/", env!("CARGO_PKG_VERSION"));

/// What the frontier is to crawl. Options win over the spider's settings.
///
/// `now` is what `SITEMAP_SINCE` counts back from.
pub fn plan(
    spider: &Spider,
    args: &CrawlArgs,
    proxies: &Proxies,
    proxy: &ProxyType,
    now: Timestamp,
) -> Plan {
    let settings = &spider.settings;
    let pace = Pace::default();
    let retry = Retry::default();
    let delay = args.pace.delay.or(settings.delay);
    let is_test = args.limits.limit.is_some();
    Plan {
        start_urls: spider
            .start_urls
            .iter()
            .map(|url| {
                let mut url = url.clone();
                take_userinfo(&mut url);
                url.into()
            })
            .collect(),
        leaves: spider.leaves,
        scope: scope(spider, &args.reach),
        pace: Pace {
            concurrency: args
                .pace
                .concurrency
                .or(settings.concurrency)
                .unwrap_or(pace.concurrency),
            per_host: args
                .pace
                .per_host
                .or(settings.per_host)
                .unwrap_or(pace.per_host),
            delay_ms: delay.map_or(pace.delay_ms, millis),
            autothrottle: settings.autothrottle.unwrap_or(pace.autothrottle),
            random_delay: settings.random_delay.unwrap_or(pace.random_delay),
            target_concurrency: settings.target_concurrency,
            max_delay_ms: settings.max_delay.map_or(pace.max_delay_ms, millis),
        },
        retry: Retry {
            times: settings.retry_times.unwrap_or(retry.times),
            codes: settings.retry_codes.clone(),
            max_redirects: settings.max_redirects.unwrap_or(retry.max_redirects),
            outage_s: args
                .reach
                .outage
                .map_or(retry.outage_s, |outage| outage.as_secs()),
        },
        user_agent: Some(user_agent(spider, args)),
        robots: settings.robots.unwrap_or(true),
        cookies: args.fetch.cookies.is_some() || settings.cookies.unwrap_or(true),
        sitemap: args.reach.sitemap || settings.sitemap.unwrap_or(false),
        sitemap_since: settings
            .sitemap_since
            .map(|since| since.before(now).to_string()),
        proxy_type: proxy.as_str().to_owned(),
        proxies: proxies.names().to_vec(),
        allow_private: args.pace.allow_private || starts_private(spider),
        keep_links: args.output.keep_links,
        keep_body: args.output.keep_body,
        // A test crawl reads and writes none of production's state.
        depth_priority: settings.depth_priority.unwrap_or(DEPTH_PRIORITY.default),
        no_referer: settings.referer == Some(false),
        warc: warc(spider, args),
        delta: !is_test && (args.checkpoint.change.delta || settings.delta.unwrap_or(false)),
    }
}

/// Which links are taken on: what the spider says, narrowed and widened by the options.
fn scope(spider: &Spider, reach: &ReachArgs) -> Scope {
    let mut scope = Scope {
        allow: reach.allow.clone(),
        deny: reach.deny.clone(),
        max_pages_per_host: reach.max_pages_per_host,
        aggressive_urls: reach.aggressive,
        ..spider.scope.clone()
    };
    if let Some(depth) = reach.depth {
        scope.depth_limit = Some(depth);
    }
    let mut domains = reach.domain.clone();
    if reach.include_sub_domains {
        let hosts = spider.start_urls.iter().filter_map(Url::host_str);
        domains.extend(hosts.map(|host| host.strip_prefix("www.").unwrap_or(host).to_owned()));
    }
    if !domains.is_empty() {
        let mut met = HashSet::new();
        domains.retain(|domain| met.insert(domain.clone()));
        (scope.allowed_domains, scope.allowed_hosts) = (domains, Vec::new());
    }
    if reach.no_parent {
        let mut met = HashSet::new();
        let directories = spider.start_urls.iter().map(directory);
        scope.below = directories.filter(|dir| met.insert(dir.clone())).collect();
    }
    scope
}

/// A URL up to its last `/`.
pub fn directory(url: &Url) -> String {
    let mut directory = url.clone();
    take_userinfo(&mut directory);
    directory.set_query(None);
    directory.set_fragment(None);
    let text = directory.as_str();
    let end = text.rfind('/').map_or(text.len(), |slash| slash + 1);
    text[..end].to_owned()
}

/// How the pages themselves are kept, if they are.
fn warc(spider: &Spider, args: &CrawlArgs) -> Option<Warc> {
    let wanted = spider.warc.clone();
    let mut warc = wanted.or(args.fetch.warc.then(Warc::default))?;
    warc.prefix.get_or_insert_with(|| spider.name.to_string());
    Some(warc)
}

/// The options of crawl-fetch that has to leave WARC records in a directory.
pub fn spool_args(warc: &Warc, dir: &Path) -> Vec<OsString> {
    let mut words: Vec<OsString> = vec!["--warc-spool".into(), dir.into()];
    for (kind, is_kept) in [("requests", warc.requests), ("metadata", warc.metadata)] {
        if !is_kept {
            words.extend(["--warc-without".into(), kind.into()]);
        }
    }
    words
}

/// The options of crawl-fetch. It follows no redirect: their targets go through the
/// frontier as links do.
pub fn fetch_args(spider: &Spider, args: &CrawlArgs, plan: &Plan) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut option = |name: &str, value: OsString| words.extend([name.into(), value]);
    option("--max-redirects", "0".into());
    option("--concurrency", plan.pace.concurrency.to_string().into());
    option("--per-host", plan.pace.per_host.to_string().into());
    option("--user-agent", user_agent(spider, args).into());
    if let Some(timeout) = spider.settings.timeout {
        option("--timeout", format!("{}ms", millis(timeout)).into());
    }
    if let Some(size) = spider.settings.max_size {
        option("--max-size", size.to_string().into());
    }
    if let Some(memory) = args.fetch.body_memory {
        option("--body-memory", memory.to_string().into());
    }
    for header in own_headers(spider) {
        if !is_secret(name_of(header)) {
            option("--header", header.into());
        }
    }
    if spider.settings.allow_all == Some(true) {
        option("--allow-status", "all".into());
    }
    for status in spider.settings.allowed_codes.iter().flatten() {
        option("--allow-status", status.to_string().into());
    }
    if let Some(file) = &args.fetch.ca_cert {
        option("--ca-cert", file.into());
    }
    if let Some(tabs) = args.fetch.render_tabs {
        option("--render-tabs", tabs.to_string().into());
    }
    if let Some(parser) = &spider.parser {
        let argv = serde_json::Value::from(parser.command.clone());
        option("--parse", argv.to_string().into());
        option("--parse-dir", parser.dir.clone().into());
        option("--parse-jobs", parser.jobs.to_string().into());
        let timeout = millis(parser.timeout);
        option("--parse-timeout", format!("{timeout}ms").into());
    }
    let flags = [
        ("--insecure", args.fetch.insecure),
        ("--allow-private", plan.allow_private),
        ("--body", plan.keep_body),
        ("--render", args.fetch.render),
        // That a crawl begins in a private place opens no other to its pages.
        ("--render-private", args.pace.allow_private),
        ("--no-sandbox", args.fetch.no_sandbox),
        ("--quiet", args.verbosity.quiet),
    ];
    words.extend(
        flags
            .iter()
            .filter(|(_, on)| *on)
            .map(|(flag, _)| flag.into()),
    );
    words
}

/// So much later than it gives up, crawl-fetch is silent.
const SILENCE: Duration = Duration::from_secs(15);

/// How long crawl-fetch may say nothing while it has requests. A page may have to wait for a parser that
/// is at another, is started again, and dies once more; it may bring two tabs of a browser down.
pub fn answer_within(spider: &Spider, args: &CrawlArgs) -> Duration {
    let timeout = spider.settings.timeout.unwrap_or(TIMEOUT.default);
    let parser = spider.parser.as_ref().map(|parser| parser.timeout);
    let renders = args.fetch.render || !spider.render.is_none();
    let rendering = RENDER_TIMEOUT.default * if renders { 3 } else { 0 };
    timeout
        .saturating_add(SILENCE)
        .saturating_add(rendering)
        .saturating_add(parser.unwrap_or_default().saturating_mul(3))
}

/// What only those get whom the start URLs trust: the headers of the options, those of the spider
/// that identify somebody, and what start URLs bring along. An option goes over the spider's of
/// the same name.
pub fn secrets(spider: &Spider, args: &CrawlArgs) -> Secrets {
    let mut headers: Vec<(String, String)> = Vec::new();
    let is_given = |name: &str| {
        let mut given = args.fetch.headers.iter();
        given.any(|given| name_of(given).eq_ignore_ascii_case(name))
    };
    let own = own_headers(spider)
        .iter()
        .filter(|own| is_secret(name_of(own)) && !is_given(name_of(own)));
    for header in args.fetch.headers.iter().chain(own) {
        let name = name_of(header).to_owned();
        let value = header[name.len()..].trim_start_matches(':').trim();
        let same = headers
            .iter_mut()
            .find(|(other, _)| other.eq_ignore_ascii_case(&name));
        match same {
            // Headers of one name are a list (RFC 9110, 5.3), cookies of another kind.
            Some((_, before)) if is_cookie(&name) => *before = format!("{before}; {value}"),
            Some((_, before)) => *before = format!("{before}, {value}"),
            None => headers.push((name, value.to_owned())),
        }
    }
    let mut starts = spider.start_urls.clone();
    Secrets {
        headers,
        everywhere: args.fetch.header_everywhere,
        userinfo: starts.iter_mut().filter_map(take_userinfo).collect(),
    }
}

fn own_headers(spider: &Spider) -> &[String] {
    let headers = spider.settings.headers.as_ref();
    headers.map_or(&[], |headers| &headers.lines)
}

/// The name in `Name: value`.
fn name_of(header: &str) -> &str {
    header.split(':').next().unwrap_or_default()
}

/// A header that identifies somebody.
fn is_secret(name: &str) -> bool {
    let secret = ["authorization", "proxy-authorization"];
    is_cookie(name)
        || secret
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret))
}

fn is_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("cookie")
}

fn user_agent(spider: &Spider, args: &CrawlArgs) -> String {
    let chosen = args.fetch.user_agent.as_ref();
    chosen
        .or(spider.settings.user_agent.as_ref())
        .map_or_else(|| USER_AGENT.to_owned(), String::clone)
}

/// Whole milliseconds; a span that is not zero stays so.
pub fn millis(time: Duration) -> u64 {
    match u64::try_from(time.as_millis()).unwrap_or(u64::MAX) {
        0 if !time.is_zero() => 1,
        millis => millis,
    }
}

/// A crawl that begins in a private place may stay there.
fn starts_private(spider: &Spider) -> bool {
    let host = |url: &Url| url.host_str().is_some_and(is_private_host);
    spider.start_urls.iter().any(host)
}
