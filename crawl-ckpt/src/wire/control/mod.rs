//! What crawl-run and the frontier say to each other beside the pages: JSON
//! lines over a socket that the frontier is given as a descriptor.
//!
//! crawl-run sends [`Order`]s, the first of them [`Order::Begin`]; the frontier
//! answers with [`News`]. The end of the socket means that the other side is
//! gone: the frontier then commits what it has and ends.

mod figures;
mod slow;
mod trial;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::price::Price;

pub use figures::{
    Counts, Delta, FieldUse, FleetProgress, NAMED, Parked, Progress, ProxyUse, RenderUse,
};
pub use slow::{Cause, Slow};
pub use trial::Trial;

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
