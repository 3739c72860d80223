//! Pages that say 200 and mean "prove that you are human". Only marks that the
//! vendors' own challenge pages carry count, and only on small pages with next to
//! no links, so that an article about captchas is none.

use std::sync::LazyLock;

use memchr::memmem;
use regex::bytes::Regex;
use ureq::http::{HeaderMap, HeaderName};

/// A challenge page is smaller.
const MAX_BYTES: usize = 64 << 10;

/// A challenge page has fewer links.
const MAX_LINKS: usize = 8;

/// Headers that only a challenge has: name, value, vendor.
static HEADERS: [(HeaderName, &str, &str); 4] = [
    (
        HeaderName::from_static("cf-mitigated"),
        "challenge",
        "Cloudflare challenge",
    ),
    (AMAZON, "challenge", "AWS WAF challenge"),
    (AMAZON, "captcha", "AWS WAF captcha"),
    (
        HeaderName::from_static("x-vercel-mitigated"),
        "challenge",
        "Vercel challenge",
    ),
];

const AMAZON: HeaderName = HeaderName::from_static("x-amzn-waf-action");

/// Texts that a challenge page holds, all of them: vendor, texts.
const MARKS: [(&str, &[&str]); 15] = [
    ("Cloudflare challenge", &["_cf_chl_opt"]),
    ("Cloudflare challenge", &["cf-browser-verification"]),
    ("Akamai challenge", &["sec-if-cpt-container"]),
    ("Akamai challenge", &["bm-verify", "http-equiv=\"refresh\""]),
    ("DataDome challenge", &["captcha-delivery.com", "var dd="]),
    ("PerimeterX challenge", &["_pxAppId", "px-captcha"]),
    (
        "Incapsula challenge",
        &["_Incapsula_Resource", "incident_id"],
    ),
    (
        "Incapsula challenge",
        &["_Incapsula_Resource", "NOINDEX, NOFOLLOW"],
    ),
    ("Imperva challenge", &["Pardon Our Interruption", "distil"]),
    (
        "Imperva challenge",
        &["Pardon Our Interruption", "onProtectionInitialized"],
    ),
    ("AWS WAF challenge", &["awswaf.com", "gokuProps"]),
    ("Sucuri challenge", &["sucuri_cloudproxy_js"]),
    ("Kasada challenge", &["KPSDK", "/ips.js"]),
    (
        "DDoS-Guard challenge",
        &["/.well-known/ddos-guard/", "check.js"],
    ),
    (
        "Google captcha",
        &["/recaptcha/", "unusual traffic from your computer network"],
    ),
];

/// Titles of challenge pages, in lower case.
const TITLES: [&str; 8] = [
    "just a moment...",
    "attention required! | cloudflare",
    "are you a robot?",
    "robot check",
    "human verification",
    "verify you are human",
    "captcha",
    "security check",
];

/// What a captcha needs to be solved.
const WIDGETS: [&str; 4] = ["g-recaptcha", "h-captcha", "cf-turnstile", "captcha"];

/// The first text of each mark. Most pages are small and innocent, and one look for all of
/// them takes a third of the time of a look for each.
static FIRST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let first = MARKS.map(|(_, texts)| regex::escape(texts[0]));
    Regex::new(&first.join("|")).ok()
});

/// Why a page with a good status counts as a block; `None` for a real page.
pub fn of(
    headers: &HeaderMap,
    html: &[u8],
    title: Option<&str>,
    links: usize,
) -> Option<&'static str> {
    let by_header = |(name, value, _): &&(HeaderName, &str, _)| {
        let sent = headers.get(name).map(|sent| sent.as_bytes());
        sent.is_some_and(|sent| sent.eq_ignore_ascii_case(value.as_bytes()))
    };
    if let Some((_, _, vendor)) = HEADERS.iter().find(by_header) {
        return Some(vendor);
    }
    if html.len() > MAX_BYTES || links > MAX_LINKS {
        return None;
    }
    let has = |text: &&str| memmem::find(html, text.as_bytes()).is_some();
    if FIRST.as_ref().is_none_or(|first| first.is_match(html))
        && let Some((vendor, _)) = MARKS.iter().find(|(_, texts)| texts.iter().all(has))
    {
        return Some(vendor);
    }
    let title = title?.to_lowercase();
    let widget = || WIDGETS.iter().any(has);
    (TITLES.contains(&title.as_str()) && widget()).then_some("captcha")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_told_from_pages_about_them() {
        let none = HeaderMap::new();
        let page = b"<script>window._cf_chl_opt={}</script>";
        assert_eq!(of(&none, page, None, 0), Some("Cloudflare challenge"));
        assert_eq!(of(&none, page, None, 50), None);
        let captcha = b"<div class='g-recaptcha'></div>";
        assert_eq!(of(&none, captcha, Some("Robot Check"), 1), Some("captcha"));
        assert_eq!(of(&none, captcha, Some("Contact us"), 1), None);
        assert_eq!(of(&none, b"<p>", Some("Robot Check"), 1), None);
        let mut headers = HeaderMap::new();
        headers.insert("cf-mitigated", "challenge".parse().unwrap());
        assert_eq!(of(&headers, b"", None, 99), Some("Cloudflare challenge"));
    }
}
