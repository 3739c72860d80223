//! Pages that a browser renders: what requests and spider files want of it, and what a result
//! tells of it.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::keys::{Flag, Form, seconds, text};
use crate::limits;
use crate::node::{Complaint, Fields, Node};
use crate::ranked::{Ranked, Searched, ranked};
use crate::text::Text;

/// How a page is to be rendered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rendering {
    /// Pictures are loaded as well.
    #[serde(skip_serializing_if = "is_default")]
    pub images: bool,
    /// It is scrolled to its end until nothing new comes.
    #[serde(skip_serializing_if = "is_default")]
    pub scroll: bool,
    /// A CSS selector: what it matches is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_for: Option<String>,
    /// How long that is waited for at most, in milliseconds of the page's own clock; absent:
    /// [`limits::RENDER_WAIT`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether a page is to be rendered, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wish {
    /// `true`: as everybody's; `false`: not at all.
    Word(bool),
    /// In this way.
    Way(Rendering),
}

impl Wish {
    /// How, if at all.
    pub fn rendering(&self) -> Option<Cow<'_, Rendering>> {
        match self {
            Wish::Word(is_wanted) => is_wanted.then(Cow::default),
            Wish::Way(rendering) => Some(Cow::Borrowed(rendering)),
        }
    }
}

/// What became of a page in the browser.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rendered<'a> {
    /// Requests that its scripts and elements made, and that were sent.
    pub requests: u64,
    /// Those that were left out: pictures, fonts, media, frames of other sites.
    #[serde(default, skip_serializing_if = "is_default")]
    pub blocked: u64,
    /// Those that our own rules refused: private addresses, robots.txt, methods, limits.
    #[serde(default, skip_serializing_if = "is_default")]
    pub refused: u64,
    /// The limit that cut it short: `time`, `requests`, `bytes` or `size`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Text<'a>>,
    /// Where its scripts say that it is, when that is another URL.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// `blake3:` and 64 hex digits, of the page as it stood at the end.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Text<'a>>,
    /// Why it could not be rendered: links, title and item are those of the page as it was sent.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Text<'a>>,
}

crate::keys! {
    /// How pages are rendered, in a spider file.
    #[derive(Debug)]
    pub struct RenderKeys {
        /// Load pictures as well.
        images: bool = "images", Flag(false), true;
        /// Scroll to the end of the page until nothing new comes, for lists that load as they are seen.
        scroll: bool = "scroll", Flag(false), true;
        /// Wait until this CSS selector matches something.
        wait_for: String = "wait_for", text("a CSS selector"), ".product";
        /// Most seconds to wait for that, on the page's own clock, which does not wait for timers.
        wait: Duration = "wait_timeout", seconds(limits::RENDER_WAIT), 10;
    }
}

crate::keys! {
    /// What a spider file says of all its pages.
    #[derive(Debug)]
    pub struct RenderAll {
        /// Have pages rendered by a browser, as --render does; `true`, or how. Rules and sections may say
        /// otherwise of theirs.
        render: Wish = "render", WishForm, true;
        /// Ask robots.txt also for the scripts, styles and data that rendered pages ask for.
        robots: bool = "render_robots", Flag(false), true;
    }
}

crate::keys! {
    /// The same in ScrapAI's words.
    #[derive(Debug)]
    pub struct BrowserSettings {
        /// Have all pages rendered by a browser, as `render` does.
        browser: bool = "BROWSER_ENABLED", Flag(false), true;
        /// Wait in rendered pages until this CSS selector matches something.
        wait_for: String = "CF_WAIT_SELECTOR", text("a CSS selector"), ".product";
        /// Most seconds to wait for that, on the page's own clock.
        wait: Duration = "CF_WAIT_TIMEOUT", seconds(limits::RENDER_WAIT), 10;
        /// Have all pages rendered, and scroll to their ends until nothing new comes.
        scroll: bool = "INFINITE_SCROLL", Flag(false), true;
    }
}

/// A truth, or how.
#[derive(Debug)]
pub struct WishForm;

impl Form for WishForm {
    type Out = Wish;

