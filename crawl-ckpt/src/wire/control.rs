//! What crawl-run and the frontier say to each other beside the pages: JSON
//! lines over a socket that the frontier is given as a descriptor.
//!
//! crawl-run sends [`Order`]s, the first of them [`Order::Begin`]; the frontier
//! answers with [`News`]. The end of the socket means that the other side is
//! gone: the frontier then commits what it has and ends.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::human::{count, span};
use crate::plan::Plan;
use crate::price::Price;

/// From crawl-run to the frontier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The first line: what to crawl.
    Begin(Box<Begin>),
    /// Stop asking for pages, wait for those under way, commit, end.
    Pause {
        /// At most so long, in milliseconds.
        grace_ms: u64,
    },
    /// The fetcher ended.
    FetcherEnded {
        /// Its exit code; a signal leaves none.
        code: Option<i32>,
    },
    /// Go on with another crawl, once you said that you stay; [`Order::Begin`] follows. The descriptor
    /// that holds the lock of its job comes [with](crate::handed) the line.
    Next(Next),
}

/// Where the crawl lies that a frontier goes on with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Its job.
    pub job: PathBuf,
    /// What a relative output path is relative to.
    pub data_dir: PathBuf,
    /// Where its records go.
    pub output: PathBuf,
}

/// What a run of the frontier is to do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Begin {
    /// What to crawl, and how.
    pub plan: Plan,
    /// End this run after so many output records.
    pub max_records: Option<u64>,
    /// End this run after so many milliseconds.
    pub max_time_ms: Option<u64>,
    /// How long the end at a limit waits for pages under way, in milliseconds.
    pub grace_ms: u64,
    /// Requests whose end was a block or a failure are made pending again first.
    pub retry_blocked: bool,
    /// A new crawl begins where the one stood that wrote this output before it asked for what failed.
    pub retry_failed: Option<PathBuf>,
    /// Take `plan` as the checkpoint's plan from now on, though it differs.
    pub adopt_plan: bool,
    /// The text of a `cookies.txt` whose cookies are taken into the jar first.
    pub cookies: Option<String>,
    /// Tell of each URL that a cap keeps out, that is tried again, or that fails.
    pub tell_of_urls: bool,
    /// A fetcher that has requests and says nothing for so many milliseconds is to be started again.
    pub answer_within_ms: Option<u64>,
    /// The fetcher before this one ended badly: let this one show first that it works.
    pub careful: bool,
    /// A crawl none of whose start URLs gave a page is complete all the same.
    pub accept_empty: bool,
    /// What each proxy costs, by its name; one that is missing costs nothing.
    pub prices: BTreeMap<String, Price>,
    /// End before the crawl has cost more than this, in billionths.
    pub max_cost: Option<u64>,
    /// What earlier crawls learned of hosts, by origin.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hosts: BTreeMap<String, KnownHost>,
    /// What is not for everybody.
    pub secrets: Secrets,
    /// The crawl is one that many machines share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedCrawl>,
}

/// Where machines that share a crawl meet, and as what this one does.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SharedCrawl {
    /// The store, with its password.
    pub url: String,
    /// This worker.
    pub worker: String,
    /// `project/spider`.
    pub spider: String,
    /// The crawl that is meant, if one is named.
    pub crawl_id: Option<String>,
    /// The name of a crawl that begins now.
    pub new_crawl_id: String,
    /// Into how many partitions a crawl that begins is split.
    pub parts: u32,
    /// The user said how many.
    pub parts_given: bool,
    /// How many further copies a commit waits for; as many as there are, up to one, if nobody says.
    pub copies: Option<u32>,
    /// Where outputs go that are named after the crawl.
    pub crawls: Option<PathBuf>,
    /// The one file of this worker's records; there are none when neither is given.
    pub output: Option<PathBuf>,
}

impl fmt::Debug for SharedCrawl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{} {:?} {}", self.spider, self.crawl_id, self.worker);
        f.debug_tuple("SharedCrawl").field(&name).finish()
    }
}

