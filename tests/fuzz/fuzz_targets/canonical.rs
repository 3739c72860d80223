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
    let bytes = url.as_str().as_bytes();
    let is_escape = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        bytes[at] == b'%' && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_digit = |at: usize| (1..=2).any(|back| at >= back && is_escape(at - back));
    let upper = |(at, byte): (usize, &u8)| if is_digit(at) {
byte.to_ascii_uppercase()
} else {
*byte
};
    String::from_utf8(bytes.iter().enumerate().map(upper).collect()).ok()
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
