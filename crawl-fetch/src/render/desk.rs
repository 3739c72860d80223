//! Decides on each request of a page, and makes those that may go, a few at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crawl_ckpt::capture::SpoolPlace;
use crawl_ckpt::mutex::{lock, unpoisoned};
use crawl_ckpt::record::{FetchResult, Request};
use crawl_ckpt::rendering::Rendering;
use ureq::http::HeaderMap;
use ureq::http::header::COOKIE;
use url::Url;

use super::library::{Library, may_keep};
use super::paused::{Given, Paused, Resource, Verdict};
use super::protocol::Connection;
use crate::http::body::{BodyReader, Limit};
use crate::http::call::{Caller, Reach};
use crate::http::gate::Gate;
use crate::http::redirect;
use crate::http::warc::places;
use crate::memory::Share;

/// A page may make so many requests.
const MAX_REQUESTS: u64 = 500;

/// All answers to a page together have so many bytes.
const MAX_BYTES: u64 = 64 << 20;

/// One answer has so many.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// Requests of a page at once, as browsers do to a host.
pub const AT_ONCE: usize = 6;

/// An answer that takes longer is none.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A page may read and ask, and change nothing.
const METHODS: [&str; 4] = ["GET", "HEAD", "OPTIONS", "POST"];

/// Headers that our own side has to say.
const OURS: [&str; 9] = [
    "accept-encoding",
    "connection",
    "content-length",
    "cookie",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "user-agent",
];

/// With what requests of pages are made.
#[derive(Clone, Copy)]
pub struct Errands<'a> {
    /// Makes the calls.
    pub caller: &'a Caller,
    /// Is asked for each URL.
    pub gate: Option<&'a Gate>,
    /// Pages may ask private addresses that are not their own.
    pub allow_private: bool,
    /// Where the records of the answers lie, if they are kept.
    pub kept: &'a Mutex<Vec<SpoolPlace<'static>>>,
}

/// The desk of one page.
pub struct Desk<'v> {
    errands: Errands<'v>,
    page: &'v Url,
    request: &'v Request<'v>,
    wish: &'v Rendering,
    kept: &'v Library,
    connection: &'v Connection,
    until: Instant,
    pub counts: Counts,
    waiting: Mutex<Handed>,
    work: Condvar,
}

/// How its requests went.
#[derive(Debug, Default)]
pub struct Counts {
    pub requests: AtomicU64,
    pub blocked: AtomicU64,
    pub refused: AtomicU64,
    bytes: AtomicU64,
    cut: Mutex<Option<&'static str>>,
}

impl Counts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Which limit cut the page short first.
    pub fn cut(&self) -> Option<&'static str> {
        *lock(&self.cut)
    }

    /// A limit cuts it short.
    pub fn cut_by(&self, limit: &'static str) {
        lock(&self.cut).get_or_insert(limit);
    }
}

#[derive(Default)]
struct Handed {
    requests: VecDeque<Paused>,
    idle: usize,
    runners: usize,
    is_closed: bool,
}

/// Who makes the request that was handed in.
#[derive(Debug, PartialEq, Eq)]
pub enum Runner {
    /// One that is there, or it is answered already.
    There,
    /// A new one, in [`Desk::run`].
    Wanted,
}

impl<'v> Desk<'v> {
    /// Nothing was asked for yet. Nothing is made after `until`.
    pub fn new(
        errands: Errands<'v>,
        page: &'v Url,
        (request, wish): (&'v Request<'v>, &'v Rendering),
        kept: &'v Library,
        connection: &'v Connection,
        until: Instant,
    ) -> Desk<'v> {
        Desk {
            errands,
            page,
            request,
            wish,
            kept,
            connection,
            until,
            counts: Counts::default(),
            waiting: Mutex::default(),
            work: Condvar::new(),
        }
    }

    /// Answers a request, or has it made.
    pub fn take(&self, paused: Paused) -> Runner {
        match self.decide(&paused) {
            Some(reply) => {
                paused.answer(self.connection, &reply);
                Runner::There
            }
            None => {
                let mut waiting = lock(&self.waiting);
                waiting.requests.push_back(paused);
                if waiting.idle > 0 || waiting.runners == AT_ONCE {
                    self.work.notify_one();
                    return Runner::There;
                }
                waiting.runners += 1;
                Runner::Wanted
            }
        }
    }

