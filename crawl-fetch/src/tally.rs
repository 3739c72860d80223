//! What became of all requests, for `--verbose`.

use std::collections::BTreeMap;
use std::fmt;

use crawl_ckpt::human::{count, counted};
use crawl_ckpt::record::ErrorKind;

/// Results by what they say.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    by_status: BTreeMap<u16, u64>,
    by_error: BTreeMap<ErrorKind, u64>,
}

impl Tally {
    /// Counts a result: an error's kind, or else its status.
    pub fn add(&mut self, status: Option<u16>, error: Option<ErrorKind>) {
        match (status, error) {
            (_, Some(kind)) => *self.by_error.entry(kind).or_default() += 1,
            (Some(status), None) => *self.by_status.entry(status / 100).or_default() += 1,
            (None, None) => {}
        }
    }

    /// How many results were of this kind.
    pub fn errors(&self, kind: ErrorKind) -> u64 {
        self.by_error.get(&kind).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.by_status.values().chain(self.by_error.values()).sum();
        f.write_str(&counted(total, "result"))?;
        let mut part = ":";
        for (class, number) in &self.by_status {
            write!(f, "{part} {} {class}xx", count(*number))?;
            part = ",";
        }
        for (kind, number) in &self.by_error {
            write!(f, "{part} {} {kind}", count(*number))?;
            part = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_reads_as_one_line() {
        let mut tally = Tally::default();
        assert_eq!(tally.to_string(), "0 results");
        tally.add(Some(204), None);
        tally.add(Some(200), None);
        tally.add(Some(200), Some(ErrorKind::TooLarge));
        tally.add(None, Some(ErrorKind::Dns));
        assert_eq!(tally.to_string(), "4 results: 2 2xx, 1 dns, 1 too_large");
    }
}
