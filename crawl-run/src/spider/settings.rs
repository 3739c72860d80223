//! The settings of a spider, in Scrapy's words and units.

use std::ops::RangeInclusive;
use std::time::Duration;

use crawl_ckpt::limits;
use crawl_ckpt::node::{Complaint, Node};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// What the file says; absent means the tools' own default, which [`limits`] has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// `DOWNLOAD_DELAY`: least time between two requests to a host.
    pub delay: Option<Duration>,
    /// `CONCURRENT_REQUESTS`.
    pub concurrency: Option<u32>,
    /// `CONCURRENT_REQUESTS_PER_DOMAIN`.
    pub per_host: Option<u32>,
    /// `AUTOTHROTTLE_ENABLED`. Default on.
    pub autothrottle: Option<bool>,
    /// `ROBOTSTXT_OBEY`. Default on.
    pub robots: Option<bool>,
    /// `USER_AGENT`. Default: the tool's name and version.
    pub user_agent: Option<String>,
    /// `DEPTH_LIMIT`; 0 is no limit, the default.
    pub depth_limit: Option<u32>,
    /// `USE_SITEMAP`. Default off.
    pub sitemap: Option<bool>,
    /// `SITEMAP_SINCE`, as a time.
    pub sitemap_since: Option<Timestamp>,
    /// `DELTAFETCH_ENABLED`. Default off.
    pub delta: Option<bool>,
    /// `PROXY_TYPE`. Default `auto`.
    pub proxy_type: Option<String>,
    /// `COOKIES_ENABLED`. Default on.
    pub cookies: Option<bool>,
    /// `RETRY_TIMES`: attempts after the first.
    pub retry_times: Option<u32>,
    /// `DOWNLOAD_TIMEOUT`, for all of one request.
    pub timeout: Option<Duration>,
    /// `DOWNLOAD_MAXSIZE` in bytes of the decoded body; 0 is the most.
    pub max_size: Option<usize>,
    /// `REDIRECT_MAX_TIMES`.
    pub max_redirects: Option<u32>,
    /// `CLOSESPIDER_TIMEOUT`: how long a run goes on; 0 is no limit, the default.
    pub max_time: Option<Duration>,
    /// `CLOSESPIDER_PAGECOUNT`: records of a run; 0 is no limit, the default.
    pub max_pages: Option<u64>,
    /// `DEFAULT_REQUEST_HEADERS`, as `Name: value`.
    pub headers: Vec<String>,
    /// `RETRY_HTTP_CODES`. Default 408, 429 and 500 to 599.
    pub retry_codes: Option<Vec<u16>>,
    /// `HTTPERROR_ALLOWED_CODES` and `HTTPERROR_ALLOW_ALL`, which is 0: statuses whose pages are
    /// read as well.
    pub allowed_codes: Vec<u16>,
    /// `AUTOTHROTTLE_TARGET_CONCURRENCY`. Without it the delay grows only with trouble.
    pub target_concurrency: Option<f64>,
    /// `AUTOTHROTTLE_MAX_DELAY`.
    pub max_delay: Option<Duration>,
    /// `RANDOMIZE_DOWNLOAD_DELAY`. Default off.
    pub random_delay: Option<bool>,
    /// `URLLENGTH_LIMIT` in bytes; 0 is no limit.
    pub max_url_bytes: Option<u32>,
    /// `DEPTH_PRIORITY`.
    pub depth_priority: i64,
    /// `REFERER_ENABLED`. Default on.
    pub referer: Option<bool>,
    /// Something says how articles are read (`EXTRACTOR_ORDER`, `FIELDS` …).
    pub reads_articles: bool,
}

/// What crawl-fetch reads of the settings.
const OF_ARTICLES: [&str; 4] = [
    "EXTRACTOR_ORDER",
    "FIELDS",
    "FIELD_EXTRACT",
    "CUSTOM_SELECTORS",
];

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

