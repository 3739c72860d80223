//! A descriptor that goes over a socket with the bytes of a line.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sends a line, and a copy of the descriptor with its first byte.
///
/// # Errors
/// Errors of the socket.
pub fn send_with(mut socket: &UnixStream, line: &[u8], fd: BorrowedFd<'_>) -> io::Result<()> {
    let fds = [fd];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(ErrorKind::OutOfMemory.into());
    }
    let bytes = [IoSlice::new(line)];
    let sent = loop {
        match sendmsg(socket, &bytes, &mut beside, SendFlags::empty()) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    socket.write_all(&line[sent..])
}

/// Reads from a socket, and keeps the last descriptor that came with the bytes.
#[derive(Debug)]
pub struct Taking<'a> {
    /// Where it reads.
    pub socket: &'a UnixStream,
    /// What came.
    pub taken: Option<OwnedFd>,
}

impl Read for Taking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(self.socket, &mut bytes, &mut beside, flags)?;
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                self.taken = fds.last().or(self.taken.take());
            }
        }
        Ok(got.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::{Line, Lines};
    use std::fs::File;
    use std::os::fd::AsFd;

    #[test]
    fn a_descriptor_comes_with_its_line_and_not_with_what_follows() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        (&ours).write_all(b"before\n").unwrap();
        let mut lines = Lines::default();
        let mut from = Taking {
            socket: &theirs,
            taken: None,
        };
        let mut next = |from: &mut Taking<'_>| match lines.read_line(from).unwrap() {
            Some(Line::Whole(line)) => String::from_utf8(line.to_vec()).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(next(&mut from), "before");
        assert!(from.taken.is_none());
        send_with(&ours, b"with\n", writer.as_fd()).unwrap();
        (&ours).write_all(b"after\n").unwrap();
        drop(writer);
        assert_eq!(next(&mut from), "with");
        let taken = from.taken.take().unwrap();
        assert_eq!(next(&mut from), "after");
        assert!(from.taken.is_none());
        File::from(taken).write_all(b"through it").unwrap();
        let mut said = String::new();
        File::from(OwnedFd::from(reader))
            .read_to_string(&mut said)
            .unwrap();
        assert_eq!(said, "through it");
    }
}