    /// The answer to a request that is not made.
    fn decide(&self, paused: &Paused) -> Option<Verdict> {
        let blocked = || {
            Counts::add(&self.counts.blocked);
            Some(Verdict::Fail("BlockedByClient"))
        };
        let Some(url) = &paused.url else {
            return self.refuse();
        };
        match paused.kind {
            Resource::Rest => return blocked(),
            Resource::Image if !self.wish.images => return blocked(),
            Resource::Document if url.origin() != self.page.origin() => return blocked(),
            _ => {}
        }
        if !matches!(url.scheme(), "http" | "https") || !METHODS.contains(&&*paused.method) {
            return self.refuse();
        }
        if !self.errands.allow_private && redirect::check(self.page, url).is_err() {
            return self.refuse();
        }
        if paused.method == "GET"
            && let Some(answer) = self.kept.get(paused.kind, url.as_str())
        {
            return Some(Verdict::Give(answer));
        }
        let counts = &self.counts;
        let limits = [
            (&counts.requests, MAX_REQUESTS, "requests"),
            (&counts.bytes, MAX_BYTES, "bytes"),
        ];
        for (count, most, name) in limits {
            if count.load(Ordering::Relaxed) >= most {
                counts.cut_by(name);
                return self.refuse();
            }
        }
        Counts::add(&counts.requests);
        None
    }

    fn refuse(&self) -> Option<Verdict> {
        Counts::add(&self.counts.refused);
        Some(Verdict::Fail("AccessDenied"))
    }

    /// Makes requests until the desk closes.
    pub fn run(&self) {
        let mut waiting = lock(&self.waiting);
        loop {
            if waiting.is_closed {
                return;
            }
            if let Some(paused) = waiting.requests.pop_front() {
                drop(waiting);
                paused.answer(self.connection, &self.make(&paused));
                waiting = lock(&self.waiting);
                continue;
            }
            waiting.idle += 1;
            waiting = unpoisoned(self.work.wait(waiting));
            waiting.idle -= 1;
        }
    }

    /// True while a request waits for its answer.
    pub fn is_busy(&self) -> bool {
        let waiting = lock(&self.waiting);
        !waiting.requests.is_empty() || waiting.runners > waiting.idle
    }

    /// There is no thread to be had: requests wait for those that are there, or fail.
    pub fn have_no_runner(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.runners -= 1;
        if waiting.runners == 0 {
            for paused in waiting.requests.drain(..) {
                paused.answer(self.connection, &Verdict::Fail("Failed"));
            }
        }
    }

    /// Nothing more is made.
    pub fn close(&self) {
        lock(&self.waiting).is_closed = true;
        self.work.notify_all();
    }

    fn make(&self, paused: &Paused) -> Verdict {
        self.try_make(paused).unwrap_or(Verdict::Fail("Failed"))
    }

    /// `None` when there is no answer to be had.
    fn try_make(&self, paused: &Paused) -> Option<Verdict> {
        let url = paused.url.as_ref()?;
        let is_own = url.origin() == self.page.origin();
        let mut request = Request {
            url: url.as_str().into(),
            method: Some(paused.method.as_str().into()),
            proxy: self.request.proxy.clone(),
            ..Request::default()
        };
        if is_own {
            request.headers = self.request.headers.clone();
        }
        for (name, value) in &paused.headers {
            if !OURS.contains(&&**name) && !name.starts_with("sec-") {
                request
                    .headers
                    .insert(name.as_str().into(), value.as_str().into());
            }
        }
        let cookie = paused
            .headers
            .iter()
            .find(|(name, _)| name == COOKIE.as_str());
        request.cookie = cookie.map(|(_, value)| value.as_str().into());
        if let Some(body) = &paused.body {
            request.body = Some(std::str::from_utf8(body).ok()?.into());
        }
        let caller = self.errands.caller;
        let proxy = self.request.proxy.as_deref();
        if let Some(gate) = self.errands.gate
            && gate.check(caller, url, proxy).is_err()
        {
            return self.refuse();
        }
        let left = self.until.saturating_duration_since(Instant::now());
        let none = HeaderMap::new();
        let reach = Reach {
            max_redirects: 0,
            may: &|_| Ok(()),
            started: Instant::now(),
            headers: if is_own { &caller.headers } else { &none },
            limit: Some(left.min(ANSWER_WITHIN).min(caller.timeout)),
        };
        let mut told = FetchResult::default();
        let mut answer = caller.call(url, &request, &reach, &mut told).ok()?;
        let bytes = self.counts.bytes.load(Ordering::Relaxed);
        let limit = Limit {
            bytes: MAX_ANSWER_BYTES.min(MAX_BYTES.saturating_sub(bytes) as usize),
            cut: false,
        };
        let mut reader = BodyReader::default();
        let memory = (&mut reader, &mut Share::uncounted());
        let body = caller.receive(&request, &mut answer, limit, memory, &mut told);
        lock(self.errands.kept).append(&mut places(&mut told));
        let body = body.ok()?;
        (self.counts.bytes).fetch_add(body.len() as u64, Ordering::Relaxed);
        let status = answer.response.status().as_u16();
        let headers = answer.response.headers();
        if paused.method != "GET" || !may_keep(paused.kind, status, headers) {
            return Some(Verdict::Give(Arc::new(Given::new(status, headers, body))));
        }
        let given = Arc::new(Given::for_all_pages(status, headers, body));
        self.kept.put(paused.kind, url.as_str(), &given);
        Some(Verdict::Give(given))
    }
}
