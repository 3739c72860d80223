//! An engine in memory that does what a real one may do: it loses a call or its answer, delivers letters
//! twice or not at all, and after a failover has forgotten what no copy had.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::{
    Claim, Course, Depot, DepotError, Fate, Letter, Merits, PartView, Rest, Taken, Wanted, Written,
};
use crate::mutex::lock;

/// How it misbehaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Of a thousand calls, so many are lost on their way.
    pub lost_calls: u64,
    /// Of a thousand, so many happen and are not answered.
    pub lost_answers: u64,
    /// Of a thousand letters, so many are lost, and as many come twice.
    pub lost_letters: u64,
    /// Of a thousand calls, so many are followed by a failover.
    pub failovers: u64,
    /// A bug: durable calls do not wait for a copy.
    pub waits_for_no_copy: bool,
    /// A bug: letters are confirmed that nobody took yet.
    pub confirms_early: bool,
    /// A bug: commits of any epoch are taken, whatever they follow.
    pub has_no_fence: bool,
}

/// A connection to it.
#[derive(Debug, Clone)]
pub struct FakeDepot {
    shared: Arc<Mutex<Server>>,
}

#[derive(Debug)]
struct Server {
    now: Data,
    /// What a copy has.
    copied: Data,
    faults: Faults,
    random: u64,
}

#[derive(Debug, Clone, Default)]
struct Data {
    job: Option<String>,
    state: Option<Rest>,
    workers: BTreeMap<String, u64>,
    parts: Vec<PartData>,
}

#[derive(Debug, Clone, Default)]
struct PartData {
    shown: PartView,
    sum: String,
    log: Vec<Arc<Vec<u8>>>,
    outputs: BTreeMap<String, u64>,
    from: BTreeMap<u32, u64>,
    inbox: BTreeMap<u64, Letter>,
    sent: BTreeMap<u32, u64>,
    next_place: u64,
}

impl FakeDepot {
    /// An empty one of so many partitions.
    pub fn new(parts: u32, seed: u64) -> FakeDepot {
        let data = Data {
            parts: vec![PartData::default(); parts as usize],
            ..Data::default()
        };
        FakeDepot {
            shared: Arc::new(Mutex::new(Server {
                now: data.clone(),
                copied: data,
                faults: Faults::default(),
                random: seed | 1,
            })),
        }
    }

    /// How it misbehaves from now on.
    pub fn misbehave(&self, faults: Faults) {
        lock(&self.shared).faults = faults;
    }

    /// The committed length of each output part.
    pub fn all_outputs(&self) -> Vec<(String, u64)> {
        let server = lock(&self.shared);
        let outputs = server.now.parts.iter().flat_map(|part| &part.outputs);
        outputs.map(|(name, len)| (name.clone(), *len)).collect()
    }

    /// A call: what it does, and whether it is answered. `durable`: the answer stands for a copy.
    fn call<T>(
        &self,
        durable: bool,
        act: impl FnOnce(&mut Data, &Faults) -> T,
    ) -> Result<T, DepotError> {
        let server = &mut *lock(&self.shared);
        let faults = server.faults;
        let unsure = || Err(DepotError::Unsure("no answer".into()));
        if server.is_one_of(faults.lost_calls) {
            return unsure();
        }
        let told = act(&mut server.now, &faults);
        let answered = !server.is_one_of(faults.lost_answers);
        // Before the copy has it: the answer is then lost as well.
        if server.is_one_of(faults.failovers) {
            if durable && faults.waits_for_no_copy && answered {
                server.now = server.copied.clone();
                return Ok(told);
            }
            server.now = server.copied.clone();
            return unsure();
        }
        if durable && !faults.waits_for_no_copy {
            server.copied = server.now.clone();
        }
        if answered { Ok(told) } else { unsure() }
    }
}

impl FakeDepot {
    fn send_one(&self, to: u32, letter: &Letter) -> Result<(), DepotError> {
        let (mut lost, mut twice) = (false, false);
        {
            let server = &mut *lock(&self.shared);
            let thousandths = server.faults.lost_letters;
            lost |= server.is_one_of(thousandths);
            twice |= server.is_one_of(thousandths);
        }
        self.call(false, |data, _| {
            let part = &mut data.parts[to as usize];
            let last = part.sent.entry(letter.source).or_default();
            *last = (*last).max(letter.number);
            let copies = if lost { 0 } else { 1 + u64::from(twice) };
            for _ in 0..copies {
                part.next_place += 1;
                let place = part.next_place;
                let letter = Letter {
                    place: place.to_string(),
                    ..letter.clone()
                };
                part.inbox.insert(place, letter);
            }
        })
    }
}

impl Server {
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

impl Depot for FakeDepot {
    fn another(&self) -> Box<dyn Depot> {
        Box::new(self.clone())
    }

    fn open(&mut self, job: &str) -> Result<String, DepotError> {
        self.call(true, |data, _| {
            data.job.get_or_insert_with(|| job.to_owned()).clone()
        })
    }

    fn current(&mut self) -> Result<Option<String>, DepotError> {
        self.call(false, |_, _| None)
    }

    fn course(&mut self) -> Result<Course, DepotError> {
        self.call(false, |data, _| {
            data.state.map_or(Course::Running, Course::Over)
        })
    }