    fn read(&self, node: &Node<'_>) -> Result<Wish, Complaint> {
        match node.value() {
            Value::Object(_) => {}
            Value::Bool(is_wanted) => return Ok(Wish::Word(*is_wanted)),
            _ => return Err(node.expected("true, false, or an object")),
        }
        let mut fields = node.object()?;
        let keys = RenderKeys::read(&mut fields)?;
        if let Some(path) = fields.unknown().next() {
            return Err(node.complaint(format_args!("{path} is nothing that can be said of it")));
        }
        Ok(Wish::Way(Rendering {
            images: keys.images.unwrap_or_default(),
            scroll: keys.scroll.unwrap_or_default(),
            wait_for: keys.wait_for,
            wait_ms: keys.wait.map(|wait| wait.as_millis() as u64),
        }))
    }

    fn schema(&self) -> Value {
        let property = |key: crate::keys::Key| {
            let mut schema = key.schema;
            schema["description"] = json!(key.says);
            (key.name.to_owned(), schema)
        };
        let properties: serde_json::Map<_, _> =
            RenderKeys::keys().into_iter().map(property).collect();
        json!({"type": ["boolean", "object"], "properties": properties})
    }
}

/// Which pages of a spider are rendered, and how.
#[derive(Debug, Clone, Default)]
pub struct Renderings {
    /// Those of which no rule says anything.
    pub every: Option<Rendering>,
    /// robots.txt is asked for what they ask for.
    pub robots: bool,
    rules: Vec<RuleRendering>,
}

/// What a rule says of it.
#[derive(Debug, Clone)]
struct RuleRendering {
    allow: Searched,
    deny: Searched,
    /// `None`: as every page.
    rendering: Option<Option<Rendering>>,
}

impl Renderings {
    /// Reads a spider file.
    ///
    /// # Errors
    /// Names the place of what is wrong.
    pub fn read(spider: &mut Fields<'_>) -> Result<Renderings, Complaint> {
        let all = RenderAll::read(spider)?;
        let settings = match spider.get("settings") {
            Some(node) => BrowserSettings::read(&mut node.object()?)?,
            None => BrowserSettings::read(&mut Node::root(&json!({})).object()?)?,
        };
        let usual = Rendering {
            images: false,
            scroll: settings.scroll == Some(true),
            wait_for: settings.wait_for,
            wait_ms: settings.wait.map(|wait| wait.as_millis() as u64),
        };
        let way = |wish: &Wish| match wish {
            Wish::Word(is_wanted) => is_wanted.then(|| usual.clone()),
            Wish::Way(own) => Some(Rendering {
                images: own.images,
                scroll: own.scroll || usual.scroll,
                wait_for: own.wait_for.clone().or(usual.wait_for.clone()),
                wait_ms: own.wait_ms.or(usual.wait_ms),
            }),
        };
        let asks = settings.browser == Some(true) || usual.scroll;
        let every = all.render.unwrap_or(Wish::Word(asks));
        let rules = ranked(spider)?.into_iter();
        let rules = rules.map(|rule: Ranked| RuleRendering {
            rendering: rule.render.as_ref().map(way),
            allow: rule.allow,
            deny: rule.deny,
        });
        Ok(Renderings {
            every: way(&every),
            robots: all.robots == Some(true),
            rules: rules.collect(),
        })
    }

    /// True when no page is rendered.
    pub fn is_none(&self) -> bool {
        let mut rules = self.rules.iter();
        self.every.is_none() && !rules.any(|rule| matches!(rule.rendering, Some(Some(_))))
    }

    /// How the page at a URL is rendered. Nobody followed a link to a start URL, so a rule that
    /// denies links to it may speak of it all the same.
    pub fn of(&self, url: &str, is_start: bool) -> Option<&Rendering> {
        let mut rules = self.rules.iter();
        let rule = if is_start {
            let mut speaking = rules.filter(|rule| rule.rendering.is_some());
            let any = speaking.clone().find(|rule| rule.allows(url));
            speaking.find(|rule| rule.is(url)).or(any)
        } else {
            rules.find(|rule| rule.is(url))
        };
        match rule.and_then(|rule| rule.rendering.as_ref()) {
            Some(rendering) => rendering.as_ref(),
            None => self.every.as_ref(),
        }
    }

