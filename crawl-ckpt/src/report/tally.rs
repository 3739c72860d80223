//! Counts by name, of at most so many names.

use std::collections::HashMap;

use serde::Serialize;

const MAX_NAMES: usize = 10_000;

/// A longer name is not kept.
const MAX_NAME: usize = 2000;

/// The counts.
#[derive(Debug, Default)]
pub struct NameCounts {
    counts: HashMap<String, u64>,
    others: u64,
}

/// A name and how often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: String,
    pub count: u64,
}

impl NameCounts {
    pub fn add(&mut self, name: &str) {
        let is_full = self.counts.len() >= MAX_NAMES || name.len() > MAX_NAME;
        match self.counts.get_mut(name) {
            Some(count) => *count += 1,
            None if is_full => self.others += 1,
            None => {
                self.counts.insert(name.to_owned(), 1);
            }
        }
    }

    /// The most frequent first; what was not kept by its name last, as `others`.
    pub fn sorted(&self) -> Vec<Count> {
        let counts = self.counts.iter();
        let mut counts: Vec<Count> = counts
            .map(|(name, count)| Count {
                name: name.clone(),
                count: *count,
            })
            .collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        if self.others > 0 {
            counts.push(Count {
                name: "others".into(),
                count: self.others,
            });
        }
        counts
    }
}
