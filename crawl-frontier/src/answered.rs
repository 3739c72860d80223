//! Which hosts answered for a page, as long as a journal is read.

use crate::schedule::{HostId, grow_by_quarters};

/// By host, the path and query of the last page that is told of: texts one behind the other.
#[derive(Debug, Default)]
pub struct Answered {
    text: String,
    /// Where in the text the page of a host begins and ends.
    pages: Vec<(u64, u32)>,
}

impl Answered {
    /// The host answered for this page.
    pub fn remember(&mut self, host: HostId, page: &str) {
        let place = host.0 as usize;
        if self.pages.len() <= place {
            grow_by_quarters(&mut self.pages, place + 1);
            self.pages.resize(place + 1, (0, 0));
        }
        self.pages[place] = (self.text.len() as u64, page.len() as u32);
        self.text.push_str(page);
    }

    /// The hosts that answered, in the order in which they were met, each with its page.
    pub fn pages(&self) -> impl Iterator<Item = (HostId, &str)> {
        let pages = self.pages.iter().enumerate();
        let answered = pages.filter(|(_, (_, len))| *len > 0);
        answered.map(|(place, (start, len))| {
            let page = &self.text[*start as usize..][..*len as usize];
            (HostId(place as u32), page)
        })
    }
}
