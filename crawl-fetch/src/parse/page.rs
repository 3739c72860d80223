//! One page on its way through a parser: the line that goes to it, and what
//! becomes of the result by the line that comes back.

use std::collections::HashSet;
use std::sync::mpsc::SyncSender;

use crawl_ckpt::record::{ErrorKind, FetchResult, MAX_LINK_BYTES, MAX_LINKS};
use crawl_ckpt::text::Text;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use url::Url;

use crate::event::Fetched;
use crate::failure::Failure;
use crate::job::{try_write, write};

/// A page that was fetched and is not parsed yet.
pub struct PendingPage {
    /// What the parser knows it by.
    pub number: u64,
    /// The line for the parser, with its newline.
    pub line: Vec<u8>,
    /// How much of the line is sent.
    pub sent: usize,
    /// How many parsers it brought down.
    pub strikes: u32,
    /// It was with a parser that ended: it is sent by itself now.
    pub alone: bool,
    /// The result as it is without the parser, as JSON.
    kept: Vec<u8>,
    /// What links are relative to.
    url: Url,
    status: Option<u16>,
    done: SyncSender<Fetched>,
}

/// What a parser may say of a page. All else in its line is passed over.
#[derive(Deserialize)]
pub struct Reply<'a> {
    /// The page.
    pub id: u64,
    /// Other links than those found.
    #[serde(borrow)]
    links: Option<Vec<Text<'a>>>,
    /// Another item; `null` takes one away.
    #[serde(borrow, default, deserialize_with = "given")]
    item: Option<&'a RawValue>,
    /// Another `meta`; `null` takes one away.
    #[serde(borrow, default, deserialize_with = "given")]
    meta: Option<&'a RawValue>,
    /// What to keep.
    #[serde(borrow)]
    pub state: Option<&'a RawValue>,
}

/// A value that is there, `null` too.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

impl PendingPage {
    /// A page of this result, which has a body; the body stays in the result only with
    /// `keep_body`. `None` when a line is too short for it.
    pub fn new(
        result: &mut FetchResult<'_>,
        url: Url,
        keep_body: bool,
        number: u64,
        done: SyncSender<Fetched>,
    ) -> Option<PendingPage> {
        let (mut line, mut kept) = (Vec::new(), Vec::new());
        let id = result.id.replace(number);
        let cookies = std::mem::take(&mut result.set_cookie);
        let (spool, capture) = (result.spool.take(), result.capture.take());
        let regions = result.link_regions.take();
        let usual = regions.as_ref().map_or(usize::MAX, |r| r.usual as usize);
        let others = result.links.split_off(usual.min(result.links.len()));
        let fits = try_write(result, &mut line);
        (result.id, result.set_cookie) = (id, cookies);
        (result.spool, result.capture) = (spool, capture);
        result.link_regions = regions;
        result.links.extend(others);
        result.body.take_if(|_| !keep_body);
        let fits = fits && try_write(result, &mut kept);
        fits.then_some(PendingPage {
            number,
            line,
            sent: 0,
            strikes: 0,
            alone: false,
            kept,
            url,
            status: result.status,
            done,
        })
    }

    /// True when all of the line is sent.
    pub fn is_sent(&self) -> bool {
        self.sent == self.line.len()
    }

    /// Where it came from.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The status that it came with.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Its result is out: whoever fetched it may go on.
    pub fn done(&self, fetched: Fetched) {
        // Nobody waits any more when everything ends.
        let _ = self.done.send(fetched);
    }

    /// The result line that the parser's answer makes.
    pub fn answered(&self, answer: &Reply<'_>) -> Vec<u8> {
        self.result(|result, url| {
            if let Some(links) = &answer.links {
                let (links, dropped) = resolved(links, url);
                result.links = links;
                // They stand where the parser says, not on the page.
                result.link_regions = None;
                result.links_dropped = (dropped > 0).then_some(dropped);
            }
            let value = |value: &'_ RawValue| value.get() != "null";
            if let Some(item) = answer.item {
                result.item = Some(item).filter(|item| value(item));
            }
            if let Some(meta) = answer.meta {
                result.meta = Some(meta).filter(|meta| value(meta));
            }
            result.state = answer.state;
        })
    }

    /// The result line of a page that no parser could parse.
    pub fn set_aside(&self, why: &str) -> Vec<u8> {
        let error = Failure::new(ErrorKind::Parse, why).into_record();
        self.result(|result, _| result.error = Some(error))
    }

    fn result<'a>(&'a self, change: impl FnOnce(&mut FetchResult<'a>, &Url)) -> Vec<u8> {
        // It was written by us, so it can be read.
        let mut result: FetchResult<'_> = serde_json::from_slice(&self.kept).unwrap_or_default();
        change(&mut result, &self.url);
        let mut line = Vec::new();
        write(&result, &mut line);
        line
    }
}

