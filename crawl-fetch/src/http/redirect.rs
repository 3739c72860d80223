//! Where redirects lead, and what follows them.

use crawl_ckpt::address::is_private_host;
use crawl_ckpt::record::ErrorKind;
use ureq::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER,
};
use ureq::http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use crate::failure::Failure;
use crate::http::header::text_of;
use crate::resolve::resolve;

/// The absolute target of an answer that redirects; `None` for any other answer.
///
/// # Errors
/// When the answer redirects to nowhere.
pub fn target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Option<Url>, Failure> {
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let nowhere = |why: &str| Failure::new(ErrorKind::Redirect, format_args!("a redirect {why}"));
    let location = headers
        .get(LOCATION)
        .ok_or_else(|| nowhere("without a Location"))?;
    let mut next = resolve(Url::options().base_url(Some(url)), &text_of(location))
        .map_err(|e| nowhere(&format!("to no URL: {e}")))?;
    if !matches!(next.scheme(), "http" | "https") {
        let scheme = next.scheme();
        return Err(nowhere(&format!("to {scheme}: neither http nor https")));
    }
    next.set_fragment(None);
    Ok(Some(next))
}

/// Looks whether a redirect may be followed: to a private place only when the
/// request itself named that very place.
///
/// # Errors
/// When it may not.
pub fn check(asked: &Url, next: &Url) -> Result<(), Failure> {
    let private = next.host_str().is_some_and(is_private_host);
    if private && origin(asked) != origin(next) {
        let why = format_args!("a redirect to the private address {next}");
        return Err(Failure::new(ErrorKind::Refused, why));
    }
    Ok(())
}

/// True when a redirect of this status turns the method into GET without a body.
pub fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}

/// Takes out the headers that belong to a body.
pub fn drop_body_headers(headers: &mut HeaderMap) {
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_LENGTH);
}

/// Takes out the secrets when a redirect leads to another origin, and a secure page's Referer
/// when it leads to a server that is not secure.
pub fn drop_secrets(headers: &mut HeaderMap, from: &Url, to: &Url) {
    let secure = |value: &HeaderValue| value.as_bytes().starts_with(b"https:");
    if to.scheme() == "http" && headers.get(REFERER).is_some_and(secure) {
        headers.remove(REFERER);
    }
    if origin(from) != origin(to) {
        headers.remove(AUTHORIZATION);
        headers.remove(COOKIE);
        headers.remove(PROXY_AUTHORIZATION);
    }
}

fn origin(url: &Url) -> (&str, Option<&str>, Option<u16>) {
    (url.scheme(), url.host_str(), url.port_or_known_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(location: &[u8]) -> Result<String, Failure> {
        let url = Url::parse("http://a.example/d/p").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_bytes(location).unwrap());
        target(&url, StatusCode::FOUND, &headers).map(|url| url.unwrap().into())
    }

    #[test]
    fn redirects_go_where_they_say_or_nowhere() {
        assert_eq!(to(b"x#f").unwrap(), "http://a.example/d/x");
        assert_eq!(to("/ä".as_bytes()).unwrap(), "http://a.example/%C3%A4");
        assert_eq!(to(b"/\xe4").unwrap(), "http://a.example/%C3%A4");
        assert_eq!(to(b"//b.example").unwrap(), "http://b.example/");
        for nowhere in [&b"http://["[..], b"mailto:x", b"http://"] {
            assert_eq!(to(nowhere).unwrap_err().kind, ErrorKind::Redirect);
        }
        let url = Url::parse("http://a.example/").unwrap();
        let none = HeaderMap::new();
        assert!(target(&url, StatusCode::FOUND, &none).is_err());
        assert_eq!(target(&url, StatusCode::NOT_MODIFIED, &none), Ok(None));
    }

    #[test]
    fn what_others_may_not_see_goes_no_further() {
        let parse = |url| Url::parse(url).unwrap();
        let left = |from, to, referer| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static("a"));
            headers.insert(REFERER, HeaderValue::from_static(referer));
            drop_secrets(&mut headers, &parse(from), &parse(to));
            headers
                .keys()
                .map(|name| name.as_str().to_owned())
                .collect::<Vec<_>>()
        };
        let (plain, secure) = ("http://a/", "https://a/");
        assert_eq!(
            left(secure, "https://a/x", "https://r/"),
            ["authorization", "referer"]
        );
        assert_eq!(left(secure, "https://b/", "https://r/"), ["referer"]);
        assert_eq!(left(secure, plain, "http://r/"), ["referer"]);
        assert!(left(secure, plain, "https://r/").is_empty());
    }

    #[test]
    fn a_private_place_is_reached_only_by_those_who_began_there() {
        let parse = |url| Url::parse(url).unwrap();
        let (public, local) = (parse("http://a.example/"), parse("http://127.0.0.1:8/"));
        assert!(check(&public, &parse("http://b.example/")).is_ok());
        assert!(check(&public, &local).is_err());
        assert!(check(&local, &parse("http://127.0.0.1:8/x")).is_ok());
        assert!(check(&local, &parse("http://127.0.0.1:9/")).is_err());
        assert!(check(&local, &parse("http://169.254.169.254/")).is_err());
        assert!(check(&local, &public).is_ok());
    }
}
