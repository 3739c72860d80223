//! One request to one result.

use std::borrow::Cow;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crawl_ckpt::address::{is_private_host, masked};
use crawl_ckpt::record::{ErrorKind, FetchResult, Kind, MAX_LINE_BYTES, Request};
use crawl_ckpt::text::Text;
use jiff::Timestamp;
use ureq::http::header::{
    self, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue,
};
use ureq::http::{self, Method, Response, StatusCode};
use ureq::{Agent, Body};
use url::Url;

use crate::agent::Agents;
use crate::body::{BodyReader, Limit};
use crate::charset::{self, Media};
use crate::failure::Failure;
use crate::page::PageReader;
use crate::proxy::Proxies;
use crate::tcp;

/// So much of a robots.txt is read (RFC 9309 asks for at least this).
pub const MAX_ROBOTS_BYTES: usize = 500 << 10;

/// So much of a redirect's own body is read, so that its connection can be kept.
const MAX_REDIRECT_BODY_BYTES: u64 = 64 << 10;

/// So much of a line that is no request comes back as its `url`.
const MAX_ECHO_BYTES: usize = 200;

/// How requests are made and answers read.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Headers for every request; a request's own go over these.
    pub headers: HeaderMap,
    /// Cap of a decoded body.
    pub max_size: usize,
    /// Longest chain of redirects that is followed; 0 reports a redirect.
    pub max_redirects: u32,
    /// For all of one request, redirects included.
    pub timeout: Duration,
    /// Redirects may lead to private addresses.
    pub allow_private: bool,
    /// Pages are read for links.
    pub links: bool,
}

/// A line that was read from stdin and named a URL.
#[derive(Debug)]
pub struct Job {
    /// The line.
    pub line: String,
    /// Its number, from 1.
    pub number: u64,
    /// The URL in it.
    pub url: Url,
}

impl Job {
    /// Looks whether a line is a request.
    ///
    /// # Errors
    /// The result line that says why it is none.
    pub fn new(line: &[u8], number: u64) -> Result<Job, Vec<u8>> {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(e) => return Err(invalid(line, number, None, &format!("no UTF-8: {e}"))),
        };
        let request = match crawl_ckpt::record::parse_request(text) {
            Ok(request) => request,
            Err(why) => return Err(invalid(line, number, None, &why)),
        };
        match target(&request.url) {
            Ok(url) => Ok(Job {
                line: text.to_owned(),
                number,
                url,
            }),
            Err(why) => Err(invalid(line, number, Some(&request), &why)),
        }
    }
}

fn target(url: &str) -> Result<Url, String> {
    let mut url = Url::parse(url).map_err(|e| format!("the URL is none: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is neither http nor https", url.scheme()));
    }
    url.set_fragment(None);
    match http::Uri::try_from(url.as_str()) {
        Ok(_) => Ok(url),
        Err(e) => Err(format!("the URL cannot be asked for: {e}")),
    }
}

/// The result of a line that is no request.
pub fn invalid(line: &[u8], number: u64, request: Option<&Request<'_>>, why: &str) -> Vec<u8> {
    let begin = String::from_utf8_lossy(&line[..line.len().min(MAX_ECHO_BYTES)]);
    let mut result = match request {
        Some(request) => begun(request),
        None => FetchResult {
            url: Text(begin.trim().to_owned().into()),
            ..FetchResult::default()
        },
    };
    result.line = Some(number);
    result.error = Some(Failure::new(ErrorKind::Invalid, why).into_record());
    let mut out = Vec::new();
    write(&result, &mut out);
    out
}

/// The result of a request whose handling broke down here.
pub fn internal_error(job: &Job, out: &mut Vec<u8>) {
    let request = crawl_ckpt::record::parse_request(&job.line).unwrap_or_default();
    let mut result = begun(&request);
    let why = "an internal error, please report it";
    result.error = Some(Failure::new(ErrorKind::Io, why).into_record());
    write(&result, out);
}

