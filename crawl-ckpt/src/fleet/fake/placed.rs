//! Calls by name, and what can happen at one.

/// A call of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spot {
    /// Who makes it.
    pub worker: String,
    /// What it asks for.
    pub call: &'static str,
    /// Of which partition.
    pub part: Option<u32>,
    /// The how-manieth of its kind it is, from 1.
    pub nth: u32,
}

/// What can happen at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It does not come to be.
    LostCall,
    /// It happens, and nobody is told.
    LostAnswer,
    /// Another node takes over that does not know of it.
    Failover,
    /// It is answered, and another node takes over then that knows only what was durable.
    FailoverAfter,
    /// Its caller is killed before it happens …
    KilledBefore,
    /// … and behind that.
    KilledAfter,
    /// Its caller is stopped, and makes the call when it goes on.
    Stopped,
    /// The letter that it sends is lost on its way.
    LostLetter,
    /// It is refused, as by a store that has no memory left.
    Refused,
}

impl Mishap {
    /// What can happen at this call.
    pub fn at(spot: &Spot) -> &'static [Mishap] {
        const ALL: [Mishap; 7] = [
            Mishap::LostCall,
            Mishap::LostAnswer,
            Mishap::Failover,
            Mishap::FailoverAfter,
            Mishap::KilledBefore,
            Mishap::KilledAfter,
            Mishap::Stopped,
        ];
        const OF_LETTERS: [Mishap; 8] = with(ALL, Mishap::LostLetter);
        // All else that is refused ends its worker.
        const OF_BASES: [Mishap; 8] = with(ALL, Mishap::Refused);
        match spot.call {
            "send" => &OF_LETTERS,
            "build" | "switch" => &OF_BASES,
            _ => &ALL,
        }
    }
}

const fn with(all: [Mishap; 7], last: Mishap) -> [Mishap; 8] {
    let [a, b, c, d, e, f, g] = all;
    [a, b, c, d, e, f, g, last]
}
