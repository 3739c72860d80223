//! An engine in memory that does what a real one may do: it loses a call or its answer, loses letters, and
//! after a failover has forgotten what no copy had. Callers are killed and stopped in the middle of a call.

mod data;
mod placed;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use self::data::Data;
pub use self::placed::{Mishap, Spot};
use super::DepotError;
use crate::mutex::lock;

/// How it misbehaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Of a thousand calls, so many are lost on their way.
    pub lost_calls: u64,
    /// Of a thousand, so many happen and are not answered.
    pub lost_answers: u64,
    /// Of a thousand letters, so many are lost.
    pub lost_letters: u64,
    /// Of a thousand calls, so many are followed by a failover.
    pub failovers: u64,
    /// A bug: durable calls do not wait for a copy, which is always one call behind.
    pub waits_for_no_copy: bool,
    /// A bug: letters are confirmed that nobody took yet.
    pub confirms_early: bool,
    /// A bug: commits of any epoch are taken, whatever they follow.
    pub has_no_fence: bool,
}

/// A connection to it.
#[derive(Debug, Clone)]
pub struct FakeDepot {
    shared: Arc<FakeHouse>,
    worker: String,
    life: u32,
}

#[derive(Debug)]
struct FakeHouse {
    server: Mutex<Server>,
    thawed: Condvar,
}

struct Server {
    now: Data,
    /// What copies have.
    copied: Data,
    faults: Faults,
    random: u64,
    lives: u32,
    dead: HashSet<u32>,
    frozen: HashSet<u32>,
    /// Partitions of nodes that answer nobody.
    silent: HashSet<u32>,
    /// Who hears that a caller was stopped.
    on_freeze: Option<Box<dyn Fn(u32) + Send>>,
    /// How often each call was made.
    made: HashMap<Spot, u32>,
    /// All calls in their order, when they are written down.
    written: Option<Vec<Spot>>,
    placed: Option<(Spot, Mishap)>,
    is_met: bool,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

/// Under what a call is carried out.
#[derive(Debug, Clone, Copy)]
struct Case {
    faults: Faults,
    mishap: Option<Mishap>,
}

impl FakeDepot {
    /// An empty one of so many partitions.
    pub fn new(parts: u32, seed: u64) -> FakeDepot {
        let data = Data::of(parts);
        let server = Server {
            now: data.clone(),
            copied: data,
            faults: Faults::default(),
            random: seed | 1,
            lives: 0,
            dead: HashSet::new(),
            frozen: HashSet::new(),
            silent: HashSet::new(),
            on_freeze: None,
            made: HashMap::new(),
            written: None,
            placed: None,
            is_met: false,
        };
        FakeDepot {
            shared: Arc::new(FakeHouse {
                server: Mutex::new(server),
                thawed: Condvar::new(),
            }),
            worker: String::new(),
            life: 0,
        }
    }

    /// How it misbehaves from now on.
    pub fn misbehave(&self, faults: Faults) {
        self.server().faults = faults;
    }

    /// A connection for a process of this worker that begins now, and what it is known by.
    pub fn of(&self, worker: &str) -> (FakeDepot, u32) {
        let mut server = self.server();
        server.lives += 1;
        let life = server.lives;
        let depot = FakeDepot {
            shared: self.shared.clone(),
            worker: worker.to_owned(),
            life,
        };
        (depot, life)
    }

    /// Ends a process: nothing that it asks for happens any more.
    pub fn kill(&self, life: u32) {
        self.server().dead.insert(life);
        self.shared.thawed.notify_all();
    }

    /// True when the process of this connection was ended.
    pub fn is_dead(&self) -> bool {
        self.server().dead.contains(&self.life)
    }

    /// Says this when a process is stopped in a call.
    pub fn when_frozen(&self, hear: impl Fn(u32) + Send + 'static) {
        self.server().on_freeze = Some(Box::new(hear));
    }

    /// Lets a process go on: the call that it was stopped in is made now.
    pub fn thaw(&self, life: u32) {
        self.server().frozen.remove(&life);
        self.shared.thawed.notify_all();
    }

    /// Writes all calls down from now on.
    pub fn write_down(&self) {
        self.server().written = Some(Vec::new());
    }

    /// The calls that were written down until now.
    pub fn written(&self) -> Vec<Spot> {
        self.server().written.take().unwrap_or_default()
    }

    /// Has something happen at a call.
    pub fn place(&self, spot: Spot, mishap: Mishap) {
        self.server().placed = Some((spot, mishap));
    }

    /// Nothing is to happen any more; true when it has.
    pub fn was_met(&self) -> bool {
        let mut server = self.server();
        server.placed = None;
        server.is_met
    }

    /// How many bases all partitions have had.
    pub fn bases(&self) -> u64 {
        let server = self.server();
        let bases = server.now.parts.iter().filter_map(|part| part.base);
        bases.map(|base| base.number).sum()
    }

