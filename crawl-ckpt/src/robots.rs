//! robots.txt as RFC 9309 has it: which URLs a crawler may fetch.
//!
//! Written here because neither crate fits: one panics on some UTF-8 and takes
//! quadratic time for long paths, the other has not been kept up with its
//! dependencies. Where Google's published matcher and the RFC differ, the RFC
//! counts: `%62` is `b` on both sides, and `index.html` is nothing special.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The rules of a robots.txt for one crawler. As JSON they are what a checkpoint keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Robots {
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
    sitemaps: Vec<String>,
}

/// May a URL be fetched, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It may.
    pub allowed: bool,
    /// The line of the rule, from 1; `None` when no rule holds for the URL.
    pub line: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rule {
    allow: bool,
    pattern: Pattern,
    line: u32,
}

/// Looks one URL up in a robots.txt. For many URLs, keep a [`Robots`].
pub fn allowed(robots_txt: &str, user_agent_token: &str, url: &str) -> Verdict {
    Robots::parse(robots_txt, user_agent_token).verdict(url)
}

/// The word of a User-Agent that robots.txt is read for: up to the first `/` or blank.
pub fn product_token(user_agent: &str) -> &str {
    let end = user_agent.find(|c: char| c == '/' || c.is_ascii_whitespace());
    &user_agent[..end.unwrap_or(user_agent.len())]
}

impl Robots {
    /// Reads the rules for the crawler of this product token. Never fails: a line
    /// that makes no sense is no rule.
    pub fn parse(text: &str, user_agent_token: &str) -> Robots {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut groups = Groups::default();
        for (number, line) in lines(text) {
            if let Some((key, value)) = key_value(line) {
                groups.take(key, value, number, user_agent_token);
            }
        }
        let Groups {
            named,
            other,
            sitemaps,
            ..
        } = groups;
        let group = named.or(other).unwrap_or_default();
        Robots {
            rules: group.rules,
            crawl_delay: group.crawl_delay,
            sitemaps,
        }
    }

    /// May the crawler fetch this absolute URL? The longest pattern decides, and
    /// for two of the same length the one that allows.
    pub fn verdict(&self, url: &str) -> Verdict {
        let path = normal_path(path_of(url));
        if path == "/robots.txt" {
            return Verdict {
                allowed: true,
                line: None,
            };
        }
        let holding = self.rules.iter().filter(|rule| rule.pattern.matches(&path));
        let best = holding.max_by_key(|rule| (rule.pattern.length, rule.allow));
        Verdict {
            allowed: best.is_none_or(|rule| rule.allow),
            line: best.map(|rule| rule.line),
        }
    }

    /// The `Crawl-delay` for the crawler. No part of the RFC, but a wish.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// The `Sitemap` lines, as written: each should be an absolute URL.
    pub fn sitemaps(&self) -> &[String] {
        &self.sitemaps
    }
}

/// What was read so far.
#[derive(Default)]
struct Groups {
    /// All groups that name the crawler, as one.
    named: Option<Group>,
    /// All groups for `*`, as one.
    other: Option<Group>,
    sitemaps: Vec<String>,
    /// The group being read names the crawler, or `*`.
    in_named: bool,
    in_other: bool,
    /// A rule was seen, so the next `User-agent` begins a new group.
    rules_began: bool,
}

#[derive(Default)]
struct Group {
    rules: Vec<Rule>,
    crawl_delay: Option<Duration>,
}

impl Groups {
    fn take(&mut self, key: Key, value: &str, line: u32, token: &str) {
        match key {
            Key::UserAgent => {
                if std::mem::take(&mut self.rules_began) {
                    (self.in_named, self.in_other) = (false, false);
                }
                if value == "*" || value.starts_with("* ") || value.starts_with("*\t") {
                    self.in_other = true;
                    self.other.get_or_insert_default();
                } else if names(value, token) {
                    self.in_named = true;
                    self.named.get_or_insert_default();
                }
            }
            Key::Rule { allow } => {
                self.rules_began = true;
                if value.is_empty() {
                    return;
                }
                let rule = Rule {
                    allow,
                    pattern: Pattern::new(value),
                    line,
                };
                self.each_group(|group| group.rules.push(rule.clone()));
            }
            Key::CrawlDelay => {
                let seconds = value.parse().ok();
                let delay = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                self.each_group(|group| group.crawl_delay = group.crawl_delay.or(delay));
            }
            Key::Sitemap if value.is_empty() => {}
            Key::Sitemap => self.sitemaps.push(value.to_owned()),
        }
    }

