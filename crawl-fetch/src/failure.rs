//! Why a request got no usable response: the kind of the contract, and words for people.

use std::fmt;
use std::io;

use crawl_ckpt::address::masked;
use crawl_ckpt::record::{ErrorKind, FetchError};

/// A failure with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class of the failure.
    pub kind: ErrorKind,
    /// One line; credentials are masked.
    pub message: String,
    /// This machine has not enough of something: the request goes again, and nobody is told of
    /// this as its end.
    pub is_shortage: bool,
}

impl Failure {
    /// A failure; line ends and credentials in the message are taken care of.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Failure {
        let message = message.to_string();
        let message = masked(&message).replace(['\n', '\r'], " ");
        Failure {
            kind,
            message,
            is_shortage: false,
        }
    }

    /// A failure for want of something of this machine's.
    pub fn shortage(message: impl fmt::Display) -> Failure {
        Failure {
            is_shortage: true,
            ..Failure::new(ErrorKind::Io, message)
        }
    }

    /// As it travels.
    pub fn into_record(self) -> FetchError<'static> {
        FetchError {
            kind: self.kind,
            message: self.message.into(),
        }
    }
}

/// True when this machine has no more of something: descriptors, ports, memory, threads.
pub fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
                | Errno::NOBUFS
                | Errno::AGAIN
                | Errno::ADDRNOTAVAIL
        )
    )
}
