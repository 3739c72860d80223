//! The proxies that the environment configures, by name. Their URLs, which hold
//! credentials, are looked at once and kept nowhere.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crawl_ckpt::price::Price;
use crawl_ckpt::tool::{Exit, Failure};
use url::Url;

const SUFFIX: &str = "_PROXY_URL";
const PRICE_SUFFIX: &str = "_PROXY_PRICE";

/// The variables that curl and others mean for all programs. `--proxy-type none`
/// must not go through what they name.
const COMMON: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Names of proxies, cheapest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    names: Vec<String>,
    /// The variable that each comes from, in the same order.
    variables: Vec<OsString>,
    /// What they cost, by name.
    prices: BTreeMap<String, Price>,
}

/// What `--proxy-type` stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProxyType {
    /// Direct first, `datacenter` for hosts that block.
    Auto,
    /// Always direct.
    None,
    /// Everything through the proxy of that name.
    Named(String),
}

impl Proxies {
    /// Reads `<NAME>_PROXY_URL` and `<NAME>_PROXY_PRICE` variables. An empty one counts as absent.
    ///
    /// # Errors
    /// [`Exit::Usage`] names a variable whose value is no proxy URL, never the value; or one that
    /// is no price.
    pub fn from_env(vars: impl Iterator<Item = (OsString, OsString)>) -> Result<Proxies, Failure> {
        let mut found: Vec<(String, OsString)> = Vec::new();
        let mut prices = BTreeMap::new();
        for (key, value) in vars {
            if let Some(name) = key.to_str().and_then(|key| named(key, PRICE_SUFFIX))
                && !value.is_empty()
            {
                let price = value.to_str().and_then(Price::parse);
                let price = price.ok_or_else(|| bad_price(&key.to_string_lossy()))?;
                prices.insert(name, price);
            }
            let Some(name) = key.to_str().and_then(|key| named(key, SUFFIX)) else {
                continue;
            };
            if value.is_empty() {
                continue;
            }
            if !value.to_str().is_some_and(is_proxy_url) {
                let key = key.to_string_lossy();
                return Err(Failure::with(
                    Exit::Usage,
                    format_args!("cannot use {key}: expected an http, https or socks5 URL"),
                ));
            }
            found.push((name, key));
        }
        found.sort_by_cached_key(|(name, key)| (cost(name), name.clone(), key.clone()));
        let (names, variables) = found.into_iter().unzip();
        Ok(Proxies {
            names,
            variables,
            prices,
        })
    }

    /// The same, with prices for those of which the environment says none.
    pub fn or_prices(mut self, prices: Option<&BTreeMap<String, Price>>) -> Proxies {
        for (name, price) in prices.into_iter().flatten() {
            self.prices.entry(name.clone()).or_insert(*price);
        }
        self
    }

    /// What proxies cost, by name.
    pub fn prices(&self) -> &BTreeMap<String, Price> {
        &self.prices
    }

    /// The names, cheapest first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names that cost more than one of them (all, for `direct`), cheapest first.
    pub fn costlier_than(&self, name: &str) -> &[String] {
        match self.names.iter().position(|other| other == name) {
            Some(at) => &self.names[at + 1..],
            None => &self.names,
        }
    }

    /// The variables that a crawl must not see, so that no mistake further on can cost
    /// money, or go where it must not.
    pub fn hidden(&self, proxy: &ProxyType) -> Vec<OsString> {
        let allowed = match proxy {
            ProxyType::Auto => "datacenter",
            ProxyType::None => "",
            ProxyType::Named(name) => name,
        };
        let named = self.names.iter().zip(&self.variables);
        let mut hidden: Vec<OsString> = named
            .filter(|(name, _)| *name != allowed)
            .map(|(_, variable)| variable.clone())
            .collect();
        if *proxy == ProxyType::None {
            hidden.extend(COMMON.map(OsString::from));
        }
        hidden
    }

