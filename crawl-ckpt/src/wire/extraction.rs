//! What crawl-fetch makes of the extraction in a spider file, when crawl-run asks it
//! before a crawl begins: it alone knows selectors and processors.

use serde::{Deserialize, Serialize};

/// The answer to `crawl-fetch --extract FILE --check`, one JSON object on stdout.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Extraction {
    /// A line for people each kind of page: which URLs, and which fields.
    pub pages: Vec<String>,
    /// JSON paths of keys that have no effect.
    pub ignored: Vec<String>,
    /// The JSON path of what is wrong, and what was expected there; nothing else is told then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
}