    /// A line for people for each kind of page of which something is said.
    pub fn lines(&self) -> Vec<String> {
        let rules = self.rules.iter().filter_map(|rule| {
            let rendering = rule.rendering.as_ref()?;
            let which = match &rule.allow.texts[..] {
                [] => "every page".to_owned(),
                patterns => format!("`{}`", patterns.join("` or `")),
            };
            Some(format!("{which}: {}", said(rendering.as_ref())))
        });
        let every = self.every.as_ref();
        let every = every.map(|every| format!("all others: {}", said(Some(every))));
        rules.chain(every).collect()
    }
}

impl RuleRendering {
    fn is(&self, url: &str) -> bool {
        self.allows(url) && !self.deny.patterns.is_match(url).unwrap_or(true)
    }

    /// What cannot be told in good time is none of it, as in the frontier.
    fn allows(&self, url: &str) -> bool {
        self.allow.texts.is_empty() || self.allow.patterns.is_match(url).unwrap_or(false)
    }
}

fn said(rendering: Option<&Rendering>) -> String {
    let Some(rendering) = rendering else {
        return "not rendered".into();
    };
    let mut words = vec!["in a browser, about 0.1 s of processor time a page".to_owned()];
    if rendering.images {
        words.push("with pictures".into());
    }
    if rendering.scroll {
        words.push("scrolled".into());
    }
    if let Some(selector) = &rendering.wait_for {
        words.push(format!("waits for `{selector}`"));
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Renderings, String> {
        let mut fields = Node::root(&value).object().unwrap();
        Renderings::read(&mut fields).map_err(|e| e.to_string())
    }

    #[test]
    fn the_first_rule_of_a_url_says_how_it_is_rendered() {
        let all = read(json!({
            "render": {"images": true},
            "rules": [
                {"allow": "/p/", "deny": "/p/old", "render": {"wait_for": ".x", "scroll": true}},
                {"allow": "/plain/", "render": false},
                {"allow": "/any/"},
            ],
            "settings": {"CF_WAIT_TIMEOUT": 5},
        }))
        .unwrap();
        let of = |url, is_start| serde_json::to_value(all.of(url, is_start)).unwrap();
        let product = json!({"scroll": true, "wait_for": ".x", "wait_ms": 5000});
        let every = json!({"images": true, "wait_ms": 5000});
        assert_eq!(of("http://h/p/1", false), product);
        assert_eq!(of("http://h/p/old", false), every);
        assert_eq!(of("http://h/p/old", true), product);
        assert_eq!(of("http://h/plain/", false), Value::Null);
        assert_eq!(of("http://h/any/", false), every);
        assert_eq!(
            all.lines(),
            [
                "`/p/`: in a browser, about 0.1 s of processor time a page, scrolled, waits for `.x`",
                "`/plain/`: not rendered",
                "all others: in a browser, about 0.1 s of processor time a page, with pictures",
            ]
        );
    }

    #[test]
    fn nothing_is_rendered_unless_it_is_said() {
        for (spider, is_none) in [
            (json!({}), true),
            (json!({"render": false}), true),
            (json!({"settings": {"CF_WAIT_SELECTOR": ".x"}}), true),
            (json!({"rules": [{"render": false}]}), true),
            (json!({"settings": {"BROWSER_ENABLED": "true"}}), false),
            (
                json!({"settings": {"BROWSER_ENABLED": true}, "render": false}),
                true,
            ),
            (json!({"settings": {"INFINITE_SCROLL": true}}), false),
            (
                json!({"sections": [{"match": "/p/", "render": true}]}),
                false,
            ),
        ] {
            assert_eq!(read(spider.clone()).unwrap().is_none(), is_none, "{spider}");
        }
        for (bad, path) in [
            (json!({"render": "x"}), "$.render: "),
            (
                json!({"render": {"colour": 1}}),
                "$.render: $.render.colour",
            ),
            (
                json!({"rules": [{"render": {"images": 5}}]}),
                "$.rules[0].render.images: ",
            ),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with(path), "{path}: {error}");
        }
    }

    #[test]
    fn a_wish_is_a_truth_or_an_object() {
        let read = |text: &str| serde_json::from_str::<Wish>(text).unwrap();
        assert_eq!(read("true").rendering(), Some(Cow::default()));
        assert_eq!(read("false").rendering(), None);
        assert!(
            read(r#"{"scroll":true,"more":1}"#)
                .rendering()
                .unwrap()
                .scroll
        );
    }
}
