//! Who is sent what is a secret: the headers of `-H`, and user names and passwords of start URLs.
//!
//! The origins of the start URLs are, and those that a start URL redirects to inside its own
//! registrable domain, but by no step from https to http. Values are in memory alone; the
//! checkpoint keeps whom to trust.

use std::collections::{HashMap, HashSet};

use crawl_ckpt::address::registrable;
use crawl_ckpt::control;
use crawl_ckpt::cookies::MAX_HEADER_BYTES;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::Request;
use crawl_ckpt::text::Text;

use crate::keys::TRUSTED;
use crate::url::{Form, authority, canonicalize_link, origin};

/// The secrets of a crawl.
#[derive(Default)]
pub struct Secrets {
    trusted: HashSet<String>,
    headers: Vec<(String, String)>,
    everywhere: bool,
    /// `user:password`, by origin.
    userinfo: HashMap<String, String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// No secrets yet; the origins of the start URLs are trusted.
    pub fn new(plan: &Plan) -> Secrets {
        let mut canonical = String::new();
        let mut trusted = HashSet::new();
        for url in &plan.start_urls {
            // A start URL that is no URL is told when it is taken on.
            if canonicalize_link(url, Form::Standard, &mut canonical).is_ok() {
                trusted.insert(origin(&canonical).to_owned());
            }
        }
        Secrets {
            trusted,
            ..Secrets::default()
        }
    }

    /// Takes what the order to begin brings along.
    pub fn take(&mut self, secrets: &control::Secrets) {
        self.headers.clone_from(&secrets.headers);
        self.everywhere = secrets.everywhere;
        self.userinfo = secrets.userinfo.iter().cloned().collect();
    }

    /// A start URL redirects; gives the key that keeps it, when its target is trusted from now on.
    pub fn follow(&mut self, from: &str, to: &str) -> Option<String> {
        let is_within = registrable(host(from)) == registrable(host(to));
        let is_step_down = from.starts_with("https:") && to.starts_with("http:");
        let to = origin(to);
        let is_trusted = self.trusted.contains(origin(from)) && is_within && !is_step_down;
        let is_new = is_trusted && self.trusted.insert(to.to_owned());
        is_new.then(|| format!("{TRUSTED}{to}"))
    }

    /// Takes whom the checkpoint says to trust.
    pub fn restore<'k>(&mut self, keys: impl Iterator<Item = &'k String>) {
        let origins = keys.filter_map(|key| key.strip_prefix(TRUSTED));
        self.trusted.extend(origins.map(str::to_owned));
    }

    /// Whom to trust, as the checkpoint keeps it.
    pub fn saved(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let trusted = self.trusted.iter();
        trusted.map(|origin| (format!("{TRUSTED}{origin}"), "1".to_owned()))
    }

    /// Puts into a request what its origin may have. Its own headers go over these.
    pub fn dress(&self, request: &mut Request<'_>) {
        if self.headers.is_empty() && self.userinfo.is_empty() {
            return;
        }
        let at = origin(&request.url).to_owned();
        if self.everywhere || self.trusted.contains(&at) {
            for (name, value) in &self.headers {
                self.add(request, name, value);
            }
        }
        if let Some(userinfo) = self.userinfo.get(&at) {
            let (scheme, rest) = request.url.split_once("://").unwrap_or_default();
            request.url = format!("{scheme}://{userinfo}@{rest}").into();
        }
    }

    fn add(&self, request: &mut Request<'_>, name: &str, value: &str) {
        let is_it = |other: &str| other.eq_ignore_ascii_case(name);
        if request.headers.keys().any(|other| is_it(other)) {
            return;
        }
        let value = match &request.cookie {
            Some(jar) if is_it("cookie") => {
                // What the site set since is newer.
                request.cookie = Some(merged(value, jar).into());
                return;
            }
            _ => value.to_owned(),
        };
        request
            .headers
            .insert(Text::from(name.to_owned()), Text::from(value));
    }
}

