//! Requests with a priority that wait and are not in memory, in a file without a name, which is gone with the
//! process. The journal is the truth about all of them.
//!
//! What is put aside at once is a run: by host, each host's from the highest priority down. A host goes on with the
//! highest of all its runs, and of one priority with the run that goes before.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::store::Ticket;
use crate::unnamed;

/// A request takes so many bytes: its priority, its id, and where it lies.
const RECORD: usize = 20;
/// So many are read at once.
const BLOCK: u32 = 256;
/// So many bytes are written at once.
const WRITTEN: usize = 1 << 20;
/// More runs become one: a host is looked for in each of them.
const MOST_RUNS: usize = 16;

/// A request and its priority.
type RankedRequest = (i64, Ticket);

/// What is aside.
#[derive(Debug)]
pub struct RankedAside {
    dir: PathBuf,
    file: File,
    end: u64,
    /// Of one priority, what is in an earlier one goes first.
    runs: VecDeque<RankedRun>,
    hosts: Vec<LeftOfHost>,
    left: u64,
    last: RankedBlocks,
}

#[derive(Debug, Clone, Copy, Default)]
struct LeftOfHost {
    count: u32,
    /// The highest priority of these.
    top: i64,
}

#[derive(Debug)]
struct RankedRun {
    /// Where it begins in the file.
    at: u64,
    count: u32,
    spans: Vec<Span>,
}

/// The requests of a host in a run, by their place in it.
#[derive(Debug, Clone, Copy)]
struct Span {
    host: u32,
    next: u32,
    end: u32,
}

/// The block of each run that was read last.
#[derive(Debug, Default)]
pub struct RankedBlocks(Vec<RankedBlock>);

#[derive(Debug)]
struct RankedBlock {
    /// Where its run begins.
    run: u64,
    /// The place of its first request in the run.
    first: u32,
    bytes: Vec<u8>,
}

/// A run that is written. Nothing counts of it before [`RankedAside::finish`].
#[derive(Debug, Default)]
pub struct NewRankedRun {
    bytes: Vec<u8>,
    written: u64,
    count: u32,
    /// Each with its highest priority.
    spans: Vec<(Span, i64)>,
}

/// Before what there is of the same priority, or behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunPlace {
    Before,
    Behind,
}

/// Where a host goes on in a run.
struct Cursor {
    run: usize,
    next: u32,
    end: u32,
    head: RankedRequest,
}

