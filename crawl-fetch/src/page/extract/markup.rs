//! An element as markup, and the text in it as people read it.

use std::collections::HashSet;

use super::dom::{Id, Kind, NONE, Page, Space};
use super::names::Name;

/// Appends an element's markup, itself included, as a browser's `outerHTML` gives it, with
/// names in lower case; ends when `out` is longer than `most`.
pub fn write(page: Page<'_>, element: Id, out: &mut String, most: usize) {
    let mut at = element;
    while out.len() <= most {
        let node = page.node(at);
        let mut inside = node.first;
        match node.kind {
            Kind::Element => {
                open(page, at, out);
                match page.contents(at) {
                    NONE => {}
                    contents => inside = page.node(contents).first,
                }
            }
            Kind::Verbatim | Kind::Text => {
                if is_raw(page, node.parent) {
                    out.push_str(&page.text(at));
                } else {
                    escape(&page.text(at), false, out);
                }
            }
            Kind::Comment if page.is_comment(at) => {
                out.push_str("<!--");
                out.push_str(&page.text(at));
                out.push_str("-->");
            }
            Kind::Comment | Kind::Document => {}
        }
        if inside != NONE {
            at = inside;
            continue;
        }
        // Closes what ends here.
        loop {
            let node = page.node(at);
            let has_end = node.space != Space::Html || !is_void(node.name);
            if node.kind == Kind::Element && has_end {
                out.push_str("</");
                out.push_str(page.name(at));
                out.push('>');
            }
            if at == element {
                return;
            }
            if node.next != NONE {
                at = node.next;
                break;
            }
            at = node.parent;
            if at != element && page.node(at).kind == Kind::Document {
                // The template whose contents these are.
                at -= 1;
            }
        }
    }
}

/// Among so many attributes one looks whether a name was there before without a table.
const FEW_ATTRIBUTES: usize = 16;

/// Appends a start tag.
fn open(page: Page<'_>, element: Id, out: &mut String) {
    out.push('<');
    out.push_str(page.name(element));
    let mut names = HashSet::new();
    for (n, (name, value)) in page.attributes(element).enumerate() {
        let mut before = page.attributes(element).take(n.min(FEW_ATTRIBUTES));
        let is_again = before.any(|(other, _)| other.eq_ignore_ascii_case(name))
            || n >= FEW_ATTRIBUTES && !names.insert(name.to_ascii_lowercase());
        if is_again {
            continue;
        }
        out.push(' ');
        let start = out.len();
        out.push_str(&String::from_utf8_lossy(name));
        out[start..].make_ascii_lowercase();
        out.push_str("=\"");
        escape(&super::attributes::decoded(value), true, out);
        out.push('"');
    }
    out.push('>');
}

/// True for an element whose text is written as it is: nothing in it is read as markup.
fn is_raw(page: Page<'_>, parent: Id) -> bool {
    if parent == NONE {
        return false;
    }
    let node = page.node(parent);
    node.space == Space::Html
        && matches!(
            node.name,
            Name::SCRIPT
                | Name::STYLE
                | Name::XMP
                | Name::IFRAME
                | Name::NOEMBED
                | Name::NOFRAMES
                | Name::PLAINTEXT
        )
}

/// Appends the texts in an element, each without white space around it and a blank between
/// two; scripts, styles and templates hold none. Ends when `out` is longer than `most`.
pub fn read(page: Page<'_>, element: Id, out: &mut String, most: usize) {
    let mut text = String::new();
    let mut at = element;
    while at != NONE && out.len() <= most {
        let node = page.node(at);
        let silent = matches!(node.name, Name::SCRIPT | Name::STYLE | Name::TEMPLATE);
        if node.kind == Kind::Element && silent && at != element {
            at = page.behind(at, element);
            continue;
        }
        if page.begins_text(at) {
            text.clear();
            page.whole_text(at, &mut text);
            join(&text, out);
        }
        at = page.following(at, element);
    }
}

/// Appends a text without white space around it, a blank before it where something stands.
pub fn join(text: &str, out: &mut String) {
    let text = text.trim();
    if !text.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(text);
    }
}

fn escape(text: &str, attribute: bool, out: &mut String) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let (reference, start) = match byte {
            b'&' => ("&amp;", at),
            b'<' => ("&lt;", at),
            b'>' => ("&gt;", at),
            b'"' if attribute => ("&quot;", at),
            // A no-break space has two bytes.
            0xa0 if at > 0 && bytes[at - 1] == 0xc2 => ("&nbsp;", at - 1),
            _ => continue,
        };
        out.push_str(&text[written..start]);
        out.push_str(reference);
        written = at + 1;
    }
    out.push_str(&text[written..]);
}

/// Elements without content or an end tag.
pub fn is_void(name: Name) -> bool {
    matches!(
        name,
        Name::AREA
            | Name::BASE
            | Name::BASEFONT
            | Name::BGSOUND
            | Name::BR
            | Name::COL
            | Name::EMBED
            | Name::FRAME
            | Name::HR
            | Name::IMG
            | Name::INPUT
            | Name::KEYGEN
            | Name::LINK
            | Name::META
            | Name::PARAM
            | Name::SOURCE
            | Name::TRACK
            | Name::WBR
    )
}
