//! The settings of a spider, in Scrapy's words and units.

use std::collections::BTreeMap;
use std::time::Duration;

use crawl_ckpt::keys::{Elsewhere, Flag, Form, Listed, amount, parsed, seconds, whole};
use crawl_ckpt::limits;
use crawl_ckpt::node::{Complaint, Kept, Node};
use crawl_ckpt::price::Price;
use crawl_ckpt::rendering::BrowserSettings;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::headers::{header, is_user_agent};

crawl_ckpt::keys! {
    /// What the file says; absent means the tools' own default, which [`limits`] has.
    #[derive(Debug, Clone, PartialEq, Default)]
    pub struct Settings {
        /// Least seconds between two requests to a host.
        delay: Duration = "DOWNLOAD_DELAY", seconds(limits::DELAY), 0.5;
        /// Make DOWNLOAD_DELAY half as long to half as long again, by chance; a Crawl-delay stays the
        /// least.
        random_delay: bool = "RANDOMIZE_DOWNLOAD_DELAY", Flag(false), true;
        /// Requests at once, over all hosts.
        concurrency: u32 = "CONCURRENT_REQUESTS", whole(limits::CONCURRENCY), 16;
        /// Requests at once to one host.
        per_host: u32 = "CONCURRENT_REQUESTS_PER_DOMAIN", whole(limits::PER_HOST), 4;
        /// The delay of a host follows its latency and errors.
        autothrottle: bool = "AUTOTHROTTLE_ENABLED", Flag(true), false;
        /// The delay of a host is its latency divided by this, so that so many requests are under way on
        /// average. Absent: it grows only with trouble.
        target_concurrency: f64 = "AUTOTHROTTLE_TARGET_CONCURRENCY", amount(limits::TARGET_CONCURRENCY), 1.5;
        /// Most seconds of the delay that follows latency and errors.
        max_delay: Duration = "AUTOTHROTTLE_MAX_DELAY", seconds(limits::MAX_DELAY), 30;
        /// Obey robots.txt (RFC 9309).
        robots: bool = "ROBOTSTXT_OBEY", Flag(true), false;
        /// The User-Agent; robots.txt is read for its part up to the first / or blank.
        user_agent: String = "USER_AGENT", agent(), "my-crawler/1.0";
        /// Headers for every request, by name; null is none. Authorization, Cookie and Proxy-Authorization
        /// go to the origins of the start URLs alone, as those of -H.
        headers: Headers = "DEFAULT_REQUEST_HEADERS", HeaderLines, json!({"Accept-Language": "de"});
        /// Send the page that a link was found on as Referer.
        referer: bool = "REFERER_ENABLED", Flag(true), false;
        /// Keep cookies and send them.
        cookies: bool = "COOKIES_ENABLED", Flag(true), false;
        /// auto, none, or the name of a configured proxy.
        proxy_type: String = "PROXY_TYPE", parsed("auto, none, or the name of a proxy",
            |name| Some(name.to_ascii_lowercase()), json!({"default": "auto"})), "none";
        /// What proxies cost, by name: a GB, a request, or both. An environment variable NAME_PROXY_PRICE
        /// goes over it.
        prices: BTreeMap<String, Price> = "PROXY_PRICES", PriceList,
            json!({"residential": "8.50/GB", "isp": "2/GB+0.001/request"});
        /// Deepest link level taken on; 0 is no limit.
        depth_limit: u32 = "DEPTH_LIMIT", whole(limits::DEPTH), 3;
        /// Taken off the priority of a link for each level that it is deep: over 0 crawls in breadth,
        /// below 0 in depth.
        depth_priority: i64 = "DEPTH_PRIORITY", whole(limits::DEPTH_PRIORITY), 1;
        /// Longest URL taken on, in bytes; 0 is no limit.
        max_url_bytes: u32 = "URLLENGTH_LIMIT", whole(limits::URL_BYTES), 4096;
        /// Longest chain of redirects.
        max_redirects: u32 = "REDIRECT_MAX_TIMES", whole(limits::REDIRECTS), 5;
        /// Read the sitemaps of the start hosts: those that robots.txt names, on any host, else
        /// /sitemap.xml.
        sitemap: bool = "USE_SITEMAP", Flag(false), true;
        /// Skip sitemap entries that are older: 2y, 6m, 3w, 30d, or a date.
        sitemap_since: Since = "SITEMAP_SINCE",
            parsed("2y, 6m, 3w, 30d, or a date such as 2026-01-31", Since::parse, json!({})), "6m";
        /// Skip pages that did not change since the last crawl.
        delta: bool = "DELTAFETCH_ENABLED", Flag(false), true;
        /// Seconds for all of one request.
        timeout: Duration = "DOWNLOAD_TIMEOUT", seconds(limits::TIMEOUT), 60;
        /// Most bytes of a decoded body; 0 is 1 GiB.
        max_size: usize = "DOWNLOAD_MAXSIZE", whole(limits::BODY_BYTES), 1_048_576;
        /// Attempts after the first.
        retry_times: u32 = "RETRY_TIMES", whole(limits::RETRIES), 5;
        /// Statuses that are tried again, in place of 408, 429 and 500 to 599.
        retry_codes: Vec<u16> = "RETRY_HTTP_CODES", statuses(), [429, 503];
        /// Statuses whose pages are read for links and items as those of success are.
        allowed_codes: Vec<u16> = "HTTPERROR_ALLOWED_CODES", statuses(), [404];
        /// Pages of every status are read for links and items.
        allow_all: bool = "HTTPERROR_ALLOW_ALL", Flag(false), true;
        /// Seconds after which a run stops in good order, as --max-time does; 0 is no limit.
        max_time: Duration = "CLOSESPIDER_TIMEOUT", seconds(limits::RUN_TIME), 3600;
        /// Records after which a run stops in good order, as --max-pages does; 0 is no limit.
        max_pages: u32 = "CLOSESPIDER_PAGECOUNT", whole(limits::RUN_RECORDS), 1000;
        /// Start URLs out of templates: every value of a variable with every other, at most 100000 in all.
        /// The links of their pages are followed with `follow`; else `callback` reads them, or the article
        /// reader.
        generated: Kept = "GENERATED_URLS", Elsewhere(json!({"type": "array",
                "items": {"type": "object", "required": ["template", "vars"]}})),
            json!([{"template": "https://shop.example/{year}/page-{n}", "follow": true, "vars": {
                "year": {"type": "list", "values": ["2025", "2026"]},
                "n": {"type": "range", "from": 1, "to": 9}}}]);
        /// There is one article reader, whatever it is called here; ["custom"] takes the FIELDS alone.
        extractors: Kept = "EXTRACTOR_ORDER",
            Elsewhere(json!({"type": "array", "items": {"type": "string"}})), ["custom"];
        /// Fields of articles, in place of or beside what the article reader finds. Without rules and
        /// sections every page is an article.
        fields: Kept = "FIELDS", article_fields(), json!({"price": {"css": ".price::text"}});
        /// An older name of FIELDS.
        field_extract: Kept = "FIELD_EXTRACT", article_fields(), json!({"price": {"css": ".price::text"}});
        /// Fields of articles as CSS selectors whose text is taken.
        selectors: Kept = "CUSTOM_SELECTORS",
            Elsewhere(json!({"type": "object", "additionalProperties": {"type": "string"}})),
            json!({"title": "h1"});
    }
}

