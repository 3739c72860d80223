//! One call: sent, sent again when a kept-alive connection had gone stale, and
//! followed over redirects.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crawl_ckpt::octets;
use crawl_ckpt::record::{ErrorKind, FetchResult, Request};
use crawl_ckpt::text::Text;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use ureq::http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use ureq::http::{self, Method, Response};
use ureq::{Agent, Body};
use url::Url;

use crate::failure::Failure;
use crate::http::agent::{Agents, HostAgent};
use crate::http::body::{Arrival, BodyReader, Limit};
use crate::http::cookies::Cookies;
use crate::http::error::is_overflow;
use crate::http::header;
use crate::http::proxy::Proxies;
use crate::http::warc::{Archive, Exchange};
use crate::http::{heads, redirect, tcp, window};
use crate::memory::Share;

/// So much of a body that nobody wants is read, so that its connection can be kept.
const MAX_LEFT_BYTES: usize = 64 << 10;

/// What a line of a request may have beside its URL or value.
const LINE_REST: usize = 256;

/// Makes calls.
pub struct Caller {
    /// The ureq agents.
    pub agents: Agents,
    /// Which way calls go.
    pub proxies: Proxies,
    /// Cookies that are sent with requests that bring none.
    pub cookies: Arc<Cookies>,
    /// Headers for every request; a request's own go over these.
    pub headers: HeaderMap,
    /// For all of one request, redirects included.
    pub timeout: Duration,
    /// Redirects may lead to private addresses.
    pub allow_private: bool,
    /// Keeps what is exchanged.
    pub archive: Option<Arc<Archive>>,
}

/// How far a call may go.
pub struct Reach<'c> {
    /// Longest chain of redirects that is followed; 0 follows none.
    pub max_redirects: u32,
    /// Looks at each URL before it is asked for.
    pub may: &'c dyn Fn(&Url) -> Result<(), Failure>,
    /// When the request began.
    pub started: Instant,
    /// Headers for every request, over which go those of this one.
    pub headers: &'c HeaderMap,
    /// For the first answer; `None`: the caller's.
    pub limit: Option<Duration>,
}

/// An answer whose body was not read yet.
pub struct Answer {
    /// Status, headers, and the body to come.
    pub response: Response<Body>,
    /// Where it came from in the end.
    pub url: Url,
    /// Redirects that were followed.
    pub hops: u32,
    /// For the archive.
    asked: Option<Asked>,
}

/// How an answer came to be asked for.
struct Asked {
    date: String,
    /// When the request began, and when this one of its calls did.
    since: (Instant, Instant),
    /// The redirect that led here.
    via: Option<Url>,
}

