//! Which proxy a request goes through. Names and URLs of proxies come from the
//! environment alone, never from a request, and never show in a message.

use std::env;
use std::net::IpAddr;

use crawl_ckpt::address::masked_proxy;
use crawl_ckpt::record::ErrorKind;
use url::Url;

use crate::failure::Failure;

/// The way to a server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Way {
    /// Without a proxy.
    Direct,
    /// Through the proxy at this URL, credentials and all.
    Through(String),
}

/// The proxies that this process was given.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// `--proxy`, or else `HTTP_PROXY` and `ALL_PROXY`.
    pub http: Option<String>,
    /// `--proxy`, or else `HTTPS_PROXY` and `ALL_PROXY`.
    pub https: Option<String>,
    /// `NO_PROXY`.
    pub except: NoProxy,
}

impl Proxies {
    /// From `--proxy`, or the usual variables of the environment; as curl does,
    /// the lower-case name counts first, and an empty value is none.
    pub fn from_env(proxy: Option<&str>) -> Proxies {
        let variable = |name: &str| {
            let value = env::var(name.to_ascii_lowercase()).or_else(|_| env::var(name));
            value.ok().filter(|value| !value.is_empty())
        };
        let one = |name| {
            let found = proxy.map(str::to_owned);
            found
                .or_else(|| variable(name))
                .or_else(|| variable("ALL_PROXY"))
        };
        Proxies {
            http: one("HTTP_PROXY"),
            https: one("HTTPS_PROXY"),
            except: NoProxy::new(&variable("NO_PROXY").unwrap_or_default()),
        }
    }

    /// The way for a URL, and the word for it in the result. `name` is the
    /// request's own: `direct`, or a proxy in `<NAME>_PROXY_URL`.
    ///
    /// # Errors
    /// When no proxy of that name is configured: never a direct connection then.
    pub fn way(&self, name: Option<&str>, url: &Url) -> Result<(Way, String), Failure> {
        match name {
            Some("direct") => Ok((Way::Direct, "direct".into())),
            Some(name) => {
                let variable = variable_of(name);
                match variable.and_then(|variable| env::var(variable).ok()) {
                    Some(url) if !url.is_empty() => Ok((Way::Through(url), name.to_owned())),
                    _ => {
                        let why = format_args!("no proxy named '{name}' is configured");
                        Err(Failure::new(ErrorKind::Proxy, why))
                    }
                }
            }
            None => {
                let proxy = match url.scheme() {
                    "https" => &self.https,
                    _ => &self.http,
                };
                match proxy {
                    Some(proxy) if !self.except.holds(url) => Ok((
                        Way::Through(proxy.clone()),
                        masked_proxy(proxy).into_owned(),
                    )),
                    _ => Ok((Way::Direct, "direct".into())),
                }
            }
        }
    }
}

/// The variable that holds a proxy's URL; `None` when the name cannot be one.
fn variable_of(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    let name = name.to_ascii_uppercase().replace(['-', '.'], "_");
    Some(format!("{name}_PROXY_URL"))
}

/// The hosts that no proxy is used for, as curl reads `NO_PROXY`: `*`, names
/// that stand for themselves and what is below them, addresses, and networks
/// (`10.0.0.0/8`), separated by commas or blanks.
#[derive(Debug, Clone, Default)]
pub struct NoProxy {
    entries: Vec<String>,
}

impl NoProxy {
    /// Reads the list.
    pub fn new(list: &str) -> NoProxy {
        let entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
        NoProxy {
            entries: entries.map(str::to_ascii_lowercase).collect(),
        }
    }

    fn holds(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>().ok();
        self.entries.iter().any(|entry| match address {
            _ if entry == "*" => true,
            Some(address) => in_network(address, entry),
            None => {
                let name = entry.trim_start_matches('.').trim_end_matches('.');
                let below = host.trim_end_matches('.').strip_suffix(name);
                below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
            }
        })
    }
}

fn in_network(address: IpAddr, entry: &str) -> bool {
    let entry = entry.trim_start_matches('[').trim_end_matches(']');
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (entry, Some(128)),
    };
    let same = |a: u128, b: u128, size: u32, bits: u32| {
        let rest = size - bits.min(size);
        rest == size || a >> rest == b >> rest
    };
    match (address, network.parse(), bits) {
        (IpAddr::V4(a), Ok(IpAddr::V4(b)), Some(bits)) => {
            same(a.to_bits().into(), b.to_bits().into(), 32, bits)
        }
        (IpAddr::V6(a), Ok(IpAddr::V6(b)), Some(bits)) => same(a.to_bits(), b.to_bits(), 128, bits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_read_as_curl_does() {
        let list = NoProxy::new("a.example, .b.example 10.0.0.0/8,[::1],192.168.1.1");
        for (url, held) in [
            ("http://a.example/", true),
            ("http://x.a.example/", true),
            ("http://xa.example/", false),
            ("http://b.example/", true),
            ("http://10.9.9.9/", true),
            ("http://11.0.0.1/", false),
            ("http://192.168.1.1/", true),
            ("http://192.168.1.2/", false),
            ("http://[::1]:8/", true),
        ] {
            assert_eq!(list.holds(&Url::parse(url).unwrap()), held, "{url}");
        }
        assert!(NoProxy::new("*").holds(&Url::parse("http://x/").unwrap()));
    }

    #[test]
    fn an_unknown_name_is_never_direct() {
        let url = Url::parse("http://a.example/").unwrap();
        let proxies = Proxies::default();
        for name in ["no such", "", "nosuchproxy", "DIRECT"] {
            let failure = proxies.way(Some(name), &url).unwrap_err();
            assert_eq!(failure.kind, ErrorKind::Proxy, "{name}");
        }
        assert_eq!(proxies.way(Some("direct"), &url).unwrap().0, Way::Direct);
        assert_eq!(proxies.way(None, &url).unwrap().0, Way::Direct);
    }
}
