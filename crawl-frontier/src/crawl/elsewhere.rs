//! A crawl that is one partition of a larger one: URLs of other partitions are sent there by letter.
//!
//! A letter is written into the journal with the batch of the pages that its URLs were found on, goes out
//! when that batch is durable, again until it is confirmed, and is struck out of the journal then. The
//! receiver takes each letter of a sender once and in order, with the batch that its URLs are in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crawl_ckpt::address::registrable;
use crawl_ckpt::journal::{Entry, Loose, Stored};
use crawl_ckpt::tool::{Exit, Failure};

use super::Crawl;
use super::starts::is_gave_page;
use crate::class;
use crate::keys::{FROM, MAIL, PART, SENT};
use crate::store::Store;
use crate::url::{Fingerprinter, authority};

/// A letter that nobody confirms goes out again after this time, and then after twice the time …
const AGAIN_MS: u64 = 2000;
/// … up to this.
const AGAIN_MOST_MS: u64 = 60_000;
/// So many URLs are remembered that were sent already: a second time costs a letter, and no more.
const REMEMBERED: usize = 1 << 18;

/// Into how many partitions a crawl is split, and how.
#[derive(Debug, Clone, Copy)]
pub struct Split {
    parts: u32,
    domains: Fingerprinter,
}

impl Split {
    /// By a key that is the same for all partitions.
    pub fn new(parts: u32, key: [u8; 16]) -> Split {
        Split {
            parts,
            domains: Fingerprinter::new(key),
        }
    }

    /// How many there are.
    pub fn parts(&self) -> u32 {
        self.parts
    }

    /// The partition of a canonical URL: all hosts of a registrable domain share their cookies, and so
    /// their partition.
    pub fn of(&self, url: &str) -> u32 {
        let authority = authority(url);
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        (self.domains.get(&registrable(host)) % u128::from(self.parts)) as u32
    }
}

/// What a partition has to do with the others.
#[derive(Debug)]
pub(super) struct Elsewhere {
    home: u32,
    split: Split,
    /// What the next batch's letters say, by partition.
    unsealed: BTreeMap<u32, Loose>,
    /// Letters that are not confirmed, by partition and number.
    outbox: BTreeMap<(u32, u64), Posted>,
    /// Those of them that did not go out yet, behind the batch that they are in.
    unsent: VecDeque<(u64, (u32, u64))>,
    /// When those that did go out again; they may be confirmed by then.
    again: BTreeSet<(u64, (u32, u64))>,
    /// The number of the last letter to each partition.
    sent: HashMap<u32, u64>,
    /// The number of the last letter from each.
    from: HashMap<u32, u64>,
    /// Fingerprints of URLs that were sent.
    urls: HashSet<u64>,
    /// Batches handed over.
    seq: u64,
    /// Where the records are from now on, if the journal does not know yet.
    part: Option<String>,
}

#[derive(Debug)]
struct Posted {
    bytes: Arc<[u8]>,
    pause_ms: u64,
}

/// A letter that is to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The partition that it is for.
    pub to: u32,
    /// Its number among those to that partition.
    pub number: u64,
    /// What it says.
    pub bytes: Arc<[u8]>,
}

impl Elsewhere {
    fn restore(&mut self, values: &HashMap<String, Vec<u8>>) {
        let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        for (key, value) in values {
            if let Some(part) = key.strip_prefix(SENT).and_then(|part| part.parse().ok()) {
                self.sent.insert(part, number(value).unwrap_or(0));
            } else if let Some(part) = key.strip_prefix(FROM).and_then(|part| part.parse().ok()) {
                self.from.insert(part, number(value).unwrap_or(0));
            } else if let Some(letter) = key.strip_prefix(MAIL).and_then(letter_of) {
                self.outbox.insert(letter, Posted::new(value));
            } else if key == PART {
                self.part.take_if(|part| part.as_bytes() == value);
            }
        }
        self.unsent
            .extend(self.outbox.keys().map(|letter| (0, *letter)));
    }

