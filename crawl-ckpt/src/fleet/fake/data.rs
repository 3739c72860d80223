//! What the engine in memory holds, and what its calls do.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{FakeDepot, Mishap};
use crate::fleet::{
    Base, Claim, Course, Depot, DepotError, Fate, JournalHead, Letter, Merits, PartView, Rest,
    Taken, Wanted, Written,
};
use crate::hex;

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Data {
    whole: WholeData,
    pub parts: Vec<PartData>,
}

#[derive(Debug, Clone, Default)]
struct WholeData {
    job: Option<String>,
    state: Option<Rest>,
    workers: BTreeMap<String, u64>,
    had: BTreeMap<u32, u64>,
}

#[derive(Debug, Clone, Default)]
pub struct PartData {
    shown: PartView,
    sum: String,
    log: BTreeMap<u64, Arc<Vec<u8>>>,
    pub base: Option<Base>,
    /// Of the base in force, and of the next one with the checksum of its last.
    based: Vec<Arc<Vec<u8>>>,
    built: (String, Vec<Arc<Vec<u8>>>),
    pub outputs: BTreeMap<String, u64>,
    from: BTreeMap<u32, u64>,
    /// By sender and number.
    inbox: BTreeMap<(u32, u64), Arc<Vec<u8>>>,
    sent: BTreeMap<u32, u64>,
}

impl Data {
    /// Nothing yet, in so many partitions.
    pub fn of(parts: u32) -> Data {
        Data {
            parts: vec![PartData::default(); parts as usize],
            ..Data::default()
        }
    }

    /// Becomes what another is, in one place: each partition has a node of its own.
    pub fn take_over(&mut self, part: Option<u32>, of: &Data) {
        match part {
            Some(part) => self.parts[part as usize].clone_from(&of.parts[part as usize]),
            None => self.whole.clone_from(&of.whole),
        }
    }
}

impl PartData {
    /// How many batches it has.
    pub fn seq(&self) -> u64 {
        self.shown.seq
    }

    /// Of each sender the letters that follow what was read of it.
    fn letters(&self, heard: &BTreeMap<u32, u64>) -> Vec<Letter> {
        let mut letters: Vec<Letter> = Vec::new();
        let mut read: BTreeMap<u32, u64> = BTreeMap::new();
        for (&(source, number), bytes) in &self.inbox {
            let of = |known: &BTreeMap<u32, u64>| known.get(&source).copied().unwrap_or(0);
            let last = read.entry(source).or_insert(of(heard).max(of(&self.from)));
            if number == *last + 1 {
                *last = number;
                letters.push(Letter {
                    source,
                    number,
                    bytes: bytes.to_vec(),
                });
            }
        }
        letters
    }
}

impl FakeDepot {
    fn send_one(&self, to: u32, letter: &Letter) -> Result<(), DepotError> {
        self.call("send", Some(to), false, |data, case| {
            let part = &mut data.parts[to as usize];
            let (source, number) = (letter.source, letter.number);
            let last = part.sent.entry(source).or_default();
            *last = (*last).max(number);
            let is_known = part.from.get(&source).is_some_and(|from| number <= *from);
            if !is_known && case.mishap != Some(Mishap::LostLetter) {
                let bytes = Arc::new(letter.bytes.clone());
                part.inbox.insert((source, number), bytes);
            }
        })
    }
}

impl Depot for FakeDepot {
    fn another(&self) -> Box<dyn Depot> {
        Box::new(self.clone())
    }

    fn open(&mut self, job: &str) -> Result<String, DepotError> {
        self.call("open", None, true, |data, _| {
            let known = data.whole.job.get_or_insert_with(|| job.to_owned());
            known.clone()
        })
    }

    fn current(&mut self) -> Result<Option<String>, DepotError> {
        self.call("current", None, false, |_, _| None)
    }

    fn course(&mut self) -> Result<Course, DepotError> {
        self.call("course", None, false, |data, _| {
            data.whole.state.map_or(Course::Running, Course::Over)
        })
    }

    fn end(&mut self, rest: Rest) -> Result<(), DepotError> {
        self.call("end", None, true, |data, _| data.whole.state = Some(rest))
    }

    fn beat(&mut self, worker: &str) -> Result<Vec<(String, u64)>, DepotError> {
        self.call("beat", None, false, |data, _| {
            let workers = &mut data.whole.workers;
            *workers.entry(worker.to_owned()).or_default() += 1;
            workers.clone().into_iter().collect()
        })
    }

    fn leave(&mut self, worker: &str) -> Result<(), DepotError> {
        self.call("leave", None, false, |data, _| {
            data.whole.workers.remove(worker);
        })
    }

    fn look_each(&mut self) -> Vec<Result<PartView, DepotError>> {
        let parts = self.server().now.parts.len() as u32;
        let look = |part: u32| {
            self.call("look", Some(part), true, |data, _| {
                data.parts[part as usize].shown.clone()
            })
        };
        (0..parts).map(look).collect()
    }

    fn claim(
        &mut self,
        part: u32,
        worker: &str,
        seen: Option<(u64, u64)>,
    ) -> Result<Claim, DepotError> {
        self.call("claim", Some(part), true, |data, _| {
            let part = &mut data.parts[part as usize];
            let shown = &mut part.shown;
            let is_still = seen == Some((shown.epoch, shown.beat));
            if !shown.owner.is_empty() && shown.owner != worker && !is_still {
                return Claim::Held;
            }
            worker.clone_into(&mut shown.owner);
            shown.epoch += 1;
            shown.beat += 1;
            part.built = Default::default();
            Claim::Ours {
                epoch: shown.epoch,
                head: JournalHead {
                    seq: shown.seq,
                    sum: part.sum.clone(),
                    base: part.base,
                },
            }
        })
    }