impl Settings {
    /// Something says how articles are read.
    pub fn reads_articles(&self) -> bool {
        let said = [
            &self.extractors,
            &self.fields,
            &self.field_extract,
            &self.selectors,
        ];
        said.iter().any(|said| said.is_some())
    }
}

fn statuses() -> Listed<impl Form<Out = u16>> {
    Listed("statuses", whole(limits::STATUS))
}

fn agent() -> impl Form<Out = String> {
    let agent = |text: &str| is_user_agent(text).then(|| text.to_owned());
    parsed(
        "a User-Agent of printable ASCII",
        agent,
        json!({"minLength": 1}),
    )
}

fn article_fields() -> Elsewhere {
    Elsewhere(json!({"$ref": "#/$defs/fields"}))
}

/// Headers for every request.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Headers {
    /// As `Name: value`.
    pub lines: Vec<String>,
    /// The User-Agent that is among them.
    agent: Option<String>,
    /// JSON paths of those that belong to how a request is sent.
    ignored: Vec<String>,
}

struct HeaderLines;

impl Form for HeaderLines {
    type Out = Headers;

    fn read(&self, node: &Node<'_>) -> Result<Headers, Complaint> {
        let mut headers = Headers::default();
        let object = node.object()?;
        for (name, node) in object.all().filter(|(_, node)| !node.value().is_null()) {
            let mut lines = Vec::new();
            for value in header_values(&node)? {
                let line = format!("{name}: {value}");
                header(&line).map_err(|_| node.complaint("expected a header that can be sent"))?;
                lines.push(line);
            }
            match &*name.to_ascii_lowercase() {
                "user-agent" => headers.agent = Some(agent().read(&node)?),
                name if OF_THE_WIRE.contains(&name) => headers.ignored.push(node.path().to_owned()),
                _ => headers.lines.append(&mut lines),
            }
        }
        Ok(headers)
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": {
            "type": ["string", "number", "boolean", "array", "null"],
            "items": {"type": ["string", "number", "boolean"]},
        }})
    }
}

