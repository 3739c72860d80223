//! The quick builder makes the tree that the complete one makes, or says that it does not.

use std::fmt::Write;

use super::dom::{NONE, Page, ROOT, Tree};
use super::{full, quick};

/// The tree as text, a line a node.
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
            write!(out, "{:depth$}<{}", "", page.name(id)).unwrap();
            let mut seen: Vec<String> = Vec::new();
            for (name, value) in page.attributes(id) {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                if !seen.contains(&name) {
                    let value = super::attributes::decoded(value);
                    write!(out, " {name}={value:?}").unwrap();
                    seen.push(name);
                }
            }
            out.push_str(">\n");
        } else if page.begins_text(id) {
            let mut text = String::new();
            page.whole_text(id, &mut text);
            writeln!(out, "{:depth$}{text:?}", "").unwrap();
        }
    }
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

fn by_quick(html: &str) -> Option<String> {
    let mut tree = Tree::default();
    let outcome = quick::parse(html.as_bytes(), &mut tree, false);
    let html = html.as_bytes();
    let tree = &tree;
    (!outcome.is_unusual).then(|| dump(Page { html, tree }))
}

/// Compares; true when the quick builder did it.
#[track_caller]
fn same(html: &str) -> bool {
    let Some(quick) = by_quick(html) else {
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

#[test]
fn usual_pages_are_built_quickly() {
    for html in [
        "",
        "text",
        "<!doctype html><title>A &amp; B</title><p>one<p>two<ul><li>a<li>b<ul><li>c</ul></ul>",
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><noscript><link rel=x></noscript>\
         </head>\n<body class=x>\n<h1>t<h2>u</h2></body>\n</html>\n",
        "<p>x<table><tr><td>1<td>2<tr><th>3</table>y",
        "<!doctype html><p>x<table><caption>c<i>d</i></caption><colgroup><col><col></colgroup>\
         <thead><tr><th>h</thead><tbody><tr><td><table><tr><td>n</table></tbody></table>y",
        "<a href=1>x<b>y</b></a><i>z</i><code>q</code> <em><strong>w</strong></em>",
        "<b><p>x</p></b>y",
        "<dl><dt>a<dd>b<dt>c</dl><pre>\n\nx</pre><textarea>\n<b></textarea>",
        "<script>if (a < b) '</p>'</script><style>a > b</style>x<!-- c -->y",
        "<select><option>a<option selected>b<optgroup><option>c</select><hr>",
        "<svg viewBox='0 0 1 1'><path d=x/><g><title>t</title></g><path d='x'/></svg>z",
        "<svg><p>out</p><math><mi>x</mi><mo>+</mo></math>",
        "<form><p>x<form><input></form><button>a<button>b</button></form>",
        "<p>a</p></p></div></b></span>x<br></br>",
        "<body a=1><body b=2><html c=3>x<head><title>t</title>",
        "a</body>b<!-- x --> </html> c",
        "<custom-tag><Other-Tag>x</other-TAG></custom-tag>",
        "<ruby>a<rt>b<rp>c</ruby><object>x<b>y</object>z",
        "x<![CDATA[y]]>z<svg><![CDATA[a&amp;b]]></svg>",
        "<template id=a><p>x<svg><path/></svg></template>y<p>z<template><b>u</template>w",
        "<head><template><i>x</template><title>t</title></head><template>u</template><p>y",
        "<table><template><p>x</template><tr><td><template>y</template>z</table>",
        "a</>b</ x>c<?php ?>d<!x>e<",
        "<p title='a>b' x=\"'\" y=a\"b>t<img/alt=x><a b='c",
    ] {
        assert!(same(html), "not quick: {html}");
    }
}

#[test]
fn unusual_pages_are_told() {
    for html in [
        "<b>a<p>b</b>c",
        "<p><b>a<p>b",
        "<a>x<a>y",
        "<table>x<tr><td>y</table>",
        "<template><tr><td>x</template>",
        "<template>x",
        "<frameset><frame></frameset>",
        "<p>a\0b",
    ] {
        assert!(!same(html), "quick: {html}");
    }
}

#[test]
fn random_pages_are_the_same_where_they_are_built_quickly() {
    const WORDS: &[&str] = &[
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
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut quick = 0;
    for _ in 0..60_000 {
        let length = 1 + random(12);
        let html: String = (0..length).map(|_| WORDS[random(WORDS.len())]).collect();
        quick += usize::from(same(&html));
    }
    assert!(quick > 20_000, "{quick}");
}

#[test]
fn the_rust_documentation_is_built_quickly_and_right() {
    let root = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output();
    let root = String::from_utf8(root.unwrap().stdout).unwrap();
    let root = std::path::Path::new(root.trim()).join("share/doc/rust/html");
    // Not everybody has it installed.
    let files = walkdir::WalkDir::new(root).sort_by_file_name();
    let files = files.into_iter().flatten();
    let pages = files.filter(|file| file.path().extension().is_some_and(|ext| ext == "html"));
    let (mut all, mut quick) = (0, 0);
    for page in pages
        .step_by(97)
        .filter(|page| page.metadata().unwrap().len() < 300_000)
    {
        let html = std::fs::read(page.path()).unwrap();
        all += 1;
        quick += usize::from(same(&String::from_utf8_lossy(&html)));
    }
    assert!(quick * 10 >= all * 9, "{quick} of {all}");
}
