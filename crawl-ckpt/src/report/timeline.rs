//! Records over time, in at most 240 steps: when there would be more, two and two become one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::row::Class;

const MAX_STEPS: usize = 240;

/// The counts by class of each step in which something came; a pause takes no place.
#[derive(Debug)]
pub struct Timeline {
    step_ms: i64,
    steps: BTreeMap<i64, [u64; Class::ALL.len()]>,
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline {
            step_ms: 250,
            steps: BTreeMap::new(),
        }
    }
}

/// What came in one step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Milliseconds since 1970 at which it begins.
    pub at_ms: i64,
    /// In the order of [`Class::ALL`].
    pub counts: [u64; Class::ALL.len()],
}

impl Timeline {
    pub fn add(&mut self, at_ms: i64, class: Class) {
        let step = self
            .steps
            .entry(at_ms.div_euclid(self.step_ms))
            .or_default();
        step[class as usize] += 1;
        while self.steps.len() > MAX_STEPS {
            self.step_ms *= 2;
            for (number, counts) in std::mem::take(&mut self.steps) {
                let merged = self.steps.entry(number.div_euclid(2)).or_default();
                for (sum, count) in merged.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
        }
    }

    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    pub fn steps(&self) -> Vec<Step> {
        let steps = self.steps.iter();
        steps
            .map(|(number, counts)| Step {
                at_ms: number * self.step_ms,
                counts: *counts,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_small_and_loses_no_record_however_long_a_crawl_takes() {
        let mut timeline = Timeline::default();
        for at in 0..100_000 {
            timeline.add(at * 997 - 5_000_000, Class::Success);
        }
        timeline.add(i64::MAX / 2, Class::ClientError);
        let steps = timeline.steps();
        assert!((60..=MAX_STEPS).contains(&steps.len()), "{}", steps.len());
        let sum: u64 = steps.iter().flat_map(|step| step.counts).sum();
        assert_eq!(sum, 100_001);
    }
}
