//! Spider files: any text is a spider or a complaint, and never a name that leaves its folder.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use crawl_run::spider::Spider;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|text: &[u8]| {
    let file = FOLDER.path().join("spider.json");
    fs::write(&file, text).expect("room");
    match Spider::load(&[file.to_str().expect("UTF-8")]) {
        Ok(spider) => {
            let name = spider.name.to_string();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            assert!(
                name.chars().all(is_plain) && !name.starts_with(['.', '-', '_']),
                "{name:?}"
            );
            assert!(name.len() <= 100 && !spider.start_urls.is_empty());
        }
        Err(failure) => assert!(
            failure.message.starts_with("cannot use spider "),
            "{}",
            failure.message
        ),
    }
});
