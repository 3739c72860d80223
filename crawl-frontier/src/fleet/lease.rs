//! What the threads of a worker know of a partition that it owns.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crawl_ckpt::fleet::FRESH_MS;

/// A partition that this worker owns, as its threads see it.
#[derive(Debug)]
pub struct Lease {
    /// Of this ownership.
    pub epoch: u64,
    began: Instant,
    /// When it was renewed last, in milliseconds since it began.
    renewed_ms: AtomicU64,
    /// Batches that are durable.
    durable: AtomicU64,
    is_lost: AtomicBool,
}

impl Lease {
    /// One that was asked for at this time.
    pub fn new(epoch: u64, asked: Instant, durable: u64) -> Lease {
        Lease {
            epoch,
            began: asked,
            renewed_ms: AtomicU64::new(0),
            durable: AtomicU64::new(durable),
            is_lost: AtomicBool::new(false),
        }
    }

    /// It was renewed, by a call that began at this time.
    pub fn renewed(&self, asked: Instant) {
        let at_ms = asked.saturating_duration_since(self.began).as_millis() as u64;
        self.renewed_ms.fetch_max(at_ms, Ordering::SeqCst);
    }

    /// Somebody else owns the partition.
    pub fn lose(&self) {
        self.is_lost.store(true, Ordering::SeqCst);
    }

    /// True when somebody else owns the partition.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::SeqCst)
    }

    /// True while nobody else can own the partition, so that its pages may be asked for.
    pub fn is_fresh(&self) -> bool {
        let now_ms = self.began.elapsed().as_millis() as u64;
        let renewed_ms = self.renewed_ms.load(Ordering::SeqCst);
        !self.is_lost() && now_ms.saturating_sub(renewed_ms) < FRESH_MS
    }

    /// So many batches are durable.
    pub fn reached(&self, seq: u64) {
        self.durable.fetch_max(seq, Ordering::SeqCst);
    }

    /// How many batches are durable.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::SeqCst)
    }
}