/// A result with what comes from the request alone.
fn begun<'r>(request: &Request<'r>) -> FetchResult<'r> {
    FetchResult {
        url: request.url.clone(),
        id: request.id,
        depth: request.depth,
        meta: request.meta,
        ..FetchResult::default()
    }
}

/// Appends a result as a line; one that would be too long says so instead.
fn write(result: &FetchResult<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let written = serde_json::to_writer(&mut *out, result);
    out.push(b'\n');
    if written.is_ok() && out.len() - start <= MAX_LINE_BYTES {
        return;
    }
    out.truncate(start);
    let why = format_args!("the result is over {MAX_LINE_BYTES} bytes");
    let short = FetchResult {
        url: result.url.clone(),
        id: result.id,
        depth: result.depth,
        status: result.status,
        error: Some(Failure::new(ErrorKind::TooLarge, why).into_record()),
        ..FetchResult::default()
    };
    // Strings and numbers alone always can be written.
    let _ = serde_json::to_writer(&mut *out, &short);
    out.push(b'\n');
}

/// Memory for one page at a time.
#[derive(Default)]
struct Scratch {
    body: BodyReader,
    pages: PageReader,
}

/// Memory for pages, lent to whoever reads one just now: of thousands of workers
/// most wait for a server, and need none.
#[derive(Default)]
pub struct Scratches(Mutex<Vec<Box<Scratch>>>);

/// So many are kept for later.
const KEEP_SCRATCHES: usize = 64;

impl Scratches {
    fn take(&self) -> Box<Scratch> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pop().unwrap_or_default()
    }

    fn give_back(&self, scratch: Box<Scratch>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEEP_SCRATCHES {
            kept.push(scratch);
        }
    }
}

/// Fetches. Shared by all workers.
pub struct Fetcher {
    /// How requests are made and answers read.
    pub options: FetchOptions,
    /// The ureq agents.
    pub agents: Agents,
    /// Which way requests go.
    pub proxies: Proxies,
    /// Memory for pages.
    pub scratches: Scratches,
}

/// An answer whose body was not read yet.
struct Answer {
    response: Response<Body>,
    url: Url,
    proxy: String,
    hops: u32,
    set_cookie: Vec<Text<'static>>,
}

impl Fetcher {
    /// Fetches and appends the result line. Returns false when the line turned
    /// out to be no request after all. `parsing` is called when nothing is waited
    /// for any more.
    pub fn fetch<G>(&self, job: &Job, out: &mut Vec<u8>, parsing: impl FnOnce() -> G) -> (bool, G) {
        let request = match crawl_ckpt::record::parse_request(&job.line) {
            Ok(request) => request,
            Err(why) => {
                out.extend(invalid(job.line.as_bytes(), job.number, None, &why));
                return (false, parsing());
            }
        };
        let mut result = begun(&request);
        let started = Instant::now();
        let fetched_at = Timestamp::now();
        result.fetched_at = Some(format!("{fetched_at:.3}").into());
        let answer = self.ask(job, &request, started, &mut result);
        // The answer's head is there, so the rest of it should not take long.
        let mut scratch = self.scratches.take();
        let Scratch { body, pages } = &mut *scratch;
        let page = answer.and_then(|answer| self.receive(request.kind, answer, body, &mut result));
        result.elapsed_ms = Some(started.elapsed().as_millis() as u64);
        let guard = parsing();
        let valid = match page {
            Ok((bytes, url)) => {
                self.understand(request.kind, bytes, &url, pages, &mut result);
                true
            }
            Err(failure) => {
                let valid = failure.kind != ErrorKind::Invalid;
                result.line = (!valid).then_some(job.number);
                result.error = Some(failure.into_record());
                valid
            }
        };
        write(&result, out);
        drop(result);
        self.scratches.give_back(scratch);
        (valid, guard)
    }

