//! A journal replayed into memory. One thread reads, decodes and hashes, another
//! remembers: each takes as long as the other, 10M requests 2 s instead of 8 s.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crawl_ckpt::error::StoreError;
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Entry, Mark, Replayed};
use crawl_ckpt::tool::Failure;

use super::Ticket;
use super::ids::Ids;
use super::memory::{Fingerprints, Memory};
use super::request::fingerprint_of;
use super::seen::Ascent;
use crate::keys::{HOST, OfHost};
use crate::url::{Fingerprinter, origin};

/// So many requests travel from thread to thread at once.
const PIECE: usize = 4096;
/// … and so many bytes of rules.
const PIECE_RULES: usize = 1 << 20;
/// So many pieces may wait.
const AHEAD: usize = 8;

/// What a replay found beside what is in memory now.
#[derive(Debug)]
pub struct ReplayResult {
    /// Where it ends.
    pub replayed: Replayed,
    /// The requests that are done.
    pub finished: Ids,
    /// Those of them that failed, when somebody wants to know.
    pub failed: Ids,
}

/// Replays a job's journal, from a mark on or whole, into `memory`. All its requests count as arrived
/// then; which of them are finished or wait is still to be settled.
///
/// # Errors
/// Errors of the disk, and damage.
pub fn replay_into(
    job: &Job,
    from: Option<&Mark>,
    wants_failed: bool,
    memory: &mut Memory,
) -> Result<ReplayResult, Failure> {
    let mut listener = Listener {
        fingerprinter: Fingerprinter::new(job.manifest().key),
        origins: memory.schedule.origins(),
        wants_failed,
        tries: std::mem::take(&mut memory.tries),
        values: std::mem::take(&mut memory.values),
        finished: Ids::default(),
        failed: Ids::default(),
        piece: Arrivals::default(),
    };
    let replayed = thread::scope(|scope| {
        let (pieces, told) = sync_channel(AHEAD);
        let remembering = scope.spawn(|| remember(memory, told));
        let replayed = job.replay(from, |entry| listener.hear(entry, &pieces));
        // Refused only by a thread that has ended, which is looked at next.
        let _ = pieces.send(std::mem::take(&mut listener.piece));
        drop(pieces);
        let remembered = remembering.join();
        match remembered.map_err(|_| Failure::new("the restoring thread is gone"))? {
            Ok(()) => Ok(replayed?),
            Err((at, why)) => Err(StoreError::damaged(&job.journal_path(), at, why).into()),
        }
    });
    memory.tries = listener.tries;
    memory.values = listener.values;
    replayed.map(|replayed| ReplayResult {
        replayed,
        finished: listener.finished,
        failed: listener.failed,
    })
}

/// Hears the journal, and passes on what the other thread is to remember.
struct Listener {
    fingerprinter: Fingerprinter,
    origins: Fingerprinter,
    wants_failed: bool,
    tries: HashMap<u64, (u32, u64)>,
    values: HashMap<String, Vec<u8>>,
    finished: Ids,
    failed: Ids,
    piece: Arrivals,
}

/// What is to be remembered, in the order in which it was told.
#[derive(Debug, Default)]
struct Arrivals {
    /// Hosts of a rewritten journal, which begins with them: origin, requests taken on.
    hosts: Vec<(String, Vec<u8>)>,
    /// Hosts that answered, by the fingerprint of their origin, each with a page.
    answered: Vec<(u128, String)>,
    /// What of a host's robots.txt is kept from now on, by the fingerprint of its origin.
    rules: Vec<(u128, Option<Vec<u8>>)>,
    /// So many bytes are in these.
    rules_bytes: usize,
    /// Fingerprints of finished requests, of which a rewritten journal keeps no more.
    seen: Vec<u128>,
    /// The origins of the requests.
    text: String,
    requests: Vec<Arrival>,
}

#[derive(Debug)]
struct Arrival {
    fingerprints: Fingerprints,
    /// Where its origin ends in the piece's text.
    end: u32,
    ticket: Ticket,
    priority: i64,
}

