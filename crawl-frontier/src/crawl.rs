//! One crawl: what is taken on, sent, answered and written. Everything here
//! happens in memory and in the [`Log`]; the clock is an argument.

use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::control::Progress;
use crawl_ckpt::journal::{Referer, Stored};
use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::{ErrorKind, FetchError, FetchResult, Request};
use crawl_ckpt::text::Text;
use crawl_ckpt::tool::Failure;

use crate::answer::{self, Fate};
use crate::extra::Extra;
use crate::log::Log;
use crate::outage::{Advice, Outage};
use crate::pace::Pace;
use crate::queue::{Due, Gate, HostId, Queue, Ticket};
use crate::restore::Memory;
use crate::robots::{ROBOTS_ID, Robots, Ruling};
use crate::scope::{Admission, PLAIN, Refusal, Scope};
use crate::seen::Seen;
use crate::snapshot;
use crate::tally::{self, Class};
use crate::url::{Marker, canonicalize, origin};

/// A crawl under way.
#[derive(Debug)]
pub struct Crawl {
    plan: Plan,
    scope: Scope,
    marker: Marker,
    seen: Seen,
    queue: Queue,
    /// The journal and the output.
    pub(crate) log: Log,
    flights: HashMap<u64, Flight>,
    /// Of `flights`, those within their host's limit: what concurrency counts.
    busy: u32,
    /// How often a request was tried that will be tried again.
    tries: HashMap<u64, u32>,
    robots: Robots,
    paces: HashMap<HostId, Pace>,
    outage: Outage<Held>,
    progress: Progress,
    /// Ends this run after so many records.
    max_records: Option<u64>,
    links: Links,
    read_buffer: Vec<u8>,
}

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
struct Flight {
    host: HostId,
    at: u64,
    depth: u32,
    redirects: u32,
    follow: bool,
    busy: bool,
}

/// A request that nobody answered, with the record that it would get.
#[derive(Debug)]
struct Held {
    ticket: Ticket,
    host: HostId,
    record: Record,
}

/// An output record, and what it counts as.
#[derive(Debug)]
struct Record {
    line: String,
    class: Option<Class>,
    failed: bool,
}

impl Record {
    fn of(result: &FetchResult<'_>, failed: bool) -> Record {
        Record {
            // Strings, numbers and raw JSON that was parsed before: this cannot fail.
            line: serde_json::to_string(result).unwrap_or_default(),
            class: Class::of(result),
            failed,
        }
    }
}

/// The links of one page, canonical, one behind the other.
#[derive(Debug, Default)]
struct Links {
    text: String,
    found: Vec<(usize, usize, u128)>,
    one: String,
}

/// Where a link was found.
#[derive(Debug, Clone, Copy)]
struct Origin<'a> {
    page: Option<&'a str>,
    depth: u32,
    redirects: u32,
    /// Start URLs, and where they redirect to, need not satisfy the rules.
    is_start: bool,
}

/// What there is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A request line was written.
    Sent,
    /// Nothing can go before this time, or before an answer comes.
    Wait {
        /// Unix time in milliseconds; `None`: only an answer changes anything.
        until_ms: Option<u64>,
    },
    /// Nothing is pending or under way.
    Done(Done),
}

/// How a crawl, or this run of it, is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Every URL taken on is finished.
    Complete,
    /// Only parked hosts are left.
    Parked,
    /// The run has its records.
    Limit,
    /// Nobody answers any more.
    NetworkGone,
    /// Nobody ever answered.
    NoAnswer,
}

