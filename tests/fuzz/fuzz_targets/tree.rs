//! The quick builder of trees against html5ever's. Bytes of ASCII are themselves, and any
//! other stands for a tag or something else of interest.
#![no_main]

use crawl_fetch::page::extract::compare::{WORDS, is_same};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut html = String::new();
    for byte in bytes {
        match byte.checked_sub(0x80) {
            None => html.push(char::from(*byte)),
            Some(word) => html.push_str(WORDS[usize::from(word)]),
        }
    }
    is_same(&html);
});
