//! More records than there is room for, told in order: pieces of them are sorted and put aside, in a file
//! without a name, and merged in the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::unnamed;

/// So many bytes are written at once.
const WRITTEN: usize = 256 << 10;
/// So much is read of a run at once, with as many runs as there mostly are.
const READ: usize = 64 << 10;
/// All runs together have no more than this of what was read; or they are read in small pieces.
const ALL_READ: usize = 8 << 20;
const LEAST_READ: usize = 4 << 10;

/// What is sorted.
pub trait RunRecord: Ord + Sized {
    /// Writes it down.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what was written, and tells how long it was; `None` when it is longer than this.
    fn read(bytes: &[u8]) -> Option<(Self, usize)>;
}

impl RunRecord for u128 {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<(u128, usize)> {
        let (bytes, _) = bytes.split_first_chunk()?;
        Some((u128::from_le_bytes(*bytes), bytes.len()))
    }
}

/// Numbers that come in any order and are told in ascending order, of which no more are in memory than there is
/// room for.
#[derive(Debug)]
pub struct Sorter {
    numbers: Vec<u128>,
    /// So many are in memory at most.
    most: usize,
    aside: Runs<u128>,
}

impl Sorter {
    /// None yet; about so many bytes of them are in memory at once, the others in this directory.
    pub fn new(dir: &Path, room: usize) -> Sorter {
        Sorter {
            numbers: Vec::new(),
            most: (room / size_of::<u128>()).max(1),
            aside: Runs::new(dir),
        }
    }

    /// Takes one.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn push(&mut self, number: u128) -> io::Result<()> {
        if self.numbers.len() >= self.most {
            self.numbers.sort_unstable();
            if self.aside.put(self.numbers.iter())? {
                self.numbers.clear();
            } else {
                // On such a disk it is as if nobody had said how much memory there is.
                self.most = usize::MAX;
            }
        }
        self.numbers.push(number);
        Ok(())
    }

    /// All of them in order; none is left here.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn sorted(&mut self) -> io::Result<Merged<u128>> {
        let mut last = std::mem::take(&mut self.numbers);
        last.sort_unstable();
        let anew = Runs::new(&self.aside.dir);
        std::mem::replace(&mut self.aside, anew).merged(last)
    }
}

/// Sorted pieces that were put aside.
#[derive(Debug)]
pub struct Runs<R> {
    dir: PathBuf,
    file: Option<File>,
    end: u64,
    runs: Vec<RunReader>,
    record: PhantomData<R>,
}

/// What is left to be read of a run.
#[derive(Debug)]
struct RunReader {
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    /// So much of the buffer was told.
    told: usize,
}

impl<R: RunRecord> Runs<R> {
    /// None yet; they will be in a file in this directory.
    pub fn new(dir: &Path) -> Runs<R> {
        Runs {
            dir: dir.to_owned(),
            file: None,
            end: 0,
            runs: Vec::new(),
            record: PhantomData,
        }
    }

    /// Puts a sorted piece aside. False, and nothing was done, where there are no files without a name.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn put<'r>(&mut self, piece: impl Iterator<Item = &'r R>) -> io::Result<bool>
    where
        R: 'r,
    {
        if self.file.is_none() {
            self.file = unnamed::create(&self.dir)?;
        }
        let Some(file) = &self.file else {
            return Ok(false);
        };
        let (at, mut end) = (self.end, self.end);
        let mut bytes = Vec::with_capacity(WRITTEN);
        for record in piece {
            record.write(&mut bytes);
            if bytes.len() >= WRITTEN {
                file.write_all_at(&bytes, end)?;
                end += bytes.len() as u64;
                bytes.clear();
            }
        }
        file.write_all_at(&bytes, end)?;
        self.end = end + bytes.len() as u64;
        self.runs.push(RunReader {
            at,
            end: self.end,
            buffer: Vec::new(),
            told: 0,
        });
        Ok(true)
    }

    /// All that is aside, and a last sorted piece, as one. Of equal records those that were put aside first
    /// are told first.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn merged(self, last: Vec<R>) -> io::Result<Merged<R>> {
        let most = (ALL_READ / self.runs.len().max(1)).clamp(LEAST_READ, READ);
        let mut merged = Merged {
            file: self.file,
            runs: self.runs,
            last: last.into_iter(),
            heads: BinaryHeap::new(),
            most,
        };
        for number in 0..=merged.runs.len() {
            merged.advance(number)?;
        }
        Ok(merged)
    }
}

/// Records in order.
#[derive(Debug)]
pub struct Merged<R> {
    file: Option<File>,
    runs: Vec<RunReader>,
    last: std::vec::IntoIter<R>,
    /// The next record of each run, the last piece counting as one.
    heads: BinaryHeap<Reverse<(R, usize)>>,
    /// So much is read at once.
    most: usize,
}

