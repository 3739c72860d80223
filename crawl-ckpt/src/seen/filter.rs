//! A Bloom filter in blocks of one cache line each, in the order of the fingerprints: who fills it
//! with fingerprints in order, or asks for many in order, goes through memory once.

const BITS_EACH: u64 = 12;
const BLOCK_BITS: u64 = 512;
const WORDS: usize = 8;
const PROBES: u32 = 7;

/// Tells of most fingerprints that are not in a part that they are not: of all but one in 150.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// An empty filter for so many fingerprints.
    pub fn new(count: u64) -> Filter {
        Filter {
            words: vec![0; Filter::bytes(count) / 8],
        }
    }

    /// How long the filter of so many fingerprints is.
    pub fn bytes(count: u64) -> usize {
        let blocks = (count * BITS_EACH).div_ceil(BLOCK_BITS).max(1);
        blocks as usize * WORDS * 8
    }

    /// From what [`Filter::words`] gave.
    pub fn from_words(words: Vec<u64>) -> Filter {
        Filter { words }
    }

    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub fn insert(&mut self, fingerprint: u128) {
        let block = self.block(fingerprint);
        for bit in bits(fingerprint) {
            self.words[block + (bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    /// False when it is certain that the fingerprint was not put in.
    pub fn may_contain(&self, fingerprint: u128) -> bool {
        let block = self.block(fingerprint);
        bits(fingerprint).all(|bit| self.words[block + (bit / 64) as usize] & 1 << (bit % 64) != 0)
    }

    /// Reads a word of where a fingerprint would be, so that the processor waits for many at once.
    pub fn touch(&self, fingerprint: u128) -> u64 {
        self.words[self.block(fingerprint)]
    }

    /// By the first half of the fingerprint.
    fn block(&self, fingerprint: u128) -> usize {
        let blocks = (self.words.len() / WORDS) as u128;
        (((fingerprint >> 64) * blocks) >> 64) as usize * WORDS
    }
}

/// By the second half: nine bits each.
fn bits(fingerprint: u128) -> impl Iterator<Item = u64> {
    let low = fingerprint as u64;
    (0..PROBES).map(move |probe| low >> (9 * probe) & (BLOCK_BITS - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seen::tests::fingerprints;

    #[test]
    fn it_knows_all_that_was_put_in_and_hardly_anything_else() {
        let mut filter = Filter::new(50_000);
        for fingerprint in fingerprints(1).take(50_000) {
            filter.insert(fingerprint);
        }
        assert!(
            fingerprints(1)
                .take(50_000)
                .all(|one| filter.may_contain(one))
        );
        let wrong = fingerprints(2).take(50_000);
        let wrong = wrong.filter(|one| filter.may_contain(*one)).count();
        assert!(wrong < 50_000 / 100, "{wrong}");
    }
}
