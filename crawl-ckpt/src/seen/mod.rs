//! Parts of the set of URLs that were seen, for a set that is larger than the memory it may have.
//!
//! A [`SeenPart`] is a file of fingerprints in ascending order, in blocks that each have a checksum.
//! What tells in which block a fingerprint would lie, and that most others lie in none, is in memory:
//! 12 bits a fingerprint. A part never changes, and like the image it is never the only copy of anything.

mod filter;
mod frame;
mod part;
mod write;

pub use part::{SeenFingerprints, SeenPart};
pub use write::SeenPartWriter;

use std::path::{Path, PathBuf};

use crate::durable::{Disk, remove_if_there};
use crate::error::StoreError;

const PREFIX: &str = "seen-";

/// Where a part lies in its job directory.
pub fn part_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{PREFIX}{number}"))
}

/// The number of the part with this file name; `None` for any other file.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?;
    let number = digits.parse().ok()?;
    // No sign, no zeros before it.
    (format!("{number}") == digits).then_some(number)
}

/// The numbers of the parts in a job directory, in ascending order.
///
/// # Errors
/// Errors of the disk.
pub fn part_numbers(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, StoreError> {
    let names = disk.list(dir).map_err(StoreError::io("list", dir))?;
    let names = names.iter().filter_map(|name| name.to_str());
    let mut numbers: Vec<u64> = names.filter_map(number_of).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes all parts but these, and what is left of some that were not put in place. Call it while
/// nobody writes one.
///
/// # Errors
/// Errors of the disk.
pub fn sweep_parts(
    disk: &dyn Disk,
    dir: &Path,
    stays: impl Fn(u64) -> bool,
) -> Result<(), StoreError> {
    for name in disk.list(dir).map_err(StoreError::io("list", dir))? {
        let Some(name) = name.to_str() else { continue };
        let is_left_over = match name.strip_suffix(".tmp") {
            Some(of) => number_of(of).is_some(),
            None => number_of(name).is_some_and(|number| !stays(number)),
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
pub fn remove_part(disk: &dyn Disk, dir: &Path, number: u64) -> Result<(), StoreError> {
    let path = part_path(dir, number);
    remove_if_there(disk, &path).map_err(StoreError::io("remove", &path))
}

#[cfg(test)]
mod tests;
