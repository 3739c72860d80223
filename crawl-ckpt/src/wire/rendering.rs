//! What travels about pages that a browser renders: what a request wants of it, and what a result
//! tells of it.

use serde::{Deserialize, Deserializer, Serialize};

use crate::text::Text;

/// How a page is to be rendered; `true` is as an empty object, `false` as none at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
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
    /// How long that is waited for at most, in milliseconds of the page's own clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Reads the field of a request.
///
/// # Errors
/// When it is neither a truth nor an object of that form.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rendering>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Wish {
        Word(bool),
        Object {
            #[serde(default)]
            images: bool,
            #[serde(default)]
            scroll: bool,
            wait_for: Option<String>,
            wait_ms: Option<u64>,
        },
    }
    Ok(match Wish::deserialize(deserializer)? {
        Wish::Word(is_wanted) => is_wanted.then(Rendering::default),
        Wish::Object {
            images,
            scroll,
            wait_for,
            wait_ms,
        } => Some(Rendering {
            images,
            scroll,
            wait_for,
            wait_ms,
        }),
    })
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
