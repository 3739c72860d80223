//! robots.txt as RFC 9309 has it: which URLs a crawler may fetch.
//!
//! Written here because neither crate fits: one panics on some UTF-8 and takes
//! quadratic time for long paths, the other has not been kept up with its
//! dependencies. Where Google's published matcher and the RFC differ, the RFC
//! counts: `%62` is `b` on both sides, and `index.html` is nothing special.

mod answer;
mod rules;

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, disallowed, is_disallowed, of_status, unreachable};
use rules::{RobotsRule, Rules};

/// So much of a robots.txt is read (RFC 9309, 2.5 asks for at least this).
pub const MAX_BYTES: usize = 500 << 10;

/// So many sitemaps of one are taken.
const MAX_SITEMAPS: usize = 1_000;

/// The rules of a robots.txt for one crawler. As JSON they are what a checkpoint keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Robots {
    rules: Rules,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crawl_delay: Option<Duration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sitemaps: Vec<String>,
}

/// May a URL be fetched, and what says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The URL may be fetched.
    pub allowed: bool,
    /// The line of the rule, from 1; `None` when no rule holds for the URL.
    pub line: Option<u32>,
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
    /// that makes no sense is no rule, and what is behind [`MAX_BYTES`] is not read.
    pub fn parse(text: &str, user_agent_token: &str) -> Robots {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = &text[..whole_lines(text.as_bytes()).len()];
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
            rules: Rules::new(group.rules),
            crawl_delay: group.crawl_delay,
            sitemaps,
        }
    }

    /// May the crawler fetch this absolute URL? The longest pattern decides, and
    /// for two of the same length the one that allows.
    pub fn verdict(&self, url: &str) -> Verdict {
        const FREE: Verdict = Verdict {
            allowed: true,
            line: None,
        };
        // Many hosts have none.
        if self.rules.is_empty() {
            return FREE;
        }
        let path = normal_path(path_of(url));
        if path == "/robots.txt" {
            return FREE;
        }
        let deciding = self.rules.deciding(&path);
        Verdict {
            allowed: deciding.is_none_or(|rule| rule.allow),
            line: deciding.map(|rule| rule.line),
        }
    }

    /// The `Crawl-delay` for the crawler. No part of the RFC, but a wish.
    pub fn crawl_delay(&self) -> Option<Duration> {
        self.crawl_delay
    }

    /// The rules, which many hosts have in common, and the sitemaps, which are a host's own.
    pub fn split(self) -> (Robots, Robots) {
        let Robots {
            rules,
            crawl_delay,
            sitemaps,
        } = self;
        let rules = Robots {
            rules,
            crawl_delay,
            sitemaps: Vec::new(),
        };
        let sitemaps = Robots {
            sitemaps,
            ..Robots::default()
        };
        (rules, sitemaps)
    }

    /// What [`Robots::split`] made two of.
    pub fn join(&self, sitemaps: &Robots) -> Robots {
        Robots {
            sitemaps: sitemaps.sitemaps.clone(),
            ..self.clone()
        }
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
    rules: Vec<RobotsRule>,
    crawl_delay: Option<Duration>,
}

impl Groups {
    fn take(&mut self, key: Directive, value: &str, line: u32, token: &str) {
        match key {
            Directive::UserAgent => {
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
            Directive::Rule { allow } => {
                self.rules_began = true;
                if value.is_empty() {
                    return;
                }
                let rule = RobotsRule {
                    pattern: normal_pattern(value),
                    disallow: !allow,
                    line,
                };
                self.each_group(|group| group.rules.push(rule.clone()));
            }
            Directive::CrawlDelay => {
                let seconds = value.parse().ok();
                let delay = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
                self.each_group(|group| group.crawl_delay = group.crawl_delay.or(delay));
            }
            Directive::Sitemap if value.is_empty() || self.sitemaps.len() >= MAX_SITEMAPS => {}
            Directive::Sitemap => self.sitemaps.push(value.to_owned()),
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
enum Directive {
    UserAgent,
    Rule { allow: bool },
    CrawlDelay,
    Sitemap,
}

/// As much of a file as is read, without the line that is cut: `Disallow: /private` must not
/// become `Disallow: /`.
pub fn whole_lines(bytes: &[u8]) -> &[u8] {
    let Some(most) = bytes.get(..MAX_BYTES) else {
        return bytes;
    };
    let end = most.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    &most[..end.unwrap_or(0)]
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
fn key_value(line: &str) -> Option<(Directive, &str)> {
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
        "user-agent" | "useragent" | "user agent" => Directive::UserAgent,
        "allow" => Directive::Rule { allow: true },
        "disallow" | "dissallow" | "dissalow" | "disalow" | "diasllow" | "disallaw" => {
            Directive::Rule { allow: false }
        }
        "crawl-delay" | "crawldelay" => Directive::CrawlDelay,
        "sitemap" | "site-map" => Directive::Sitemap,
        _ => return None,
    };
    Some((key, value))
}

/// One spelling for each pattern, in which `*` and a `$` at its end are what they were.
fn normal_pattern(text: &str) -> String {
    let (body, end) = match text.strip_suffix('$') {
        Some(body) => (body, "$"),
        None => (text, ""),
    };
    let parts: Vec<Cow<'_, str>> = body.split('*').map(normal).collect();
    parts.join("*") + end
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
/// ASCII, what is special in patterns and what URLs escape somewhere as an escape with
/// capitals (RFC 9309, 2.2.2), so that a rule for `/{id}` holds for `/%7Bid%7D`.
fn normal(text: &str) -> Cow<'_, str> {
    let special = |byte: u8| {
        !byte.is_ascii()
            || matches!(
                byte,
                b'%' | b'*'
                    | b'$'
                    | b' '
                    | b'"'
                    | b'\''
                    | b'<'
                    | b'>'
                    | b'^'
                    | b'`'
                    | b'['
                    | b'\\'
                    | b']'
                    | b'{'
                    | b'|'
                    | b'}'
            )
    };
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
mod tests;
