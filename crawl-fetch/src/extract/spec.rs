//! What a spider file says of extraction: `sections`, and what they are short for, `rules`
//! with `callbacks` and the article settings.

use crawl_ckpt::node::{Complaint, Fields, Node};
use regex::{RegexSet, RegexSetBuilder};
use serde_json::Value;

use super::css::Css;
use super::process::Processor;

/// Which pages are read, and for what.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// The first that a URL belongs to counts.
    pub pages: Vec<PageKind>,
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
}

/// One kind of page.
#[derive(Debug, Clone)]
pub struct PageKind {
    allow: RegexSet,
    deny: RegexSet,
    /// What is taken of such a page; none: nothing is.
    pub extract: Option<Vec<Field>>,
}

/// A field of an item.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its name.
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
    Select(Css, How),
    /// An object for each element that a selector matches.
    Rows(Css, Vec<Field>),
}

/// What is made of what a selector matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// The first.
    First,
    /// A list of all.
    All,
    /// How many there are.
    Count,
    /// The text in the first.
    Text,
    /// The first, as Markdown.
    Markdown,
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

const CORE: [(&str, Core); 4] = [
    ("title", Core::Title),
    ("content", Core::Content),
    ("author", Core::Author),
    ("published_date", Core::PublishedDate),
];

/// Lists of lists of lists are read, and no more.
const MAX_DEPTH: usize = 3;

/// A compiled set of expressions takes no more memory than this.
const MAX_REGEX_BYTES: usize = 10 << 20;

impl Core {
    fn by_name(name: &str) -> Option<Core> {
        let found = CORE.iter().find(|(known, _)| *known == name);
        found.map(|(_, core)| *core)
    }
}

impl Spec {
    /// Reads a spider file. Keys that say nothing of extraction are somebody else's.
    ///
    /// # Errors
    /// Names the place of what is wrong.
    pub fn read(root: &Node<'_>) -> Result<Spec, Complaint> {
        let mut reader = Reader::default();
        let mut fields = root.object()?;
        let articles = match fields.get("settings") {
            Some(node) => reader.article_settings(&mut node.object()?)?,
            None => None,
        };
        let callbacks = match fields.get("callbacks") {
            Some(node) => Some(reader.callbacks(&node)?),
            None => None,
        };
        let mut pages = Vec::new();
        let sections = fields.get("sections");
        let rules = fields.get("rules");
        if let Some(node) = &sections {
            for item in node.list("sections")? {
                let mut section = item.object()?;
                let extract = match section.get("extract") {
                    Some(node) => Some(reader.extract(&node)?),
                    None => None,
                };
                pages.push(kind(&mut section, "match", extract)?);
            }
        }
        if let Some(node) = &rules {
            for item in node.list("rules")? {
                let mut rule = item.object()?;
                let extract = match rule.get("callback") {
                    None => None,
                    Some(node) => reader.called(&node, callbacks.as_deref(), articles.as_ref())?,
                };
                pages.push(kind(&mut rule, "allow", extract)?);
            }
        }
        if let (Some(articles), true) = (articles, pages.is_empty()) {
            pages.push(PageKind {
                allow: RegexSet::empty(),
                deny: RegexSet::empty(),
                extract: Some(articles),
            });
        }
        Ok(Spec {
            pages,
            ignored: reader.ignored,
        })
    }

    /// What is taken of the page at a URL.
    pub fn of(&self, url: &str) -> Option<&[Field]> {
        let kind = self.pages.iter().find(|kind| kind.is(url))?;
        kind.extract.as_deref()
    }

    /// A line for people for each kind of page that is read.
    pub fn lines(&self) -> Vec<String> {
        let pages = self.pages.iter();
        pages.filter_map(PageKind::line).collect()
    }
}

impl PageKind {
    fn is(&self, url: &str) -> bool {
        (self.allow.is_empty() || self.allow.is_match(url)) && !self.deny.is_match(url)
    }

    fn line(&self) -> Option<String> {
        let fields = self.extract.as_ref()?;
        let which = match self.allow.patterns() {
            [] => "every page".to_owned(),
            patterns => format!("`{}`", patterns.join("` or `")),
        };
        let names: Vec<String> = fields.iter().map(Field::line).collect();
        Some(format!("{which}: {}", names.join(", ")))
    }
}