    /// Receives the body, and fills the result from what came before it.
    fn receive<'b>(
        &self,
        kind: Kind,
        mut answer: Answer,
        body: &'b mut BodyReader,
        result: &mut FetchResult<'_>,
    ) -> Result<(&'b [u8], Url), Failure> {
        describe(&answer, result);
        if let Some(url) = redirect_target(&answer)? {
            result.location = Some(url.into());
        }
        let limit = match kind {
            Kind::Robots => Limit {
                bytes: MAX_ROBOTS_BYTES,
                cut: true,
            },
            _ => Limit {
                bytes: self.options.max_size,
                cut: false,
            },
        };
        let bytes = body.read(&mut answer.response, limit)?;
        Ok((bytes, answer.url))
    }

    /// Sends the request, and follows redirects as far as that is wanted.
    fn ask(
        &self,
        job: &Job,
        request: &Request<'_>,
        started: Instant,
        result: &mut FetchResult<'_>,
    ) -> Result<Answer, Failure> {
        let mut headers = self.headers(request)?;
        let mut method = method(request)?;
        let mut body = request.body.as_deref();
        let mut url = job.url.clone();
        let mut hops = 0;
        let mut set_cookie = Vec::new();
        loop {
            let (way, proxy) = self.proxies.way(request.proxy.as_deref(), &url)?;
            result.proxy = Some(proxy.clone().into());
            let route = self.agents.route(&way, &url)?;
            let left = self.options.timeout.saturating_sub(started.elapsed());
            let limit = (hops > 0).then_some(left);
            let mut response = send(route.agent(&url), &method, &url, &headers, body, limit)?;
            let cookies = response.headers().get_all(header::SET_COOKIE);
            set_cookie.extend(cookies.iter().map(|value| Text::from(text_of(value))));
            let answer = |response, url, set_cookie| Answer {
                response,
                url,
                proxy,
                hops,
                set_cookie,
            };
            let status = response.status();
            if self.options.max_redirects == 0 || !is_redirect(status) {
                return Ok(answer(response, url, set_cookie));
            }
            result.status = Some(status.as_u16());
            let location = response.headers().get(header::LOCATION);
            let next = resolve_redirect(&url, location)?;
            self.may_follow(&job.url, &next)?;
            hops += 1;
            if hops > self.options.max_redirects {
                let why = format_args!("more than {} redirects", self.options.max_redirects);
                return Err(Failure::new(ErrorKind::Redirect, why));
            }
            // What a redirect says besides its target does not matter, but only a
            // connection that was read to its end can be used again.
            let rest = response
                .body_mut()
                .as_reader()
                .take(MAX_REDIRECT_BODY_BYTES);
            let _ = io::copy(&mut { rest }, &mut io::sink());
            let becomes_get = match status {
                StatusCode::SEE_OTHER => method != Method::HEAD,
                StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
                _ => false,
            };
            if becomes_get {
                (method, body) = (Method::GET, None);
                headers.remove(CONTENT_TYPE);
                headers.remove(CONTENT_LENGTH);
            }
            if origin(&next) != origin(&url) {
                headers.remove(AUTHORIZATION);
                headers.remove(COOKIE);
            }
            url = next;
        }
    }

    /// A redirect leads to a private place only when that was asked for, or when
    /// the request itself named that very place.
    fn may_follow(&self, asked: &Url, next: &Url) -> Result<(), Failure> {
        let private = next.host_str().is_some_and(is_private_host);
        if private && !self.options.allow_private && origin(asked) != origin(next) {
            let why = format_args!("a redirect to the private address {next}");
            return Err(Failure::new(ErrorKind::Refused, why));
        }
        Ok(())
    }

    fn headers(&self, request: &Request<'_>) -> Result<HeaderMap, Failure> {
        let mut headers = self.options.headers.clone();
        for (name, value) in &request.headers {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|e| Failure::new(ErrorKind::Invalid, e))?;
            headers.insert(name, header_value(value)?);
        }
        if let Some(referer) = &request.referer {
            headers.insert(header::REFERER, header_value(&shown_referer(referer))?);
        }
        for (name, value) in [
            (COOKIE, &request.cookie),
            (header::IF_NONE_MATCH, &request.etag),
            (header::IF_MODIFIED_SINCE, &request.last_modified),
        ] {
            if let Some(value) = value {
                headers.insert(name, header_value(value)?);
            }
        }
        Ok(headers)
    }

    /// Fills the result from a body that arrived whole.
    fn understand<'p>(
        &self,
        kind: Kind,
        bytes: &[u8],
        url: &Url,
        pages: &'p mut PageReader,
        result: &mut FetchResult<'p>,
    ) {
        result.bytes = Some(bytes.len() as u64);
        result.digest = Some(digest(bytes).into());
        if kind == Kind::Robots {
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            result.robots = Some(String::from_utf8_lossy(text).into_owned().into());
            return;
        }
        let content_type = result.content_type.as_deref();
        if kind == Kind::Page && Media::of(content_type, bytes) == Media::Html {
            let encoding = charset::encoding(content_type, bytes);
            // Links of an error page or a redirect lead in circles.
            let with_links = self.options.links && result.status.is_some_and(|s| s / 100 == 2);
            let page = pages.read(bytes, encoding, url, with_links);
            result.title = page.title.map(Text::from);
            result.links = page.links;
            result.links_dropped = (page.dropped > 0).then_some(page.dropped);
        }
    }
}

