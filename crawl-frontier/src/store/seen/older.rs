//! What of the set is no more in its table: the table before it, on its way to the disk, and the parts there.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crawl_ckpt::mutex::lock;
use crawl_ckpt::parts::SEEN;
use crawl_ckpt::seen::{SeenPart, SeenPartWriter};
use crawl_ckpt::tool::Failure;

use super::{SeenRoom, Sorted, Table};
use crate::store::Watch;
use crate::store::unsound::Unsound;
use crate::unnamed::MAKE_ROOM;

/// So many parts of about the same size become one.
const MERGED: usize = 4;
/// A thread that writes asks so often, in fingerprints, whether anybody wants it to end.
const ASK_EVERY: u64 = 1 << 16;
const LOOK_AGAIN: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Older {
    room: SeenRoom,
    /// It is being written.
    frozen: Option<Arc<Table>>,
    parts: Vec<Arc<SeenPart>>,
    writing: Option<PartWork>,
    /// With the numbers of the parts that it makes one of.
    merging: Option<(PartWork, Vec<u64>)>,
    /// There are other parts than when it was last seen to that they are few.
    is_changed: bool,
    is_over: Arc<AtomicBool>,
    next: u64,
    /// Those that the image in force names: they must stay.
    kept: BTreeSet<u64>,
    failure: Mutex<Option<Unsound>>,
}

/// A part that a thread writes; `None` when it was told to end.
type PartWork = JoinHandle<Result<Option<SeenPart>, Unsound>>;

impl Older {
    pub fn new(room: SeenRoom, parts: Vec<Arc<SeenPart>>) -> Older {
        let kept: BTreeSet<u64> = parts.iter().map(|part| part.number()).collect();
        let older = Older {
            frozen: None,
            parts,
            writing: None,
            merging: None,
            is_changed: true,
            is_over: Arc::default(),
            next: kept.last().map_or(1, |last| last + 1),
            kept,
            failure: Mutex::default(),
            room,
        };
        if older.room.is_writer {
            older.sweep();
        }
        older
    }

    pub fn is_empty(&self) -> bool {
        self.frozen.is_none() && self.parts.is_empty()
    }

    pub fn len(&self) -> usize {
        let parts: u64 = self.parts.iter().map(|part| part.count()).sum();
        parts as usize + self.frozen.as_ref().map_or(0, |table| table.len())
    }

    /// How many the table before all this may have.
    pub fn most(&self) -> usize {
        if self.is_empty() {
            self.room.first
        } else {
            self.room.later
        }
    }

    pub fn parts(&self) -> &[Arc<SeenPart>] {
        &self.parts
    }

    pub fn frozen(&self) -> Option<&Table> {
        self.frozen.as_deref()
    }

    pub fn touch(&self, fingerprint: u128) {
        for part in &self.parts {
            std::hint::black_box(part.touch(fingerprint));
        }
    }

    /// The newest first: what was seen lately is asked for most.
    pub fn contains(&self, fingerprint: u128) -> bool {
        let in_part = |part: &Arc<SeenPart>| match part.contains(fingerprint) {
            Ok(is_there) => is_there,
            Err(error) => {
                self.fail(Unsound::part(error));
                true
            }
        };
        self.frozen()
            .is_some_and(|table| table.contains(fingerprint))
            || self.parts.iter().rev().any(in_part)
    }

    /// Takes a full table. Waits when the one before is not on the disk yet.
    pub fn put_aside(&mut self, table: Table) {
        if let Some(work) = self.writing.take() {
            self.wrote(work);
        }
        self.tend();
        let table = Arc::new(table);
        let number = self.take_number();
        self.frozen = Some(table.clone());
        let (room, is_over) = (self.room.clone(), self.is_over.clone());
        self.writing = self.start("seen", move || {
            let sorted =
                Sorted::of([&*table].into_iter(), [].into_iter()).map_err(Unsound::part)?;
            write(&room, number, table.len() as u64, sorted, &is_over)
        });
    }

    /// Takes what the threads have finished, and has parts become one.
    pub fn tend(&mut self) {
        if let Some(work) = self.writing.take_if(|work| work.is_finished()) {
            self.wrote(work);
        }
        if let Some((work, parts)) = self.merging.take_if(|(work, _)| work.is_finished()) {
            self.merged(work, &parts);
        }
        // Asked for all the time, so parts are looked at only when there are others than before.
        if self.is_changed && self.merging.is_none() {
            self.is_changed = false;
            self.merge();
        }
    }

    /// Waits until nothing is left to do.
    #[cfg(test)]
    pub fn work_off(&mut self) {
        while self.writing.is_some() || self.merging.is_some() {
            sleep(LOOK_AGAIN);
            self.tend();
        }
    }

    /// Waits until the table before is on the disk. Parts that are about to become one stay as they are.
    pub fn come_to_rest(&mut self, watch: &mut dyn Watch) {
        while let Some(work) = &self.writing
            && !work.is_finished()
            && !watch.is_in_a_hurry()
        {
            sleep(LOOK_AGAIN);
        }
        self.end();
    }

