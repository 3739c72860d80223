//! A worker of a crawl that many machines share: the partitions that it owns, each a crawl of its own,
//! under one budget of requests. What the machines must agree on lies in a store; FORMAT.md says how.

mod alone;
mod bell;
mod courier;
mod joined;
mod lease;
mod mark;
mod open;
mod partition;
mod rewrite;
mod round;
mod served;
mod sink;
mod words;
mod workshop;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crawl_ckpt::control::{FleetProgress, Progress};
use crawl_ckpt::fleet::{JournalHead, Letter, Merits, Rest, add_progress};
use crawl_ckpt::human::counted;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::Failure;

pub use self::alone::end_when_alone;
use self::courier::Courier;
use self::lease::Lease;
pub use self::open::Joining;
use self::partition::{Partition, TELL_MS, Unopened};
use self::words::{Task, Word};
use self::workshop::Workshop;
use crate::crawl::Done;

/// The id of a request on the wire: that in its partition, below this bit, and which one that is, above.
/// All ids of a crawl, those of robots.txt included, are below it.
const LANE_BIT: u32 = 53;
/// So many lanes fit above.
const LANES: u64 = 1 << (63 - LANE_BIT);

/// A partition that could not be opened is tried again after so long.
const AGAIN_MS: u64 = 500;
/// Between two looks at how long the last commits take.
const A_MOMENT: Duration = Duration::from_millis(50);

/// Partitions of a crawl, and their courier.
#[derive(Debug)]
pub struct Fleet {
    workshop: Workshop,
    courier: Courier,
    /// What rings when there is something to hear.
    bell: UnixStream,
    owned: BTreeMap<u32, Owned>,
    /// The partition of each lane in use.
    lanes: BTreeMap<u64, u32>,
    /// Requests under way of partitions that are not ours any more, by lane.
    orphans: HashMap<u64, usize>,
    /// Whose turn it is to send.
    turn: u32,
    /// When the fetcher gave the last answer.
    heard_ms: u64,
    /// When the courier was heard last.
    tended_ms: u64,
    concurrency: u32,
    most_records: Option<u64>,
    /// What was done in this run of partitions that are not ours any more.
    gone: Progress,
    /// How far all workers are.
    all: Option<FleetProgress>,
    over: Option<Done>,
    /// Somebody paused the crawl: this worker asks for nothing more and ends.
    is_paused: bool,
    notes: Vec<String>,
    /// For those who want to know all.
    details: Vec<String>,
    failed: Option<Failure>,
    /// The run was told to end: a node that does not answer is waited for no longer than this.
    last_wait: Option<Duration>,
    /// The file of all records of this worker, made when the crawl is complete, if there is one.
    joined: Option<PathBuf>,
    /// The command that ends a pause of the whole crawl.
    resume: String,
    /// Nobody else of this machine is this worker.
    _lock: JobLock,
}

/// A partition that is ours. One that has nothing yet is not opened.
#[derive(Debug)]
struct Owned {
    lease: Arc<Lease>,
    head: JournalHead,
    lane: u64,
    open: Option<Box<Partition>>,
    /// It is to be open: there is something to do in it.
    is_wanted: bool,
    /// When it is tried again, after its node did not answer.
    again_ms: u64,
    /// Those that came before it was open.
    letters: Vec<Letter>,
    /// It is to be given back.
    drains: bool,
    /// What was under way of one that drains is done, and handed over.
    is_drained: bool,
    /// Why it has nothing to send.
    idle: Option<Done>,
    /// When it was told of one that is not open that it is at rest.
    told_ms: Option<u64>,
}

impl Fleet {
    /// Hears what the courier has to say, and tells it what there is to tell.
    fn tend(&mut self, now_ms: u64) -> Result<(), Failure> {
        if std::mem::replace(&mut self.tended_ms, now_ms) == now_ms {
            return Ok(());
        }
        drain(&self.bell);
        let words: Vec<Word> = self.courier.words().collect();
        for word in words {
            self.hear(word, now_ms)?;
        }
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        let parts: Vec<u32> = self.owned.keys().copied().collect();
        for part in parts {
            self.tend_part(part, now_ms)?;
        }
        Ok(())
    }

