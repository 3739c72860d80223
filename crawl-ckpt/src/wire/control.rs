//! What crawl-run and the frontier say to each other beside the pages: JSON
//! lines over a socket that the frontier is given as a descriptor.
//!
//! crawl-run sends [`Order`]s, the first of them [`Order::Begin`]; the frontier
//! answers with [`News`]. The end of the socket means that the other side is
//! gone: the frontier then commits what it has and ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;

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
    /// Take `plan` as the checkpoint's plan from now on, though it differs.
    pub adopt_plan: bool,
    /// The text of a `cookies.txt` whose cookies are taken into the jar first.
    pub cookies: Option<String>,
    /// Tell of each URL that a cap keeps out.
    pub list_left_out: bool,
    /// A fetcher that has requests and says nothing for so many milliseconds is to be started again.
    pub answer_within_ms: Option<u64>,
    /// The fetcher before this one ended badly: let this one show first that it works.
    pub careful: bool,
    /// A crawl none of whose start URLs gave a page is complete all the same.
    pub accept_empty: bool,
    /// What is not for everybody.
    pub secrets: Secrets,
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

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
    /// What changed of the `cookies.txt` that the run began with: of each jar that did, its
    /// name and its lines by now.
    Cookies(BTreeMap<String, String>),
    /// The last line: why the frontier ends, with the final figures.
    Ended {
        /// Why.
        reason: EndReason,
        /// The final figures.
        progress: Box<Progress>,
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
    /// URLs that are not finished.
    pub fn unfinished(&self) -> u64 {
        let under_way = self.in_flight.saturating_add(self.parked);
        self.pending.saturating_add(under_way)
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
    /// Parked hosts: how many URLs wait, and what the host did.
    pub parked: BTreeMap<String, Parked>,
    /// Fields of items: how many pages had the field, and how many of them no value.
    pub fields: BTreeMap<String, FieldUse>,
    /// Further attempts made.
    pub retries: u64,
    /// Of an incremental crawl: pages new, changed, unchanged, gone.
    pub delta: Option<Delta>,
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
    /// For a reason that a later frontier knows; the exit code still counts.
    #[serde(other)]
    Other,
}
