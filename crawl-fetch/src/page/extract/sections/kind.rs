//! A kind of page: which URLs are of it.

use crawl_ckpt::ranked::{Ranked, Searched};

use super::field::Field;

#[derive(Debug, Clone)]
pub struct PageKind {
    allow: Searched,
    deny: Searched,
    /// What is taken of such a page; none: nothing is.
    pub extract: Option<Vec<Field>>,
}

impl PageKind {
    /// The URLs of a section or a rule.
    pub(super) fn new(rule: Ranked, extract: Option<Vec<Field>>) -> PageKind {
        PageKind {
            allow: rule.allow,
            deny: rule.deny,
            extract,
        }
    }

    /// Every page.
    pub(super) fn every(extract: Vec<Field>) -> PageKind {
        PageKind {
            allow: Searched::default(),
            deny: Searched::default(),
            extract: Some(extract),
        }
    }

    pub(super) fn is(&self, url: &str) -> bool {
        self.allows(url) && !self.deny.patterns.is_match(url).unwrap_or(true)
    }

    /// What cannot be told in good time takes nothing, as it is in the frontier.
    pub(super) fn allows(&self, url: &str) -> bool {
        self.allow.texts.is_empty() || self.allow.patterns.is_match(url).unwrap_or(false)
    }

    /// It and its fields, for people.
    pub(super) fn line(&self) -> Option<String> {
        let fields = self.extract.as_ref()?;
        let which = match &self.allow.texts[..] {
            [] => "every page".to_owned(),
            patterns => format!("`{}`", patterns.join("` or `")),
        };
        let names: Vec<String> = fields.iter().map(Field::line).collect();
        Some(format!("{which}: {}", names.join(", ")))
    }
}
