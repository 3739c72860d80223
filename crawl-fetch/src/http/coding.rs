//! Content codings, and how each is undone.

use std::io::{self, Read};

use crawl_ckpt::record::ErrorKind;
use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::errors::ReadFrameHeaderError::SkipFrame;
use ureq::http::HeaderMap;
use ureq::http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};

use crate::failure::Failure;
use crate::http::buffer::{Buffer, Trouble};
use crate::memory::Share;

/// What the client offers. zstd is understood, but not asked for: pages come out no smaller than
/// with gzip, and to decode them takes 2.6 times as long.
pub const OFFERED: &str = "gzip, deflate, br";

/// Frames of zstd in HTTP need no larger window (RFC 9659, 3).
const MAX_WINDOW_BYTES: u64 = 8 << 20;

/// A content coding that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The content and transfer codings of a response, in the order in which they were applied. A word
/// that is no coding at all (`utf-8`, `none`) is ignored, as browsers do.
///
/// # Errors
/// When one of them is not understood, or when there are too many.
pub fn of_headers(headers: &HeaderMap) -> Result<Vec<Coding>, Failure> {
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
                "zstd" => codings.push(Coding::Zstd),
                "compress" | "x-compress" | "dcb" | "dcz" => {
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
///
/// # Errors
/// When it is broken or ends early, or when there is no memory for it.
pub fn decode(
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
        Coding::Zstd => frames(raw, into, limit, share),
    }
}

/// Decodes frames of zstd that follow each other; what follows the last one is ignored.
fn frames(raw: &[u8], into: &mut Buffer, limit: usize, share: &mut Share) -> Result<bool, Trouble> {
    let broken = |why: String| Trouble::Broken(io::Error::new(io::ErrorKind::InvalidData, why));
    let mut rest = raw;
    loop {
        match StreamingDecoder::new_with_max_window_size(&mut rest, MAX_WINDOW_BYTES) {
            Ok(mut frame) => {
                if !into.fill(&mut frame, limit, share)? {
                    return Ok(false);
                }
                let told = frame.decoder.get_checksum_from_data();
                if told.is_some() && told != frame.decoder.get_calculated_checksum() {
                    return Err(broken("its checksum is another".into()));
                }
            }
            // What is in such a frame is not content.
            Err(FrameDecoderError::ReadFrameHeaderError(SkipFrame { length, .. })) => {
                let behind = rest.get(length as usize..);
                rest = behind.ok_or_else(|| broken("a frame ends early".into()))?;
            }
            Err(why) => return Err(broken(why.to_string())),
        }
        let magic = rest.first_chunk().map(|magic| u32::from_le_bytes(*magic));
        if !matches!(magic, Some(0xfd2f_b528 | 0x184d_2a50..=0x184d_2a5f)) {
            return Ok(true);
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
    const ZSTD: &[u8] = &[
        0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x24, 0xed, 0x0, 0x0, 0xb8, 0x73, 0x6f, 0x6d, 0x65, 0x20,
        0x74, 0x65, 0x78, 0x74, 0x2c, 0x20, 0x73, 0x6f, 0x6d, 0x65, 0x20, 0x6d, 0x6f, 0x72, 0x74,
        0x65, 0x78, 0x74, 0x1, 0x0, 0xe7, 0x98, 0x61, 0x3a, 0xed, 0x6c, 0x53,
    ];
    const TEXT: &[u8] = b"some text, some more text, some text";

    /// The same text in every coding, and brotli's and zstd's as their reference encoders made it.
    fn encoded() -> [(Coding, Vec<u8>); 5] {
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
            (Coding::Zstd, ZSTD.to_vec()),
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
    fn frames_of_zstd_follow_each_other_and_some_are_no_content() {
        let skipped = [0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        let raw = [&skipped, ZSTD, &skipped, ZSTD, b"tail"].concat();
        assert_eq!(
            decoded(Coding::Zstd, &raw, 99).unwrap().1,
            [TEXT, TEXT].concat()
        );
        assert!(!decoded(Coding::Zstd, &raw, 71).unwrap().0);
        decoded(Coding::Zstd, &skipped[..10], 99).unwrap_err();
    }

    #[test]
    fn zstd_with_a_wrong_checksum_or_a_large_window_is_broken() {
        let mut wrong = ZSTD.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        decoded(Coding::Zstd, &wrong, 99).unwrap_err();
        // An empty last block, with a window of 8 MiB and of 9.
        let frame = |window| [0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0];
        let most = decoded(Coding::Zstd, &frame(13 << 3), 99).unwrap();
        assert_eq!(most, (true, Vec::new()));
        decoded(Coding::Zstd, &frame(13 << 3 | 1), 99).unwrap_err();
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