    /// Puts what was written into the batch that is closed next.
    pub fn seal(&mut self, store: &mut impl Store) {
        self.seq += 1;
        if let Some(part) = self.part.take() {
            store.set(PART, part.as_bytes());
        }
        for (part, letter) in std::mem::take(&mut self.unsealed) {
            let number = self.sent.entry(part).or_default();
            *number += 1;
            store.set(&format!("{SENT}{part}"), number.to_string().as_bytes());
            store.set(&format!("{MAIL}{part}:{number}"), letter.bytes());
            let posted = Posted::new(letter.bytes());
            self.outbox.insert((part, *number), posted);
            self.unsent.push_back((self.seq, (part, *number)));
        }
    }

    /// The letters whose turn it is. There may be a hundred thousand that wait for their confirmation, which are
    /// not gone through.
    fn due(&mut self, durable: u64, now_ms: u64) -> Vec<Outgoing> {
        let mut due = Vec::new();
        while let Some(&(seq, letter)) = self.unsent.front()
            && seq <= durable
        {
            self.unsent.pop_front();
            due.push(letter);
        }
        while let Some(&(at_ms, letter)) = self.again.first()
            && at_ms <= now_ms
        {
            self.again.pop_first();
            due.push(letter);
        }
        let posted = due.into_iter().filter_map(|letter| {
            let posted = self.outbox.get_mut(&letter)?;
            self.again.insert((now_ms + posted.pause_ms, letter));
            posted.pause_ms = (posted.pause_ms * 2).min(AGAIN_MOST_MS);
            let ((to, number), bytes) = (letter, posted.bytes.clone());
            Some(Outgoing { to, number, bytes })
        });
        posted.collect()
    }
}

impl Posted {
    fn new(bytes: &[u8]) -> Posted {
        Posted {
            bytes: bytes.into(),
            pause_ms: AGAIN_MS,
        }
    }
}

fn letter_of(name: &str) -> Option<(u32, u64)> {
    let (part, number) = name.split_once(':')?;
    Some((part.parse().ok()?, number.parse().ok()?))
}

impl<S: Store> Crawl<S> {
    /// Makes this a partition of a larger crawl. `values` are those that its journal remembers, which
    /// has `seq` batches; `part` has the records that it writes.
    pub(crate) fn live_in(
        &mut self,
        home: u32,
        split: Split,
        values: &HashMap<String, Vec<u8>>,
        seq: u64,
        part: &str,
    ) {
        let mut elsewhere = Elsewhere {
            home,
            split,
            unsealed: BTreeMap::new(),
            outbox: BTreeMap::new(),
            unsent: VecDeque::new(),
            again: BTreeSet::new(),
            sent: HashMap::new(),
            from: HashMap::new(),
            urls: HashSet::new(),
            seq,
            part: Some(part.to_owned()),
        };
        elsewhere.restore(values);
        self.elsewhere = Some(Box::new(elsewhere));
    }

    /// Sends with these upper bits in its ids, which are none of the ids' own.
    pub fn take_lane(&mut self, lane: u64) {
        self.lane = lane;
    }

    /// Requests under way at once, at most, from now on; other partitions have so many under way.
    pub fn grant(&mut self, concurrency: u32, of_others: usize) {
        self.concurrency = concurrency;
        self.lost.of_others = of_others;
    }

    /// Of the requests under way, those that concurrency counts.
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// Output records of this run.
    pub fn records_run(&self) -> u64 {
        self.progress.records_run
    }

    /// Another partition got an answer by the same fetcher: what is held here has failed for good.
    pub fn hear_elsewhere(&mut self, now_ms: u64) {
        self.lost.is_heard = true;
        self.lost.heard_ms = self.lost.heard_ms.max(now_ms);
        self.end_outage(now_ms);
        let failed = self.outage.answered_elsewhere(now_ms);
        self.fail(failed);
    }

    /// True for a URL of another partition.
    pub(super) fn lies_elsewhere(&self, canonical: &str) -> bool {
        let elsewhere = self.elsewhere.as_ref();
        elsewhere.is_some_and(|elsewhere| elsewhere.split.of(canonical) != elsewhere.home)
    }

