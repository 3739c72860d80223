//! What is on the simulated disk, what of it is synced, and what a power cut leaves of the rest.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};
use std::sync::Arc;

use super::super::parent;
use super::Unsynced;

/// The sector of a disk: so much is written as a whole or not at all.
pub const SECTOR: usize = 512;

/// Files and folders by number; 0 is the root.
#[derive(Clone)]
pub struct Tree {
    pub nodes: BTreeMap<u64, DiskNode>,
    next: u64,
}

#[derive(Clone)]
pub enum DiskNode {
    File(Content),
    Folder(Folder),
}

#[derive(Clone, Default)]
pub struct Content {
    pub now: Arc<Vec<u8>>,
    pub durable: Arc<Vec<u8>>,
    /// Since the last sync.
    changes: Vec<DiskChange>,
}

#[derive(Clone)]
pub enum DiskChange {
    Write { at: usize, bytes: Arc<Vec<u8>> },
    Resize(usize),
}

/// Names and what they lead to.
#[derive(Clone, Default)]
pub struct Folder {
    pub now: BTreeMap<OsString, u64>,
    pub durable: BTreeMap<OsString, u64>,
    /// Since the last sync. A rename is one change of two names: it happens as a whole or not at all.
    changes: Vec<Vec<(OsString, Option<u64>)>>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree {
            nodes: BTreeMap::from([(0, DiskNode::Folder(Folder::default()))]),
            next: 1,
        }
    }
}

impl Tree {
    pub fn find(&self, path: &Path) -> io::Result<u64> {
        let mut number = 0;
        for component in path.components() {
            if let Component::Normal(name) = component {
                let Some(DiskNode::Folder(folder)) = self.nodes.get(&number) else {
                    return Err(ErrorKind::NotADirectory.into());
                };
                number = *folder.now.get(name).ok_or(ErrorKind::NotFound)?;
            }
        }
        Ok(number)
    }

    pub fn file_at(&self, path: &Path) -> io::Result<u64> {
        let number = self.find(path)?;
        self.content(number).map(|_| number)
    }

    pub fn folder_at(&self, path: &Path) -> io::Result<&Folder> {
        match self.nodes.get(&self.find(path)?) {
            Some(DiskNode::Folder(folder)) => Ok(folder),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub fn folder_mut(&mut self, number: u64) -> io::Result<&mut Folder> {
        match self.nodes.get_mut(&number) {
            Some(DiskNode::Folder(folder)) => Ok(folder),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub fn content(&self, number: u64) -> io::Result<&Content> {
        match self.nodes.get(&number) {
            Some(DiskNode::File(content)) => Ok(content),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub fn content_mut(&mut self, number: u64) -> io::Result<&mut Content> {
        match self.nodes.get_mut(&number) {
            Some(DiskNode::File(content)) => Ok(content),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    pub fn create(&mut self, path: &Path, node: DiskNode) -> io::Result<()> {
        if self.find(path).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let number = self.next;
        let folder = self.find(parent(path))?;
        self.folder_mut(folder)?
            .change(vec![(name_of(path)?, Some(number))]);
        self.next += 1;
        self.nodes.insert(number, node);
        Ok(())
    }

    pub fn forget(&mut self, path: &Path) -> io::Result<()> {
        let folder = self.find(parent(path))?;
        self.folder_mut(folder)?
            .change(vec![(name_of(path)?, None)]);
        Ok(())
    }

    /// Within one folder, as all renames here are.
    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let number = self.find(from)?;
        if parent(from) != parent(to) {
            return Err(ErrorKind::Unsupported.into());
        }
        let folder = self.find(parent(from))?;
        let names = vec![(name_of(to)?, Some(number)), (name_of(from)?, None)];
        self.folder_mut(folder)?.change(names);
        Ok(())
    }
}

impl Folder {
    pub fn change(&mut self, names: Vec<(OsString, Option<u64>)>) {
        apply(&mut self.now, &names);
        self.changes.push(names);
    }

    pub fn sync(&mut self) {
        self.durable = self.now.clone();
        self.changes.clear();
    }

    pub fn power_cut(&mut self, unsynced: Unsynced, dice: &mut Dice) {
        for names in std::mem::take(&mut self.changes) {
            if dice.keeps(unsynced) {
                apply(&mut self.durable, &names);
            }
        }
        self.now = self.durable.clone();
    }
}

fn apply(folder: &mut BTreeMap<OsString, u64>, names: &[(OsString, Option<u64>)]) {
    for (name, number) in names {
        match number {
            Some(number) => folder.insert(name.clone(), *number),
            None => folder.remove(name),
        };
    }
}

impl Content {
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        put(Arc::make_mut(&mut self.now), at, bytes);
        self.changes.push(DiskChange::Write {
            at,
            bytes: Arc::new(bytes.to_vec()),
        });
    }

    pub fn resize(&mut self, len: usize) {
        Arc::make_mut(&mut self.now).resize(len, 0);
        self.changes.push(DiskChange::Resize(len));
    }

    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            self.make_durable(&change);
        }
    }

    /// What was not synced can still be read, and never will be durable.
    pub fn fail_to_sync(&mut self) {
        self.changes.clear();
    }

    fn make_durable(&mut self, change: &DiskChange) {
        let durable = Arc::make_mut(&mut self.durable);
        match change {
            DiskChange::Write { at, bytes } => put(durable, *at, bytes),
            DiskChange::Resize(len) => durable.resize(*len, 0),
        }
    }

    pub fn power_cut(&mut self, unsynced: Unsynced, dice: &mut Dice) {
        let changes = std::mem::take(&mut self.changes);
        match unsynced {
            Unsynced::Lost => {}
            Unsynced::Kept => changes.iter().for_each(|change| self.make_durable(change)),
            Unsynced::Diced(_) => changes.iter().for_each(|change| self.dice(change, dice)),
        }
        self.now = self.durable.clone();
    }

    pub fn dice(&mut self, change: &DiskChange, dice: &mut Dice) {
        let DiskChange::Write { at, bytes } = change else {
            if dice.roll(2) == 0 {
                self.make_durable(change);
            }
            return;
        };
        let durable = Arc::make_mut(&mut self.durable);
        // The length may be there without the bytes; then there is nothing, or what lay there before.
        if dice.roll(2) == 0 && durable.len() < at + bytes.len() {
            durable.resize(at + bytes.len(), [0, 0xa5][dice.roll(2) as usize]);
        }
        let mut done = 0;
        while done < bytes.len() {
            let piece = (SECTOR - (at + done) % SECTOR).min(bytes.len() - done);
            if dice.roll(2) == 0 {
                put(durable, at + done, &bytes[done..done + piece]);
            }
            done += piece;
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(bytes);
}

/// An xorshift generator: the same throws for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) % sides
    }

    pub fn keeps(&mut self, unsynced: Unsynced) -> bool {
        match unsynced {
            Unsynced::Lost => false,
            Unsynced::Kept => true,
            Unsynced::Diced(_) => self.roll(2) == 0,
        }
    }
}

fn name_of(path: &Path) -> io::Result<OsString> {
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    Ok(name.to_owned())
}
