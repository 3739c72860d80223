//! Canonical URLs: the short cut agrees with the parser, and the form of a form is itself.
#![no_main]

use crawl_frontier::url::{Form, canonicalize};
use libfuzzer_sys::fuzz_target;
use url::Url;

/// The canonical form by the book: the parser's, without a fragment, hex digits in upper case.
fn by_the_book(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_fragment(None);
    let (text, mut upper) = (url.as_str(), String::new());
    let mut after = usize::MAX;
    for c in text.chars() {
        after = if c == '%' { 0 } else { after.saturating_add(1) };
        upper.push(match (after, c) {
            (1 | 2, 'a'..='f') => c.to_ascii_uppercase(),
            _ => c,
        });
    }
    Some(upper)
}

fuzz_target!(|text: &str| {
    // A scheme in front leads deeper in much sooner.
    for text in [
        text.to_owned(),
        format!("http://{text}"),
        format!("https://a.example/{text}"),
    ] {
        let mut plain = String::new();
        let found = canonicalize(&text, Form::Standard, &mut plain).is_ok();
        let found = found.then(|| plain.clone());
        assert_eq!(found, by_the_book(&text), "{text:?}");
        if let Some(once) = found {
            canonicalize(&once, Form::Standard, &mut plain).expect("a canonical form");
            assert_eq!(plain, once, "{text:?}");
            let (mut folded, mut twice) = (String::new(), String::new());
            canonicalize(&text, Form::Aggressive, &mut folded).expect("a URL");
            canonicalize(&folded, Form::Aggressive, &mut twice).expect("a canonical form");
            assert_eq!(folded, twice, "{text:?}");
        }
    }
});
