//! Which hosts ever answered for a page.

use crate::schedule::{HostId, grow_by_quarters};

/// By host, the path and query of a page that it answered for.
#[derive(Debug, Default)]
pub struct Answered {
    pages: Vec<Option<Box<str>>>,
}

impl Answered {
    /// The page that the host answered for; `None` while it never did.
    pub fn page(&self, host: HostId) -> Option<&str> {
        self.pages.get(host.0 as usize)?.as_deref()
    }

    /// The host answered for this page.
    pub fn remember(&mut self, host: HostId, page: &str) {
        let place = host.0 as usize;
        if self.pages.len() <= place {
            grow_by_quarters(&mut self.pages, place + 1);
            self.pages.resize(place + 1, None);
        }
        self.pages[place] = Some(page.into());
    }

    /// The hosts that ever answered, in the order in which they were met.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> {
        let pages = self.pages.iter().enumerate();
        pages.filter_map(|(place, page)| page.as_ref().map(|_| HostId(place as u32)))
    }
}