impl Caller {
    /// Calls. The result learns what is known even when the call fails: proxy,
    /// status and cookies on the way.
    ///
    /// # Errors
    /// When no usable answer came.
    pub fn call(
        &self,
        url: &Url,
        request: &Request<'_>,
        reach: &Reach<'_>,
        result: &mut FetchResult<'_>,
    ) -> Result<Answer, Failure> {
        let mut headers = header::of_request(request, url, reach.headers)?;
        let mut method = method(request)?;
        let may_repeat = is_repeatable(&method);
        let mut body = request.body.as_deref();
        let own_cookies = headers.contains_key(COOKIE);
        let asked = url;
        let mut url = url.clone();
        let mut hops = 0;
        let mut via = None;
        loop {
            (reach.may)(&url)?;
            let (way, proxy) = self.proxies.way(request.proxy.as_deref(), &url)?;
            result.proxy = Some(proxy.into());
            let route = self.agents.route(&way, &url)?;
            if !own_cookies {
                self.cookies.put(&url, &mut headers);
            }
            let left = self.timeout.saturating_sub(reach.started.elapsed());
            let limit = (hops > 0).then_some(left).or(reach.limit);
            let host = route.host(&url);
            let asked_so = self.archive.is_some().then(|| {
                heads::begin();
                let known = result.fetched_at.as_deref().filter(|_| hops == 0);
                Asked {
                    date: known.map_or_else(now, str::to_owned),
                    since: (reach.started, Instant::now()),
                    via: via.take(),
                }
            });
            let sent = match header::without_credentials(&url) {
                None => send(&host, &method, &url, &headers, body, limit),
                Some((plain, value)) => {
                    let mut headers = headers.clone();
                    headers.entry(AUTHORIZATION).or_insert(value);
                    send(&host, &method, &plain, &headers, body, limit)
                }
            };
            let response = sent.map_err(|failure| Failure {
                // Begun anew, it would reach the first server a second time.
                is_shortage: failure.is_shortage && (hops == 0 || may_repeat),
                ..failure
            })?;
            let status = response.status();
            result.status = Some(status.as_u16());
            self.cookies.take(&url, response.headers());
            let cookies = response.headers().get_all(SET_COOKIE).iter();
            let cookie =
                |value: &HeaderValue| Text::from(octets::to_text(value.as_bytes()).into_owned());
            result.set_cookie.extend(cookies.map(cookie));
            let next = match reach.max_redirects {
                0 => None,
                // One that leads nowhere is the end, and looked at there.
                _ => redirect::target(&url, status, response.headers()).unwrap_or_default(),
            };
            let mut answer = Answer {
                response,
                url,
                hops,
                asked: asked_so,
            };
            let Some(next) = next else {
                return Ok(answer);
            };
            hops += 1;
            let may_follow = self.may_follow(asked, &next, hops, reach);
            if may_follow.is_ok() || self.archive.is_some() {
                self.leave(request, &mut answer, result)?;
            }
            may_follow?;
            url = answer.url;
            if redirect::becomes_get(status, &method) {
                (method, body) = (Method::GET, None);
                redirect::drop_body_headers(&mut headers);
            }
            redirect::drop_secrets(&mut headers, &url, &next);
            via = Some(std::mem::replace(&mut url, next));
        }
    }

    /// Looks whether so long a chain of redirects may go on to there.
    fn may_follow(
        &self,
        asked: &Url,
        next: &Url,
        hops: u32,
        reach: &Reach<'_>,
    ) -> Result<(), Failure> {
        if !self.allow_private {
            redirect::check(asked, next)?;
        }
        if hops > reach.max_redirects {
            let why = format_args!("more than {} redirects", reach.max_redirects);
            return Err(Failure::new(ErrorKind::Redirect, why));
        }
        Ok(())
    }

    /// Is done with a result that nobody will get: what was kept of its exchange is told of later.
    pub fn set_aside(&self, mut result: FetchResult<'_>) {
        if let Some(archive) = &self.archive {
            archive.set_aside(&mut result);
        }
    }

    /// Has a result that is put out now tell of what was set aside.
    pub fn tell_others(&self, result: &mut FetchResult<'_>) {
        if let Some(archive) = &self.archive {
            archive.tell_others(result);
        }
    }

    /// What comes from now on could not be kept.
    pub fn keeps_nothing_more(&self) -> bool {
        self.archive
            .as_ref()
            .is_some_and(|archive| archive.is_over())
    }

