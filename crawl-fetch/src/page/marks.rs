//! Where the markup of a page stands, kept by the link scanner for the builder of trees, which would
//! look for every `<` and `>` again: that is a third of its time.

use crate::page::find::find;

/// A `<`, and where the scan went on behind what begins there.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    start: u32,
    next: u32,
}

impl Mark {
    /// Pages are at most `MAX_PAGE_BYTES` long.
    #[inline]
    pub fn new(start: usize, next: usize) -> Mark {
        Mark {
            start: start as u32,
            next: next as u32,
        }
    }
}

/// The marks of a page, looked up from its beginning to its end. What the scan passed over, as
/// the text of a script, has none, and is searched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks<'m> {
    marks: &'m [Mark],
    /// The first at or behind the last place that was asked for.
    at: usize,
}

impl<'m> Marks<'m> {
    /// All marks of a page; without any, all of it is searched.
    pub fn new(marks: &'m [Mark]) -> Marks<'m> {
        Marks { marks, at: 0 }
    }

    /// The place of the first `<` at or behind `at`, which must not go back.
    #[inline(always)]
    pub fn find(&mut self, html: &[u8], at: usize) -> Option<usize> {
        let mut rest = &self.marks[self.at..];
        while let [mark, behind @ ..] = rest
            && (mark.start as usize) < at
        {
            rest = behind;
        }
        self.at = self.marks.len() - rest.len();
        // Between where the scan went on and the next mark is no `<`.
        let passed = self.at.checked_sub(1).map(|last| self.marks[last].next);
        match passed {
            Some(next) if next as usize <= at => rest.first().map(|mark| mark.start as usize),
            _ => find(html, at, b'<'),
        }
    }

    /// Where the scan went on behind the `<` that was found last.
    #[inline(always)]
    pub fn next(&self, start: usize) -> Option<usize> {
        let mark = self.marks.get(self.at)?;
        (mark.start as usize == start).then_some(mark.next as usize)
    }
}
