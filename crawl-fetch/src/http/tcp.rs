//! TCP connections for ureq: few system calls a request, and a note of what happened on this thread's
//! connection, by which a stale kept-alive connection is told from a dead server.
//!
//! ureq's own transport takes two system calls more to look at an idle
//! connection and one more for each read, and holds headers only as large as its
//! fixed input buffer.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};
use ureq::{Error, Timeout};

use crate::failure::is_shortage;
use crate::http::dial::race;
use crate::http::dns::NameCache;
use crate::http::heads;
use crate::http::traffic::{self, Counted};
use crate::http::window::Window;

/// A connection that was read from so lately is taken to be open; a look takes a hundredth
/// of a crawl's processor time.
const FRESH: Duration = Duration::from_millis(2);

/// What happened on this thread's connections since [`note_start`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Note {
    /// The request may be sent again when the connection turns out to be closed.
    pub repeatable: bool,
    /// The request needs a new connection.
    pub anew: bool,
    /// A connection was begun; without this a kept-alive one was used.
    pub dialed: bool,
    /// Bytes received over the connection, after any proxy and TLS handshake.
    pub received: u64,
    /// The other side ended the connection after its system had taken all that was sent, so it
    /// was not closed before.
    pub taken: bool,
}

thread_local! {
    static NOTE: Cell<Note> = const {
        Cell::new(Note {
            repeatable: false,
            anew: false,
            dialed: false,
            received: 0,
            taken: false,
        })
    };
}

thread_local! {
    /// When the connection that this thread makes is to be there.
    static THERE_BY: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// While it lives, this thread makes a connection, and all that it reads and writes ends in time:
/// ureq gives each read of a proxy's answer the whole time anew.
#[derive(Debug)]
pub struct Making {
    before: Option<Instant>,
}

impl Making {
    /// A connection is begun, perhaps one through another.
    pub fn begin(timeout: NextTimeout) -> Making {
        let before = THERE_BY.get();
        let by = timeout.not_zero().map(|left| Instant::now() + *left);
        THERE_BY.set([before, by].into_iter().flatten().min());
        Making { before }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        THERE_BY.set(self.before);
    }
}

/// Begins a new note on this thread.
pub fn note_start(repeatable: bool, anew: bool) {
    NOTE.set(Note {
        repeatable,
        anew,
        ..Note::default()
    });
}

/// The note of this thread.
pub fn note() -> Note {
    NOTE.get()
}

/// Notes that a connection is begun, or that it is there: what was received in
/// handshakes does not count.
pub fn note_dialed() {
    NOTE.set(Note {
        dialed: true,
        received: 0,
        ..NOTE.get()
    });
}

/// Makes TCP connections.
#[derive(Debug)]
pub struct Tcp {
    /// Where it learns what became of addresses.
    pub names: Arc<NameCache>,
}

impl<In: Transport> Connector<In> for Tcp {
    type Out = Either<Counted<In>, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(socks) = chained {
            return Ok(Some(Either::A(Counted(socks))));
        }
        let (stream, address) = self.dial(details)?;
        stream.set_nodelay(true)?;
        heads::note_dialed(address.ip());
        Ok(Some(Either::B(Socket::new(stream))))
    }
}

impl Tcp {
    /// Connects, to where the name leads by now when it led elsewhere before.
    fn dial(&self, details: &ConnectionDetails) -> Result<(TcpStream, SocketAddr), Error> {
        let host = details.uri.host().unwrap_or_default();
        let begun = Instant::now();
        let deadline = time_left(details.timeout)?.map(|left| begun + left);
        let failed = match race(&details.addrs, deadline) {
            Ok((stream, address)) => {
                if details.addrs.first() != Some(&address) {
                    self.names.prefer(host, address.ip());
                }
                return Ok((stream, address));
            }
            Err(error) if is_shortage(&error) => return Err(Error::Io(error)),
            Err(error) => error,
        };
        if self.names.forget(host, begun) && !timed_out(&failed) {
            let found = (details.resolver).resolve(details.uri, details.config, details.timeout)?;
            if found.iter().any(|address| !details.addrs.contains(address)) {
                return race(&found, deadline).map_err(told);
            }
        }
        Err(told(failed))
    }
}

