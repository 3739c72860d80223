//! Which addresses are private, and how a URL is shown without its password.
//!
//! A crawl that began on the public web must not be led to loopback, link-local
//! or private addresses: by a link (crawl-frontier looks), by a redirect or by a
//! DNS answer (crawl-fetch looks).

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// True when a URL's host, as the URL writes it (`[::1]` with its brackets), is
/// `localhost`, a name below it, or a literal private address.
pub fn is_private_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    is_localhost(host) || bare.parse().is_ok_and(is_private)
}

/// True for `localhost` and the names below it (RFC 6761).
pub fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let Some(start) = host.len().checked_sub("localhost".len()) else {
        return false;
    };
    let (below, last) = host.as_bytes().split_at(start);
    last.eq_ignore_ascii_case(b"localhost") && (below.is_empty() || below.ends_with(b"."))
}

/// True for an address that is not on the public internet: whatever the IANA registries of
/// special-purpose addresses (as of 2025) do not call globally reachable, multicast, what is
/// reserved or not given to anybody, and IPv6 forms that hold such an IPv4 address.
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && b & 0xc0 == 64) // shared with the provider, RFC 6598
        || (a == 192 && b == 0 && c == 0) // protocol assignments, RFC 6890
        || (a == 192 && b == 88 && c == 99) // 6to4 relays, given up, RFC 7526
        || (a == 198 && b & 0xfe == 18) // benchmarks, RFC 2544
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    let parts = ip.segments();
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // Mapped, translated, NAT64 and 6to4 forms of an IPv4 address.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, _, _, _, _, _] => v4(high, low),
        // Protocol assignments with Teredo, benchmarks and ORCHID; documentation.
        [0x2001, second, ..] => second < 0x200 || second == 0xdb8,
        [0x3fff, second, ..] => second < 0x1000, // documentation, RFC 9637
        // All that was ever given out lies in 2000::/3: beside it are loopback, discard-only
        // (RFC 6666, 9780), segment routing (RFC 9602), unique local, link-local, multicast.
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// The registrable domain of a host, or the host when it has none (an address, `localhost`).
pub fn registrable(host: &str) -> String {
    match Host::parse(host) {
        Ok(Host::Domain(domain)) => psl::domain_str(&domain).unwrap_or(&domain).to_owned(),
        _ => host.to_owned(),
    }
}

/// Takes user name and password out of a URL; gives its origin and `user:password`, if it had any.
pub fn take_userinfo(url: &mut Url) -> Option<(String, String)> {
    let userinfo = match (url.username(), url.password()) {
        ("", None) => return None,
        (user, None) => user.to_owned(),
        (user, Some(password)) => format!("{user}:{password}"),
    };
    // Both calls succeed for every URL that has a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some((url.origin().ascii_serialization(), userinfo))
}

/// The text with the user name and password of every URL in it replaced by `***`, whatever
/// characters they have. Rather more than less: of what cannot be a URL, all up to the last `@`.
pub fn masked(text: &str) -> Cow<'_, str> {
    if !text.contains('@') {
        return text.into();
    }
    let mut out = Cow::Borrowed("");
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out += before;
        // What follows a blank or a quote is other text, unless a password goes on there.
        let host = until(
            after,
            &['/', '?', '#', '\\', ' ', '"', '\'', '<', '>', '`', '\n'],
        );
        rest = if is_host_and_port(host) || host.starts_with("***@") {
            after
        } else {
            after_login(after)
        };
        if rest.len() < after.len() {
            out += "***";
        }
    }
    out += rest;
    out
}

/// A text that is one URL, such as a word of a command line: as [`masked`], but blanks and
/// quotes are part of it.
pub fn masked_url(url: &str) -> Cow<'_, str> {
    let Some(at) = url.find("://") else {
        return url.into();
    };
    let (before, after) = url.split_at(at + 3);
    let rest = after_login(after);
    if rest.len() < after.len() {
        format!("{before}***{rest}").into()
    } else {
        url.into()
    }
}

/// What follows the user name and password of a URL that begins behind its `://`: an `@`
/// and its host; all of it, when it has none.
fn after_login(text: &str) -> &str {
    let authority = until(text, &['/', '?', '#', '\\']);
    let end = match authority.rfind('@') {
        None if is_host_and_port(authority) => None,
        None => text.rfind('@'),
        end => end,
    };
    &text[end.unwrap_or(0)..]
}

