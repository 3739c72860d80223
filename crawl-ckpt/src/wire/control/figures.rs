//! The figures of a crawl: how many URLs are where, what came of them, what that cost.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::human::count;

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

/// So many parked hosts are named in each commit, and there may be a hundred thousand.
pub const NAMED: usize = 100;

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
    /// Hosts with URLs that are parked.
    #[serde(skip_serializing_if = "is_zero")]
    pub parked_hosts: u64,
    /// The [`NAMED`] of them with the most URLs, and all at the end of a run: how many URLs wait, and what the host did.
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

    /// Hosts with URLs that are parked. Older figures name all of them and have no number.
    pub fn hosts_parked(&self) -> u64 {
        self.parked_hosts.max(self.parked.len() as u64)
    }

    /// Parked hosts that are not named.
    pub fn hosts_unnamed(&self) -> u64 {
        self.hosts_parked() - self.parked.len() as u64
    }

    /// Names no more of the parked hosts than a commit does.
    pub fn name_few(&mut self) {
        self.parked_hosts = self.hosts_parked();
        if self.parked.len() > NAMED {
            let mut hosts: Vec<_> = std::mem::take(&mut self.parked).into_iter().collect();
            hosts.sort_by_key(|(_, host)| Reverse(host.urls));
            self.parked.extend(hosts.into_iter().take(NAMED));
        }
    }

    /// Leaves nothing parked.
    pub fn forget_parked(&mut self) {
        (self.counts.parked, self.parked_hosts) = (0, 0);
        self.parked.clear();
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
