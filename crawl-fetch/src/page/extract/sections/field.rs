//! A field of an item: where its value comes from, and what is made of it.

use crawl_ckpt::node::{Complaint, Fields, Node};

use super::selector::{css, xpath};
use crate::page::extract::processor::Processor;
use crate::page::extract::select::{How, Selector};

/// A field of an item.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
    /// What is made of it.
    pub processors: Vec<Processor>,
    /// What the article reader finds stands in where there is no value.
    pub fallback: Option<Core>,
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The article reader.
    Auto(Core),
    /// What a selector matches.
    Select(Selector, How),
    /// An object for each element that a selector matches.
    Rows(Selector, Vec<Field>),
}

/// What the article reader finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// `title`
    Title,
    /// `content`
    Content,
    /// `author`
    Author,
    /// `published_date`
    PublishedDate,
}

pub(super) const CORE: [(&str, Core); 4] = [
    ("title", Core::Title),
    ("content", Core::Content),
    ("author", Core::Author),
    ("published_date", Core::PublishedDate),
];

/// Lists of lists of lists are read, and no more.
const MAX_DEPTH: usize = 3;

/// Reads, and notes what has no effect.
#[derive(Default)]
pub struct Reader {
    /// JSON paths of keys that have none.
    pub ignored: Vec<String>,
}

impl Core {
    pub(super) fn by_name(name: &str) -> Option<Core> {
        let found = CORE.iter().find(|(known, _)| *known == name);
        found.map(|(_, core)| *core)
    }
}

impl Field {
    pub(super) fn line(&self) -> String {
        match &self.source {
            Source::Auto(_) => format!("{} (auto)", self.name),
            Source::Select(..) => self.name.clone(),
            Source::Rows(_, fields) => {
                let names: Vec<String> = fields.iter().map(Field::line).collect();
                format!("{} ({} each)", self.name, names.join(", "))
            }
        }
    }

    pub(super) fn auto(name: &str, core: Core) -> Field {
        Field {
            name: name.to_owned(),
            source: Source::Auto(core),
            processors: Vec::new(),
            fallback: None,
        }
    }
}

impl Reader {
    pub(super) fn fields(
        &mut self,
        node: &Node<'_>,
        depth: usize,
    ) -> Result<Vec<Field>, Complaint> {
        if !node.value().is_object() {
            return Err(node.expected("an object of fields"));
        }
        let object = node.object()?;
        let mut fields = Vec::new();
        for (name, node) in object.all() {
            fields.extend(self.field(name, &node, depth)?);
        }
        if fields.is_empty() && object.all().next().is_none() {
            return Err(node.complaint("expected at least one field, found none"));
        }
        Ok(fields)
    }

    /// One field; none for one of a kind that is not supported.
    pub(super) fn field(
        &mut self,
        name: &str,
        node: &Node<'_>,
        depth: usize,
    ) -> Result<Option<Field>, Complaint> {
        if node.value().as_str() == Some("auto") {
            return match Core::by_name(name).filter(|_| depth == 0) {
                Some(core) => Ok(Some(Field::auto(name, core))),
                None => Err(node.complaint(
                    "\"auto\" finds title, content, author and published_date alone; \
                     expected an object with css or xpath",
                )),
            };
        }
        if !node.value().is_object() {
            return Err(node.expected("\"auto\" or an object such as {\"css\": \"h1::text\"}"));
        }
        let mut keys = node.object()?;
        let source = match keys.get("type") {
            None => self.selected(&mut keys)?,
            Some(kind) => match kind.string("nested_list")? {
                "nested_list" => {
                    if depth + 1 >= MAX_DEPTH {
                        return Err(
                            node.complaint(format_args!("lists go at most {MAX_DEPTH} deep"))
                        );
                    }
                    let rows = css(&keys.need("selector", "a CSS selector")?)?;
                    if !rows.is_of_elements() {
                        return Err(node.complaint("a selector of rows takes whole elements"));
                    }
                    let extract = keys.need("extract", "an object of fields")?;
                    Source::Rows(Selector::Css(rows), self.fields(&extract, depth + 1)?)
                }
                // It asks a server for more, which a filter of pages cannot.
                "ajax_nested_list" => {
                    self.ignored.push(node.path().to_owned());
                    return Ok(None);
                }
                _ => return Err(kind.expected("nested_list")),
            },
        };
        let mut field = Field {
            name: name.to_owned(),
            source,
            processors: Vec::new(),
            fallback: None,
        };
        if let Some(list) = keys.get("processors") {
            for item in list.list("processors")? {
                field
                    .processors
                    .push(Processor::read(&item, &mut self.ignored)?);
            }
        }
        // What is only counted needs not be made.
        if let (Source::Select(_, how @ How::All), Some(Processor::Count)) =
            (&mut field.source, field.processors.first())
        {
            *how = How::Count;
            field.processors.remove(0);
        }
        self.ignored.extend(keys.unknown());
        Ok(Some(field))
    }

    fn selected(&mut self, keys: &mut Fields<'_>) -> Result<Source, Complaint> {
        let selector = match (keys.get("css"), keys.get("xpath")) {
            (Some(node), _) => Selector::Css(css(&node)?),
            (None, Some(node)) => Selector::XPath(xpath(&node)?),
            (None, None) => {
                Selector::Css(css(&keys.need("css", "a CSS selector such as h1::text")?)?)
            }
        };
        let hows = [
            ("get_all", How::All),
            ("to_text", How::Text),
            ("to_markdown", How::Markdown),
        ];
        let mut how = How::First;
        for (key, one) in hows {
            let Some(node) = keys.get(key) else { continue };
            if node.boolean()? {
                if how != How::First {
                    return Err(node.complaint("expected one of get_all, to_text and to_markdown"));
                }
                how = one;
            }
        }
        Ok(Source::Select(selector, how))
    }
}
