//! Markup as Markdown.

use dom_query::Document;
use serde_json::Value;

/// Stands for `&` where the writer would make `&amp;` of it: a character that no text may have.
const AMPERSAND: char = '\u{fdd0}';

/// What of an element's markup can be said in Markdown; `null` for nothing.
pub fn of(html: &str) -> Value {
    let document = Document::fragment(html);
    // It is not shown.
    document.select("template").remove();
    if !html.contains(AMPERSAND) {
        for node in document.select("[href], [src]").nodes() {
            for name in ["href", "src"] {
                if let Some(link) = node.attr(name) {
                    node.set_attr(name, &bare(&link));
                }
            }
        }
    }
    let text = document.md(None).replace(AMPERSAND, "&");
    match text.trim() {
        "" => Value::Null,
        text => Value::String(text.to_owned()),
    }
}

/// A link with its ampersands as they are, but for those that Markdown would read as the
/// beginning of a character reference.
fn bare(link: &str) -> String {
    let mut out = String::with_capacity(link.len());
    for (at, c) in link.char_indices() {
        let rest = &link[at + c.len_utf8()..];
        let name = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#');
        let refers = name.is_some_and(|end| end > 0 && rest[end..].starts_with(';'));
        out.push(if c == '&' && !refers { AMPERSAND } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_have_their_ampersands_as_browsers_send_them() {
        let html =
            "<p><a href='/s?a=1&amp;b=2&amp;copy;'>x &amp; y</a> <img src='i?a&amp;b' alt=z></p>";
        assert_eq!(of(html), "[x & y](/s?a=1&b=2&amp;copy;) ![z](i?a&b)");
    }

    #[test]
    fn text_that_looks_like_a_tag_stays_text() {
        let html = "<p>&lt;script&gt; is one</p><template><p>hidden</p></template><p>and on</p>";
        assert_eq!(of(html), "\\<script> is one\n\nand on");
    }
}
