//! Records of WARC files (WARC 1.1, ISO 28500:2017), each a gzip member of its own.
//!
//! A record is a [`RecordHeader`] and a block. [`Packer`] adds what follows from the block (its length
//! and digest) and makes the member; [`Info`] is the record that a file begins with.

mod digest;
mod header;
mod info;
mod name;
mod packer;
mod read;

pub use digest::{SHA1_BYTES, sha1, sha1_bytes, sha1_text};
pub use header::{RecordHeader, RecordId, RecordType};
pub use info::Info;
pub use name::{FileName, is_prefix};
pub use packer::Packer;
pub use read::{FoundRecord, WarcError, read_records};

/// What a record of HTTP says that its block is.
pub const HTTP_RESPONSE: &str = "application/http;msgtype=response";

/// The content type of a request record.
pub const HTTP_REQUEST: &str = "application/http;msgtype=request";

/// What a block of `name: value` lines is.
pub const FIELDS: &str = "application/warc-fields";

/// Profile of a revisit whose server said that nothing changed.
pub const NOT_MODIFIED: &str = "http://netpreserve.org/warc/1.1/revisit/server-not-modified";

/// Profile of a revisit whose payload is the one of an earlier capture.
pub const SAME_PAYLOAD: &str = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest";
