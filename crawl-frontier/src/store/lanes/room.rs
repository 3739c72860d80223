//! When too much waits, what goes last is put aside, and fetched when its turn comes.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crawl_ckpt::durable::Disk;
use crawl_ckpt::tool::Failure;

use super::Lanes;
use super::aside::{Aside, NewRun};
use super::lane::{EMPTY_LANE, NONE, Node, touch};
use crate::store::unsound::Unsound;
use crate::unnamed::{AsideRoom, MAKE_ROOM};

/// Fewer are not worth the work.
const LEAST: usize = 1 << 12;
/// With a smaller share of what may be in memory, those with a priority stay there.
const FEW: usize = 8;
/// So many of a host are in memory at most while others of it are aside.
pub const AT_HAND: usize = 256;

/// Fewer that wait are read in a twentieth of a second at a start.
const LONG: u64 = 4 << 20;
/// So many of a long queue are read at a start.
const HEADS: u64 = 1 << 17;

/// How much of what waits may be in memory, and where the rest of it goes.
#[derive(Debug, Clone)]
pub struct LanesRoom {
    pub(in crate::store) disk: Arc<dyn Disk>,
    /// The job's.
    pub(in crate::store) dir: PathBuf,
    pub(in crate::store) most: usize,
    /// Of a queue that is longer, a start reads the heads alone …
    pub(in crate::store) long: u64,
    /// … which are so many together.
    pub(in crate::store) heads: u64,
}

impl LanesRoom {
    /// So many bytes, and this job directory.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf, bytes: u64) -> LanesRoom {
        let most = usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<Node>();
        LanesRoom {
            disk,
            dir,
            most: most.max(LEAST),
            long: LONG,
            heads: HEADS,
        }
    }

    /// As much room for something else.
    pub fn aside(&self) -> AsideRoom {
        AsideRoom {
            dir: self.dir.clone(),
            bytes: self.most * size_of::<Node>(),
        }
    }
}

impl Lanes {
    /// How much of what waits may be in memory; `None`: all of it.
    pub fn room(&self) -> Option<AsideRoom> {
        self.room.as_ref().map(|room| room.aside())
    }

    /// Whoever cannot put anything aside has all in memory: who only reads, and who has no file without a name.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn take_in(&mut self) -> io::Result<()> {
        if self.aside.as_ref().is_none_or(|aside| aside.takes_more()) {
            return Ok(());
        }
        self.most = usize::MAX;
        for host in 0..self.plain.len() as u32 {
            self.take_aside(host, u32::MAX)?;
        }
        (self.aside, self.behind) = (None, Vec::new());
        Ok(())
    }

    /// Puts aside what goes last.
    #[cold]
    pub(super) fn make_room(&mut self) {
        let Some(room) = self.room.clone() else {
            return;
        };
        if self.aside.is_none() {
            match Aside::create(&room.dir) {
                Ok(Some(aside)) => {
                    self.aside = Some(aside);
                    self.behind = vec![EMPTY_LANE; self.plain.len()];
                }
                // On such a disk it is as if nobody had said how much memory there is.
                Ok(None) => {
                    self.most = usize::MAX;
                    return;
                }
                Err(e) => return self.note(Err(e)),
            }
        }
        let put = self.put_aside(&room, self.window());
        self.note(put);
    }

    /// So many of each host stay in memory.
    pub(super) fn window(&self) -> usize {
        let most = self.room.as_ref().map_or(usize::MAX, |room| room.most);
        (most / 4 / self.plain.len().max(1)).min(AT_HAND)
    }

    /// Puts aside what is behind the first `keep` of a host, and all that came behind what is aside already.
    fn put_aside(&mut self, room: &LanesRoom, keep: usize) -> io::Result<()> {
        let Some(aside) = &mut self.aside else {
            return Ok(());
        };
        let mut run = NewRun::default();
        let mut nodes = Vec::new();
        let mut plain = vec![EMPTY_LANE; self.plain.len()];
        for (id, lane) in self.plain.iter().enumerate() {
            touch(&self.plain, id, &self.nodes);
            let host = id as u32;
            let is_begun = aside.left(host) > 0;
            let mut left = if is_begun { usize::MAX } else { keep };
            for node in lane.nodes(&self.nodes) {
                if left > 0 {
                    left -= 1;
                    plain[id].append_copy(node, &mut nodes);
                } else {
                    aside.push(&mut run, host, node.ticket())?;
                }
            }
            if is_begun {
                for ticket in self.behind[id].tickets(&self.nodes) {
                    aside.push(&mut run, host, ticket)?;
                }
            }
        }
        let finished = aside.finish(run);
        let few = room.most / FEW;
        let copied = self
            .ranks
            .copy((few, keep), &room.dir, &self.nodes, &mut nodes);
        // What is in a run is not in memory any more, so a failure here ends all work.
        self.most = (nodes.len() + self.ranks.room() + room.most / 2).max(room.most);
        (self.plain, self.nodes) = (plain, nodes);
        self.behind.fill(EMPTY_LANE);
        self.free = NONE;
        finished.and(copied)
    }

    /// Fetches what goes next of a host that has nothing in memory before what is aside.
    pub(super) fn fetch(&mut self, host: u32) {
        let most = self.window().max(1) as u32;
        let taken = self.take_aside(host, most);
        self.note(taken);
    }

    /// Brings so many of a host into memory that go next of what is aside.
    fn take_aside(&mut self, host: u32, most: u32) -> io::Result<()> {
        let Some(aside) = &mut self.aside else {
            return Ok(());
        };
        for ticket in aside.take(host, most)? {
            let node = self.node(ticket);
            self.plain[host as usize].append(node, &mut self.nodes);
        }
        if self.left_aside(host) == 0
            && let Some(behind) = self.behind.get_mut(host as usize)
        {
            let behind = std::mem::replace(behind, EMPTY_LANE);
            self.plain[host as usize].join(behind, &mut self.nodes);
        }
        Ok(())
    }

    pub(super) fn note(&mut self, result: io::Result<()>) {
        if let Err(e) = result {
            self.failure.get_or_insert(failed(e));
        }
    }
}

/// Why what is aside cannot be told.
pub fn failed(error: io::Error) -> Unsound {
    Unsound::of(error, |e| {
        Failure::new(format_args!("cannot put aside what waits: {e}")).hint(MAKE_ROOM)
    })
}
