//! Reads a response's body and undoes its content encodings, within a size cap,
//! into memory that is used again. What ends early is an error, never a page.

use std::io::{self, Read};

use crawl_ckpt::record::ErrorKind;
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use ureq::Body;
use ureq::http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use ureq::http::{HeaderMap, Response};

use crate::failure::Failure;
use crate::http::tcp;
use crate::memory::Share;

/// What a buffer grows by at least.
const STEP_BYTES: usize = 64 << 10;

/// A buffer above this is given back to the system after use.
const KEEP_BYTES: usize = 2 << 20;

/// How much of a body is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Bytes of the decoded body.
    pub bytes: usize,
    /// A longer body is cut off there, rather than an error.
    pub cut: bool,
}

/// Why a buffer was not filled.
#[derive(Debug)]
enum Trouble {
    /// What is read is broken.
    Broken(io::Error),
    /// There is no memory for it.
    Short(Failure),
}

/// Bytes in a vector whose memory is set up once.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    fn reset(&mut self) {
        self.filled = 0;
        if self.bytes.len() > KEEP_BYTES {
            *self = Buffer::default();
        }
    }

    fn get(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Fills it up to the limit. Returns false when there is more.
    fn fill(
        &mut self,
        mut reader: impl Read,
        limit: usize,
        share: &mut Share,
    ) -> Result<bool, Trouble> {
        loop {
            if self.filled == self.bytes.len() {
                let grown = (2 * self.filled).max(STEP_BYTES);
                // One byte over the limit tells that there is more.
                let grown = grown.min(limit.saturating_add(1)).max(self.filled);
                share.take(grown - self.filled).map_err(Trouble::Short)?;
                self.bytes.resize(grown, 0);
            }
            match reader.read(&mut self.bytes[self.filled..]) {
                Ok(0) => return Ok(true),
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Trouble::Broken(e)),
            }
            if self.filled > limit {
                self.filled = limit;
                return Ok(false);
            }
        }
    }
}

/// Reads bodies one after the other.
#[derive(Debug, Default)]
pub struct BodyReader {
    raw: Buffer,
    decoded: Buffer,
}

/// A content coding that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

