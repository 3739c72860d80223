//! Parts of what a job remembers, each a file of its own that is written once and never changes.
//!
//! An image names the parts that belong to it, by number and by how they end. Like the image they are
//! never the only copy of anything: the journal is the truth.

mod blocks;
mod frame;
mod write;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use self::blocks::{FoundPart, PartBlocks};
pub(crate) use self::frame::{BLOCK, EACH, PartHeader, SUM_AT};
pub(crate) use self::write::PartWriter;
use crate::durable::{Disk, remove_if_there};
use crate::error::StoreError;

/// What parts are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartKind {
    magic: [u8; 8],
    prefix: &'static str,
    of: &'static str,
}

/// Of the set of URLs that were seen.
pub const SEEN: PartKind = PartKind {
    magic: *b"CRAWLSEN",
    prefix: "seen-",
    of: "what was seen",
};

/// Of the requests that wait.
pub const WAITING: PartKind = PartKind {
    magic: *b"CRAWLWAI",
    prefix: "waiting-",
    of: "what waits",
};

/// The parts that an image names.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct NamedParts {
    /// Of what was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<NamedPart>,
    /// Of what waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<NamedPart>,
}

/// A part that an image names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedPart {
    /// In the name of its file.
    pub number: u64,
    /// The first half of what ends its file: no other part has it.
    #[serde(with = "crate::hex")]
    pub sum: [u8; 16],
}

/// All kinds that there are.
pub const KINDS: [PartKind; 2] = [SEEN, WAITING];

impl PartKind {
    /// Where a part lies in its job directory.
    pub fn path(&self, dir: &Path, number: u64) -> PathBuf {
        dir.join(format!("{}{number}", self.prefix))
    }

    /// The number of the part with this file name; `None` for any other file.
    pub(crate) fn number_of(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(self.prefix)?;
        let number = digits.parse().ok()?;
        // No sign, no zeros before it.
        (format!("{number}") == digits).then_some(number)
    }

    /// The numbers of the parts in a job directory, in ascending order.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn numbers(&self, disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
        let names = disk.list(dir).map_err(StoreError::io("list", dir))?;
        let names = names.iter().filter_map(|name| name.to_str());
        let mut numbers: Vec<u64> = names.filter_map(|name| self.number_of(name)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Removes all parts but these, and what is left of some that were not put in place. Call it while
    /// nobody writes one.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn sweep(
        &self,
        disk: &dyn Disk,
        dir: &Path,
        stays: impl Fn(u64) -> bool,
    ) -> Result<(), StoreError> {
        for name in disk.list(dir).map_err(StoreError::io("list", dir))? {
            let Some(name) = name.to_str() else { continue };
            let is_left_over = match name.strip_suffix(".tmp") {
                Some(of) => self.number_of(of).is_some(),
                None => self.number_of(name).is_some_and(|number| !stays(number)),
            };
            if is_left_over {
                let path = dir.join(name);
                remove_if_there(disk, &path).map_err(StoreError::io("remove", &path))?;
            }
        }
        Ok(())
    }

    /// Removes a part; one that is not there is fine.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn remove(&self, disk: &dyn Disk, dir: &Path, number: u64) -> Result<(), StoreError> {
        let path = self.path(dir, number);
        remove_if_there(disk, &path).map_err(StoreError::io("remove", &path))
    }
}