impl Crawl {
    /// A crawl with nothing taken on.
    ///
    /// # Errors
    /// When the plan's scope does not compile.
    pub fn new(plan: Plan, key: [u8; 16], log: Log) -> Result<Crawl, Failure> {
        let scope = Scope::compile(&plan.scope, plan.allow_private).map_err(Failure::new)?;
        Ok(Crawl {
            scope,
            marker: Marker::new(key),
            seen: Seen::new(),
            queue: Queue::new(plan.pace.per_host),
            log,
            flights: HashMap::new(),
            busy: 0,
            tries: HashMap::new(),
            robots: Robots::new(&plan),
            paces: HashMap::new(),
            outage: Outage::default(),
            progress: Progress::default(),
            max_records: None,
            links: Links::default(),
            read_buffer: Vec::new(),
            plan,
        })
    }

    /// Goes on from what a journal told.
    pub(crate) fn restore(&mut self, memory: Memory) {
        self.seen = memory.seen;
        self.queue = memory.queue;
        self.tries = memory
            .tries
            .into_iter()
            .map(|(id, (attempts, _))| (id, attempts))
            .collect();
        self.progress = memory.progress;
        let delay_ms = self.plan.pace.delay_ms;
        let hosts: Vec<(HostId, String)> = self
            .queue
            .hosts()
            .map(|(id, host)| (id, host.origin.to_string()))
            .collect();
        for (id, origin) in hosts {
            let saved = memory.values.get(&format!("robots:{origin}"));
            let known = saved.is_some_and(|saved| self.robots.restore(id, saved));
            let shut = self.plan.robots && !known;
            if shut {
                self.robots.want(id);
            }
            let delay_ms = delay_ms.max(self.robots.delay_ms(id));
            self.queue.change(id, |host| {
                host.delay_ms = delay_ms;
                host.gate = if shut { Gate::Shut } else { Gate::Open };
            });
        }
    }