    /// Nobody is answered about a partition: the node that has it is lost.
    pub fn silence(&self, part: u32) {
        self.server().silent.insert(part);
    }

    /// Whoever asks is answered again.
    pub fn end_silence(&self) {
        self.server().silent.clear();
    }

    /// Forgets all of a partition, in all copies; says how many batches it had.
    pub fn lose(&self, part: u32) -> u64 {
        let server = &mut *self.server();
        let of = |data: &mut Data| std::mem::take(&mut data.parts[part as usize]);
        of(&mut server.copied);
        of(&mut server.now).seq()
    }

    /// The committed length of each output part.
    pub fn all_outputs(&self) -> Vec<(String, u64)> {
        let server = self.server();
        let outputs = server.now.parts.iter().flat_map(|part| &part.outputs);
        outputs.map(|(name, len)| (name.clone(), *len)).collect()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        lock(&self.shared.server)
    }

    /// A call: what it does, and whether it is answered. `durable`: the answer stands for a copy.
    fn call<T>(
        &self,
        name: &'static str,
        part: Option<u32>,
        durable: bool,
        act: impl FnOnce(&mut Data, &Case) -> T,
    ) -> Result<T, DepotError> {
        let unsure = || Err(DepotError::Unsure("no answer".into()));
        let killed = || Err(DepotError::Refused("its caller was killed".into()));
        let mut server = self.wait_thawed(self.server());
        if server.dead.contains(&self.life) {
            return killed();
        }
        let mishap = server.mishap(&self.worker, name, part);
        match mishap {
            Some(Mishap::LostCall) => return unsure(),
            Some(Mishap::Refused) => return Err(DepotError::Refused("no memory is left".into())),
            Some(Mishap::KilledBefore) => {
                server.dead.insert(self.life);
                return killed();
            }
            Some(Mishap::Stopped) => {
                server.frozen.insert(self.life);
                if let Some(hear) = &server.on_freeze {
                    hear(self.life);
                }
                server = self.wait_thawed(server);
                if server.dead.contains(&self.life) {
                    return killed();
                }
            }
            _ => {}
        }
        let server = &mut *server;
        let faults = server.faults;
        if faults.waits_for_no_copy {
            server.copied.take_over(part, &server.now);
        }
        let told = act(&mut server.now, &Case { faults, mishap });
        if mishap == Some(Mishap::Failover) {
            server.now = server.copied.clone();
            let is_told = durable && faults.waits_for_no_copy;
            return if is_told { Ok(told) } else { unsure() };
        }
        if durable && !faults.waits_for_no_copy {
            server.copied.take_over(part, &server.now);
        }
        match mishap {
            Some(Mishap::LostAnswer) => unsure(),
            Some(Mishap::KilledAfter) => {
                server.dead.insert(self.life);
                killed()
            }
            Some(Mishap::FailoverAfter) => {
                server.now = server.copied.clone();
                Ok(told)
            }
            _ => Ok(told),
        }
    }

    fn wait_thawed<'a>(&self, server: MutexGuard<'a, Server>) -> MutexGuard<'a, Server> {
        let is_frozen = |server: &mut Server| {
            server.frozen.contains(&self.life) && !server.dead.contains(&self.life)
        };
        let waited = self.shared.thawed.wait_while(server, is_frozen);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Server {
    /// What happens at this call.
    fn mishap(&mut self, worker: &str, call: &'static str, part: Option<u32>) -> Option<Mishap> {
        if self.written.is_some() || self.placed.is_some() {
            let mut spot = Spot {
                worker: worker.to_owned(),
                call,
                part,
                nth: 0,
            };
            let made = self.made.entry(spot.clone()).or_default();
            *made += 1;
            spot.nth = *made;
            let is_here = self.placed.take_if(|(placed, _)| *placed == spot);
            self.written
                .iter_mut()
                .for_each(|all| all.push(spot.clone()));
            if let Some((_, mishap)) = is_here {
                self.is_met = true;
                return Some(mishap);
            }
        }
        if part.is_some_and(|part| self.silent.contains(&part)) {
            return Some(Mishap::LostCall);
        }
        let faults = self.faults;
        let letters = if call == "send" {
            faults.lost_letters
        } else {
            0
        };
        let draws = [
            (faults.lost_calls, Mishap::LostCall),
            (faults.lost_answers, Mishap::LostAnswer),
            (faults.failovers, Mishap::Failover),
            (letters, Mishap::LostLetter),
        ];
        let drawn = draws.into_iter().find(|(of, _)| self.is_one_of(*of));
        drawn.map(|(_, mishap)| mishap)
    }

    fn next(&mut self) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn is_one_of(&mut self, thousandths: u64) -> bool {
        thousandths > 0 && self.next() % 1000 < thousandths
    }
}
