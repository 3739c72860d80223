//! The URLs that a cap kept out of the crawl, each told once, for whoever wants
//! to look at what a trap or a limit costs.

use std::borrow::Cow;
use std::collections::HashSet;

use crawl_ckpt::address::masked;

/// More are only counted.
const MAX_TOLD: usize = 100_000;

/// A longer URL is told up to here.
const MAX_CHARS: usize = 300;

/// The list.
#[derive(Debug, Default)]
pub struct LeftOut {
    wanted: bool,
    told: HashSet<u128>,
    /// Lines that nobody took yet.
    lines: Vec<String>,
}

impl LeftOut {
    /// Keeps the list from now on.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A URL with this fingerprint is left out, for this reason.
    pub fn add(&mut self, fingerprint: u128, url: &str, why: impl FnOnce() -> String) {
        if !self.wanted || self.told.len() > MAX_TOLD || !self.told.insert(fingerprint) {
            return;
        }
        self.lines.push(match self.told.len() {
            ..=MAX_TOLD => format!("left out: {}: {}", shortened(url), why()),
            _ => "left out: more, which are only counted".to_owned(),
        });
    }

    /// Takes the lines that came since the last call.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }
}

/// A URL as people can read it.
fn shortened(url: &str) -> Cow<'_, str> {
    let url = masked(url);
    match url.char_indices().nth(MAX_CHARS) {
        None => url,
        Some((end, _)) => format!("{}…", &url[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_not_without_end() {
        let mut list = LeftOut::default();
        list.add(1, "http://a/", || "deep".into());
        assert!(list.take().is_empty(), "nobody wants it");
        list.want();
        list.add(1, "http://u:p@a/", || "deep".into());
        list.add(1, "http://u:p@a/", || "deep".into());
        let lines = list.take();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].ends_with("a/: deep") && !lines[0].contains(":p@"),
            "{lines:?}"
        );
        (0..2 * MAX_TOLD as u128)
            .for_each(|fingerprint| list.add(fingerprint, "http://a/", String::new));
        let lines = list.take();
        assert_eq!(lines.len(), MAX_TOLD);
        assert!(lines[MAX_TOLD - 1].contains("only counted"));
    }
}
