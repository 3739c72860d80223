//! Words on stderr for programs: one JSON object a line, in place of a line for people.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::told;

static IS_JSON: AtomicBool = AtomicBool::new(false);

/// From now on this process speaks JSON on stderr.
pub fn speak_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// True when this process speaks JSON on stderr.
pub fn speaks_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something people should read.
    Warning,
    /// How it goes.
    Info,
    /// For those who want to know all.
    Detail,
}

/// One line, with its end: when, how much it matters, which tool, what. `TOOL: ` before the text names another
/// tool than `tool`. No password is in it.
pub fn json_line(level: Level, tool: &str, text: &str, more: Map<String, Value>) -> String {
    let (tool, text) = match text.split_once(": ") {
        Some((name, rest)) if is_tool(name) => (name, rest),
        _ => (tool, text),
    };
    let mut line = Map::new();
    line.insert("at".into(), now().into());
    line.insert("level".into(), serde_json::json!(level));
    line.insert("tool".into(), tool.into());
    line.insert("message".into(), told(text.trim()).into());
    line.extend(more);
    Value::Object(line).to_string() + "\n"
}

/// The time, as logs have it.
pub fn now() -> String {
    Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
        .to_string()
}

fn is_tool(name: &str) -> bool {
    let rest = name.strip_prefix("crawl-").unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_whose_it_is_and_hides_what_it_must() {
        let line = |text: &str| -> Value {
            let line = json_line(Level::Error, "crawl-run", text, Map::new());
            assert!(line.ends_with("}\n"), "{line}");
            serde_json::from_str(&line).unwrap()
        };
        let own = line("  cannot read http://u:secret@h/: it\nfails");
        assert_eq!(
            (&own["tool"], &own["level"]),
            (&"crawl-run".into(), &"error".into())
        );
        let message = own["message"].as_str().unwrap();
        assert!(message.starts_with("cannot read http://"), "{message}");
        assert!(
            !message.contains("secret") && !message.contains('\n'),
            "{message}"
        );
        let other = line("crawl-fetch: it died");
        assert_eq!(
            (&other["tool"], &other["message"]),
            (&"crawl-fetch".into(), &"it died".into())
        );
        assert_eq!(line("crawl-x y: z")["message"], "crawl-x y: z");
    }
}
