//! The few largest of many.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Keeps the `most` entries of the highest rank; of equal ones those that stand first in the file.
#[derive(Debug)]
pub struct Top {
    most: usize,
    heap: BinaryHeap<Reverse<(u64, Reverse<u64>)>>,
    offered: u64,
}

impl Top {
    pub fn new(most: usize) -> Top {
        Top {
            most,
            heap: BinaryHeap::new(),
            offered: 0,
        }
    }

    pub fn offer(&mut self, rank: u64, place: u64) {
        self.offered += 1;
        self.heap.push(Reverse((rank, Reverse(place))));
        if self.heap.len() > self.most {
            self.heap.pop();
        }
    }

    /// How many there were.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// The places of those that were kept, the highest rank first.
    pub fn places(&self) -> Vec<u64> {
        let mut kept: Vec<_> = self.heap.iter().map(|Reverse(entry)| *entry).collect();
        kept.sort_unstable_by(|a, b| b.cmp(a));
        kept.into_iter().map(|(_, Reverse(place))| place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_stay_in_order_and_no_more_than_wanted() {
        let mut top = Top::new(3);
        for (rank, place) in [(5, 0), (9, 1), (1, 2), (9, 3), (7, 4)] {
            top.offer(rank, place);
        }
        assert_eq!(top.places(), [1, 3, 4]);
        assert_eq!(top.offered(), 5);
    }
}
