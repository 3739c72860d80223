//! Connects to whichever address of a name answers first (Happy Eyeballs, RFC 8305), so that a
//! dead one, such as IPv6 where there is none, costs a moment and not the time limit.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::failure::is_shortage;
use crate::http::stall::Stall;

/// An address gets so long before the next one is tried as well (RFC 8305, 5).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The addresses in the order in which they are tried: families by turns, as RFC 8305, 4 asks.
pub fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let same = |address: &&SocketAddr| address.is_ipv6() == addresses[0].is_ipv6();
    let (mut first, mut second): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
        addresses.iter().partition(same);
    let mut turns = Vec::with_capacity(addresses.len());
    while !(first.is_empty() && second.is_empty()) {
        for family in [&mut first, &mut second] {
            if !family.is_empty() {
                turns.push(*family.remove(0));
            }
        }
    }
    turns
}

/// A connection that is begun.
struct Try {
    fd: OwnedFd,
    address: SocketAddr,
}

/// Connects. An address that fails makes room for the next at once.
///
/// # Errors
/// `TimedOut` at the deadline, else the last failure; a shortage of this machine goes over others.
pub fn race(
    addresses: &[SocketAddr],
    deadline: Option<Instant>,
) -> io::Result<(TcpStream, SocketAddr)> {
    let mut stall = Stall::begin();
    let mut rest = addresses.iter();
    let mut tries: Vec<Try> = Vec::new();
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut fail = |error: io::Error| {
        if !is_shortage(&failed) {
            failed = error;
        }
    };
    let mut next_at = Instant::now();
    loop {
        let now = Instant::now();
        if tries.is_empty() || now >= next_at {
            next_at = now + NEXT_ADDRESS;
            match rest.next() {
                Some(address) => match begin(*address) {
                    Ok((fd, true)) => return finish(fd, *address),
                    Ok((fd, false)) => tries.push(Try {
                        fd,
                        address: *address,
                    }),
                    Err(error) => {
                        fail(error.into());
                        next_at = now;
                        continue;
                    }
                },
                None if tries.is_empty() => return Err(failed),
                None => {}
            }
        }
        let mut wait = match deadline {
            None => Duration::from_secs(3600),
            Some(deadline) => deadline.saturating_duration_since(now),
        };
        if wait.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !rest.as_slice().is_empty() {
            wait = wait.min(next_at.saturating_duration_since(now));
        }
        wait = stall.slice(wait);
        let mut fds: Vec<PollFd<'_>> = tries
            .iter()
            .map(|one| PollFd::new(&one.fd, PollFlags::OUT))
            .collect();
        // Rounded up, or the last part of a millisecond would be spent awake.
        let wait = Timespec::try_from(wait + Duration::from_micros(1)).ok();
        match rustix::event::poll(&mut fds, wait.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = fds.iter().position(|fd| !fd.revents().is_empty());
        drop(fds);
        let Some(ready) = ready else {
            stall.go_on();
            continue;
        };
        let Try { fd, address } = tries.swap_remove(ready);
        match rustix::net::sockopt::socket_error(&fd)? {
            Ok(()) => return finish(fd, address),
            Err(error) => {
                fail(error.into());
                next_at = Instant::now();
            }
        }
    }
}

/// Begins a connection; true when it is there already.
fn begin(address: SocketAddr) -> Result<(OwnedFd, bool), Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&fd, &address) {
        Ok(()) => Ok((fd, true)),
        Err(Errno::INPROGRESS | Errno::INTR) => Ok((fd, false)),
        // No port is left, or there is no way there at all: that one a datagram has not either.
        Err(Errno::ADDRNOTAVAIL) if !has_way(address, family) => Err(Errno::HOSTUNREACH),
        Err(error) => Err(error),
    }
}

fn has_way(address: SocketAddr, family: AddressFamily) -> bool {
    let flags = SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(family, SocketType::DGRAM, flags, None);
    fd.is_ok_and(|fd| rustix::net::connect(fd, &address) != Err(Errno::ADDRNOTAVAIL))
}

fn finish(fd: OwnedFd, address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok((stream, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn families_take_turns() {
        let of = |list: &[&str]| -> Vec<SocketAddr> {
            list.iter().map(|text| text.parse().unwrap()).collect()
        };
        let mixed = of(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]);
        let turns = of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]);
        assert_eq!(in_turns(&mixed), turns);
        assert!(in_turns(&[]).is_empty());
    }

    #[test]
    fn an_address_that_fails_makes_room_for_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        let dead = closed.local_addr().unwrap();
        drop(closed);
        let deadline = Some(Instant::now() + Duration::from_secs(60));
        let (stream, address) = race(&[dead, live], deadline).unwrap();
        assert_eq!((stream.peer_addr().unwrap(), address), (live, live));
        let refused = race(&[dead, dead], deadline).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let late = race(&[live], Some(Instant::now())).map(drop);
        assert!(late.is_ok() || late.unwrap_err().kind() == io::ErrorKind::TimedOut);
    }

    /// Addresses that nobody answers from: a full queue of connections drops what comes.
    fn silent() -> (TcpListener, Vec<TcpStream>) {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        rustix::net::bind(&socket, &any).unwrap();
        rustix::net::listen(&socket, 0).unwrap();
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().unwrap();
        let wait = Duration::from_millis(200);
        let mut taken = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, wait) {
            taken.push(stream);
        }
        (listener, taken)
    }

    #[test]
    fn a_silent_address_costs_a_moment() {
        let (silent, _taken) = silent();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let addresses = [silent.local_addr().unwrap(), live];
        // Without a deadline this ends only because the second one is tried as well.
        let (_, address) = race(&addresses, None).unwrap();
        assert_eq!(address, live);
        let soon = Some(Instant::now() + Duration::from_millis(50));
        let error = race(&addresses[..1], soon).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