impl Field {
    fn line(&self) -> String {
        match &self.source {
            Source::Auto(_) => format!("{} (auto)", self.name),
            Source::Select(..) => self.name.clone(),
            Source::Rows(_, fields) => {
                let names: Vec<String> = fields.iter().map(Field::line).collect();
                format!("{} ({} each)", self.name, names.join(", "))
            }
        }
    }

    fn auto(name: &str, core: Core) -> Field {
        Field {
            name: name.to_owned(),
            source: Source::Auto(core),
            processors: Vec::new(),
            fallback: None,
        }
    }
}

/// All that the article reader finds.
fn article() -> Vec<Field> {
    CORE.iter()
        .map(|(name, core)| Field::auto(name, *core))
        .collect()
}

fn kind(
    fields: &mut Fields<'_>,
    pattern_key: &'static str,
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
        allow: set(pattern_key)?,
        deny: set("deny")?,
        extract,
    })
}

/// A callback's name, and what it extracts.
type Callback<'a> = (&'a str, Option<Vec<Field>>);

#[derive(Default)]
struct Reader {
    ignored: Vec<String>,
}

impl Reader {
    /// A section's `extract`.
    fn extract(&mut self, node: &Node<'_>) -> Result<Vec<Field>, Complaint> {
        match node.value() {
            Value::Object(_) => {}
            Value::String(text) if text == "auto" => return Ok(article()),
            _ => return Err(node.expected("\"auto\" or an object of fields")),
        }
        let mut fields = self.fields(node, 0)?;
        // Where the reader is at work anyway, it stands in for a selector that finds nothing.
        let reads = |field: &Field| matches!(field.source, Source::Auto(_));
        if fields.iter().any(reads) {
            for field in fields.iter_mut().filter(|field| !reads(field)) {
                field.fallback = Core::by_name(&field.name);
            }
        }
        Ok(fields)
    }

    fn fields(&mut self, node: &Node<'_>, depth: usize) -> Result<Vec<Field>, Complaint> {
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
    fn field(
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
                     expected an object with css",
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
                    Source::Rows(rows, self.fields(&extract, depth + 1)?)
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
            (Some(node), _) => css(&node)?,
            (None, Some(node)) => {
                return Err(node.complaint(
                    "expected css in place of xpath: no well-kept XPath library reads HTML",
                ));
            }
            (None, None) => css(&keys.need("css", "a CSS selector such as h1::text")?)?,
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

    /// `callbacks`: their names, and what they extract.
    fn callbacks<'a>(&mut self, node: &Node<'a>) -> Result<Vec<Callback<'a>>, Complaint> {
        let mut callbacks = Vec::new();
        for (name, node) in node.object()?.all() {
            let mut keys = node.object()?;
            let extract = match keys.get("extract") {
                Some(_) if keys.get("iterate").is_some() => None,
                Some(node) => Some(self.fields(&node, 0)?),
                None => None,
            };
            // It makes requests that carry a row's fields to another page, which is not
            // supported; then `extract` is of a row and not of a page.
            if keys.get("iterate").is_some() {
                self.ignored.push(format!("{}.iterate", node.path()));
            }
            self.ignored.extend(keys.unknown());
            callbacks.push((name, extract));
        }
        Ok(callbacks)
    }

