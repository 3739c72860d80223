//! Requests that wait and have no room in memory: in a file without a name, which is gone with the process. The
//! journal is the truth about all of them.
//!
//! What is put aside at once is a run: by host, each host's in the order in which they go. What a host has in
//! earlier runs goes before what it has in later ones.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::{Ticket, unnamed};

/// A host, an id and a place.
const RECORD: usize = 16;
/// So many are read at once.
const BLOCK: usize = 256;
/// So many bytes are written at once.
const WRITTEN: usize = 1 << 20;

/// What is aside.
#[derive(Debug)]
pub struct Aside {
    file: File,
    end: u64,
    runs: Vec<Run>,
    hosts: Vec<Position>,
    left: u64,
}

#[derive(Debug)]
struct Run {
    start: u64,
    count: u64,
    /// Of the first record of each block, its host, and how many of that host are before it in the run.
    blocks: Vec<(u32, u32)>,
}

/// Where a host goes on.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    left: u32,
    run: u32,
    /// So many of its requests in the run are gone.
    gone: u32,
}

/// A run that is written. Nothing counts of it before [`Aside::finish`].
#[derive(Debug, Default)]
pub struct NewRun {
    bytes: Vec<u8>,
    written: u64,
    count: u64,
    last: u32,
    of_last: u32,
    blocks: Vec<(u32, u32)>,
    hosts: Vec<(u32, u32)>,
}

