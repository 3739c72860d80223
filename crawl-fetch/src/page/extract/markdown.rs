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
        out.push(match c {
            '&' if !begins_reference(&link.as_bytes()[at + 1..]) => AMPERSAND,
            c => c,
        });
    }
    out
}

/// True when a reference's name and its `;` stand there; none is longer than 31 letters.
fn begins_reference(rest: &[u8]) -> bool {
    let rest = &rest[..rest.len().min(32)];
    let is_end = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b'#';
    let end = rest.iter().position(is_end);
    end.is_some_and(|end| end > 0 && rest[end] == b';')
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