    fn hear(&mut self, word: Word, now_ms: u64) -> Result<(), Failure> {
        match word {
            Word::Ours(part, lease, head) => self.own(part, lease, head, now_ms)?,
            Word::Unwanted(part) => {
                if let Some(owned) = self.owned.get_mut(&part) {
                    owned.drains = true;
                }
            }
            Word::Lost(part) => self.drop_part(part),
            Word::Letters(part, letters) => {
                if let Some(owned) = self.owned.get_mut(&part) {
                    owned.idle = None;
                    owned.is_wanted = true;
                    owned.letters.extend(letters);
                }
                self.open_part(part, now_ms)?;
                self.deliver(part)?;
            }
            Word::Confirmed(by, source, number) => {
                if let Some(open) = self.partition(source) {
                    open.crawl.confirmed(by, number);
                }
            }
            Word::Over(rest) => {
                self.over = Some(match rest {
                    Rest::Complete => Done::Complete,
                    Rest::Parked => Done::Parked,
                    Rest::Empty => Done::NothingUseful,
                });
            }
            Word::Paused => {
                if !std::mem::replace(&mut self.is_paused, true) {
                    self.notes.push(format!(
                        "the crawl was paused for all workers; this one ends when what is under way is done, and {} lets them go on",
                        self.resume
                    ));
                }
            }
            Word::Crew(workers) => {
                let names = workers.join(", ");
                self.details
                    .push(format!("workers that live by now: {names}"));
            }
            Word::All(progress) => self.all = Some(progress),
            Word::Away(error) => {
                // What they do meanwhile nobody tells.
                self.all = None;
                let patience = self.workshop.patience.as_secs();
                self.notes.push(format!(
                    "the store does not take all commits, and partitions that wait for it stand still ({error}): it is waited for, at most {patience} s"
                ));
            }
            Word::Back => self
                .notes
                .push("the store is back, and all goes on".to_owned()),
            Word::Failed(failure) => self.failed = Some(failure),
        }
        Ok(())
    }

    fn partition(&mut self, part: u32) -> Option<&mut Partition> {
        self.owned.get_mut(&part)?.open.as_deref_mut()
    }

    fn own(
        &mut self,
        part: u32,
        lease: Arc<Lease>,
        head: JournalHead,
        now_ms: u64,
    ) -> Result<(), Failure> {
        self.drop_part(part);
        let free = (0..LANES)
            .find(|lane| !self.lanes.contains_key(lane) && !self.orphans.contains_key(lane));
        let lane = free.ok_or_else(|| {
            Failure::new("too many partitions were given back with requests under way")
        })?;
        self.lanes.insert(lane, part);
        let owned = Owned {
            lease,
            lane,
            open: None,
            is_wanted: head.seq > 0 || self.workshop.begins_in(part),
            again_ms: now_ms,
            letters: Vec::new(),
            drains: false,
            is_drained: false,
            idle: None,
            told_ms: None,
            head,
        };
        self.owned.insert(part, owned);
        self.open_part(part, now_ms)
    }

    /// Opens a partition, unless it is open, or has nothing, or its node was silent a moment ago.
    fn open_part(&mut self, part: u32, now_ms: u64) -> Result<(), Failure> {
        let Some(owned) = self.owned.get_mut(&part).filter(|owned| {
            owned.open.is_none()
                && owned.is_wanted
                && now_ms >= owned.again_ms
                && owned.lease.is_fresh()
        }) else {
            return Ok(());
        };
        let lease = owned.lease.clone();
        let mut open = match self.workshop.open(part, &lease, &owned.head, now_ms) {
            Ok(open) => open,
            // It is another's by now, who changed what was read.
            Err(_) if lease.is_lost() => {
                self.drop_part(part);
                return Ok(());
            }
            Err(Unopened::Away) => {
                owned.again_ms = now_ms + AGAIN_MS;
                return Ok(());
            }
            Err(Unopened::Failed(failure)) => return Err(failure),
        };
        open.crawl.take_lane(owned.lane << LANE_BIT);
        owned.open = Some(Box::new(open));
        self.deliver(part)
    }

    /// Hands its letters to a partition that is open.
    fn deliver(&mut self, part: u32) -> Result<(), Failure> {
        if let Some(owned) = self.owned.get_mut(&part)
            && let Some(open) = &mut owned.open
        {
            open.take_letters(std::mem::take(&mut owned.letters))?;
        }
        Ok(())
    }

    /// Somebody else owns it, or will. What is under way is nobody's.
    fn drop_part(&mut self, part: u32) {
        let Some(owned) = self.owned.remove(&part) else {
            return;
        };
        self.lanes.remove(&owned.lane);
        if let Some(open) = owned.open {
            let mut gone = open.progress();
            gone.forget_parked();
            let counts = &mut gone.counts;
            counts.seen = counts.done + counts.failed;
            (counts.pending, counts.in_flight) = (0, 0);
            gone.hosts = 0;
            add_progress(&mut self.gone, gone);
            let under_way = open.crawl.under_way();
            if under_way > 0 {
                self.orphans.insert(owned.lane, under_way);
            }
        }
    }

    fn tend_part(&mut self, part: u32, now_ms: u64) -> Result<(), Failure> {
        let Some(owned) = self.owned.get_mut(&part) else {
            return Ok(());
        };
        if owned.lease.is_lost() {
            self.drop_part(part);
            return Ok(());
        }
        let rest = owned.idle.and_then(rest_of);
        let Some(open) = &mut owned.open else {
            if owned.drains {
                self.courier.ask(Task::Release(part));
                self.drop_part(part);
            } else if owned.is_wanted {
                self.open_part(part, now_ms)?;
            } else if owned.told_ms.is_none_or(|at_ms| now_ms >= at_ms + TELL_MS) {
                owned.told_ms = Some(now_ms);
                let rest = Some((owned.head.seq, Rest::Complete));
                let merits = Merits {
                    rest,
                    ..Merits::default()
                };
                self.courier.ask(Task::Report(part, merits));
            }
            return Ok(());
        };
        for letter in open.crawl.letters_due(owned.lease.durable(), now_ms) {
            self.courier.ask(Task::Post(part, letter));
        }
        if let Some(merits) = open.merits(&owned.lease, rest, now_ms) {
            self.courier.ask(Task::Report(part, merits));
        }
        if owned.drains && open.crawl.under_way() == 0 {
            self.give_back(part, now_ms)?;
        }
        Ok(())
    }

