//! What is counted of proxies, of rendered pages and of fields.

use std::borrow::Cow;
use std::collections::HashMap;

use crawl_ckpt::control::Progress;
use crawl_ckpt::record::FetchResult;
use serde_json::value::RawValue;

use crate::crawl::routes::block_of;

/// Counts what went through a proxy, or direct.
pub fn proxy(progress: &mut Progress, result: &FetchResult<'_>) {
    let name = result.proxy.as_deref().unwrap_or("direct");
    let used = match progress.proxies.get_mut(name) {
        Some(used) => used,
        None => progress.proxies.entry(name.to_owned()).or_default(),
    };
    used.attempts += 1;
    used.successes += u64::from(is_success(result));
    used.bytes += result.bytes.unwrap_or(0);
}

/// An answer that is no block.
pub fn is_success(result: &FetchResult<'_>) -> bool {
    result.error.is_none() && block_of(result).is_none()
}

/// Counts a page that was in a browser.
pub fn rendered(progress: &mut Progress, result: &FetchResult<'_>) {
    let Some(rendered) = &result.render else {
        return;
    };
    let all = progress.rendered.get_or_insert_default();
    all.pages += u64::from(rendered.failed.is_none());
    all.failed += u64::from(rendered.failed.is_some());
    all.cut += u64::from(rendered.cut.is_some());
    all.requests += rendered.requests;
    all.blocked += rendered.blocked;
    all.refused += rendered.refused;
}

/// So many fields are counted; a crawl with more has names that are data.
const MAX_FIELDS: usize = 200;

/// Counts the fields of a page's item, and those that say nothing.
pub fn item(progress: &mut Progress, result: &FetchResult<'_>) {
    let Some(item) = result.item else { return };
    let Ok(fields) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(item.get()) else {
        return;
    };
    for (name, value) in fields {
        if progress.fields.len() >= MAX_FIELDS && !progress.fields.contains_key(&*name) {
            continue;
        }
        let used = match progress.fields.get_mut(&*name) {
            Some(used) => used,
            None => progress.fields.entry(name.into_owned()).or_default(),
        };
        used.pages += 1;
        used.empty += u64::from(matches!(value.get(), "null" | "\"\"" | "[]"));
    }
}
