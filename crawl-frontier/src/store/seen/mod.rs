//! The memory of every URL that was taken on: a set of 128-bit fingerprints, exact whatever its size.
//!
//! All of it is a table in memory, until that takes more than the set may have. Then the table becomes a
//! part on the disk and another one begins. The journal is the truth about all of them.

mod ascent;
mod older;
mod room;
mod sorted;

use std::sync::Arc;

use crawl_ckpt::error::StoreError;
use crawl_ckpt::seen::SeenPart;
use crawl_ckpt::tool::Failure;

pub use self::ascent::Ascent;
use self::older::Older;
pub use self::room::SeenRoom;
pub use self::sorted::Sorted;
use super::Watch;
use super::unsound::Unsound;
use crate::table::{Table, nonzero};

/// A set of fingerprints.
#[derive(Debug)]
pub struct Seen {
    table: Table,
    in_table: usize,
    /// So many may be in the table.
    most: usize,
    /// Something is not in the table. Asked for each URL, so it stands here.
    has_older: bool,
    /// What is not in the table; `None` for a set that stays in memory.
    older: Option<Box<Older>>,
}

impl Seen {
    /// The empty set, which stays in memory.
    pub(crate) fn new() -> Seen {
        Seen::with(Table::new(), None)
    }

    /// The empty set, of which the most is put on the disk when it outgrows its room.
    pub fn empty(room: SeenRoom) -> Seen {
        Seen::over(room, Table::new(), Vec::new())
    }

    /// The set of these: a table, and parts that an image names.
    pub fn over(room: SeenRoom, table: Table, parts: Vec<Arc<SeenPart>>) -> Seen {
        Seen::with(table, Some(Box::new(Older::new(room, parts))))
    }

    fn with(table: Table, older: Option<Box<Older>>) -> Seen {
        Seen {
            in_table: table.len(),
            table,
            most: older.as_ref().map_or(usize::MAX, |older| older.most()),
            has_older: older.as_ref().is_some_and(|older| !older.is_empty()),
            older,
        }
    }

    /// How many fingerprints are in it.
    pub(crate) fn len(&self) -> usize {
        self.in_table + self.older.as_ref().map_or(0, |older| older.len())
    }

    /// True when the fingerprint is in it. After a failure, which [`Seen::check`] tells, too.
    #[inline]
    pub fn contains(&self, fingerprint: u128) -> bool {
        self.table.contains(fingerprint) || self.has_older && self.is_older(fingerprint)
    }

    /// Adds a fingerprint; true when it was not there.
    #[inline]
    pub fn insert(&mut self, fingerprint: u128) -> bool {
        if self.has_older && self.contains(fingerprint) {
            return false;
        }
        if !self.table.insert(fingerprint) {
            return false;
        }
        self.in_table += 1;
        if self.in_table >= self.most {
            self.put_aside();
        }
        true
    }

    /// Adds those of a run, which are of one shard and in ascending order.
    fn insert_ascending(&mut self, run: &mut Vec<u128>) {
        if self.has_older {
            run.retain(|fingerprint| !self.is_older(*fingerprint));
        }
        self.in_table += self.table.insert_ascending(run);
        if self.in_table >= self.most {
            self.put_aside();
        }
    }

    /// Looks where the fingerprint would be. Called for a whole page of fingerprints
    /// before they are inserted, it lets the processor fetch all that they need at once.
    #[inline]
    pub fn touch(&self, fingerprint: u128) {
        if self.has_older {
            self.touch_older(fingerprint);
        }
        self.table.touch(fingerprint);
    }

    /// True when nothing failed.
    pub fn is_sound(&self) -> bool {
        self.older.as_ref().is_none_or(|older| older.is_sound())
    }

    /// That nothing failed. What was told of fingerprints after a failure is not to be relied on: nothing may be
    /// committed.
    ///
    /// # Errors
    /// Errors of the disk, and damage, after which the next start does without the image.
    pub fn check(&self) -> Result<(), Failure> {
        self.older.as_ref().map_or(Ok(()), |older| older.check())
    }

    /// The same for who can do without parts.
    pub(in crate::store) fn find_out(&self) -> Result<(), Unsound> {
        self.older.as_ref().map_or(Ok(()), |older| older.find_out())
    }

    /// Takes what other threads have finished.
    pub fn tend(&mut self) {
        if let Some(older) = &mut self.older {
            older.tend();
        }
    }

    /// Waits until nothing is left for other threads to do.
    #[cfg(test)]
    fn work_off(&mut self) {
        if let Some(older) = &mut self.older {
            older.work_off();
        }
    }

    /// Waits until nothing is written any more, for an image of it.
    pub fn come_to_rest(&mut self, watch: &mut dyn Watch) {
        if let Some(older) = &mut self.older {
            older.come_to_rest(watch);
        }
    }

    /// What is in memory of it.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What is on the disk of it.
    pub fn parts(&self) -> &[Arc<SeenPart>] {
        self.older.as_ref().map_or(&[], |older| older.parts())
    }

    /// The fingerprints in ascending order.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn sorted(&self) -> Result<Sorted<'_>, StoreError> {
        let frozen = self.older.as_ref().and_then(|older| older.frozen());
        let tables = frozen.into_iter().chain([&self.table]);
        Sorted::of(tables, self.parts().iter().map(|part| &**part))
    }

    /// Removes the parts that are no more in use, once an image names those that are.
    pub fn image_is_in_force(&self) {
        if let Some(older) = &self.older {
            older.sweep();
        }
    }

    fn touch_older(&self, fingerprint: u128) {
        if let Some(older) = &self.older {
            older.touch(nonzero(fingerprint));
        }
    }

    fn is_older(&self, fingerprint: u128) -> bool {
        let older = self.older.as_ref();
        older.is_some_and(|older| older.contains(nonzero(fingerprint)))
    }

    #[cold]
    fn put_aside(&mut self) {
        if let Some(older) = &mut self.older {
            older.put_aside(std::mem::take(&mut self.table));
            self.in_table = 0;
            self.most = older.most();
            self.has_older = true;
        }
    }
}

#[cfg(test)]
mod tests;
