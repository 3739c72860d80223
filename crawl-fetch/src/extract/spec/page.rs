//! A kind of page: which URLs are of it.

use crawl_ckpt::node::{Complaint, Fields};
use regex::{RegexSet, RegexSetBuilder};

use super::Field;

/// One kind of page.
#[derive(Debug, Clone)]
pub struct PageKind {
    allow: RegexSet,
    deny: RegexSet,
    /// What is taken of such a page; none: nothing is.
    pub extract: Option<Vec<Field>>,
}

/// A compiled set of expressions takes no more memory than this.
const MAX_REGEX_BYTES: usize = 10 << 20;

impl PageKind {
    /// Reads what a section or a rule says of the URLs that are its own.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        allow_key: &'static str,
        extract: Option<Vec<Field>>,
    ) -> Result<PageKind, Complaint> {
        let mut set = |key| match fields.get(key) {
            None => Ok(RegexSet::empty()),
            Some(node) => {
                let mut patterns = Vec::new();
                for item in node.one_or_list("regular expressions")? {
                    patterns.push(item.string("a regular expression")?);
                }
                RegexSetBuilder::new(patterns)
                    .size_limit(MAX_REGEX_BYTES)
                    .build()
                    .map_err(|error| {
                        let text = error.to_string();
                        let last = text.lines().last().unwrap_or_default();
                        let last = last.trim_start_matches("error: ");
                        node.complaint(format_args!("expected a regular expression: {last}"))
                    })
            }
        };
        Ok(PageKind {
            allow: set(allow_key)?,
            deny: set("deny")?,
            extract,
        })
    }

    /// Every page.
    pub(super) fn every(extract: Vec<Field>) -> PageKind {
        PageKind {
            allow: RegexSet::empty(),
            deny: RegexSet::empty(),
            extract: Some(extract),
        }
    }

    pub(super) fn is(&self, url: &str) -> bool {
        (self.allow.is_empty() || self.allow.is_match(url)) && !self.deny.is_match(url)
    }

    /// It and its fields, for people.
    pub(super) fn line(&self) -> Option<String> {
        let fields = self.extract.as_ref()?;
        let which = match self.allow.patterns() {
            [] => "every page".to_owned(),
            patterns => format!("`{}`", patterns.join("` or `")),
        };
        let names: Vec<String> = fields.iter().map(Field::line).collect();
        Some(format!("{which}: {}", names.join(", ")))
    }
}
