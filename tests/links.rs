//! The link scanner against a real HTML parser (html5ever): over pages that were
//! written for it, broken and hostile ones, random changes of both, and the Rust
//! documentation when it is there.
//!
//! The parser's tree builder tells its tokenizer what is raw text and what is
//! foreign content; its start tags are what the scanner must find. Explained
//! differences, none of which real pages have shown:
//!
//! - In `frameset` pages and behind stray end tags inside `svg` and `math` the tree
//!   builder drops or moves elements; the scanner knows no tree.
//! - In `select` and `table` the tree builder ignores some raw text elements.
//!
//! A random page that has such tags is therefore compared with the bare tokenizer.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crawl_fetch::page::scan::{Link, Scanned, scan};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};
use markup5ever_rcdom::{Handle, RcDom};
use support::Random;

/// Notes what start tags say, and passes every token on to the tree builder, or
/// answers for it by the tag's name alone.
struct Spy {
    tree: Option<TreeBuilder<Handle, RcDom>>,
    found: RefCell<Vec<String>>,
    base: RefCell<Option<String>>,
    templates: Cell<u32>,
}

impl Spy {
    fn note(&self, tag: &Tag) {
        let name = &*tag.name;
        if name == "template" {
            let open = self.templates.get();
            self.templates.set(match tag.kind {
                TagKind::StartTag => open + 1,
                TagKind::EndTag => open.saturating_sub(1),
            });
        }
        if tag.kind == TagKind::EndTag || self.templates.get() > 0 {
            return;
        }
        let value = |name: &str| {
            let mut attributes = tag.attrs.iter();
            let found = attributes.find(|attribute| &*attribute.name.local == name);
            found.map(|attribute| attribute.value.to_string())
        };
        let rel_next = || {
            let rel = value("rel").unwrap_or_default();
            rel.split_ascii_whitespace()
                .any(|word| word.eq_ignore_ascii_case("next"))
        };
        let refreshes = || value("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("refresh"));
        match name {
            "a" | "area" => self.found.borrow_mut().extend(value("href")),
            "link" if rel_next() => self.found.borrow_mut().extend(value("href")),
            "meta" if refreshes() => {
                let content = value("content").map(|content| format!("refresh {content}"));
                self.found.borrow_mut().extend(content);
            }
            "base" if self.base.borrow().is_none() => *self.base.borrow_mut() = value("href"),
            _ => {}
        }
    }
}

impl TokenSink for Spy {
    type Handle = Handle;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<Handle> {
        let Token::TagToken(tag) = &token else {
            return match &self.tree {
                Some(tree) => tree.process_token(token, line),
                None => TokenSinkResult::Continue,
            };
        };
        self.note(tag);
        let raw = match (&*tag.name, tag.kind) {
            (_, TagKind::EndTag) => TokenSinkResult::Continue,
            ("title" | "textarea", _) => TokenSinkResult::RawData(Rcdata),
            ("style" | "xmp" | "iframe" | "noembed" | "noframes", _) => {
                TokenSinkResult::RawData(Rawtext)
            }
            ("script", _) => TokenSinkResult::RawData(ScriptData),
            ("plaintext", _) => TokenSinkResult::Plaintext,
            _ => TokenSinkResult::Continue,
        };
        match &self.tree {
            Some(tree) => tree.process_token(token, line),
            None => raw,
        }
    }

