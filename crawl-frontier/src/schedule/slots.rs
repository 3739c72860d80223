//! What is known of the hosts that are asked. Those of which nothing else is to be known give their place to
//! others, once there are many.

use super::{Host, Usual, grow_by_quarters};
use crate::pace::Pace;

/// The place of a host that has none.
pub const NOWHERE: u32 = u32::MAX;
/// As long as there are no more, none is given to another.
const MANY: usize = 1 << 14;
/// So many are looked at for one that rests.
const LOOKS: usize = 4;

/// A host that is asked.
#[derive(Debug)]
pub struct Slot {
    pub host: u32,
    pub in_flight: u32,
    pub window: u32,
    pub due_ms: u64,
    pub delay_ms: u64,
    pub pace: Pace,
    /// The path and query of a page that it answered for.
    pub page: Option<Box<str>>,
}

impl Slot {
    /// Of a host of which nothing is known.
    pub fn new(host: u32, usual: Usual) -> Slot {
        Slot {
            host,
            in_flight: 0,
            window: usual.window,
            due_ms: 0,
            delay_ms: usual.delay_ms,
            pace: Pace::default(),
            page: None,
        }
    }

    /// The host is as it is here.
    pub fn is_like(&self, host: &Host) -> bool {
        self.in_flight == host.in_flight
            && self.window == host.window
            && self.due_ms == host.due_ms
            && self.delay_ms == host.delay_ms
            && self.pace == host.pace
    }

    /// Takes over what was changed of the host.
    pub fn become_like(&mut self, host: &Host) {
        self.in_flight = host.in_flight;
        self.window = host.window;
        self.due_ms = host.due_ms;
        self.delay_ms = host.delay_ms;
        self.pace = host.pace;
    }

    /// Whoever forgets it asks the host no sooner and no more often than it may be asked.
    pub fn rests(&self, usual: Usual, now_ms: u64) -> bool {
        let is_due = self.due_ms <= now_ms && self.delay_ms == usual.delay_ms;
        self.in_flight == 0 && is_due && self.pace.is_calm()
    }
}

/// The slots of hosts, each at the place that the host knows.
#[derive(Debug, Default)]
pub struct Slots {
    slots: Vec<Slot>,
    /// Where to look next for one that rests.
    hand: usize,
}

impl Slots {
    pub fn get(&self, place: u32) -> Option<&Slot> {
        self.slots.get(place as usize)
    }

    pub fn at(&mut self, place: u32) -> &mut Slot {
        &mut self.slots[place as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub fn all(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// Keeps a slot. Gives its place, and the host that had it before.
    pub fn take(&mut self, slot: Slot, rests: impl Fn(&Slot) -> bool) -> (u32, Option<u32>) {
        if self.slots.len() >= MANY {
            for _ in 0..LOOKS {
                let hand = self.hand % self.slots.len();
                self.hand = hand + 1;
                if rests(&self.slots[hand]) {
                    let before = std::mem::replace(&mut self.slots[hand], slot);
                    return (hand as u32, Some(before.host));
                }
            }
        }
        let place = self.slots.len();
        grow_by_quarters(&mut self.slots, place + 1);
        self.slots.push(slot);
        (place as u32, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pace::Manner;
    use crate::schedule::{Gate, HostId, Room, Schedule};
    use crawl_ckpt::plan;

    #[test]
    fn of_many_hosts_only_those_are_known_closely_that_need_it() {
        let mut schedule = Schedule::<u64>::new(8);
        let mut troubled = Vec::new();
        for n in 0..3 * MANY as u32 {
            let id = schedule.host_of(&format!("http://h{n}.example"), Gate::Open);
            schedule.took_on(id);
            assert_eq!(schedule.next(n.into(), Room::ALL), Some(id));
            schedule.sent(id, n.into());
            if n % 100 == 7 {
                continue;
            }
            schedule.answered(id);
            schedule.heard(id, "/page");
            if n % 100 == 5 {
                let limits = plan::Pace::default();
                schedule.change(id, |host| {
                    let speed = host.pace.learn(Manner::Trouble, n.into(), &limits, 0);
                    host.delay_ms = speed.delay_ms;
                });
                troubled.push(id);
            }
        }
        assert!(schedule.slots.slots.len() < MANY + MANY / 4);
        for id in troubled {
            let host = schedule.host(id);
            assert!(host.delay_ms > 0 && !host.pace.is_calm());
            assert_eq!(schedule.page(id), Some("/page"));
        }
        for (id, host) in schedule.hosts() {
            let is_asked = id.0 % 100 == 7;
            assert_eq!(host.in_flight, u32::from(is_asked));
            assert_eq!((host.is_heard(), host.taken), (!is_asked, 1));
        }
        assert_eq!(
            schedule.page(HostId(0)),
            None,
            "it gave its place to another"
        );
        schedule.took_on(HostId(0));
        assert_eq!(schedule.next(u64::MAX, Room::ALL), Some(HostId(0)));
    }
}