    pub fn is_sound(&self) -> bool {
        lock(&self.failure).is_none()
    }

    pub fn find_out(&self) -> Result<(), Unsound> {
        lock(&self.failure).take().map_or(Ok(()), Err)
    }

    pub fn check(&self) -> Result<(), Failure> {
        self.find_out().map_err(|unsound| {
            if self.room.is_writer {
                unsound.ends_run(&*self.room.disk, &self.room.dir)
            } else {
                unsound.ends_reading()
            }
        })
    }

    /// Removes what is no part of the set. What cannot be removed counts for nothing.
    pub fn sweep(&self) {
        let used: BTreeSet<u64> = self.parts.iter().map(|part| part.number()).collect();
        let is_used = |number| used.contains(&number);
        let _ = SEEN.sweep(&*self.room.disk, &self.room.dir, is_used);
    }

    fn merge(&mut self) {
        let size = |part: &SeenPart| {
            (part.count() / self.room.later as u64)
                .max(1)
                .ilog(MERGED as u64)
        };
        let alike = |level| {
            let alike = self.parts.iter().filter(move |part| size(part) == level);
            alike.take(MERGED).cloned().collect::<Vec<_>>()
        };
        let levels = self
            .parts
            .iter()
            .map(|part| size(part))
            .collect::<BTreeSet<_>>();
        let Some(parts) = levels
            .into_iter()
            .map(alike)
            .find(|parts| parts.len() == MERGED)
        else {
            return;
        };
        let numbers = parts.iter().map(|part| part.number()).collect();
        let number = self.take_number();
        let (room, is_over) = (self.room.clone(), self.is_over.clone());
        let work = self.start("merge", move || {
            let count = parts.iter().map(|part| part.count()).sum();
            let sorted = Sorted::of([].into_iter(), parts.iter().map(|part| &**part))
                .map_err(Unsound::part)?;
            write(&room, number, count, sorted, &is_over)
        });
        self.merging = work.map(|work| (work, numbers));
    }

    fn start(
        &self,
        name: &str,
        work: impl FnOnce() -> Result<Option<SeenPart>, Unsound> + Send + 'static,
    ) -> Option<PartWork> {
        let started = std::thread::Builder::new().name(name.into()).spawn(work);
        let failed = |e| self.fail(other(format_args!("cannot start a thread: {e}")));
        started.map_err(failed).ok()
    }

    fn wrote(&mut self, work: PartWork) {
        if let Some(part) = self.part_of(work) {
            self.parts.push(Arc::new(part));
            self.frozen = None;
            self.is_changed = true;
        }
    }

    fn merged(&mut self, work: PartWork, of: &[u64]) {
        let Some(part) = self.part_of(work) else {
            return;
        };
        self.parts.retain(|part| !of.contains(&part.number()));
        // It is older than those that came meanwhile.
        self.parts.insert(0, Arc::new(part));
        self.is_changed = true;
        for &number in of.iter().filter(|number| !self.kept.contains(number)) {
            // What cannot be removed counts for nothing.
            let _ = SEEN.remove(&*self.room.disk, &self.room.dir, number);
        }
    }

    fn part_of(&self, work: PartWork) -> Option<SeenPart> {
        let gone = || other("the thread that writes what was seen is gone");
        match work.join().unwrap_or_else(|_| Err(gone())) {
            Ok(part) => part,
            Err(unsound) => {
                self.fail(unsound);
                None
            }
        }
    }

    fn end(&mut self) {
        if let Some(work) = self.writing.take_if(|work| work.is_finished()) {
            self.wrote(work);
        }
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(work) = self.writing.take() {
            self.wrote(work);
        }
        if let Some((work, parts)) = self.merging.take() {
            self.merged(work, &parts);
        }
    }

    fn take_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn fail(&self, unsound: Unsound) {
        lock(&self.failure).get_or_insert(unsound);
    }
}

fn other(why: impl std::fmt::Display) -> Unsound {
    Unsound::Other(Failure::new(why))
}

impl Drop for Older {
    fn drop(&mut self) {
        self.end();
    }
}

/// Writes a part, unless it is told to end.
fn write(
    room: &SeenRoom,
    number: u64,
    count: u64,
    mut sorted: Sorted<'_>,
    is_over: &AtomicBool,
) -> Result<Option<SeenPart>, Unsound> {
    let failed = |e| {
        let message = format_args!("cannot write what was seen: {e}");
        Unsound::Other(Failure::new(message).hint(MAKE_ROOM))
    };
    let writer = SeenPartWriter::create(&room.disk, &room.dir, number, room.key, count);
    let mut writer = writer.map_err(failed)?;
    let mut pushed = 0_u64;
    while let Some(fingerprint) = sorted.next().map_err(Unsound::part)? {
        writer.push(fingerprint).map_err(failed)?;
        pushed += 1;
        if pushed.is_multiple_of(ASK_EVERY) && is_over.load(Ordering::Relaxed) {
            // The next run removes what cannot be removed now.
            let _ = writer.discard();
            return Ok(None);
        }
    }
    writer.finish().map(Some).map_err(failed)
}
