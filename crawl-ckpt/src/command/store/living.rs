//! Whether workers live: their counters grow once a second as long as they do.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::StoreRoom;
use crate::fleet::{CrawlName, Glance, LEASE_MS};
use crate::tool::{Exit, Failure};

/// The counters are looked at so often.
const TICK: Duration = Duration::from_millis(100);

/// The workers of a crawl, as far as they were seen.
#[derive(Debug, Clone)]
pub struct Crew {
    pub name: CrawlName,
    pub workers: Vec<Worker>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Worker {
    pub name: String,
    /// Its counter when it was first looked at.
    beat: u64,
    /// It was seen to grow.
    pub lives: bool,
}

impl Crew {
    /// Those of the crawl that is asked, none of them known to live.
    pub fn of(room: &mut StoreRoom<'_>, name: &CrawlName) -> Result<Crew, Failure> {
        let beats = room.depot.beats()?.into_iter();
        let workers = beats.map(|(name, beat)| Worker {
            name,
            beat,
            lives: false,
        });
        Ok(Crew {
            name: name.clone(),
            workers: workers.collect(),
        })
    }

    pub fn lives(&self, worker: &str) -> bool {
        self.workers
            .iter()
            .any(|one| one.name == worker && one.lives)
    }

    /// Who renewed a partition between two looks lives.
    pub fn look_at_parts(&mut self, before: &[Glance], now: &[Glance]) {
        for (now, before) in now.iter().zip(before) {
            let (now, before) = (&now.view, &before.view);
            if now.owner == before.owner && now.beat != before.beat {
                let mut workers = self.workers.iter_mut();
                if let Some(worker) = workers.find(|worker| worker.name == now.owner) {
                    worker.lives = true;
                }
            }
        }
    }

    pub fn living(&self) -> usize {
        self.workers.iter().filter(|worker| worker.lives).count()
    }

    fn look(&mut self, room: &mut StoreRoom<'_>) -> Result<(), Failure> {
        room.depot.turn_to(&self.name);
        let beats = room.depot.beats()?;
        for worker in &mut self.workers {
            let now = beats.iter().find(|(name, _)| *name == worker.name);
            worker.lives |= now.is_some_and(|(_, beat)| *beat != worker.beat);
        }
        Ok(())
    }
}

/// Looks until every worker was seen to live, or for so long.
pub fn watch(room: &mut StoreRoom<'_>, crews: &mut [Crew], most: Duration) -> Result<(), Failure> {
    let begun = Instant::now();
    let is_known = |crew: &Crew| crew.workers.iter().all(|worker| worker.lives);
    while begun.elapsed() < most && !crews.iter().all(is_known) {
        sleep(TICK);
        for crew in crews.iter_mut().filter(|crew| !is_known(crew)) {
            crew.look(room)?;
        }
    }
    Ok(())
}

/// What may only be done to a crawl that nobody works on.
///
/// # Errors
/// [`Exit::Held`] when somebody does. One that was killed a moment ago is waited for until it is certain.
pub fn refuse_a_living_crew(
    room: &mut StoreRoom<'_>,
    name: &CrawlName,
    hint: &str,
) -> Result<(), Failure> {
    let mut crew = Crew::of(room, name)?;
    let (begun, most) = (Instant::now(), Duration::from_millis(LEASE_MS));
    if !crew.workers.is_empty() {
        let seconds = most.as_secs();
        room.context.say(format_args!(
            "{name}: looking for {seconds} seconds whether a worker lives"
        ));
    }
    let before = room.depot.glance()?;
    while !crew.workers.is_empty() && begun.elapsed() < most {
        sleep(TICK);
        crew.look(room)?;
        crew.look_at_parts(&before, &room.depot.glance()?);
        if let Some(worker) = crew.workers.iter().find(|worker| worker.lives) {
            let message = format!("{name}: worker {} lives", worker.name);
            return Err(Failure::with(Exit::Held, message).hint(hint));
        }
    }
    Ok(())
}
