//! What all partitions of a worker are opened with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crawl_ckpt::control::Begin;
use crawl_ckpt::fleet::{Depot, output_part};

use super::bell::Bell;
use crate::crawl::Split;

/// What a worker has for each of its partitions.
#[derive(Debug)]
pub struct Workshop {
    /// The copies of journals lie in it.
    pub dir: PathBuf,
    /// The parts of the output lie in it; there is no output without.
    pub parts_dir: Option<PathBuf>,
    /// This worker.
    pub worker: String,
    /// What is crawled.
    pub begin: Begin,
    /// Of all partitions.
    pub key: [u8; 16],
    /// How URLs are shared out.
    pub split: Split,
    /// For all partitions together.
    pub memory_bytes: u64,
    /// Copies of this connection are made for each partition.
    pub engine: Box<dyn Depot>,
    /// The crawl itself asks by this one, and so waits for no answer long.
    pub hasty: Box<dyn Depot>,
    /// So long a store that does not answer is waited for.
    pub patience: Duration,
    /// Wakes the crawl.
    pub bell: Bell,
    /// A journal that grew by less is not rewritten.
    pub least_grown: u64,
    /// One of its partitions has its journal rewritten.
    pub turn: Arc<AtomicBool>,
}

impl Workshop {
    /// The name of this worker's output part of a partition.
    pub fn output(&self, part: u32) -> String {
        output_part(part, &self.worker)
    }

    /// True when a start URL lies in a partition.
    pub fn begins_in(&self, part: u32) -> bool {
        let starts = &self.begin.plan.start_urls;
        starts.iter().any(|url| self.split.of(url) == part)
    }
}
