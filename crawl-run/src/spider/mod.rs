//! The spider: what is to be crawled, read from a file of ScrapAI's form or
//! made from a start URL.

mod parser;
mod rules;
mod schema;
mod settings;
mod warc;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::Path;

use crawl_ckpt::address::{has_bare_login, masked_proxy, masked_url};
use crawl_ckpt::domain::{Domain, HostName};
use crawl_ckpt::generated::generated;
use crawl_ckpt::job::Name;
use crawl_ckpt::keys::{Elsewhere, Listed, OneOrList, parsed};
use crawl_ckpt::lines::read_text;
use crawl_ckpt::node::{Complaint, Fields, Kept, Node};
use crawl_ckpt::plan::{Scope, Warc};
use crawl_ckpt::rendering::Renderings;
use crawl_ckpt::tool::{Exit, Failure, quoted};
use serde_json::{Value, json};
use url::{Host, ParseError, Url};

pub use parser::Parser;
use rules::Beside;

use crate::habits;
pub use schema::{Chapter, chapters, schema};
pub use settings::Settings;

const NOT_JSON: &str = "not JSON: ";

const NAME: &str = "a name of letters, digits, '.', '_' and '-', such as my-shop";

crawl_ckpt::keys! {
    /// What it is, and where it begins.
    #[derive(Debug)]
    struct Head {
        /// Where this schema is, for editors. Nothing is made of it.
        schema: Kept = "$schema", Elsewhere(json!({"type": "string"})), "spider.schema.json";
        /// Name of the spider, and of its directory.
        name: Name = "name", parsed(NAME, |name| Name::parse(name).ok(),
            json!({"pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"})), "my-shop";
        /// Where the spider was made from. Nothing is made of it.
        source_url: Kept = "source_url", Elsewhere(json!({"type": "string"})), "https://shop.example/";
        /// Absolute http(s) URLs where the crawl begins. It may be missing or empty when GENERATED_URLS
        /// makes some.
        start_urls: Vec<Url> = "start_urls", OneOrList("absolute http(s) URLs", parsed(
            "an absolute http(s) URL", |url| http_url(url).ok(), json!({"format": "uri"}))),
            ["https://shop.example/"];
        /// What rules extract, by the name that they call.
        callbacks: Kept = "callbacks", Elsewhere(json!({"type": "object", "additionalProperties":
                {"type": "object", "properties": {"extract": {"$ref": "#/$defs/fields"}}}})),
            json!({"parse_product": {"extract": {"name": {"css": "h1::text"}}}});
    }
}

crawl_ckpt::keys! {
    /// Where it ends, beside the rules.
    #[derive(Debug)]
    struct Edges {
        /// Host names; each allows its subdomains too. Without any, the crawl stays on the hosts (and
        /// ports) of its start URLs.
        domains: Vec<Domain> = "allowed_domains", Listed("host names", HostName), ["shop.example"];
        /// File name extensions that are no pages, in place of the usual list (archives, audio, video,
        /// images, office documents, pdf ...). An empty list takes everything on.
        no_pages: Vec<String> = "deny_extensions", Listed("file name extensions", parsed(
            "a file name extension such as pdf",
            |text| Some(text.trim_start_matches('.').to_ascii_lowercase()), json!({}))), ["pdf", "zip"];
    }
}

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
    /// Which pages are rendered.
    pub render: Renderings,
    /// The file's text, when something in it says which; crawl-fetch reads that.
    pub render_by: Option<String>,
    /// How the pages themselves are kept.
    pub warc: Option<Warc>,
    /// The file's text, when it says what to extract; crawl-fetch reads that.
    pub extract: Option<String>,
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// What the file says that its author may not expect.
    pub notes: Vec<String>,
}

