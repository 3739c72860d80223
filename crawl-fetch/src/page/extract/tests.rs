//! The quick builder makes the tree that the complete one makes, or says that it does not.

use super::compare::{WORDS, is_same as same};

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
        "</b><!doctype html><p>x<table></table>",
        "<!doctype html><!doctype x><p>x<table></table>",
        "a</>b</ x>c<?php ?>d<!x>e<",
        "a&#13;b<img alt='&#13;'></body> </template><!-- c -->\nd<svg></body>a<!-- c -->b",
        "<p title='a>b' x=\"'\" y=a\"b>t<img/alt=x><a b='c",
        "<a>x<a>y</a>z<p><a>u<span>v<a>w</span>x</a></p><table><td><a>y<a>z</table>",
    ] {
        assert!(same(html), "not quick: {html}");
    }
}

#[test]
fn unusual_pages_are_told() {
    for html in [
        "<b>a<p>b</b>c",
        "<p><b>a<p>b",
        "<a><div>x<a>y",
        "<a><b>x<a>y",
        "<table>x<tr><td>y</table>",
        "<template><tr><td>x</template>",
        "<template>x",
        "<frameset><frame></frameset>",
        "<p>a\0b",
        "<head>&#32;<title>t",
        "&Tab;<title>t",
        "</body>&NewLine;<!-- c -->x",
    ] {
        assert!(!same(html), "quick: {html}");
    }
}

/// Numbers below others, the same in each run.
fn random(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn random_pages_are_the_same_where_they_are_built_quickly() {
    let mut random = random(0x2545_f491_4f6c_dd1d);
    let mut quick = 0;
    for _ in 0..60_000 {
        let length = 1 + random(12);
        let doctype = ["", "<!doctype html>"][random(2)];
        let words: String = (0..length).map(|_| WORDS[random(WORDS.len())]).collect();
        let html = doctype.to_owned() + &words;
        quick += usize::from(same(&html));
    }
    assert!(quick > 20_000, "{quick}");
}

#[test]
fn markup_is_what_html5ever_writes() {
    use html5ever::serialize::{SerializeOpts, TraversalScope, serialize};
    use html5ever::tendril::TendrilSink;
    use markup5ever_rcdom::{RcDom, SerializableHandle};

    let mut random = random(0x0123_4567_89ab_cdef);
    for _ in 0..10_000 {
        let words = (0..1 + random(12)).map(|_| WORDS[random(WORDS.len())]);
        // It writes comments, and no contents of templates.
        let left_out = |word: &&str| !word.contains("<!") && !word.contains("template");
        let html: String = words.filter(left_out).collect();
        let options = html5ever::ParseOpts {
            tree_builder: html5ever::tree_builder::TreeBuilderOpts {
                scripting_enabled: false,
                ..Default::default()
            },
            ..Default::default()
        };
        let dom = html5ever::parse_document(RcDom::default(), options).one(&*html);
        let mut written = Vec::new();
        let options = SerializeOpts {
            scripting_enabled: false,
            traversal_scope: TraversalScope::ChildrenOnly(None),
            create_missing_parent: false,
        };
        let document = SerializableHandle::from(dom.document.clone());
        serialize(&mut written, &document, options).unwrap();
        let written = String::from_utf8(written).unwrap().to_lowercase();
        let ours = super::compare::markup(&html).to_lowercase();
        // Comments come of what is no tag, too, and those beside head and body are left out.
        if !written.contains("<!--") {
            assert_eq!(ours, written, "{html:?}");
        }
    }
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
