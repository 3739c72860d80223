//! Host names as people write them: in `allowed_domains`, in rules, and in `--domain`.

use serde_json::{Value, json};
use url::Host;

use crate::keys::Form;
use crate::node::{Complaint, Node};

/// A host name in the form that URLs have it in. What people write around one is taken off with
/// a word: a domain holds all hosts below it, on every port and path.
#[derive(Debug)]
pub struct Domain {
    /// As a URL has it.
    pub host: String,
    /// What was taken off.
    pub note: Option<String>,
}

/// Where a host name is expected.
#[derive(Debug)]
pub struct HostName;

impl Form for HostName {
    type Out = Domain;

    fn read(&self, node: &Node<'_>) -> Result<Domain, Complaint> {
        let what = "a host name such as example.com";
        let text = node.string(what)?;
        let mut bare = text.trim();
        for scheme in ["https://", "http://", "//"] {
            let start = bare.get(..scheme.len());
            if start.is_some_and(|start| start.eq_ignore_ascii_case(scheme)) {
                bare = &bare[scheme.len()..];
            }
        }
        let end = bare.find(['/', '?', '#']).unwrap_or(bare.len());
        let path = &bare[end..];
        bare = &bare[..end];
        if let Some((host, port)) = bare.rsplit_once(':')
            && !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (!host.contains(':') || host.ends_with(']'))
        {
            bare = host;
        }
        bare = bare.strip_prefix("*.").unwrap_or(bare);
        bare = bare.trim_start_matches('.').trim_end_matches('.');
        let host = match Host::parse(bare) {
            Ok(host) if !bare.contains('*') => host.to_string(),
            _ => return Err(node.expected(what)),
        };
        let at = node.path();
        let note = if !path.trim_matches('/').is_empty() {
            let narrower = format!("allowed is all of {host}; rules narrow it");
            Some(format!("{at}: {text:?} has a path: {narrower}"))
        } else if bare.len() != text.len() && !text.starts_with("*.") {
            Some(format!("{at}: {text:?} is read as {host}"))
        } else {
            None
        };
        Ok(Domain { host, note })
    }

    fn schema(&self) -> Value {
        json!({"type": "string"})
    }
}

/// Reads a host name of the command line.
///
/// # Errors
/// What was expected.
pub fn host_name(text: &str) -> Result<String, String> {
    let domain = HostName.read(&Node::root(&json!(text)));
    Ok(domain.map_err(|complaint| complaint.what)?.host)
}

/// A regular expression that finds the absolute URLs of these hosts and of all below them.
pub fn urls_of(domains: &[Domain]) -> String {
    let hosts = domains.iter().map(|domain| regex::escape(&domain.host));
    let hosts = hosts.collect::<Vec<_>>().join("|");
    format!("^https?://([^/?#]*\\.)?({hosts})(:[0-9]+)?([/?#]|$)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_read_as_it_was_meant_and_a_word_says_so() {
        let read = |text: &str| HostName.read(&Node::root(&json!(text)));
        for (text, host, noted) in [
            ("shop.test", "shop.test", false),
            ("*.Shop.test", "shop.test", false),
            (".shop.test", "shop.test", true),
            ("shop.test.", "shop.test", true),
            ("HTTPS://shop.test:8443/", "shop.test", true),
            ("//shop.test", "shop.test", true),
            ("shop.test/en/", "shop.test", true),
            ("m\u{fc}ller.test", "xn--mller-kva.test", false),
            ("[::1]:80", "[::1]", true),
        ] {
            let read = read(text).unwrap();
            assert_eq!((&*read.host, read.note.is_some()), (host, noted), "{text}");
        }
        for text in ["", "*", ".", "https://", "a b", "http:///x"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