    /// Is done with an answer of which only the head is wanted.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn leave(
        &self,
        request: &Request<'_>,
        answer: &mut Answer,
        result: &mut FetchResult<'_>,
    ) -> Result<(), Failure> {
        if self.archive.is_some() {
            let limit = Limit {
                bytes: MAX_LEFT_BYTES,
                cut: true,
            };
            let mut reader = BodyReader::default();
            let arrival = reader.receive(&mut answer.response, limit, &mut Share::uncounted());
            return self.keep(request, answer, reader.raw(), &arrival, result);
        }
        // Only a connection that was read to its end can be used again, and whether it was
        // does not matter.
        let body = answer.response.body_mut().as_reader();
        let _ = io::copy(&mut body.take(MAX_LEFT_BYTES as u64), &mut io::sink());
        Ok(())
    }

    /// Receives the body, keeps it as it was sent, and decodes it.
    ///
    /// # Errors
    /// When it is no usable one, or there is no memory for it, or it cannot be kept.
    pub fn receive<'b>(
        &self,
        request: &Request<'_>,
        answer: &mut Answer,
        limit: Limit,
        (reader, share): (&'b mut BodyReader, &mut Share),
        result: &mut FetchResult<'_>,
    ) -> Result<&'b [u8], Failure> {
        let arrival = reader.receive(&mut answer.response, limit, share);
        if let Some(asked) = &answer.asked {
            // The disk's time is not the server's.
            result.elapsed_ms = Some(asked.since.0.elapsed().as_millis() as u64);
        }
        self.keep(request, answer, reader.raw(), &arrival, result)?;
        reader.decode(arrival, limit, share)
    }

    /// Keeps an answer as far as it came, if answers are kept at all. One that this machine had
    /// no room for comes again.
    fn keep(
        &self,
        request: &Request<'_>,
        answer: &Answer,
        payload: &[u8],
        arrival: &Arrival,
        result: &mut FetchResult<'_>,
    ) -> Result<(), Failure> {
        let is_short = arrival.failure.as_ref().is_some_and(|it| it.is_shortage);
        let (Some(archive), Some(asked), false) = (&self.archive, &answer.asked, is_short) else {
            return Ok(());
        };
        let via = asked.via.as_ref().map(Url::as_str);
        let exchange = Exchange {
            url: &answer.url,
            date: &asked.date,
            request,
            via: via.or(request.referer.as_deref()),
            redirects: answer.hops,
            status: answer.response.status().as_u16(),
            headers: answer.response.headers(),
            payload,
            truncated: arrival.truncated,
            elapsed_ms: asked.since.1.elapsed().as_millis() as u64,
        };
        archive.keep(&exchange, result)
    }
}

/// The time now as results and records have it.
pub fn now() -> String {
    const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
    MILLISECONDS.timestamp_to_string(&Timestamp::now())
}

/// Sends, and once more over a new connection when it was a kept-alive one that the server had
/// closed before the request came, which says nothing about this request. A server that takes
/// the request and then closes has answered it so, if it is one that keeps connections at all.
fn send(
    host: &HostAgent<'_>,
    method: &Method,
    url: &Url,
    headers: &HeaderMap,
    body: Option<&str>,
    limit: Option<Duration>,
) -> Result<Response<Body>, Failure> {
    let repeatable = is_repeatable(method);
    let lengths = headers.iter().map(|(_, value)| value.len());
    let wide = lengths.max().max(Some(url.as_str().len())) > Some(window::OUTPUT_BYTES - LINE_REST);
    let mut anew = false;
    loop {
        let mut request = http::Request::builder()
            .method(method.clone())
            .uri(url.as_str());
        if let Some(map) = request.headers_mut() {
            map.clone_from(headers);
        }
        tcp::note_start(repeatable, anew);
        window::set_wide(wide);
        let sent = match body {
            None => run(host.agent, request.body(()), limit),
            Some(body) => run(host.agent, request.body(body), limit),
        };
        let error = match sent {
            Ok(response) => {
                if !tcp::note().dialed {
                    host.note_kept();
                }
                return Ok(response);
            }
            Err(error) => error,
        };
        let note = tcp::note();
        let failure = Failure::from_ureq(&error, note);
        let is_silent = note.received == 0 && failure.kind == ErrorKind::Connect;
        let is_unused = is_silent && !(note.taken && host.keeps());
        // Through SOCKS a connection keeps the buffer that it was begun with.
        let is_cramped = wide && is_overflow(&error);
        if anew || note.dialed || !(is_cramped || (repeatable && is_unused)) {
            return Err(failure);
        }
        anew = true;
    }
}

fn is_repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn run<B: ureq::AsSendBody>(
    agent: &Agent,
    request: http::Result<http::Request<B>>,
    limit: Option<Duration>,
) -> Result<Response<Body>, ureq::Error> {
    let request = request?;
    match limit {
        None => agent.run(request),
        Some(_) => {
            let configured = agent.configure_request(request);
            agent.run(configured.timeout_global(limit).build())
        }
    }
}

fn method(request: &Request<'_>) -> Result<Method, Failure> {
    let Some(method) = &request.method else {
        return Ok(Method::GET);
    };
    let parsed = Method::from_bytes(method.as_bytes());
    let parsed = parsed.map_err(|e| Failure::new(ErrorKind::Invalid, e))?;
    if parsed == Method::CONNECT {
        let why = "CONNECT is no method to fetch with";
        return Err(Failure::new(ErrorKind::Invalid, why));
    }
    Ok(parsed)
}
