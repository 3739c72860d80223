//! Cookies from a file in Netscape's format, as curl and wget write it. They are
//! sent, never changed: this tool keeps nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use crawl_ckpt::netscape::{self, Cookie};
use ureq::http::header::{COOKIE, HeaderMap, HeaderValue};
use url::Url;

/// The cookies of a file, those with the longest paths first.
#[derive(Debug, Clone, Default)]
pub struct Cookies {
    cookies: Vec<Cookie>,
}

impl Cookies {
    /// Reads the text of a file. Also says which lines were no cookies, from 1.
    pub fn parse(text: &str) -> (Cookies, Vec<usize>) {
        let (mut cookies, bad) = netscape::parse(text);
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        (Cookies { cookies }, bad)
    }

    /// Puts the Cookie header for a URL in place of whatever is there.
    pub fn put(&self, url: &Url, headers: &mut HeaderMap) {
        if self.cookies.is_empty() {
            return;
        }
        headers.remove(COOKIE);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs());
        let sent = self
            .cookies
            .iter()
            .filter(|cookie| is_for(cookie, url, now));
        let pairs: Vec<&str> = sent.map(|cookie| cookie.pair.as_str()).collect();
        if pairs.is_empty() {
            return;
        }
        if let Ok(value) = HeaderValue::from_str(&pairs.join("; ")) {
            headers.insert(COOKIE, value);
        }
    }
}

/// Whether a cookie goes with a request for this URL at this time (RFC 6265, 5.4).
fn is_for(cookie: &Cookie, url: &Url, now: u64) -> bool {
    let host = url.host_str().unwrap_or_default();
    let below = host.strip_suffix(cookie.domain.as_str());
    let domain = match below {
        Some("") => true,
        Some(below) => cookie.subdomains && below.ends_with('.') && url.domain().is_some(),
        None => false,
    };
    let rest = url.path().strip_prefix(cookie.path.as_str());
    let path =
        rest.is_some_and(|r| r.is_empty() || r.starts_with('/') || cookie.path.ends_with('/'));
    let secure = !cookie.secure || url.scheme() == "https";
    domain && path && secure && !cookie.is_expired(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str, url: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        Cookies::parse(text)
            .0
            .put(&Url::parse(url).unwrap(), &mut headers);
        headers
            .get(COOKIE)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_go_only_where_they_belong() {
        let text = "# Netscape HTTP Cookie File\n\n\
            a.example\tFALSE\t/\tFALSE\t0\thost\t1\n\
            #HttpOnly_.a.example\tTRUE\t/d\tFALSE\t4102444800\twide\t2 3\r\n\
            a.example\tFALSE\t/\tTRUE\t0\tsafe\t4\n\
            a.example\tFALSE\t/\tFALSE\t1\told\t5\n\
            not a cookie\n";
        assert_eq!(Cookies::parse(text).1, [7]);
        assert_eq!(sent(text, "http://a.example/").unwrap(), "host=1");
        assert_eq!(
            sent(text, "http://a.example/d/x").unwrap(),
            "wide=2 3; host=1"
        );
        assert_eq!(sent(text, "http://x.a.example/d").unwrap(), "wide=2 3");
        assert_eq!(sent(text, "http://x.a.example/dd"), None);
        assert_eq!(sent(text, "http://xa.example/d"), None);
        assert_eq!(sent(text, "https://a.example/").unwrap(), "host=1; safe=4");
    }
}