/// Reads `settings`. `now` is what `SITEMAP_SINCE` counts back from.
pub fn settings(
    node: &Node<'_>,
    now: Timestamp,
    ignored: &mut Vec<String>,
) -> Result<Settings, Complaint> {
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
    // Made into start URLs.
    fields.get("GENERATED_URLS");
    let is_some = |node: &Node<'_>| node.value().as_u64() != Some(0);
    for (key, why) in NO_BOUNDS {
        if let Some(node) = fields.get(key).filter(is_some) {
            ignored.push(format!("{} ({why})", node.path()));
        }
    }
    let mut flag = |key| fields.get(key).map(|node| node.boolean()).transpose();
    let mut settings = Settings {
        autothrottle: flag("AUTOTHROTTLE_ENABLED")?,
        robots: flag("ROBOTSTXT_OBEY")?,
        sitemap: flag("USE_SITEMAP")?,
        delta: flag("DELTAFETCH_ENABLED")?,
        cookies: flag("COOKIES_ENABLED")?,
        random_delay: flag("RANDOMIZE_DOWNLOAD_DELAY")?,
        referer: flag("REFERER_ENABLED")?,
        allowed_codes: flag("HTTPERROR_ALLOW_ALL")?
            .filter(|all| *all)
            .map(|_| 0)
            .into_iter()
            .collect(),
        ..Settings::default()
    };

    let mut count = |key, within: RangeInclusive<u32>| {
        let node = fields.get(key);
        node.map(|node| node.integer(within)).transpose()
    };
    let or_none = |count: Option<u32>| count.filter(|count| *count > 0);
    settings.concurrency = count("CONCURRENT_REQUESTS", limits::CONCURRENCY.within)?;
    settings.per_host = count("CONCURRENT_REQUESTS_PER_DOMAIN", limits::PER_HOST.within)?;
    settings.depth_limit = or_none(count("DEPTH_LIMIT", limits::DEPTH)?);
    settings.retry_times = count("RETRY_TIMES", limits::RETRIES.within)?;
    settings.max_redirects = count("REDIRECT_MAX_TIMES", limits::REDIRECTS.within)?;
    let pages = count("CLOSESPIDER_PAGECOUNT", limits::RUN_RECORDS)?;
    settings.max_pages = or_none(pages).map(u64::from);
    let bytes = count("URLLENGTH_LIMIT", limits::URL_BYTES.within)?;
    settings.max_url_bytes = bytes.map(|bytes| if bytes == 0 { u32::MAX } else { bytes });

    let mut time = |key, within: RangeInclusive<Duration>| {
        let node = fields.get(key);
        node.map(|node| node.seconds(within)).transpose()
    };
    settings.delay = time("DOWNLOAD_DELAY", limits::DELAY.within)?;
    settings.timeout = time("DOWNLOAD_TIMEOUT", limits::TIMEOUT.within)?;
    settings.max_delay = time("AUTOTHROTTLE_MAX_DELAY", limits::MAX_DELAY.within)?;
    let run = time("CLOSESPIDER_TIMEOUT", limits::RUN_TIME)?;
    settings.max_time = run.filter(|time| !time.is_zero());

    if let Some(node) = fields.get("AUTOTHROTTLE_TARGET_CONCURRENCY") {
        settings.target_concurrency = Some(node.amount("", limits::TARGET_CONCURRENCY)?);
    }
    if let Some(node) = fields.get("DEPTH_PRIORITY") {
        settings.depth_priority = node.integer(limits::DEPTH_PRIORITY.within)?;
    }
    if let Some(node) = fields.get("RETRY_HTTP_CODES") {
        settings.retry_codes = Some(statuses(&node)?);
    }
    if let Some(node) = fields.get("HTTPERROR_ALLOWED_CODES") {
        settings.allowed_codes.extend(statuses(&node)?);
    }
    if let Some(node) = fields.get("DOWNLOAD_MAXSIZE") {
        let within = limits::BODY_BYTES.within;
        let (bytes, most) = (node.integer(within.clone())?, *within.end());
        settings.max_size = Some(if bytes == 0 { most } else { bytes });
    }
    if let Some(node) = fields.get("DEFAULT_REQUEST_HEADERS") {
        headers(&node, &mut settings, ignored)?;
    }
    if let Some(node) = fields.get("USER_AGENT") {
        settings.user_agent = Some(user_agent(&node)?);
    }
    if let Some(node) = fields.get("PROXY_TYPE") {
        let name = node.string("auto, none, or the name of a proxy")?;
        settings.proxy_type = Some(name.to_ascii_lowercase());
    }
    if let Some(node) = fields.get("SITEMAP_SINCE") {
        let what = "2y, 6m, 3w, 30d, or a date such as 2026-01-31";
        let text = node.string(what)?;
        settings.sitemap_since = Some(since(text, now).ok_or_else(|| node.expected(what))?);
    }
    for key in OF_ARTICLES {
        settings.reads_articles |= fields.get(key).is_some();
    }
    ignored.extend(fields.unknown());
    Ok(settings)
}

fn statuses(node: &Node<'_>) -> Result<Vec<u16>, Complaint> {
    let nodes = node.one_or_list("statuses")?;
    nodes
        .iter()
        .map(|node| node.integer(limits::STATUS))
        .collect()
}