impl RankedAside {
    /// A file in this directory.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(dir: &Path) -> io::Result<RankedAside> {
        let none = || io::Error::other("there is no file without a name any more");
        Ok(RankedAside {
            dir: dir.to_owned(),
            file: unnamed::create(dir)?.ok_or_else(none)?,
            end: 0,
            runs: VecDeque::new(),
            hosts: Vec::new(),
            left: 0,
            last: RankedBlocks::default(),
        })
    }

    /// How many of a host are left.
    pub fn left(&self, host: u32) -> u32 {
        self.hosts.get(host as usize).map_or(0, |of| of.count)
    }

    /// The highest priority of those.
    pub fn top(&self, host: u32) -> Option<i64> {
        let of = self.hosts.get(host as usize)?;
        (of.count > 0).then_some(of.top)
    }

    /// Puts a request aside, behind those of its host that have no lower priority, and behind the hosts before.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn push(
        &self,
        run: &mut NewRankedRun,
        host: u32,
        (priority, ticket): RankedRequest,
    ) -> io::Result<()> {
        let place = run.count;
        run.count = place.checked_add(1).ok_or_else(too_many)?;
        match run.spans.last_mut() {
            Some((span, _)) if span.host == host => span.end = run.count,
            _ => run.spans.push((
                Span {
                    host,
                    next: place,
                    end: run.count,
                },
                priority,
            )),
        }
        run.bytes.extend_from_slice(&priority.to_le_bytes());
        run.bytes.extend_from_slice(&ticket.id.to_le_bytes()[..6]);
        run.bytes.extend_from_slice(&ticket.at.to_le_bytes()[..6]);
        if run.bytes.len() >= WRITTEN {
            self.write(run)?;
        }
        Ok(())
    }

    fn write(&self, run: &mut NewRankedRun) -> io::Result<()> {
        self.file.write_all_at(&run.bytes, self.end + run.written)?;
        run.written += run.bytes.len() as u64;
        run.bytes.clear();
        Ok(())
    }

    /// What was pushed counts from now on. No other run may have been written meanwhile.
    ///
    /// # Errors
    /// Errors of the disk: nothing of it counts then.
    pub fn finish(&mut self, mut run: NewRankedRun, place: RunPlace) -> io::Result<()> {
        if run.count == 0 {
            return Ok(());
        }
        self.write(&mut run)?;
        for (span, top) in &run.spans {
            let place = span.host as usize;
            if self.hosts.len() <= place {
                self.hosts.resize(place + 1, LeftOfHost::default());
            }
            let of = &mut self.hosts[place];
            of.top = if of.count > 0 { of.top.max(*top) } else { *top };
            of.count += span.end - span.next;
        }
        let finished = RankedRun {
            at: self.end,
            count: run.count,
            spans: run.spans.into_iter().map(|(span, _)| span).collect(),
        };
        self.end += run.written;
        self.left += u64::from(run.count);
        match place {
            RunPlace::Before => self.runs.push_front(finished),
            RunPlace::Behind => self.runs.push_back(finished),
        }
        if self.runs.len() > MOST_RUNS {
            self.sweep(|_, _| true)?;
        }
        Ok(())
    }

    /// Takes so many requests of a host at most, the first ones.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn take(&mut self, host: u32, most: u32) -> io::Result<Vec<RankedRequest>> {
        let mut taken = Vec::new();
        let mut last = std::mem::take(&mut self.last);
        let mut cursors = self.cursors(host, &mut last)?;
        while taken.len() < most as usize
            && let Some(next) = self.next(&mut cursors, &mut last)?
        {
            taken.push(next);
        }
        self.last = last;
        // Those of a run of which nothing is left have no cursor any more.
        for (place, run) in self.runs.iter_mut().enumerate() {
            let goes_on = cursors.iter().find(|cursor| cursor.run == place);
            if let Some(span) = run.span_mut(host) {
                span.next = goes_on.map_or(span.end, |cursor| cursor.next);
            }
        }
        if let Some(of) = self.hosts.get_mut(host as usize) {
            of.count -= taken.len() as u32;
            of.top = first_of(&cursors).map_or(0, |place| cursors[place].head.0);
        }
        self.left -= taken.len() as u64;
        if self.left == 0 {
            // All of it was read, so nobody looks for it.
            self.file.set_len(0)?;
            self.end = 0;
            self.runs.clear();
            self.last = RankedBlocks::default();
        }
        Ok(taken)
    }

    /// Tells the requests of a host that are left. `last` is for who asks for one host after another.
    ///
    /// # Errors
    /// Errors of the disk, and of `each`.
    pub fn of(
        &self,
        host: u32,
        last: &mut RankedBlocks,
        mut each: impl FnMut(i64, Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut cursors = self.cursors(host, last)?;
        while let Some((priority, ticket)) = self.next(&mut cursors, last)? {
            each(priority, ticket)?;
        }
        Ok(())
    }

    /// Goes through all that is left and keeps those that are to stay, as one run in another file.
    ///
    /// # Errors
    /// Errors of the disk: all is as it was then.
    pub fn sweep(&mut self, mut stays: impl FnMut(u32, Ticket) -> bool) -> io::Result<()> {
        let mut swept = RankedAside::create(&self.dir)?;
        let (mut run, mut last) = (NewRankedRun::default(), RankedBlocks::default());
        for host in 0..self.hosts.len() as u32 {
            if self.left(host) == 0 {
                continue;
            }
            self.of(host, &mut last, |priority, ticket| {
                if stays(host, ticket) {
                    swept.push(&mut run, host, (priority, ticket))?;
                }
                Ok(())
            })?;
        }
        swept.finish(run, RunPlace::Behind)?;
        *self = swept;
        Ok(())
    }

    fn cursors(&self, host: u32, last: &mut RankedBlocks) -> io::Result<Vec<Cursor>> {
        let mut cursors = Vec::new();
        if self.left(host) == 0 {
            return Ok(cursors);
        }
        for (place, run) in self.runs.iter().enumerate() {
            if let Some(span) = run.span(host)
                && span.next < span.end
            {
                cursors.push(Cursor {
                    run: place,
                    next: span.next,
                    end: span.end,
                    head: self.read(run, span.next, last)?,
                });
            }
        }
        Ok(cursors)
    }

    /// The request that goes next.
    fn next(
        &self,
        cursors: &mut Vec<Cursor>,
        last: &mut RankedBlocks,
    ) -> io::Result<Option<RankedRequest>> {
        let Some(place) = first_of(cursors) else {
            return Ok(None);
        };
        let cursor = &mut cursors[place];
        let next = cursor.head;
        cursor.next += 1;
        if cursor.next == cursor.end {
            cursors.remove(place);
        } else {
            cursor.head = self.read(&self.runs[cursor.run], cursor.next, last)?;
        }
        Ok(Some(next))
    }

    fn read(
        &self,
        run: &RankedRun,
        place: u32,
        last: &mut RankedBlocks,
    ) -> io::Result<RankedRequest> {
        let first = place - place % BLOCK;
        let known = last.0.iter().position(|block| block.run == run.at);
        let known = known.unwrap_or_else(|| {
            let bytes = Vec::new();
            last.0.push(RankedBlock {
                run: run.at,
                first,
                bytes,
            });
            last.0.len() - 1
        });
        let block = &mut last.0[known];
        if block.first != first || block.bytes.is_empty() {
            let count = (run.count - first).min(BLOCK) as usize;
            block.first = first;
            block.bytes.resize(count * RECORD, 0);
            let at = run.at + u64::from(first) * RECORD as u64;
            self.file.read_exact_at(&mut block.bytes, at)?;
        }
        let at = (place - first) as usize * RECORD;
        Ok(request(&block.bytes[at..at + RECORD]))
    }
}

impl RankedRun {
    fn place_of(&self, host: u32) -> Option<usize> {
        self.spans
            .binary_search_by_key(&host, |span| span.host)
            .ok()
    }

    fn span(&self, host: u32) -> Option<Span> {
        self.place_of(host).map(|place| self.spans[place])
    }

    fn span_mut(&mut self, host: u32) -> Option<&mut Span> {
        self.place_of(host).map(|place| &mut self.spans[place])
    }
}

/// Which of them has the request that goes next.
fn first_of(cursors: &[Cursor]) -> Option<usize> {
    let rank = |place: &usize| (Reverse(cursors[*place].head.0), cursors[*place].run);
    (0..cursors.len()).min_by_key(rank)
}

fn request(bytes: &[u8]) -> RankedRequest {
    let number = |bytes: &[u8]| {
        let bytes = bytes.iter().rev();
        bytes.fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let ticket = Ticket {
        id: number(&bytes[8..14]),
        at: number(&bytes[14..]),
    };
    (number(&bytes[..8]) as i64, ticket)
}

fn too_many() -> io::Error {
    io::Error::other("too many requests with a priority wait")
}
