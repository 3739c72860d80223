//! What is taken of articles: all that the article reader finds, and what the settings
//! say in its place.

use crawl_ckpt::node::{Complaint, Fields, Node};

use super::field::{CORE, Core, Field, Reader, Source};
use super::selector::css;
use crate::page::extract::select::{How, Selector};

/// All that the article reader finds.
pub(super) fn article() -> Vec<Field> {
    CORE.iter()
        .map(|(name, core)| Field::auto(name, *core))
        .collect()
}

/// `{"from": "title"}`: what the article reader finds, by another name.
fn from_reader(name: &str, node: &Node<'_>) -> Result<Field, Complaint> {
    const WHAT: &str = "title, content, author or published_date";
    let from = node.object()?.need("from", WHAT)?;
    let core = Core::by_name(from.string(WHAT)?).ok_or_else(|| from.expected(WHAT))?;
    Ok(Field::auto(name, core))
}

impl Reader {
    /// What `parse_article` extracts, when the settings say something of it.
    pub(super) fn article_settings(
        &mut self,
        settings: &mut Fields<'_>,
    ) -> Result<Option<Vec<Field>>, Complaint> {
        const READERS: &str = "names of extractors";
        let mut custom_alone = false;
        let order = settings.get("EXTRACTOR_ORDER");
        if let Some(node) = &order {
            let mut names = Vec::new();
            for item in node.list(READERS)? {
                match item.string("trafilatura, newspaper or custom")? {
                    // There is one reader here, whatever it is called.
                    name @ ("trafilatura" | "newspaper" | "custom") => names.push(name),
                    _ => self.ignored.push(item.path().to_owned()),
                }
            }
            custom_alone = names == ["custom"];
        }
        let mut own = Vec::new();
        let fields = settings.get("FIELDS");
        if let Some(node) = fields.or_else(|| settings.get("FIELD_EXTRACT")) {
            for (name, node) in node.object()?.all() {
                let from = node.value().get("from").is_some_and(|from| !from.is_null());
                if from {
                    own.push(from_reader(name, &node)?);
                } else {
                    own.extend(self.field(name, &node, 0)?);
                }
            }
        }
        if let Some(node) = settings.get("CUSTOM_SELECTORS") {
            for (name, node) in node.object()?.all() {
                if own.iter().all(|field: &Field| field.name != name) {
                    own.push(Field {
                        name: name.to_owned(),
                        source: Source::Select(Selector::Css(css(&node)?), How::Text),
                        processors: Vec::new(),
                        fallback: None,
                    });
                }
            }
        }
        if order.is_none() && own.is_empty() {
            return Ok(None);
        }
        let alone = custom_alone && !own.is_empty();
        for field in &mut own {
            let core = Core::by_name(&field.name);
            field.fallback =
                core.filter(|core| !alone || matches!(core, Core::Author | Core::PublishedDate));
        }
        if !alone {
            for field in article() {
                if own.iter().all(|other| other.name != field.name) {
                    own.push(field);
                }
            }
        }
        Ok(Some(own))
    }
}
