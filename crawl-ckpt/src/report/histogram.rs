//! Counts of numbers by size: sixteen steps between a power of two and the next, so that a
//! quantile is right to a sixteenth whatever the numbers are, in at most 976 counters.

use serde::Serialize;

/// Numbers below this have a counter each.
const STEPS: u64 = 16;

/// The counts.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum: u64,
    max: u64,
}

/// What people ask of it.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Quantiles {
    pub count: u64,
    pub sum: u64,
    pub median: u64,
    pub p95: u64,
    pub p99: u64,
    pub max: u64,
}

/// The numbers from a power of two up to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Octave {
    pub from: u64,
    pub count: u64,
}

fn index(number: u64) -> usize {
    if number < STEPS {
        return number as usize;
    }
    let exponent = number.ilog2();
    let step = (number >> (exponent - 4)) % STEPS;
    (u64::from(exponent - 3) * STEPS + step) as usize
}

/// The smallest number that is counted there.
fn lowest(index: usize) -> u64 {
    let (octave, step) = (index as u64 / STEPS, index as u64 % STEPS);
    match octave {
        0 => step,
        _ => (STEPS + step) << (octave - 1),
    }
}

impl Histogram {
    pub fn add(&mut self, number: u64) {
        let index = index(number);
        if self.counts.len() <= index {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.sum = self.sum.saturating_add(number);
        self.max = self.max.max(number);
    }

    pub fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.total,
            sum: self.sum,
            median: self.quantile(50),
            p95: self.quantile(95),
            p99: self.quantile(99),
            max: self.max,
        }
    }

    fn quantile(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut below = 0;
        for (index, count) in self.counts.iter().enumerate() {
            below += count;
            if below >= rank {
                return lowest(index);
            }
        }
        0
    }

    /// From the first that has any number to the last that has.
    pub fn octaves(&self) -> Vec<Octave> {
        let mut octaves: Vec<Octave> = Vec::new();
        for (index, count) in self.counts.iter().enumerate() {
            let from = match lowest(index) {
                0 => 0,
                number => 1 << number.ilog2(),
            };
            match octaves.last_mut() {
                Some(last) if last.from == from => last.count += count,
                None if *count == 0 => {}
                _ => octaves.push(Octave {
                    from,
                    count: *count,
                }),
            }
        }
        octaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_counted_within_a_sixteenth_of_itself() {
        let mut before = 0;
        for number in (0..5000)
            .chain((0..64).map(|bit| 1 << bit))
            .chain([u64::MAX])
        {
            let low = lowest(index(number));
            assert!(
                low <= number && number - low <= number / 16,
                "{number} {low}"
            );
            before = before.max(index(number));
        }
        assert_eq!(before, 975);
    }

    #[test]
    fn quantiles_and_octaves_are_those_of_the_numbers() {
        let mut histogram = Histogram::default();
        (1..=100).for_each(|number| histogram.add(number));
        let got = histogram.quantiles();
        assert_eq!(
            (got.count, got.sum, got.median, got.max),
            (100, 5050, 50, 100)
        );
        assert!((88..=95).contains(&got.p95), "{got:?}");
        let octaves: Vec<_> = histogram
            .octaves()
            .iter()
            .map(|o| (o.from, o.count))
            .collect();
        assert_eq!(
            octaves,
            [(1, 1), (2, 2), (4, 4), (8, 8), (16, 16), (32, 32), (64, 37)]
        );
        assert_eq!(Histogram::default().quantiles().median, 0);
    }
}