/// A host that had to be asked through a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KnownHost {
    /// The proxy's name.
    pub proxy: String,
    /// What the host did without it, in a few words.
    pub why: String,
    /// When that was learned, in seconds since 1970.
    pub learned_s: u64,
    /// What went to it through proxies that cost something, in the crawl that told this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<ProxyUse>,
}

/// Headers, and user names and passwords of URLs, that only some are sent. They travel here and
/// are kept nowhere.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Names and values of headers for the origins of the start URLs, and for those that a start
    /// URL redirects to inside its registrable domain.
    pub headers: Vec<(String, String)>,
    /// The headers go to every host.
    pub everywhere: bool,
    /// `user:password` as a URL has it, by origin.
    pub userinfo: Vec<(String, String)>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// From the frontier to crawl-run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// The job is open and the crawl begins.
    Started(Started),
    /// Several times a second while something changes.
    Progress(Box<Progress>),
    /// Something a human should read; one line.
    Warning(String),
    /// Something for those who want to know all; one line.
    Detail(String),
    /// What became of a URL, for those who want to know all.
    Url(Box<Trial>),
    /// What the crawl waits for from now on, when there is room and nothing may be sent.
    Slow(Option<Slow>),
    /// What changed of the `cookies.txt` that the run began with: of each jar that did, its
    /// name and its lines by now.
    Cookies(BTreeMap<String, String>),
    /// What was learned of hosts, by origin, when they had to be asked through a proxy.
    Hosts(BTreeMap<String, KnownHost>),
    /// The figures of all workers together, of a crawl that they share and that is complete.
    Whole(Box<Progress>),
    /// The last line of a crawl: why it ends, with the final figures.
    Ended {
        /// Why.
        reason: EndReason,
        /// The final figures.
        progress: Box<Progress>,
        /// The crawl is complete, each request has had its answer, and the frontier has let go of
        /// all: it and its fetcher may serve another crawl, and it waits for [`Order::Next`].
        #[serde(default)]
        stays: bool,
    },
}

/// What became of an attempt to get a URL.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trial {
    /// The URL.
    pub url: String,
    /// Attempts so far.
    pub attempts: u32,
    /// The status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The kind of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What happened, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It is tried again after so many milliseconds; absent when it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// The server asked for that wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retry_after: bool,
    /// The page that it was found on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referer: Option<String>,
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wait_ms {
            Some(wait_ms) => write!(f, "again in {}", span(Duration::from_millis(wait_ms)))?,
            None => f.write_str("failed")?,
        }
        if self.retry_after {
            f.write_str(" (Retry-After)")?;
        }
        write!(f, ": {}: ", self.url)?;
        match (&self.error, self.status) {
            (Some(kind), _) => f.write_str(kind)?,
            (None, Some(status)) => write!(f, "{status}")?,
            (None, None) => f.write_str("no answer")?,
        }
        if let Some(why) = &self.why {
            write!(f, ": {why}")?;
        }
        if self.attempts > 1 || self.wait_ms.is_some() {
            write!(f, ", attempt {}", self.attempts)?;
        }
        match &self.referer {
            Some(page) => write!(f, ", found on {page}"),
            None => Ok(()),
        }
    }
}

/// Why a crawl could send more and may not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// Why.
    pub cause: Cause,
    /// Whose turn would be next, `scheme://host`; empty for the network.
    pub origin: String,
    /// The wait, or what is left of it, in milliseconds.
    pub wait_ms: u64,
}

/// What a crawl waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Nothing answers.
    Network,
    /// The host's robots.txt.
    Robots,
    /// The host asked for a pause.
    RetryAfter,
    /// The delay that its robots.txt wants.
    CrawlDelay,
    /// The delay that the user wants.
    Delay,
    /// The delay that follows trouble or latency.
    BackingOff,
    /// A URL that is tried again.
    Retry,
    /// What a later frontier knows.
    #[serde(other)]
    Other,
}

