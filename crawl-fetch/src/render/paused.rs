//! What a page asks for beside itself, and the answers to it, as the browser has them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::http::header;
use ureq::http::{HeaderMap, HeaderValue};
use url::Url;

use super::protocol::{Connection, Message};
use crate::http::header::text_of;

/// Headers of an answer that are of its way here, or would have effects beyond its page.
const NOT_FOR_PAGES: [&str; 12] = [
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-length",
    "keep-alive",
    "nel",
    "report-to",
    "reporting-endpoints",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
];

/// Longer than any tab lives.
const FOR_LONG: &str = "max-age=31536000";

/// A request that waits for an answer.
#[derive(Debug)]
pub struct Paused {
    session: String,
    id: String,
    pub url: Option<Url>,
    pub method: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
    pub kind: Resource,
    pub frame: String,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Resource {
    /// A page, or a frame.
    Document,
    /// A style sheet.
    Stylesheet,
    /// A script.
    Script,
    /// By `fetch`, from scripts too.
    #[serde(rename = "XHR", alias = "Fetch")]
    Data,
    /// A picture.
    Image,
    /// A worker's script, an icon.
    Other,
    /// All that no link and no text comes from.
    #[serde(other)]
    Rest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PausedEvent {
    request_id: String,
    request: PausedRequest,
    #[serde(default)]
    frame_id: String,
    resource_type: Resource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PausedRequest {
    url: String,
    method: String,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    post_data_entries: Vec<PostData>,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    bytes: String,
}

impl Paused {
    /// Reads the event.
    pub fn read(message: Message) -> Option<Paused> {
        let event = PausedEvent::deserialize(message.params).ok()?;
        let mut body = Vec::new();
        for part in &event.request.post_data_entries {
            body.extend(BASE64_STANDARD.decode(&part.bytes).ok()?);
        }
        let headers = event.request.headers.into_iter();
        let headers = headers.filter_map(|(name, value)| {
            let value = value.as_str()?.to_owned();
            Some((name.to_ascii_lowercase(), value))
        });
        let url = Url::parse(&event.request.url).ok().map(|mut url| {
            url.set_fragment(None);
            url
        });
        Some(Paused {
            session: message.session,
            id: event.request_id,
            url,
            method: event.request.method,
            headers: headers.collect(),
            body: (!body.is_empty()).then_some(body),
            kind: event.resource_type,
            frame: event.frame_id,
        })
    }

    /// Answers it.
    pub fn answer(&self, connection: &Connection, reply: &Verdict) {
        let (method, params) = match reply {
            Verdict::Fail(reason) => (
                "Fetch.failRequest",
                json!({"requestId": self.id, "errorReason": reason}),
            ),
            Verdict::Give(answer) => (
                "Fetch.fulfillRequest",
                json!({
                    "requestId": self.id,
                    "responseCode": answer.status,
                    "responseHeaders": answer.headers,
                    "body": answer.body,
                }),
            ),
        };
        // That the browser is gone is seen by who waits for the page.
        let _ = connection.send(&self.session, method, &params);
    }
}

/// How a request is answered.
#[derive(Debug)]
pub enum Verdict {
    /// With an answer.
    Give(std::sync::Arc<Given>),
    /// Not, for one of the protocol's reasons.
    Fail(&'static str),
}

/// An answer as the browser takes it.
#[derive(Debug)]
pub struct Given {
    status: u16,
    headers: Vec<Value>,
    /// In base64.
    body: String,
}

impl Given {
    /// Of an answer whose body was decoded.
    pub fn new(status: u16, headers: &HeaderMap, body: &[u8]) -> Given {
        let headers = headers.iter();
        let headers = headers.filter(|(name, _)| !NOT_FOR_PAGES.contains(&name.as_str()));
        let headers =
            headers.map(|(name, value)| json!({"name": name.as_str(), "value": text_of(value)}));
        Given {
            status,
            headers: headers.collect(),
            body: BASE64_STANDARD.encode(body),
        }
    }

    /// The page itself: it is shown, also where a link to it would save it as a file.
    pub fn page(headers: &HeaderMap, body: &[u8]) -> Given {
        let mut headers = headers.clone();
        headers.remove(header::CONTENT_DISPOSITION);
        Given::new(200, &headers, body)
    }

    /// What the next page gets as well: the browser may keep it, and what it made of it.
    pub fn for_all_pages(status: u16, headers: &HeaderMap, body: &[u8]) -> Given {
        let mut headers = headers.clone();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_LONG));
        Given::new(status, &headers, body)
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        self.body.len() + 100 * self.headers.len()
    }
}
