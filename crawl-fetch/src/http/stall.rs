//! Workers that wait for a host that does not answer yet: for its name, its connection, its
//! robots.txt. After a moment they give up their place among the requests at once, so that dead
//! hosts do not take those of live ones, and ask for it back when it goes on.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long a worker waits in its place. Names and connections that come at all come sooner.
const GRACE: Duration = Duration::from_millis(250);

/// What gives places to workers.
pub trait Places: Send + Sync {
    /// The worker waits for a host.
    fn leave(&self);
    /// It goes on; waits until there is a place.
    fn enter(&self);
}

thread_local! {
    static PLACES: RefCell<Option<Arc<dyn Places>>> = const { RefCell::new(None) };
}

/// This thread is a worker and has a place while it works.
pub fn work_in(places: Arc<dyn Places>) {
    PLACES.set(Some(places));
}

/// A wait for a host; the end of it asks for the place back.
#[derive(Debug)]
pub struct Stall {
    since: Instant,
    left: bool,
}

impl Stall {
    /// The wait begins.
    pub fn begin() -> Stall {
        Stall {
            since: Instant::now(),
            left: false,
        }
    }

    /// How long to wait before [`Stall::go_on`] should be called, given all that may be waited.
    pub fn slice(&self, most: Duration) -> Duration {
        if self.left {
            most
        } else {
            most.min(GRACE.saturating_sub(self.since.elapsed()))
        }
    }

    /// The wait goes on; gives up the place when it has been a moment.
    pub fn go_on(&mut self) {
        if !self.left && self.since.elapsed() >= GRACE {
            self.leave();
        }
    }

    /// Gives up the place at once.
    pub fn leave(&mut self) {
        self.left = true;
        if let Some(places) = PLACES.with_borrow(Clone::clone) {
            places.leave();
        }
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        if self.left
            && let Some(places) = PLACES.with_borrow(Clone::clone)
        {
            places.enter();
        }
    }
}