impl Spider {
    /// Reads what stands on the command line: start URLs, `-` for those on stdin, or the path of a
    /// spider file.
    ///
    /// # Errors
    /// [`Exit::Usage`], with the JSON path of what is wrong in a file.
    pub fn load<S: AsRef<str>>(words: &[S]) -> Result<Spider, Failure> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        if words.iter().any(|word| word.trim().is_empty()) {
            let message = "cannot use spider '': it is empty";
            return Err(Failure::with(Exit::Usage, message).hint(
                "a start URL or a spider file goes there; in a script its variable may not be set",
            ));
        }
        match words[..] {
            ["-"] => {
                let fail = |why: &dyn Display| {
                    Failure::with(Exit::Usage, format_args!("cannot read start URLs: {why}"))
                };
                let text = read_text(io::stdin()).map_err(|e| fail(&e))?;
                let lines = text.lines().map(str::trim);
                let urls: Vec<&str> = lines
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                    .collect();
                if urls.is_empty() {
                    return Err(fail(&"there is none on stdin"));
                }
                Spider::from_urls(&urls)
            }
            [word] if !word.contains("://") => Spider::from_file(word),
            _ => Spider::from_urls(&words),
        }
    }

    fn from_file(argument: &str) -> Result<Spider, Failure> {
        // The name may be a URL without its scheme.
        let shown = if has_bare_login(argument) {
            masked_proxy(argument)
        } else {
            argument.into()
        };
        let wrong = |why: &dyn Display| {
            Failure::with(
                Exit::Usage,
                format_args!("cannot use spider {shown}: {why}"),
            )
        };
        let path = Path::new(argument);
        let text = fs::File::open(path).and_then(read_text).map_err(|error| {
            let failure = wrong(&error);
            if let Some(hint) = habits::of_word(argument) {
                return failure.hint(hint);
            }
            match without_scheme(argument) {
                _ if Path::new(&format!("{argument}.json")).is_file() => failure.hint(
                    format_args!("crawl-run {}", quoted(&format!("{argument}.json"))),
                ),
                Some(url) if error.kind() == io::ErrorKind::NotFound => {
                    let url = masked_url(url.as_str()).into_owned();
                    failure.hint(format_args!("a start URL has a scheme: {url}"))
                }
                _ => failure,
            }
        })?;
        let dir = path.parent().unwrap_or(Path::new(""));
        let dir = std::path::absolute(Path::new(".").join(dir)).map_err(|e| wrong(&e))?;
        let is_yaml = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml");
        Spider::from_json(&text, &dir).map_err(|why| {
            if !why.starts_with(NOT_JSON) {
                return wrong(&why);
            }
            if !is_yaml {
                let failure = wrong(&why);
                if path.extension().is_some_and(|end| end == "json") {
                    return failure;
                }
                if path.extension().is_some_and(|end| end == "py") {
                    return wrong(&"it is Python, and a spider file is JSON").hint(
                        "crawl-run init URL writes one; Python goes on as a parser: \"parse\" in man crawl-spider",
                    );
                }
                let list = quoted(argument);
                return failure.hint(format_args!(
                    "a list of sites is crawled by: crawl-run batch {list}"
                ));
            }
            let json = quoted(&path.with_extension("json").to_string_lossy());
            wrong(&"it is YAML, and a spider file is JSON").hint(format_args!(
                "yq -o json {} >{json} && crawl-run {json}",
                quoted(argument)
            ))
        })
    }

    /// A spider that stays on the hosts (and ports) of its start URLs and is named after the first.
    fn from_urls(texts: &[&str]) -> Result<Spider, Failure> {
        let read = |text: &&str| {
            http_url(text).map_err(|why| {
                let shown = shown_url(text);
                let failure = Failure::with(
                    Exit::Usage,
                    format_args!("cannot use start URL {shown}: {why}"),
                );
                if text.contains("://") {
                    return failure;
                }
                if let Some(hint) = habits::of_word(text) {
                    return failure.hint(hint);
                }
                failure.hint(
                    "a start URL has a scheme; `crawl-run batch LIST` crawls several spider files",
                )
            })
        };
        let start_urls: Vec<Url> = texts.iter().map(read).collect::<Result<_, _>>()?;
        let name = start_urls.first().map_or("", Url::as_str);
        let name = Name::from_url(name).map_err(|why| {
            let shown = masked_url(name);
            Failure::with(
                Exit::Usage,
                format_args!("cannot use start URL {shown}: {why}"),
            )
        })?;
        let scope = Scope {
            allowed_hosts: hosts_of(&start_urls),
            ..Scope::default()
        };
        Ok(Spider {
            name,
            start_urls,
            leaves: 0,
            scope,
            settings: Settings::default(),
            parser: None,
            render: Renderings::default(),
            render_by: None,
            warc: None,
            extract: None,
            ignored: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Reads the text of a spider file that lies in `dir`.
    fn from_json(text: &str, dir: &Path) -> Result<Spider, String> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value: Value = serde_json::from_str(text).map_err(|e| {
            // Of YAML, Python and the like the parser says nothing that helps.
            if text.trim_start().starts_with('{') {
                format!("{NOT_JSON}{e}")
            } else {
                format!("{NOT_JSON}a spider file begins with {{")
            }
        })?;
        let spider = Spider::from_node(&Node::root(&value), dir);
        let (mut spider, extracts) = spider.map_err(|e| e.to_string())?;
        spider.extract = extracts.then(|| text.to_owned());
        spider.render_by = (!spider.render.lines().is_empty()).then(|| text.to_owned());
        Ok(spider)
    }

    /// Also tells whether something is to be extracted.
    fn from_node(root: &Node<'_>, dir: &Path) -> Result<(Spider, bool), Complaint> {
        let mut fields = root.object()?;
        let mut beside = Beside::default();
        let head = Head::read(&mut fields)?;
        let name = head.name.ok_or_else(|| fields.missing("name", NAME))?;
        let (start_urls, leaves) = all_start_urls(head.start_urls, &mut fields)?;
        let scope = scope(&mut fields, &start_urls, &mut beside)?;
        let settings = match fields.get("settings") {
            Some(node) => settings::settings(&node, &mut beside.ignored)?,
            None => Settings::default(),
        };
        let parser = parser::parser(&mut fields, dir)?;
        let render = Renderings::read(&mut fields)?;
        let warc = warc::warc(&mut fields, &mut beside.ignored)?;
        beside.ignored.extend(fields.unknown());
        let extracts =
            beside.extracts || head.callbacks.is_some() || leaves > 0 || settings.reads_articles();
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
            render,
            render_by: None,
            warc,
            extract: None,
            ignored: beside.ignored,
            notes: beside.notes,
        };
        Ok((spider, extracts))
    }
}

