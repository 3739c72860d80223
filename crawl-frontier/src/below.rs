//! The directories below which a crawl stays (`--no-parent`), each on its host.

use std::collections::HashSet;

use crate::url::{authority, origin};

/// Directories, as `host[:port]/path/`. A host without any is not narrowed.
#[derive(Debug, Default)]
pub struct Below {
    hosts: HashSet<String>,
    directories: HashSet<String>,
}

impl Below {
    /// Adds the directory of a canonical URL. Gives it, when it is new.
    pub fn add(&mut self, url: &str) -> Option<String> {
        let place = place_of(url);
        let end = place.rfind('/').map_or(place.len(), |slash| slash + 1);
        let is_new = self.insert(&place[..end]);
        is_new.then(|| place[..end].to_owned())
    }

    /// Adds one that was given. True when it is new.
    pub fn insert(&mut self, directory: &str) -> bool {
        let host = directory.split('/').next().unwrap_or_default();
        self.hosts.insert(host.to_owned());
        self.directories.insert(directory.to_owned())
    }

    /// True when no host is narrowed.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Whether a canonical URL may belong to the crawl. There may be thousands of directories, so
    /// each that the URL lies in is looked up.
    pub fn takes(&self, url: &str) -> bool {
        if self.is_empty() || !self.hosts.contains(authority(url)) {
            return true;
        }
        let place = place_of(url);
        let mut ends = place.match_indices('/').map(|(slash, _)| slash + 1);
        ends.any(|end| self.directories.contains(&place[..end]))
    }

    /// All of them.
    pub fn directories(&self) -> impl Iterator<Item = &str> {
        self.directories.iter().map(String::as_str)
    }

    /// Those of a URL's host, in order.
    pub fn of_host(&self, url: &str) -> Vec<&str> {
        let host = authority(url);
        let of_host = |dir: &&str| dir.split('/').next() == Some(host);
        let mut directories: Vec<&str> = self.directories().filter(of_host).collect();
        directories.sort_unstable();
        directories
    }
}

/// `host[:port]/path` of a canonical URL, without its query.
fn place_of(url: &str) -> &str {
    let begin = origin(url).len() - authority(url).len();
    let place = &url[begin..];
    place.split('?').next().unwrap_or(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_narrowed_to_its_directories() {
        let mut below = Below::default();
        assert!(below.takes("https://h.example/x"));
        assert_eq!(
            below.add("https://h.example/a/b?c=/d/").as_deref(),
            Some("h.example/a/")
        );
        assert_eq!(below.add("http://h.example/a/"), None);
        assert!(below.insert("h.example:81/z/"));
        for (url, taken) in [
            ("https://h.example/a/", true),
            ("http://h.example/a/b/c?x=1", true),
            ("https://h.example/a", false),
            ("https://h.example/ab/", false),
            ("https://h.example/?x=/a/", false),
            ("https://h.example:81/a/", false),
            ("https://h.example:81/z/y", true),
            ("https://other.example/", true),
        ] {
            assert_eq!(below.takes(url), taken, "{url}");
        }
        assert_eq!(below.of_host("https://h.example/q"), ["h.example/a/"]);
    }
}