    /// What the callback of a rule extracts.
    fn called(
        &mut self,
        node: &Node<'_>,
        callbacks: Option<&[Callback<'_>]>,
        articles: Option<&Vec<Field>>,
    ) -> Result<Option<Vec<Field>>, Complaint> {
        let name = node.string("the name of a callback")?;
        if name == "parse_article" {
            return Ok(Some(articles.cloned().unwrap_or_else(article)));
        }
        let Some(callbacks) = callbacks else {
            // A method in Python.
            self.ignored.push(node.path().to_owned());
            return Ok(None);
        };
        match callbacks.iter().find(|(known, _)| *known == name) {
            Some((_, extract)) => Ok(extract.clone()),
            None => {
                let names: Vec<&str> = callbacks.iter().map(|(name, _)| *name).collect();
                let names = names.join(", ");
                Err(node.expected(format_args!("parse_article or one of {names}")))
            }
        }
    }

    /// What `parse_article` extracts, when the settings say something of it.
    fn article_settings(
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
                match from {
                    true => self.ignored.push(node.path().to_owned()),
                    false => own.extend(self.field(name, &node, 0)?),
                }
            }
        }
        if let Some(node) = settings.get("CUSTOM_SELECTORS") {
            for (name, node) in node.object()?.all() {
                if own.iter().all(|field: &Field| field.name != name) {
                    own.push(Field {
                        name: name.to_owned(),
                        source: Source::Select(css(&node)?, How::Text),
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

fn css(node: &Node<'_>) -> Result<Css, Complaint> {
    let what = "a CSS selector";
    let text = node.string(what)?;
    Css::parse(text).map_err(|why| {
        let found = node.value();
        node.complaint(format_args!("expected {what}, found {found}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Spec, Complaint> {
        Spec::read(&Node::root(&value))
    }

    #[test]
    fn the_first_section_that_a_url_belongs_to_counts() {
        let spec = read(json!({"sections": [
            {"match": ["/p/"], "deny": "/p/old", "extract": {"name": {"css": "h1::text"}}},
            {"match": "/blog/", "extract": "auto"},
            {"extract": {"title": "auto", "tags": {"css": "li", "get_all": true}}},
        ]}))
        .unwrap();
        let fields = |url| spec.of(url).map(|fields| fields.len());
        assert_eq!(fields("http://h/p/1"), Some(1));
        assert_eq!(fields("http://h/blog/1"), Some(4));
        assert_eq!(fields("http://h/p/old"), Some(2));
        assert_eq!(
            spec.lines(),
            [
                "`/p/`: name",
                "`/blog/`: title (auto), content (auto), author (auto), published_date (auto)",
                "every page: tags, title (auto)",
            ]
        );
    }

    #[test]
    fn rules_call_callbacks_and_the_article_reader() {
        let spec = read(json!({
            "rules": [
                {"allow": ["/p/"], "callback": "product"},
                {"allow": "/a/", "callback": "parse_article"},
                {"allow": ".*", "callback": null},
            ],
            "callbacks": {"product": {"extract": {"price": {"css": ".price::text"}}}},
            "settings": {"FIELDS": {"author": {"css": ".by::text"}}},
        }))
        .unwrap();
        assert_eq!(
            spec.lines(),
            [
                "`/p/`: price",
                "`/a/`: author, title (auto), content (auto), published_date (auto)"
            ]
        );
        assert!(spec.of("http://h/other").is_none());
        let alone = read(json!({"settings": {"EXTRACTOR_ORDER": ["custom"],
            "CUSTOM_SELECTORS": {"title": "h1"}}}));
        assert_eq!(alone.unwrap().lines(), ["every page: title"]);
    }

    #[test]
    fn what_is_not_supported_is_ignored_by_name() {
        let spec = read(json!({
            "rules": [{"callback": "list"}],
            "callbacks": {"list": {"iterate": {}, "extract": {"x": {"css": "a"}}, "odd": 1}},
            "sections": [{"match": "x", "extract": {
                "a": {"css": "a", "colour": 1},
                "b": {"type": "ajax_nested_list", "ajax_url": "/x"},
            }}],
        }));
        let mut ignored = spec.unwrap().ignored;
        ignored.sort();
        assert_eq!(
            ignored,
            [
                "$.callbacks.list.iterate",
                "$.callbacks.list.odd",
                "$.sections[0].extract.a.colour",
                "$.sections[0].extract.b",
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let section = |extract: Value| json!({"sections": [{"extract": extract}]});
        for (bad, path) in [
            (section(json!("all")), "$.sections[0].extract"),
            (section(json!({})), "$.sections[0].extract"),
            (section(json!({"x": "auto"})), "$.sections[0].extract.x"),
            (section(json!({"x": {}})), "$.sections[0].extract.x.css"),
            (
                section(json!({"x": {"css": "a["}})),
                "$.sections[0].extract.x.css",
            ),
            (
                section(json!({"x": {"xpath": "//a"}})),
                "$.sections[0].extract.x.xpath",
            ),
            (
                section(json!({"x": {"css": "a", "get_all": true, "to_text": true}})),
                "$.sections[0].extract.x.to_text",
            ),
            (
                section(json!({"x": {"css": "a", "processors": [{"type": "no"}]}})),
                "$.sections[0].extract.x.processors[0].type",
            ),
            (
                section(json!({"x": {"type": "nested_list", "extract": {}}})),
                "$.sections[0].extract.x.selector",
            ),
            (json!({"sections": [{"match": "("}]}), "$.sections[0].match"),
            (
                json!({"rules": [{"callback": "x"}], "callbacks": {}}),
                "$.rules[0].callback",
            ),
        ] {
            let error = read(bad).unwrap_err();
            assert_eq!(error.path, path, "{error}");
            assert!(error.what.contains("expected "), "{error}");
        }
    }
}
