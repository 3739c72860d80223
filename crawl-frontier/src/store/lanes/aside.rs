//! Requests that wait and are not in memory: in the part that an image names, and in a file without a name, which is
//! gone with the process. The journal is the truth about all of them.
//!
//! The part is a run, and so is what is put aside at once: by host, each host's in the order in which they go. What
//! a host has in earlier runs goes before what it has in later ones.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crawl_ckpt::waiting::{BlockStart, WaitingPart, WaitingRequest};

use crate::store::Ticket;
use crate::unnamed;

/// A request takes so many bytes.
const RECORD: usize = 16;
/// So many are read at once.
const BLOCK: usize = 256;
/// So many bytes are written at once.
const WRITTEN: usize = 1 << 20;

/// What is aside.
#[derive(Debug)]
pub struct Aside {
    /// Without a name; `None` for who puts nothing aside.
    file: Option<File>,
    end: u64,
    runs: Vec<Run>,
    hosts: Vec<Position>,
    left: u64,
    last: LastBlock,
}

#[derive(Debug)]
struct Run {
    lies: Lies,
    count: u64,
    /// Where each block begins.
    blocks: Vec<BlockStart>,
}

/// Where a run lies.
#[derive(Debug)]
enum Lies {
    /// In the file without a name, from here on.
    Unnamed(u64),
    Part(WaitingPart),
}

/// The block that was read last: hosts that come one after another often share one.
#[derive(Debug, Default)]
pub struct LastBlock {
    /// Its run, and its number there.
    which: Option<(u32, usize)>,
    requests: Vec<WaitingRequest>,
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
    blocks: Vec<BlockStart>,
    hosts: Vec<(u32, u32)>,
}

