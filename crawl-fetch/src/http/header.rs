//! Header values, as they go out and as they come in.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crawl_ckpt::octets;
use crawl_ckpt::record::{ErrorKind, Request};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use percent_encoding::percent_decode_str;
use ureq::http::header::{
    CONTENT_LENGTH, COOKIE, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    REFERER, TRANSFER_ENCODING,
};
use url::Url;

use crate::failure::Failure;

/// Of a longer referer only the origin is sent.
const MAX_REFERER_BYTES: usize = 4096;

/// The headers of a request, over those for every request.
///
/// # Errors
/// When a name or a value cannot travel, which makes the line no request.
pub fn of_request(
    request: &Request<'_>,
    url: &Url,
    every: &HeaderMap,
) -> Result<HeaderMap, Failure> {
    let mut headers = every.clone();
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|e| Failure::new(ErrorKind::Invalid, e))?;
        headers.insert(name, sendable(value)?);
    }
    // What is sent is counted when it is sent: a server waits for the rest of what another length promises.
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    if let Some(referer) = request.referer.as_deref()
        && let Some(shown) = shown_referer(referer, url)
    {
        headers.insert(REFERER, sendable(&shown)?);
    }
    for (name, value) in [
        (COOKIE, &request.cookie),
        (IF_NONE_MATCH, &request.etag),
        (IF_MODIFIED_SINCE, &request.last_modified),
    ] {
        if let Some(value) = value {
            headers.insert(name, sendable(value)?);
        }
    }
    Ok(headers)
}

fn sendable(value: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_bytes(&octets::to_bytes(value.trim())).map_err(|_| {
        let why = "a header's value holds control characters";
        Failure::new(ErrorKind::Invalid, why)
    })
}

/// The URL without user name and password, and the Authorization header that
/// stands for them (RFC 7617).
pub fn without_credentials(url: &Url) -> Option<(Url, HeaderValue)> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain = url.clone();
    plain.set_username("").ok()?;
    plain.set_password(None).ok()?;
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let value = format!("Basic {}", BASE64_STANDARD.encode(pair));
    Some((plain, HeaderValue::from_str(&value).ok()?))
}

/// A referer without what is nobody's business (RFC 9110, 10.1.3): no user name, password and
/// fragment; none at all of a secure page to a server that is not; of a long one its origin alone
/// (Referrer Policy, 8.3).
fn shown_referer(referer: &str, to: &Url) -> Option<String> {
    let mut url = Url::parse(referer).ok()?;
    let is_safe = url.scheme() == "http" || (url.scheme() == "https" && to.scheme() == "https");
    if !is_safe {
        return None;
    }
    url.set_fragment(None);
    // An http URL has a host, so neither can fail.
    let _ = (url.set_username(""), url.set_password(None));
    if url.as_str().len() > MAX_REFERER_BYTES {
        url.set_path("/");
        url.set_query(None);
    }
    Some(url.into())
}

/// A header's value as text: UTF-8, or else Latin-1.
pub fn text_of(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A server's clock this far from ours is wrong, or ours is.
const SKEW: Duration = Duration::from_secs(60);

/// Retry-After in seconds from `now`, whether it came as a number or as a date. A date is meant
/// by the server's own clock, which its Date header shows.
pub fn retry_after(value: &str, date: Option<&str>, now: SystemTime) -> Option<u64> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        return Some(value.parse().unwrap_or(u64::MAX >> 1));
    }
    // Not of the standard, but plain: `1.5`.
    let is_decimal = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    if let Ok(seconds) = value.parse::<f64>()
        && value.bytes().all(is_decimal)
    {
        return Some(seconds.ceil() as u64);
    }
    let at = time_of(value)?;
    let theirs = date.and_then(time_of).filter(|theirs| {
        let skew = theirs.duration_since(now);
        skew.unwrap_or_else(|behind| behind.duration()) > SKEW
    });
    let wait = at.duration_since(theirs.unwrap_or(now)).unwrap_or_default();
    Some(wait.as_millis().div_ceil(1000) as u64)
}

/// A date in one of the three forms of RFC 9110, or as mail or RFC 3339 write it.
fn time_of(value: &str) -> Option<SystemTime> {
    let value = value.trim();
    let mail = || Some(rfc2822::parse(value).ok()?.timestamp().into());
    let plain = || Some(value.parse::<Timestamp>().ok()?.into());
    httpdate::parse_http_date(value)
        .ok()
        .or_else(mail)
        .or_else(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::record::parse_request;

    #[test]
    fn how_long_a_body_is_no_header_says_for_us() {
        let line = r#"{"url": "http://a/", "headers": {"content-length": "5", "X-A": "b"}}"#;
        let (request, url) = (
            parse_request(line).unwrap(),
            Url::parse("http://a/").unwrap(),
        );
        let chunked = (TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let sent = of_request(&request, &url, &HeaderMap::from_iter([chunked])).unwrap();
        assert_eq!(sent.keys().collect::<Vec<_>>(), ["x-a"]);
    }

    #[test]
    fn a_wait_is_read_as_a_number_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_770_500);
        for (value, wait) in [
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 10:49:37 +0200", Some(7)),
            ("6 Nov 1994 08:49:37 GMT", Some(7)),
            ("1994-11-06T08:49:37Z", Some(7)),
            ("99999999999999999999999", Some(u64::MAX >> 1)),
            ("1.5", Some(2)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(retry_after(value, None, now), wait, "{value}");
        }
    }

    #[test]
    fn a_date_is_meant_by_the_clock_of_the_server() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let at = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (date, wait) in [
            ("Sun, 06 Nov 1994 08:49:33 GMT", 7),
            ("Sun, 06 Nov 1994 07:49:33 GMT", 3604),
            ("soon", 7),
        ] {
            assert_eq!(retry_after(at, Some(date), now), Some(wait), "{date}");
        }
        let ahead = "Sun, 06 Nov 1994 09:49:37 GMT";
        let date = "Sun, 06 Nov 1994 09:49:33 GMT";
        assert_eq!(retry_after(ahead, Some(date), now), Some(4));
    }

    #[test]
    fn credentials_move_from_the_url_to_a_header() {
        let url = Url::parse("http://m%40e:p%3Ass@a.example/x").unwrap();
        let (plain, value) = without_credentials(&url).unwrap();
        assert_eq!(plain.as_str(), "http://a.example/x");
        assert_eq!(value, "Basic bUBlOnA6c3M=");
        assert_eq!(without_credentials(&plain), None);
    }

    #[test]
    fn a_referer_keeps_its_secrets() {
        let shown = |referer: &str, to| shown_referer(referer, &Url::parse(to).unwrap());
        let (plain, secure) = ("http://x/", "https://x/");
        assert_eq!(shown("http://u:p@a/b#c", plain).unwrap(), "http://a/b");
        assert_eq!(shown("http://a/b", secure).unwrap(), "http://a/b");
        assert_eq!(shown("https://u@a/b#c", secure).unwrap(), "https://a/b");
        assert_eq!(shown("https://a/b", plain), None);
        let long = format!("http://u@a/{}?q", "x".repeat(5000));
        assert_eq!(shown(&long, plain).unwrap(), "http://a/");
        for none in ["what", "data:x", "ftp://a/", "about:blank"] {
            assert_eq!(shown(none, secure), None, "{none}");
        }
    }
}