/// The cookies of a header and those of the jar, which win, as far as a server takes so many.
fn merged(header: &str, jar: &str) -> String {
    let name = |cookie: &str| {
        cookie
            .split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let newer: HashSet<String> = jar.split(';').map(name).collect();
    let kept = header.split(';').map(str::trim);
    let kept = kept.filter(|cookie| !cookie.is_empty() && !newer.contains(&name(cookie)));
    let mut cookies = kept.collect::<Vec<_>>().join("; ");
    for cookie in jar.split("; ") {
        if cookies.is_empty() {
            cookies.push_str(cookie);
        } else if cookies.len() + "; ".len() + cookie.len() <= MAX_HEADER_BYTES {
            cookies.push_str("; ");
            cookies.push_str(cookie);
        }
    }
    cookies
}

/// The host of a canonical URL, without the port.
fn host(url: &str) -> &str {
    crate::scope::host_name(authority(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let plan = Plan {
            start_urls: vec![
                "https://shop.example.co.uk/a".into(),
                "http://127.0.0.1:8/".into(),
            ],
            ..Plan::default()
        };
        let mut secrets = Secrets::new(&plan);
        secrets.take(&control::Secrets {
            headers: vec![
                ("Authorization".into(), "s3cret".into()),
                ("Cookie".into(), "a=1; b=2".into()),
            ],
            everywhere: false,
            userinfo: vec![("http://127.0.0.1:8".into(), "u:p".into())],
        });
        secrets
    }

    fn sent(secrets: &Secrets, url: &str) -> bool {
        let mut request = Request {
            url: url.into(),
            ..Request::default()
        };
        secrets.dress(&mut request);
        request
            .headers
            .keys()
            .any(|name| &**name == "Authorization")
    }

    #[test]
    fn only_the_origins_of_start_urls_are_trusted() {
        let mut secrets = secrets();
        assert!(sent(&secrets, "https://shop.example.co.uk/b"));
        for other in [
            "http://shop.example.co.uk/b",
            "https://shop.example.co.uk:8443/",
            "https://www.example.co.uk/",
            "https://other.co.uk/",
            "http://127.0.0.1:9/",
        ] {
            assert!(!sent(&secrets, other), "{other}");
        }
        secrets.everywhere = true;
        assert!(sent(&secrets, "https://other.co.uk/"));
    }

    #[test]
    fn trust_follows_start_urls_inside_their_domain_and_never_down_to_http() {
        let mut secrets = secrets();
        let from = "https://shop.example.co.uk/a";
        for (to, trusted) in [
            ("http://www.example.co.uk/", false),
            ("https://other.co.uk/", false),
            ("https://co.uk/", false),
            ("https://www.example.co.uk/", true),
        ] {
            assert_eq!(secrets.follow(from, to).is_some(), trusted, "{to}");
            assert_eq!(sent(&secrets, to), trusted, "{to}");
        }
        assert_eq!(
            secrets.follow("https://other.co.uk/", "https://m.other.co.uk/"),
            None
        );
        assert!(
            secrets
                .follow("http://127.0.0.1:8/", "http://127.0.0.1:9/")
                .is_some()
        );
        assert_eq!(
            secrets.follow("http://127.0.0.1:8/", "http://127.0.0.2:8/"),
            None
        );
        let kept: Vec<String> = secrets.saved().map(|(key, _)| key).collect();
        let mut again = self::secrets();
        again.restore(kept.iter());
        assert!(sent(&again, "https://www.example.co.uk/"));
    }

    #[test]
    fn cookies_of_the_jar_go_over_those_of_a_header() {
        let mut request = Request {
            url: "http://127.0.0.1:8/x".into(),
            cookie: Some("b=3; c=4".into()),
            ..Request::default()
        };
        secrets().dress(&mut request);
        assert_eq!(request.cookie.as_deref(), Some("a=1; b=3; c=4"));
        assert!(!request.headers.keys().any(|name| &**name == "Cookie"));
        assert_eq!(&*request.url, "http://u:p@127.0.0.1:8/x");
    }

    #[test]
    fn of_the_jar_goes_what_a_server_takes_beside_a_header() {
        let long = "x".repeat(MAX_HEADER_BYTES / 4);
        let jar = ["c", "d", "e", "f"].map(|name| format!("{name}={long}"));
        let cookies = merged(&format!("a=1; b={long}; d=old"), &jar.join("; "));
        let names: Vec<&str> = cookies.split("; ").map(|cookie| &cookie[..1]).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
        assert!(cookies.len() <= MAX_HEADER_BYTES && !cookies.contains("old"));
        assert_eq!(merged("", "c=4"), "c=4");
    }
}
