//! What became of an entry of a batch: one line of its state.

use std::path::PathBuf;

use crawl_ckpt::control::Progress;
use serde::{Deserialize, Serialize};

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The crawl was not begun.
    Waiting,
    /// Begun; when nobody holds the batch, its run died and it goes on with the next one.
    Running,
    /// Paused by a signal.
    Paused,
    /// Stopped at `--max-time`.
    Stopped,
    /// Another run held the spider's job.
    Held,
    /// Hosts wait for a human's decision.
    Parked,
    /// Failed; `failures` says whether it is tried again.
    Failed,
    /// Failed in a way that no retry mends.
    Broken,
    /// Complete.
    Done,
}

/// An entry and what became of it: one line of the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// As in the list, without user name and password.
    pub site: String,
    /// The project of the entry.
    pub project: String,
    /// The directory of the spider's job, once known, relative to the data directory when
    /// under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<PathBuf>,
    /// What became of it.
    pub stage: Stage,
    /// How often it failed.
    #[serde(default)]
    pub failures: u32,
    /// Output records of the crawl.
    #[serde(default)]
    pub records: u64,
    /// URLs that wait.
    #[serde(default)]
    pub pending: u64,
    /// What proxies cost it in this batch, in billionths.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spent: u64,
    /// What its crawl had cost, all in all, when that was counted last.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub counted_at: u64,
    /// Why it is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record {
    /// Takes over the figures of its crawl.
    pub fn take(&mut self, progress: &Progress) {
        self.records = progress.records;
        self.pending = progress.counts.unfinished();
        self.count_costs(progress);
    }

    /// Counts what its crawl has cost since that was counted last. A crawl that has cost less began anew.
    fn count_costs(&mut self, progress: &Progress) {
        let now = progress.spent();
        let before = std::mem::replace(&mut self.counted_at, now);
        self.spent += now.checked_sub(before).unwrap_or(now);
    }

    /// True when no run of this batch would do anything about it.
    pub fn is_settled(&self, retries: u32) -> bool {
        match self.stage {
            Stage::Done | Stage::Broken | Stage::Parked => true,
            Stage::Failed => self.failures > retries,
            _ => false,
        }
    }
}
