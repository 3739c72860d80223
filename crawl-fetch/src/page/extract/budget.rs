//! What reading one page may cost: steps, which its tree, its selectors, its article and its
//! Markdown all take from. A step is about ten nanoseconds of a core, and looks at one element
//! or 16 bytes.
//!
//! Steps are counted and time is not, so a page gives the same item on every machine. What
//! libraries do is not counted while they do it: they get pages of bounded depth and size.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// So many steps a page may cost: about a second of a core. Selectors with `:has`, `:contains`
/// or `~` can ask for as many as the square of its elements.
pub const MAX_STEPS: usize = 100_000_000;

/// An item holds at most so many bytes of text.
pub const MAX_ITEM_BYTES: usize = 4 << 20;

/// Bytes that are read in the time of a step.
pub const STEP_BYTES: usize = 16;

/// The steps that a page has left.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
    cut: AtomicBool,
    short: AtomicBool,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            left: AtomicUsize::new(MAX_STEPS),
            cut: AtomicBool::new(false),
            short: AtomicBool::new(false),
        }
    }
}

impl Budget {
    /// For the next page.
    pub fn renew(&mut self) {
        *self = Budget::default();
    }

    /// Takes steps; false when none are left.
    pub fn take(&self, steps: usize) -> bool {
        // One thread at a time reads a page, so nothing is lost between the two.
        let left = self.left.load(Relaxed).saturating_sub(steps);
        self.left.store(left, Relaxed);
        left > 0
    }

    /// Takes the steps of reading so many bytes.
    pub fn take_bytes(&self, bytes: usize) -> bool {
        self.take(bytes / STEP_BYTES)
    }

    /// Takes steps of work before the selectors', for which half of all is left.
    pub fn take_half(&self, steps: usize) -> bool {
        self.take(steps) && self.left.load(Relaxed) > MAX_STEPS / 2
    }

    /// True when no steps are left.
    pub fn is_spent(&self) -> bool {
        self.left.load(Relaxed) == 0
    }

    /// Something is left out that would take too long.
    pub fn cut(&self) {
        self.cut.store(true, Relaxed);
    }

    /// This machine has not enough for the page now.
    pub fn fall_short(&self) {
        self.short.store(true, Relaxed);
    }

    /// True when the page is to be read again.
    pub fn is_short(&self) -> bool {
        self.short.load(Relaxed)
    }

    /// True when something was left out.
    pub fn is_cut(&self) -> bool {
        self.is_spent() || self.cut.load(Relaxed)
    }
}
