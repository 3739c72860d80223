//! Reads a WARC file and checks all that can be: each gzip member is one record, whole, with the digests
//! that it says.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use flate2::bufread::GzDecoder;
use sha1::{Digest, Sha1};

use super::digest::written;

/// A longer header is none.
const MAX_HEADER: usize = 1 << 20;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A record that was read and is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord {
    /// Where its gzip member begins, in bytes.
    pub offset: u64,
    /// Bytes of the member.
    pub length: u64,
    /// `WARC-Type`.
    pub kind: String,
    /// `WARC-Target-URI`.
    pub url: Option<String>,
}

/// Why a file is not what it should be.
#[derive(Debug)]
pub enum WarcError {
    /// The file cannot be read.
    Io(io::Error),
    /// A record is not sound.
    Damaged {
        /// Where its gzip member begins, in bytes.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads all records of a file and tells of each. Needs little memory, whatever their size.
///
/// # Errors
/// The first record that is not sound; those of the file.
pub fn read_records(file: impl Read, mut each: impl FnMut(FoundRecord)) -> Result<(), WarcError> {
    let mut file = Counted {
        inner: BufReader::with_capacity(256 << 10, file),
        at: 0,
    };
    while !file.fill_buf().map_err(WarcError::Io)?.is_empty() {
        let offset = file.at;
        let damaged = |why: String| WarcError::Damaged { offset, why };
        let read =
            ReadRecord::read(&mut GzDecoder::new(&mut file)).map_err(|e| match e.kind() {
                ErrorKind::UnexpectedEof => damaged("the record breaks off".into()),
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
                    damaged(e.to_string())
                }
                _ => WarcError::Io(e),
            })?;
        each(FoundRecord {
            offset,
            length: file.at - offset,
            kind: read.kind,
            url: read.url,
        });
    }
    Ok(())
}

/// What a record's header says.
#[derive(Default)]
struct ReadRecord {
    kind: String,
    url: Option<String>,
    length: Option<u64>,
    block_digest: Option<String>,
    payload_digest: Option<String>,
}

impl ReadRecord {
    fn read(member: &mut impl Read) -> io::Result<ReadRecord> {
        let mut bytes = Vec::new();
        let end = read_to_end_of_head(member, &mut bytes)?;
        let record = ReadRecord::parse(&bytes[..end])?;
        let length = record
            .length
            .ok_or_else(|| flaw("it says no Content-Length"))?;
        let rest = bytes.split_off(end + HEAD_END.len());
        let mut rest = io::Cursor::new(rest).chain(member);
        let mut block = (&mut rest).take(length);
        // Only an answer has its payload here; a revisit names that of another record.
        let is_response = record.kind == "response";
        let (whole, payload, read) = digests(&mut block, is_response)?;
        if read != length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let wanted = [
            (&record.block_digest, Some(whole)),
            (&record.payload_digest, payload.filter(|_| is_response)),
        ];
        for (said, found) in wanted {
            if let (Some(said), Some(found)) = (said, found)
                && *said != found
            {
                return Err(flaw(format!("its digest is {found}, and {said} is said")));
            }
        }
        let mut behind = Vec::new();
        rest.take(1 + HEAD_END.len() as u64)
            .read_to_end(&mut behind)?;
        if behind == HEAD_END {
            Ok(record)
        } else {
            Err(flaw("something else stands behind the record"))
        }
    }

    fn parse(header: &[u8]) -> io::Result<ReadRecord> {
        let header = std::str::from_utf8(header).map_err(|_| flaw("its header is no UTF-8"))?;
        let mut lines = header.split("\r\n");
        if lines.next().is_none_or(|line| !line.starts_with("WARC/1.")) {
            return Err(flaw("here is no WARC record"));
        }
        let mut record = ReadRecord::default();
        for line in lines {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| flaw("a line is no field"))?;
            let value = value.trim().to_owned();
            match name.to_ascii_lowercase().as_str() {
                "warc-type" => record.kind = value,
                "warc-target-uri" => record.url = Some(value),
                "warc-block-digest" => record.block_digest = Some(value),
                "warc-payload-digest" => record.payload_digest = Some(value),
                "content-length" => record.length = value.parse().ok(),
                _ => {}
            }
        }
        Ok(record)
    }
}