impl<R: RunRecord> Merged<R> {
    /// The record that is told next.
    pub fn peek(&self) -> Option<&R> {
        self.heads.peek().map(|Reverse((record, _))| record)
    }

    /// The next record; `None` behind the last.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn next(&mut self) -> io::Result<Option<R>> {
        let Some(Reverse((record, number))) = self.heads.pop() else {
            return Ok(None);
        };
        self.advance(number)?;
        Ok(Some(record))
    }

    /// The next record, if it is one of these.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn next_if(&mut self, fits: impl FnOnce(&R) -> bool) -> io::Result<Option<R>> {
        if self.peek().is_some_and(fits) {
            self.next()
        } else {
            Ok(None)
        }
    }

    fn advance(&mut self, number: usize) -> io::Result<()> {
        let record = match (self.runs.get_mut(number), &self.file) {
            (Some(run), Some(file)) => run.next(file, self.most)?,
            _ => self.last.next(),
        };
        self.heads
            .extend(record.map(|record| Reverse((record, number))));
        Ok(())
    }
}

impl RunReader {
    fn next<R: RunRecord>(&mut self, file: &File, most: usize) -> io::Result<Option<R>> {
        loop {
            if let Some((record, len)) = R::read(&self.buffer[self.told..]) {
                self.told += len;
                return Ok(Some(record));
            }
            if self.at == self.end {
                return Ok(None);
            }
            self.buffer.drain(..self.told);
            self.told = 0;
            let before = self.buffer.len();
            let more = (self.end - self.at).min(most as u64);
            self.buffer.resize(before + more as usize, 0);
            file.read_exact_at(&mut self.buffer[before..], self.at)?;
            self.at += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An order of its own: by the last digit alone.
    #[derive(Debug)]
    struct Text(String);

    impl Text {
        fn rank(&self) -> &str {
            &self.0[self.0.len() - 1..]
        }
    }

    impl Ord for Text {
        fn cmp(&self, other: &Text) -> std::cmp::Ordering {
            self.rank().cmp(other.rank())
        }
    }

    impl PartialOrd for Text {
        fn partial_cmp(&self, other: &Text) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }

    impl PartialEq for Text {
        fn eq(&self, other: &Text) -> bool {
            self.cmp(other).is_eq()
        }
    }

    impl Eq for Text {}

    impl RunRecord for Text {
        fn write(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&(self.0.len() as u32).to_le_bytes());
            out.extend_from_slice(self.0.as_bytes());
        }

        fn read(bytes: &[u8]) -> Option<(Text, usize)> {
            let (len, rest) = bytes.split_first_chunk()?;
            let len = u32::from_le_bytes(*len) as usize;
            let text = String::from_utf8(rest.get(..len)?.to_owned()).unwrap();
            Some((Text(text), 4 + len))
        }
    }

    #[test]
    fn pieces_are_told_as_one_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut runs = Runs::new(dir.path());
        let piece = |number: u128| (0..20_000).map(|n| n * 7 + number).collect::<Vec<u128>>();
        for number in [3, 0, 6, 1, 5, 2] {
            assert!(runs.put(piece(number).iter()).unwrap());
        }
        let mut merged = runs.merged(piece(4)).unwrap();
        for expected in 0..140_000 {
            assert_eq!(merged.peek(), Some(&expected));
            assert!(merged.next_if(|next| *next > expected).unwrap().is_none());
            assert_eq!(merged.next().unwrap(), Some(expected));
        }
        assert_eq!(merged.next().unwrap(), None);
    }

    #[test]
    fn numbers_are_told_in_order_whatever_the_room() {
        for room in [0, 1_000, 1 << 20] {
            let dir = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(dir.path(), room);
            for n in 0..5_000_u128 {
                sorter.push((n * 7_919 % 5_000) << 70).unwrap();
                assert!(sorter.numbers.len() <= (room / 16).max(1));
            }
            let mut sorted = sorter.sorted().unwrap();
            for n in 0..5_000 {
                assert_eq!(sorted.next().unwrap(), Some(n << 70));
            }
            assert_eq!(sorted.next().unwrap(), None);
        }
    }

    #[test]
    fn of_equal_records_the_first_is_told_first_however_long_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let mut runs = Runs::new(dir.path());
        let long = "x".repeat(READ * 3);
        let text = |of: &str| Text(of.to_owned());
        runs.put([text("a1"), Text(format!("{long}2"))].iter())
            .unwrap();
        runs.put([].iter()).unwrap();
        runs.put([text("b1"), text("b2")].iter()).unwrap();
        let mut merged = runs.merged(vec![text("c1"), text("c3")]).unwrap();
        let mut told = Vec::new();
        while let Some(Text(text)) = merged.next().unwrap() {
            told.push(text.replace(&long, "long"));
        }
        assert_eq!(told, ["a1", "b1", "c1", "long2", "b2", "c3"]);
    }
}