/// What a header says, as Scrapy would send it: numbers as their text, truth as Python writes it,
/// and a list as a header for each of its values.
fn header_values(node: &Node<'_>) -> Result<Vec<String>, Complaint> {
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        _ => None,
    };
    let values = match node.value() {
        Value::Array(values) => values.iter().map(one).collect(),
        value => one(value).map(|value| vec![value]),
    };
    values.ok_or_else(|| node.expected("the value of a header"))
}

/// Prices by the names of proxies.
struct PriceList;

impl Form for PriceList {
    type Out = BTreeMap<String, Price>;

    fn read(&self, node: &Node<'_>) -> Result<Self::Out, Complaint> {
        const WHAT: &str = "a price such as 8.50/GB, 0.001/request, or 8.50/GB+0.001/request";
        let object = node.object()?;
        let price = |(name, node): (&str, Node<'_>)| {
            let price = Price::parse(node.string(WHAT)?);
            Ok((
                name.to_ascii_lowercase(),
                price.ok_or_else(|| node.expected(WHAT))?,
            ))
        };
        object.all().map(price).collect()
    }

    fn schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": {"type": "string"}})
    }
}

/// What is older than this is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Since {
    /// Before a time.
    Time(Timestamp),
    /// Before so long ago.
    Ago(SignedDuration),
}

impl Since {
    /// A span in years of 365 and months of 30 days, or a date.
    fn parse(text: &str) -> Option<Since> {
        let text = text.trim();
        let unit_days = match text.chars().last()? {
            'y' => 365,
            'm' => 30,
            'w' => 7,
            'd' => 1,
            _ => {
                let time = text.parse().ok().or_else(|| {
                    let date: Date = text.parse().ok()?;
                    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
                });
                return time.map(Since::Time);
            }
        };
        let number: i64 = text.get(..text.len() - 1)?.trim().parse().ok()?;
        let hours = number.checked_mul(unit_days)?.checked_mul(24)?;
        let span = SignedDuration::try_from_hours(hours)?;
        // Further back than time goes.
        let is_sound = !span.is_negative() && Timestamp::UNIX_EPOCH.checked_sub(span).is_ok();
        is_sound.then_some(Since::Ago(span))
    }