/// Fills the result from what came before the body.
fn describe(answer: &Answer, result: &mut FetchResult<'_>) {
    let headers = answer.response.headers();
    let value = |name| headers.get(name).map(|value| Text::from(text_of(value)));
    result.status = Some(answer.response.status().as_u16());
    result.content_type = value(CONTENT_TYPE);
    result.etag = value(header::ETAG);
    result.last_modified = value(header::LAST_MODIFIED);
    result.retry_after_s = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| retry_after(&text_of(value), SystemTime::now()));
    result.set_cookie = answer.set_cookie.clone();
    result.proxy = Some(answer.proxy.clone().into());
    if answer.hops > 0 {
        result.final_url = Some(masked(answer.url.as_str()).into_owned().into());
    }
}

/// Sends once, and again as long as it was a kept-alive connection that the
/// server had closed meanwhile, which says nothing about this request.
fn send(
    agent: &Agent,
    method: &Method,
    url: &Url,
    headers: &HeaderMap,
    body: Option<&str>,
    limit: Option<Duration>,
) -> Result<Response<Body>, Failure> {
    loop {
        let mut request = http::Request::builder()
            .method(method.clone())
            .uri(url.as_str());
        if let Some(map) = request.headers_mut() {
            map.clone_from(headers);
        }
        tcp::note_start();
        let sent = match body {
            None => run(agent, request.body(()), limit),
            Some(body) => run(agent, request.body(body), limit),
        };
        let error = match sent {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        let note = tcp::note();
        let failure = Failure::from_ureq(&error, note);
        let repeatable = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let stale = !note.dialed && note.received == 0 && failure.kind == ErrorKind::Connect;
        if !(repeatable && stale) {
            return Err(failure);
        }
    }
}

fn run<B: ureq::AsSendBody>(
    agent: &Agent,
    request: http::Result<http::Request<B>>,
    limit: Option<Duration>,
) -> Result<Response<Body>, ureq::Error> {
    let request = request?;
    match limit {
        None => agent.run(request),
        Some(limit) => {
            let configured = agent.configure_request(request);
            agent.run(configured.timeout_global(Some(limit)).build())
        }
    }
}

fn method(request: &Request<'_>) -> Result<Method, Failure> {
    let Some(method) = &request.method else {
        return Ok(Method::GET);
    };
    let parsed = Method::from_bytes(method.as_bytes());
    let parsed = parsed.map_err(|e| Failure::new(ErrorKind::Invalid, e))?;
    if parsed == Method::CONNECT {
        let why = "CONNECT is no method to fetch with";
        return Err(Failure::new(ErrorKind::Invalid, why));
    }
    Ok(parsed)
}

fn header_value(value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| {
        let why = "a header's value holds control characters";
        Failure::new(ErrorKind::Invalid, why)
    })
}