    fn release(&mut self, part: u32, epoch: u64) -> Result<(), DepotError> {
        self.call("release", Some(part), false, |data, _| {
            let shown = &mut data.parts[part as usize].shown;
            if shown.epoch == epoch {
                shown.owner.clear();
            }
        })
    }

    fn poll(&mut self, wanted: &[Wanted<'_>]) -> Vec<Result<Option<Vec<Letter>>, DepotError>> {
        let poll = |wanted: &Wanted<'_>| {
            self.call("poll", Some(wanted.part), true, |data, _| {
                let part = &mut data.parts[wanted.part as usize];
                if part.shown.epoch != wanted.epoch {
                    return None;
                }
                part.shown.beat += 1;
                Some(part.letters(wanted.heard))
            })
        };
        wanted.iter().map(poll).collect()
    }

    fn read(&mut self, part: u32, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        self.call("read", Some(part), false, |data, _| {
            let log = data.parts[part as usize].log.range(from..);
            log.take(3).map(|(_, batch)| batch.to_vec()).collect()
        })
    }

    fn read_base(&mut self, part: u32, base: u64, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        self.call("read_base", Some(part), false, |data, _| {
            let part = &data.parts[part as usize];
            let is_there = part.base.is_some_and(|of| of.number == base);
            let based = part.based.iter().filter(|_| is_there);
            let based = based.skip(from as usize - 1).take(3);
            based.map(|batch| batch.to_vec()).collect()
        })
    }

    fn build(&mut self, part: u32, base: u64, batch: &Written<'_>) -> Result<Fate, DepotError> {
        self.call("build", Some(part), true, |data, _| {
            let part = &mut data.parts[part as usize];
            let (sum, built) = &mut part.built;
            let have = built.len() as u64;
            if part.shown.epoch != batch.epoch {
                return Fate::Fenced;
            }
            if part.base.map_or(0, |of| of.number) + 1 != base {
                return Fate::Gap;
            }
            if have == batch.seq && *sum == batch.sum {
                return Fate::Durable;
            }
            if batch.seq == 1 {
                built.clear();
            } else if have + 1 != batch.seq || *sum != batch.prev {
                return Fate::Gap;
            }
            built.push(Arc::new(batch.bytes.to_vec()));
            batch.sum.clone_into(sum);
            Fate::Durable
        })
    }

    fn switch(&mut self, part: u32, epoch: u64, base: &Base) -> Result<Fate, DepotError> {
        self.call("switch", Some(part), true, |data, _| {
            let part = &mut data.parts[part as usize];
            if part.shown.epoch != epoch {
                return Fate::Fenced;
            }
            if part.base == Some(*base) {
                return Fate::Durable;
            }
            let (sum, built) = &part.built;
            let is_next = part.base.map_or(0, |of| of.number) + 1 == base.number;
            let is_whole = built.len() as u64 == base.end.seq && *sum == hex::encode(&base.end.sum);
            if !is_next || !is_whole || part.shown.seq < base.stands_for.seq {
                return Fate::Gap;
            }
            part.based = std::mem::take(&mut part.built).1;
            part.base = Some(*base);
            part.log.retain(|seq, _| *seq >= base.stands_for.seq);
            Fate::Durable
        })
    }

    fn outputs(&mut self, part: u32) -> Result<Vec<(String, u64)>, DepotError> {
        self.call("outputs", Some(part), false, |data, _| {
            let outputs = data.parts[part as usize].outputs.clone();
            outputs.into_iter().collect()
        })
    }

    fn commit(&mut self, part: u32, batch: &Written<'_>) -> Result<Fate, DepotError> {
        self.call("commit", Some(part), true, |data, case| {
            let part = &mut data.parts[part as usize];
            let shown = &mut part.shown;
            let has_fence = !case.faults.has_no_fence;
            if shown.epoch != batch.epoch && has_fence {
                return Fate::Fenced;
            }
            if shown.seq == batch.seq && part.sum == batch.sum {
                return Fate::Durable;
            }
            let follows = shown.seq == 0 || part.sum == batch.prev;
            if (shown.seq + 1 != batch.seq || !follows) && has_fence {
                return Fate::Gap;
            }
            part.log.insert(batch.seq, Arc::new(batch.bytes.to_vec()));
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
            self.call("taken", Some(*by), true, |data, case| {
                let part = &data.parts[*by as usize];
                let taken = if case.faults.confirms_early {
                    part.sent.get(of)
                } else {
                    part.from.get(of)
                };
                taken.copied().unwrap_or(0)
            })
        };
        letters.iter().map(taken).collect()
    }

    fn note(&mut self, had: &[(u32, u64)]) -> Result<(), DepotError> {
        self.call("note", None, false, |data, _| {
            data.whole.had.extend(had.iter().copied());
        })
    }

    fn noted(&mut self) -> Result<Vec<(u32, u64)>, DepotError> {
        self.call("noted", None, false, |data, _| {
            let had = &data.whole.had;
            had.iter().map(|(part, seq)| (*part, *seq)).collect()
        })
    }

    fn report(&mut self, part: u32, epoch: u64, merits: &Merits) -> Result<(), DepotError> {
        self.call("report", Some(part), false, |data, _| {
            let part = &mut data.parts[part as usize];
            if part.shown.epoch != epoch {
                return;
            }
            if merits.rest.is_some() {
                part.shown.rest = merits.rest;
            }
            part.from.extend(merits.from.iter().copied());
            let PartData { from, inbox, .. } = part;
            inbox.retain(|(source, number), _| from.get(source).is_none_or(|last| number > last));
        })
    }
}
