//! What became of the WARC files of a crawl that was killed many times: each member of each file is read
//! by itself, and each record's pointer is followed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crawl_ckpt::warc::sha1;
use flate2::bufread::GzDecoder;
use serde_json::Value;

/// The judgement on a crawl, or the sum over all.
#[derive(Debug, Default)]
pub struct Archive {
    pub files: u64,
    pub responses: u64,
    /// Records that do not point at the one answer for their URL.
    pub astray: u64,
    /// Files that are not whole.
    pub torn: u64,
    pub notes: Vec<String>,
}

impl Archive {
    pub fn is_right(&self) -> bool {
        self.astray + self.torn == 0
    }

    pub fn add(&mut self, other: &Archive) {
        self.files += other.files;
        self.responses += other.responses;
        self.astray += other.astray;
        self.torn += other.torn;
    }
}

/// Judges the WARC files in `crawls`, and the records beside them.
pub fn judge(crawls: &Path) -> Archive {
    let mut archive = Archive::default();
    // Of each answer: its length and URL, by file and offset.
    let mut answers: HashMap<(String, u64), (u64, String)> = HashMap::new();
    let entries = fs::read_dir(crawls).into_iter().flatten().flatten();
    let (folders, files): (Vec<_>, Vec<_>) = entries
        .map(|entry| entry.path())
        .partition(|path| path.is_dir());
    for folder in folders {
        for file in fs::read_dir(&folder).unwrap().flatten() {
            let name = Path::new(folder.file_name().unwrap()).join(file.file_name());
            let name = name.to_str().unwrap().to_owned();
            archive.files += 1;
            if let Err(why) = read(&name, &fs::read(file.path()).unwrap(), &mut answers) {
                archive.torn += 1;
                archive.notes.push(format!("{name}: {why}"));
            }
        }
    }
    archive.responses = answers.len() as u64;
    let mut met = HashSet::new();
    let is_output = |file: &PathBuf| file.extension().is_some_and(|ends| ends == "jsonl");
    for file in files.into_iter().filter(is_output) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            let kept = &record["warc"];
            let file = kept["file"].as_str().unwrap_or_default().to_owned();
            let place = (file, kept["offset"].as_u64().unwrap_or(u64::MAX));
            let is_right = answers.get(&place).is_some_and(|(length, url)| {
                kept["length"].as_u64() == Some(*length) && record["url"].as_str() == Some(url)
            });
            if !is_right || !met.insert(place) {
                archive.astray += 1;
                archive
                    .notes
                    .push(format!("no answer, or another's: {line}"));
            }
        }
    }
    archive
}

/// Reads one file to its last byte.
fn read(
    name: &str,
    bytes: &[u8],
    answers: &mut HashMap<(String, u64), (u64, String)>,
) -> Result<(), String> {
    if !name.ends_with(".warc.gz") {
        return Err("it has no final name".into());
    }
    let mut at = 0;
    while at < bytes.len() {
        let wrong = |why: &dyn std::fmt::Display| format!("byte {at}: {why}");
        let mut member = GzDecoder::new(&bytes[at..]);
        let mut record = Vec::new();
        member.read_to_end(&mut record).map_err(|e| wrong(&e))?;
        let end = bytes.len() - member.into_inner().len();
        let (kind, url) = check(&record).map_err(|why| wrong(&why))?;
        if (at == 0) != (kind == "warcinfo") {
            return Err(wrong(&format!("here is a {kind}")));
        }
        if kind == "response" {
            answers.insert((name.to_owned(), at as u64), ((end - at) as u64, url));
        }
        at = end;
    }
    if at == 0 {
        Err("it is empty".into())
    } else {
        Ok(())
    }
}

/// Checks length and digests of a record; gives its type and URL.
fn check(record: &[u8]) -> Result<(String, String), String> {
    let split = |bytes: &[u8]| bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = split(record).ok_or("no header")?;
    let header = String::from_utf8(record[..end].to_vec()).map_err(|e| e.to_string())?;
    let field = |name: &str| {
        let mut lines = header.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let length = field("Content-Length").and_then(|text| text.parse().ok());
    let length: usize = length.ok_or("no length")?;
    let block = record[end + 4..]
        .strip_suffix(b"\r\n\r\n")
        .ok_or("no end")?;
    if block.len() != length {
        return Err(format!("{} bytes, and {length} are said", block.len()));
    }
    if field("WARC-Block-Digest") != Some(&sha1(&[block])) {
        return Err("the block's digest is another".into());
    }
    let kind = field("WARC-Type").unwrap_or_default().to_owned();
    if kind == "response" {
        let body = split(block)
            .map(|end| &block[end + 4..])
            .ok_or("no HTTP head")?;
        if field("WARC-Payload-Digest") != Some(&sha1(&[body])) {
            return Err("the payload's digest is another".into());
        }
    }
    Ok((
        kind,
        field("WARC-Target-URI").unwrap_or_default().to_owned(),
    ))
}
