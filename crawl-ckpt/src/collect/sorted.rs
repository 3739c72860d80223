//! SortedPlaces of records, sorted by the hash of their URL: in memory as long as they fit, in runs on the disk else.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::{iter, mem, process};

use crate::durable::beside;
use crate::tool::Failure;

/// A record. Its order: by URL, then the one that was fetched last at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Of its URL.
    pub hash: u128,
    /// When it was fetched, in milliseconds since 1970.
    pub fetched_ms: i64,
    /// Its line, counted through all files.
    pub line: u64,
}

/// The bytes of a place in a run.
const PLACE: usize = 32;

impl Place {
    fn to_bytes(self) -> [u8; PLACE] {
        let mut bytes = [0; PLACE];
        bytes[..16].copy_from_slice(&self.hash.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.fetched_ms.to_le_bytes());
        bytes[24..].copy_from_slice(&self.line.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; PLACE]) -> Place {
        let eight = |at: usize| bytes[at..at + 8].try_into().unwrap_or_default();
        Place {
            hash: u128::from_le_bytes(bytes[..16].try_into().unwrap_or_default()),
            fetched_ms: i64::from_le_bytes(eight(16)),
            line: u64::from_le_bytes(eight(24)),
        }
    }
}

/// SortedPlaces, as they come.
pub struct SortedPlaces {
    /// Runs lie beside it, without a name: a kill leaves none.
    beside: PathBuf,
    most: usize,
    lines: u64,
    last: Vec<Place>,
    runs: Vec<File>,
}

impl SortedPlaces {
    /// None yet. At most so many are held in memory.
    pub fn new(output: &Path, most: usize) -> SortedPlaces {
        SortedPlaces {
            beside: output.to_owned(),
            most,
            lines: 0,
            last: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Adds one. Lines come in their order.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn add(&mut self, place: Place) -> Result<(), Failure> {
        if self.last.len() >= self.most {
            self.write_run().map_err(|e| self.failed(&e))?;
        }
        self.last.push(place);
        self.lines = place.line + 1;
        Ok(())
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.last.sort_unstable();
        let name = format!(".run-{}-{}", process::id(), self.runs.len());
        let path = beside(&self.beside, &name);
        let mut options = File::options();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        let mut writer = BufWriter::new(file);
        for place in self.last.drain(..) {
            writer.write_all(&place.to_bytes())?;
        }
        let mut file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// Finds URLs that have several records.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn repeats(mut self) -> Result<Superseded, Failure> {
        self.last.sort_unstable();
        let mut repeats = Superseded::new(self.lines);
        let last = mem::take(&mut self.last).into_iter().map(Ok);
        let mut runs: Vec<Box<dyn Iterator<Item = io::Result<Place>>>> = vec![Box::new(last)];
        for run in mem::take(&mut self.runs) {
            runs.push(Box::new(read_run(run)));
        }
        let merged = merge(runs, |place| repeats.take(place));
        merged.map_err(|e| self.failed(&e))?;
        Ok(repeats)
    }

    fn failed(&self, e: &io::Error) -> Failure {
        let dir = crate::durable::parent(&self.beside).display();
        Failure::new(format_args!("cannot sort in {dir}: {e}"))
    }
}

fn read_run(run: File) -> impl Iterator<Item = io::Result<Place>> {
    let mut reader = BufReader::new(run);
    iter::from_fn(move || {
        let mut bytes = [0; PLACE];
        match reader.read_exact(&mut bytes) {
            Ok(()) => Some(Ok(Place::from_bytes(bytes))),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(e) => Some(Err(e)),
        }
    })
}

/// Gives the places of sorted runs in the order of all.
fn merge(
    mut runs: Vec<Box<dyn Iterator<Item = io::Result<Place>>>>,
    mut give: impl FnMut(Place),
) -> io::Result<()> {
    let mut next = BinaryHeap::new();
    for (number, run) in runs.iter_mut().enumerate() {
        if let Some(place) = run.next() {
            next.push(Reverse((place?, number)));
        }
    }
    while let Some(Reverse((place, number))) = next.pop() {
        give(place);
        if let Some(place) = runs[number].next() {
            next.push(Reverse((place?, number)));
        }
    }
    Ok(())
}

/// Records that another one of the same URL comes behind, in the order of their fetching.
pub struct Superseded {
    /// A bit a line.
    left_out: Vec<u64>,
    count: u64,
    urls: u64,
    before: Option<Place>,
    /// The URL before has several.
    is_repeated: bool,
    example: Vec<u64>,
}

/// So many lines of one URL are named.
const NAMED: usize = 5;

impl Superseded {
    fn new(lines: u64) -> Superseded {
        Superseded {
            left_out: vec![0; lines.div_ceil(64) as usize],
            count: 0,
            urls: 0,
            before: None,
            is_repeated: false,
            example: Vec::new(),
        }
    }

    fn take(&mut self, place: Place) {
        let before = self.before.replace(place);
        let Some(before) = before.filter(|before| before.hash == place.hash) else {
            self.is_repeated = false;
            return;
        };
        self.left_out[(before.line / 64) as usize] |= 1 << (before.line % 64);
        self.count += 1;
        if !mem::replace(&mut self.is_repeated, true) {
            self.urls += 1;
        }
        if self.urls == 1 && self.example.len() < NAMED {
            if self.example.is_empty() {
                self.example.push(before.line);
            }
            self.example.push(place.line);
        }
    }

    /// How many are left out.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many URLs have several.
    pub fn urls(&self) -> u64 {
        self.urls
    }

    /// The lines of one of these.
    pub fn example(&self) -> &[u64] {
        &self.example
    }

    /// True for a record that is left out.
    pub fn is_left_out(&self, line: u64) -> bool {
        let word = self.left_out.get((line / 64) as usize);
        word.is_some_and(|word| word >> (line % 64) & 1 == 1)
    }
}
