//! Several sets of fingerprints, none of which is in two of them, told as one in ascending order.

use crawl_ckpt::error::StoreError;
use crawl_ckpt::seen::{SeenFingerprints, SeenPart};

use super::Table;

/// The fingerprints in ascending order.
pub struct Sorted<'a> {
    /// The next one of each source that has any more.
    heads: Vec<(u128, Source<'a>)>,
}

enum Source<'a> {
    Table(Box<dyn Iterator<Item = u128> + 'a>),
    Part(SeenFingerprints<'a>),
}

impl Source<'_> {
    fn next(&mut self) -> Result<Option<u128>, StoreError> {
        match self {
            Source::Table(fingerprints) => Ok(fingerprints.next()),
            Source::Part(fingerprints) => fingerprints.next(),
        }
    }
}

impl<'a> Sorted<'a> {
    /// Of these tables and parts.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn of(
        tables: impl Iterator<Item = &'a Table>,
        parts: impl Iterator<Item = &'a SeenPart>,
    ) -> Result<Sorted<'a>, StoreError> {
        let tables = tables.map(|table| Source::Table(Box::new(table.shards().flatten())));
        let parts = parts.map(|part| Source::Part(part.fingerprints()));
        let mut heads = Vec::new();
        for mut source in tables.chain(parts) {
            if let Some(first) = source.next()? {
                heads.push((first, source));
            }
        }
        Ok(Sorted { heads })
    }

    /// The next one; `None` behind the last.
    ///
    /// # Errors
    /// Errors of the disk, and damage.
    pub fn next(&mut self) -> Result<Option<u128>, StoreError> {
        let heads = self.heads.iter().enumerate();
        let Some((place, &(least, _))) = heads.min_by_key(|(_, (first, _))| *first) else {
            return Ok(None);
        };
        let (first, source) = &mut self.heads[place];
        match source.next()? {
            Some(next) => *first = next,
            None => drop(self.heads.swap_remove(place)),
        }
        Ok(Some(least))
    }
}