    fn end(&mut self, rest: Rest) -> Result<(), DepotError> {
        self.call(true, |data, _| data.state = Some(rest))
    }

    fn beat(&mut self, worker: &str) -> Result<Vec<(String, u64)>, DepotError> {
        self.call(false, |data, _| {
            *data.workers.entry(worker.to_owned()).or_default() += 1;
            data.workers.clone().into_iter().collect()
        })
    }

    fn leave(&mut self, worker: &str) -> Result<(), DepotError> {
        self.call(false, |data, _| {
            data.workers.remove(worker);
        })
    }

    fn look_each(&mut self) -> Vec<Result<PartView, DepotError>> {
        let parts = lock(&self.shared).now.parts.len();
        (0..parts)
            .map(|part| self.call(true, |data, _| data.parts[part].shown.clone()))
            .collect()
    }

    fn claim(
        &mut self,
        part: u32,
        worker: &str,
        seen: Option<(u64, u64)>,
    ) -> Result<Claim, DepotError> {
        self.call(true, |data, _| {
            let part = &mut data.parts[part as usize];
            let shown = &mut part.shown;
            let is_still = seen == Some((shown.epoch, shown.beat));
            if !shown.owner.is_empty() && shown.owner != worker && !is_still {
                return Claim::Held;
            }
            worker.clone_into(&mut shown.owner);
            shown.epoch += 1;
            shown.beat += 1;
            Claim::Ours {
                epoch: shown.epoch,
                seq: shown.seq,
                sum: part.sum.clone(),
            }
        })
    }

    fn release(&mut self, part: u32, epoch: u64) -> Result<(), DepotError> {
        self.call(false, |data, _| {
            let shown = &mut data.parts[part as usize].shown;
            if shown.epoch == epoch {
                shown.owner.clear();
            }
        })
    }

    fn poll(&mut self, wanted: &[Wanted<'_>]) -> Vec<Result<Option<Vec<Letter>>, DepotError>> {
        let poll = |wanted: &Wanted<'_>| {
            let behind: u64 = wanted.behind.parse().unwrap_or(0);
            self.call(false, |data, _| {
                let part = &mut data.parts[wanted.part as usize];
                if part.shown.epoch != wanted.epoch {
                    return None;
                }
                part.shown.beat += 1;
                let letters = part.inbox.range(behind + 1..);
                Some(letters.map(|(_, letter)| letter.clone()).collect())
            })
        };
        wanted.iter().map(poll).collect()
    }

    fn read(&mut self, part: u32, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        self.call(false, |data, _| {
            let log = data.parts[part as usize].log.iter();
            let log = log.skip(from as usize - 1).take(3);
            log.map(|batch| batch.to_vec()).collect()
        })
    }

    fn outputs(&mut self, part: u32) -> Result<Vec<(String, u64)>, DepotError> {
        self.call(false, |data, _| {
            let outputs = data.parts[part as usize].outputs.clone();
            outputs.into_iter().collect()
        })
    }

    fn commit(&mut self, part: u32, batch: &Written<'_>) -> Result<Fate, DepotError> {
        self.call(true, |data, faults| {
            let part = &mut data.parts[part as usize];
            let shown = &mut part.shown;
            if shown.epoch != batch.epoch && !faults.has_no_fence {
                return Fate::Fenced;
            }
            if shown.seq == batch.seq && part.sum == batch.sum {
                return Fate::Durable;
            }
            let follows = shown.seq == 0 || part.sum == batch.prev;
            if (shown.seq + 1 != batch.seq || !follows) && !faults.has_no_fence {
                return Fate::Gap;
            }
            part.log.push(Arc::new(batch.bytes.to_vec()));
            (shown.seq, part.sum) = (batch.seq, batch.sum.to_owned());
            shown.counts = batch.counts;
            shown.beat += 1;
            if let Some((name, len)) = batch.output {
                part.outputs.insert(name.to_owned(), len);
            }
            Fate::Durable
        })
    }

    fn send(&mut self, letters: &[(u32, Letter)]) -> Vec<Result<(), DepotError>> {
        letters
            .iter()
            .map(|(to, letter)| self.send_one(*to, letter))
            .collect()
    }

    fn taken(&mut self, letters: &[Taken]) -> Vec<Result<u64, DepotError>> {
        let taken = |Taken { by, of }: &Taken| {
            self.call(true, |data, faults| {
                let part = &data.parts[*by as usize];
                let taken = if faults.confirms_early {
                    part.sent.get(of)
                } else {
                    part.from.get(of)
                };
                taken.copied().unwrap_or(0)
            })
        };
        letters.iter().map(taken).collect()
    }

    fn report(&mut self, part: u32, epoch: u64, merits: &Merits) -> Result<(), DepotError> {
        self.call(false, |data, _| {
            let part = &mut data.parts[part as usize];
            if part.shown.epoch != epoch {
                return;
            }
            if merits.rest.is_some() {
                part.shown.rest = merits.rest;
            }
            part.from.extend(merits.from.iter().copied());
            if let Some(place) = merits
                .read_to
                .as_ref()
                .and_then(|to| to.parse::<u64>().ok())
            {
                part.inbox.retain(|at, _| *at >= place);
            }
        })
    }
}