    /// The time that it means `now`.
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Since::Time(time) => time,
            Since::Ago(span) => now.saturating_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Bounds of a run that would stop a resumed crawl elsewhere than one in one go.
const NO_BOUNDS: [(&str, &str); 2] = [
    (
        "CLOSESPIDER_ITEMCOUNT",
        "a run is bounded by its records, CLOSESPIDER_PAGECOUNT",
    ),
    (
        "CLOSESPIDER_ERRORCOUNT",
        "a site that fails is waited for, not given up",
    ),
];

/// Headers that belong to how a request is sent.
const OF_THE_WIRE: [&str; 7] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "transfer-encoding",
];

/// Reads `settings`.
pub fn settings(node: &Node<'_>, ignored: &mut Vec<String>) -> Result<Settings, Complaint> {
    let mut fields = node.object()?;
    // Without it the spider would find something else.
    let is_empty = |node: &Node<'_>| node.value().as_array().is_some_and(Vec::is_empty);
    if let Some(node) = fields
        .get("PAGINATED_LISTINGS")
        .filter(|node| !is_empty(node))
    {
        return Err(node.complaint(
            "clicking through pages needs a browser, which is not supported; pages with URLs of \
             their own are found by rules, or made by GENERATED_URLS",
        ));
    }
    let is_some = |node: &Node<'_>| node.value().as_u64() != Some(0);
    for (key, why) in NO_BOUNDS {
        if let Some(node) = fields.get(key).filter(is_some) {
            ignored.push(format!("{} ({why})", node.path()));
        }
    }
    let mut settings = Settings::read(&mut fields)?;
    // What they say is read with the rest of its kind.
    BrowserSettings::read(&mut fields)?;
    ignored.extend(fields.unknown());
    if let Some(headers) = &mut settings.headers {
        ignored.append(&mut headers.ignored);
        settings.user_agent = settings.user_agent.or(headers.agent.take());
    }
    // 0 is no limit, or the most.
    settings.depth_limit = settings.depth_limit.filter(|levels| *levels > 0);
    settings.max_pages = settings.max_pages.filter(|pages| *pages > 0);
    settings.max_time = settings.max_time.filter(|time| !time.is_zero());
    if settings.max_url_bytes == Some(0) {
        settings.max_url_bytes = Some(*limits::URL_BYTES.within.end());
    }
    if settings.max_size == Some(0) {
        settings.max_size = Some(*limits::BODY_BYTES.within.end());
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Settings, String> {
        settings(&Node::root(&value), &mut Vec::new()).map_err(|e| e.to_string())
    }

    #[test]
    fn every_key_reads_in_its_unit() {
        let got = read(json!({
            "DOWNLOAD_DELAY": 0.25, "CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 4,
            "AUTOTHROTTLE_ENABLED": false, "ROBOTSTXT_OBEY": false, "USER_AGENT": "me/1",
            "DEPTH_LIMIT": 3, "USE_SITEMAP": true, "SITEMAP_SINCE": "30d", "DELTAFETCH_ENABLED": true,
            "PROXY_TYPE": "Residential", "PROXY_PRICES": {"ISP": "2/GB"}, "COOKIES_ENABLED": false, "RETRY_TIMES": 5,
            "DOWNLOAD_TIMEOUT": 90, "DOWNLOAD_MAXSIZE": 1000, "REDIRECT_MAX_TIMES": 20,
            "CLOSESPIDER_TIMEOUT": 60, "CLOSESPIDER_PAGECOUNT": 7, "RETRY_HTTP_CODES": [500, "429"],
            "DEFAULT_REQUEST_HEADERS": {"Accept-Language": "de", "X-None": null},
            "HTTPERROR_ALLOWED_CODES": [404], "AUTOTHROTTLE_TARGET_CONCURRENCY": 1.5,
            "AUTOTHROTTLE_MAX_DELAY": 5, "RANDOMIZE_DOWNLOAD_DELAY": true, "URLLENGTH_LIMIT": 0,
            "DEPTH_PRIORITY": -1, "REFERER_ENABLED": false, "PAGINATED_LISTINGS": []
        }));
        let want = Settings {
            delay: Some(Duration::from_millis(250)),
            concurrency: Some(16),
            per_host: Some(4),
            autothrottle: Some(false),
            robots: Some(false),
            user_agent: Some("me/1".into()),
            depth_limit: Some(3),
            sitemap: Some(true),
            sitemap_since: Some(Since::Ago(SignedDuration::from_hours(720))),
            delta: Some(true),
            proxy_type: Some("residential".into()),
            prices: Price::parse("2").map(|price| [("isp".to_owned(), price)].into()),
            cookies: Some(false),
            retry_times: Some(5),
            timeout: Some(Duration::from_secs(90)),
            max_size: Some(1000),
            max_redirects: Some(20),
            max_time: Some(Duration::from_secs(60)),
            max_pages: Some(7),
            headers: Some(Headers {
                lines: vec!["Accept-Language: de".into()],
                ..Headers::default()
            }),
            retry_codes: Some(vec![500, 429]),
            allowed_codes: Some(vec![404]),
            target_concurrency: Some(1.5),
            max_delay: Some(Duration::from_secs(5)),
            random_delay: Some(true),
            max_url_bytes: Some(u32::MAX),
            depth_priority: Some(-1),
            referer: Some(false),
            ..Settings::default()
        };
        assert_eq!(got, Ok(want));
    }

    #[test]
    fn numbers_and_flags_may_be_strings() {
        let got = read(json!({
            "DOWNLOAD_DELAY": "0.25", "CONCURRENT_REQUESTS": " 16 ", "ROBOTSTXT_OBEY": "False",
            "COOKIES_ENABLED": 0, "USE_SITEMAP": "true",
        }))
        .unwrap();
        assert_eq!(got.delay, Some(Duration::from_millis(250)));
        assert_eq!(got.concurrency, Some(16));
        let codes = |value| read(json!({"RETRY_HTTP_CODES": value})).map(|got| got.retry_codes);
        assert_eq!(codes(json!("500, 502,")), Ok(Some(vec![500, 502])));
        assert_eq!(codes(json!("500")), codes(json!(500)));
        let error = codes(json!("500,50")).unwrap_err();
        assert!(
            error.contains("$.RETRY_HTTP_CODES: expected a whole number"),
            "{error}"
        );
        let flags = [got.robots, got.cookies, got.sitemap];
        assert_eq!(flags, [Some(false), Some(false), Some(true)]);
    }

    #[test]
    fn zero_means_no_limit_where_scrapy_says_so() {
        let got = read(json!({"DEPTH_LIMIT": 0, "DOWNLOAD_MAXSIZE": 0})).unwrap();
        assert_eq!((got.depth_limit, got.max_size), (None, Some(1 << 30)));
    }

    #[test]
    fn values_that_make_no_sense_are_refused_with_their_path() {
        for (bad, path) in [
            (json!({"DOWNLOAD_DELAY": -1}), "$.DOWNLOAD_DELAY"),
            (json!({"DOWNLOAD_DELAY": "soon"}), "$.DOWNLOAD_DELAY"),
            (json!({"CONCURRENT_REQUESTS": 0}), "$.CONCURRENT_REQUESTS"),
            (json!({"DOWNLOAD_TIMEOUT": 0}), "$.DOWNLOAD_TIMEOUT"),
            (json!({"USER_AGENT": "a\nb"}), "$.USER_AGENT"),
            (json!({"SITEMAP_SINCE": "soon"}), "$.SITEMAP_SINCE"),
            (json!({"SITEMAP_SINCE": "-3d"}), "$.SITEMAP_SINCE"),
            (json!({"SITEMAP_SINCE": "99999999999y"}), "$.SITEMAP_SINCE"),
            (json!({"ROBOTSTXT_OBEY": 2}), "$.ROBOTSTXT_OBEY"),
            (json!({"RETRY_HTTP_CODES": [99]}), "$.RETRY_HTTP_CODES[0]"),
            (json!({"DEPTH_PRIORITY": 0.5}), "$.DEPTH_PRIORITY"),
            (json!({"CLOSESPIDER_TIMEOUT": -1}), "$.CLOSESPIDER_TIMEOUT"),
            (
                json!({"AUTOTHROTTLE_TARGET_CONCURRENCY": 0}),
                "$.AUTOTHROTTLE_TARGET_CONCURRENCY",
            ),
            (
                json!({"DEFAULT_REQUEST_HEADERS": {"A": "x\ny"}}),
                "$.DEFAULT_REQUEST_HEADERS.A",
            ),
            (
                json!({"PROXY_PRICES": {"isp": "cheap"}}),
                "$.PROXY_PRICES.isp",
            ),
            (json!({"ROBOTSTXT_OBEY": "maybe"}), "$.ROBOTSTXT_OBEY"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with(&format!("{path}: expected ")), "{error}");
        }
    }

    #[test]
    fn what_would_crawl_something_else_is_an_error_and_no_warning() {
        let error = read(json!({"PAGINATED_LISTINGS": [{}]})).unwrap_err();
        assert!(error.starts_with("$.PAGINATED_LISTINGS: "), "{error}");
        assert!(error.contains("not supported"), "{error}");
    }

    #[test]
    fn a_bound_that_is_not_kept_is_told_with_its_reason() {
        let value = json!({"CLOSESPIDER_ITEMCOUNT": 5, "CLOSESPIDER_ERRORCOUNT": 0});
        let mut ignored = Vec::new();
        settings(&Node::root(&value), &mut ignored).unwrap();
        let why =
            "$.CLOSESPIDER_ITEMCOUNT (a run is bounded by its records, CLOSESPIDER_PAGECOUNT)";
        assert_eq!(ignored, [why]);
    }

    #[test]
    fn headers_of_the_wire_are_ignored_by_name_and_the_agent_is_the_agent() {
        let value = json!({"DEFAULT_REQUEST_HEADERS": {"User-Agent": "me/1", "Accept-Encoding": "br", "A": "b"}});
        let mut ignored = Vec::new();
        let got = settings(&Node::root(&value), &mut ignored).unwrap();
        assert_eq!(
            (got.user_agent.as_deref(), got.headers.unwrap().lines),
            (Some("me/1"), vec!["A: b".to_owned()])
        );
        assert_eq!(ignored, ["$.DEFAULT_REQUEST_HEADERS[\"Accept-Encoding\"]"]);
    }

    #[test]
    fn the_value_of_a_header_is_sent_as_python_writes_it() {
        let value =
            json!({"DEFAULT_REQUEST_HEADERS": {"DNT": 1, "X-F": 1.5, "X-T": true, "A": ["b", 2]}});
        let got = settings(&Node::root(&value), &mut Vec::new()).unwrap();
        let lines = got.headers.unwrap().lines;
        assert_eq!(lines, ["A: b", "A: 2", "DNT: 1", "X-F: 1.5", "X-T: True"]);
        for bad in [json!({}), json!([null]), json!(["a\nb"])] {
            let value = json!({"DEFAULT_REQUEST_HEADERS": {"A": bad}});
            let error = settings(&Node::root(&value), &mut Vec::new()).unwrap_err();
            assert_eq!(error.path, "$.DEFAULT_REQUEST_HEADERS.A");
        }
    }

    #[test]
    fn sitemap_since_takes_dates_and_spans() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, want) in [
            ("2y", "2024-11-22T12:00:00Z"),
            ("6m", "2026-05-26T12:00:00Z"),
            ("2026-01-31", "2026-01-31T00:00:00Z"),
            ("2026-01-31T10:00:00+02:00", "2026-01-31T08:00:00Z"),
        ] {
            let since = Since::parse(text).unwrap();
            assert_eq!(since.before(now), want.parse().unwrap(), "{text}");
        }
    }
}
