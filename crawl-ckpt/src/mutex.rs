//! What threads share, also after one of them has panicked: a panic ends one page or one crawl,
//! and what is shared is whole between any two statements that change it. So the others go on.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also one with which a thread has panicked.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// The guard that a condition variable or another lock gives, also when a thread has panicked with it.
pub fn unpoisoned<G>(result: LockResult<G>) -> G {
    result.unwrap_or_else(PoisonError::into_inner)
}
