//! Reads WARC files, with every digest held against its bytes, and asks other people's tools.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crawl_ckpt::warc::sha1;
use flate2::bufread::GzDecoder;

use crate::support::skipped;

/// A record, with the place of its member.
#[derive(Debug, Clone)]
pub struct Record {
    pub offset: u64,
    pub length: u64,
    pub fields: HashMap<String, String>,
    pub block: Vec<u8>,
}

impl Record {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    #[track_caller]
    pub fn field(&self, name: &str) -> &str {
        self.get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.fields))
    }

    pub fn is(&self, kind: &str) -> bool {
        self.get("WARC-Type") == Some(kind)
    }

    /// Of a block that is HTTP: the head with its blank line, and what follows.
    pub fn http(&self) -> (&[u8], &[u8]) {
        let ends = [&b"\r\n\r\n"[..], b"\n\n", b"\n\r\n"].map(|end| {
            let at = self.block.windows(end.len()).position(|w| w == end);
            at.map(|at| at + end.len())
        });
        let end = ends.into_iter().flatten().min().unwrap_or(0);
        self.block.split_at(end)
    }

    pub fn head(&self) -> String {
        self.http().0.iter().map(|byte| char::from(*byte)).collect()
    }
}

/// All records of a file; nothing else is in it, and every digest is right.
#[track_caller]
pub fn records(path: impl AsRef<Path>) -> Vec<Record> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[..];
    let mut records = Vec::new();
    while !rest.is_empty() {
        let offset = (file.len() - rest.len()) as u64;
        let mut member = GzDecoder::new(rest);
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).unwrap();
        let after = member.into_inner();
        records.push(record(&bytes, offset, (rest.len() - after.len()) as u64));
        rest = after;
    }
    records
}

#[track_caller]
fn record(bytes: &[u8], offset: u64, length: u64) -> Record {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("WARC/1.1"));
    let fields: Vec<(&str, &str)> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let record = Record {
        offset,
        length,
        block: bytes[end + 4..].strip_suffix(b"\r\n\r\n").unwrap().to_vec(),
        fields: (fields.iter())
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    };
    assert_eq!(
        record.fields.len(),
        fields.len(),
        "a field stands twice: {head}"
    );
    assert_eq!(
        record.field("Content-Length"),
        record.block.len().to_string()
    );
    assert_eq!(record.field("WARC-Block-Digest"), sha1(&[&record.block]));
    let id = record.field("WARC-Record-ID");
    assert!(id.starts_with("<urn:uuid:") && id.ends_with('>'), "{id}");
    let date = record.field("WARC-Date");
    assert!(date.len() == 24 && date.ends_with('Z'), "{date}");
    if record.is("response") {
        assert_eq!(
            record.field("WARC-Payload-Digest"),
            sha1(&[record.http().1])
        );
        assert_eq!(
            record.field("Content-Type"),
            "application/http;msgtype=response"
        );
        assert!(
            !record
                .head()
                .to_lowercase()
                .contains("\ntransfer-encoding:")
        );
    }
    record
}

/// What other people's tools say; `None` and a word when they are not there.
#[track_caller]
pub fn judged_by_others(path: &Path) {
    let python = "import warcio, fastwarc";
    let found = Command::new("python3").args(["-c", python]).output();
    if !found.is_ok_and(|found| found.status.success()) {
        skipped("python3 has no warcio and fastwarc");
        return;
    }
    for words in [
        &["python3", "-m", "warcio.cli", "check", "-v"][..],
        &["fastwarc", "check", "-q"],
        &["gzip", "-t"],
    ] {
        let mut command = Command::new(words[0]);
        let done = command.args(&words[1..]).arg(path).output().unwrap();
        let said = [&done.stdout[..], &done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(done.status.success(), "{words:?}: {said}");
        assert!(
            !said.contains("fail: ") && !said.contains("digest failed"),
            "{words:?}: {said}"
        );
    }
}
