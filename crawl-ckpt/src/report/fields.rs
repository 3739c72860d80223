//! Which fields the items have, and how often they say nothing.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

/// So many fields are counted, as crawl-frontier does; a crawl with more has names that are data.
const MAX_FIELDS: usize = 200;

/// The counts by field.
#[derive(Debug, Default)]
pub struct FieldCounts {
    pub items: u64,
    /// How many items have a value in the field.
    pub filled: HashMap<String, u64>,
    /// Some fields were not counted.
    pub is_cut: bool,
}

impl FieldCounts {
    pub fn add(&mut self, item: &RawValue) {
        let Ok(fields) = serde_json::from_str::<HashMap<Cow<'_, str>, &RawValue>>(item.get())
        else {
            return;
        };
        self.items += 1;
        for (name, value) in fields {
            let filled = u64::from(!matches!(value.get(), "null" | "\"\"" | "[]" | "{}"));
            let is_full = self.filled.len() >= MAX_FIELDS || name.len() > 200;
            match self.filled.get_mut(&*name) {
                Some(count) => *count += filled,
                None if is_full => self.is_cut = true,
                None => {
                    self.filled.insert(name.into_owned(), filled);
                }
            }
        }
    }
}