    /// Writes to the partition that a request belongs to.
    pub(super) fn send_away(&mut self, fingerprint: u128, request: &Stored<'_>) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        if elsewhere.urls.len() >= REMEMBERED {
            elsewhere.urls.clear();
        }
        if elsewhere.urls.insert(fingerprint as u64) {
            let part = elsewhere.split.of(request.url);
            elsewhere.unsealed.entry(part).or_default().request(request);
        }
    }

    /// Keeps a value that all partitions are to know.
    pub(super) fn set_for_all(&mut self, key: &str, value: &[u8]) {
        self.store.set(key, value);
        if let Some(elsewhere) = &mut self.elsewhere {
            let others = (0..elsewhere.split.parts).filter(|part| *part != elsewhere.home);
            for part in others {
                elsewhere.unsealed.entry(part).or_default().set(key, value);
            }
        }
    }

    /// Takes a letter. True when it is not needed any more: taken now, or before.
    ///
    /// # Errors
    /// [`Exit::Damaged`] when it makes no sense.
    pub fn take_letter(&mut self, source: u32, number: u64, bytes: &[u8]) -> Result<bool, Failure> {
        let last = self.letters_from(source);
        if number != last + 1 {
            return Ok(number <= last);
        }
        let taken = Loose::tell(bytes, |entry| {
            match entry {
                Entry::Request { request, .. } => self.take_sent(&request),
                Entry::Set { key, value } => self.take_fact(key, value),
                _ => return Err("something else than requests is in it".to_owned()),
            }
            Ok(())
        });
        taken.map_err(|why| {
            let message = format!("letter {number} of partition {source}: {why}");
            Failure::with(Exit::Damaged, message)
        })?;
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.from.insert(source, number);
        }
        let key = format!("{FROM}{source}");
        self.store.set(&key, number.to_string().as_bytes());
        Ok(true)
    }

    /// The number of the last letter that was taken of a partition.
    pub fn letters_from(&self, source: u32) -> u64 {
        let from = self.elsewhere.as_ref().map(|elsewhere| &elsewhere.from);
        from.and_then(|from| from.get(&source).copied())
            .unwrap_or(0)
    }

    fn take_sent(&mut self, request: &Stored<'_>) {
        let fingerprint = self.fingerprinter.get(request.url);
        if self.is_seen(fingerprint) {
            return;
        }
        let host = self.host_of(request.url);
        let taken = self.schedule.host(host).taken;
        match self.scope.check_host_pages(taken) {
            Ok(()) => self.add(host, fingerprint, request),
            Err(refusal) => class::add(&mut self.progress.dropped, refusal.as_str()),
        }
    }

    fn take_fact(&mut self, key: &str, value: &[u8]) {
        self.store.set(key, value);
        if is_gave_page(key) {
            self.take_page_elsewhere();
            return;
        }
        let values = HashMap::from([(key.to_owned(), value.to_owned())]);
        self.scope.restore_hosts(&values);
        self.secrets.restore(values.keys());
    }

    /// The letters of batches that are durable, which are those up to `durable`, whose turn it is.
    pub fn letters_due(&mut self, durable: u64, now_ms: u64) -> Vec<Outgoing> {
        let elsewhere = self.elsewhere.as_mut();
        elsewhere.map_or_else(Vec::new, |elsewhere| elsewhere.due(durable, now_ms))
    }

    /// A partition has all letters up to this one for good.
    pub fn confirmed(&mut self, by: u32, number: u64) {
        let Some(elsewhere) = &mut self.elsewhere else {
            return;
        };
        let letters = elsewhere.outbox.range((by, 0)..=(by, number));
        let letters: Vec<(u32, u64)> = letters.map(|(&letter, _)| letter).collect();
        for letter in letters {
            elsewhere.outbox.remove(&letter);
            let (part, number) = letter;
            self.store.unset(&format!("{MAIL}{part}:{number}"));
        }
    }

    /// How many batches were handed over to be committed.
    pub fn batches(&self) -> u64 {
        self.elsewhere.as_ref().map_or(0, |elsewhere| elsewhere.seq)
    }

    /// The same; `None` while letters wait to be written or to be confirmed.
    pub fn settled(&self) -> Option<u64> {
        let elsewhere = self.elsewhere.as_ref()?;
        let is_settled = elsewhere.unsealed.is_empty() && elsewhere.outbox.is_empty();
        is_settled.then_some(elsewhere.seq)
    }
}