    fn each_group(&mut self, mut change: impl FnMut(&mut Group)) {
        let named = self.named.as_mut().filter(|_| self.in_named);
        let other = self.other.as_mut().filter(|_| self.in_other);
        named.into_iter().chain(other).for_each(&mut change);
    }
}

/// True when a `User-agent` line is meant for the crawler of this token. What is
/// written behind the token (`bot/2.1`) does not matter.
fn names(value: &str, token: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphabetic() || c == '-' || c == '_';
    let name = &value[..value.find(|c| !plain(c)).unwrap_or(value.len())];
    !token.is_empty()
        && (name.eq_ignore_ascii_case(token) || product_token(value).eq_ignore_ascii_case(token))
}

#[derive(Clone, Copy)]
enum Key {
    UserAgent,
    Rule { allow: bool },
    CrawlDelay,
    Sitemap,
}

/// Numbered lines; CR, LF and CRLF end one.
fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let lines = text.split('\n').flat_map(|line| {
        let line = line.strip_suffix('\r').unwrap_or(line);
        line.split('\r')
    });
    (1..).zip(lines)
}

/// `key: value` without its comment. A blank may stand for the colon when there
/// are just two words, and common misspellings are understood, as Google does.
fn key_value(line: &str) -> Option<(Key, &str)> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let (key, value) = match line.split_once(':') {
        Some((key, value)) => (key.trim(), value.trim()),
        None => {
            let (key, value) = line.split_once([' ', '\t'])?;
            let value = value.trim();
            (!value.contains([' ', '\t'])).then_some((key, value))?
        }
    };
    let key = match key.to_ascii_lowercase().as_str() {
        "user-agent" | "useragent" | "user agent" => Key::UserAgent,
        "allow" => Key::Rule { allow: true },
        "disallow" | "dissallow" | "dissalow" | "disalow" | "diasllow" | "disallaw" => {
            Key::Rule { allow: false }
        }
        "crawl-delay" | "crawldelay" => Key::CrawlDelay,
        "sitemap" | "site-map" => Key::Sitemap,
        _ => return None,
    };
    Some((key, value))
}

/// A path pattern: literal parts with anything between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pattern {
    parts: Vec<String>,
    /// It ended in `$`: the path must end where it ends.
    anchored: bool,
    /// Octets of the pattern, by which the most specific rule is chosen.
    length: usize,
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let anchored = text.ends_with('$');
        let body = text.strip_suffix('$').unwrap_or(text);
        let parts: Vec<String> = body
            .split('*')
            .map(|part| normal(part).into_owned())
            .collect();
        let literal = parts.iter().map(String::len).sum::<usize>();
        Pattern {
            length: literal + parts.len() - 1 + usize::from(anchored),
            parts,
            anchored,
        }
    }

    /// Takes the leftmost place for every part, which is as good as any other.
    fn matches(&self, path: &str) -> bool {
        let Some((first, others)) = self.parts.split_first() else {
            return true;
        };
        let Some(mut rest) = path.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, between)) = others.split_last() else {
            return !self.anchored || rest.is_empty();
        };
        for part in between {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        if self.anchored {
            rest.ends_with(last.as_str())
        } else {
            rest.contains(last.as_str())
        }
    }
}

/// Path and query of an absolute URL.
fn path_of(url: &str) -> &str {
    let url = url.split('#').next().unwrap_or_default();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find(['/', '?']).map_or("/", |at| &rest[at..])
}

fn normal_path(path: &str) -> Cow<'_, str> {
    let path = normal(path);
    if path.starts_with('/') {
        path
    } else {
        format!("/{path}").into()
    }
}

/// One spelling for each path: unreserved characters plain, anything outside
/// ASCII and what is special in patterns as an escape with capitals (RFC 9309, 2.2.2).
fn normal(text: &str) -> Cow<'_, str> {
    let special = |byte: u8| !byte.is_ascii() || matches!(byte, b'%' | b'*' | b'$');
    if !text.bytes().any(special) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 8);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let escaped = match byte {
            b'%' => escape(bytes.get(at..at + 2)),
            _ => None,
        };
        match escaped {
            Some(value) => {
                at += 2;
                if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
                    out.push(char::from(value));
                } else {
                    push_escape(&mut out, value);
                }
            }
            None if special(byte) && byte != b'%' => push_escape(&mut out, byte),
            None => out.push(char::from(byte)),
        }
    }
    out.into()
}

