//! The canonical form of a URL, and the fingerprint by which it is known.
//!
//! Canonical is the WHATWG serialization with the hex digits of percent
//! escapes in upper case and without the fragment.

use std::fmt;
use std::hash::Hasher as _;

use crawl_ckpt::canonical::is_canonical;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use url::Url;

/// How far URLs are folded together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// The WHATWG form: only URLs that mean the same by the standard.
    #[default]
    Standard,
    /// Also sorts query parameters and drops empty ones and common tracking parameters.
    Aggressive,
}

/// Why a string is no URL that can be crawled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlError {
    /// The WHATWG parser refuses it.
    Parse(url::ParseError),
    /// Another scheme than http and https.
    Scheme(String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::Parse(error) => error.fmt(f),
            UrlError::Scheme(scheme) => write!(f, "scheme '{scheme}' is not http or https"),
        }
    }
}

impl std::error::Error for UrlError {}

/// Writes the canonical form of `url` into `out`, which is cleared first.
///
/// # Errors
/// When it is no absolute http(s) URL; `out` is then empty.
pub fn canonicalize(url: &str, form: Form, out: &mut String) -> Result<(), UrlError> {
    out.clear();
    if is_canonical(url.as_bytes()) {
        out.push_str(url);
    } else {
        parse_into(url, out)?;
    }
    if form == Form::Aggressive {
        fold_query(out);
    }
    Ok(())
}

/// The canonical form of a link, without user name and password: what a page writes there is no part of
/// the address of another page, and would make many hosts of one.
///
/// # Errors
/// When it is no absolute http(s) URL; `out` is then empty.
pub fn canonicalize_link(url: &str, form: Form, out: &mut String) -> Result<(), UrlError> {
    canonicalize(url, form, out)?;
    // Nearly all have none.
    if !out.as_bytes().contains(&b'@') {
        return Ok(());
    }
    let start = out.find("://").map_or(0, |at| at + 3);
    let end = origin(out).len();
    if let Some(at) = out[start..end].rfind('@') {
        out.drain(start..=start + at);
    }
    Ok(())
}

fn parse_into(url: &str, out: &mut String) -> Result<(), UrlError> {
    let mut url = Url::parse(url).map_err(UrlError::Parse)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlError::Scheme(url.scheme().chars().take(40).collect()));
    }
    url.set_fragment(None);
    let mut rest = url.as_str();
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let digits = escape.as_bytes().get(1..3);
        // A bare `%` is no escape, and what follows it is to stay as it is.
        let is_escape = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let (escape, after) = escape.split_at(if is_escape { 3 } else { 1 });
        out.extend(escape.chars().map(|c| c.to_ascii_uppercase()));
        rest = after;
    }
    out.push_str(rest);
    Ok(())
}

/// Parameters that name a visit, not a page.
const TRACKING: [&str; 12] = [
    "fbclid", "gclid", "dclid", "gbraid", "wbraid", "msclkid", "mc_cid", "mc_eid", "igshid",
    "yclid", "_ga", "_gl",
];

fn fold_query(url: &mut String) {
    let Some(at) = url.find('?') else { return };
    let query = url.split_off(at);
    let mut pairs: Vec<&str> = query[1..]
        .split('&')
        .filter(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            !value.is_empty() && !name.starts_with("utm_") && !TRACKING.contains(&name)
        })
        .collect();
    pairs.sort_unstable();
    for (n, pair) in pairs.into_iter().enumerate() {
        url.push(if n == 0 { '?' } else { '&' });
        url.push_str(pair);
    }
}

/// Where the authority begins. To look for a character is cheaper than for a text.
fn behind_scheme(canonical: &str) -> usize {
    let colon = canonical.find(':');
    let scheme = colon.filter(|at| canonical[at + 1..].starts_with("//"));
    scheme.map_or(0, |at| at + 3)
}

/// `scheme://host[:port]` of a canonical URL: what politeness and robots.txt go by.
pub fn origin(canonical: &str) -> &str {
    let start = behind_scheme(canonical);
    let end = canonical[start..]
        .find('/')
        .map_or(canonical.len(), |at| start + at);
    &canonical[..end]
}

