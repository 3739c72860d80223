//! One request to one result.

mod received;
mod rendering;
mod scratches;

use std::cell::OnceCell;
use std::io::Write;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use crawl_ckpt::address::masked;
use crawl_ckpt::record::{ErrorKind, FetchResult, Kind, Request, parse_request};
use crawl_ckpt::robots;
use crawl_ckpt::text::Text;
use encoding_rs::UTF_8;
use ureq::http::header::{CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED, RETRY_AFTER};
use url::Url;

use crate::event::{Fetched, Outcome};
use crate::failure::Failure;
use crate::http::body::{BodyReader, Limit};
use crate::http::call::{Answer, Caller, Reach, now};
use crate::http::gate::Gate;
use crate::http::header::{retry_after, text_of};
use crate::http::{redirect, traffic};
use crate::job::{Job, begun, internal_error, write};
use crate::memory::{FREE_BYTES, Memory, Share};
use crate::output::Output;
use crate::page::charset::Media;
use crate::page::extract::{Extractor, ItemFields};
use crate::page::footprint::{self, Uses};
use crate::page::sitemap;
use crate::parse::{Parsers, Waiting, is_parsed};

use received::{Received, digest, extract};
pub use rendering::RenderOptions;
use scratches::ReadingDesk;
pub use scratches::Scratches;

/// How answers are read.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Cap of a decoded body.
    pub max_size: usize,
    /// Longest chain of redirects that is followed; 0 reports a redirect.
    pub max_redirects: u32,
    /// Pages are read for links.
    pub links: bool,
    /// Bodies come with the results.
    pub body: bool,
    /// Pages of these statuses are read as those of success are; of all when it holds 0.
    pub allowed_codes: Vec<u16>,
}

impl FetchOptions {
    /// Whether a page of this status is read for links and items.
    fn reads(&self, status: Option<u16>) -> bool {
        let allowed = |status: &u16| self.allowed_codes.contains(status);
        status.is_some_and(|status| status / 100 == 2 || allowed(&status) || allowed(&0))
    }
}

/// Fetches. Shared by all workers.
pub struct Fetcher {
    /// How answers are read.
    pub options: FetchOptions,
    /// Makes the calls.
    pub caller: Caller,
    /// Obeys robots.txt.
    pub robots: Option<Gate>,
    /// The user's parser.
    pub parsers: Option<Arc<Parsers>>,
    /// Has pages rendered.
    pub rendering: Option<RenderOptions>,
    /// Takes items from pages.
    pub extractor: Option<Extractor>,
    /// Memory for pages.
    pub scratches: Scratches,
    /// How much of it there is.
    pub memory: Arc<Memory>,
}

impl Fetcher {
    /// Fetches and puts the result line out.
    pub fn fetch<W: Write>(&self, job: &Job, output: &Output<W>) -> Outcome {
        let Ok(mut request) = parse_request(&job.line) else {
            // It was one when it was read.
            return broken_down(job, output);
        };
        if self.wish(&request).is_some() {
            // A shell that did not change says nothing of the page that its scripts make.
            (request.etag, request.last_modified) = (None, None);
        }
        let mut result = begun(&request);
        result.fetched_at = Some(now().into());
        let started = Instant::now();
        let before = traffic::all();
        let answer = self.ask(job, &request, started, &mut result);
        let mut share = self.share(&request, started);
        let mut markup = None;
        // The answer's head is there, so the rest of it should not take long.
        let mut body = self.scratches.body();
        let memory = (&mut body, &mut share);
        let page = answer.and_then(|answer| self.receive(&request, answer, memory, &mut result));
        let is_through_proxy = result.proxy.as_deref().is_some_and(|name| name != "direct");
        result.wire_bytes = is_through_proxy.then(|| traffic::all().wrapping_sub(before));
        (result.elapsed_ms).get_or_insert_with(|| started.elapsed().as_millis() as u64);
        let page = page.and_then(|page| self.render(&request, page, &mut markup, &mut result));
        let page = page.and_then(|page| {
            self.make_room(request.kind, &page, &mut share, &result)?;
            Ok(page)
        });
        let parsing = output.parsing();
        let mut desk = self.scratches.desk();
        let ReadingDesk { pages, items, line } = &mut desk;
        let mut waiting = None;
        match page {
            Ok(received) => {
                let fields = self.fields(request.kind, &received, &result);
                let memory = (pages, &mut *items);
                let is_marked = fields.is_some();
                let marks =
                    self.understand(request.kind, &received, memory, is_marked, &mut result);
                let wanted = fields.map(|fields| (fields, marks));
                if extract(&received, wanted, items, &mut result).is_err() {
                    drop(parsing);
                    self.caller.set_aside(result);
                    self.scratches.give_back(body, desk);
                    return Outcome::Short("no thread to extract with".to_owned());
                }
                self.caller.tell_others(&mut result);
                waiting = self.for_parser(request.kind, received.url, &mut result);
            }
            Err(failure) if failure.is_shortage => {
                drop(parsing);
                self.caller.set_aside(result);
                self.scratches.give_back(body, desk);
                return Outcome::Short(failure.message);
            }
            Err(failure) => {
                let invalid = failure.kind == ErrorKind::Invalid;
                result.line = invalid.then_some(job.number);
                result.error = Some(failure.into_record());
                self.caller.tell_others(&mut result);
            }
        }
        if let (Some(waiting), Some(parsers)) = (waiting, &self.parsers) {
            drop((parsing, result));
            self.scratches.give_back(body, desk);
            // Its line has a part of the share until it is answered.
            let fetched = parsers.parse(waiting);
            drop(share);
            return Outcome::Fetched(fetched);
        }
        write(&result, line);
        let fetched = Fetched {
            written: parsing.put(line),
            status: result.status,
            error: result.error.as_ref().map(|error| error.kind),
        };
        drop(result);
        self.scratches.give_back(body, desk);
        Outcome::Fetched(fetched)
    }

