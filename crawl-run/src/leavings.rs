//! Files of small checkpoints whose crawls are complete, in a batch: they are removed together. A file system
//! that passes over what was removed in the last minutes whenever it makes a file (ext4) takes a quarter of the
//! time of a batch of small sites for that, when each of them removes its own.

use std::cell::RefCell;

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::error::StoreError;
use crawl_ckpt::job::{self, JobPlace};
use crawl_ckpt::lock::JobLock;

/// With more URLs a checkpoint may take much of the disk, and is removed at once.
const FEW_URLS: u64 = 1000;

/// What one crawl after another leaves.
#[derive(Debug, Default)]
pub struct Leavings(RefCell<Vec<JobPlace>>);

impl Leavings {
    /// Removes the checkpoint of a complete crawl that saw so many URLs: it is gone when this returns, its files
    /// perhaps later.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn remove(&self, place: &JobPlace, urls: u64, lock: &JobLock) -> Result<(), StoreError> {
        if urls > FEW_URLS {
            return job::remove(&RealDisk, place, lock);
        }
        job::put_away(&RealDisk, place, lock)?;
        self.0.borrow_mut().push(place.clone());
        Ok(())
    }
}

/// What cannot be removed, or is somebody else's by now, is left to the next run of its spider.
impl Drop for Leavings {
    fn drop(&mut self) {
        for place in self.0.take() {
            if let Ok(lock) = JobLock::acquire(&place) {
                let _ = job::clear_leftovers(&RealDisk, &place, &lock);
            }
        }
    }
}
