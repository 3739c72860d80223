//! `--max-cost` of a batch: what all its crawls may cost together. Whoever begins gets a share of what is
//! free, and gives back what it did not need.

use std::sync::{Mutex, MutexGuard};

use crawl_ckpt::mutex::lock;
use crawl_ckpt::price::shown;

/// What may be spent.
#[derive(Debug)]
pub struct Budget {
    /// `None` without a cap.
    purse: Option<Mutex<Purse>>,
}

#[derive(Debug)]
struct Purse {
    most: u64,
    spent: u64,
    /// What crawls under way may still spend.
    given: u64,
}

impl Budget {
    /// A budget of `most`, of which so much was spent by earlier runs of the batch.
    pub fn new(most: Option<u64>, spent: u64) -> Budget {
        let purse = |most| {
            Mutex::new(Purse {
                most,
                spent,
                given: 0,
            })
        };
        Budget {
            purse: most.map(purse),
        }
    }

    /// The share of one of so many that want one; `None` without a cap.
    pub fn offer(&self, of: usize) -> Option<u64> {
        self.purse().map(|purse| purse.free() / of.max(1) as u64)
    }

    /// Takes such a share.
    pub fn take(&self, of: usize) -> Option<u64> {
        let mut purse = self.purse()?;
        let share = purse.free() / of.max(1) as u64;
        purse.given += share;
        Some(share)
    }

    /// So much of a share was spent, and the rest is for others.
    pub fn settle(&self, share: Option<u64>, spent: u64) {
        if let (Some(mut purse), Some(share)) = (self.purse(), share) {
            purse.given = purse.given.saturating_sub(share);
            purse.spent = purse.spent.saturating_add(spent);
        }
    }

    /// `4.93 of 5.00`; `None` without a cap.
    pub fn in_words(&self) -> Option<String> {
        let purse = self.purse()?;
        Some(format!("{} of {}", shown(purse.spent), shown(purse.most)))
    }

    fn purse(&self) -> Option<MutexGuard<'_, Purse>> {
        self.purse.as_ref().map(lock)
    }
}

impl Purse {
    fn free(&self) -> u64 {
        self.most
            .saturating_sub(self.spent.saturating_add(self.given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_crawls_may_spend_together_is_never_more_than_the_budget() {
        let budget = Budget::new(Some(100), 20);
        let shares = [budget.take(2), budget.take(1)];
        assert_eq!(shares, [Some(40), Some(40)]);
        assert_eq!(budget.offer(1), Some(0));
        // What one did not need is there for others.
        budget.settle(shares[0], 10);
        assert_eq!(budget.offer(3), Some(10));
        // A page that was larger than expected.
        budget.settle(shares[1], 50);
        assert_eq!(budget.take(1), Some(20));
        assert_eq!(Budget::new(None, 20).take(1), None);
    }
}
