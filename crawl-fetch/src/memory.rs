//! One budget for the memory of answers under way (`--body-memory`): bodies as they came and
//! decoded, what is made of them, and their result lines.
//!
//! Small answers cost nothing here. Of the large ones the oldest may always go on, whatever it
//! needs, so that a page larger than the budget goes through, alone, and nobody waits for ever;
//! a part of the budget is kept for it. The others wait until there is room.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Instant;

use crawl_ckpt::mutex::{lock, unpoisoned};

use crate::failure::Failure;

/// An answer that needs no more than this is not counted. Most need no more.
pub const FREE_BYTES: usize = 64 << 10;

/// The allocator gives blocks of at least this size back to the system when they are free,
/// rather than keep them for a page as large.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVE_BACK_BYTES: i32 = 1 << 20;

/// Where the budget is kept. Shared by all workers.
#[derive(Debug)]
pub struct Memory {
    /// For all but the oldest.
    common: usize,
    state: Mutex<Ledger>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct Ledger {
    used: usize,
    next: u64,
    /// Answers that are counted, the oldest first.
    holders: BTreeSet<u64>,
}

/// What one answer has of it.
#[derive(Debug)]
pub struct Share {
    /// None: it is not counted.
    memory: Option<Arc<Memory>>,
    place: Option<u64>,
    bytes: usize,
    /// How much of that is taken from the budget.
    counted: usize,
    /// Room is waited for until then.
    patience: Option<Instant>,
}

impl Memory {
    /// Nothing is used yet.
    pub fn new(bytes: usize) -> Arc<Memory> {
        Arc::new(Memory {
            // The oldest has the larger part: a tree is many times its page.
            common: bytes / 8 * 3,
            state: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    /// The share of an answer. Room is waited for until then.
    pub fn share(self: &Arc<Self>, patience: Option<Instant>) -> Share {
        Share {
            memory: Some(Arc::clone(self)),
            place: None,
            bytes: 0,
            counted: 0,
            patience,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.state)
    }
}

impl Share {
    /// Of an answer that is small by other limits.
    pub fn uncounted() -> Share {
        Share {
            memory: None,
            place: None,
            bytes: 0,
            counted: 0,
            patience: None,
        }
    }

    /// The answer has arrived: no server waits any more, and room is waited for without end.
    pub fn be_patient(&mut self) {
        self.patience = None;
    }

    /// Takes as much more; waits until there is room.
    ///
    /// # Errors
    /// When there was none in time.
    pub fn take(&mut self, more: usize) -> Result<(), Failure> {
        self.bytes += more;
        let Some(memory) = &self.memory else {
            return Ok(());
        };
        if self.bytes <= FREE_BYTES {
            return Ok(());
        }
        // What was free so far counts from now on.
        let uncounted = self.bytes - self.counted;
        let mut state = memory.lock();
        let place = *self.place.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        state.holders.insert(place);
        loop {
            let is_oldest = state.holders.first() == Some(&place);
            if is_oldest || state.used.saturating_add(uncounted) <= memory.common {
                state.used = state.used.saturating_add(uncounted);
                self.counted = self.bytes;
                return Ok(());
            }
            state = match self
                .patience
                .map(|until| until.checked_duration_since(Instant::now()))
            {
                None => unpoisoned(memory.freed.wait(state)),
                Some(Some(left)) if !left.is_zero() => {
                    let woken = memory.freed.wait_timeout(state, left);
                    unpoisoned(woken).0
                }
                Some(_) => {
                    self.bytes -= more;
                    return Err(Failure::shortage("--body-memory is used up by large pages"));
                }
            };
        }
    }

    /// Gives so much back.
    pub fn give_back(&mut self, less: usize) {
        self.bytes = self.bytes.saturating_sub(less);
        let free = self.counted.saturating_sub(self.bytes);
        if let Some(memory) = self.memory.as_ref().filter(|_| free > 0) {
            self.counted -= free;
            memory.lock().used -= free;
            memory.freed.notify_all();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let (Some(memory), Some(place)) = (&self.memory, self.place) {
            let mut state = memory.lock();
            state.used -= self.counted;
            state.holders.remove(&place);
            drop(state);
            memory.freed.notify_all();
        }
    }
}

/// Lets memory that a large page needed go back to the system when it is free.
#[allow(unsafe_code)]
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it only sets a number, before other threads run.
    unsafe {
        // Where it is refused, memory is only kept longer.
        let _ = libc::mallopt(libc::M_MMAP_THRESHOLD, GIVE_BACK_BYTES);
        // Setting that one ends the other's growth with use, and a heap that is cut back after
        // each page takes 5 % of a crawl's time.
        let _ = libc::mallopt(libc::M_TRIM_THRESHOLD, 16 * GIVE_BACK_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn small_answers_do_not_count_and_large_ones_do_as_a_whole() {
        let memory = Memory::new(1 << 20);
        let mut share = memory.share(None);
        share.take(FREE_BYTES).unwrap();
        assert_eq!(memory.lock().used, 0);
        share.take(1).unwrap();
        assert_eq!(memory.lock().used, FREE_BYTES + 1);
        share.give_back(2);
        assert_eq!(memory.lock().used, FREE_BYTES - 1);
        let mut second = memory.share(Some(Instant::now()));
        second.take(1000).unwrap();
        second.take(1 << 20).unwrap_err();
        assert_eq!((second.bytes, second.counted), (1000, 0));
        drop(second);
        drop(share);
        let state = memory.lock();
        assert_eq!((state.used, state.holders.len()), (0, 0));
    }

    #[test]
    fn the_oldest_goes_on_and_the_others_wait_their_turn() {
        let memory = Memory::new(1 << 20);
        let mut oldest = memory.share(None);
        oldest.take(100 << 20).unwrap();
        let mut hasty = memory.share(Some(Instant::now()));
        assert!(hasty.take(1 << 20).unwrap_err().is_shortage);
        drop(hasty);
        let (told, heard) = mpsc::channel();
        let other = Arc::clone(&memory);
        let waiting = thread::spawn(move || {
            let mut share = other.share(None);
            told.send(()).unwrap();
            share.take(200 << 20).unwrap();
            share.bytes
        });
        heard.recv().unwrap();
        oldest.take(1 << 20).unwrap();
        drop(oldest);
        assert_eq!(waiting.join().unwrap(), 200 << 20);
        assert_eq!(memory.lock().used, 0);
    }

    #[test]
    fn many_large_answers_all_come_to_their_end() {
        let memory = Memory::new(8 << 20);
        let workers = (0..16).map(|_| {
            let memory = Arc::clone(&memory);
            thread::spawn(move || {
                for _ in 0..50 {
                    let mut share = memory.share(None);
                    (0..32).for_each(|_| share.take(100_000).unwrap());
                }
            })
        });
        workers
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        assert_eq!(memory.lock().used, 0);
    }
}
