//! The pages that hosts answered for in an earlier run, one behind the other: those of all hosts are told at a
//! start, and this run may ask a few of them.

use super::origins::Origins;
use super::{HostId, grow_by_quarters};

/// No page is known.
const NOWHERE: u32 = u32::MAX;

/// Paths and queries, by host.
#[derive(Debug, Default)]
pub struct EarlierPages {
    texts: Origins,
    places: Vec<u32>,
}

impl EarlierPages {
    pub fn put(&mut self, id: HostId, page: &str) {
        let place = id.0 as usize;
        if self.places.len() <= place {
            grow_by_quarters(&mut self.places, place + 1);
            self.places.resize(place + 1, NOWHERE);
        }
        self.places[place] = self.texts.push(page);
    }

    pub fn get(&self, id: HostId) -> Option<&str> {
        let place = *self.places.get(id.0 as usize)?;
        // A path begins like no origin does.
        (place != NOWHERE).then(|| self.texts.parts(place).1)
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::{Gate, Schedule};

    #[test]
    fn a_page_of_an_earlier_run_is_known_until_the_host_answers_for_another() {
        let mut schedule = Schedule::<u64>::new(8);
        let ids: Vec<_> = (0..300)
            .map(|n| schedule.host_of(&format!("http://h{n}.example"), Gate::Open))
            .collect();
        for id in ids.iter().skip(1).step_by(2) {
            schedule.heard_before(*id, &format!("/page?{}", id.0));
        }
        schedule.heard(ids[7], "/other");
        assert_eq!(schedule.page(ids[7]), Some("/other"));
        for id in ids.into_iter().filter(|id| id.0 != 7) {
            let was_heard = id.0 % 2 == 1;
            let page = was_heard.then(|| format!("/page?{}", id.0));
            assert_eq!(schedule.page(id), page.as_deref());
            assert_eq!(schedule.host(id).is_heard(), was_heard);
        }
    }
}