/// Reads until the empty line behind a header; gives where it begins.
fn read_to_end_of_head(member: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = memchr::memmem::find(bytes, HEAD_END) {
            return Ok(end);
        }
        if bytes.len() > MAX_HEADER {
            return Err(flaw("its header does not end"));
        }
        match member.read(&mut piece)? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

/// The digests of a block and of what stands behind its HTTP head, if that was asked for and there is
/// one; and how long the block is.
fn digests(block: &mut impl Read, with_payload: bool) -> io::Result<(String, Option<String>, u64)> {
    let (mut whole, mut payload) = (Sha1::new(), None);
    let mut head = Vec::new();
    let mut piece = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        let n = match block.read(&mut piece)? {
            0 => break,
            n => n,
        };
        length += n as u64;
        let bytes = &piece[..n];
        whole.update(bytes);
        match &mut payload {
            None if with_payload => {
                head.extend_from_slice(bytes);
                if let Some(end) = end_of_http_head(&head) {
                    let mut hash = Sha1::new();
                    hash.update(&head[end..]);
                    payload = Some(hash);
                    head = Vec::new();
                }
            }
            None => {}
            Some(hash) => hash.update(bytes),
        }
    }
    Ok((written(whole), payload.map(written), length))
}

/// Where the payload begins: behind an empty line, whose end some servers write as a newline alone.
fn end_of_http_head(bytes: &[u8]) -> Option<usize> {
    let mut lines = memchr::memchr_iter(b'\n', bytes);
    lines.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

fn flaw(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}

/// Knows how much was taken out of it.
struct Counted<R> {
    inner: BufReader<R>,
    at: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl<R: Read> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, n: usize) {
        self.at += n as u64;
        self.inner.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warc::{Packer, RecordHeader, RecordId, RecordType, sha1};

    fn file() -> (Vec<u8>, Vec<u64>) {
        let (mut packer, mut file, mut ends) = (Packer::default(), Vec::new(), vec![0]);
        let body = vec![b'x'; 200_000];
        type Part<'a> = (RecordType, &'a [&'a [u8]], &'a [u8]);
        let parts: [Part<'_>; 3] = [
            (RecordType::Warcinfo, &[b"software: x\r\n"], b""),
            (
                RecordType::Response,
                &[b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", &body],
                &body,
            ),
            (RecordType::Request, &[b"GET / HTTP/1.1\r\n\r\n"], b""),
        ];
        for (kind, block, payload) in parts {
            let id = RecordId::random().unwrap();
            let mut header = RecordHeader::new(kind, &id, "2026-11-26T12:00:00.000Z");
            header.field("WARC-Target-URI", "http://a/");
            header.field("WARC-Payload-Digest", &sha1(&[payload]));
            packer.pack(&header, block, &mut file).unwrap();
            ends.push(file.len() as u64);
        }
        (file, ends)
    }

    fn offset_of(result: Result<(), WarcError>) -> u64 {
        match result {
            Err(WarcError::Damaged { offset, .. }) => offset,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_record_is_told_with_its_place() {
        let (file, ends) = file();
        let mut found = Vec::new();
        read_records(&file[..], |record| found.push(record)).unwrap();
        let kinds: Vec<&str> = found.iter().map(|record| &*record.kind).collect();
        assert_eq!(kinds, ["warcinfo", "response", "request"]);
        for (record, ends) in found.iter().zip(ends.windows(2)) {
            assert_eq!(
                (record.offset, record.offset + record.length),
                (ends[0], ends[1])
            );
            assert_eq!(record.url.as_deref(), Some("http://a/"));
        }
    }

    #[test]
    fn a_cut_or_a_wrong_byte_is_found_in_its_record() {
        let (file, ends) = file();
        for (n, pair) in ends.windows(2).enumerate() {
            let (start, end) = (pair[0] as usize, pair[1] as usize);
            for at in [start + 12, (start + end) / 2, end - 1] {
                let mut bad = file.clone();
                bad[at] ^= 0x10;
                assert_eq!(
                    offset_of(read_records(&bad[..], |_| {})),
                    pair[0],
                    "{n} {at}"
                );
                assert_eq!(
                    offset_of(read_records(&file[..at], |_| {})),
                    pair[0],
                    "{n} {at}"
                );
            }
        }
        let more = [&file[..], b"more"].concat();
        assert_eq!(
            offset_of(read_records(&more[..], |_| {})),
            file.len() as u64
        );
    }

    #[test]
    fn a_digest_that_is_not_the_payloads_is_found() {
        let id = RecordId::random().unwrap();
        let mut header = RecordHeader::new(RecordType::Response, &id, "2026-11-26T12:00:00.000Z");
        header.field("WARC-Payload-Digest", &sha1(&[b"another"]));
        let mut file = Vec::new();
        let block: [&[u8]; 1] = [b"HTTP/1.1 200 OK\r\n\r\nthis"];
        Packer::default().pack(&header, &block, &mut file).unwrap();
        assert_eq!(offset_of(read_records(&file[..], |_| {})), 0);
    }
}
