//! The heads of an exchange as they travelled, byte for byte: ureq gives them away only parsed,
//! with names in lower case and their order lost.
//!
//! A [`Tap`] stands below [`Plain`](crate::http::plain::Plain), so it sees what the server sent,
//! and above TLS. It copies what passes until the answer's final head is there; bodies are taken
//! where they are read. A request has its connection on one thread, which is why the heads lie
//! with the thread, as the note of [`tcp`](crate::http::tcp) does.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::IpAddr;

use memchr::memchr;
use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use crate::http::plain_head::{MAX_HEAD, is_interim, is_whole};

thread_local! {
    static HEADS: RefCell<Heads> = RefCell::default();
    /// Where the newest TCP connection leads.
    static DIALED: Cell<Option<IpAddr>> = const { Cell::new(None) };
}

/// What is known of the exchange that this thread has.
#[derive(Debug, Default)]
pub struct Heads {
    /// The head that was sent, with the blank line.
    pub request: Vec<u8>,
    /// Bytes that were sent behind it.
    pub body_sent: usize,
    /// The final head that came, with the blank line.
    pub response: Vec<u8>,
    /// The server, unless a proxy stands before it.
    pub peer: Option<IpAddr>,
    is_answered: bool,
}

/// Begins a new exchange on this thread.
pub fn begin() {
    HEADS.with_borrow_mut(|heads| {
        heads.request.clear();
        heads.response.clear();
        (heads.body_sent, heads.peer, heads.is_answered) = (0, None, false);
    });
}

/// Looks at the exchange of this thread; `None` when no whole head of an answer came.
pub fn look<R>(with: impl FnOnce(&Heads) -> R) -> Option<R> {
    HEADS.with_borrow(|heads| heads.is_answered.then(|| with(heads)))
}

/// Notes where a connection leads.
pub fn note_dialed(to: IpAddr) {
    DIALED.set(Some(to.to_canonical()));
}

impl Heads {
    fn sent(&mut self, bytes: &[u8]) {
        if self.request.ends_with(b"\r\n\r\n") {
            self.body_sent += bytes.len();
            return;
        }
        // The blank line may have come in two pieces.
        let from = self.request.len().saturating_sub(3);
        self.request.extend_from_slice(bytes);
        let end = (self.request[from..].windows(4)).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let end = from + end + 4;
            self.body_sent = self.request.len() - end;
            self.request.truncate(end);
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !self.is_answered && !rest.is_empty() {
            let line = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            self.response.extend_from_slice(&rest[..line]);
            rest = &rest[line..];
            if self.response.trim_ascii().is_empty() || self.response.len() > MAX_HEAD {
                self.response.clear();
            } else if is_whole(&self.response) {
                if is_interim(&self.response) {
                    self.response.clear();
                } else {
                    self.is_answered = true;
                }
            }
        }
    }
}

/// Around a connection whose heads are kept.
pub struct Tap<T> {
    inner: T,
    peer: Option<IpAddr>,
}

impl<T: Transport> Tap<T> {
    /// Around the connection that was just made; through a proxy, nobody knows where it leads.
    pub fn new(inner: T, is_direct: bool) -> Tap<T> {
        Tap {
            inner,
            peer: DIALED.take().filter(|_| is_direct),
        }
    }
}

impl<T: Transport> Transport for Tap<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let sent = &self.inner.buffers().output()[..amount];
        HEADS.with_borrow_mut(|heads| {
            heads.sent(sent);
            heads.peer = self.peer;
        });
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let before = self.inner.buffers().input().len();
        let more = self.inner.await_input(timeout)?;
        let new = &self.inner.buffers().input()[before..];
        HEADS.with_borrow_mut(|heads| heads.received(new));
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T> fmt::Debug for Tap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_kept_as_they_came_and_bodies_are_not() {
        let sent = b"POST /a HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\nmore";
        let head = b"HTTP/1.1 200 Fine\r\nX-a: 1\r\nx-A:\xe4\r\n folded\r\nEmpty:\r\n\r\n";
        let early = b"\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Go on\n\n";
        let came = [&early[..], head, b"<p>body\r\n\r\n"].concat();
        for step in [1, 2, 3, 5, 1000] {
            let mut heads = Heads::default();
            sent.chunks(step).for_each(|piece| heads.sent(piece));
            came.chunks(step).for_each(|piece| heads.received(piece));
            assert_eq!(heads.request, b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(heads.body_sent, "body\r\n\r\nmore".len());
            assert!(heads.is_answered);
            assert_eq!(heads.response, head, "in steps of {step}");
        }
    }

    #[test]
    fn what_is_no_whole_head_is_none() {
        for came in [
            &b"HTTP/1.1 200 OK\r\nA: b\r\n"[..],
            &[b"HTTP/1.1 200 OK\r\n", &b"a".repeat(MAX_HEAD)[..]].concat(),
            b"\r\n\r\n",
            b"HTTP/1.1 103 Early\r\n\r\n",
        ] {
            let mut heads = Heads::default();
            heads.received(came);
            assert!(!heads.is_answered);
        }
    }
}
