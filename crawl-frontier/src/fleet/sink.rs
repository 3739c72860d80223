//! Where the batches of a partition go: a copy to this machine's disk, the truth to the store.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crawl_ckpt::fleet::{Depot, DepotError, Fate, Written};
use crawl_ckpt::hex;
use crawl_ckpt::job::OUTPUT;
use crawl_ckpt::journal::{ClosedBatch, Mark, Reader, Writer};
use crawl_ckpt::tool::{Exit, Failure};

use super::bell::Bell;
use super::lease::Lease;
use crate::store::{HeldJob, Sink};

/// The least and the most time between two tries.
const AGAIN: (Duration, Duration) = if cfg!(test) {
    // The engine of tests is there at once, or never.
    (Duration::ZERO, Duration::ZERO)
} else {
    (Duration::from_millis(20), Duration::from_secs(1))
};

/// The journal of a partition.
#[derive(Debug)]
pub struct StoreSink {
    pub copy: Writer,
    pub engine: Box<dyn Depot>,
    pub part: u32,
    /// The output part of this worker.
    pub output: String,
    pub lease: Arc<Lease>,
    /// So long a store that does not answer is waited for.
    pub patience: Duration,
    pub bell: Bell,
}

impl Sink for StoreSink {
    fn append(&mut self, batch: &ClosedBatch) -> Result<Mark, Failure> {
        let prev = hex::encode(&self.copy.end().sum);
        let (end, bytes) = self.copy.append_copied(batch)?;
        let output = batch.files().get(OUTPUT);
        let written = Written {
            epoch: self.lease.epoch,
            seq: end.seq,
            sum: &hex::encode(&end.sum),
            prev: &prev,
            bytes: &bytes,
            output: output.map(|len| (&*self.output, *len)),
            counts: batch.counts(),
        };
        let (engine, part, lease) = (&mut self.engine, self.part, &self.lease);
        let (fate, asked) = insist(self.patience, || {
            let asked = Instant::now();
            // Nobody waits for a node that does not answer, when another has the partition.
            if lease.is_lost() {
                return Ok((Fate::Fenced, asked));
            }
            Ok((engine.commit(part, &written)?, asked))
        })?;
        if fate == Fate::Gap {
            return Err(gap(part, end.seq));
        }
        if fate == Fate::Fenced {
            self.lease.lose();
            self.bell.ring();
            let message = format!("another worker owns partition {part} by now");
            return Err(Failure::new(message));
        }
        self.lease.renewed(asked);
        self.lease.reached(end.seq);
        self.bell.ring();
        Ok(end)
    }

    fn go_on_anew(&mut self, job: &mut HeldJob, reader: &Reader) -> Result<(), Failure> {
        // In the store the journal stays one.
        self.copy = job.go_on_anew(&self.copy, reader)?;
        Ok(())
    }
}

/// Asks until there is an answer, for so long.
pub fn insist<T>(
    patience: Duration,
    ask: impl FnMut() -> Result<T, DepotError>,
) -> Result<T, Failure> {
    patiently(patience, ask).map_err(|error| unreachable(&error))
}

/// The same; gives the store's own error.
pub fn patiently<T>(
    patience: Duration,
    mut ask: impl FnMut() -> Result<T, DepotError>,
) -> Result<T, DepotError> {
    let (begun, mut pause) = (Instant::now(), AGAIN.0);
    loop {
        match ask() {
            Err(DepotError::Unsure(_)) if begun.elapsed() < patience => {
                sleep(pause);
                pause = (pause * 2).min(AGAIN.1);
            }
            told => return told,
        }
    }
}

/// Committed batches of a partition are not there any more.
pub fn gap(part: u32, seq: u64) -> Failure {
    let message = format!(
        "the store lost committed batches of partition {part}: number {seq} does not follow what is there"
    );
    Failure::with(Exit::Damaged, message)
}

/// The same of a partition of which the store confirmed so many batches, and has so many.
pub fn lost(part: u32, confirmed: u64, has: u64) -> Failure {
    let message = format!(
        "the store lost committed batches of partition {part}: it confirmed {confirmed}, and has {has}"
    );
    Failure::with(Exit::Damaged, message)
}

/// The store did not do what it was to.
pub fn unreachable(error: &DepotError) -> Failure {
    error.clone().into()
}
