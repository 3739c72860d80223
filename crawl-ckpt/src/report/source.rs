//! A file of records, read line by line and, for the few that are shown, a second time at
//! their places.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::durable::{Links, open_file};
use crate::record::MAX_LINE_BYTES;
use crate::tool::Failure;

/// How a file begins that gzip made.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// An open file of records. What is appended after it was opened is not read.
pub struct Source {
    path: PathBuf,
    file: File,
    bytes: u64,
    is_packed: bool,
}

/// What was met besides lines.
#[derive(Debug, Default)]
pub struct Flaws {
    /// The file ends within a line, as it does while a crawl writes.
    pub is_unfinished: bool,
    /// Why a packed file could not be read to its end.
    pub torn: Option<String>,
}

impl Source {
    /// Opens a file; one that begins as gzip's do is unpacked.
    ///
    /// # Errors
    /// It cannot be read, or is no file.
    pub fn open(path: &Path) -> Result<Source, Failure> {
        let failed = |e: &dyn std::fmt::Display| {
            Failure::new(format_args!("cannot read {}: {e}", path.display()))
        };
        let mut file = open_file(path, false, Links::Followed).map_err(|e| failed(&e))?;
        let metadata = file.metadata().map_err(|e| failed(&e))?;
        let mut start = Vec::new();
        (&mut file)
            .take(GZIP.len() as u64)
            .read_to_end(&mut start)
            .map_err(|e| failed(&e))?;
        Ok(Source {
            path: path.to_owned(),
            is_packed: start == GZIP,
            bytes: metadata.len(),
            file,
        })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length, packed when it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives each line with the place where it begins, of a packed file in what is unpacked;
    /// `None` for one that is too long.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn each_line(&self, mut give: impl FnMut(u64, Option<&[u8]>)) -> Result<Flaws, Failure> {
        let mut flaws = Flaws::default();
        let mut reader = self.reader(0).map_err(|e| self.failed(&e))?;
        let (mut line, mut at) = (Vec::new(), 0);
        loop {
            match read_line(&mut *reader, &mut line) {
                Ok(0) => return Ok(flaws),
                Ok(read) => {
                    let is_whole = line.last() == Some(&b'\n');
                    // What a crawl is about to write is neither a record yet nor a fault.
                    if is_whole || serde_json::from_slice::<serde::de::IgnoredAny>(&line).is_ok() {
                        let fits = read <= MAX_LINE_BYTES as u64;
                        give(at, fits.then_some(&line));
                    } else {
                        flaws.is_unfinished = true;
                    }
                    at += read;
                }
                Err(e) if self.is_packed && is_torn(&e) => {
                    flaws.torn = Some(e.to_string());
                    return Ok(flaws);
                }
                Err(e) => return Err(self.failed(&e)),
            }
        }
    }

    /// Gives each record of a finished output, with its line end, until one is refused.
    ///
    /// # Errors
    /// The file cannot be read, ends within a record, or `give` says why one cannot be used.
    pub fn each_record(
        &self,
        mut give: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), Failure> {
        let (mut number, mut wrong) = (0_u64, None);
        let flaws = self.each_line(|_, line| {
            number += 1;
            if wrong.is_none() {
                let line = line.ok_or_else(|| "it is too long".to_owned());
                let given = line.and_then(&mut give);
                wrong = given.err().map(|why| format!("line {number}: {why}"));
            }
        })?;
        let wrong = wrong.or(match flaws.torn {
            Some(why) => Some(format!("it is damaged: {why}")),
            None if flaws.is_unfinished => {
                Some("it ends within a line: its crawl is not finished".to_owned())
            }
            None => None,
        });
        wrong.map_or(Ok(()), |why| Err(self.failed(&why)))
    }

    /// Gives the lines at these places once more.
    ///
    /// # Errors
    /// The file cannot be read, or is not what it was.
    pub fn read_back(
        &self,
        places: &BTreeSet<u64>,
        mut give: impl FnMut(u64, &[u8]) -> serde_json::Result<()>,
    ) -> Result<(), Failure> {
        let mut line = Vec::new();
        let mut packed: Option<(Box<dyn BufRead + '_>, u64)> = None;
        for place in places {
            let read = match &mut packed {
                Some((reader, at)) => io::copy(&mut reader.take(place - *at), &mut io::sink())
                    .and_then(|_| read_line(&mut **reader, &mut line))
                    .map(|read| *at = place + read),
                None => self.reader(*place).and_then(|mut reader| {
                    if self.is_packed {
                        io::copy(&mut (&mut reader).take(*place), &mut io::sink())?;
                    }
                    let read = read_line(&mut *reader, &mut line)?;
                    if self.is_packed {
                        packed = Some((reader, place + read));
                    }
                    Ok(())
                }),
            };
            read.map_err(|e| self.failed(&e))?;
            give(*place, &line).map_err(|_| self.failed(&"it was changed meanwhile"))?;
        }
        Ok(())
    }

    /// Reads from a place on; a packed file from its start.
    fn reader(&self, place: u64) -> io::Result<Box<dyn BufRead + '_>> {
        let mut file = &self.file;
        let place = if self.is_packed { 0 } else { place };
        file.seek(SeekFrom::Start(place))?;
        let file = file.take(self.bytes.saturating_sub(place));
        Ok(if self.is_packed {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::with_capacity(1 << 16, file))
        })
    }

    fn failed(&self, e: &dyn std::fmt::Display) -> Failure {
        Failure::new(format_args!("cannot read {}: {e}", self.path.display()))
    }
}

fn is_torn(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
    )
}

/// Reads a line and says how long it is; what is too long is passed over and not kept.
fn read_line(mut reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<u64> {
    line.clear();
    let cap = MAX_LINE_BYTES as u64 + 1;
    let mut read = (&mut reader).take(cap).read_until(b'\n', line)? as u64;
    while read >= cap && line.last() != Some(&b'\n') {
        line.clear();
        match (&mut reader).take(cap).read_until(b'\n', line)? {
            0 => break,
            more => read += more as u64,
        }
    }
    Ok(read)
}
