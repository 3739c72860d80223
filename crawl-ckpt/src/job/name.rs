//! Names of projects and spiders: harmless as file names by construction.

use std::fmt;

/// The longest name, in bytes.
const MAX: usize = 100;

/// Hex digits of the hash that ends a name that was cut.
const HASH_DIGITS: usize = 16;

/// The name of a project or a spider: `[A-Za-z0-9][A-Za-z0-9._-]{0,99}`. It is
/// one path component and never `.`, `..` or hidden, so nothing made of it
/// leaves its directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text that is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameError {
    text: String,
}

impl Name {
    /// Checks a text.
    ///
    /// # Errors
    /// The text is no name; the error says what one looks like.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        let first = text.bytes().next();
        let fits = (1..=MAX).contains(&text.len())
            && first.is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(is_allowed);
        if fits {
            Ok(Name(text.to_owned()))
        } else {
            Err(NameError { text: text.into() })
        }
    }

    /// The name for a crawl of a URL: the host in lower case, and `-PORT` when that is
    /// not the scheme's own. Every other character becomes `-`; a name that
    /// would start with one gets an `x` first; a name that would be too long is
    /// cut and ends with a hash of the whole.
    ///
    /// # Errors
    /// The text has no `http://` or `https://` and a host.
    pub fn from_url(url: &str) -> Result<Name, NameError> {
        let bad = || NameError { text: url.into() };
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(bad)?;
        let own_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => "80",
            "https" => "443",
            _ => return Err(bad()),
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or("");
        let address = authority.rsplit('@').next().unwrap_or("");
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (address, ""),
        };
        if host.is_empty() {
            return Err(bad());
        }
        let mut name = host.to_ascii_lowercase();
        if !port.is_empty() && port != own_port {
            name.push('-');
            name.push_str(port);
        }
        Ok(Name::from_any(&name))
    }

    fn from_any(text: &str) -> Name {
        let mut name: String = text
            .chars()
            .map(|c| {
                if c.is_ascii() && is_allowed(c as u8) {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            name.insert(0, 'x');
        }
        if name.len() > MAX {
            let hash = blake3::hash(text.as_bytes()).to_hex();
            name.truncate(MAX - HASH_DIGITS - 1);
            name.push('-');
            name.push_str(&hash[..HASH_DIGITS]);
        }
        Name(name)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

impl AsRef<std::path::Path> for Name {
    fn as_ref(&self) -> &std::path::Path {
        self.0.as_ref()
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is no name: 1 to {MAX} of the characters A-Z a-z 0-9 . _ -, a letter or digit first",
            self.text
        )
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_the_data_directory_are_refused() {
        let long = "a".repeat(300);
        for bad in [
            "",
            ".",
            "..",
            "../../etc",
            "/etc",
            "a/b",
            ".hidden",
            "-x",
            "a b",
            "ä",
            "a\0",
            "a\n",
            &long,
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "0", "news.example-8080", "A_b.c", &long[..100]] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_url_gives_its_host_and_its_port_when_not_the_default() {
        for (url, name) in [
            ("https://News.Example/a?b#c", "news.example"),
            ("http://127.0.0.1:8080/std/", "127.0.0.1-8080"),
            ("https://u:p@h.example:443", "h.example"),
            ("http://h.example:443/", "h.example-443"),
            ("http://[::1]:81/", "x---1--81"),
            ("http://[::1]/", "x---1-"),
            ("http://a~b.example/", "a-b.example"),
        ] {
            assert_eq!(Name::from_url(url).unwrap().as_str(), name, "{url}");
        }
        for bad in ["", "news.example", "http://", "ftp://a/", "http:///x"] {
            assert!(Name::from_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_hosts_are_cut_and_stay_apart() {
        let one = Name::from_url(&format!("http://{}a.example", "x".repeat(150))).unwrap();
        let two = Name::from_url(&format!("http://{}b.example", "x".repeat(150))).unwrap();
        assert_ne!(one, two);
        assert_eq!(one.as_str().len(), 100);
        assert!(Name::parse(one.as_str()).is_ok());
    }
}