impl Aside {
    /// A file in this directory; `None` where there are none without a name.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(dir: &Path) -> io::Result<Option<Aside>> {
        let file = unnamed::create(dir)?;
        Ok(file.map(|file| Aside {
            file,
            end: 0,
            runs: Vec::new(),
            hosts: Vec::new(),
            left: 0,
        }))
    }

    /// How many of a host are left.
    pub fn left(&self, host: u32) -> u32 {
        let position = self.hosts.get(host as usize);
        position.map_or(0, |position| position.left)
    }

    /// Puts a request aside, behind those of its host, and behind the hosts before.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn push(&self, run: &mut NewRun, host: u32, ticket: Ticket) -> io::Result<()> {
        if run.count == 0 || run.last != host {
            run.hosts.push((host, 0));
            (run.last, run.of_last) = (host, 0);
        }
        if run.count.is_multiple_of(BLOCK as u64) {
            run.blocks.push((host, run.of_last));
        }
        run.count += 1;
        run.of_last += 1;
        if let Some((_, count)) = run.hosts.last_mut() {
            *count += 1;
        }
        run.bytes.extend_from_slice(&host.to_le_bytes());
        run.bytes.extend_from_slice(&ticket.id.to_le_bytes()[..6]);
        run.bytes.extend_from_slice(&ticket.at.to_le_bytes()[..6]);
        if run.bytes.len() >= WRITTEN {
            self.write(run)?;
        }
        Ok(())
    }

    fn write(&self, run: &mut NewRun) -> io::Result<()> {
        self.file.write_all_at(&run.bytes, self.end + run.written)?;
        run.written += run.bytes.len() as u64;
        run.bytes.clear();
        Ok(())
    }

    /// What was pushed counts from now on.
    ///
    /// # Errors
    /// Errors of the disk: nothing of it counts then.
    pub fn finish(&mut self, mut run: NewRun) -> io::Result<()> {
        if run.count == 0 {
            return Ok(());
        }
        self.write(&mut run)?;
        let number = self.runs.len() as u32;
        for (host, count) in run.hosts {
            let place = host as usize;
            if self.hosts.len() <= place {
                self.hosts.resize(place + 1, Position::default());
            }
            let position = &mut self.hosts[place];
            if position.left == 0 {
                (position.run, position.gone) = (number, 0);
            }
            position.left += count;
        }
        self.runs.push(Run {
            start: self.end,
            count: run.count,
            blocks: run.blocks,
        });
        self.end += run.written;
        self.left += run.count;
        Ok(())
    }

    /// Takes so many requests of a host at most, the first ones.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn take(&mut self, host: u32, most: u32) -> io::Result<Vec<Ticket>> {
        let Some(&position) = self.hosts.get(host as usize) else {
            return Ok(Vec::new());
        };
        let mut taken = Vec::new();
        let most = most.min(position.left);
        self.hosts[host as usize] = self.read(host, position, most, |ticket| taken.push(ticket))?;
        self.left -= taken.len() as u64;
        if self.left == 0 {
            // All of it was read, so nobody looks for it.
            self.file.set_len(0)?;
            (self.end, self.runs) = (0, Vec::new());
        }
        Ok(taken)
    }

    /// The requests of a host that are left.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn of(&self, host: u32, each: impl FnMut(Ticket)) -> io::Result<()> {
        match self.hosts.get(host as usize) {
            Some(&position) => self.read(host, position, position.left, each).map(drop),
            None => Ok(()),
        }
    }

    /// Tells so many of a host, which it has. Gives where it goes on then.
    fn read(
        &self,
        host: u32,
        from: Position,
        most: u32,
        mut each: impl FnMut(Ticket),
    ) -> io::Result<Position> {
        let mut at = from;
        let mut told = 0;
        while told < most {
            let run = self.runs.get(at.run as usize);
            let run = run.ok_or_else(|| io::Error::other("fewer requests are aside than were"))?;
            let first = run
                .blocks
                .partition_point(|block| *block <= (host, at.gone));
            let mut number = first.saturating_sub(1);
            let is_over = loop {
                let Some(&(block_host, before)) = run.blocks.get(number) else {
                    break true;
                };
                let mut of_host = if block_host == host { before } else { 0 };
                let mut is_over = block_host > host;
                for (of, ticket) in records(&self.block(run, number)?) {
                    is_over |= of > host;
                    if of != host || told == most {
                        continue;
                    }
                    if of_host >= at.gone {
                        each(ticket);
                        told += 1;
                        at.gone += 1;
                    }
                    of_host += 1;
                }
                if is_over || told == most {
                    break is_over;
                }
                number += 1;
            };
            if told < most && is_over {
                (at.run, at.gone) = (at.run + 1, 0);
            }
        }
        at.left -= told;
        Ok(at)
    }

    fn block(&self, run: &Run, number: usize) -> io::Result<Vec<u8>> {
        let before = (number * BLOCK) as u64;
        let count = (run.count - before).min(BLOCK as u64) as usize;
        let mut bytes = vec![0; count * RECORD];
        let start = run.start + before * RECORD as u64;
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }

    /// Goes through all that is left and keeps those that are to stay, in another file.
    ///
    /// # Errors
    /// Errors of the disk: all is as it was then.
    pub fn sweep(
        &mut self,
        dir: &Path,
        mut stays: impl FnMut(u32, Ticket) -> bool,
    ) -> io::Result<()> {
        let Some(mut swept) = Aside::create(dir)? else {
            return Err(io::Error::other("there is no file without a name any more"));
        };
        for (number, run) in self.runs.iter().enumerate() {
            let (mut new, mut last, mut of_last) = (NewRun::default(), None, 0);
            for block in 0..run.blocks.len() {
                for (host, ticket) in records(&self.block(run, block)?) {
                    if last != Some(host) {
                        (last, of_last) = (Some(host), 0);
                    }
                    let at = self.hosts[host as usize];
                    let is_gone = (number as u32, of_last) < (at.run, at.gone) || at.left == 0;
                    of_last += 1;
                    if !is_gone && stays(host, ticket) {
                        swept.push(&mut new, host, ticket)?;
                    }
                }
            }
            swept.finish(new)?;
        }
        *self = swept;
        Ok(())
    }
}

fn records(bytes: &[u8]) -> impl Iterator<Item = (u32, Ticket)> + '_ {
    let half = |bytes: &[u8]| {
        let mut number = [0; 8];
        number[..6].copy_from_slice(bytes);
        u64::from_le_bytes(number)
    };
    let records = bytes.as_chunks::<RECORD>().0.iter();
    records.map(move |record| {
        let host = u32::from_le_bytes([0, 1, 2, 3].map(|at| record[at]));
        let (id, at) = (half(&record[4..10]), half(&record[10..]));
        (host, Ticket { id, at })
    })
}