/// Links as a page's own are: absolute, http or https, without fragments, each once,
/// and no more than travel. Gives the number of those left out for their number.
fn resolved(links: &[Text<'_>], url: &Url) -> (Vec<Text<'static>>, u64) {
    let mut seen = HashSet::new();
    let (mut found, mut bytes, mut dropped) = (Vec::new(), 0, 0);
    for link in links {
        let Ok(mut target) = url.join(link) else {
            continue;
        };
        target.set_fragment(None);
        if !matches!(target.scheme(), "http" | "https") || !seen.insert(target.to_string()) {
            continue;
        }
        if found.len() >= MAX_LINKS || bytes + target.as_str().len() > MAX_LINK_BYTES {
            dropped += 1;
            continue;
        }
        bytes += target.as_str().len();
        found.push(String::from(target).into());
    }
    (found, dropped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::capture::Spooled;
    use crawl_ckpt::record::LinkRegions;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::sync::mpsc::sync_channel;

    fn page(keep_body: bool) -> PendingPage {
        let mut result = FetchResult {
            url: "http://h.example/d/p".into(),
            id: Some(7),
            status: Some(200),
            links: vec!["http://h.example/old".into()],
            set_cookie: vec!["secret=1".into()],
            spool: Some(Spooled {
                file: "1-0".into(),
                offset: 0,
                length: 9,
                response_length: 5,
                others: Vec::new(),
            }),
            body: Some("<p>text".into()),
            ..FetchResult::default()
        };
        let url = Url::parse("http://h.example/d/p").unwrap();
        PendingPage::new(&mut result, url, keep_body, 99, sync_channel(1).0).unwrap()
    }

    fn answered(page: &PendingPage, line: Value) -> Value {
        let line = line.to_string();
        let answer: Reply<'_> = serde_json::from_str(&line).unwrap();
        serde_json::from_slice(&page.answered(&answer)).unwrap()
    }

    #[test]
    fn a_parser_gets_the_page_and_no_cookie() {
        let page = page(false);
        let sent: Value = serde_json::from_slice(&page.line).unwrap();
        assert_eq!(
            (&sent["id"], &sent["body"]),
            (&json!(99), &json!("<p>text"))
        );
        assert_eq!(sent["set_cookie"], Value::Null);
        assert_eq!(sent["spool"], Value::Null);
    }

    #[test]
    fn where_links_stand_is_kept_unless_the_parser_gives_others() {
        let mut result = FetchResult {
            links: vec!["http://h.example/1".into(), "http://h.example/2.png".into()],
            link_regions: Some(LinkRegions {
                usual: 1,
                rules: BTreeMap::from([(0, vec![0, 1])]),
            }),
            body: Some("text".into()),
            ..FetchResult::default()
        };
        let url = Url::parse("http://h.example/").unwrap();
        let page = PendingPage::new(&mut result, url, false, 99, sync_channel(1).0).unwrap();
        let sent: Value = serde_json::from_slice(&page.line).unwrap();
        assert_eq!(sent["links"], json!(["http://h.example/1"]));
        assert_eq!(sent["link_regions"], Value::Null);
        let same = answered(&page, json!({"id": 99}));
        assert_eq!(same["links"][1], "http://h.example/2.png");
        assert_eq!(
            same["link_regions"],
            json!({"usual": 1, "rules": {"0": [0, 1]}})
        );
        let other = answered(&page, json!({"id": 99, "links": ["/3"]}));
        assert_eq!(other["link_regions"], Value::Null);
    }

    #[test]
    fn a_parser_changes_what_it_may_and_nothing_else() {
        let result = answered(
            &page(false),
            json!({"id": 99, "url": "http://evil.example/", "status": 404, "body": "x",
                   "links": ["../a#top", "../a", "mailto:x", "http://[", "https://o.example"],
                   "item": {"n": 1.50}, "meta": [1], "state": 5}),
        );
        let want = json!({"url": "http://h.example/d/p", "id": 7, "status": 200,
            "links": ["http://h.example/a", "https://o.example/"],
            "item": {"n": 1.50}, "meta": [1], "state": 5, "set_cookie": ["secret=1"],
            "spool": {"file": "1-0", "offset": 0, "length": 9, "response_length": 5}});
        assert_eq!(result, want);
    }

    #[test]
    fn what_a_parser_does_not_name_stays_and_null_takes_away() {
        let result = answered(&page(true), json!({"id": 99, "item": null, "meta": null}));
        assert_eq!(result["links"], json!(["http://h.example/old"]));
        assert_eq!(result["body"], json!("<p>text"));
        assert_eq!(
            (&result["item"], &result["meta"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            answered(&page(false), json!({"id": 99, "links": []}))["links"],
            Value::Null
        );
    }

    #[test]
    fn a_page_set_aside_says_why_and_keeps_the_rest() {
        let page = page(false);
        let result: Value = serde_json::from_slice(&page.set_aside("it died")).unwrap();
        assert_eq!(
            result["error"],
            json!({"kind": "parse", "message": "it died"})
        );
        assert_eq!(result["links"], json!(["http://h.example/old"]));
    }
}
