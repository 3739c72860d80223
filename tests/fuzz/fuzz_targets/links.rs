//! The link scanner against html5ever's tokenizer, on pages without foreign content.
#![no_main]

use std::cell::RefCell;

use crawl_fetch::page::scan::{Scanned, Link, scan};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind::{Rawtext, Rcdata, ScriptData};
use html5ever::tokenizer::{
    BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use libfuzzer_sys::fuzz_target;

/// Notes where `a` and `area` lead.
#[derive(Default)]
struct Spy(RefCell<Vec<String>>);

impl TokenSink for Spy {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let Token::TagToken(tag) = token else {
            return TokenSinkResult::Continue;
        };
        if tag.kind == TagKind::EndTag {
            return TokenSinkResult::Continue;
        }
        match &*tag.name {
            "a" | "area" => {
                let href = tag
                    .attrs
                    .iter()
                    .find(|attribute| &*attribute.name.local == "href");
                self.0
                    .borrow_mut()
                    .extend(href.map(|href| href.value.to_string()));
                TokenSinkResult::Continue
            }
            "title" | "textarea" => TokenSinkResult::RawData(Rcdata),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                TokenSinkResult::RawData(Rawtext)
            }
            "script" => TokenSinkResult::RawData(ScriptData),
            _ => TokenSinkResult::Continue,
        }
    }
}

/// What only a tree builder can know, and what the scanner notes beside links.
const ELSEWHERE: [&str; 7] = [
    "<svg",
    "<math",
    "<template",
    "<plaintext",
    "<link",
    "<meta",
    "\0",
];

fuzz_target!(|html: &str| {
    let html = html.strip_prefix('\u{feff}').unwrap_or(html);
    let lower = html.to_ascii_lowercase();
    let mut found = Scanned::default();
    scan(html.as_bytes(), &mut found);
    if ELSEWHERE.iter().any(|word| lower.contains(word)) {
        return;
    }
    let ours: Vec<String> = found
        .links
        .iter()
        .map(|link| match link {
            Link::Href(span) | Link::Refresh(span) => {
                let text = String::from_utf8_lossy(span.of(html.as_bytes()));
                let text = text.replace("\r\n", "\n").replace('\r', "\n");
                htmlize::unescape_attribute(text).into_owned()
            }
        })
        .collect();
    let tokenizer = Tokenizer::new(Spy::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    while !input.is_empty() {
        let _ = tokenizer.feed(&input);
    }
    tokenizer.end();
    assert_eq!(ours, tokenizer.sink.0.take());
});