impl Cause {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Network => "no network",
            Cause::Robots => "robots.txt",
            Cause::RetryAfter => "Retry-After",
            Cause::CrawlDelay => "Crawl-delay",
            Cause::Delay => "delay",
            Cause::BackingOff => "backing off",
            Cause::Retry => "retry",
            Cause::Other => "waiting",
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.origin.split_once("://").map_or("", |(_, host)| host);
        let wait = span(Duration::from_millis(self.wait_ms));
        match self.cause {
            Cause::Network => f.write_str("waiting for the network"),
            Cause::Robots => write!(f, "waiting for robots.txt of {host}"),
            Cause::RetryAfter => write!(f, "{host} asks to wait {wait} (Retry-After)"),
            Cause::CrawlDelay => write!(f, "Crawl-delay {wait} of {host}"),
            Cause::Delay => write!(f, "delay {wait} of {host}"),
            Cause::BackingOff => write!(f, "backing off {wait} from {host}"),
            Cause::Retry => write!(f, "next retry in {wait}"),
            Cause::Other => write!(f, "waiting {wait} for {host}"),
        }
    }
}

/// The state in which a run begins.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Started {
    /// True when a checkpoint was there.
    pub resumed: bool,
    /// The figures so far.
    pub counts: Counts,
    /// Since the last commit, in seconds; 0 for a new crawl.
    pub age_s: u64,
    /// Cookies that expired since.
    pub cookies_expired: u64,
    /// Requests that were in flight when the last run ended.
    pub requeued: u64,
    /// What a store promises, in words, of a crawl that many machines share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<String>,
    /// Where the records of this worker will be, of a crawl that many machines share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
    /// The command that ends a pause of that crawl.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume: Option<String>,
    /// That crawl: `PROJECT/SPIDER/ID`, and what tells it from another of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
}

/// How many URLs are where. `seen = pending + in_flight + parked + done + failed`
/// at all times: every URL taken on is in exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Taken on, all in all.
    pub seen: u64,
    /// Waiting, retries included.
    pub pending: u64,
    /// Sent to a fetcher, no result yet.
    pub in_flight: u64,
    /// Waiting for a human's decision.
    pub parked: u64,
    /// Finished with a response.
    pub done: u64,
    /// Finished for good without a usable response.
    pub failed: u64,
}

impl Counts {
    /// URLs that are not finished. People are told these as pending, and of them the parked ones.
    pub fn unfinished(&self) -> u64 {
        let under_way = self.in_flight.saturating_add(self.parked);
        self.pending.saturating_add(under_way)
    }

    /// ` (8 parked)`, when some are: what follows the number of those that are pending.
    pub fn parked_of_them(&self) -> String {
        match self.parked {
            0 => String::new(),
            parked => format!(" ({} parked)", count(parked)),
        }
    }

    /// True when every URL taken on is in exactly one state.
    pub fn balances(&self) -> bool {
        let parts = [
            self.pending,
            self.in_flight,
            self.parked,
            self.done,
            self.failed,
        ];
        u128::from(self.seen) == parts.map(u128::from).iter().sum()
    }
}

