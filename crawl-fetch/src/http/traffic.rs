//! How many bytes go over the network for a request. All that is sent and received for it is so by
//! the thread that makes it.

use std::cell::Cell;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

thread_local! {
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// So many bytes were sent or received on this thread.
pub fn passed(bytes: usize) {
    BYTES.set(BYTES.get().wrapping_add(bytes as u64));
}

/// The bytes that ever were. Only differences mean something.
pub fn all() -> u64 {
    BYTES.get()
}

/// So many bytes were sent or received, if nobody counted them.
fn passed_since(before: u64, bytes: usize) {
    if all() == before {
        passed(bytes);
    }
}

/// Around a connection that may not count itself: ureq makes those to socks5 proxies.
#[derive(Debug)]
pub struct Counted<T>(pub T);

impl<T: Transport> Transport for Counted<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let before = all();
        let sent = self.0.transmit_output(amount, timeout);
        passed_since(before, amount);
        sent
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let before = (all(), self.0.buffers().input().len());
        let more = self.0.await_input(timeout)?;
        passed_since(before.0, self.0.buffers().input().len() - before.1);
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
