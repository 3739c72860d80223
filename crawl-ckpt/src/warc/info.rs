//! The record that a WARC file begins with.

use super::header::put_field;
use super::{FIELDS, RecordHeader, RecordId, RecordType};

/// What a *warcinfo* record says.
#[derive(Debug, Clone, Default)]
pub struct Info<'a> {
    /// The file's final name, without directories.
    pub file: &'a str,
    /// Name and version of the tool.
    pub software: &'a str,
    /// Whether robots.txt is obeyed; `None`: the tool does not know.
    pub robots: Option<bool>,
    /// The User-Agent header.
    pub user_agent: Option<&'a str>,
    /// Who to ask about the crawl.
    pub operator: Option<&'a str>,
    /// What the file is a part of.
    pub is_part_of: Option<&'a str>,
}

impl Info<'_> {
    /// The record: its header, and the block.
    pub fn record(&self, id: &RecordId, date: &str) -> (RecordHeader, Vec<u8>) {
        let mut header = RecordHeader::new(RecordType::Warcinfo, id, date);
        header.field("WARC-Filename", self.file);
        header.field("Content-Type", FIELDS);
        let robots = self
            .robots
            .map(|obeyed| if obeyed { "obey" } else { "ignore" });
        let conforms =
            "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/";
        let mut block = Vec::new();
        for (name, value) in [
            ("software", Some(self.software)),
            ("format", Some("WARC File Format 1.1")),
            ("conformsTo", Some(conforms)),
            ("robots", robots),
            ("http-header-user-agent", self.user_agent),
            ("operator", self.operator),
            ("isPartOf", self.is_part_of),
        ] {
            if let Some(value) = value {
                put_field(&mut block, name, value);
            }
        }
        (header, block)
    }
}
