//! The spider: what is to be crawled, read from a file of ScrapAI's form or
//! made from a start URL.

mod parser;
mod rules;
mod settings;

use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use crawl_ckpt::address::{masked_proxy, masked_url};
use crawl_ckpt::generated::generated;
use crawl_ckpt::job::Name;
use crawl_ckpt::node::{Complaint, Fields, Node};
use crawl_ckpt::plan::Scope;
use crawl_ckpt::tool::{Exit, Failure};
use jiff::Timestamp;
use serde_json::Value;
use url::{Host, Url};

pub use parser::Parser;
use rules::Beside;
pub use settings::{Settings, is_user_agent};

/// The JSON Schema of spider files.
pub const SCHEMA: &str = include_str!("../../spider.schema.json");

/// What to crawl.
#[derive(Debug, Clone)]
pub struct Spider {
    /// Also the name of its directory.
    pub name: Name,
    /// Absolute http(s) URLs, at least one.
    pub start_urls: Vec<Url>,
    /// So many of the last start URLs are pages whose links are not followed.
    pub leaves: usize,
    /// Which links are taken on.
    pub scope: Scope,
    /// Pace and manners.
    pub settings: Settings,
    /// What pages go through.
    pub parser: Option<Parser>,
    /// The file's text, when it says what to extract; crawl-fetch reads that.
    pub extract: Option<String>,
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// What the file says that its author may not expect.
    pub notes: Vec<String>,
}

impl Spider {
    /// Reads what stands on the command line: a start URL, or the path of a spider file.
    ///
    /// # Errors
    /// [`Exit::Usage`], with the JSON path of what is wrong in a file.
    pub fn load(argument: &str, now: Timestamp) -> Result<Spider, Failure> {
        if argument.contains("://") {
            return Spider::from_url(argument);
        }
        // It may be a URL without its scheme.
        let shown = match argument.split_once(':') {
            Some((_, rest)) if rest.contains('@') => masked_proxy(argument),
            _ => argument.into(),
        };
        let wrong = |why: &dyn Display| {
            Failure::with(
                Exit::Usage,
                format_args!("cannot use spider {shown}: {why}"),
            )
        };
        let text = fs::read_to_string(Path::new(argument)).map_err(|error| {
            let failure = wrong(&error);
            match without_scheme(argument) {
                Some(url) if error.kind() == std::io::ErrorKind::NotFound => {
                    let url = masked_url(url.as_str()).into_owned();
                    failure.hint(format_args!("a start URL has a scheme: {url}"))
                }
                _ => failure,
            }
        })?;
        let dir = Path::new(argument).parent().unwrap_or(Path::new(""));
        let dir = std::path::absolute(Path::new(".").join(dir)).map_err(|e| wrong(&e))?;
        Spider::from_json(&text, &dir, now).map_err(|why| wrong(&why))
    }

