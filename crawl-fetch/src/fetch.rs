//! One request to one result.

mod rendering;

use std::cell::OnceCell;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crawl_ckpt::address::masked;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::record::{ErrorKind, FetchResult, Kind, Request, parse_request};
use crawl_ckpt::robots;
use crawl_ckpt::text::Text;
use encoding_rs::{Encoding, UTF_8};
use ureq::http::HeaderMap;
use ureq::http::header::{CONTENT_TYPE, DATE, ETAG, LAST_MODIFIED, REFRESH, RETRY_AFTER};
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
use crate::page::charset::{self, Media};
use crate::page::extract::{Extractor, ItemFields, Workspace};
use crate::page::footprint::{self, Uses};
use crate::page::{Mark, PageReader, Want};
use crate::page::{challenge, sitemap};
use crate::parse::{Parsers, Waiting, is_parsed};

pub use rendering::RenderOptions;

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

/// Memory to read one page at a time.
#[derive(Default)]
struct ReadingDesk {
    pages: PageReader,
    items: Workspace,
    line: Vec<u8>,
}

/// Memory for pages, lent to whoever has one just now: of thousands of workers most wait for a
/// server, and need none. A body may have to wait for the rest of it, so desks are lent apart: few
/// are in use at once, and stay in the processor's cache.
pub struct Scratches {
    kept: Mutex<Kept>,
    /// All of them together keep so much.
    most_bytes: usize,
}

#[derive(Default)]
struct Kept {
    bodies: Vec<BodyReader>,
    desks: Vec<ReadingDesk>,
    bytes: usize,
}

/// So many of each are kept for later.
const KEEP_SCRATCHES: usize = 64;

/// No more memory is kept than this, and than a quarter of `--body-memory`. Setting it up anew for
/// each of a few large pages costs 2 % of a crawl, and as much again for their trees.
const KEEP_BYTES: usize = 48 << 20;

/// Memory for a result line is kept up to this size.
const KEEP_LINE_BYTES: usize = 1 << 20;

impl ReadingDesk {
    fn kept_bytes(&self) -> usize {
        self.pages.kept_bytes() + self.items.kept_bytes()
    }
}

impl Scratches {
    /// Beside a budget for bodies of so much.
    pub fn new(body_memory: usize) -> Scratches {
        Scratches {
            kept: Mutex::default(),
            most_bytes: KEEP_BYTES.min(body_memory / 4),
        }
    }

    fn body(&self) -> BodyReader {
        let mut kept = lock(&self.kept);
        let body = kept.bodies.pop().unwrap_or_default();
        kept.bytes -= body.kept_bytes();
        body
    }

    fn desk(&self) -> ReadingDesk {
        let mut kept = lock(&self.kept);
        let desk = kept.desks.pop().unwrap_or_default();
        kept.bytes -= desk.kept_bytes();
        desk
    }

    fn give_back(&self, body: BodyReader, mut desk: ReadingDesk) {
        desk.line.clear();
        desk.line.shrink_to(KEEP_LINE_BYTES);
        let (body_bytes, desk_bytes) = (body.kept_bytes(), desk.kept_bytes());
        let mut kept = lock(&self.kept);
        if kept.bodies.len() < KEEP_SCRATCHES && kept.bytes + body_bytes <= self.most_bytes {
            kept.bytes += body_bytes;
            kept.bodies.push(body);
        }
        if kept.desks.len() < KEEP_SCRATCHES && kept.bytes + desk_bytes <= self.most_bytes {
            kept.bytes += desk_bytes;
            kept.desks.push(desk);
        }
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

/// An answer that arrived whole.
struct Received<'b> {
    bytes: &'b [u8],
    media: Media,
    encoding: OnceCell<&'static Encoding>,
    headers: HeaderMap,
    url: Url,
}

impl Received<'_> {
    /// The encoding of a text; looked for once, since that reads the page.
    fn encoding(&self, content_type: Option<&str>) -> &'static Encoding {
        let find = || charset::encoding(content_type, self.bytes);
        self.encoding.get_or_init(find)
    }
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

    /// Fills the result from a body that arrived whole; returns its marks, if they are wanted.
    fn understand<'p>(
        &self,
        kind: Kind,
        received: &Received<'p>,
        (pages, workspace): (&'p mut PageReader, &mut Workspace),
        marks: bool,
        result: &mut FetchResult<'p>,
    ) -> &'p [Mark] {
        let mut marked = &[][..];
        let bytes = received.bytes;
        // Those of a page that was rendered are known.
        if result.digest.is_none() {
            result.bytes = Some(bytes.len() as u64);
            // What did not change was not sent: there is nothing that a digest would be of.
            let is_sent = result.status != Some(304);
            result.digest = is_sent.then(|| digest(bytes).into());
        }
        let content_type = result.content_type.as_deref();
        let encoding = || received.encoding(content_type);
        let media = received.media;
        let good = result.status.is_some_and(|status| status / 100 == 2);
        let is_read = self.options.reads(result.status);
        match kind {
            Kind::Robots => {
                let whole = robots::whole_lines(bytes);
                result.robots = Some(encoding().decode(whole).0.into_owned().into());
            }
            Kind::Sitemap if good => {
                result.sitemap = sitemap::entries(content_type, bytes, &received.url);
            }
            Kind::Page if media == Media::Html => {
                // Links of an error page or a redirect lead in circles.
                let with_links = self.options.links && is_read;
                let regions = self.extractor.as_ref().and_then(Extractor::regions);
                let refresh = received.headers.get(REFRESH).map(text_of);
                let want = Want {
                    links: with_links,
                    marks,
                    refresh: refresh.as_deref(),
                    regions: regions.map(|regions| (regions, workspace)),
                };
                let page = pages.read(bytes, encoding(), &received.url, want);
                if good {
                    let title = page.title.as_deref();
                    let why = challenge::of(&received.headers, bytes, title, page.links.len());
                    result.blocked = why.map(Text::from);
                }
                result.title = page.title.map(Text::from);
                result.links = page.links;
                marked = page.marks;
                result.link_regions = page.regions;
                result.links_dropped = (page.dropped > 0).then_some(page.dropped);
            }
            _ => {}
        }
        let parsed = self.parsers.is_some() && is_parsed(kind, result);
        if self.options.body || (parsed && media != Media::Binary) {
            match media {
                Media::Binary => result.body_base64 = Some(BASE64_STANDARD.encode(bytes).into()),
                _ => result.body = Some(Text(encoding().decode(bytes).0).into()),
            }
        }
        marked
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

/// Fills the result with what is wanted of a page.
///
/// # Errors
/// There is no thread to be had.
fn extract<'p>(
    received: &Received<'p>,
    wanted: Option<(ItemFields<'_>, &[Mark])>,
    items: &'p mut Workspace,
    result: &mut FetchResult<'p>,
) -> Result<(), NoThread> {
    let Some((fields, marks)) = wanted.filter(|_| result.blocked.is_none()) else {
        return Ok(());
    };
    let encoding = received.encoding(result.content_type.as_deref());
    let known = (encoding, &received.url);
    let Some(item) = fields.item(received.bytes, marks, known, items) else {
        return Ok(());
    };
    if item.is_short {
        return Err(NoThread);
    }
    result.item = Some(item.json);
    result.item_cut = item.is_cut.then_some(true);
    Ok(())
}

/// There is no thread to be had now.
struct NoThread;

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

fn digest(bytes: &[u8]) -> String {
    let mut text = String::with_capacity("blake3:".len() + 64);
    text.push_str("blake3:");
    text.push_str(&blake3::hash(bytes).to_hex());
    text
}