/// Headers for every request; one that is `null` is none.
fn headers(
    node: &Node<'_>,
    settings: &mut Settings,
    ignored: &mut Vec<String>,
) -> Result<(), Complaint> {
    for (name, node) in node
        .object()?
        .all()
        .filter(|(_, node)| !node.value().is_null())
    {
        let value = node.string("the value of a header")?;
        let line = format!("{name}: {value}");
        crate::cli::header(&line)
            .map_err(|_| node.complaint("expected a header that can be sent"))?;
        match &*name.to_ascii_lowercase() {
            "user-agent" => settings.user_agent = Some(user_agent(&node)?),
            name if OF_THE_WIRE.contains(&name) => ignored.push(node.path().to_owned()),
            _ => settings.headers.push(line),
        }
    }
    Ok(())
}

fn user_agent(node: &Node<'_>) -> Result<String, Complaint> {
    let what = "a User-Agent of printable ASCII";
    let text = node.string(what)?;
    if !is_user_agent(text) {
        return Err(node.expected(what));
    }
    Ok(text.to_owned())
}

/// What may be sent as a User-Agent.
pub fn is_user_agent(text: &str) -> bool {
    !text.trim().is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// A span back from `now`, in years of 365 and months of 30 days, or a date.
fn since(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    let unit_days = match text.chars().last()? {
        'y' => 365,
        'm' => 30,
        'w' => 7,
        'd' => 1,
        _ => {
            return text.parse::<Timestamp>().ok().or_else(|| {
                let date: Date = text.parse().ok()?;
                Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
            });
        }
    };
    let number: i64 = text.get(..text.len() - 1)?.trim().parse().ok()?;
    let hours = number.checked_mul(unit_days)?.checked_mul(24)?;
    let span = SignedDuration::try_from_hours(hours).filter(|span| !span.is_negative())?;
    now.checked_sub(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(value: Value) -> Result<Settings, String> {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        settings(&Node::root(&value), now, &mut Vec::new()).map_err(|e| e.to_string())
    }

    #[test]
    fn every_key_reads_in_its_unit() {
        let got = read(json!({
            "DOWNLOAD_DELAY": 0.25, "CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 4,
            "AUTOTHROTTLE_ENABLED": false, "ROBOTSTXT_OBEY": false, "USER_AGENT": "me/1",
            "DEPTH_LIMIT": 3, "USE_SITEMAP": true, "SITEMAP_SINCE": "30d", "DELTAFETCH_ENABLED": true,
            "PROXY_TYPE": "Residential", "COOKIES_ENABLED": false, "RETRY_TIMES": 5,
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
            sitemap_since: Some("2026-10-23T12:00:00Z".parse().unwrap()),
            delta: Some(true),
            proxy_type: Some("residential".into()),
            cookies: Some(false),
            retry_times: Some(5),
            timeout: Some(Duration::from_secs(90)),
            max_size: Some(1000),
            max_redirects: Some(20),
            max_time: Some(Duration::from_secs(60)),
            max_pages: Some(7),
            headers: vec!["Accept-Language: de".into()],
            retry_codes: Some(vec![500, 429]),
            allowed_codes: vec![404],
            target_concurrency: Some(1.5),
            max_delay: Some(Duration::from_secs(5)),
            random_delay: Some(true),
            max_url_bytes: Some(u32::MAX),
            depth_priority: -1,
            referer: Some(false),
            reads_articles: false,
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
        settings(&Node::root(&value), Timestamp::UNIX_EPOCH, &mut ignored).unwrap();
        let why =
            "$.CLOSESPIDER_ITEMCOUNT (a run is bounded by its records, CLOSESPIDER_PAGECOUNT)";
        assert_eq!(ignored, [why]);
    }

    #[test]
    fn headers_of_the_wire_are_ignored_by_name_and_the_agent_is_the_agent() {
        let value = json!({"DEFAULT_REQUEST_HEADERS": {"User-Agent": "me/1", "Accept-Encoding": "br", "A": "b"}});
        let mut ignored = Vec::new();
        let got = settings(&Node::root(&value), Timestamp::UNIX_EPOCH, &mut ignored).unwrap();
        assert_eq!(
            (got.user_agent.as_deref(), &*got.headers),
            (Some("me/1"), &["A: b".to_owned()][..])
        );
        assert_eq!(ignored, ["$.DEFAULT_REQUEST_HEADERS[\"Accept-Encoding\"]"]);
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
            assert_eq!(since(text, now), Some(want.parse().unwrap()), "{text}");
        }
    }
}