impl Aside {
    /// A file in this directory; `None` where there are none without a name.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(dir: &Path) -> io::Result<Option<Aside>> {
        let file = unnamed::create(dir)?;
        Ok(file.map(|file| Aside::with(Some(file), Vec::new())))
    }

    /// A part of which nothing is left so far, see [`Aside::leave`]. With a directory, a file in it for what is put
    /// aside later, where there is one without a name.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn over(part: WaitingPart, dir: Option<&Path>) -> io::Result<Aside> {
        let file = dir.map(unnamed::create).transpose()?.flatten();
        let run = Run {
            count: part.count(),
            blocks: (0..part.blocks())
                .map(|number| part.start(number))
                .collect(),
            lies: Lies::Part(part),
        };
        Ok(Aside::with(file, vec![run]))
    }

    fn with(file: Option<File>, runs: Vec<Run>) -> Aside {
        Aside {
            file,
            end: 0,
            runs,
            hosts: Vec::new(),
            left: 0,
            last: LastBlock::default(),
        }
    }

    /// True when something can be put aside.
    pub fn takes_more(&self) -> bool {
        self.file.is_some()
    }

    /// So many of a host are left of the part, behind so many that are gone.
    pub fn leave(&mut self, host: u32, left: u32, gone: u32) {
        *self.position(host) = Position { left, run: 0, gone };
        self.left += u64::from(left);
    }

    /// The part, when nothing else is aside.
    pub fn part(&self) -> Option<&WaitingPart> {
        match &*self.runs {
            [
                Run {
                    lies: Lies::Part(part),
                    ..
                },
            ] => Some(part),
            _ => None,
        }
    }

    /// How many of a host are gone of the run in which it goes on.
    pub fn gone(&self, host: u32) -> u32 {
        let position = self.hosts.get(host as usize);
        position.map_or(0, |position| position.gone)
    }

    /// How many are left of all hosts.
    pub fn left_of_all(&self) -> u64 {
        self.left
    }

    fn position(&mut self, host: u32) -> &mut Position {
        let place = host as usize;
        if self.hosts.len() <= place {
            self.hosts.resize(place + 1, Position::default());
        }
        &mut self.hosts[place]
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
            run.blocks.push(BlockStart {
                host,
                before: run.of_last,
            });
        }
        run.count += 1;
        run.of_last += 1;
        if let Some((_, count)) = run.hosts.last_mut() {
            *count += 1;
        }
        run.bytes
            .extend_from_slice(&request(host, ticket).to_bytes());
        if run.bytes.len() >= WRITTEN {
            self.write(run)?;
        }
        Ok(())
    }

    fn write(&self, run: &mut NewRun) -> io::Result<()> {
        self.file()?
            .write_all_at(&run.bytes, self.end + run.written)?;
        run.written += run.bytes.len() as u64;
        run.bytes.clear();
        Ok(())
    }

    fn file(&self) -> io::Result<&File> {
        let none = || io::Error::other("there is no file without a name");
        self.file.as_ref().ok_or_else(none)
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
            let position = self.position(host);
            if position.left == 0 {
                (position.run, position.gone) = (number, 0);
            }
            position.left += count;
        }
        self.runs.push(Run {
            lies: Lies::Unnamed(self.end),
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
        let mut last = std::mem::take(&mut self.last);
        let read = self.read(host, position, most, &mut last, |ticket| {
            taken.push(ticket);
            Ok(())
        });
        self.last = last;
        self.hosts[host as usize] = read?;
        self.left -= taken.len() as u64;
        if self.left == 0 {
            // All of it was read, so nobody looks for it.
            if let Some(file) = &self.file {
                file.set_len(0)?;
            }
            (self.end, self.runs) = (0, Vec::new());
            self.last = LastBlock::default();
        }
        Ok(taken)
    }

    /// The requests of a host that are left. `last` is for who asks for one host after another.
    ///
    /// # Errors
    /// Errors of the disk, and of `each`.
    pub fn of(
        &self,
        host: u32,
        last: &mut LastBlock,
        each: impl FnMut(Ticket) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.hosts.get(host as usize) {
            Some(&position) => self
                .read(host, position, position.left, last, each)
                .map(drop),
            None => Ok(()),
        }
    }

    /// Tells so many of a host, which it has. Gives where it goes on then.
    fn read(
        &self,
        host: u32,
        from: Position,
        most: u32,
        last: &mut LastBlock,
        mut each: impl FnMut(Ticket) -> io::Result<()>,
    ) -> io::Result<Position> {
        let mut at = from;
        let mut told = 0;
        while told < most {
            let run = self.runs.get(at.run as usize);
            let run = run.ok_or_else(|| io::Error::other("fewer requests are aside than were"))?;
            let goes_on = BlockStart {
                host,
                before: at.gone,
            };
            let first = run.blocks.partition_point(|block| *block <= goes_on);
            let mut number = first.saturating_sub(1);
            let is_over = loop {
                let Some(&start) = run.blocks.get(number) else {
                    break true;
                };
                let mut of_host = if start.host == host { start.before } else { 0 };
                let mut is_over = start.host > host;
                let which = Some((at.run, number));
                if last.which != which {
                    last.requests = self.block(run, number)?;
                    last.which = which;
                }
                for request in &last.requests {
                    is_over |= request.host > host;
                    if request.host != host || told == most {
                        continue;
                    }
                    if of_host >= at.gone {
                        each(ticket(request))?;
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

    fn block(&self, run: &Run, number: usize) -> io::Result<Vec<WaitingRequest>> {
        let start = match &run.lies {
            Lies::Unnamed(start) => start,
            Lies::Part(part) => return part.read(number).map_err(io::Error::other),
        };
        let before = (number * BLOCK) as u64;
        let count = (run.count - before).min(BLOCK as u64) as usize;
        let mut bytes = vec![0; count * RECORD];
        let start = start + before * RECORD as u64;
        self.file()?.read_exact_at(&mut bytes, start)?;
        Ok(WaitingRequest::all_in(&bytes).collect())
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
                for request in self.block(run, block)? {
                    let (host, ticket) = (request.host, ticket(&request));
                    if last != Some(host) {
                        (last, of_last) = (Some(host), 0);
                    }
                    let at = self.hosts.get(host as usize);
                    let at = at.copied().unwrap_or_default();
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

fn request(host: u32, ticket: Ticket) -> WaitingRequest {
    WaitingRequest {
        host,
        id: ticket.id,
        at: ticket.at,
    }
}

fn ticket(request: &WaitingRequest) -> Ticket {
    Ticket {
        id: request.id,
        at: request.at,
    }
}