/// A referer without what is nobody's business (RFC 9110, 10.1.3).
fn shown_referer(referer: &str) -> Cow<'_, str> {
    match Url::parse(referer) {
        Ok(mut url) if url.has_host() => {
            url.set_fragment(None);
            let _ = url.set_username("");
            let _ = url.set_password(None);
            Cow::Owned(url.into())
        }
        _ => Cow::Borrowed(referer),
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn origin(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}

/// The absolute target of an answer that is a redirect.
fn redirect_target(answer: &Answer) -> Result<Option<String>, Failure> {
    if !is_redirect(answer.response.status()) {
        return Ok(None);
    }
    let location = answer.response.headers().get(header::LOCATION);
    resolve_redirect(&answer.url, location).map(|url| Some(url.into()))
}

fn resolve_redirect(url: &Url, location: Option<&HeaderValue>) -> Result<Url, Failure> {
    let nowhere = |why: &str| Failure::new(ErrorKind::Redirect, format_args!("a redirect {why}"));
    let location = location.ok_or_else(|| nowhere("without a Location"))?;
    let location = text_of(location);
    let mut next = url
        .join(&location)
        .map_err(|e| nowhere(&format!("to no URL: {e}")))?;
    if !matches!(next.scheme(), "http" | "https") {
        return Err(nowhere(&format!(
            "to {}: neither http nor https",
            next.scheme()
        )));
    }
    next.set_fragment(None);
    Ok(next)
}

/// A header's value as text: UTF-8, or else Latin-1.
fn text_of(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// Retry-After in seconds from `now`, whether it came as a number or as a date.
fn retry_after(value: &str, now: SystemTime) -> Option<u64> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        return Some(value.parse().unwrap_or(u64::MAX >> 1));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let wait = at.duration_since(now).unwrap_or_default();
    Some(wait.as_millis().div_ceil(1000) as u64)
}

fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity("blake3:".len() + 64);
    text.push_str("blake3:");
    text.push_str(&blake3::hash(bytes).to_hex());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_as_a_number_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_770_500);
        assert_eq!(retry_after(" 120 ", now), Some(120));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(7));
        assert_eq!(retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now), Some(7));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(0));
        assert_eq!(
            retry_after("99999999999999999999999", now),
            Some(u64::MAX >> 1)
        );
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
        assert_eq!(retry_after("", now), None);
    }

    #[test]
    fn lines_that_are_no_requests_say_why() {
        for line in [
            &b"\xff"[..],
            b"",
            b"words",
            b"{\"url\":\"ftp://a/\"}",
            b"http://",
            b"{}",
            b"{\"url\":\"http://a b/\"}",
            b"[1]",
        ] {
            let result = Job::new(line, 7).unwrap_err();
            let result = String::from_utf8(result).unwrap();
            assert!(result.contains(r#""kind":"invalid""#), "{result}");
            assert!(result.contains(r#""line":7"#), "{result}");
        }
        let result = Job::new(br#"{"url":"x:y","id":3,"meta":[1]}"#, 1).unwrap_err();
        assert!(result.starts_with(br#"{"url":"x:y","id":3,"meta":[1],"#));
    }

    #[test]
    fn redirects_go_where_they_say_or_nowhere() {
        let url = Url::parse("http://a.example/d/p").unwrap();
        let to = |location: &[u8]| {
            let location = HeaderValue::from_bytes(location).unwrap();
            resolve_redirect(&url, Some(&location)).map(String::from)
        };
        assert_eq!(to(b"x#f").unwrap(), "http://a.example/d/x");
        assert_eq!(to("/ä".as_bytes()).unwrap(), "http://a.example/%C3%A4");
        assert_eq!(to(b"/\xe4").unwrap(), "http://a.example/%C3%A4");
        assert_eq!(to(b"//b.example").unwrap(), "http://b.example/");
        for nowhere in [&b"http://["[..], b"mailto:x", b"http://"] {
            assert_eq!(to(nowhere).unwrap_err().kind, ErrorKind::Redirect);
        }
    }
}