/// Those that the file lists, then those that it generates; at the end are as many as the second
/// says whose links are not followed.
fn all_start_urls(
    listed: Option<Vec<Url>>,
    fields: &mut Fields<'_>,
) -> Result<(Vec<Url>, usize), Complaint> {
    const WHAT: &str = "a list of absolute http(s) URLs";
    let mut made = match fields.get("settings") {
        Some(node) => generated(&mut node.object()?)?,
        None => Vec::new(),
    };
    if made.is_empty() && listed.as_ref().is_none_or(Vec::is_empty) {
        return Err(fields.need("start_urls", WHAT)?.expected(WHAT));
    }
    let mut urls = listed.unwrap_or_default();
    made.sort_by_key(|made| !made.follow);
    let leaves = made.iter().filter(|made| !made.follow);
    let leaves = leaves.map(|made| made.urls.len()).sum();
    urls.extend(made.into_iter().flat_map(|made| made.urls));
    Ok((urls, leaves))
}

fn scope(
    fields: &mut Fields<'_>,
    start_urls: &[Url],
    beside: &mut Beside,
) -> Result<Scope, Complaint> {
    let edges = Edges::read(fields)?;
    let mut scope = Scope {
        rules: rules::rules(fields, beside)?,
        deny_extensions: edges.no_pages,
        ..Scope::default()
    };
    for domain in edges.domains.unwrap_or_default() {
        scope.allowed_domains.push(domain.host);
        beside.notes.extend(domain.note);
    }
    // Nobody who names no domain means the whole web.
    if scope.allowed_domains.is_empty() {
        scope.allowed_hosts = hosts_of(start_urls);
    }
    Ok(scope)
}

/// Each host once.
fn hosts_of(urls: &[Url]) -> Vec<String> {
    let mut met = HashSet::new();
    let hosts = urls.iter().map(host_and_port);
    hosts.filter(|host| met.insert(host.clone())).collect()
}

/// A URL that a crawl may begin with.
///
/// # Errors
/// Why it is none.
pub fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text.trim()).map_err(|e| match e {
        ParseError::RelativeUrlWithoutBase => "it has no scheme".to_owned(),
        e => e.to_string(),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("expected http or https, found {}", url.scheme()));
    }
    Ok(url)
}

/// A start URL as messages show it, also one whose scheme was left out.
pub fn shown_url(text: &str) -> Cow<'_, str> {
    if text.contains("://") {
        masked_url(text)
    } else {
        masked_proxy(text)
    }
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
    let mut url = Url::parse(&format!("https://{text}")).ok()?;
    if matches!(url.host_str()?, "localhost" | "[::1]") || url.host_str()?.starts_with("127.") {
        // Nobody has a certificate there.
        url = Url::parse(&format!("http://{text}")).ok()?;
    }
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
    fn read(value: Value) -> Result<Spider, String> {
        Spider::from_json(&value.to_string(), Path::new("/"))
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
        let spider = Spider::load(&["HTTP://Docs.example:8080/a"]).unwrap();
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
    fn every_example_of_the_schema_is_read() {
        let schema = schema();
        let examples = |node: &Value| -> Value {
            let properties = node["properties"].as_object().unwrap();
            let examples = properties
                .iter()
                .map(|(key, node)| (key.clone(), node["examples"][0].clone()));
            examples.filter(|(_, example)| !example.is_null()).collect()
        };
        let top = &schema["properties"];
        let mut spider = examples(&schema);
        spider["settings"] = examples(&top["settings"]);
        spider["rules"] = json!([examples(&top["rules"]["items"])]);
        spider["sections"] = json!([examples(&top["sections"]["items"])]);
        let read = read(spider).unwrap();
        assert_eq!(read.ignored, [""; 0]);
        // None of them says what goes without saying.
        let settings = top["settings"]["properties"].as_object().unwrap();
        for (key, node) in settings {
            assert_ne!(node["examples"][0], node["default"], "{key}");
        }
    }

    #[test]
    fn a_host_without_a_scheme_gets_a_hint() {
        let failure = Spider::load(&["no-such.example"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.hint.unwrap().contains("https://no-such.example/"));
        for path in ["no-such.json", "./no.such", "../a.b/c", "no", "7"] {
            let failure = Spider::load(&[path]).unwrap_err();
            assert_eq!(failure.hint, None, "{path}");
        }
        for url in ["h.example/a/", "h.example:80/a.php?b=/c", "[2001:db8::1]/x"] {
            let hint = Spider::load(&[url]).unwrap_err().hint;
            let hint = hint.unwrap();
            assert!(hint.contains(&format!("https://{url}")), "{hint}");
        }
        // Hardly anybody has a certificate for their own machine.
        for url in ["127.0.0.1:8080", "localhost/x", "[::1]/x"] {
            let hint = Spider::load(&[url]).unwrap_err().hint.unwrap();
            assert!(hint.contains(&format!("http://{url}")), "{hint}");
        }
    }
}
