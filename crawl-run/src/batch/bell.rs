//! Carries the signals that this process gets to every crawl that runs in it.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::stage::Event;

/// Rings in all crawls at once.
#[derive(Debug, Default)]
pub struct Bell {
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    /// The first signal that came.
    first: Option<i32>,
    ears: HashMap<usize, Sender<Event>>,
}

impl Bell {
    /// A signal came: every crawl hears of it.
    pub fn ring(&self, signal: i32) {
        let mut listeners = self.listeners();
        listeners.first.get_or_insert(signal);
        for ear in listeners.ears.values() {
            // A crawl that has ended hears nothing.
            let _ = ear.send(Event::Signal(signal));
        }
    }

    /// The first signal that came, if any.
    pub fn first(&self) -> Option<i32> {
        self.listeners().first
    }

    /// A crawl that begins listens from now on; false when a signal came before it could.
    pub fn listen(&self, number: usize, ear: Sender<Event>) -> bool {
        let mut listeners = self.listeners();
        if listeners.first.is_none() {
            listeners.ears.insert(number, ear);
        }
        listeners.first.is_none()
    }

    /// A crawl has ended.
    pub fn leave(&self, number: usize) {
        self.listeners().ears.remove(&number);
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn everybody_who_listens_hears_and_nobody_begins_after_a_signal() {
        let bell = Bell::default();
        let (ear, heard) = channel();
        assert!(bell.listen(1, ear.clone()));
        assert!(bell.listen(2, ear.clone()));
        bell.leave(2);
        bell.ring(15);
        bell.ring(2);
        assert!(!bell.listen(3, ear));
        assert_eq!(heard.try_iter().count(), 2);
        assert_eq!(bell.first(), Some(15));
    }
}
