//! What came of each host, or of each part of a site. The first thousand have figures of their
//! own; the rest is counted together.

use std::collections::HashMap;

use super::histogram::Histogram;
use super::row::{Class, Row};

const MAX_NAMES: usize = 1000;

/// A longer name is cut.
const MAX_NAME: usize = 300;

/// Figures by name.
#[derive(Debug, Default)]
pub struct Shares {
    named: HashMap<String, Share>,
    /// All whose name came too late.
    pub others: Share,
}

/// The figures of one.
#[derive(Debug, Default)]
pub struct Share {
    pub records: u64,
    /// In the order of [`Class::ALL`].
    pub classes: [u64; Class::ALL.len()],
    pub blocks: u64,
    pub bytes: u64,
    pub times: Histogram,
}

impl Shares {
    pub fn add(&mut self, name: &str, row: &Row<'_>) {
        let is_full = self.named.len() >= MAX_NAMES || name.len() > MAX_NAME;
        let share = match self.named.get_mut(name) {
            Some(share) => share,
            None if is_full => &mut self.others,
            None => self.named.entry(name.to_owned()).or_default(),
        };
        share.records += 1;
        share.classes[row.class() as usize] += 1;
        share.blocks += u64::from(row.is_block());
        share.bytes = share.bytes.saturating_add(row.bytes.unwrap_or(0));
        if let Some(time) = row.elapsed_ms {
            share.times.add(time);
        }
    }

    /// Those with the most records first.
    pub fn sorted(&self) -> Vec<(&str, &Share)> {
        let mut shares: Vec<_> = self
            .named
            .iter()
            .map(|(name, share)| (&**name, share))
            .collect();
        shares.sort_by_key(|(name, share)| (std::cmp::Reverse(share.records), *name));
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_after_a_thousand_names_is_counted_together() {
        let row: Row<'_> = serde_json::from_str(r#"{"url":"http://h/","status":403}"#).unwrap();
        let mut shares = Shares::default();
        for n in 0..1500 {
            shares.add(&format!("h{n}"), &row);
        }
        shares.add("h0", &row);
        shares.add(&"x".repeat(400), &row);
        assert_eq!(shares.sorted().len(), 1000);
        assert_eq!(shares.sorted()[0].0, "h0");
        assert_eq!((shares.others.records, shares.others.blocks), (501, 501));
    }
}
