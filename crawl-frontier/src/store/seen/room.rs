//! How much of the set may be in memory, and where the rest of it lies.

use std::path::PathBuf;
use std::sync::Arc;

use crawl_ckpt::durable::Disk;
use crawl_ckpt::error::StoreError;
use crawl_ckpt::job::Job;
use crawl_ckpt::parts::WAITING;
use crawl_ckpt::seen::SeenPart;
use crawl_ckpt::waiting::WaitingPart;

use crate::rules::KeptRules;
use crate::store::lanes::LanesRoom;

/// What a fingerprint takes in a table that has just grown.
const TABLE_BYTES: usize = 30;
/// A table that is smaller is not worth a file.
const LEAST: usize = 1 << 16;

/// The room of a set.
#[derive(Debug, Clone)]
pub struct SeenRoom {
    pub(in crate::store) disk: Arc<dyn Disk>,
    pub(in crate::store) dir: PathBuf,
    pub(in crate::store) key: [u8; 16],
    /// As long as there are no parts, so many fingerprints are in memory at most …
    pub(in crate::store) first: usize,
    /// … and so many later: the table before it may still be on its way to the disk.
    pub(in crate::store) later: usize,
    pub(in crate::store) is_writer: bool,
    pub(in crate::store) waiting: Option<LanesRoom>,
    /// Whether rules of robots.txt are kept.
    pub(in crate::store) keeps_rules: bool,
}

impl SeenRoom {
    /// For who only reads: what is on the disk of what was seen stays there, all else is in memory.
    pub fn reading(job: &Job) -> SeenRoom {
        SeenRoom {
            disk: job.disk().clone(),
            dir: job.place().dir.clone(),
            key: job.manifest().key,
            first: usize::MAX,
            later: usize::MAX,
            is_writer: false,
            waiting: None,
            keeps_rules: true,
        }
    }

    /// The same for who asks no rules of robots.txt and has so much memory: an eighth of it is for what waits.
    pub fn looking(memory_bytes: u64, job: &Job) -> SeenRoom {
        let reading = SeenRoom::reading(job);
        SeenRoom {
            keeps_rules: false,
            waiting: Some(reading.lanes(memory_bytes)),
            ..reading
        }
    }

    fn lanes(&self, memory_bytes: u64) -> LanesRoom {
        LanesRoom::new(self.disk.clone(), self.dir.clone(), memory_bytes / 8)
    }

    /// Where the rules of robots.txt are kept.
    pub fn rules(&self) -> KeptRules {
        if self.keeps_rules {
            KeptRules::within(self.waiting.as_ref().map(|room| room.aside()))
        } else {
            KeptRules::none()
        }
    }

    /// The part with this number.
    pub fn open(&self, number: u64) -> Result<SeenPart, StoreError> {
        SeenPart::open(&*self.disk, &self.dir, number, self.key)
    }

    /// The part of what waits with this number.
    pub fn open_waiting(&self, number: u64) -> Result<WaitingPart, StoreError> {
        WaitingPart::open(&*self.disk, &self.dir, number, self.key)
    }

    /// Removes the parts of what waits but for the one that the image in force names. What cannot be removed counts
    /// for nothing.
    pub fn sweep_waiting(&self, named: Option<u64>) {
        if self.is_writer {
            let _ = WAITING.sweep(&*self.disk, &self.dir, |number| Some(number) == named);
        }
    }

    /// What is left for the requests that wait; `None`: all of them stay in memory.
    pub fn waiting(&self) -> Option<LanesRoom> {
        self.waiting.clone()
    }

    /// For the one who writes: half of the memory is for the set, an eighth for what waits. An index of 1.5 bytes a URL on the disk comes
    /// on top.
    ///
    /// # Errors
    /// When somebody else writes in the job.
    pub fn within(memory_bytes: u64, job: &mut Job) -> Result<SeenRoom, StoreError> {
        job.claim()?;
        let fit = usize::try_from(memory_bytes).unwrap_or(usize::MAX) / TABLE_BYTES;
        let mut room = SeenRoom::reading(job);
        (room.first, room.later) = ((fit / 2).max(LEAST), (fit / 8).max(LEAST));
        room.is_writer = true;
        room.waiting = Some(room.lanes(memory_bytes));
        Ok(room)
    }
}
