//! Carries the signals that this process gets to every crawl that runs in it.

use std::collections::HashMap;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard};

use crawl_ckpt::mutex::lock;

use crate::stage::Event;

/// Who is told of a signal: all crawls at once.
#[derive(Debug, Default)]
pub struct Relay {
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    /// The first signal that came.
    first: Option<i32>,
    crawls: HashMap<usize, Sender<Event>>,
}

impl Relay {
    /// A signal came: every crawl hears of it.
    pub fn send(&self, signal: i32) {
        let mut listeners = self.listeners();
        listeners.first.get_or_insert(signal);
        for crawl in listeners.crawls.values() {
            // A crawl that has ended hears nothing.
            let _ = crawl.send(Event::Signal(signal));
        }
    }

    /// The first signal that came, if any.
    pub fn first(&self) -> Option<i32> {
        self.listeners().first
    }

    /// A crawl that begins listens from now on; false when a signal came before it could.
    pub fn listen(&self, number: usize, crawl: Sender<Event>) -> bool {
        let mut listeners = self.listeners();
        if listeners.first.is_none() {
            listeners.crawls.insert(number, crawl);
        }
        listeners.first.is_none()
    }

    /// A crawl has ended.
    pub fn leave(&self, number: usize) {
        self.listeners().crawls.remove(&number);
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        lock(&self.listeners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn everybody_who_listens_hears_and_nobody_begins_after_a_signal() {
        let relay = Relay::default();
        let (crawl, heard) = channel();
        assert!(relay.listen(1, crawl.clone()));
        assert!(relay.listen(2, crawl.clone()));
        relay.leave(2);
        relay.send(15);
        relay.send(2);
        assert!(!relay.listen(3, crawl));
        assert_eq!(heard.try_iter().count(), 2);
        assert_eq!(relay.first(), Some(15));
    }
}