    /// Commits all of a partition, and gives it back when that is durable: the others do not wait for it.
    fn give_back(&mut self, part: u32, now_ms: u64) -> Result<(), Failure> {
        let Some(owned) = self.owned.get_mut(&part) else {
            return Ok(());
        };
        if let Some(open) = &mut owned.open {
            if !std::mem::replace(&mut owned.is_drained, true) {
                open.crawl.release_held(now_ms);
                match open.crawl.commit(now_ms) {
                    Err(failure) if !owned.lease.is_lost() => return Err(failure),
                    // Somebody else has it by now.
                    Err(_) | Ok(()) => {}
                }
            }
            let is_clean = open.crawl.next_commit_ms().is_none();
            if !is_clean || owned.lease.durable() < open.crawl.batches() {
                return Ok(());
            }
        }
        self.courier.ask(Task::Release(part));
        self.drop_part(part);
        Ok(())
    }

    /// Waits until what was handed over is durable, or is another's by now. A node that does not answer is not
    /// waited for when the run was told to end: what it did not take is asked for again by whoever is next.
    fn wait_for_last_commits(&mut self) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut left = 0;
        for owned in self.owned.values_mut() {
            let Some(open) = &mut owned.open else {
                continue;
            };
            loop {
                match open.crawl.store_mut().wait_for_commits(A_MOMENT) {
                    Err(failure) if !owned.lease.is_lost() => return Err(failure),
                    Err(_) | Ok(true) => break,
                    Ok(false) => {}
                }
                let is_too_long = self.last_wait.is_some_and(|most| begun.elapsed() >= most);
                if is_too_long && !owned.lease.is_fresh() && !owned.lease.is_lost() {
                    owned.lease.lose();
                    left += 1;
                }
            }
        }
        if left > 0 {
            self.notes.push(format!(
                "the store did not take the last commits of {}: pages in them are fetched again",
                counted(left, "partition")
            ));
        }
        Ok(())
    }

    /// Waits until what was handed over is durable, or never will be.
    #[cfg(test)]
    fn wait_for_commits(&self, is_over: impl Fn() -> bool) {
        for owned in self.owned.values() {
            let Some(open) = &owned.open else { continue };
            let asked = Instant::now();
            // One that was refused never will be, which the next look at the log tells.
            while open.crawl.batches() > owned.lease.durable()
                && !owned.lease.is_lost()
                && !is_over()
                && asked.elapsed().as_secs() < 5
            {
                std::thread::yield_now();
            }
            while open.crawl.store().is_settling() {
                std::thread::yield_now();
            }
        }
    }

    /// The partitions that are open.
    fn open_parts(&self) -> impl Iterator<Item = &Partition> {
        self.owned
            .values()
            .filter_map(|owned| owned.open.as_deref())
    }

    fn open_parts_mut(&mut self) -> impl Iterator<Item = &mut Partition> {
        let owned = self.owned.values_mut();
        owned.filter_map(|owned| owned.open.as_deref_mut())
    }

    /// Partitions whose turn it is to send, beginning with the one after that which sent last.
    fn in_turn(&self) -> Vec<u32> {
        let open = self
            .owned
            .iter()
            .filter(|(_, owned)| owned.open.is_some() && !owned.drains && owned.lease.is_fresh());
        let parts: BTreeSet<u32> = open.map(|(part, _)| *part).collect();
        let after = parts.range(self.turn + 1..);
        after.chain(parts.range(..=self.turn)).copied().collect()
    }

    /// The first of these that has a request which goes with nothing else under way.
    fn lone_of(&self, parts: &[u32], now_ms: u64) -> Option<u32> {
        let is_lone = |part: &u32| {
            let owned = self.owned.get(part)?;
            let open = owned.open.as_deref()?;
            open.crawl.wants_to_be_alone(now_ms).then_some(*part)
        };
        parts.iter().find_map(is_lone)
    }

    fn records_run(&self) -> u64 {
        let open = self.open_parts();
        let records: u64 = open.map(|open| open.crawl.records_run()).sum();
        records + self.gone.records_run
    }
}

/// What a partition that has nothing to send tells of itself.
fn rest_of(done: Done) -> Option<Rest> {
    match done {
        Done::Complete => Some(Rest::Complete),
        Done::Parked => Some(Rest::Parked),
        Done::NothingUseful => Some(Rest::Empty),
        Done::Limit | Done::Paused | Done::NetworkGone | Done::NoAnswer => None,
    }
}

fn drain(bell: &UnixStream) {
    use std::io::Read;
    let mut bytes = [0; 256];
    let mut bell = bell;
    // Nothing is there, or it is read.
    while matches!(bell.read(&mut bytes), Ok(256)) {}
}

#[cfg(test)]
mod tests;