/// `host[:port]` of a canonical URL, without credentials.
pub fn authority(canonical: &str) -> &str {
    let authority = &origin(canonical)[behind_scheme(canonical)..];
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// The fingerprint as printed: the first 128 bits of BLAKE3 over method, canonical
/// URL and body, each ended by a newline byte.
pub fn fingerprint(method: &str, canonical: &str, body: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for part in [method, canonical, body] {
        hasher.update(part.as_bytes()).update(b"\n");
    }
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    half
}

/// The hash under which a job remembers a request: keyed with the job's own
/// secret, since whoever writes the pages chooses the URLs. 35 ns for 78 bytes
/// where BLAKE3 takes 195.
#[derive(Debug, Clone, Copy)]
pub struct Fingerprinter {
    key: [u8; 16],
}

impl Fingerprinter {
    /// A fingerprinter with a job's key.
    pub fn new(key: [u8; 16]) -> Fingerprinter {
        Fingerprinter { key }
    }

    /// The fingerprint of a plain GET.
    #[inline]
    pub fn get(&self, canonical: &str) -> u128 {
        let hash = SipHasher13::new_with_key(&self.key).hash(canonical.as_bytes());
        u128::from(hash.h1) << 64 | u128::from(hash.h2)
    }

    /// The fingerprint of any request. No method begins like a URL, so the two kinds cannot meet.
    pub fn request(&self, method: &str, canonical: &str, body: &str) -> u128 {
        if method == "GET" && body.is_empty() {
            return self.get(canonical);
        }
        let mut hasher = SipHasher13::new_with_key(&self.key);
        for part in [method, canonical, body] {
            hasher.write(part.as_bytes());
            hasher.write(b"\n");
        }
        let hash = hasher.finish128();
        u128::from(hash.h1) << 64 | u128::from(hash.h2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(url: &str) -> String {
        let mut out = String::new();
        canonicalize(url, Form::Standard, &mut out).unwrap();
        out
    }

    #[test]
    fn urls_that_mean_the_same_become_the_same() {
        for (url, want) in [
            ("HTTP://Example.COM:80", "http://example.com/"),
            (
                "http://a/%?a=%c3%a4&%zb&%%4a%",
                "http://a/%?a=%C3%A4&%zb&%%4A%",
            ),
            ("https://a.example:443/x#frag", "https://a.example/x"),
            ("http://a/b/../c/./d", "http://a/c/d"),
            ("http://a/%7euser/%aB", "http://a/%7Euser/%AB"),
            ("http://a/b c?d e", "http://a/b%20c?d%20e"),
            (
                "http://bücher.example/ä",
                "http://xn--bcher-kva.example/%C3%A4",
            ),
            ("http://0x7f.1/", "http://127.0.0.1/"),
            ("http:\\\\a\\b", "http://a/b"),
            ("http://a?q", "http://a/?q"),
            ("http://a/100%", "http://a/100%"),
            ("http://a/%zz%ab", "http://a/%zz%AB"),
        ] {
            assert_eq!(canonical(url), want, "{url}");
            assert_eq!(canonical(want), want, "{want} again");
        }
    }

    #[test]
    fn what_is_no_web_page_is_refused() {
        let mut out = String::new();
        for url in [
            "",
            "a",
            "/x",
            "ftp://a/",
            "javascript:alert(1)",
            "http://",
            "http://a b/",
        ] {
            assert!(
                canonicalize(url, Form::Standard, &mut out).is_err(),
                "{url}"
            );
            assert!(out.is_empty());
        }
    }

    #[test]
    fn the_aggressive_form_folds_parameters() {
        let mut out = String::new();
        let url = "http://a/?b=2&utm_source=x&a=1&c=&gclid=9";
        canonicalize(url, Form::Aggressive, &mut out).unwrap();
        assert_eq!(out, "http://a/?a=1&b=2");
        canonicalize("http://a/?utm_id=1", Form::Aggressive, &mut out).unwrap();
        assert_eq!(out, "http://a/");
    }

    #[test]
    fn the_short_cut_agrees_with_the_parser_on_mutations() {
        let seeds = [
            "http://127.0.0.1:8080/std/index.html?a=1&b=%2F#x",
            "https://www.example.org/a/b/c.html",
            "https://xn--bcher-kva.example:444/%7Ea/.b/..c/%2e/x?q='[]{}|^`",
            "http://a.b-c.1e/:@!$&'()*+,;=",
        ];
        let alphabet = b"/.:%?#@[]\\aZ09eExX-_~'\"<> \t\n&=+|^`{}\xc3\xa4";
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as usize % below
        };
        let (mut short, mut parsed) = (0, String::new());
        for round in 0..400_000 {
            let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
            for _ in 0..random(4) {
                let (at, with) = (random(bytes.len()), alphabet[random(alphabet.len())]);
                match random(3) {
                    0 => bytes[at] = with,
                    1 => bytes.insert(at, with),
                    _ => drop(bytes.remove(at)),
                }
            }
            let Ok(url) = String::from_utf8(bytes) else {
                continue;
            };
            if is_canonical(url.as_bytes()) {
                short += 1;
                parsed.clear();
                parse_into(&url, &mut parsed).unwrap_or_else(|e| panic!("{url}: {e}"));
                assert_eq!(url, parsed);
            }
        }
        assert!(
            short > 30_000,
            "the short cut was hardly ever taken: {short}"
        );
    }

    #[test]
    fn the_printed_fingerprint_is_blake3_over_three_lines() {
        let want = blake3::hash(b"GET\nhttp://a/\n\n").to_hex()[..32].to_owned();
        assert_eq!(
            crawl_ckpt::hex::encode(&fingerprint("GET", "http://a/", "")),
            want
        );
    }

    #[test]
    fn a_post_is_another_request_than_a_get() {
        let fingerprinter = Fingerprinter::new([7; 16]);
        assert_ne!(
            fingerprinter.request("POST", "http://a/", ""),
            fingerprinter.get("http://a/")
        );
        assert_eq!(
            fingerprinter.request("GET", "http://a/", ""),
            fingerprinter.get("http://a/")
        );
        assert_ne!(
            fingerprinter.get("http://a/"),
            Fingerprinter::new([8; 16]).get("http://a/")
        );
    }

    #[test]
    fn origins_and_authorities() {
        assert_eq!(origin("http://a:8/b?c://d"), "http://a:8");
        assert_eq!(authority("http://u:p@a:8/b"), "a:8");
    }
}
