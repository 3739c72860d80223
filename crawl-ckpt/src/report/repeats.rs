//! What several pages have in common: their content, or their title.

use std::cmp::Reverse;
use std::num::NonZero;

/// So many pages are compared; they take 64 MB.
const MAX_PAGES: usize = 2_000_000;

/// Of a larger group so many pages are shown; "and 1 more" would take the place of that one.
const SHOWN: usize = 5;

/// The pages, one entry each: sorted at the end they take a third of what tables of their values would.
#[derive(Debug, Default)]
pub struct Repeats {
    pages: Vec<ComparedPage>,
    passed_over: u64,
}

/// A page, with the hashes of what others may have, too.
#[derive(Debug, Clone, Copy)]
struct ComparedPage {
    content: Option<NonZero<u64>>,
    title: Option<NonZero<u64>>,
    place: u64,
    bytes: u64,
}

/// All groups of pages that have a value in common.
#[derive(Debug)]
pub struct TwinGroups {
    /// How many groups there are, pages beside the first of each, and the bytes of these.
    pub total: u64,
    pub copies: u64,
    pub wasted_bytes: u64,
    /// The foremost of them.
    pub first: Vec<Twins>,
    most: usize,
}

/// Pages that have a value in common.
#[derive(Debug, Clone)]
pub struct Twins {
    /// How many.
    pub count: u64,
    /// Bytes of the last one.
    pub bytes: u64,
    /// Where the first few stand.
    pub places: Vec<u64>,
}

impl Repeats {
    /// A page at this place with these hashes, `bytes` long.
    pub fn add(&mut self, content: Option<u64>, title: Option<u64>, place: u64, bytes: u64) {
        if content.is_none() && title.is_none() {
            return;
        }
        if self.pages.len() == MAX_PAGES {
            self.passed_over += 1;
            return;
        }
        self.pages.push(ComparedPage {
            content: content.and_then(NonZero::new),
            title: title.and_then(NonZero::new),
            place,
            bytes,
        });
    }

    /// So many pages were not compared, since there were too many.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// Pages of the same content, the `most` groups first that waste the most.
    pub fn by_content(&mut self, most: usize) -> TwinGroups {
        let weight = |twins: &Twins| (twins.wasted(), twins.count);
        self.groups(most, |page| page.content, |_| true, weight)
    }

    /// Pages of the same title, the largest groups first. Those of the same content alone have the same title,
    /// and are none of these.
    pub fn by_title(&mut self, most: usize) -> TwinGroups {
        let is_varied = |pages: &[ComparedPage]| {
            let first = pages[0].content;
            first.is_none() || pages.iter().any(|page| page.content != first)
        };
        self.groups(most, |page| page.title, is_varied, |twins| (twins.count, 0))
    }

    fn groups(
        &mut self,
        most: usize,
        value: impl Fn(&ComparedPage) -> Option<NonZero<u64>>,
        is_wanted: impl Fn(&[ComparedPage]) -> bool,
        weight: impl Fn(&Twins) -> (u64, u64),
    ) -> TwinGroups {
        self.pages
            .sort_unstable_by_key(|page| (value(page), page.place));
        let mut groups = TwinGroups {
            total: 0,
            copies: 0,
            wasted_bytes: 0,
            first: Vec::new(),
            most,
        };
        let alike = self.pages.chunk_by(|a, b| value(a) == value(b));
        let alike = alike.filter(|pages| pages.len() > 1 && value(&pages[0]).is_some());
        for pages in alike.filter(|pages| is_wanted(pages)) {
            groups.add(Twins::of(pages), &weight);
        }
        groups.sort(&weight);
        groups
    }
}

impl TwinGroups {
    fn add(&mut self, twins: Twins, weight: &impl Fn(&Twins) -> (u64, u64)) {
        self.total += 1;
        self.copies += twins.count - 1;
        self.wasted_bytes = self.wasted_bytes.saturating_add(twins.wasted());
        self.first.push(twins);
        if self.first.len() >= 2 * self.most {
            self.sort(weight);
        }
    }

    fn sort(&mut self, weight: &impl Fn(&Twins) -> (u64, u64)) {
        self.first
            .sort_by_key(|twins| (Reverse(weight(twins)), twins.places[0]));
        self.first.truncate(self.most);
    }
}

impl Twins {
    fn of(pages: &[ComparedPage]) -> Twins {
        let shown = if pages.len() == SHOWN + 1 {
            SHOWN + 1
        } else {
            SHOWN
        };
        Twins {
            count: pages.len() as u64,
            bytes: pages.last().map_or(0, |page| page.bytes),
            places: pages.iter().take(shown).map(|page| page.place).collect(),
        }
    }

    /// Bytes that one copy alone would have spared.
    fn wasted(&self) -> u64 {
        self.bytes.saturating_mul(self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_with_a_value_in_common_are_found_with_their_first_places() {
        let mut repeats = Repeats::default();
        for place in 0..10 {
            repeats.add(Some(7), Some(1), place, 100);
        }
        repeats.add(Some(8), Some(2), 10, 5);
        repeats.add(Some(9), Some(3), 12, 5);
        repeats.add(Some(10), Some(3), 11, 5);
        repeats.add(None, Some(4), 14, 5);
        repeats.add(None, Some(4), 13, 5);
        let copies = repeats.by_content(3);
        assert_eq!(
            (copies.total, copies.copies, copies.wasted_bytes),
            (1, 9, 900)
        );
        assert_eq!(copies.first[0].count, 10);
        assert_eq!(copies.first[0].places, [0, 1, 2, 3, 4]);
        let titles = repeats.by_title(3);
        assert_eq!((titles.total, titles.copies), (2, 2));
        let places: Vec<_> = titles.first.iter().map(|twins| &twins.places).collect();
        assert_eq!(places, [&[11, 12], &[13, 14]]);
    }

    #[test]
    fn all_groups_are_counted_and_the_heaviest_are_kept() {
        let mut repeats = Repeats::default();
        for value in 1..=50 {
            repeats.add(Some(value), None, 2 * value, value);
            repeats.add(Some(value), None, 2 * value + 1, value);
        }
        let copies = repeats.by_content(3);
        assert_eq!((copies.total, copies.copies), (50, 50));
        let heavy: Vec<u64> = copies.first.iter().map(|twins| twins.bytes).collect();
        assert_eq!(heavy, [50, 49, 48]);
    }

    #[test]
    fn a_full_list_takes_no_more_and_says_so() {
        let mut repeats = Repeats::default();
        for value in 1..=MAX_PAGES as u64 + 3 {
            repeats.add(Some(value), None, value, 1);
        }
        repeats.add(None, None, 0, 1);
        assert_eq!(repeats.passed_over(), 3);
        assert_eq!(repeats.by_content(3).total, 0);
    }
}