    /// A spider that stays on the host (and port) of its one start URL and is named after it.
    fn from_url(text: &str) -> Result<Spider, Failure> {
        let wrong = |why: &dyn Display| {
            Failure::with(
                Exit::Usage,
                format_args!("cannot use start URL {}: {why}", masked_url(text)),
            )
        };
        let url = http_url(text).map_err(|why| wrong(&why))?;
        let name = Name::from_url(url.as_str()).map_err(|why| wrong(&why))?;
        let scope = Scope {
            allowed_hosts: vec![host_and_port(&url)],
            ..Scope::default()
        };
        Ok(Spider {
            name,
            start_urls: vec![url],
            leaves: 0,
            scope,
            settings: Settings::default(),
            parser: None,
            extract: None,
            ignored: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Reads the text of a spider file that lies in `dir`.
    fn from_json(text: &str, dir: &Path, now: Timestamp) -> Result<Spider, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let spider = Spider::from_node(&Node::root(&value), dir, now);
        let (mut spider, extracts) = spider.map_err(|e| e.to_string())?;
        spider.extract = extracts.then(|| text.to_owned());
        Ok(spider)
    }

    /// Also tells whether something is to be extracted.
    fn from_node(root: &Node<'_>, dir: &Path, now: Timestamp) -> Result<(Spider, bool), Complaint> {
        let mut fields = root.object()?;
        let mut beside = Beside::default();
        let name = name(&mut fields)?;
        let (start_urls, leaves) = all_start_urls(&mut fields)?;
        let scope = scope(&mut fields, &start_urls, &mut beside)?;
        let settings = match fields.get("settings") {
            Some(node) => settings::settings(&node, now, &mut beside.ignored)?,
            None => Settings::default(),
        };
        let parser = parser::parser(&mut fields, dir)?;
        // Says where the spider came from; nothing is made of it.
        fields.get("source_url");
        let has_callbacks = fields.get("callbacks").is_some();
        beside.ignored.extend(fields.unknown());
        let extracts = beside.extracts || has_callbacks || leaves > 0 || settings.reads_articles;
        let spider = Spider {
            name,
            start_urls,
            leaves,
            scope: Scope {
                depth_limit: settings.depth_limit,
                max_url_bytes: settings.max_url_bytes,
                ..scope
            },
            settings,
            parser,
            extract: None,
            ignored: beside.ignored,
            notes: beside.notes,
        };
        Ok((spider, extracts))
    }
}

fn name(fields: &mut Fields<'_>) -> Result<Name, Complaint> {
    let what = "a name of letters, digits, '.', '_' and '-', such as my-shop";
    let node = fields.need("name", what)?;
    Name::parse(node.string(what)?).map_err(|_| node.expected(what))
}

/// Those that the file lists, then those that it generates; at the end are as many as the second
/// says whose links are not followed.
fn all_start_urls(fields: &mut Fields<'_>) -> Result<(Vec<Url>, usize), Complaint> {
    let mut made = match fields.get("settings") {
        Some(node) => generated(&mut node.object()?)?,
        None => Vec::new(),
    };
    let mut urls = match fields.get("start_urls") {
        Some(node) if !made.is_empty() && node.value().as_array().is_some_and(Vec::is_empty) => {
            Vec::new()
        }
        None if !made.is_empty() => Vec::new(),
        _ => start_urls(fields)?,
    };
    made.sort_by_key(|made| !made.follow);
    let leaves = made.iter().filter(|made| !made.follow);
    let leaves = leaves.map(|made| made.urls.len()).sum();
    urls.extend(made.into_iter().flat_map(|made| made.urls));
    Ok((urls, leaves))
}

fn start_urls(fields: &mut Fields<'_>) -> Result<Vec<Url>, Complaint> {
    let what = "absolute http(s) URLs";
    let node = fields.need("start_urls", "a list of absolute http(s) URLs")?;
    let urls: Vec<Url> = node
        .one_or_list(what)?
        .iter()
        .map(|item| {
            let what = "an absolute http(s) URL";
            http_url(item.string(what)?).map_err(|_| item.expected(what))
        })
        .collect::<Result<_, _>>()?;
    if urls.is_empty() {
        return Err(node.expected("a list of absolute http(s) URLs"));
    }
    Ok(urls)
}

fn scope(
    fields: &mut Fields<'_>,
    start_urls: &[Url],
    beside: &mut Beside,
) -> Result<Scope, Complaint> {
    let mut scope = Scope::default();
    if let Some(node) = fields.get("allowed_domains") {
        for item in node.one_or_list("host names")? {
            scope.allowed_domains.push(domain(&item, beside)?);
        }
    }
    // Nobody who names no domain means the whole web.
    if scope.allowed_domains.is_empty() {
        let mut met = HashSet::new();
        let hosts = start_urls.iter().map(host_and_port);
        scope.allowed_hosts = hosts.filter(|host| met.insert(host.clone())).collect();
    }
    scope.rules = rules::rules(fields, beside)?;
    if let Some(node) = fields.get("deny_extensions") {
        let mut extensions = Vec::new();
        for item in node.one_or_list("file name extensions")? {
            let text = item.string("a file name extension such as pdf")?;
            extensions.push(text.trim_start_matches('.').to_ascii_lowercase());
        }
        scope.deny_extensions = Some(extensions);
    }
    Ok(scope)
}

/// A host name in the form that URLs have it in. What people write around one is taken off with
/// a word: a domain holds all hosts below it, on every port and path.
fn domain(node: &Node<'_>, beside: &mut Beside) -> Result<String, Complaint> {
    let what = "a host name such as example.com";
    let text = node.string(what)?;
    let mut bare = text.trim();
    for scheme in ["https://", "http://", "//"] {
        let start = bare.get(..scheme.len());
        if start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
            bare = &bare[scheme.len()..];
        }
    }
    let end = bare.find(['/', '?', '#']).unwrap_or(bare.len());
    let path = &bare[end..];
    bare = &bare[..end];
    if let Some((host, port)) = bare.rsplit_once(':')
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && (!host.contains(':') || host.ends_with(']'))
    {
        bare = host;
    }
    bare = bare.strip_prefix("*.").unwrap_or(bare);
    bare = bare.trim_start_matches('.').trim_end_matches('.');
    let host = match Host::parse(bare) {
        Ok(host) if !bare.contains('*') => host.to_string(),
        _ => return Err(node.expected(what)),
    };
    if !path.trim_matches('/').is_empty() {
        let found = format!("{text:?} has a path: allowed is all of {host}; rules narrow it");
        beside.notes.push(format!("{}: {found}", node.path()));
    } else if bare.len() != text.len() && !text.starts_with("*.") {
        beside
            .notes
            .push(format!("{}: {text:?} is read as {host}", node.path()));
    }
    Ok(host)
}

/// A URL that a crawl may begin with.
///
/// # Errors
/// Why it is none.
pub fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|e| e.to_string())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected http or https, found {}", url.scheme()));
    }
    Ok(url)
}

