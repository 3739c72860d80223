//! What the thread that speaks with the store does, round for round: it keeps our partitions ours, claims and gives
//! back, carries letters, and sees when the crawl is over.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crawl_ckpt::control::FleetProgress;
use crawl_ckpt::fleet::{
    BEAT_MS, Claim, Course, Depot, DepotError, LEASE_MS, Letter, Members, PartView, Rest, Taken,
    Wanted, Watched, shares,
};

use super::bell::Bell;
use super::lease::Lease;
use super::sink::{lost, unreachable};
use super::words::{Task, Word};
use crate::crawl::Outgoing;

/// The store is asked for letters so often.
const TICK: Duration = Duration::from_millis(50);
/// After a failure it is left alone for so long.
const AFTER_FAILURE: Duration = Duration::from_millis(200);

/// What does not work for so long is told.
const BEFORE_IT_IS_TOLD: Duration = Duration::from_secs(2);

/// What is said to the crawl.
#[derive(Debug)]
pub(super) struct Told {
    pub outbox: Sender<Word>,
    pub bell: Bell,
}

impl Told {
    fn say(&self, word: Word) {
        // Nobody listens any more when the crawl ended with an error of its own.
        let _ = self.outbox.send(word);
        self.bell.ring();
    }
}

/// A partition that is ours.
#[derive(Debug)]
struct Carried {
    lease: Arc<Lease>,
    /// Of each sender, the last letter that was passed on, until the store knows of it.
    heard: BTreeMap<u32, u64>,
    is_unwanted: bool,
}

/// How far all are, as these partitions show it.
pub(super) fn sum_of(shown: &[PartView], workers: u64) -> FleetProgress {
    let mut all = FleetProgress {
        workers,
        ..FleetProgress::default()
    };
    for PartView { counts, .. } in shown {
        all.done += counts.done;
        all.failed += counts.failed;
        all.pending += counts.unfinished();
    }
    all
}

/// What the thread does, round for round.
#[derive(Debug)]
pub(super) struct Round {
    engine: Box<dyn Depot>,
    worker: String,
    parts: u32,
    members: Members,
    watched: HashMap<u32, Watched<(u64, u64)>>,
    /// So many batches of a partition the store was seen to have.
    confirmed: HashMap<u32, u64>,
    /// So many it is noted to have had; `None` before that was read.
    noted: Option<HashMap<u32, u64>>,
    /// What is to be noted: of partitions that are or were ours.
    unnoted: BTreeMap<u32, u64>,
    held: BTreeMap<u32, Carried>,
    /// The last letter that went out, until it is confirmed.
    posted: BTreeMap<Taken, u64>,
    /// What the last look saw, of a crawl that does nothing.
    seen: Vec<(u64, Rest)>,
    looked_ms: Option<u64>,
    /// The workers that were told of last.
    crew: Vec<String>,
    told: Told,
}

impl Round {
    /// One that knows nothing yet.
    pub(super) fn new(engine: Box<dyn Depot>, worker: &str, parts: u32, told: Told) -> Round {
        Round {
            engine,
            worker: worker.to_owned(),
            parts,
            members: Members::default(),
            watched: HashMap::new(),
            confirmed: HashMap::new(),
            noted: None,
            unnoted: BTreeMap::new(),
            held: BTreeMap::new(),
            posted: BTreeMap::new(),
            seen: Vec::new(),
            looked_ms: None,
            crew: Vec::new(),
            told,
        }
    }

