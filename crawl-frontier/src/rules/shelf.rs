//! What the robots.txt of many hosts say: what is the same of several is kept once, and what was not asked for of
//! late lies on the disk, in a file without a name. The journal is the truth about all of it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crawl_ckpt::robots::Robots;

use crate::unnamed::{self, AsideRoom};

/// What one takes in memory beside its text, about.
const BOOK_BYTES: usize = 128;
/// So many bytes are written at once.
const WRITTEN: usize = 1 << 20;
/// It is not on the disk.
const NOWHERE: u64 = u64::MAX;

/// What one is known by. The number of none is 0, so that one that may be missing takes four bytes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookId(NonZeroU32);

impl BookId {
    fn place(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Rules, or sitemaps, each once.
#[derive(Debug, Default)]
pub struct Shelf {
    /// How much may be in memory; `None`: all of it.
    room: Option<AsideRoom>,
    file: Option<File>,
    end: u64,
    /// By the digest of its text.
    known: HashMap<[u8; 16], BookId>,
    /// Where each lies in the file, and how long it is.
    places: Vec<(u64, u32)>,
    /// What was asked for of late. When there is too much of it, it becomes what was asked for before.
    recent: HashMap<usize, Arc<Robots>>,
    recent_bytes: usize,
    before: HashMap<usize, Arc<Robots>>,
}

impl Shelf {
    /// An empty one, of which so much is in memory.
    pub fn within(room: Option<AsideRoom>) -> Shelf {
        Shelf {
            room,
            ..Shelf::default()
        }
    }

    /// Keeps one; `None` when it says nothing.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn put(&mut self, robots: Robots) -> io::Result<Option<BookId>> {
        if robots == Robots::default() {
            return Ok(None);
        }
        let text = serde_json::to_vec(&robots)?;
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(&text).as_bytes()[..16]);
        if let Some(id) = self.known.get(&digest) {
            return Ok(Some(*id));
        }
        self.places.push((NOWHERE, text.len() as u32));
        let number = u32::try_from(self.places.len()).ok();
        let Some(id) = number.and_then(NonZeroU32::new).map(BookId) else {
            return Err(io::Error::other("there are too many of them"));
        };
        self.known.insert(digest, id);
        self.hold(id, Arc::new(robots))?;
        Ok(Some(id))
    }

    /// What is kept under an id.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn get(&mut self, id: Option<BookId>) -> io::Result<Arc<Robots>> {
        let Some(id) = id else {
            return Ok(Arc::default());
        };
        if let Some(robots) = self.recent.get(&id.place()) {
            return Ok(robots.clone());
        }
        let robots = match self.before.remove(&id.place()) {
            Some(robots) => robots,
            None => Arc::new(self.read(id)?),
        };
        self.hold(id, robots.clone())?;
        Ok(robots)
    }

    /// The same for who asks once: it is no more at hand than before.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn look(&self, id: Option<BookId>) -> io::Result<Arc<Robots>> {
        let Some(id) = id else {
            return Ok(Arc::default());
        };
        let at_hand = self.recent.get(&id.place());
        let at_hand = at_hand.or_else(|| self.before.get(&id.place()));
        at_hand.map_or_else(|| self.read(id).map(Arc::new), |robots| Ok(robots.clone()))
    }

    fn read(&self, id: BookId) -> io::Result<Robots> {
        let missing = || io::Error::other("rules are not where they were put");
        let file = self.file.as_ref().ok_or_else(missing)?;
        let &(at, len) = self.places.get(id.place()).ok_or_else(missing)?;
        let mut text = vec![0; len as usize];
        file.read_exact_at(&mut text, at)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Keeps one in memory for now.
    fn hold(&mut self, id: BookId, robots: Arc<Robots>) -> io::Result<()> {
        self.recent.insert(id.place(), robots);
        self.recent_bytes += self.places[id.place()].1 as usize + BOOK_BYTES;
        match &self.room {
            Some(room) if self.recent_bytes > room.bytes / 2 => self.make_room(),
            _ => Ok(()),
        }
    }

    #[cold]
    fn make_room(&mut self) -> io::Result<()> {
        let (mut texts, mut written) = (Vec::new(), self.end);
        for (place, robots) in &self.before {
            let (at, len) = &mut self.places[*place];
            if *at != NOWHERE {
                continue;
            }
            if let (None, Some(room)) = (&self.file, &self.room) {
                self.file = unnamed::create(&room.dir)?;
            }
            let Some(file) = &self.file else {
                // On such a disk it is as if nobody had said how much memory there is.
                self.room = None;
                return Ok(());
            };
            serde_json::to_writer(&mut texts, &**robots)?;
            *at = self.end;
            self.end += u64::from(*len);
            if texts.len() >= WRITTEN {
                file.write_all_at(&texts, written)?;
                texts.clear();
                written = self.end;
            }
        }
        if let Some(file) = &self.file {
            file.write_all_at(&texts, written)?;
        }
        self.before = std::mem::take(&mut self.recent);
        self.recent_bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(number: u32) -> Robots {
        Robots::parse(
            &format!("User-agent: *\nDisallow: /private/{number}/\n"),
            "x",
        )
    }

    #[test]
    fn what_is_put_there_is_had_again_with_any_room() {
        for bytes in [Some(0), Some(2_000), Some(1 << 20), None] {
            let dir = tempfile::tempdir().unwrap();
            let dir = || dir.path().to_owned();
            let room = bytes.map(|bytes| AsideRoom { dir: dir(), bytes });
            let mut shelf = Shelf::within(room);
            let ids: Vec<_> = (0..300).map(|n| shelf.put(rules(n)).unwrap()).collect();
            for round in 0..3 {
                for n in 0..300_u32 {
                    let n = n * 7 % 300;
                    let id = ids[n as usize];
                    assert_eq!(*shelf.look(id).unwrap(), rules(n), "{round}");
                    assert_eq!(*shelf.get(id).unwrap(), rules(n), "{round}");
                }
            }
            assert_eq!(shelf.places.len(), 300);
            let in_memory = shelf.recent.len() + shelf.before.len();
            match bytes {
                Some(bytes) if bytes < 1 << 20 => assert!(in_memory < 20, "{in_memory}"),
                _ => assert_eq!(in_memory, 300),
            }
        }
    }

    #[test]
    fn what_many_have_in_common_is_there_once_and_nothing_takes_nothing() {
        let mut shelf = Shelf::default();
        let ids: Vec<_> = (0..100).map(|n| shelf.put(rules(n % 2)).unwrap()).collect();
        assert_eq!((ids[0], ids[1]), (ids[98], ids[99]));
        assert_eq!(shelf.places.len(), 2);
        let nothing = shelf.put(Robots::default()).unwrap();
        assert_eq!(nothing, None);
        assert_eq!(*shelf.get(nothing).unwrap(), Robots::default());
    }
}
