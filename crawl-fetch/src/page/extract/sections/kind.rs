//! A kind of page: which URLs are of it.

use crawl_ckpt::node::{Complaint, Fields};
use crawl_ckpt::pattern::Patterns;

use super::field::Field;

/// One kind of page.
#[derive(Debug, Clone)]
pub struct PageKind {
    allow: Patterns,
    deny: Patterns,
    /// What `allow` is made of.
    shown: Vec<String>,
    /// What is taken of such a page; none: nothing is.
    pub extract: Option<Vec<Field>>,
}

impl PageKind {
    /// Reads what a section or a rule says of the URLs that are its own.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        allow_key: &'static str,
        extract: Option<Vec<Field>>,
    ) -> Result<PageKind, Complaint> {
        let mut set =
            |key| {
                let mut patterns = Vec::new();
                let items = match fields.get(key) {
                    Some(node) => node.one_or_list("regular expressions")?,
                    None => Vec::new(),
                };
                for item in &items {
                    patterns.push(item.string("a regular expression")?.to_owned());
                }
                match Patterns::compile(&patterns) {
                    Ok(compiled) => Ok((compiled, patterns)),
                    Err((place, why)) => Err(items[place]
                        .complaint(format_args!("expected a regular expression: {why}"))),
                }
            };
        let (allow, shown) = set(allow_key)?;
        Ok(PageKind {
            allow,
            deny: set("deny")?.0,
            shown,
            extract,
        })
    }

    /// Every page.
    pub(super) fn every(extract: Vec<Field>) -> PageKind {
        PageKind {
            allow: Patterns::default(),
            deny: Patterns::default(),
            shown: Vec::new(),
            extract: Some(extract),
        }
    }

    pub(super) fn is(&self, url: &str) -> bool {
        self.allows(url) && !self.deny.is_match(url).unwrap_or(true)
    }

    /// What cannot be told in good time takes nothing, as it is in the frontier.
    pub(super) fn allows(&self, url: &str) -> bool {
        self.allow.is_empty() || self.allow.is_match(url).unwrap_or(false)
    }

    /// It and its fields, for people.
    pub(super) fn line(&self) -> Option<String> {
        let fields = self.extract.as_ref()?;
        let which = match &self.shown[..] {
            [] => "every page".to_owned(),
            patterns => format!("`{}`", patterns.join("` or `")),
        };
        let names: Vec<String> = fields.iter().map(Field::line).collect();
        Some(format!("{which}: {}", names.join(", ")))
    }
}
