//! A crawl compared with one before, URL by URL.

use std::collections::HashMap;

use super::row::{Row, url_hash};
use super::source::Source;
use crate::tool::Failure;

/// So many URLs of the crawl before are known; a table of them takes some 75 MB.
const MAX_URLS: usize = 3_600_000;

/// URLs of a list that are kept.
const MAX_LISTED: usize = 100;

/// The URLs of the crawl before that were not met yet.
#[derive(Debug)]
pub struct Earlier {
    /// Where each stands, times two, plus one for a page that was broken.
    urls: HashMap<u64, u64>,
    passed_over: u64,
    pub records: u64,
}

/// Places of what differs: how many, and the first few.
#[derive(Debug, Default)]
pub struct Changed {
    pub broke: Places,
    pub mended: Places,
    pub new: Places,
    /// In the file of the crawl before.
    pub gone: Places,
}

/// How many, and where the first few stand.
#[derive(Debug, Default)]
pub struct Places {
    pub total: u64,
    pub first: Vec<u64>,
}

impl Places {
    fn add(&mut self, place: u64) {
        self.total += 1;
        if self.first.len() < MAX_LISTED {
            self.first.push(place);
        }
    }
}

impl Earlier {
    /// Reads the crawl before.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(source: &Source) -> Result<Earlier, Failure> {
        let mut before = Earlier {
            urls: HashMap::new(),
            passed_over: 0,
            records: 0,
        };
        source.each_line(|place, line| {
            let row = line.and_then(|line| serde_json::from_slice::<Row<'_>>(line).ok());
            let Some(row) = row else { return };
            before.records += 1;
            if before.urls.len() < MAX_URLS {
                let value = place * 2 + u64::from(row.class().is_broken());
                before.urls.insert(url_hash(&row.url), value);
            } else {
                before.passed_over += 1;
            }
        })?;
        Ok(before)
    }

    /// Compares a record of the crawl now.
    pub fn compare(&mut self, changed: &mut Changed, row: &Row<'_>, url: u64, place: u64) {
        let is_broken = row.class().is_broken();
        match self.urls.remove(&url) {
            // What was not kept of the crawl before is not new.
            None if self.passed_over > 0 => {}
            None => changed.new.add(place),
            Some(before) => match (before % 2 == 1, is_broken) {
                (false, true) => changed.broke.add(place),
                (true, false) => changed.mended.add(place),
                _ => {}
            },
        }
    }

    /// What is left was not met.
    pub fn gone(&self, changed: &mut Changed) {
        let mut places: Vec<u64> = self.urls.values().map(|value| value / 2).collect();
        places.sort_unstable();
        places.into_iter().for_each(|place| changed.gone.add(place));
    }

    /// So many URLs of the crawl before were not compared.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }
}