fn escape(digits: Option<&[u8]>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    match digits? {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    }
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(robots: &str, agent: &str, url: &str) -> bool {
        allowed(robots, agent, url).allowed
    }

    fn check(robots: &str, agent: &str, cases: &[(&str, bool)]) {
        for (path, want) in cases {
            let url = format!("http://foo.bar{path}");
            assert_eq!(may(robots, agent, &url), *want, "{path} in {robots:?}");
        }
    }

    // The cases of Google's robots_test.cc, by their names there; those where the
    // RFC decides otherwise stand in a test of their own below.

    #[test]
    fn google_only_test() {
        let robots = "user-agent: FooBot\ndisallow: /\n";
        assert!(may("", "FooBot", ""));
        assert!(may(robots, "", ""));
        assert!(!may(robots, "FooBot", ""));
        assert!(may("", "", ""));
    }

    #[test]
    fn google_line_syntax() {
        let url = "http://foo.bar/x/y";
        assert!(!may("user-agent: FooBot\ndisallow: /\n", "FooBot", url));
        assert!(may("foo: FooBot\nbar: /\n", "FooBot", url));
        assert!(!may("user-agent FooBot\ndisallow /\n", "FooBot", url));
        assert!(!may("user-agent: FooBot\ndisallow: /\r\n", "FooBot", url));
        assert!(!may("user-agent: FooBot\rdisallow: /", "FooBot", url));
        assert!(!may(
            "\u{feff}user-agent: FooBot\ndisallow: /",
            "FooBot",
            url
        ));
        assert!(!may("user-agent: a # b\n  disallow : / # c", "a", url));
        assert!(!may("useragent: FooBot\ndisalow: /", "FooBot", url));
    }

    #[test]
    fn google_line_syntax_groups() {
        let robots = "allow: /foo/bar/\n\nuser-agent: FooBot\ndisallow: /\nallow: /x/\n\
            user-agent: BarBot\ndisallow: /\nallow: /y/\n\n\nallow: /w/\nuser-agent: BazBot\n\n\
            user-agent: FooBot\nallow: /z/\ndisallow: /\n";
        let foo = [("/x/b", true), ("/z/d", true), ("/y/c", false)];
        check(robots, "FooBot", &foo);
        let bar = [("/y/c", true), ("/w/a", true), ("/z/d", false)];
        check(robots, "BarBot", &bar);
        check(robots, "BazBot", &[("/z/d", true), ("/foo/bar/", false)]);
    }

    #[test]
    fn google_groups_with_other_rules() {
        for other in [
            "Sitemap: https://foo.bar/sitemap",
            "Invalid-Unknown-Line: unknown",
            "Crawl-delay: 5",
        ] {
            let robots = format!("User-agent: BarBot\n{other}\nUser-agent: *\nDisallow: /\n");
            assert!(!may(&robots, "FooBot", "http://foo.bar/"));
            assert!(!may(&robots, "BarBot", "http://foo.bar/"));
            let robots = format!("User-agent: FooBot\n{other}\nUser-agent: *\nDisallow: /\n");
            assert!(!may(&robots, "FooBot", "http://foo.bar/"));
        }
    }

    #[test]
    fn google_names_in_any_case() {
        for name in [
            "USER-AGENT: FooBot\nALLOW: /x/\nDISALLOW: /\n",
            "uSeR-aGeNt: FOOBOT\nAlLoW: /x/\ndIsAlLoW: /\n",
        ] {
            check(name, "foobot", &[("/x/y", true), ("/a/b", false)]);
        }
    }

    #[test]
    fn google_user_agent_value() {
        let robots = "User-Agent: *\nDisallow: /\nUser-Agent: Foo Bar\nAllow: /x/\nDisallow: /\n";
        check(robots, "Foo", &[("/x/y", true), ("/x", false)]);
        assert!(!may(robots, "Foo Bar", "http://foo.bar/x/y"));
        let versions = "User-agent: foo/2.1\nDisallow: /";
        assert!(!may(versions, "foo", "http://foo.bar/"));
        assert!(!may(
            "User-agent: * baz\nDisallow: /",
            "x",
            "http://foo.bar/"
        ));
        assert!(may("User-agent: *baz\nDisallow: /", "x", "http://foo.bar/"));
    }

    #[test]
    fn google_global_groups() {
        let global = "user-agent: *\nallow: /\nuser-agent: FooBot\ndisallow: /\n";
        assert!(!may(global, "FooBot", "http://foo.bar/x/y"));
        assert!(may(global, "BarBot", "http://foo.bar/x/y"));
        let only = "user-agent: FooBot\nallow: /\nuser-agent: BarBot\ndisallow: /\n";
        assert!(may(only, "QuxBot", "http://foo.bar/x/y"));
        let empty = "user-agent: FooBot\n\nuser-agent: *\n\nuser-agent: BarBot\nallow:\n";
        assert!(may(empty, "FooBot", "http://foo.bar/"));
    }

    #[test]
    fn google_path_in_its_own_case() {
        check(
            "user-agent: FooBot\ndisallow: /X/\n",
            "FooBot",
            &[("/x/y", true), ("/X/y", false)],
        );
    }

    #[test]
    fn google_longest_match() {
        for (rules, path, want) in [
            (
                "disallow: /x/page.html\nallow: /x/\n",
                "/x/page.html",
                false,
            ),
            ("allow: /x/page.html\ndisallow: /x/\n", "/x/page.html", true),
            ("allow: /x/page.html\ndisallow: /x/\n", "/x/", false),
            ("disallow: \nallow: \n", "/x/page.html", true),
            ("disallow: /\nallow: /\n", "/x/page.html", true),
            ("disallow: /x\nallow: /x/\n", "/x", false),
            ("disallow: /x\nallow: /x/\n", "/x/", true),
            (
                "disallow: /x/page.html\nallow: /x/page.html\n",
                "/x/page.html",
                true,
            ),
            ("allow: /page\ndisallow: /*.html\n", "/page.html", false),
            ("allow: /page\ndisallow: /*.html\n", "/page", true),
            ("allow: /x/page.\ndisallow: /*.html\n", "/x/page.html", true),
            ("allow: /x/page.\ndisallow: /*.html\n", "/x/y.html", false),
        ] {
            let robots = format!("user-agent: FooBot\n{rules}");
            check(&robots, "FooBot", &[(path, want)]);
        }
        let both = "User-agent: *\nDisallow: /x/page.html\nUser-agent: FooBot\nAllow: /x/\n";
        check(both, "FooBot", &[("/x/page.html", true)]);
    }

    #[test]
    fn google_encoding() {
        let robots =
            "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar?qux=taz&baz=http://foo.bar?tar&par\n";
        check(
            robots,
            "FooBot",
            &[("/foo/bar?qux=taz&baz=http://foo.bar?tar&par", true)],
        );
        let robots = "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/ツ\n";
        check(
            robots,
            "FooBot",
            &[("/foo/bar/%E3%83%84", true), ("/foo/bar/ツ", true)],
        );
        let robots = "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/%e3%83%84\n";
        check(
            robots,
            "FooBot",
            &[("/foo/bar/%E3%83%84", true), ("/foo/bar/ツ", true)],
        );
        let robots = "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/%62%61%7A\n";
        check(robots, "FooBot", &[("/foo/bar/%62%61%7A", true)]);
    }

    #[test]
    fn google_special_characters() {
        let robots = "User-agent: FooBot\nDisallow: /foo/bar/quz\nAllow: /foo/*/qux\n";
        let cases = [
            ("/foo/bar/quz", false),
            ("/foo/quz", true),
            ("/foo//quz", true),
            ("/foo/bax/quz", true),
        ];
        check(robots, "FooBot", &cases);
        let robots = "User-agent: FooBot\nDisallow: /foo/bar$\nAllow: /foo/bar/qux\n";
        let cases = [
            ("/foo/bar", false),
            ("/foo/bar/qux", true),
            ("/foo/bar/", true),
            ("/foo/bar/baz", true),
        ];
        check(robots, "FooBot", &cases);
        let robots = "User-agent: FooBot\n# Disallow: /\nDisallow: /foo/quz#qux\nAllow: /\n";
        check(robots, "FooBot", &[("/foo/bar", true), ("/foo/quz", false)]);
    }

    #[test]
    fn google_documentation() {
        for (pattern, matching, other) in [
            (
                "/fish",
                &[
                    "/fish",
                    "/fish.html",
                    "/fish/salmon.html",
                    "/fishheads",
                    "/fish.php?id=anything",
                ][..],
                &["/Fish.asp", "/catfish", "/?id=fish"][..],
            ),
            (
                "/fish*",
                &["/fish", "/fish.html", "/fishheads/yummy.html"],
                &["/Fish.asp", "/catfish"],
            ),
            (
                "/fish/",
                &["/fish/", "/fish/salmon", "/fish/?salmon"],
                &["/fish", "/fish.html", "/animals/fish/"],
            ),
            (
                "/*.php",
                &[
                    "/filename.php",
                    "/folder/filename.php?parameters",
                    "/folder/any.php.file.html",
                    "/filename.php/",
                ],
                &["/", "/windows.PHP"],
            ),
            (
                "/*.php$",
                &["/filename.php", "/folder/filename.php"],
                &[
                    "/filename.php?parameters",
                    "/filename.php/",
                    "/filename.php5",
                    "/",
                ],
            ),
            (
                "/fish*.php",
                &["/fish.php", "/fishheads/catfish.php?parameters"],
                &["/Fish.PHP"],
            ),
        ] {
            let robots = format!("user-agent: FooBot\ndisallow: /\nallow: {pattern}\n");
            for path in matching {
                check(&robots, "FooBot", &[(path, true)]);
            }
            for path in other {
                check(&robots, "FooBot", &[(path, false)]);
            }
        }
        for (rules, path, want) in [
            ("allow: /p\ndisallow: /\n", "/page", true),
            ("allow: /folder\ndisallow: /folder\n", "/folder/page", true),
            ("allow: /page\ndisallow: /*.htm\n", "/page.htm", false),
            ("allow: /$\ndisallow: /\n", "/", true),
            ("allow: /$\ndisallow: /\n", "/page.html", false),
        ] {
            check(
                &format!("user-agent: FooBot\n{rules}"),
                "FooBot",
                &[(path, want)],
            );
        }
    }

    #[test]
    fn the_rfc_decides_where_google_differs() {
        // RFC 9309, 2.2.2 and 2.2.3.
        let robots = "User-agent: *\nDisallow: /\nAllow: /foo/bar/%62%61%7A\n";
        check(robots, "FooBot", &[("/foo/bar/baz", true)]);
        let robots =
            "User-agent: *\nDisallow: /path/file-with-a-%2A.html\nDisallow: /path/foo-%24\n";
        let cases = [
            ("/path/file-with-a-*.html", false),
            ("/path/file-with-a-x.html", true),
            ("/path/foo-$", false),
        ];
        check(robots, "FooBot", &cases);
        let robots = "User-agent: *\nDisallow: /\nAllow: /x/index.html\n";
        check(robots, "FooBot", &[("/x/", false)]);
        check(
            "User-agent: *\nDisallow: /\n",
            "FooBot",
            &[("/robots.txt", true)],
        );
    }

    #[test]
    fn lines_wishes_and_sitemaps_are_told() {
        let text = "Sitemap: http://a/1.xml\nUser-agent: x\nCrawl-delay: 2.5\nDisallow: /p\n\
            Sitemap:http://a/2.xml\nCrawl-delay: 9\nUser-agent: *\nCrawl-delay: x\nDisallow: /q$r*\n";
        let robots = Robots::parse(text, "x");
        assert_eq!(robots.crawl_delay(), Some(Duration::from_millis(2500)));
        assert_eq!(robots.sitemaps(), ["http://a/1.xml", "http://a/2.xml"]);
        assert_eq!(robots.verdict("http://a/p").line, Some(4));
        assert_eq!(robots.verdict("http://a/q").line, None);
        let robots = Robots::parse(text, "y");
        assert_eq!(robots.crawl_delay(), None);
        assert_eq!(robots.verdict("http://a/q$r?z").line, Some(9));
    }

    #[test]
    fn hostile_patterns_take_no_time() {
        let pattern = "/".to_owned() + &"a*".repeat(5_000) + "b$";
        let robots = format!(
            "User-agent: *\nDisallow: {pattern}\nDisallow: {}\n",
            "*".repeat(9_000)
        );
        let url = format!("http://a/{}", "a".repeat(20_000));
        let started = std::time::Instant::now();
        assert!(!may(&robots, "x", &url));
        assert!(started.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn the_token_is_the_first_word() {
        assert_eq!(product_token("crawl-fetch/0.1.0 (+x)"), "crawl-fetch");
        assert_eq!(product_token("Mozilla x"), "Mozilla");
        assert_eq!(product_token("bot42"), "bot42");
        assert!(!may("User-agent: Bot42\nDisallow: /", "bot42", "http://a/"));
    }
}
