//! Reads a response's body and undoes its content encodings, within a size cap,
//! into memory that is used again. What ends early is an error, never a page.

use crawl_ckpt::record::ErrorKind;
use ureq::Body;
use ureq::http::Response;

use crate::failure::Failure;
use crate::http::buffer::{Buffer, KEEP_BYTES, Trouble};
use crate::http::coding::{self, Coding};
use crate::http::tcp;
use crate::memory::Share;

/// When a first step of a body is there, the rest of it gets its place at once, if its length was
/// told and is no more than this: nobody holds memory for what never comes.
const AT_ONCE_BYTES: u64 = 4 << 20;

/// How much of a body is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Bytes of the decoded body.
    pub bytes: usize,
    /// A longer body is cut off there, rather than an error.
    pub cut: bool,
}

/// Reads bodies one after the other.
#[derive(Debug, Default)]
pub struct BodyReader {
    raw: Buffer,
    decoded: Buffer,
}

/// Why a body is not all that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncated {
    /// More of it was not wanted.
    Length,
    /// It did not come in time.
    Time,
    /// The connection ended.
    Disconnect,
    /// It was broken.
    Unspecified,
}

impl Truncated {
    /// The word in a WARC record.
    pub fn as_str(self) -> &'static str {
        match self {
            Truncated::Length => "length",
            Truncated::Time => "time",
            Truncated::Disconnect => "disconnect",
            Truncated::Unspecified => "unspecified",
        }
    }

    fn of(error: &ureq::Error) -> Truncated {
        match error {
            ureq::Error::Timeout(_) => Truncated::Time,
            ureq::Error::Io(_) | ureq::Error::Other(_) => Truncated::Disconnect,
            _ => Truncated::Unspecified,
        }
    }
}

/// How a body arrived.
#[derive(Debug)]
pub struct Arrival {
    codings: Result<Vec<Coding>, Failure>,
    /// What came is not the whole body.
    pub truncated: Option<Truncated>,
    /// Why the rest did not come, unless it was not wanted.
    pub failure: Option<Failure>,
}

impl BodyReader {
    /// How much memory is kept for the next body.
    pub fn kept_bytes(&self) -> usize {
        self.raw.bytes.len() + self.decoded.bytes.len()
    }

    /// Reads a body as it was sent, into memory of this share.
    pub fn receive(
        &mut self,
        response: &mut Response<Body>,
        limit: Limit,
        share: &mut Share,
    ) -> Arrival {
        self.raw.reset();
        self.decoded.reset();
        let codings = coding::of_headers(response.headers());
        let is_plain = matches!(&codings, Ok(codings) if codings.is_empty());
        let announced = response.body().content_length();
        // One byte more, to see the end without growing.
        self.raw.told =
            announced.map_or(0, |bytes| bytes.saturating_add(1).min(AT_ONCE_BYTES)) as usize;
        let is_refused = is_plain && !limit.cut && announced > Some(limit.bytes as u64);
        let filled = if is_refused {
            Ok(false)
        } else {
            (self.raw).fill(response.body_mut().as_reader(), limit.bytes, share)
        };
        let (truncated, failure) = match filled {
            Ok(true) => (None, None),
            Ok(false) => (Some(Truncated::Length), None),
            Err(Trouble::Short(failure)) => (Some(Truncated::Unspecified), Some(failure)),
            Err(Trouble::Broken(e)) => {
                let error = ureq::Error::from(e);
                let failure = Failure::from_ureq(&error, tcp::note());
                (Some(Truncated::of(&error)), Some(failure))
            }
        };
        Arrival {
            codings,
            truncated,
            failure,
        }
    }

    /// What arrived, as it was sent.
    pub fn raw(&self) -> &[u8] {
        self.raw.get()
    }

    /// Decodes what arrived.
    ///
    /// # Errors
    /// When it is over the limit, broken, or ended early, or when there is no memory for it.
    pub fn decode(
        &mut self,
        arrival: Arrival,
        limit: Limit,
        share: &mut Share,
    ) -> Result<&[u8], Failure> {
        let codings = arrival.codings?;
        if let Some(failure) = arrival.failure {
            return Err(failure);
        }
        let whole = arrival.truncated.is_none();
        share.be_patient();
        if !whole && !limit.cut {
            return Err(too_large(limit));
        }
        if self.raw.filled == 0 {
            return Ok(&[]);
        }
        for coding in codings.into_iter().rev() {
            let fits = coding::decode(
                coding,
                self.raw.get(),
                &mut self.decoded,
                limit.bytes,
                share,
            );
            match fits {
                Ok(true) => {}
                Ok(false) if limit.cut => {}
                Ok(false) => return Err(too_large(limit)),
                Err(Trouble::Short(failure)) => return Err(failure),
                // What was cut off cannot be decoded to its end.
                Err(Trouble::Broken(_)) if !whole => {}
                Err(Trouble::Broken(e)) => {
                    let why = format_args!("the body is no valid {coding:?}: {e}");
                    return Err(Failure::new(ErrorKind::Protocol, why));
                }
            }
            std::mem::swap(&mut self.raw, &mut self.decoded);
            if self.decoded.bytes.len() > KEEP_BYTES {
                share.give_back(self.decoded.bytes.len());
            }
            self.decoded.reset();
        }
        Ok(self.raw.get())
    }
}

fn too_large(limit: Limit) -> Failure {
    let why = format_args!("the body is over {} bytes", limit.bytes);
    Failure::new(ErrorKind::TooLarge, why)
}