    /// What a `--proxy-type` stands for.
    ///
    /// # Errors
    /// [`Exit::Usage`] lists what is configured when the name is not.
    pub fn resolve(&self, proxy_type: &str) -> Result<ProxyType, Failure> {
        match proxy_type {
            "auto" => Ok(ProxyType::Auto),
            "none" => Ok(ProxyType::None),
            name if self.names.iter().any(|known| known == name) => {
                Ok(ProxyType::Named(name.to_owned()))
            }
            name => {
                let configured = if self.names.is_empty() {
                    "none is".to_owned()
                } else {
                    format!("configured: {}", self.names.join(", "))
                };
                let variable = name.to_ascii_uppercase();
                Err(Failure::with(
                    Exit::Usage,
                    format_args!("proxy '{name}' is not configured; {configured}"),
                )
                .hint(format_args!(
                    "export {variable}{SUFFIX}=http://USER:PASSWORD@HOST:PORT"
                )))
            }
        }
    }
}

impl ProxyType {
    /// The word for it.
    pub fn as_str(&self) -> &str {
        match self {
            ProxyType::Auto => "auto",
            ProxyType::None => "none",
            ProxyType::Named(name) => name,
        }
    }
}

/// `DATACENTER_PROXY_URL` is `datacenter`. The words that mean no proxy are no names.
fn named(key: &str, suffix: &str) -> Option<String> {
    let name = key.strip_suffix(suffix)?.to_ascii_lowercase();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let reserved = ["", "auto", "none", "direct"].contains(&name.as_str());
    (!reserved && name.chars().all(word)).then_some(name)
}

fn bad_price(variable: &str) -> Failure {
    let message = format!("cannot use {variable}: it is no price");
    Failure::with(Exit::Usage, message).hint(format_args!(
        "export {variable}=8.50/GB, or 0.001/request, or 8.50/GB+0.001/request"
    ))
}

fn is_proxy_url(text: &str) -> bool {
    Url::parse(text.trim()).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host()
    })
}

/// What the names that everybody uses cost; others lie between.
fn cost(name: &str) -> u8 {
    match name {
        "datacenter" => 0,
        "isp" => 2,
        "residential" => 3,
        "mobile" => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<Proxies, Failure> {
        Proxies::from_env(vars.iter().map(|(k, v)| (k.into(), v.into())))
    }

    #[test]
    fn proxies_are_named_by_their_variables_cheapest_first() {
        let proxies = from(&[
            ("RESIDENTIAL_PROXY_URL", "http://u:p@r.example:1"),
            ("DATACENTER_PROXY_URL", "socks5://d.example:1"),
            ("MY_OWN_PROXY_URL", "https://m.example"),
            ("ISP_PROXY_URL", ""),
            ("NONE_PROXY_URL", "http://n.example"),
            ("HTTP_PROXY", "http://h.example"),
        ])
        .unwrap();
        assert_eq!(proxies.names(), ["datacenter", "my_own", "residential"]);
        assert_eq!(
            proxies.costlier_than("datacenter"),
            ["my_own", "residential"]
        );
        assert_eq!(proxies.costlier_than("residential"), [""; 0]);
        assert_eq!(
            proxies.hidden(&ProxyType::Auto),
            ["MY_OWN_PROXY_URL", "RESIDENTIAL_PROXY_URL"]
        );
    }

    #[test]
    fn a_bad_proxy_url_is_named_but_never_shown() {
        let error = from(&[("ISP_PROXY_URL", "ftp://user:secret@h/")]).unwrap_err();
        assert!(error.message.contains("ISP_PROXY_URL"));
        assert!(!error.message.contains("secret"));
    }

    #[test]
    fn prices_stand_beside_their_proxies() {
        let proxies = from(&[
            ("RESIDENTIAL_PROXY_PRICE", "8.50/GB+0.001/request"),
            ("ISP_PROXY_PRICE", ""),
        ])
        .unwrap();
        let price = Price::parse("8.50/GB+0.001/request").unwrap();
        assert_eq!(
            proxies.prices(),
            &[("residential".to_owned(), price)].into()
        );
        let error = from(&[("ISP_PROXY_PRICE", "8 EUR")]).unwrap_err();
        assert!(error.message.contains("ISP_PROXY_PRICE"));
    }

    #[test]
    fn an_unknown_name_is_usage_and_lists_those_that_are_known() {
        let proxies = from(&[("DATACENTER_PROXY_URL", "http://d.example:1")]).unwrap();
        assert_eq!(
            proxies.resolve("datacenter").unwrap(),
            ProxyType::Named("datacenter".into())
        );
        let error = proxies.resolve("residential").unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.message.ends_with("configured: datacenter"));
    }
}