    /// Goes round until it is to leave, or the store cannot be used any more.
    pub(super) fn run(&mut self, inbox: &Receiver<Task>, patience: Duration) {
        let started = Instant::now();
        // Since when something does not work, and whether that was told.
        let mut failing: Option<(Instant, bool)> = None;
        loop {
            let mut tasks = Vec::new();
            match inbox.recv_timeout(TICK) {
                Ok(task) => tasks.push(task),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            tasks.extend(inbox.try_iter());
            let leaves = tasks.iter().any(|task| matches!(task, Task::Leave));
            let now_ms = started.elapsed().as_millis() as u64;
            let performed = self.perform(tasks);
            if leaves {
                // Less is known of what is lost then, and what is not given back is free when nobody renews it.
                let _ = self.note();
                let _ = self.engine.leave(&self.worker);
                return;
            }
            let Err(error) = performed.and(self.go_round(now_ms)) else {
                if failing.take().is_some_and(|(_, is_told)| is_told) {
                    self.told.say(Word::Back);
                }
                continue;
            };
            let (since, is_told) = failing.get_or_insert((Instant::now(), false));
            let is_over = matches!(error, DepotError::Refused(_));
            if is_over || since.elapsed() >= patience {
                self.told.say(Word::Failed(unreachable(&error)));
                return;
            }
            let told_after = BEFORE_IT_IS_TOLD.min(patience / 2);
            if since.elapsed() >= told_after && !std::mem::replace(is_told, true) {
                self.told.say(Word::Away(error));
            }
            std::thread::sleep(AFTER_FAILURE);
        }
    }

    /// What is lost here is sent again, or told again, or free after a lease.
    pub(super) fn perform(&mut self, tasks: Vec<Task>) -> Result<(), DepotError> {
        let (mut letters, mut done) = (Vec::new(), Vec::new());
        for task in tasks {
            match task {
                Task::Post(source, letter) => {
                    let Outgoing { to, number, bytes } = letter;
                    let last = self.posted.entry(Taken { by: to, of: source }).or_default();
                    *last = (*last).max(number);
                    let letter = Letter {
                        source,
                        number,
                        bytes: bytes.to_vec(),
                    };
                    letters.push((to, letter));
                }
                Task::Report(part, merits) => {
                    if let Some(owned) = self.held.get_mut(&part) {
                        let told = self.engine.report(part, owned.lease.epoch, &merits);
                        // The store knows by itself how far these were read, or hands them out once more, and
                        // they are reported again.
                        for (of, last) in &merits.from {
                            if owned.heard.get(of).is_some_and(|heard| heard <= last) {
                                owned.heard.remove(of);
                            }
                        }
                        done.push(told);
                    }
                }
                Task::Release(part) => {
                    if let Some(owned) = self.held.remove(&part) {
                        self.has_committed(part, owned.lease.durable());
                        done.push(self.engine.release(part, owned.lease.epoch));
                    }
                }
                Task::Leave => {}
            }
        }
        letters.sort_by_key(|(to, _)| *to);
        done.extend(self.engine.send(&letters));
        done.into_iter().collect()
    }

    /// One node of the engine that does not answer stops only what it has: all else is done before its
    /// failure is told.
    pub(super) fn go_round(&mut self, now_ms: u64) -> Result<(), DepotError> {
        let polled = self.poll();
        let confirmed = self.ask_for_confirmations();
        let mut looked = Ok(());
        if self.looked_ms.is_none_or(|at_ms| now_ms >= at_ms + BEAT_MS) {
            self.looked_ms = Some(now_ms);
            looked = self.look(now_ms);
        }
        polled.and(confirmed).and(looked)
    }

    /// Renews what we own, and reads its letters.
    fn poll(&mut self) -> Result<(), DepotError> {
        let parts: Vec<u32> = self.held.keys().copied().collect();
        let wanted: Vec<Wanted<'_>> = self
            .held
            .iter()
            .map(|(part, owned)| Wanted {
                part: *part,
                epoch: owned.lease.epoch,
                heard: &owned.heard,
            })
            .collect();
        let asked = Instant::now();
        let told = self.engine.poll(&wanted);
        let mut done = Ok(());
        for (part, letters) in parts.into_iter().zip(told) {
            match letters {
                Ok(letters) => self.hear(part, asked, letters),
                Err(error) => done = done.and(Err(error)),
            }
        }
        done
    }

    /// `None`: a partition is not ours any more.
    fn hear(&mut self, part: u32, asked: Instant, letters: Option<Vec<Letter>>) {
        let Some(owned) = self.held.get_mut(&part) else {
            return;
        };
        let Some(letters) = letters else {
            owned.lease.lose();
            let durable = owned.lease.durable();
            self.held.remove(&part);
            self.has_committed(part, durable);
            self.told.say(Word::Lost(part));
            return;
        };
        owned.lease.renewed(asked);
        if !letters.is_empty() {
            let heard = letters.iter().map(|letter| (letter.source, letter.number));
            owned.heard.extend(heard);
            self.told.say(Word::Letters(part, letters));
        }
    }

    fn ask_for_confirmations(&mut self) -> Result<(), DepotError> {
        let pairs: Vec<Taken> = self.posted.keys().copied().collect();
        let told = self.engine.taken(&pairs);
        let mut done = Ok(());
        for (pair, number) in pairs.into_iter().zip(told) {
            let number = match number {
                Ok(number) => number,
                Err(error) => {
                    done = done.and(Err(error));
                    continue;
                }
            };
            if number > 0 {
                self.told.say(Word::Confirmed(pair.by, pair.of, number));
            }
            if self.posted.get(&pair).is_some_and(|last| number >= *last) {
                self.posted.remove(&pair);
            }
        }
        done
    }

    /// Looks at all workers and partitions, and does what follows.
    fn look(&mut self, now_ms: u64) -> Result<(), DepotError> {
        let course = self.engine.course()?;
        if let Course::Over(rest) = course {
            self.told.say(Word::Over(rest));
            return Ok(());
        }
        let beats = self.engine.beat(&self.worker)?;
        if course == Course::Paused {
            self.told.say(Word::Paused);
            return Ok(());
        }
        let living = self.members.look(&beats, now_ms);
        self.recall()?;
        // Those before the look: more may come while it is answered.
        let ours: Vec<(u32, u64)> = self
            .held
            .iter()
            .map(|(part, owned)| (*part, owned.lease.durable()))
            .collect();
        for (part, durable) in ours {
            self.has_committed(part, durable);
        }
        let shown = self.engine.look_each();
        for (part, shown) in (0..).zip(&shown) {
            let Ok(shown) = shown else { continue };
            let confirmed = self.has_confirmed(part, shown.seq);
            if shown.seq < confirmed {
                let failure = lost(part, confirmed, shown.seq);
                self.told.say(Word::Failed(failure));
                return Ok(());
            }
        }
        let noted = self.note();
        let shared = noted.and(self.share_out(&living, &shown, now_ms));
        if living != self.crew {
            self.crew.clone_from(&living);
            self.told.say(Word::Crew(living));
        }
        let shown: Result<Vec<PartView>, DepotError> = shown.into_iter().collect();
        match shown {
            Ok(shown) => {
                self.tell_of_all(&shown);
                shared.and(self.judge(&shown))
            }
            Err(error) => {
                self.seen.clear();
                Err(error)
            }
        }
    }

    /// Notes that the store has so many batches; says how many it was seen to have.
    fn has_confirmed(&mut self, part: u32, seq: u64) -> u64 {
        let most = self.confirmed.entry(part).or_default();
        *most = (*most).max(seq);
        *most
    }

    /// The same of a partition that is or was ours, which is to be noted.
    fn has_committed(&mut self, part: u32, seq: u64) {
        self.has_confirmed(part, seq);
        let noted = self.noted.as_ref().and_then(|noted| noted.get(&part));
        if seq > noted.copied().unwrap_or(0) {
            self.unnoted.insert(part, seq);
        }
    }

    /// Reads, once, how many batches partitions have had: what is not there any more was lost while we were not.
    fn recall(&mut self) -> Result<(), DepotError> {
        if self.noted.is_none() {
            let noted = self.engine.noted()?;
            for (part, seq) in &noted {
                self.has_confirmed(*part, *seq);
            }
            self.noted = Some(noted.into_iter().collect());
        }
        Ok(())
    }

    fn note(&mut self) -> Result<(), DepotError> {
        if !self.unnoted.is_empty() {
            let news: Vec<(u32, u64)> = self
                .unnoted
                .iter()
                .map(|(&part, &seq)| (part, seq))
                .collect();
            self.engine.note(&news)?;
            self.unnoted.clear();
            self.noted.get_or_insert_default().extend(news);
        }
        Ok(())
    }

    fn tell_of_all(&self, shown: &[PartView]) {
        let workers = self.crew.len() as u64;
        self.told.say(Word::All(sum_of(shown, workers)));
    }

    fn share_out(
        &mut self,
        living: &[String],
        shown: &[Result<PartView, DepotError>],
        now_ms: u64,
    ) -> Result<(), DepotError> {
        let table = shares(living, self.parts);
        let mut done = Ok(());
        for (part, (shown, owner)) in (0..).zip(shown.iter().zip(table)) {
            let is_mine = living[owner] == self.worker;
            match self.held.get_mut(&part) {
                Some(owned) if !is_mine && !owned.is_unwanted => {
                    owned.is_unwanted = true;
                    self.told.say(Word::Unwanted(part));
                }
                Some(_) => {}
                None => {
                    let Ok(shown) = shown else { continue };
                    let watched = self.watched.entry(part).or_default();
                    let state = (shown.epoch, shown.beat);
                    let still_ms = watched.look(state, now_ms, BEAT_MS * 2);
                    let is_free = shown.owner.is_empty() || shown.owner == self.worker;
                    // Also of a worker that lives: one that was started again knows nothing of it.
                    if is_mine && (is_free || still_ms >= LEASE_MS) {
                        done = done.and(self.claim(part, (!is_free).then_some(state)));
                    }
                }
            }
        }
        done
    }

    fn claim(&mut self, part: u32, seen: Option<(u64, u64)>) -> Result<(), DepotError> {
        let asked = Instant::now();
        let Claim::Ours { epoch, head } = self.engine.claim(part, &self.worker, seen)? else {
            return Ok(());
        };
        let lease = Arc::new(Lease::new(epoch, asked, head.seq));
        let owned = Carried {
            lease: lease.clone(),
            heard: BTreeMap::new(),
            is_unwanted: false,
        };
        self.held.insert(part, owned);
        self.told.say(Word::Ours(part, lease, head));
        Ok(())
    }

    /// The crawl is over when two looks see every partition at rest, as of the same batch.
    fn judge(&mut self, shown: &[PartView]) -> Result<(), DepotError> {
        let rests = shown.iter().map(|shown| Some((shown.seq, shown.rests()?)));
        let rests: Option<Vec<(u64, Rest)>> = rests.collect();
        let before = std::mem::take(&mut self.seen);
        let Some(rests) = rests else {
            return Ok(());
        };
        if before != rests {
            self.seen = rests;
            return Ok(());
        }
        let has = |wanted| rests.iter().any(|(_, rest)| *rest == wanted);
        let rest = if has(Rest::Parked) {
            Rest::Parked
        } else if has(Rest::Empty) {
            Rest::Empty
        } else {
            self.engine.end(Rest::Complete)?;
            Rest::Complete
        };
        self.told.say(Word::Over(rest));
        Ok(())
    }
}