/// `host`, or `host:port` when the port is not the scheme's own.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The URL that was meant by one whose scheme was left out. A bare word is none.
pub fn without_scheme(text: &str) -> Option<Url> {
    let url = Url::parse(&format!("https://{text}")).ok()?;
    let is_host = match url.host()? {
        Host::Domain(name) => {
            let is_file = url.path() == "/" && name.ends_with(".json");
            (name.contains('.') && !is_file) || name == "localhost"
        }
        // `7` is an address too.
        Host::Ipv4(_) => text.split(['/', ':']).next()?.matches('.').count() == 3,
        Host::Ipv6(_) => true,
    };
    let is_plain = !text.contains(char::is_whitespace) && !text.starts_with(['.', '/']);
    (is_host && is_plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::RangeInclusive;
    use std::time::Duration;

    use crawl_ckpt::limits::{self, Limit};
    use serde_json::json;

    fn read(value: Value) -> Result<Spider, String> {
        Spider::from_json(&value.to_string(), Path::new("/"), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_spider_file_reads_whole() {
        let spider = read(json!({
            "name": "shop",
            "source_url": "https://shop.example/",
            "start_urls": ["https://shop.example", "https://shop.example/new"],
            "allowed_domains": ["Shop.Example"],
            "rules": [{"allow": "/p/", "callback": "parse"}],
            "deny_extensions": [".PDF"],
            "settings": {"DEPTH_LIMIT": 2, "EXTRACTOR_ORDER": [], "PDF_MODE": "x"},
        }))
        .unwrap();
        assert_eq!(spider.start_urls[0].as_str(), "https://shop.example/");
        assert_eq!(spider.scope.allowed_domains, ["shop.example"]);
        assert!(spider.scope.allowed_hosts.is_empty());
        assert_eq!(spider.scope.rules[0].allow, ["/p/"]);
        assert_eq!(spider.scope.deny_extensions, Some(vec!["pdf".to_owned()]));
        assert_eq!(spider.scope.depth_limit, Some(2));
        assert_eq!(spider.ignored, ["$.settings.PDF_MODE"]);
        assert!(spider.extract.is_some());
    }

    #[test]
    fn without_domains_a_spider_stays_on_the_hosts_of_its_start_urls() {
        let spider = read(json!({
            "name": "two",
            "start_urls": ["http://a.example:8080/", "https://b.example/x", "https://b.example/"],
        }))
        .unwrap();
        assert_eq!(spider.scope.allowed_hosts, ["a.example:8080", "b.example"]);
    }

    #[test]
    fn a_start_url_makes_a_spider_that_stays_on_its_host() {
        let spider = Spider::load("HTTP://Docs.example:8080/a", Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(spider.name.to_string(), "docs.example-8080");
        assert_eq!(spider.scope.allowed_hosts, ["docs.example:8080"]);
        assert_eq!(spider.start_urls[0].as_str(), "http://docs.example:8080/a");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let urls = json!(["https://a.example/"]);
        for (bad, path) in [
            (json!([]), "$"),
            (json!({"start_urls": urls}), "$.name"),
            (json!({"name": "../../etc", "start_urls": urls}), "$.name"),
            (json!({"name": "", "start_urls": urls}), "$.name"),
            (json!({"name": "x"}), "$.start_urls"),
            (json!({"name": "x", "start_urls": []}), "$.start_urls"),
            (
                json!({"name": "x", "start_urls": ["/a"]}),
                "$.start_urls[0]",
            ),
            (
                json!({"name": "x", "start_urls": ["ftp://a/"]}),
                "$.start_urls[0]",
            ),
            (
                json!({"name": "x", "start_urls": urls, "allowed_domains": ["https://*"]}),
                "$.allowed_domains[0]",
            ),
            (
                json!({"name": "x", "start_urls": urls, "rules": {"allow": []}}),
                "$.rules",
            ),
            (
                json!({"name": "x", "start_urls": urls, "settings": {"RETRY_TIMES": -1}}),
                "$.settings.RETRY_TIMES",
            ),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with(&format!("{path}: ")), "{path}: {error}");
            assert!(error.contains("expected "), "{error}");
        }
    }

    #[test]
    fn a_domain_is_read_as_it_was_meant_and_a_word_says_so() {
        let mut beside = Beside::default();
        for (text, host, noted) in [
            ("shop.test", "shop.test", false),
            ("*.Shop.test", "shop.test", false),
            (".shop.test", "shop.test", true),
            ("shop.test.", "shop.test", true),
            ("HTTPS://shop.test:8443/", "shop.test", true),
            ("//shop.test", "shop.test", true),
            ("shop.test/en/", "shop.test", true),
            ("m\u{fc}ller.test", "xn--mller-kva.test", false),
            ("[::1]:80", "[::1]", true),
        ] {
            let value = json!(text);
            let read = domain(&Node::root(&value), &mut beside).map_err(|e| e.to_string());
            assert_eq!(read.as_deref(), Ok(host), "{text}");
            assert_eq!(beside.notes.drain(..).count(), usize::from(noted), "{text}");
        }
        for text in ["", "*", ".", "https://", "a b", "http:///x"] {
            let value = json!(text);
            assert!(domain(&Node::root(&value), &mut beside).is_err(), "{text}");
        }
    }

    #[test]
    fn the_schema_lists_just_what_is_read() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let example = |node: &Value| {
            let node = match node["$ref"].as_str() {
                Some(reference) => schema.pointer(&reference[1..]).unwrap(),
                None => node,
            };
            node["examples"][0].clone()
        };
        let examples = |node: &Value| -> Value {
            let properties = node["properties"].as_object().unwrap();
            let pairs = properties
                .iter()
                .map(|(key, node)| (key.clone(), example(node)));
            Value::Object(pairs.collect())
        };
        let top = &schema["properties"];
        let mut spider = examples(&schema);
        spider["settings"] = examples(&top["settings"]);
        spider["rules"][0] = examples(&top["rules"]["items"]);
        spider["sections"][0] = examples(&top["sections"]["items"]);
        // Every key of the schema is known, and every key that is known is in the schema.
        assert!(read(spider.clone()).unwrap().ignored.is_empty());
        let keys = |value: &Value| value.as_object().unwrap().len();
        let counts = [
            &spider,
            &spider["rules"][0],
            &spider["sections"][0],
            &spider["settings"],
        ];
        assert_eq!(counts.map(keys), [12, 8, 8, 33]);
    }

    #[test]
    fn the_schema_has_the_limits_that_the_reader_has() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        macro_rules! numbers {
            ($within:expr, $default:expr) => {
                [
                    Some(*$within.start() as f64),
                    Some(*$within.end() as f64),
                    $default.map(|number| number as f64),
                ]
            };
        }
        macro_rules! limit {
            ($limit:expr) => {
                numbers!($limit.within, Some($limit.default))
            };
        }
        let time = |within: RangeInclusive<Duration>, default: Duration| {
            let (least, most) = within.into_inner();
            [least, most, default].map(|time| Some(time.as_secs_f64()))
        };
        let seconds = |limit: Limit<Duration>| time(limit.within, limit.default);
        let status = numbers!(limits::STATUS, None::<u16>);
        let target = limits::TARGET_CONCURRENCY;
        let target = [Some(*target.start()), Some(*target.end()), None];
        let settings = "/properties/settings/properties";
        let wanted = [
            ("/properties", "parse_jobs", limit!(limits::PARSE_JOBS)),
            (
                "/properties",
                "parse_timeout",
                seconds(limits::PARSE_TIMEOUT),
            ),
            ("/$defs", "priority", limit!(limits::PRIORITY)),
            (settings, "DOWNLOAD_DELAY", seconds(limits::DELAY)),
            (settings, "CONCURRENT_REQUESTS", limit!(limits::CONCURRENCY)),
            (
                settings,
                "CONCURRENT_REQUESTS_PER_DOMAIN",
                limit!(limits::PER_HOST),
            ),
            (settings, "DEPTH_LIMIT", numbers!(limits::DEPTH, Some(0))),
            (settings, "RETRY_TIMES", limit!(limits::RETRIES)),
            (settings, "DOWNLOAD_TIMEOUT", seconds(limits::TIMEOUT)),
            (settings, "DOWNLOAD_MAXSIZE", limit!(limits::BODY_BYTES)),
            (
                settings,
                "CLOSESPIDER_TIMEOUT",
                time(limits::RUN_TIME, Duration::ZERO),
            ),
            (
                settings,
                "CLOSESPIDER_PAGECOUNT",
                numbers!(limits::RUN_RECORDS, Some(0)),
            ),
            (settings, "RETRY_HTTP_CODES/items", status),
            (settings, "HTTPERROR_ALLOWED_CODES/items", status),
            (settings, "AUTOTHROTTLE_TARGET_CONCURRENCY", target),
            (
                settings,
                "AUTOTHROTTLE_MAX_DELAY",
                seconds(limits::MAX_DELAY),
            ),
            (settings, "URLLENGTH_LIMIT", limit!(limits::URL_BYTES)),
            (settings, "DEPTH_PRIORITY", limit!(limits::DEPTH_PRIORITY)),
            (settings, "REDIRECT_MAX_TIMES", limit!(limits::REDIRECTS)),
        ];
        for (within, key, want) in wanted {
            let node = schema.pointer(&format!("{within}/{key}")).unwrap();
            let says = ["minimum", "maximum", "default"].map(|word| node[word].as_f64());
            assert_eq!(says, want, "{key}");
        }
    }

    #[test]
    fn a_host_without_a_scheme_gets_a_hint() {
        let failure = Spider::load("no-such.example", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.unwrap().contains("https://no-such.example/"));
        for path in ["no-such.json", "./no.such", "../a.b/c", "no", "7"] {
            let failure = Spider::load(path, Timestamp::UNIX_EPOCH).unwrap_err();
            assert_eq!(failure.hint, None, "{path}");
        }
        for url in [
            "h.example/a/",
            "h.example:80/a.php?b=/c",
            "127.0.0.1:8080",
            "[::1]/x",
        ] {
            let hint = Spider::load(url, Timestamp::UNIX_EPOCH).unwrap_err().hint;
            let hint = hint.unwrap();
            assert!(hint.contains(&format!("https://{url}")), "{hint}");
        }
    }
}
