//! Compares the quick builder's trees with the complete one's, for tests.

use std::fmt::Write;

use super::dom::{NONE, Page, ROOT, Tree};
use super::{full, quick};
use crate::page::marks::{Mark, Marks};
use crate::page::scan::{Scanned, scan_and_mark};

/// The tree as text, a line a node, and then its markup.
fn dump(page: Page<'_>) -> String {
    let mut out = String::new();
    for id in page.walk(ROOT).skip(1) {
        let mut depth = 0;
        let mut up = page.node(id).parent;
        while up != NONE {
            depth += 1;
            up = page.node(up).parent;
        }
        if page.is_element(id) {
            let _ = write!(out, "{:depth$}<{}", "", page.name(id));
            let mut seen: Vec<String> = Vec::new();
            for (name, value) in page.attributes(id) {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                if !seen.contains(&name) {
                    let value = super::attributes::decoded(value);
                    let _ = write!(out, " {name}={value:?}");
                    seen.push(name);
                }
            }
            out.push_str(">\n");
        } else if page.begins_text(id) {
            let mut text = String::new();
            page.whole_text(id, &mut text);
            let _ = writeln!(out, "{:depth$}{text:?}", "");
        }
    }
    super::markup::write(page, ROOT, &mut out, usize::MAX);
    out
}

fn by_full(html: &str) -> String {
    let (mut tree, mut source) = (Tree::default(), Vec::new());
    full::parse(html, &mut tree, &mut source);
    dump(Page {
        html: &source,
        tree: &tree,
    })
}

/// A page's markup by the complete builder.
pub fn markup(html: &str) -> String {
    let (mut tree, mut source) = (Tree::default(), Vec::new());
    full::parse(html, &mut tree, &mut source);
    let page = Page {
        html: &source,
        tree: &tree,
    };
    let mut out = String::new();
    super::markup::write(page, ROOT, &mut out, usize::MAX);
    out
}

fn by_quick(html: &str, marks: &[Mark]) -> Option<String> {
    let mut tree = Tree::default();
    let marks = Marks::new(marks);
    let outcome = quick::parse(html.as_bytes(), marks, &mut tree, false);
    let html = html.as_bytes();
    let tree = &tree;
    // Both keep the tree flat, each in its own way.
    let is_done = !outcome.is_unusual && !outcome.is_deep;
    is_done.then(|| dump(Page { html, tree }))
}

/// Compares; true when the quick builder did it, false when it leaves the page to the other.
///
/// # Panics
/// When the trees differ.
#[track_caller]
pub fn is_same(html: &str) -> bool {
    let quick = by_quick(html, &[]);
    let mut scanned = Scanned::default();
    scan_and_mark(html.as_bytes(), &mut scanned);
    let marked = by_quick(html, &scanned.marks);
    assert_eq!(marked, quick, "with marks, of {html}");
    let Some(quick) = quick else {
        return false;
    };
    let full = by_full(html);
    if quick != full {
        let differ = quick.lines().zip(full.lines()).position(|(a, b)| a != b);
        let at = differ.unwrap_or(0);
        let part = |text: &str| {
            let lines = text.lines().skip(at.saturating_sub(3)).take(8);
            lines.collect::<Vec<_>>().join("\n")
        };
        let html: String = html.chars().take(2_000).collect();
        panic!(
            "quick:\n{}\nfull:\n{}\nof {html}",
            part(&quick),
            part(&full)
        );
    }
    true
}

/// What random pages are made of.
pub const WORDS: [&str; 144] = [
    "<p>",
    "</p>",
    "<div>",
    "</div>",
    "<b>",
    "</b>",
    "<i class=x>",
    "</i>",
    "<a href=1>",
    "</a>",
    "<table>",
    "</table>",
    "<tr>",
    "</tr>",
    "<td>",
    "</td>",
    "<th>",
    "<tbody>",
    "</tbody>",
    "<caption>",
    "</caption>",
    "<colgroup>",
    "<col>",
    "<ul>",
    "</ul>",
    "<ol>",
    "<li>",
    "</li>",
    "<dl>",
    "<dt>",
    "<dd>",
    "</dd>",
    "</dl>",
    "<h1>",
    "</h1>",
    "<h2>",
    "<span>",
    "</span>",
    "<select>",
    "</select>",
    "<option>",
    "<optgroup>",
    "<button>",
    "</button>",
    "<form>",
    "</form>",
    "<input>",
    "<input type=hidden>",
    "<br>",
    "<hr>",
    "<img>",
    "<svg>",
    "</svg>",
    "<g/>",
    "<title>t</title>",
    "<desc>",
    "<math>",
    "</math>",
    "<mi>",
    "</mi>",
    "<script>x</script>",
    "<style>x</style>",
    "<textarea>\nx</textarea>",
    "<pre>\n",
    "</pre>",
    "<head>",
    "</head>",
    "<body>",
    "</body>",
    "<html>",
    "</html>",
    "<meta>",
    "<link>",
    "<noscript>",
    "</noscript>",
    "<object>",
    "</object>",
    "<ruby>",
    "<rt>",
    "<rp>",
    "<rtc>",
    "</ruby>",
    "<nobr>",
    "</nobr>",
    "<!-- c -->",
    "text",
    " ",
    "\n",
    "&amp;",
    "<font color=x>",
    "</font>",
    "<address>",
    "</address>",
    "<x-y>",
    "</x-y>",
    "<iframe></iframe>",
    "<main>",
    "</main>",
    "<section>",
    "</section>",
    "<foreignObject>",
    "</foreignObject>",
    "<!doctype html>",
    "<template>",
    "</template>",
    "<code>",
    "</code>",
    "<em>",
    "</em>",
    "<embed>",
    "<xmp></xmp>",
    "&lt",
    "&#13;",
    "&#0;",
    "\r\n",
    "\u{e9}",
    "<table",
    "<b ",
    "<![CDATA[",
    "</>",
    "-->",
    "</p",
    "<svg/>",
    "<plaintext>",
    "<frameset>",
    "<keygen>",
    "<marquee>",
    "&NewLine;",
    "<pre>",
    "<listing>",
    "<textarea>",
    "</textarea>",
    "\r",
    "&lt;b&gt;",
    "&amp;lt;",
    "a & b",
    "]]>",
    "<annotation-xml>",
    "<annotation-xml encoding=text/html>",
    "</annotation-xml>",
    "<base href=x>",
    "<title>",
    "</title>",
    "<script>a < b && c</script>",
];