    /// All that an image keeps. Call it after the last commit.
    pub(crate) fn view(&self, at_ms: u64) -> snapshot::View<'_> {
        let flights = self.flights.iter();
        let flights = flights.map(|(&id, flight)| (flight.host, Ticket { id, at: flight.at }));
        let later = self
            .queue
            .deferred()
            .map(|(_, host, ticket)| (host, ticket));
        let mut tries: BTreeMap<u64, (u32, u64)> = self
            .tries
            .iter()
            .map(|(&id, &attempts)| (id, (attempts, 0)))
            .collect();
        for (due_ms, _, ticket) in self.queue.deferred() {
            tries.entry(ticket.id).or_default().1 = due_ms;
        }
        snapshot::View {
            seen: &self.seen,
            queue: &self.queue,
            others: flights.chain(later).collect(),
            tries,
            values: self.values(),
            progress: self.progress(),
            at_ms,
            files: self.log.files(),
        }
    }

    /// The values that are kept beside the queue, by key.
    fn values(&self) -> BTreeMap<String, String> {
        let robots = self.queue.hosts().filter_map(|(id, host)| {
            let saved = self.robots.saved(id)?;
            Some((format!("robots:{}", host.origin), saved))
        });
        robots.collect()
    }

    /// Ends this run after so many output records.
    pub fn limit_records(&mut self, most: Option<u64>) {
        self.max_records = most;
    }

    /// The figures as they stand.
    pub fn progress(&self) -> Progress {
        let mut progress = self.progress.clone();
        progress.counts.in_flight = self.flights.len() as u64;
        progress.counts.pending = self.queue.pending() + self.outage.held() as u64;
        progress.hosts = self.queue.hosts().len() as u64;
        progress
    }

    /// Commits what waits, if it is time.
    ///
    /// # Errors
    /// The failure of an earlier commit.
    pub fn commit_if_due(&mut self, now_ms: u64) -> Result<(), Failure> {
        if self.log.wants_commit(now_ms)? {
            let progress = self.progress();
            self.log.commit(now_ms, progress)?;
        }
        Ok(())
    }

    /// How many requests are under way, robots.txt included.
    pub fn under_way(&self) -> usize {
        self.flights.len() + self.robots.under_way()
    }

    /// Takes on the plan's start URLs that were not seen before.
    ///
    /// # Errors
    /// Names a start URL that is none.
    pub fn start(&mut self) -> Result<(), Failure> {
        for url in self.plan.start_urls.clone() {
            let mut canonical = String::new();
            canonicalize(&url, self.scope.form, &mut canonical)
                .map_err(|e| Failure::new(format_args!("start URL '{url}': {e}")))?;
            let origin = Origin {
                page: None,
                depth: 0,
                redirects: 0,
                is_start: true,
            };
            self.take_on(&canonical, origin);
        }
        Ok(())
    }

    /// Takes on a URL if it belongs to the crawl and was not seen before.
    fn take_on(&mut self, canonical: &str, origin: Origin<'_>) -> bool {
        let mark = self.marker.get(canonical);
        if self.seen.contains(mark) {
            return false;
        }
        let admitted = match origin.is_start {
            true if origin.depth == 0 && origin.redirects == 0 => Ok(PLAIN),
            true => self.scope.check_host(canonical).map(|()| PLAIN),
            false => self.scope.admit(canonical, origin.depth),
        };
        let admitted = admitted.and_then(|admission| {
            let host = self.host_of(canonical);
            self.scope.check_host_pages(self.queue.host(host).taken)?;
            Ok((admission, host))
        });
        match admitted {
            Ok((admission, host)) => {
                self.seen.insert(mark);
                self.put_in(canonical, host, admission, origin);
                true
            }
            Err(refusal) => {
                self.drop_link(refusal);
                false
            }
        }
    }

    fn put_in(&mut self, url: &str, host: HostId, admission: Admission, origin: Origin<'_>) {
        let ticket = self.log.request(&Stored {
            url,
            depth: origin.depth,
            priority: admission.priority,
            nofollow: !admission.follow,
            redirects: origin.redirects,
            referer: origin.page.map(|page| Referer::of(url, page)),
            extra: None,
        });
        self.progress.counts.seen += 1;
        self.queue.change(host, |host| host.taken += 1);
        self.queue.push(host, ticket, admission.priority);
    }

    fn host_of(&mut self, canonical: &str) -> HostId {
        let origin = origin(canonical);
        if let Some(id) = self.queue.find_host(origin) {
            return id;
        }
        let gate = if self.plan.robots {
            Gate::Shut
        } else {
            Gate::Open
        };
        let id = self.queue.host_of(origin, gate);
        let delay_ms = self.plan.pace.delay_ms;
        self.queue.change(id, |host| host.delay_ms = delay_ms);
        if self.plan.robots {
            self.robots.want(id);
        }
        id
    }

    fn drop_link(&mut self, refusal: Refusal) {
        tally::add(&mut self.progress.dropped, refusal.as_str());
    }

    /// Writes the next request line into `out`, or says why there is none.
    ///
    /// # Errors
    /// When a pending request cannot be read back from the journal.
    pub fn next_request(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Result<Step, Failure> {
        loop {
            if self.limit_reached() {
                return Ok(self.waiting_or(Done::Limit));
            }
            match self.outage.advice(now_ms, self.plan.retry.outage_s * 1000) {
                Advice::Proceed => {}
                Advice::Wait { until_ms } => {
                    return Ok(Step::Wait {
                        until_ms: Some(until_ms),
                    });
                }
                Advice::GiveUp => return Ok(Step::Done(Done::NetworkGone)),
                Advice::Probe => {
                    let witness = self.outage.witness().unwrap_or_default().to_owned();
                    self.outage.probe_sent();
                    self.robots.send_probe(&witness, out);
                    return Ok(Step::Sent);
                }
            }
            if self.busy >= self.plan.pace.concurrency {
                return Ok(Step::Wait { until_ms: None });
            }
            if let Some(host) = self.robots.next_wanted(now_ms) {
                let origin = self.queue.host(host).origin.clone();
                self.robots.send(host, &origin, out);
                return Ok(Step::Sent);
            }
            let Some(due) = self.queue.next(now_ms) else {
                return Ok(self.nothing_to_send(now_ms));
            };
            if self.send(due, out)? {
                return Ok(Step::Sent);
            }
        }
    }

    fn limit_reached(&self) -> bool {
        let under_way = self.flights.len() as u64;
        self.max_records
            .is_some_and(|most| self.progress.records_run + under_way >= most)
    }

    fn waiting_or(&self, done: Done) -> Step {
        if self.under_way() > 0 {
            Step::Wait { until_ms: None }
        } else {
            Step::Done(done)
        }
    }

    fn nothing_to_send(&mut self, now_ms: u64) -> Step {
        let timers = [self.queue.next_due_ms(), self.robots.next_due_ms()];
        let until_ms = timers.into_iter().flatten().min();
        if self.under_way() > 0 || until_ms.is_some() {
            return Step::Wait { until_ms };
        }
        if self.outage.held() > 0 || self.robots.held() > 0 {
            if self.outage.witness().is_none() {
                return Step::Done(Done::NoAnswer);
            }
            self.outage.idle(now_ms);
            return Step::Wait {
                until_ms: Some(now_ms),
            };
        }
        Step::Done(if self.queue.pending() > 0 {
            Done::Parked
        } else {
            Done::Complete
        })
    }

    /// Sends a request, or finishes it when robots.txt disallows it.
    fn send(&mut self, due: Due, out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut buffer = std::mem::take(&mut self.read_buffer);
        let stored = self.log.read(due.ticket, &mut buffer)?;
        let ruling = self.robots.ruling(due.host, stored.url);
        if let Some(error) = ruling.error() {
            let result = FetchResult {
                url: stored.url.into(),
                depth: Some(stored.depth),
                error: Some(error),
                ..FetchResult::default()
            };
            let record = Record::of(&result, matches!(ruling, Ruling::Unreachable(_)));
            self.read_buffer = buffer;
            self.queue.answered(due.host);
            self.finish(due.ticket.id, &record);
            return Ok(false);
        }
        let mut request = request_of(&stored)?;
        request.id = Some(due.ticket.id);
        let follow = !stored.nofollow && request.kind.is_page();
        serde_json::to_writer(&mut *out, &request).map_err(Failure::new)?;
        out.push(b'\n');
        let busy = self.queue.host(due.host).in_flight <= self.plan.pace.per_host;
        self.busy += u32::from(busy);
        let (depth, redirects) = (stored.depth, stored.redirects);
        let (host, at) = (due.host, due.ticket.at);
        let flight = Flight {
            host,
            at,
            depth,
            redirects,
            follow,
            busy,
        };
        self.flights.insert(due.ticket.id, flight);
        self.read_buffer = buffer;
        Ok(true)
    }

    /// Takes one result line.
    ///
    /// # Errors
    /// Says what is wrong with a line that is no result; nothing changed then.
    pub fn answer(&mut self, line: &[u8], now_ms: u64) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8".to_owned())?;
        let mut result: FetchResult<'_> = serde_json::from_str(line).map_err(|e| e.to_string())?;
        let id = result.id.ok_or("it has no id")?;
        if id >= ROBOTS_ID {
            self.answer_robots(id, &result, now_ms);
            return Ok(());
        }
        let flight = self
            .flights
            .remove(&id)
            .ok_or("no request with its id is under way")?;
        let ticket = Ticket { id, at: flight.at };
        self.busy -= u32::from(flight.busy);
        self.learn_pace(&flight, &result);
        self.queue.answered(flight.host);
        self.progress.bytes += result.bytes.unwrap_or(0);
        let attempt = self.tries.remove(&id).unwrap_or(0) + 1;
        self.hear(flight.host, &result, now_ms);
        match answer::fate(&result, attempt, &self.plan.retry, id) {
            Fate::Finished { failed } => {
                self.follow(&mut result, &flight);
                let record = self.record(&mut result, attempt, failed);
                self.finish(id, &record);
            }
            Fate::Again {
                after_ms,
                host_waits,
            } => {
                let due_ms = now_ms + after_ms;
                if host_waits {
                    self.queue
                        .change(flight.host, |host| host.due_ms = host.due_ms.max(due_ms));
                }
                self.progress.retries += 1;
                self.tries.insert(id, attempt);
                self.log.defer(id, attempt, due_ms);
                self.queue.defer(flight.host, ticket, due_ms);
            }
            Fate::Unanswered => {
                let record = self.record(&mut result, attempt, true);
                self.outage.hold(Held {
                    ticket,
                    host: flight.host,
                    record,
                });
            }
        }
        Ok(())
    }

    fn learn_pace(&mut self, flight: &Flight, result: &FetchResult<'_>) {
        let manner = answer::manner(result);
        let floor_ms = self
            .plan
            .pace
            .delay_ms
            .max(self.robots.delay_ms(flight.host));
        let pace = self.paces.entry(flight.host).or_default();
        let limits = &self.plan.pace;
        self.queue.change(flight.host, |host| {
            pace.learn(manner, limits, floor_ms, host)
        });
    }

    /// Notes whether the network answers at all.
    fn hear(&mut self, host: HostId, result: &FetchResult<'_>, now_ms: u64) {
        match &result.error {
            Some(error) if error.kind.is_unanswered() => self.outage.unanswered(now_ms),
            Some(FetchError {
                kind: ErrorKind::Invalid | ErrorKind::Io,
                ..
            }) => {}
            Some(FetchError {
                kind: ErrorKind::Refused,
                ..
            }) => {}
            _ => {
                let origin = self.queue.host(host).origin.clone();
                for held in self.outage.answered(&origin) {
                    self.finish(held.ticket.id, &held.record);
                }
                for host in self.robots.give_up() {
                    self.queue.change(host, |host| host.gate = Gate::Open);
                }
            }
        }
    }

    fn answer_robots(&mut self, id: u64, result: &FetchResult<'_>, now_ms: u64) {
        let Some(host) = self.robots.host_of(id) else {
            return self.answer_probe(result, now_ms);
        };
        self.hear(host, result, now_ms);
        let attempts = self.plan.retry.times;
        if let Some(delay_ms) = self.robots.answer(host, result, attempts, now_ms) {
            let floor_ms = self.plan.pace.delay_ms.max(delay_ms);
            self.queue.change(host, |host| {
                host.delay_ms = host.delay_ms.max(floor_ms);
                host.gate = Gate::Open;
            });
            let origin = self.queue.host(host).origin.clone();
            if let Some(state) = self.robots.saved(host) {
                self.log.set(&format!("robots:{origin}"), state.as_bytes());
            }
        }
    }

    fn answer_probe(&mut self, result: &FetchResult<'_>, now_ms: u64) {
        self.robots.probe_answered();
        match self
            .outage
            .witness()
            .and_then(|witness| self.queue.find_host(witness))
        {
            Some(host)
                if !result
                    .error
                    .as_ref()
                    .is_some_and(|e| e.kind.is_unanswered()) =>
            {
                self.hear(host, result, now_ms);
            }
            _ => self.outage.probe_failed(now_ms),
        }
    }

    /// Takes on what a finished page leads to.
    fn follow(&mut self, result: &mut FetchResult<'_>, flight: &Flight) {
        if let Some(location) = &result.location {
            let target = location.to_string();
            if let Err(message) = self.follow_redirect(&result.url, &target, flight) {
                let kind = ErrorKind::Redirect;
                result.error = Some(FetchError {
                    kind,
                    message: message.into(),
                });
            }
            return;
        }
        if !flight.follow || result.error.is_some() || result.blocked.is_some() {
            return;
        }
        self.progress_links_dropped(result);
        let links = std::mem::take(&mut result.links);
        let page = result.url.to_string();
        let origin = Origin {
            page: Some(&page),
            depth: flight.depth + 1,
            redirects: 0,
            is_start: false,
        };
        self.take_on_links(&links, origin);
        result.links = links;
    }

    fn progress_links_dropped(&mut self, result: &FetchResult<'_>) {
        if let Some(dropped) = result.links_dropped {
            *self
                .progress
                .dropped
                .entry("too_many_links".into())
                .or_default() += dropped;
        }
    }

    fn take_on_links(&mut self, urls: &[Text<'_>], origin: Origin<'_>) {
        let mut links = std::mem::take(&mut self.links);
        links.text.clear();
        links.found.clear();
        for url in urls {
            if canonicalize(url, self.scope.form, &mut links.one).is_err() {
                tally::add(&mut self.progress.dropped, "invalid");
                continue;
            }
            let mark = self.marker.get(&links.one);
            self.seen.touch(mark);
            let start = links.text.len();
            links.text.push_str(&links.one);
            links.found.push((start, links.text.len(), mark));
        }
        for &(start, end, mark) in &links.found {
            if !self.seen.contains(mark) {
                self.take_on(&links.text[start..end], origin);
            }
        }
        self.links = links;
    }

    fn follow_redirect(&mut self, from: &str, to: &str, flight: &Flight) -> Result<(), String> {
        let mut target = String::new();
        canonicalize(to, self.scope.form, &mut target)
            .map_err(|e| format!("redirect to no web page: {e}"))?;
        if target == from {
            return Err("redirect to itself".into());
        }
        let redirects = flight.redirects + 1;
        if redirects > self.plan.retry.max_redirects {
            return Err(format!(
                "more than {} redirects",
                self.plan.retry.max_redirects
            ));
        }
        let is_start = flight.depth == 0;
        if is_start {
            self.scope.add_host(&target);
        }
        let depth = flight.depth;
        self.take_on(
            &target,
            Origin {
                page: Some(from),
                depth,
                redirects,
                is_start,
            },
        );
        Ok(())
    }

    /// The output record of a result.
    fn record(&self, result: &mut FetchResult<'_>, attempts: u32, failed: bool) -> Record {
        result.id = None;
        result.attempts = (attempts > 1).then_some(attempts);
        result.set_cookie.clear();
        result.sitemap.clear();
        (result.robots, result.state) = (None, None);
        if !self.plan.keep_links {
            result.links.clear();
        }
        if !self.plan.keep_body {
            (result.body, result.body_base64) = (None, None);
        }
        Record::of(result, failed)
    }

    /// Writes the record of a URL and remembers that it is finished, in one commit.
    fn finish(&mut self, id: u64, record: &Record) {
        self.log.finish(id, record.failed, &record.line);
        if let Some(class) = record.class {
            class.count(&mut self.progress);
        }
        self.progress.records += 1;
        self.progress.records_run += 1;
        match record.failed {
            true => self.progress.counts.failed += 1,
            false => self.progress.counts.done += 1,
        }
    }

    /// Makes what nobody answered pending again, at no cost: this run cannot tell.
    pub fn release_held(&mut self, now_ms: u64) {
        for held in self.outage.release() {
            self.log.defer(held.ticket.id, 0, now_ms);
            self.queue.defer(held.host, held.ticket, now_ms);
        }
    }
}

/// A stored request as it goes out, without an id.
///
/// # Errors
/// When the journal's JSON in it is none.
pub(crate) fn request_of<'a>(stored: &Stored<'a>) -> Result<Request<'a>, Failure> {
    let referer = stored.referer.map(|referer| referer.to_text(stored.url));
    let mut request = Request {
        url: stored.url.into(),
        depth: Some(stored.depth),
        priority: (stored.priority != 0).then_some(stored.priority),
        referer: referer.map(Text),
        ..Request::default()
    };
    if let Some(extra) = stored.extra {
        Extra::parse(extra)?.fill(&mut request);
    }
    Ok(request)
}
