//! Request and result lines: nothing panics, and what was read is written and read again as the same.
#![no_main]

use crawl_ckpt::record::{FetchResult, parse_request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    if let Ok(request) = parse_request(line) {
        let written = serde_json::to_string(&request).expect("JSON");
        assert!(!written.contains('\n'), "{written}");
        let again = parse_request(&written).expect("our own line");
        assert_eq!(serde_json::to_string(&again).expect("JSON"), written);
    }
    if let Ok(result) = serde_json::from_str::<FetchResult<'_>>(line) {
        let written = serde_json::to_string(&result).expect("JSON");
        let again: FetchResult<'_> = serde_json::from_str(&written).expect("our own line");
        assert_eq!(serde_json::to_string(&again).expect("JSON"), written);
    }
});
