//! Scripts and styles that pages of this run asked for: the next page that does gets the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crawl_ckpt::mutex::lock;
use ureq::http::HeaderMap;
use ureq::http::header::{CACHE_CONTROL, SET_COOKIE, VARY};

use super::paused::{Given, Resource};
use crate::http::header::text_of;

/// More than this is kept of no run; what was kept before goes then.
const MAX_BYTES: usize = 64 << 20;

/// Answers by URL.
#[derive(Default)]
pub struct Library(Mutex<Answers>);

#[derive(Default)]
struct Answers {
    by_url: HashMap<(Resource, String), Arc<Given>>,
    bytes: usize,
}

impl Library {
    /// What is kept of this URL.
    pub fn get(&self, kind: Resource, url: &str) -> Option<Arc<Given>> {
        lock(&self.0).by_url.get(&(kind, url.to_owned())).cloned()
    }

    /// Keeps an answer.
    pub fn put(&self, kind: Resource, url: &str, answer: &Arc<Given>) {
        let mut kept = lock(&self.0);
        if kept.bytes + answer.bytes() > MAX_BYTES {
            *kept = Answers::default();
        }
        if answer.bytes() > MAX_BYTES / 4 {
            return;
        }
        kept.bytes += answer.bytes();
        let before = kept
            .by_url
            .insert((kind, url.to_owned()), Arc::clone(answer));
        kept.bytes -= before.map_or(0, |before| before.bytes());
    }
}

/// Whether an answer may be given to other pages.
pub fn may_keep(kind: Resource, status: u16, headers: &HeaderMap) -> bool {
    let is_static = matches!(kind, Resource::Script | Resource::Stylesheet);
    let says = |name, words: &[&str]| {
        let mut values = headers.get_all(name).iter();
        values.any(|value| {
            let value = text_of(value).to_ascii_lowercase();
            words.iter().any(|word| value.contains(word))
        })
    };
    is_static
        && status == 200
        && !headers.contains_key(SET_COOKIE)
        && !says(CACHE_CONTROL, &["no-store", "no-cache", "private"])
        && !says(VARY, &["cookie", "*"])
}