/// An address that may have a user name and password before its host, with or without a
/// scheme, as proxies are given: masked up to its last `@`.
pub fn masked_proxy(address: &str) -> Cow<'_, str> {
    let scheme = address.find("://").map_or(0, |at| at + 3);
    match address[scheme..].rfind('@') {
        Some(at) => format!("{}***{}", &address[..scheme], &address[scheme + at..]).into(),
        None => address.into(),
    }
}

/// True for a host behind a user name and password whose scheme was left out.
pub fn has_bare_login(text: &str) -> bool {
    let login = text.rsplit_once('@').map_or("", |(login, _)| login);
    login.contains(':') && !text.contains("://")
}

fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    &text[..text.find(ends).unwrap_or(text.len())]
}

/// True for what can stand before the path of a URL when nothing secret does: what looks like
/// a port and is none is the begin of a password.
fn is_host_and_port(text: &str) -> bool {
    if text.contains('@') {
        return false;
    }
    let after_host = match text.rfind(']') {
        Some(end) => &text[end + 1..],
        None => text.find(':').map_or("", |at| &text[at..]),
    };
    let port = after_host.strip_prefix(':').unwrap_or(after_host);
    port.is_empty() || port.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_places_are_known_in_every_spelling() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "100.127.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fc00::1]",
            "[fdff::1]",
            "[fe80::1]",
            "[ff02::1]",
            "[::ffff:10.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::a00:1]",
            "[2002:7f00:1::]",
            "[2001:db8::1]",
            "[64:ff9b:1::808:808]",
            "[64:ff9b::7f00:1]",
            "[::ffff:0:10.0.0.1]",
            "[100::1]",
            "[100:0:0:1::1]",
            "[2001::1]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:20::1]",
            "[2001:1ff::1]",
            "[3fff::1]",
            "[3fff:fff::1]",
            "[5f00::1]",
            "[4000::1]",
            "[fec0::1]",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "198.51.100.7",
            "203.0.113.7",
            "240.0.0.1",
        ] {
            assert!(is_private_host(host), "{host}");
        }
        for host in [
            "localhost.example",
            "notlocalhost",
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "[2606:4700::1111]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::808:808]",
            "[2002:808:808::1]",
            "[2001:200::1]",
            "[2001:4860:4860::8888]",
            "[2a00:1450::1]",
            "[3ffe::1]",
            "192.0.1.1",
            "192.88.98.1",
            "203.0.114.1",
            "",
        ] {
            assert!(!is_private_host(host), "{host}");
        }
    }

    #[test]
    fn passwords_do_not_show() {
        for text in [
            "no URL here: a@b",
            "http://a.example/u@v",
            "http://a.example:80/u@v http://[::1]:80/@ http://[::1]/@ 'http://a'@",
            "crawl-run http://a -o b@c",
            "crawl-run http://***@a -o b@c",
        ] {
            assert_eq!(masked(text), text);
        }
        assert_eq!(
            masked("proxy http://me:pa@ss@p:1/x and https://u@h failed"),
            "proxy http://***@p:1/x and https://***@h failed"
        );
        for mark in [
            "", "'", "\"", "/", "?", "#", "@", "<", " ", "\\", ":", "%", "`", "/ '", "a://b",
        ] {
            let text = format!("start URL http://bob:se{mark}cret@h:1/x: why");
            let want = "start URL http://***@h:1/x: why";
            assert_eq!(masked(&text), want, "{mark}");
            assert_eq!(masked(&masked(&text)), want);
            let url = format!("http://bob:se{mark}cret@h:1/x z");
            assert_eq!(masked_url(&url), "http://***@h:1/x z", "{mark}");
            for scheme in ["", "http://", "socks5://"] {
                let proxy = format!("{scheme}bob:se{mark}cret@h:1");
                let want = format!("{scheme}***@h:1");
                if scheme.is_empty() && mark == "a://b" {
                    continue;
                }
                assert_eq!(masked_proxy(&proxy), want);
            }
        }
        assert_eq!(
            masked_url("http://bob:1 2@h:1/x@y z"),
            "http://***@h:1/x@y z"
        );
        assert_eq!(masked_proxy("http://h:1"), "http://h:1");
        assert_eq!(masked_proxy("h:1"), "h:1");
    }
}