fn told(error: io::Error) -> Error {
    if timed_out(&error) {
        Error::Timeout(Timeout::Connect)
    } else {
        Error::Io(error)
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

/// A TCP connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    buffers: Window,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    /// Something was read since it was last asked whether this is open.
    just_read: bool,
    read_at: Instant,
}

impl Socket {
    fn new(stream: TcpStream) -> Socket {
        Socket {
            stream,
            buffers: Window::default(),
            read_timeout: None,
            write_timeout: None,
            just_read: false,
            read_at: Instant::now(),
        }
    }
}

/// Sets a socket's timeout to the time left, unless the one that is set is
/// hardly longer. Time left shrinks all the time, and a system call each time
/// would double the number of calls a page.
fn refresh(
    set: &mut Option<Duration>,
    left: Option<Duration>,
    apply: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> io::Result<()> {
    let fits = match (*set, left) {
        (Some(set), Some(left)) => set >= left && set <= left + left / 64,
        (set, left) => set == left,
    };
    if !fits {
        apply(left)?;
        *set = left;
    }
    Ok(())
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let stream = &mut self.stream;
        refresh(&mut self.write_timeout, time_left(timeout)?, |left| {
            stream.set_write_timeout(left)
        })?;
        traffic::passed(amount);
        match stream.write_all(&self.buffers.output()[..amount]) {
            Ok(()) => Ok(()),
            Err(e) if timed_out(&e) => Err(Error::Timeout(timeout.reason)),
            Err(e) => Err(broken(e)),
        }
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let stream = &mut self.stream;
        refresh(&mut self.read_timeout, time_left(timeout)?, |left| {
            stream.set_read_timeout(left)
        })?;
        let room = self.buffers.room();
        let amount = loop {
            match stream.read(room) {
                Ok(amount) => break amount,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if timed_out(&e) => return Err(Error::Timeout(timeout.reason)),
                Err(e) => return Err(broken(e)),
            }
        };
        self.buffers.input_appended(amount);
        self.just_read = amount > 0;
        self.read_at = Instant::now();
        let mut note = NOTE.get();
        note.received += amount as u64;
        traffic::passed(amount);
        note.taken = amount == 0 && unsent(&self.stream) == Some(0);
        NOTE.set(note);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // It is asked when a connection has done and again when it is to be used. The second
        // time counts.
        if std::mem::take(&mut self.just_read) {
            self.buffers.rest();
            return true;
        }
        // In so short a time hardly a server closes, and who may be asked twice is.
        if NOTE.get().repeatable && self.read_at.elapsed() < FRESH {
            return true;
        }
        // Nothing may be there to read: neither the end nor bytes nobody asked for.
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = rustix::net::recv(&self.stream, &mut [0; 1], flags);
        peeked.err() == Some(rustix::io::Errno::AGAIN)
    }
}

/// Bytes that the other side has not confirmed yet.
#[allow(unsafe_code)]
fn unsent(stream: &TcpStream) -> Option<i32> {
    let mut bytes = 0;
    // SAFETY: the descriptor is open, and the kernel writes one int where one is.
    let told = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    (told == 0).then_some(bytes)
}

fn time_left(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    let left = timeout.not_zero().map(|left| *left);
    let Some(by) = THERE_BY.get() else {
        return Ok(left);
    };
    let making = by.saturating_duration_since(Instant::now());
    if making.is_zero() {
        return Err(Error::Timeout(Timeout::Connect));
    }
    Ok(Some(left.map_or(making, |left| left.min(making))))
}

/// ureq takes a reset in a body that ends with the connection for its end; under
/// another type it stays an error.
fn broken(error: io::Error) -> Error {
    Error::Other(Box::new(Reset(error)))
}

/// A connection that broke off.
#[derive(Debug)]
pub struct Reset(pub io::Error);

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Reset {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_set_again_only_when_it_must_be() {
        let mut set = None;
        let mut calls = 0;
        for (left, count) in [(6400, 1), (6350, 1), (6200, 2), (6400, 3), (10, 4)] {
            let left = Some(Duration::from_millis(left));
            let apply = |_| {
                calls += 1;
                Ok(())
            };
            refresh(&mut set, left, apply).unwrap();
            assert_eq!(calls, count, "{left:?}");
        }
    }
}
