//! The header of a record.

use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordType {
    /// Who wrote the file, and how.
    Warcinfo,
    /// An answer.
    Response,
    /// What was asked.
    Request,
    /// How a page was found.
    Metadata,
    /// An answer whose payload an earlier record has.
    Revisit,
}

impl RecordType {
    /// The word in a record.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordType::Warcinfo => "warcinfo",
            RecordType::Response => "response",
            RecordType::Request => "request",
            RecordType::Metadata => "metadata",
            RecordType::Revisit => "revisit",
        }
    }
}

/// A record's name: a random UUID (RFC 9562, version 4), in the form `<urn:uuid:…>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordId([u8; 16]);

impl RecordId {
    /// A name that no other record has.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub fn random() -> io::Result<RecordId> {
        let mut bytes = [0; 16];
        let mut filled = 0;
        while filled < bytes.len() {
            match getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
                Ok(more) => filled += more,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(RecordId(bytes))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<urn:uuid:")?;
        for (at, byte) in self.0.iter().enumerate() {
            let dash = if matches!(at, 4 | 6 | 8 | 10) {
                "-"
            } else {
                ""
            };
            write!(f, "{dash}{byte:02x}")?;
        }
        f.write_str(">")
    }
}

/// The header of a record, without what follows from its block.
#[derive(Debug, Clone)]
pub struct RecordHeader(Vec<u8>);

impl RecordHeader {
    /// A header with the fields that every record has. The date is RFC 3339 in UTC, with `Z`; all
    /// records of one exchange have the same.
    pub fn new(kind: RecordType, id: &RecordId, date: &str) -> RecordHeader {
        let mut header = RecordHeader(Vec::with_capacity(1024));
        header.0.extend_from_slice(b"WARC/1.1\r\n");
        header.field("WARC-Type", kind.as_str());
        header.field("WARC-Record-ID", &id.to_string());
        header.field("WARC-Date", date);
        header
    }

    /// Adds a field. Control characters in its value become blanks.
    pub fn field(&mut self, name: &str, value: &str) -> &mut RecordHeader {
        put_field(&mut self.0, name, value);
        self
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Appends a line `name: value`, which nothing in the value can break.
pub(super) fn put_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let printable = |byte: u8| if byte.is_ascii_control() { b' ' } else { byte };
    out.extend(value.bytes().map(printable));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (RecordId::random().unwrap(), RecordId::random().unwrap());
        assert_ne!(one, other);
        let text = one.to_string();
        let uuid = text.strip_prefix("<urn:uuid:").unwrap();
        let uuid = uuid.strip_suffix('>').unwrap();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
    }

    #[test]
    fn no_value_makes_a_line_of_its_own() {
        let id = RecordId::random().unwrap();
        let mut header = RecordHeader::new(RecordType::Response, &id, "2026-11-26T12:00:00.000Z");
        header.field("WARC-Target-URI", "http://a/\r\nWARC-Type: é\0");
        let text = String::from_utf8(header.0).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[..2], ["WARC/1.1", "WARC-Type: response"]);
        assert_eq!(lines[3], "WARC-Date: 2026-11-26T12:00:00.000Z");
        assert_eq!(lines[4], "WARC-Target-URI: http://a/  WARC-Type: é ");
        assert_eq!(lines[5..], [""]);
    }
}
