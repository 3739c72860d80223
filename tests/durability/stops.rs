//! The ways in which all stops, tried at each moment.

use std::sync::{Arc, Mutex};

use crawl_ckpt::durable::sim::{SimDisk, Unsynced};

use crate::found::{found, go_on};
use crate::life::Ground;
use crate::model::Model;

/// The ways in which a stop leaves the disk.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    Kill,
    PowerCut(Unsynced),
}

pub const STOPS: [Stop; 6] = [
    Stop::Kill,
    Stop::PowerCut(Unsynced::Lost),
    Stop::PowerCut(Unsynced::Diced(1)),
    Stop::PowerCut(Unsynced::Kept),
    Stop::PowerCut(Unsynced::Diced(2)),
    Stop::PowerCut(Unsynced::Diced(3)),
];

impl Stop {
    /// The same stop with dice of its own for each moment.
    fn at(self, moment: u64) -> Stop {
        match self {
            Stop::PowerCut(Unsynced::Diced(seed)) => {
                Stop::PowerCut(Unsynced::Diced(seed + 10 * moment))
            }
            other => other,
        }
    }

    fn happen(self, disk: &SimDisk) {
        match self {
            Stop::Kill => disk.revive(),
            Stop::PowerCut(unsynced) => disk.power_cut(unsynced),
        }
    }
}

/// So many moments apart the recovery is stopped as well. A prime, so that each kind has its turn.
pub const NESTED_EVERY: u64 = 97;

/// A moment at which everything may stop.
pub struct Moment {
    pub number: u64,
    pub disk: SimDisk,
    pub model: Model,
}

/// Tries the first so many ways to stop at a moment; `nested` also stops the recovery at each of its
/// operations. Returns how many states were looked at.
pub fn try_stops(
    moment: &Moment,
    ground: &Arc<Ground>,
    ways: usize,
    nested: bool,
) -> Result<u64, String> {
    let mut tried = 0;
    for stop in &STOPS[..ways] {
        let stop = stop.at(moment.number);
        let disk = moment.disk.snapshot();
        stop.happen(&disk);
        let model = Arc::new(Mutex::new(moment.model.clone()));
        let inner = Arc::new(Mutex::new((0, Vec::new())));
        if nested && matches!(stop, Stop::Kill | Stop::PowerCut(Unsynced::Diced(_))) {
            let (ground, model, inner) = (ground.clone(), model.clone(), inner.clone());
            let mut number = moment.number * 100;
            disk.watch(move |disk| {
                number += 1;
                for unsynced in [Unsynced::Lost, Unsynced::Diced(number)] {
                    let disk = disk.snapshot();
                    disk.power_cut(unsynced);
                    let model = model.lock().unwrap().clone();
                    let mut inner = inner.lock().unwrap();
                    inner.0 += 1;
                    if let Err(error) = found(&disk, &ground, &model) {
                        inner
                            .1
                            .push(format!("then {unsynced:?} at {number}: {error}"));
                    }
                }
            });
        }
        let result = go_on(&disk, ground, &model);
        let describe = |error: &dyn std::fmt::Display| {
            format!(
                "moment {}, {stop:?}: {error}\nmodel: {:?}",
                moment.number, moment.model.acknowledged
            )
        };
        result.map_err(|error| describe(&error))?;
        let inner = inner.lock().unwrap();
        if let Some(error) = inner.1.first() {
            return Err(describe(error));
        }
        tried += 1 + inner.0;
    }
    Ok(tried)
}