impl Listener {
    fn hear(&mut self, entry: Entry<'_>, pieces: &SyncSender<Arrivals>) -> Result<(), String> {
        match entry {
            Entry::Request { id, at, request } => {
                let fingerprint = fingerprint_of(self.fingerprinter, &request)
                    .map_err(|failure| failure.message)?;
                let origin = origin(request.url);
                self.piece.text.push_str(origin);
                self.piece.requests.push(Arrival {
                    fingerprints: Fingerprints {
                        request: fingerprint,
                        host: self.origins.get(origin),
                    },
                    end: self.piece.text.len() as u32,
                    ticket: Ticket { id, at },
                    priority: request.priority,
                });
                return self.pass_on(pieces);
            }
            Entry::Seen { fingerprint } => {
                self.piece.seen.push(u128::from_be_bytes(fingerprint));
                return self.pass_on(pieces);
            }
            Entry::Done { id, failed } => {
                if failed && self.wants_failed {
                    self.failed.insert(id);
                }
                if !self.finished.insert(id) {
                    return Err(format!("request {id} is finished twice"));
                }
                // Over weeks many are tried again, and few at once.
                if !self.tries.is_empty() {
                    self.tries.remove(&id);
                }
            }
            Entry::Defer {
                id,
                attempts,
                due_ms,
            } => {
                // Of a finished request: it was made pending again.
                self.finished.remove(id);
                self.failed.remove(id);
                self.tries.insert(id, (attempts, due_ms));
            }
            Entry::Set { key, value } => {
                self.hear_value(key, value);
                return self.pass_on(pieces);
            }
            Entry::Unset { key } => match OfHost::of(key) {
                Some((OfHost::Robots, origin)) => self.hear_rules(origin, None),
                _ => drop(self.values.remove(key)),
            },
            Entry::Ids { .. } | Entry::Commit(_) => {}
        }
        Ok(())
    }

    fn hear_value(&mut self, key: &str, value: &[u8]) {
        if let Some(origin) = key.strip_prefix(HOST) {
            self.piece.hosts.push((origin.to_owned(), value.to_owned()));
        } else if let Some((OfHost::Answered, origin)) = OfHost::of(key) {
            let page = String::from_utf8_lossy(value).into_owned();
            self.piece.answered.push((self.origins.get(origin), page));
        } else if let Some((OfHost::Robots, origin)) = OfHost::of(key) {
            self.hear_rules(origin, Some(value));
        } else {
            self.values.insert(key.to_owned(), value.to_owned());
        }
    }

    fn hear_rules(&mut self, origin: &str, saved: Option<&[u8]>) {
        let rules = saved.map(<[u8]>::to_owned);
        self.piece.rules_bytes += rules.as_ref().map_or(0, Vec::len);
        self.piece.rules.push((self.origins.get(origin), rules));
    }

    fn pass_on(&mut self, pieces: &SyncSender<Arrivals>) -> Result<(), String> {
        let piece = &self.piece;
        let hosts = piece.hosts.len() + piece.answered.len() + piece.rules.len();
        let is_full = piece.requests.len() + piece.seen.len() + hosts >= PIECE;
        if !is_full && piece.rules_bytes < PIECE_RULES {
            return Ok(());
        }
        let room = Arrivals {
            text: String::with_capacity(self.piece.text.len()),
            requests: Vec::with_capacity(PIECE),
            ..Arrivals::default()
        };
        let piece = std::mem::replace(&mut self.piece, room);
        pieces
            .send(piece)
            .map_err(|_| "an earlier request makes no sense".into())
    }
}

/// The other thread. An error says where in the journal, and what.
fn remember(memory: &mut Memory, pieces: Receiver<Arrivals>) -> Result<(), (u64, String)> {
    let mut ascent = Ascent::default();
    for piece in pieces {
        for (origin, taken) in &piece.hosts {
            memory.meet_host(origin, taken);
        }
        for fingerprint in piece.seen {
            ascent.take(&mut memory.seen, fingerprint);
        }
        if !piece.requests.is_empty() {
            ascent.end(&mut memory.seen);
        }
        let mut start = 0;
        for (number, request) in piece.requests.iter().enumerate() {
            memory.touch(&piece.requests, number, |one| one.fingerprints);
            let origin = &piece.text[start..request.end as usize];
            start = request.end as usize;
            let ticket = request.ticket;
            let Some(host) = memory.meet(request.fingerprints, origin) else {
                let why = format!("request {} was taken on before", ticket.id);
                return Err((ticket.at, why));
            };
            memory.lanes.arrive(host, ticket, request.priority);
        }
        if memory.lanes.is_full() {
            // What of it is done by now goes later.
            memory.settle(|_, _, _| true);
        }
        for (fingerprint, saved) in &piece.rules {
            let host = memory.schedule.find_fingerprint(*fingerprint);
            memory.rules.tell(*fingerprint, host, saved.as_deref());
        }
        for (host, page) in &piece.answered {
            if let Some(host) = memory.schedule.find_fingerprint(*host) {
                memory.answered.remember(host, page);
            }
        }
    }
    ascent.end(&mut memory.seen);
    let schedule = &memory.schedule;
    memory
        .rules
        .all_are_met(|host| schedule.find_fingerprint(host));
    Ok(())
}