impl BodyReader {
    /// Reads and decodes a body, into memory of this share.
    ///
    /// # Errors
    /// When it is over the limit, broken, or ends early, or when there is no memory for it.
    pub fn read(
        &mut self,
        response: &mut Response<Body>,
        limit: Limit,
        share: &mut Share,
    ) -> Result<&[u8], Failure> {
        self.raw.reset();
        self.decoded.reset();
        let codings = codings(response.headers())?;
        let announced = response.body().content_length();
        if codings.is_empty() && !limit.cut && announced > Some(limit.bytes as u64) {
            return Err(too_large(limit));
        }
        let reader = response.body_mut().as_reader();
        let whole = match self.raw.fill(reader, limit.bytes, share) {
            Ok(whole) => whole,
            Err(Trouble::Short(failure)) => return Err(failure),
            Err(Trouble::Broken(e)) => {
                return Err(Failure::from_ureq(&ureq::Error::from(e), tcp::note()));
            }
        };
        share.be_patient();
        if !whole && !limit.cut {
            return Err(too_large(limit));
        }
        if self.raw.filled == 0 {
            return Ok(&[]);
        }
        for coding in codings.into_iter().rev() {
            let fits = decode(
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

/// The content and transfer codings, in the order in which they were applied. A word that is
/// no coding at all (`utf-8`, `none`) is ignored, as browsers do.
fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Failure> {
    let mut codings = Vec::new();
    let values = headers.get_all(CONTENT_ENCODING).iter();
    // `chunked` is undone already; any other stood between it and the content.
    for value in values.chain(headers.get_all(TRANSFER_ENCODING)) {
        let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for word in value.split(',').map(str::trim) {
            match word {
                "gzip" | "x-gzip" => codings.push(Coding::Gzip),
                "deflate" => codings.push(Coding::Deflate),
                "br" => codings.push(Coding::Brotli),
                "zstd" | "compress" | "x-compress" | "dcb" | "dcz" => {
                    let why = format_args!("content coding {word} was not asked for");
                    return Err(Failure::new(ErrorKind::Protocol, why));
                }
                _ => {}
            }
        }
    }
    if codings.len() > 4 {
        let why = "more than four content codings";
        return Err(Failure::new(ErrorKind::Protocol, why));
    }
    Ok(codings)
}

/// Decodes into an empty buffer; false when there is more than the limit.
fn decode(
    coding: Coding,
    raw: &[u8],
    into: &mut Buffer,
    limit: usize,
    share: &mut Share,
) -> Result<bool, Trouble> {
    match coding {
        Coding::Gzip => {
            let mut rest = raw;
            // Members may follow each other; what follows the last one is ignored.
            loop {
                let mut member = GzDecoder::new(rest);
                if !into.fill(&mut member, limit, share)? {
                    return Ok(false);
                }
                rest = member.into_inner();
                if !rest.starts_with(b"\x1f\x8b") {
                    return Ok(true);
                }
            }
        }
        // Some servers send the bare stream instead of the zlib format.
        Coding::Deflate => into.fill(Inflate::new(raw), limit, share),
        Coding::Brotli => {
            let reader = brotli_decompressor::Decompressor::new(raw, 4096);
            into.fill(reader, limit, share)
        }
    }
}

/// Reads a deflate stream. flate2's own readers take one that was cut off for
/// one that ended.
struct Inflate<'r> {
    raw: &'r [u8],
    state: Decompress,
}

impl<'r> Inflate<'r> {
    fn new(raw: &'r [u8]) -> Inflate<'r> {
        Inflate {
            raw,
            state: Decompress::new(is_zlib(raw)),
        }
    }
}

impl Read for Inflate<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (took, gave) = (self.state.total_in(), self.state.total_out());
        let status = self.state.decompress(self.raw, into, FlushDecompress::None);
        let status = status.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.raw = &self.raw[(self.state.total_in() - took) as usize..];
        match ((self.state.total_out() - gave) as usize, status) {
            (0, Status::StreamEnd) => Ok(0),
            (0, _) => Err(io::ErrorKind::UnexpectedEof.into()),
            (gave, _) => Ok(gave),
        }
    }
}

fn is_zlib(raw: &[u8]) -> bool {
    matches!(raw, [first, second, ..]
        if first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use std::io::Write;

    fn decoded(coding: Coding, raw: &[u8], limit: usize) -> Result<(bool, Vec<u8>), Trouble> {
        let mut buffer = Buffer::default();
        let fits = decode(coding, raw, &mut buffer, limit, &mut Share::uncounted())?;
        Ok((fits, buffer.get().to_vec()))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_limit_allows_exactly_so_many_bytes() {
        let raw = gzip(&[7; 1000]);
        assert!(decoded(Coding::Gzip, &raw, 1000).unwrap().0);
        assert!(!decoded(Coding::Gzip, &raw, 999).unwrap().0);
        let bomb = gzip(&vec![0; 8 << 20]);
        let (fits, bytes) = decoded(Coding::Gzip, &bomb, 1 << 20).unwrap();
        assert!(!fits && bytes.len() == 1 << 20);
    }

    const BROTLI: &[u8] = &[
        0x1b, 0x23, 0x0, 0xf8, 0x1d, 0x7, 0x6e, 0x2c, 0x6d, 0xdb, 0xbd, 0xc4, 0x50, 0xf9, 0x56,
        0x36, 0xd7, 0x2c, 0x65, 0x6d, 0x74, 0x1a, 0xa4, 0x4d, 0xe, 0x4f, 0xa, 0x92, 0xcd, 0x40,
        0x15, 0xc0, 0x7, 0x37, 0xe5, 0x1e, 0x34, 0x5,
    ];
    const TEXT: &[u8] = b"some text, some more text, some text";

    /// The same text in every coding, and brotli's as its reference encoder made it.
    fn encoded() -> [(Coding, Vec<u8>); 4] {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(TEXT).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(TEXT).unwrap();
        let brotli = BROTLI.to_vec();
        [
            (Coding::Gzip, gzip(TEXT)),
            (Coding::Deflate, zlib.finish().unwrap()),
            (Coding::Deflate, bare.finish().unwrap()),
            (Coding::Brotli, brotli),
        ]
    }

    #[test]
    fn every_coding_is_decoded() {
        for (coding, raw) in encoded() {
            assert_eq!(decoded(coding, &raw, 99).unwrap(), (true, TEXT.to_vec()));
        }
        let twice = [gzip(TEXT), gzip(TEXT), b"tail".to_vec()].concat();
        assert_eq!(decoded(Coding::Gzip, &twice, 99).unwrap().1.len(), 72);
    }

    #[test]
    fn a_body_that_ends_early_is_an_error_at_every_length() {
        for (coding, raw) in encoded() {
            for length in 1..raw.len() {
                let cut = decoded(coding, &raw[..length], 99);
                assert!(cut.is_err(), "{coding:?} {length} of {}", raw.len());
            }
        }
    }
}
