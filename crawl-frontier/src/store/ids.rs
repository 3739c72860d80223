//! Sets of ids, of which most lie close together.

/// Words of a page: 4,096 ids in 512 bytes.
const WORDS: usize = 64;
const PAGE: u64 = 64 * WORDS as u64;

/// A set of ids. Where none is, it takes a byte for 512 of them.
#[derive(Debug, Default)]
pub struct Ids {
    pages: Vec<Option<Box<[u64; WORDS]>>>,
    count: u64,
}

impl Ids {
    /// Puts an id in; false when it was there.
    pub fn insert(&mut self, id: u64) -> bool {
        let (page, word, bit) = place(id);
        if page >= self.pages.len() {
            self.pages.resize(page + 1, None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([0; WORDS]));
        let is_new = page[word] & bit == 0;
        page[word] |= bit;
        self.count += u64::from(is_new);
        is_new
    }

    /// Takes an id out; false when it was not there.
    pub fn remove(&mut self, id: u64) -> bool {
        let (page, word, bit) = place(id);
        let Some(Some(page)) = self.pages.get_mut(page) else {
            return false;
        };
        let was_there = page[word] & bit != 0;
        page[word] &= !bit;
        self.count -= u64::from(was_there);
        was_there
    }

    /// True when the id is there.
    pub fn contains(&self, id: u64) -> bool {
        let (page, word, bit) = place(id);
        matches!(self.pages.get(page), Some(Some(page)) if page[word] & bit != 0)
    }

    /// All of them, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let pages = (0..).step_by(PAGE as usize).zip(&self.pages);
        let pages = pages.filter_map(|(first, page)| Some((first, page.as_ref()?)));
        let words = pages.flat_map(|(first, page)| (first..).step_by(64).zip(page.iter()));
        words.flat_map(|(first, word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 != 0)
                .map(move |bit| first + bit)
        })
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

fn place(id: u64) -> (usize, usize, u64) {
    let word = id % PAGE / 64;
    ((id / PAGE) as usize, word as usize, 1 << (id % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_there_until_it_is_taken_out() {
        let mut ids = Ids::default();
        assert!(ids.is_empty());
        let some = [0, 1, 63, 64, 4_095, 4_096, 10_000_000];
        for id in some {
            assert!(ids.insert(id) && !ids.insert(id), "{id}");
        }
        assert!(ids.iter().eq(some));
        let found: Vec<u64> = (0..5_000).filter(|id| ids.contains(*id)).collect();
        assert_eq!(found, some[..6]);
        for id in some {
            assert!(
                ids.remove(id) && !ids.remove(id) && !ids.contains(id),
                "{id}"
            );
        }
        assert!(ids.is_empty());
        // Nobody asked for these before.
        assert!(!ids.contains(1 << 40) && !ids.remove(1 << 40));
    }
}