    fn end(&self) {
        if let Some(tree) = &self.tree {
            tree.end();
        }
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        let tree = self.tree.as_ref();
        tree.is_some_and(|tree| tree.adjusted_current_node_present_but_not_in_html_namespace())
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    links: Vec<String>,
    base: Option<String>,
}

fn parsed(html: &str, with_tree: bool) -> Seen {
    let options = TreeBuilderOpts {
        scripting_enabled: false,
        ..TreeBuilderOpts::default()
    };
    let spy = Spy {
        tree: with_tree.then(|| TreeBuilder::new(RcDom::default(), options)),
        found: RefCell::default(),
        base: RefCell::default(),
        templates: Cell::new(0),
    };
    let tokenizer = Tokenizer::new(spy, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    // It stops at the end of each script, where a browser would run it.
    while !input.is_empty() {
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    Seen {
        links: tokenizer.sink.found.take(),
        base: tokenizer.sink.base.take(),
    }
}

fn scanned(html: &str) -> Seen {
    let mut found = Scanned::default();
    scan(html.as_bytes(), &mut found);
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        // What the tokenizer does to a value: newlines, NUL, character references.
        let text = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .replace('\0', "\u{fffd}");
        htmlize::unescape_attribute(text).into_owned()
    };
    let link = |link: &Link| match link {
        Link::Href(span) => text(span.of(html.as_bytes())),
        Link::Refresh(span) => format!("refresh {}", text(span.of(html.as_bytes()))),
    };
    Seen {
        links: found.links.iter().map(link).collect(),
        base: found.base.map(|base| text(base.of(html.as_bytes()))),
    }
}

#[track_caller]
fn agree(html: &str, name: &str) {
    assert_eq!(
        scanned(html),
        parsed(html, true),
        "{name}:\n{}",
        short(html)
    );
}

fn short(html: &str) -> &str {
    &html[..boundary(html, 2000)]
}

/// The character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Pages in which each construct that can hide or make a link stands.
const PAGES: &[&str] = &[
    "<a href=1><A HREF='2'>< a href=no><a\nclass=x href = \"3\"><a href>",
    "<a b='>' href=1 href=2><area href=3><a name=x><abbr href=no><a/href=4/><a =href=no x=href=no href=5>",
    "<a href=a&amp;b><a href='x?a=1&copy=2&copy;=3'><a href='&#x41;&#66;&#0;&#xd800;&lt&notit;&unknown;'>",
    "<link rel='x NEXT' href=1><link rel=prev href=no><link rel=next><meta http-equiv=Refresh content='0; url=x'>",
    "<base target=x><base href=b><base href=no><a href=1 <a href=2><p a = b = c href=no>",
    "<!-- <a href=no> --><a href=1><!--><a href=2><!-- <a href=no> --!><a href=3><!---><a href=4>",
    "<!-- <!-- <a href=no> --><a href=1><!-- a -- b > <a href=no> --><!----><a href=2><!-- <a href=no> --- ><a href=no>",
    "<!DOCTYPE html PUBLIC \"a>b\" '<a href=1>'><!x <a href=no>><?php <a href=no> ?><a href=2></ <a href=no>></><a href=3>",
    "<script><a href=no></script><a href=1><script src=x/><a href=no></script ><a href=2>",
    "<script><!-- <script><a href=no></script><a href=no>--></script><a href=1>",
    "<script><!--></script><a href=1><script><!--<script></script></script><a href=2>",
    "<script><!-- <scriptx></script><a href=1><script>'</scripty'</script/><a href=2>",
    "<script>x<!-- - -- <script> -- > --</script> --></script><a href=1>",
    "<style><a href=no></styles></style ><a href=1><xmp><a href=no></xmp><a href=2><iframe><a href=no></iframe>",
    "<textarea><a href=no></textarea><a href=1><title><a href=no></TITLE\t><a href=2><noembed><a href=no></noembed><noframes><a href=no></noframes>",
    "<noscript><a href=1></noscript><body><noscript><p><a href=2></noscript><style><a href=no>",
    "<template><a href=no><template></template><a href=no></template><a href=1><template><base href=no>",
    "<plaintext><a href=no></plaintext><a href=no>",
    "<svg><a href=1></a><title><a href=2></a></title><style><a href=3></style><![CDATA[<a href=no>]]></svg><a href=4>",
    "<svg><foreignObject><style><a href=no></style><title><a href=no></title></foreignObject><script>x</script></svg><a href=1>",
    "<svg><style><p><style><a href=no></style><a href=1><![CDATA[<a href=2>]]>",
    "<math><mi><style><a href=no></style></mi><![CDATA[<a href=no>]]></math><a href=1><svg/><style><a href=no>",
    "<svg><svg></svg><style><a href=1></style></svg><style><a href=no></style>",
    "<p title='<a href=no>' x=\"<a href=no>\" y=<a href=no z><a href=1>",
    "<a href=1\0><a\0href=no><a href\0=no><a h\0ref=no href='2\0'>",
    "<a href='1\r\n2'\r><a href=\"\t3\"\x0c><a\x0chref=4><a\u{a0}href=no>",
    "<table><tr><a href=1><td><a href=2></table><a href=3></body></html><a href=4>",
    "<a href=1>x<a href=2>y</a></a><p/><br/><a href=3/><a href='4'/><a/><a href='5'x>",
    "<a href='no",
    "<a href=no",
    "<a href='1'><a",
    "<",
    "</",
    "<!",
    "<!-",
    "<a href='1'></a",
    "<a href=1><!--",
    "<a x=",
    "<a href=ä><a href='日本'><ä href=no><a ä=1 href=2>",
];

#[test]
fn written_pages_have_the_same_links() {
    for (n, page) in PAGES.iter().enumerate() {
        agree(page, &format!("page {n}"));
    }
    agree(&PAGES.concat(), "all of them");
}

#[test]
fn every_prefix_and_suffix_of_the_pages_has_the_same_links() {
    for page in PAGES {
        for (at, _) in page.char_indices() {
            agree(&page[..at], "prefix");
            if !has_tree_trouble(&page[at..]) {
                agree(&page[at..], "suffix");
            }
        }
    }
}

/// Tags with which the tree builder does what no tokenizer can know.
fn has_tree_trouble(html: &str) -> bool {
    let html = html.to_ascii_lowercase();
    [
        "<svg",
        "<math",
        "<select",
        "<frameset",
        "<table",
        "<template",
        "<head",
        "<noframes",
        "<plaintext",
    ]
    .iter()
    .any(|tag| html.contains(tag))
}

/// A tokenizer without a tree knows no foreign content, so neither may the page.
fn has_foreign(html: &str) -> bool {
    let html = html.to_ascii_lowercase();
    html.contains("<svg") || html.contains("<math")
}

#[test]
fn random_pages_have_the_same_links() {
    let seed = Random::any_seed();
    let rounds = std::env::var("ROUNDS").map_or(30_000, |n| n.parse().unwrap());
    let mut random = Random(seed);
    let scraps = [
        "<",
        ">",
        "/",
        "=",
        "'",
        "\"",
        " ",
        "\n",
        "-",
        "--",
        "!",
        "?",
        "&",
        ";",
        "#",
        "\0",
        "x",
        "a",
        "<a",
        "<a ",
        "href",
        "href=",
        "<a href=",
        "<a href='x'>",
        "<a href=y>",
        "</a>",
        "<area href=z>",
        "<base href=b>",
        "<link rel=next href=n>",
        "<meta http-equiv=refresh content='1;url=m'>",
        "<!--",
        "-->",
        "--!>",
        "<!",
        "<?",
        "</",
        "<script>",
        "</script>",
        "<script ",
        "<style>",
        "</style>",
        "<title>",
        "</title>",
        "<textarea>",
        "</textarea>",
        "<xmp>",
        "</xmp>",
        "<iframe>",
        "</iframe>",
        "<noembed>",
        "</noembed>",
        "<noscript>",
        "</noscript>",
        "<template>",
        "</template>",
        "<p>",
        "<p ",
        "<div class=c>",
        "]]>",
        "<![CDATA[",
        "&amp;",
        "&lt",
        "&#65;",
        "<ä>",
        "é",
    ];
    let foreign = [
        "<svg>",
        "</svg>",
        "<math>",
        "</math>",
        "<foreignObject>",
        "</foreignObject>",
        "<desc>",
        "</desc>",
        "<mi>",
        "</mi>",
        "<svg/>",
        "<svg ",
    ];
    for round in 0..rounds {
        let mut html = String::new();
        for _ in 0..random.below(25) {
            let scrap: &str = match random.below(30) {
                0 => random.pick::<&str>(&foreign),
                _ => random.pick::<&str>(&scraps),
            };
            html.push_str(scrap);
        }
        if random.below(3) == 0 {
            html.insert_str(0, random.pick::<&str>(PAGES));
            let at = boundary(&html, random.below(html.len() as u64 + 1) as usize);
            html.insert_str(at, random.pick::<&str>(&scraps));
        }
        if !has_foreign(&html) {
            let same = scanned(&html) == parsed(&html, false);
            assert!(
                same,
                "seed {seed}, round {round}: {html:?}\n{:?}\n{:?}",
                scanned(&html),
                parsed(&html, false)
            );
        } else {
            // It must end, and not panic; which links count depends on the tree.
            scanned(&html);
        }
    }
}

#[test]
fn the_rust_documentation_has_the_same_links() {
    let Some(root) = documentation() else {
        return support::skipped("the Rust documentation is not installed");
    };
    let mut pages = Vec::new();
    collect(&root, &mut pages);
    pages.sort();
    let step = (pages.len() / 150).max(1);
    let mut links = 0;
    for page in pages.iter().step_by(step) {
        let html = fs::read_to_string(page).unwrap();
        agree(&html, &page.display().to_string());
        links += scanned(&html).links.len();
    }
    assert!(links > 1000, "{links} links on {} pages", pages.len());
}

fn documentation() -> Option<PathBuf> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = String::from_utf8(sysroot.stdout).ok()?;
    let root = Path::new(sysroot.trim()).join("share/doc/rust/html");
    root.is_dir().then_some(root)
}

fn collect(dir: &Path, pages: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, pages);
        } else if path.extension().is_some_and(|e| e == "html") {
            pages.push(path);
        }
    }
}