/// The figures of a crawl, kept over a resume.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// How many URLs are where.
    pub counts: Counts,
    /// Output records of the whole crawl.
    pub records: u64,
    /// Output records of this run.
    pub records_run: u64,
    /// Bytes of decoded bodies.
    pub bytes: u64,
    /// Hosts with URLs taken on.
    pub hosts: u64,
    /// URLs taken on that no link led to: start URLs, what they redirect to, sitemaps.
    pub starts: u64,
    /// Records by status: `2xx`, `3xx`, and those of 400 and more by their code, `404`.
    pub by_status: BTreeMap<String, u64>,
    /// Records by error kind.
    pub by_error: BTreeMap<String, u64>,
    /// Links not taken on, by reason (`domain`, `rule`, `depth`, `trap`, …).
    pub dropped: BTreeMap<String, u64>,
    /// Attempts, successes and bytes a proxy.
    pub proxies: BTreeMap<String, ProxyUse>,
    /// What went through proxies that cost something, of the hosts that cost most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, ProxyUse>,
    /// Parked hosts: how many URLs wait, and what the host did.
    pub parked: BTreeMap<String, Parked>,
    /// Fields of items: how many pages had the field, and how many of them no value.
    pub fields: BTreeMap<String, FieldUse>,
    /// Further attempts made.
    pub retries: u64,
    /// URLs that the user took out of the queue: finished, and without a record.
    #[serde(skip_serializing_if = "is_zero")]
    pub withdrawn: u64,
    /// Of an incremental crawl: pages new, changed, unchanged, gone.
    pub delta: Option<Delta>,
    /// What pages did in a browser, if any was in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendered: Option<RenderUse>,
    /// Of a crawl that many machines share, how far all of them are; the other figures are then of one worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetProgress>,
}

/// How far a crawl is that many machines share, as its store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetProgress {
    /// Workers that live.
    pub workers: u64,
    /// URLs finished with a response.
    pub done: u64,
    /// URLs finished for good without a usable response.
    pub failed: u64,
    /// URLs that are not finished.
    pub pending: u64,
}

impl Progress {
    /// What all proxies cost, in billionths.
    pub fn spent(&self) -> u64 {
        let spent = self.proxies.values().map(|used| used.spent);
        spent.fold(0, u64::saturating_add)
    }
}

/// What the pages did that a browser rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RenderUse {
    /// Pages that were rendered.
    pub pages: u64,
    /// Pages that could not be.
    pub failed: u64,
    /// Pages that a limit cut short.
    pub cut: u64,
    /// Requests that pages made.
    pub requests: u64,
    /// Requests of pages that were left out: pictures, fonts, media, frames of other sites.
    pub blocked: u64,
    /// Requests of pages that the rules refused.
    pub refused: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How often a field of the items is there, and how often it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FieldUse {
    /// Pages whose item has the field.
    pub pages: u64,
    /// Items where the field is `null`, `""` or an empty list.
    pub empty: u64,
}

/// What went through one proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyUse {
    /// Requests sent.
    pub attempts: u64,
    /// Answers that were no block.
    pub successes: u64,
    /// Bytes of decoded bodies.
    pub bytes: u64,
    /// Bytes that went through it, in both directions, when it has a price.
    #[serde(skip_serializing_if = "is_zero")]
    pub wire_bytes: u64,
    /// What that costs, in billionths.
    #[serde(skip_serializing_if = "is_zero")]
    pub spent: u64,
}

/// A host that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Parked {
    /// URLs that wait.
    pub urls: u64,
    /// What the host did, in a few words.
    pub why: String,
}

/// How an incremental crawl's pages compare with the last crawl's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Delta {
    /// Pages that were not known before.
    pub new: u64,
    /// Known, and another now.
    pub changed: u64,
    /// Known, and the same; no output record.
    pub unchanged: u64,
    /// Known, and not there any more.
    pub gone: u64,
}

/// Why the frontier ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Nothing is pending.
    Complete,
    /// Told to pause.
    Paused,
    /// `max_records` or `max_time_ms` was reached with work pending.
    Limit,
    /// The next request could pass `max_cost`.
    Cost,
    /// Hosts are parked and nothing else is left.
    Parked,
    /// The results ended while requests were in flight: the fetcher is gone.
    FetcherGone,
    /// The fetcher died of requests, which were set aside.
    SetAside,
    /// The fetcher has requests and says nothing.
    FetcherSilent,
    /// No request of this run got an answer, and the wait for the network is over.
    NetworkGone,
    /// No start URL ever answered.
    NoAnswer,
    /// Start URLs answered, and none gave a page.
    NothingUseful,
    /// Somebody paused the crawl that many machines share.
    FleetPaused,
    /// For a reason that a later frontier knows; the exit code still counts.
    #[serde(other)]
    Other,
}
