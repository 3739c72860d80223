//! What errors of ureq and of our own connectors mean, as kinds of the contract.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crawl_ckpt::record::ErrorKind;
use ureq::{Error, Timeout};

use crate::failure::{Failure, is_shortage};
use crate::http::dns::{Private, Unknown};
use crate::http::tcp::{Note, Reset};
use crate::http::tls;
use crate::http::window::MAX_OUTPUT_BYTES;

/// What ureq says of a request line or header that its output buffer cannot hold,
/// and of an answer with more headers than it takes. Its error type is not ours to name.
const OVERFLOW: &str = "output too small to write output";
const TOO_MANY_HEADERS: &str = "http parse resulted in too many headers";

impl Failure {
    /// The failure that an error of ureq stands for.
    pub fn from_ureq(error: &Error, note: Note) -> Failure {
        let kind = kind_of(error, note);
        let message = match error {
            Error::Timeout(Timeout::Connect) => "no connection in time".to_owned(),
            Error::Timeout(Timeout::Resolve) => "the name did not resolve in time".to_owned(),
            Error::Timeout(_) => "no complete answer in time".to_owned(),
            Error::HostNotFound => "the name has no address".to_owned(),
            Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => ended(note).to_owned(),
            Error::Io(e) => words(e),
            Error::Rustls(e) => tls::words(e),
            Error::Other(e) if e.is::<Reset>() => format!("{}: {e}", ended(note)),
            Error::Other(e) => e.to_string(),
            Error::ConnectProxyFailed(why) => proxy_words(why),
            e if is_overflow(e) => {
                format!("the URL or a header is over {MAX_OUTPUT_BYTES} bytes")
            }
            e => e.to_string(),
        };
        Failure {
            // Nothing else of ureq's is of this kind.
            is_shortage: kind == ErrorKind::Io,
            ..Failure::new(kind, message)
        }
    }
}

fn kind_of(error: &Error, note: Note) -> ErrorKind {
    let broken_off = match note.received {
        0 => ErrorKind::Connect,
        _ => ErrorKind::Protocol,
    };
    match error {
        Error::Timeout(_) => ErrorKind::Timeout,
        Error::HostNotFound => ErrorKind::Dns,
        Error::ConnectionFailed => ErrorKind::Connect,
        Error::Tls(_) | Error::Rustls(_) | Error::Pem(_) | Error::TlsRequired => ErrorKind::Tls,
        Error::ConnectProxyFailed(_) | Error::InvalidProxyUrl => ErrorKind::Proxy,
        Error::LargeResponseHeader(..) => ErrorKind::TooLarge,
        Error::Protocol(e) => match e.to_string().as_str() {
            OVERFLOW => ErrorKind::Refused,
            TOO_MANY_HEADERS => ErrorKind::TooLarge,
            _ => ErrorKind::Protocol,
        },
        Error::Http(_) | Error::BadUri(_) => ErrorKind::Invalid,
        Error::Io(e) => kind_of_io(e).unwrap_or(broken_off),
        Error::Other(e) => match e.downcast_ref::<Staged>() {
            Some(staged) => staged.kind,
            None if e.downcast_ref().is_some_and(|Reset(e)| is_shortage(e)) => ErrorKind::Io,
            None if e.is::<Unknown>() => ErrorKind::Dns,
            None if e.is::<Private>() => ErrorKind::Refused,
            None => broken_off,
        },
        _ => ErrorKind::Protocol,
    }
}

/// What an error of a connection says; rustls' own are put into words.
fn words(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    inner.map_or_else(|| error.to_string(), tls::words)
}

/// What ureq says of a proxy that makes no tunnel, in words.
fn proxy_words(why: &str) -> String {
    let status = why.rsplit_once('/').map(|(_, status)| status);
    match status {
        Some("407") => "the proxy wants a user name and a password, or others (407)".to_owned(),
        Some(status) => format!("the proxy answered CONNECT with {status}"),
        None => "the proxy closed the connection without an answer".to_owned(),
    }
}

/// The kind of an error that is not the other side's: this machine has no more
/// of something, or TLS was broken.
fn kind_of_io(error: &io::Error) -> Option<ErrorKind> {
    match error.raw_os_error() {
        Some(_) => is_shortage(error).then_some(ErrorKind::Io),
        None => (error.kind() == io::ErrorKind::InvalidData).then_some(ErrorKind::Tls),
    }
}

/// True for a request line or header that a connection's buffer cannot hold.
pub fn is_overflow(error: &Error) -> bool {
    matches!(error, Error::Protocol(e) if e.to_string() == OVERFLOW)
}

fn ended(note: Note) -> &'static str {
    if note.received == 0 {
        "the connection ended before an answer"
    } else {
        "the connection ended within the answer"
    }
}

/// A failure in one stage of making a connection.
#[derive(Debug)]
pub struct Staged {
    kind: ErrorKind,
    message: String,
}

impl Staged {
    /// The error of a stage whose failures count as `kind`. A timeout stays one,
    /// and so does a failure of this machine.
    pub fn wrap(kind: ErrorKind, error: Error) -> Error {
        let kind = match &error {
            Error::Timeout(_) => return error,
            Error::Io(e) => kind_of_io(e)
                .filter(|own| *own == ErrorKind::Io)
                .unwrap_or(kind),
            Error::Other(e) if kind != ErrorKind::Proxy && !e.is::<Reset>() => return error,
            _ => kind,
        };
        let message = match &error {
            Error::Io(e) => words(e),
            Error::Rustls(e) => tls::words(e),
            Error::Other(e) => e.to_string(),
            Error::ConnectProxyFailed(why) => proxy_words(why),
            Error::Protocol(e) if kind == ErrorKind::Proxy => {
                format!("what the proxy answered is no HTTP: {e}")
            }
            e => e.to_string(),
        };
        Error::Other(Box::new(Staged { kind, message }))
    }
}

impl fmt::Display for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Staged {}