    /// Calls, if robots.txt allows it.
    fn ask(
        &self,
        job: &Job,
        request: &Request<'_>,
        started: Instant,
        result: &mut FetchResult<'_>,
    ) -> Result<Answer, Failure> {
        let proxy = request.proxy.as_deref();
        let may = |url: &Url| match &self.robots {
            Some(gate) if request.kind != Kind::Robots => gate.check(&self.caller, url, proxy),
            _ => Ok(()),
        };
        let reach = Reach {
            max_redirects: self.options.max_redirects,
            may: &may,
            started,
            headers: &self.caller.headers,
            limit: None,
        };
        self.caller.call(&job.url, request, &reach, result)
    }

    /// Receives the body, and fills the result from what came before it.
    fn receive<'b>(
        &self,
        request: &Request<'_>,
        mut answer: Answer,
        memory: (&'b mut BodyReader, &mut Share),
        result: &mut FetchResult<'_>,
    ) -> Result<Received<'b>, Failure> {
        describe(&answer, result);
        let status = answer.response.status();
        let target = redirect::target(&answer.url, status, answer.response.headers());
        if let Ok(Some(url)) = &target {
            result.location = Some(masked(url.as_str()).into_owned().into());
        }
        let (bytes, cut) = match request.kind {
            Kind::Page => (self.options.max_size, false),
            Kind::Robots => (robots::MAX_BYTES, true),
            Kind::Sitemap => (sitemap::MAX_BYTES, true),
        };
        let limit = Limit { bytes, cut };
        let bytes = self
            .caller
            .receive(request, &mut answer, limit, memory, result);
        if !matches!(&bytes, Err(failure) if failure.is_shortage) {
            target?;
        }
        let bytes = bytes?;
        Ok(Received {
            bytes,
            media: Media::of(result.content_type.as_deref(), bytes),
            encoding: OnceCell::new(),
            headers: std::mem::take(answer.response.headers_mut()),
            url: answer.url,
        })
    }

    /// The memory that an answer may have. One that would go again when there is none in time
    /// waits for it as long as the server has to send it, and half of that is ours.
    fn share(&self, request: &Request<'_>, started: Instant) -> Share {
        let may_repeat = request.method.as_deref().is_none_or(is_repeatable_word);
        let patience = may_repeat.then(|| started + self.caller.timeout / 2);
        self.memory.share(patience)
    }

    /// Waits for the memory that a body needs beside its own.
    ///
    /// # Errors
    /// None while the share is patient.
    fn make_room(
        &self,
        kind: Kind,
        page: &Received<'_>,
        share: &mut Share,
        result: &FetchResult<'_>,
    ) -> Result<(), Failure> {
        let bytes = page.bytes;
        if bytes.len() <= FREE_BYTES {
            return Ok(());
        }
        let content_type = result.content_type.as_deref();
        let media = page.media;
        let is_html = kind == Kind::Page && media == Media::Html;
        let good = result.status.is_some_and(|status| status / 100 == 2);
        let parsed = self.parsers.is_some() && is_parsed(kind, result);
        let uses = Uses {
            decoded: media != Media::Binary && page.encoding(content_type) != UTF_8,
            links: (is_html && good && self.options.links).then(|| page.url.as_str().len()),
            tree: is_html && good && self.extractor.is_some(),
            body: self.options.body || (parsed && media != Media::Binary),
            sitemap: kind == Kind::Sitemap,
        };
        share.take(footprint::of(bytes, uses))
    }

    /// The page for the user's parser, if it is one for it.
    fn for_parser(&self, kind: Kind, url: Url, result: &mut FetchResult<'_>) -> Option<Waiting> {
        let parsers = self.parsers.as_ref()?;
        result.body.as_ref().filter(|_| is_parsed(kind, result))?;
        let waiting = parsers.page(result, url, self.options.body);
        if waiting.is_none() {
            let why = "the page does not fit a line for the parser";
            result.error = Some(Failure::new(ErrorKind::TooLarge, why).into_record());
            result.body = None;
        }
        waiting
    }

    /// What a section of the spider takes of a page, if it is a good one.
    fn fields(
        &self,
        kind: Kind,
        received: &Received<'_>,
        result: &FetchResult<'_>,
    ) -> Option<ItemFields<'_>> {
        let extractor = self.extractor.as_ref()?;
        let is_read = kind == Kind::Page
            && received.media == Media::Html
            && self.options.reads(result.status);
        let is_start = result.depth == Some(0);
        is_read.then(|| extractor.fields(&received.url, is_start))?
    }
}

/// Puts out the result of a request whose handling broke down here.
pub fn broken_down<W: Write>(job: &Job, output: &Output<W>) -> Outcome {
    Outcome::Fetched(Fetched {
        written: output.parsing().put(&internal_error(job)),
        status: None,
        error: Some(ErrorKind::Io),
    })
}

/// Fills the result from what came before the body.
fn describe(answer: &Answer, result: &mut FetchResult<'_>) {
    let headers = answer.response.headers();
    let value = |name| headers.get(name).map(|value| Text::from(text_of(value)));
    result.content_type = value(CONTENT_TYPE);
    result.etag = value(ETAG);
    result.last_modified = value(LAST_MODIFIED);
    result.retry_after_s = headers.get(RETRY_AFTER).and_then(|value| {
        let date = headers.get(DATE).map(text_of);
        retry_after(&text_of(value), date.as_deref(), SystemTime::now())
    });
    if answer.hops > 0 {
        result.final_url = Some(masked(answer.url.as_str()).into_owned().into());
    }
}

fn is_repeatable_word(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}
